"""Ties reader and polling rule to Home Assistant: one coordinator per car, one per energy site, one for the account."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import time
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from ..const import CONF_MONTHLY_BUDGET, DOMAIN, LOGGER
from ..controls.coordinator import ControlsCoordinator
from ..link.coordinator import LinkCoordinator
from ..polling import policy
from ..polling.activity import activity_of
from ..polling.ledger import PRICES_USD, Category, Ledger
from ..polling.policy import Ask, Failure, Watch
from ..repairs import ACCOUNT_ISSUES, VEHICLE_ISSUES, clear_issues, note_budget, raise_issue
from ..storage.last_values import LastValues, LastValuesFile
from ..tesla.decode import assume, merge
from ..tesla.energy_site import EnergyToday, SiteInfo, SiteLive, decode_info, decode_live, decode_today
from ..tesla.errors import (
    BillingLimitReached,
    NotFound,
    RateLimited,
    SignInRequired,
    TeslaError,
    VehicleAsleep,
    VehicleInService,
)
from ..tesla.reader import Products, Reader
from ..tesla.snapshot import CarState, Snapshot

ACCOUNT_INTERVAL: Final = timedelta(minutes=10)
SITE_INTERVAL: Final = timedelta(seconds=60)
SITE_INFO_INTERVAL: Final = 3600.0
SITE_ENERGY_INTERVAL: Final = 300.0
EARLY: Final = 1.5
"""Seconds by which Home Assistant's timers may come before the planned moment."""
UNREACHABLE_AFTER: Final = 3
"""Failures in a row after which last values are no longer shown: one lost answer says nothing about a car."""
GONE_AFTER: Final = 2
"""Successful lists in a row from which a car must be missing before its device goes."""

type TeslaFiConfigEntry = ConfigEntry[AccountCoordinator]


@dataclass(frozen=True, slots=True)
class VehicleData:
    """What is known of a car. `data_at` and `contact_at` are UTC; requests and cost are of this month."""

    state: CarState | None
    snapshot: Snapshot
    data_at: datetime | None
    contact_at: datetime | None
    requests: Mapping[str, int]
    cost_usd: float


@dataclass(frozen=True, slots=True)
class SiteData:
    """What is known of an energy site."""

    live: SiteLive
    info: SiteInfo
    today: EnergyToday


def failure(error: TeslaError, *, seen: str) -> UpdateFailed | ConfigEntryAuthFailed:
    """Return Home Assistant's exception for ours; `seen` names the car, site or account in the sentence."""
    if isinstance(error, SignInRequired):
        return ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key=f"sign_in_{error.reason}")
    return UpdateFailed(translation_domain=DOMAIN, translation_key=error.key, translation_placeholders={"name": seen})


class _StillTrouble(Exception):
    """Nothing was due, and the last answer was trouble: neither a failure more nor the end of it."""

    def __init__(self, error: TeslaError) -> None:
        super().__init__(str(error))
        self.error = error


class _Coordinator[T](DataUpdateCoordinator[T]):
    """Counts failures in a row, so that one lost answer does not make everything unavailable."""

    config_entry: TeslaFiConfigEntry

    def __init__(self, hass: HomeAssistant, entry: TeslaFiConfigEntry, name: str, interval: timedelta) -> None:
        super().__init__(hass, LOGGER, config_entry=entry, name=name, update_interval=interval)
        self._failures = 0
        self._trouble: TeslaError | None = None

    @property
    def reachable(self) -> bool:
        """Whether the values shown are still worth showing."""
        return self._failures < UNREACHABLE_AFTER

    @override
    async def _async_update_data(self) -> T:
        try:
            data = await self._read()
        except _StillTrouble as still:
            raise failure(still.error, seen=self.name) from still.error
        except TeslaError as error:
            self._note(error)
            raise failure(error, seen=self.name) from error
        self._failures, self._trouble = 0, None
        return data

    def _note(self, error: TeslaError) -> None:
        """Count a failure."""
        self._trouble = error
        self._failures += 1
        raise_issue(self.hass, self.config_entry, error)
        if self._failures == UNREACHABLE_AFTER:
            # Home Assistant tells its listeners of the first failure in a row alone.
            self.async_update_listeners()

    async def _read(self) -> T:
        """Ask Tesla; raise a TeslaError when there is nothing to show for it."""
        raise NotImplementedError


