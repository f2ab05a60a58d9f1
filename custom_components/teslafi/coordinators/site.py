"""Watches one energy site: its three endpoints, each on its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, Protocol, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..storage.last_values import LastSite
from ..tesla.energy_site import (
    BatteryPart,
    EnergyToday,
    GatewayPart,
    SiteInfo,
    SiteLive,
    WallCharge,
    WallConnector,
    decode_info,
    decode_live,
    decode_today,
    decode_wall_charges,
)
from ..tesla.errors import SignInRequired, TeslaError
from ..tesla.reader import Reader
from ..tesla.requests import Category
from .base import EARLY, StillInTrouble, TeslaCoordinator
from .endpoint import Endpoint
from .plugs import plugs_changed
from .troubles import Subject, Troubles

LIVE: Final = "live"
INFO: Final = "info"
TODAY: Final = "today"
CHARGES: Final = "charges"
BLOCKS: Final = (LIVE, INFO, TODAY, CHARGES)

INTERVALS: Final[Mapping[str, float]] = {LIVE: 60.0, INFO: 3600.0, TODAY: 300.0, CHARGES: 900.0}
SHOWN_FOR: Final[Mapping[str, float]] = {LIVE: 300.0, INFO: 86_400.0, TODAY: 3600.0, CHARGES: 21_600.0}
"""Seconds for which what was read is shown when nothing newer comes: powers move at once, settings seldom."""

CHARGES_SPAN: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class SiteData:
    """What is known of an energy site; how old each block may be is the coordinator's to say (`shows`)."""

    live: SiteLive
    info: SiteInfo
    today: EnergyToday
    charges: tuple[WallCharge, ...] | None = None
    """Charges at wall connectors of the last two weeks; None before they were read."""
    charges_at: datetime | None = None
    zone: tzinfo | None = None
    """Whose clock the site's tariff goes by; None where that is not known."""

    @property
    def parts(self) -> tuple[WallConnector | GatewayPart | BatteryPart, ...]:
        """What the site consists of that is a device of its own."""
        components = self.info.components
        return (*self.live.wall_connectors, *components.gateways, *components.batteries)

    @property
    def reported(self) -> frozenset[str]:
        """Paths of all values that were ever in an answer."""
        charges = frozenset() if self.charges is None else frozenset({"charges.energy"})
        return self.live.reported | self.info.reported | self.today.reported | charges


class SiteAudience(Protocol):
    """Who hears of a site what concerns more than the site."""

    @property
    def troubles(self) -> Troubles:
        """Where troubles of the whole account are told."""

    def save_soon(self) -> None:
        """Something changed that is kept over restarts."""

    def charging_changes(self, vins: frozenset[str] | None) -> None:
        """A cable was plugged in or out at a wall connector, or power begins or ends to flow.

        `vins`: the cars that it names; None when it names none.
        """


