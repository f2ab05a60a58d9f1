"""Knows the account's cars and energy sites."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
import time
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from ..const import DOMAIN, LOGGER
from ..issues import forget_old_issues, note_budget, note_shared
from ..journal.sample import Sample
from ..polling.learnt import Kind, kind_of
from ..storage.last_values import LastSite, LastValues, Stored, last_values_file
from ..tesla.errors import RateLimited, SignInRequired, TeslaError
from ..tesla.reader import Count, Products, Reader
from ..tesla.requests import Category
from ..tesla.snapshot import Snapshot
from .absence import Absence, absences
from .base import StillInTrouble, TeslaCoordinator
from .budget import Budget
from .endpoint import Endpoint
from .holders import holders
from .journal import get_journal
from .memory import memory_of
from .site import SiteCoordinator
from .troubles import Subject
from .vehicle import VehicleCoordinator

ACCOUNT_INTERVAL: Final = 600.0


class AccountCoordinator(TeslaCoordinator[Products]):
    """Knows the account's cars and sites; watches those that it holds as Tesla's list changes."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, reader: Reader) -> None:
        """Read with `reader`."""
        self._memory = memory_of(hass, entry)
        super().__init__(hass, entry, "account", timedelta(seconds=ACCOUNT_INTERVAL), self._memory.troubles)
        self.reader = reader
        self.vehicles: dict[str, VehicleCoordinator] = {}
        self.sites: dict[int, SiteCoordinator] = {}
        self.budget = Budget(entry)
        self._list = Endpoint("products", ACCOUNT_INTERVAL, ACCOUNT_INTERVAL)
        self._list.backoff = self._memory.asked_to_wait
        self.budget.discounted = self._memory.discounted
        self._file = last_values_file(hass, entry.entry_id)
        self._absent: dict[str, Absence] = {}
        self._listed_at: float | None = None
        self._shared: set[str] = set()
        self._budget_is_fine = False
        """Whether it was, when it was looked at last: then there is no issue to withdraw."""
        self._begun = False
        self.data = Products({}, {})

    @property
    @override
    def subject(self) -> Subject:
        return Subject("", self.config_entry.title)

    async def async_start(self) -> None:
        """Restore the cars and sites of the last run, then look at once; raise TeslaError when nothing is known."""
        forget_old_issues(self.hass, self.config_entry)
        await self._restore(await self._file.load())
        try:
            self.data = await self._read()
        except SignInRequired:
            raise
        except StillInTrouble as still:
            if not self._known:
                raise still.error from still
            self.last_update_success = False
        except TeslaError as error:
            if not self._known:
                raise
            self.note(error)
            self.last_update_success = False
        await self._look_at([*self.vehicles.values(), *self.sites.values()])
        self._begun = True

    def holds(self, key: str) -> bool:
        """Say whether a VIN or site number is watched here and was on Tesla's last answered list, or none was asked."""
        return key in self._known and key not in self._absent

    async def async_release(self, key: str) -> None:
        """Stop monitoring a car or site that Tesla no longer lists, because the owner asked."""
        await self._shut_down(key)
        self._release(key)
        await self.async_save()

    @property
    def _known(self) -> set[str]:
        return {*self.vehicles, *map(str, self.sites)}

    @property
    def _reads_energy(self) -> bool:
        return self.reader.grant.reads_energy

    async def _restore(self, stored: Stored) -> None:
        self.budget.restore(stored.ledgers, stored.month)
        self._absent = {key: Absence(*seconds) for key, seconds in stored.absences.items()}
        for vin, last in stored.vehicles.items():
            if self._claim(vin):
                self._add_vehicle(vin, last)
        for site_id, last_site in stored.sites.items():
            if self._reads_energy and self._claim(str(site_id)):
                self._add_site(site_id, last_site)

    @override
    async def _read(self) -> Products:
        try:
            if (error := self._asked_to_wait()) is not None:
                raise StillInTrouble(error)
            with self.troubles.telling(self.subject, self._list.name):
                products = await self._list.ask(self.reader.products())
        finally:
            self._memory.products = self._list.backoff
            self.plan(self._list.backoff.wait(time.monotonic()) or ACCOUNT_INTERVAL)
        if not self._reads_energy:
            # Tesla lists sites whatever the scopes; declined means not asked.
            self._give_up_sites(products)
            products = Products(products.vehicles, {})
        new = self._add_new(products)
        for vin, listed in products.vehicles.items():
            if vin in self.vehicles:
                self.vehicles[vin].note_listed(listed)
        await self._note_absences({*products.vehicles, *map(str, products.sites)})
        await self._note_discounts()
        if self._begun:
            await self._look_at(new)
        return products

    async def _note_discounts(self) -> None:
        """Learn once a day which cars' data are cheap; only older ones can be. Without an answer, nothing changes."""
        vins = [vin for vin in self.vehicles if kind_of(vin) is Kind.OLDER]
        price = self.budget.price(Category.DETAILS)
        if not vins or self._memory.discounts.wait() or not self.budget.may_spend_on(price):
            return
        try:
            with self.budget.under_way(price):
                asked = self.reader.discounted(vins, partial(self.budget.count, vins[0]))
                self.budget.discounted = self._memory.discounted = await self._memory.discounts.ask(asked)
        except SignInRequired:
            raise
        except TeslaError as error:
            LOGGER.debug("Tesla did not tell which cars are discounted: %s", error)

    def _asked_to_wait(self) -> TeslaError | None:
        """Return why the list must not be asked for now, if it must not."""
        wait = self._list.backoff.wait(time.monotonic())
        return (self._list.trouble or RateLimited(wait)) if wait else None

    async def _look_at(self, coordinators: Sequence[TeslaCoordinator[Any]]) -> None:
        """Ask about each once, all at the same time."""
        await asyncio.gather(*(coordinator.async_refresh() for coordinator in coordinators))

    async def async_look_at_state(self, vin: str, count: Count) -> Snapshot:
        """Ask, free of charge, whether a car is awake, for whoever wakes it; its watch learns of the answer."""
        answer = await self.reader.vehicle_state(vin, count)
        if (vehicle := self.vehicles.get(vin)) is not None:
            vehicle.note_look(answer)
        return answer

    @callback
    def note_waking(self, vin: str, waking: bool) -> None:  # noqa: FBT001 - a value
        """Show that a command wakes a car, or no longer does."""
        if (vehicle := self.vehicles.get(vin)) is not None:
            vehicle.note_waking(waking)

    @callback
    def data_received(self) -> None:
        """A car answered with data: have it written before long, and see what that means for the budget."""
        self.save_soon()
        self.look_at_budget()

    @callback
    def seen(self, vin: str, sample: Sample) -> None:
        """Something was seen of a car: it belongs into the journal."""
        get_journal(self.hass).see(self.config_entry, vin, sample)

    @callback
    def charging_changes(self, vins: frozenset[str] | None) -> None:
        """Something changed at a wall connector: look at the cars that it names, at all when it names none."""
        cars = self.vehicles.values() if vins is None else [self.vehicles[vin] for vin in vins & set(self.vehicles)]
        for car in cars:
            self.config_entry.async_create_background_task(self.hass, car.async_hint(), "teslafi hint")

    @callback
    def look_at_budget(self) -> None:
        """Raise or withdraw the issues that the month's budget runs short or is used up."""
        short, reached = self.budget.runs_short(self.vehicles), not self.budget.may_look
        if short or reached or not self._budget_is_fine:
            note_budget(self.hass, self.config_entry, short=short, reached=reached)
        self._budget_is_fine = not (short or reached)

    @callback
    def save_soon(self) -> None:
        """Have what is kept over restarts written before long."""
        self._file.save_soon(self._stored)

    async def async_save(self) -> None:
        """Write what is kept over restarts now."""
        await self._file.save(self._stored())

    def _stored(self) -> Stored:
        return Stored(
            vehicles={vin: vehicle.last_values for vin, vehicle in self.vehicles.items()},
            sites={site_id: site.last_site for site_id, site in self.sites.items()},
            ledgers=self.budget.ledgers,
            absences={key: (absence.unlisted, absence.proven) for key, absence in self._absent.items()},
            month=self.budget.shown_month.month,
        )

    def _add_new(self, products: Products) -> list[TeslaCoordinator[Any]]:
        """Begin to watch what is new on the list, unless another account of this Home Assistant has it."""
        vins = [
            vin
            for vin, listed in products.vehicles.items()
            if vin not in self.vehicles and self._claim(vin, listed.vehicle.display_name)
        ]
        site_ids = [
            site_id
            for site_id, name in products.sites.items()
            if site_id not in self.sites and self._claim(str(site_id), name)
        ]
        self._stop_waiting(self._shared - {*products.vehicles, *map(str, products.sites)})
        vehicles = [self._add_vehicle(vin, LastValues()) for vin in vins]
        return [*vehicles, *(self._add_site(site_id, LastSite(products.sites[site_id])) for site_id in site_ids)]

    def _claim(self, key: str, name: str | None = None) -> bool:
        """Take a car or site, or say that another entry has it and wait."""
        holder = holders(self.hass).claim(key, self.config_entry, self._released)
        if holder is None:
            self._stop_waiting({key} & self._shared)
            return True
        if key not in self._shared:
            self._remove_device(key)
        self._shared.add(key)
        note_shared(self.hass, self.config_entry, key, name or f"Tesla {key[-6:]}", holder)
        return False

    @callback
    def _released(self) -> None:
        self.hass.async_create_task(self.async_request_refresh(), "teslafi take over")

    def _stop_waiting(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._shared.discard(key)
            holders(self.hass).stop_waiting(self.config_entry.entry_id, key)
            note_shared(self.hass, self.config_entry, key, "", None)

    def _add_vehicle(self, vin: str, last: LastValues) -> VehicleCoordinator:
        vehicle = VehicleCoordinator(self.hass, self.config_entry, vin, last, self.reader, self.budget, self)
        self.vehicles[vin] = vehicle
        return vehicle

    def _add_site(self, site_id: int, last: LastSite) -> SiteCoordinator:
        site = SiteCoordinator(self.hass, self.config_entry, self.reader, site_id, last, self)
        self.sites[site_id] = site
        return site

    async def _note_absences(self, listed: set[str]) -> None:
        """Count for how long what is watched was not listed; let go of it after days, or when others wait for it."""
        now = time.monotonic()
        elapsed = now - self._listed_at if self._listed_at is not None else 0.0
        self._listed_at = now
        known = self._known
        before, self._absent = self._absent, absences(self._absent, known, listed, elapsed)
        table = holders(self.hass)
        gone = [
            key
            for key, absence in self._absent.items()
            if (absence.gone and listed) or (absence.free and table.awaited(key))
        ]
        for key in gone:
            await self._shut_down(key)
            self._release(key)
        table.release_others(self.config_entry.entry_id, self._known)
        if gone or before != self._absent:
            self.save_soon()

    def _give_up_sites(self, listed: Products) -> None:
        """Let go of what is left here of sites from before the owner declined, where another account waits for them."""
        for key in map(str, listed.sites):
            if holders(self.hass).awaited(key):
                self._release(key)

    async def _shut_down(self, key: str) -> None:
        coordinator: TeslaCoordinator[Any] | None = self.vehicles.pop(key, None)
        if coordinator is None and key.isdecimal():
            coordinator = self.sites.pop(int(key), None)
        if coordinator is not None:
            await coordinator.async_shutdown()
        self._absent.pop(key, None)
        self.troubles.forget(key)
        self.async_update_listeners()

    def _release(self, key: str) -> None:
        """Remove the device first, so that the account that takes over gets its entities' ids."""
        self._remove_device(key)
        holders(self.hass).release(key, self.config_entry.entry_id)

    def _remove_device(self, key: str) -> None:
        """Remove the device of a car or site, with those behind it."""
        registry = dr.async_get(self.hass)
        entry_id = self.config_entry.entry_id
        if (device := registry.async_get_device_by_identifier((DOMAIN, key), entry_id)) is None:
            return
        for other in dr.async_entries_for_config_entry(registry, entry_id):
            if other.via_device_id == device.id:
                registry.async_remove_device(other.id)
        registry.async_remove_device(device.id)