class VehicleCoordinator(_Coordinator[VehicleData]):
    """Watches one car by the polling rule."""

    def __init__(
        self, hass: HomeAssistant, entry: TeslaFiConfigEntry, account: AccountCoordinator, vin: str, last: LastValues
    ) -> None:
        """Begin with the last values known of the car."""
        super().__init__(hass, entry, f"car …{vin[-6:]}", timedelta(seconds=policy.STATE_AWAKE))
        self.vin = vin
        self.malformed: tuple[str, ...] = ()
        self._account = account
        self._ledger = last.ledger
        self._watch = Watch()
        self._wanted = False
        self._real: Snapshot | None = None
        self.data = VehicleData(last.state, last.snapshot, last.data_at, last.contact_at, {}, 0.0)
        self.data = self._with_costs(self.data)

    @property
    def ledger(self) -> Ledger:
        """What the requests about this car come to."""
        return self._ledger

    @property
    def watch(self) -> Watch:
        """What the polling rule knows, for diagnostics."""
        return self._watch

    @property
    def last_values(self) -> LastValues:
        """What is kept across restarts."""
        data = self.data
        return LastValues(data.state, self._real or data.snapshot, data.data_at, data.contact_at, self._ledger)

    @property
    def vehicle_name(self) -> str:
        """The name its owner gave to the car, or the end of its VIN."""
        snapshot = self.data.snapshot
        return snapshot.vehicle_state.vehicle_name or snapshot.vehicle.display_name or f"Tesla {self.vin[-6:]}"

    @property
    def signs(self) -> bool:
        """Whether Tesla says that the car takes signed commands alone."""
        return self.data.snapshot.vehicle.command_signing == "required"

    @property
    def cost_usd(self) -> float:
        """What this month's requests about this car come to."""
        return self._ledger.cost(time.time())

    def count(self, category: Category) -> None:
        """Count a request about this car that somebody else made."""
        self._ledger = self._ledger.counted(category, time.time())

    @callback
    def assume(self, values: Mapping[str, object]) -> None:
        """Show values that a command should have set, until the car was asked once more."""
        self._real = self._real or self.data.snapshot
        self.data = self._with_costs(replace(self.data, snapshot=assume(self.data.snapshot, values)))
        self.async_update_listeners()

    @callback
    def want_look(self) -> None:
        """Make the next refresh ask for everything. Does not wake the car."""
        self._wanted = True

    @override
    async def async_request_refresh(self) -> None:
        """Look now: the owner asked."""
        self.want_look()
        await super().async_request_refresh()

    @callback
    def take_listed(self, listed: Snapshot) -> None:
        """Take in what the list of products says of this car, which saves the question after its state."""
        self.data = self._with_state(self.data, listed)

    @override
    async def _read(self) -> VehicleData:
        if self._wanted:
            self._wanted = False
            self._watch = policy.wanted(self._watch)
        if self._real is not None and self._next_request().at <= time.time() + EARLY:
            # What was assumed after a command gives way to the car's own word, or to what it last said
            self.data, self._real = replace(self.data, snapshot=self._real), None
        try:
            return self._with_costs(await self._ask_what_is_due())
        except TeslaError as error:
            self._put_off(error)
            raise
        finally:
            self._plan()

    async def _ask_what_is_due(self) -> VehicleData:
        """Ask for the state and, if that says online, for the data; with nothing due the last trouble stays."""
        data = self.data
        for nothing_asked in (True, False):
            request = self._next_request()
            if request.at <= time.time() + EARLY:
                data = await self._ask(request.ask, data)
            elif nothing_asked and self._trouble:
                raise _StillTrouble(self._trouble)
        return data

    async def _ask(self, ask: Ask, data: VehicleData) -> VehicleData:
        reader = self._account.reader
        if ask is Ask.STATE:
            return self._with_state(data, await reader.vehicle_state(self.vin, self.count))
        try:
            decoded = await reader.vehicle_data(self.vin, self.count)
        except VehicleAsleep:
            self._watch = policy.went_quiet(self._watch, time.time())
            return data
        except VehicleInService:
            self._watch = policy.failed(self._watch, Failure.IN_SERVICE, time.time())
            return data
        self.malformed = decoded.malformed
        snapshot = merge(data.snapshot, decoded.snapshot)
        self._watch = policy.data_answered(self._watch, activity=activity_of(snapshot), now=time.time())
        self._account.data_came()
        now = dt_util.utcnow()
        return replace(data, state=CarState.ONLINE, snapshot=snapshot, data_at=now, contact_at=now)

    def _with_state(self, data: VehicleData, answer: Snapshot) -> VehicleData:
        """Take in the vehicle object of an answer."""
        state = answer.vehicle.state
        self._watch = policy.state_answered(self._watch, awake=state is CarState.ONLINE, now=time.time())
        return replace(data, state=state, snapshot=merge(data.snapshot, answer), contact_at=dt_util.utcnow())

    def _with_costs(self, data: VehicleData) -> VehicleData:
        now = time.time()
        page = self._ledger.page(now)
        requests = {category.value: page.counts.get(category, 0) for category in Category}
        return replace(data, requests=requests, cost_usd=page.cost(now))

    def _next_request(self) -> policy.Request:
        return policy.next_request(self._watch, time.time(), may_spend=self._account.may_spend)

    def _plan(self) -> None:
        wait = max(self._next_request().at - time.time(), 1.0)
        self.update_interval = timedelta(seconds=wait)

    def _put_off(self, error: TeslaError) -> None:
        """Let the polling rule decide when to try again."""
        now = time.time()
        if isinstance(error, RateLimited):
            self._watch = policy.failed(self._watch, Failure.RATE_LIMITED, now, retry_after=error.retry_after)
            return
        self._watch = policy.failed(self._watch, _FAILURES.get(type(error), Failure.TROUBLE), now)
        if isinstance(error, NotFound):
            self.hass.async_create_task(self._account.async_request_refresh(), "teslafi look for the car")