class SiteCoordinator(TeslaCoordinator[SiteData]):
    """Watches one energy site: powers each minute, energy each five, what it consists of each hour.

    Where there are wall connectors, their charges are read each quarter of an hour. Each of these is read, remembered,
    backed off and shown on its own. What was read in an earlier run makes the entities exist; it is shown once it was
    read anew.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        reader: Reader,
        site_id: int,
        last: LastSite,
        audience: SiteAudience,
    ) -> None:
        """Begin with what the last run knew; `audience` hears what concerns more than the site."""
        name = last.name or str(site_id)
        super().__init__(hass, entry, f"energy site {name}", timedelta(seconds=INTERVALS[LIVE]), audience.troubles)
        self.site_id = site_id
        self.site_name = name
        self._reader = reader
        self._audience = audience
        self._live_read = False
        self._endpoints = {block: Endpoint(block, INTERVALS[block], SHOWN_FOR[block]) for block in BLOCKS}
        self._shown: frozenset[str] = frozenset()
        self.data = SiteData(last.live, last.info, last.today)

    @property
    @override
    def subject(self) -> Subject:
        return Subject(str(self.site_id), self.data.info.site_name or self.site_name)

    @property
    @override
    def reachable(self) -> bool:
        return bool(self._shown)

    @property
    def last_site(self) -> LastSite:
        """What is kept across restarts."""
        return LastSite(self.site_name, self.data.live, self.data.info, self.data.today)

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints, for diagnostics."""
        return self._endpoints

    def shows(self, block: str) -> bool:
        """Whether what is known of a block (`live`, `info`, `today`, `charges`) is new enough to be shown."""
        return block in self._shown

    @callback
    def want_look(self) -> None:
        """Make the next refresh ask for everything that Tesla did not ask to leave alone."""
        for endpoint in self._endpoints.values():
            endpoint.want()

    @override
    async def async_request_refresh(self) -> None:
        """Look now: the owner asked."""
        self.want_look()
        await super().async_request_refresh()

    async def async_look_at_settings(self) -> None:
        """Ask anew what the site is set to, after a command."""
        self._endpoints[INFO].want()
        await super().async_request_refresh()

    @override
    async def _read(self) -> SiteData:
        before = _lasting(self.data)
        errors: list[TeslaError] = []
        for _ in range(2):  # what the site consists of may show that there is more to ask
            due = [block for block, endpoint in self._wanted().items() if not endpoint.wait(early=EARLY)]
            errors += [error for error in await asyncio.gather(*map(self._ask, due)) if error is not None]
        if _lasting(self.data) != before:
            self._audience.save_soon()
        self._plan_next()
        for error in errors:
            if isinstance(error, SignInRequired):
                raise error
        troubles = [endpoint.trouble for endpoint in self._wanted().values()]
        if (trouble := troubles[0]) is not None and all(troubles):
            raise StillInTrouble(trouble)
        return self.data

    def _wanted(self) -> Mapping[str, Endpoint]:
        """Return the endpoints that are asked: charges where there are wall connectors that tell of them."""
        components = self.data.info.components
        connectors = components.wall_connectors or self.data.live.wall_connectors
        if connectors and components.car_charging_data_supported is not False:
            return self._endpoints
        return {block: endpoint for block, endpoint in self._endpoints.items() if block != CHARGES}

    async def _ask(self, block: str) -> TeslaError | None:
        """Read one block; return what went wrong."""
        read, decode = _READS[block]
        try:
            with self.troubles.telling(self.subject, block):
                answer = await self._endpoints[block].ask(read(self._reader, self.site_id, _uncounted))
        except TeslaError as error:
            return error
        live = self.data.live
        self.data = replace(self.data, **{block: decode(answer).snapshot})
        if block == LIVE:
            # What a run before this one read is too old to tell that something changes now
            changed = plugs_changed(live, self.data.live) if self._live_read else None
            self._live_read = True
            if changed is not None:
                self._audience.charging_changes(changed or None)
        if block == CHARGES:
            self.data = replace(self.data, charges_at=dt_util.utcnow())
        elif block == INFO:
            zone = await _zone(self.data.info.installation_time_zone)
            self.data = replace(self.data, zone=zone)
        return None

    def _plan_next(self) -> None:
        """Look again when something is due or grows too old, and show at once what has."""
        endpoints = self._wanted()
        shown = frozenset(block for block, endpoint in endpoints.items() if endpoint.shown())
        moments = [endpoint.wait() for endpoint in endpoints.values()]
        moments += [endpoints[block].shown() for block in shown]
        self.plan(min(moments))
        if shown != self._shown:
            self._shown = shown
            self.async_update_listeners()


def _lasting(data: SiteData) -> tuple[object, ...]:
    """Return what is worth writing to disk at once: which values there are, and what moves seldom."""
    return data.live.reported, data.today.reported, data.info


async def _zone(name: str | None) -> tzinfo | None:
    """Return the time zone of this name, None for one that there is not."""
    try:
        return await dt_util.async_get_time_zone(name) if name else None
    except ValueError, OSError:
        return None


async def _read_charges(reader: Reader, site_id: int, count: _Count) -> Mapping[str, Any]:
    """Read two weeks: late charges, and those that an outage kept back."""
    now = dt_util.utcnow()
    return await reader.site_wall_charges(site_id, now - CHARGES_SPAN, now, count)


def _uncounted(_category: Category) -> None:
    """Tesla does not bill energy sites' answers (developer documents, "Billing and limits")."""


type _Count = Callable[[Category], None]

_READS: Final[
    Mapping[str, tuple[Callable[[Reader, int, _Count], Awaitable[Mapping[str, Any]]], Callable[..., Any]]]
] = {
    LIVE: (lambda reader, site_id, count: reader.site_live(site_id, count), decode_live),
    INFO: (lambda reader, site_id, count: reader.site_info(site_id, count), decode_info),
    TODAY: (lambda reader, site_id, count: reader.site_energy_today(site_id, count), decode_today),
    CHARGES: (_read_charges, decode_wall_charges),
}
"""How each block is read and decoded."""
