"""Knows the account's cars and energy sites."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from ..const import DOMAIN, LOGGER
from ..repairs import ACCOUNT_ISSUES, VEHICLE_ISSUES, clear_issues, note_budget
from ..storage.last_values import LastValues, last_values_file
from ..tesla.errors import SignInRequired, TeslaError
from ..tesla.reader import Products, Reader
from .base import TeslaCoordinator
from .budget import Budget
from .site import SiteCoordinator
from .vehicle import VehicleCoordinator

ACCOUNT_INTERVAL: Final = timedelta(minutes=10)
GONE_AFTER: Final = 2
"""Successful lists in a row from which a car must be missing before its device goes."""


class AccountCoordinator(TeslaCoordinator[Products]):
    """Knows the account's cars and sites; adds and removes their coordinators as Tesla's list changes."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, reader: Reader) -> None:
        """Read with `reader`."""
        super().__init__(hass, entry, "account", ACCOUNT_INTERVAL)
        self.reader = reader
        self.vehicles: dict[str, VehicleCoordinator] = {}
        self.sites: dict[int, SiteCoordinator] = {}
        self.budget = Budget(entry)
        self._file = last_values_file(hass, entry.entry_id)
        self._missing: dict[str | int, int] = {}
        self._begun = False
        self.data = Products({}, {})

    async def async_begin(self) -> None:
        """Take up the cars of the last run, then look at once; raise TeslaError only when nothing is known at all."""
        for vin, last in (await self._file.load()).items():
            self._watch_vehicle(vin, last)
        try:
            self.data = await self._read()
        except SignInRequired:
            raise
        except TeslaError as error:
            if not self.vehicles:
                raise
            self.note(error)
            self.last_update_success = False
            LOGGER.warning("Tesla cannot be asked for the list of cars (%s); last values are shown", error)
        await self._look_at([*self.vehicles.values(), *self.sites.values()])
        self._begun = True

    @override
    async def _read(self) -> Products:
        products = await self.reader.products()
        clear_issues(self.hass, self.config_entry, ACCOUNT_ISSUES)
        new_vins = [vin for vin in products.vehicles if vin not in self.vehicles]
        new_sites = [site_id for site_id in products.sites if site_id not in self.sites]
        for vin in new_vins:
            self._watch_vehicle(vin, LastValues())
        for site_id in new_sites:
            name = products.sites[site_id]
            self.sites[site_id] = SiteCoordinator(self.hass, self.config_entry, self.reader, site_id, name)
        for vin, listed in products.vehicles.items():
            self.vehicles[vin].take_listed(listed)
        await self._forget_missing(products)
        if self._begun:
            await self._look_at([*(self.vehicles[vin] for vin in new_vins), *(self.sites[key] for key in new_sites)])
        return products

    async def _look_at(self, coordinators: Sequence[TeslaCoordinator[Any]]) -> None:
        """Ask about each once, all at the same time."""
        await asyncio.gather(*(coordinator.async_refresh() for coordinator in coordinators))

    @callback
    def data_came(self) -> None:
        """A car answered with data: have it written before long, and see what that means for the owner's issues."""
        self._file.save_soon(self._last_values)
        clear_issues(self.hass, self.config_entry, VEHICLE_ISSUES)
        note_budget(self.hass, self.config_entry, reached=not self.budget.may_spend)

    @callback
    def not_found(self) -> None:
        """Tesla does not know a car: look whether it is still listed."""
        self.hass.async_create_task(self.async_request_refresh(), "teslafi look for the car")

    async def async_save(self) -> None:
        """Write the last values now."""
        await self._file.save(self._last_values())

    def _last_values(self) -> dict[str, LastValues]:
        return {vin: vehicle.last_values for vin, vehicle in self.vehicles.items()}

    def _watch_vehicle(self, vin: str, last: LastValues) -> None:
        self.vehicles[vin] = VehicleCoordinator(self.hass, self.config_entry, vin, last, self.reader, self.budget, self)

    async def _forget_missing(self, products: Products) -> None:
        """Let go of what Tesla stopped listing; a single list without it may be a slip of Tesla's."""
        listed = {*products.vehicles, *products.sites}
        known: set[str | int] = {*self.vehicles, *self.sites}
        self._missing = {key: self._missing.get(key, 0) + 1 for key in known - listed}
        for key in [key for key, times in self._missing.items() if times >= GONE_AFTER]:
            del self._missing[key]
            await self._forget(key)

    async def _forget(self, key: str | int) -> None:
        gone = self.vehicles.pop(key, None) if isinstance(key, str) else self.sites.pop(key, None)
        if gone is not None:
            await gone.async_shutdown()
        registry = dr.async_get(self.hass)
        entry_id = self.config_entry.entry_id
        if (device := registry.async_get_device_by_identifier((DOMAIN, str(key)), entry_id)) is None:
            return
        for other in dr.async_entries_for_config_entry(registry, entry_id):
            if other.via_device_id == device.id:
                registry.async_remove_device(other.id)
        registry.async_remove_device(device.id)
        await self.async_save()