_FAILURES: Final[Mapping[type[TeslaError], Failure]] = {BillingLimitReached: Failure.SPENDING_LIMIT}
"""What puts off the next attempt in a way of its own; all else is trouble that passes."""


class SiteCoordinator(_Coordinator[SiteData]):
    """Watches one energy site: powers each minute, energy each five, what it consists of each hour."""

    def __init__(
        self, hass: HomeAssistant, entry: TeslaFiConfigEntry, account: AccountCoordinator, site_id: int, name: str
    ) -> None:
        """Begin with nothing known."""
        super().__init__(hass, entry, f"energy site {name}", SITE_INTERVAL)
        self.site_id = site_id
        self.site_name = name
        self._account = account
        self._info_at = 0.0
        self._energy_at = 0.0
        self.data = SiteData(SiteLive(), SiteInfo(), EnergyToday())

    @override
    async def _read(self) -> SiteData:
        reader = self._account.reader
        data = self.data
        now = time.time()
        if now - self._info_at >= SITE_INFO_INTERVAL - EARLY:
            info = decode_info(await reader.site_info(self.site_id, _uncounted)).snapshot
            data, self._info_at = replace(data, info=info), now
        if now - self._energy_at >= SITE_ENERGY_INTERVAL - EARLY:
            today = decode_today(await reader.site_energy_today(self.site_id, _uncounted)).snapshot
            data, self._energy_at = replace(data, today=today), now
        live = decode_live(await reader.site_live(self.site_id, _uncounted)).snapshot
        return replace(data, live=live)

    async def async_look_at_settings(self) -> None:
        """Ask anew what the site is set to, after a command."""
        self._info_at = 0.0
        await self.async_request_refresh()


def _uncounted(_category: Category) -> None:
    """Tesla does not bill energy sites' answers (developer documents, "Billing and limits")."""


class AccountCoordinator(_Coordinator[Products]):
    """Knows the account's cars and sites; adds and removes their coordinators as Tesla's list changes."""

    def __init__(self, hass: HomeAssistant, entry: TeslaFiConfigEntry, reader: Reader) -> None:
        """Read with `reader`."""
        super().__init__(hass, entry, "account", ACCOUNT_INTERVAL)
        self.reader = reader
        self.vehicles: dict[str, VehicleCoordinator] = {}
        self.sites: dict[int, SiteCoordinator] = {}
        self.link: LinkCoordinator | None = None
        self.controls: ControlsCoordinator | None = None
        self._file = LastValuesFile(hass, entry.entry_id)
        self._missing: dict[str | int, int] = {}
        self._begun = False
        self.data = Products({}, {})

    @property
    def may_spend(self) -> bool:
        """Whether the monthly budget leaves room for another billable request."""
        return self.may_spend_on(PRICES_USD[Category.DATA])

    def may_spend_on(self, price: float) -> bool:
        """Whether the monthly budget leaves room for something of this price in US dollars."""
        budget = self.config_entry.options.get(CONF_MONTHLY_BUDGET)
        return budget is None or bool(self.cost_usd + price <= budget)

    @property
    def cost_usd(self) -> float:
        """What this month's requests of all cars come to."""
        now = time.time()
        return sum(vehicle.ledger.cost(now) for vehicle in self.vehicles.values())

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
            self._note(error)
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
            self.sites[site_id] = SiteCoordinator(self.hass, self.config_entry, self, site_id, name)
        for vin, listed in products.vehicles.items():
            self.vehicles[vin].take_listed(listed)
        await self._forget_missing(products)
        if self._begun:
            await self._look_at([*(self.vehicles[vin] for vin in new_vins), *(self.sites[key] for key in new_sites)])
        return products

    async def _look_at(self, coordinators: Sequence[_Coordinator[Any]]) -> None:
        """Ask about each once, all at the same time."""
        await asyncio.gather(*(coordinator.async_refresh() for coordinator in coordinators))

    @callback
    def data_came(self) -> None:
        """A car answered with data: have it written before long, and see what that means for the owner's issues."""
        self._file.save_soon(self._last_values)
        clear_issues(self.hass, self.config_entry, VEHICLE_ISSUES)
        note_budget(self.hass, self.config_entry, reached=not self.may_spend)

    async def async_save(self) -> None:
        """Write the last values now."""
        await self._file.save(self._last_values())

    def _last_values(self) -> dict[str, LastValues]:
        return {vin: vehicle.last_values for vin, vehicle in self.vehicles.items()}

    def _watch_vehicle(self, vin: str, last: LastValues) -> None:
        self.vehicles[vin] = VehicleCoordinator(self.hass, self.config_entry, self, vin, last)

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
