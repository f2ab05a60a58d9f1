"""What is kept of cars and energy sites across restarts, in a private file: where a car was is personal.

Version 0.1.0 kept cars alone, with their ledgers; what it wrote is read, and it reads what this version writes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
import re
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..moments import aware_moment
from ..polling.ledger import Ledger
from ..polling.month import is_month
from ..tesla.decode import decode_vehicle, encode
from ..tesla.energy_site import (
    EnergyToday,
    SiteInfo,
    SiteLive,
    decode_info,
    decode_live,
    decode_today,
    encode_info,
    encode_live,
    encode_today,
)
from ..tesla.snapshot import CarState, Snapshot
from ..tesla.vin import vin_of
from .file import Later, PrivateFile, StorageFailed

SAVE_DELAY: Final = 120.0
"""Seconds that a change may wait for others; a stop of Home Assistant saves at once."""


@dataclass(frozen=True, slots=True)
class LastValues:
    """What is kept of one car."""

    state: CarState | None = None
    snapshot: Snapshot = field(default_factory=Snapshot)
    data_at: datetime | None = None
    contact_at: datetime | None = None
    ledger: Ledger = field(default_factory=Ledger)
    block_at: Mapping[str, datetime] = field(default_factory=dict)
    polling: Mapping[str, Any] = field(default_factory=dict)
    """What the polling rule keeps, in the form of polling.memory."""

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds of the car."""
        return {
            "state": self.state,
            "snapshot": encode(self.snapshot),
            "data_at": self.data_at.isoformat() if self.data_at else None,
            "contact_at": self.contact_at.isoformat() if self.contact_at else None,
            "ledger": self.ledger.to_json(),
            "block_at": {name: at.isoformat() for name, at in self.block_at.items()},
            "polling": dict(self.polling),
        }

    @classmethod
    def from_json(cls, data: object) -> LastValues:
        """Undo `to_json`; what is not there or not understood counts as unknown."""
        if not isinstance(data, dict):
            return cls()
        return cls(
            state=next((state for state in CarState if state == data.get("state")), None),
            snapshot=decode_vehicle(data.get("snapshot") or {}).snapshot,
            data_at=aware_moment(data.get("data_at")),
            contact_at=aware_moment(data.get("contact_at")),
            ledger=Ledger.from_json(data.get("ledger")),
            block_at={name: at for name, text in _items(data, "block_at") if (at := aware_moment(text)) is not None},
            polling=dict(_items(data, "polling")),
        )


@dataclass(frozen=True, slots=True)
class LastSite:
    """What is kept of one energy site: which values it has, so that its entities exist before it answers."""

    name: str = ""
    live: SiteLive = field(default_factory=SiteLive)
    info: SiteInfo = field(default_factory=SiteInfo)
    today: EnergyToday = field(default_factory=EnergyToday)

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds of the site."""
        return {
            "name": self.name,
            "live": encode_live(self.live),
            "info": encode_info(self.info),
            "today": encode_today(self.today),
        }

    @classmethod
    def from_json(cls, data: object) -> LastSite:
        """Undo `to_json`; what is not there or not understood counts as unknown."""
        if not isinstance(data, dict):
            return cls()
        name = data.get("name")
        return cls(
            name=name if isinstance(name, str) else "",
            live=decode_live(data.get("live")).snapshot,
            info=decode_info(data.get("info")).snapshot,
            today=decode_today(data.get("today")).snapshot,
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of an account. Ledgers outlive their cars; `absences` are seconds without being listed.

    `month` is the one whose requests are shown ("2026-11"); None in what older versions kept.
    """

    vehicles: Mapping[str, LastValues] = field(default_factory=dict)
    sites: Mapping[int, LastSite] = field(default_factory=dict)
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    absences: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    month: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {
            "vehicles": {vin: last.to_json() for vin, last in self.vehicles.items()},
            "sites": {str(site_id): last.to_json() for site_id, last in self.sites.items()},
            "ledgers": {vin: ledger.to_json() for vin, ledger in self.ledgers.items()},
            "absences": {key: list(seconds) for key, seconds in self.absences.items()},
            "month": self.month,
        }

    @classmethod
    def from_json(cls, data: object) -> Stored:
        """Undo `to_json`; what is not there or not understood counts as unknown."""
        stored = data if isinstance(data, dict) else {}
        vehicles = {vin_of(vin): LastValues.from_json(last) for vin, last in _items(stored, "vehicles")}
        sites = {int(key): LastSite.from_json(last) for key, last in _items(stored, "sites") if _SITE.fullmatch(key)}
        ledgers = {vin_of(vin): Ledger.from_json(ledger) for vin, ledger in _items(stored, "ledgers")}
        absences = {vin_of(key): both for key, seconds in _items(stored, "absences") if (both := _seconds(seconds))}
        month = stored.get("month")
        kept = {vin: last.ledger for vin, last in vehicles.items()} | ledgers
        return cls(vehicles, sites, kept, absences, month if is_month(month) else None)


_SITE: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


def _items(stored: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    part = stored.get(name)
    return [(key, value) for key, value in part.items() if isinstance(key, str)] if isinstance(part, dict) else []


def _seconds(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a pair
        return None
    first, second = (float(part) if type(part) in (int, float) and part >= 0 else None for part in value)
    return None if first is None or second is None else (first, second)


class LastValuesFile:
    """The file of one config entry. It is written two minutes after the first change, however many follow."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Name the file; nothing is read yet. Use `last_values_file`, so that an entry has one."""
        self._file = PrivateFile(hass, f"{DOMAIN}.last_values.{entry_id}")
        self._stored: Callable[[], Stored] = Stored
        self._later = Later(hass, SAVE_DELAY, self._save)
        self._removed = False

    async def load(self) -> Stored:
        """Return what the last run kept."""
        return Stored.from_json(await self._file.load())

    @callback
    def save_soon(self, stored: Callable[[], Stored]) -> None:
        """Write what `stored` returns when the time comes, or when Home Assistant stops."""
        self._stored = stored
        if not self._removed:
            self._later.begin()

    async def save(self, stored: Stored) -> None:
        """Write now; when the disk does not take it, again in two minutes."""
        self._later.cancel()
        if self._removed:
            return
        try:
            await self._file.write(stored.to_json())
        except StorageFailed:
            self.save_soon(lambda: stored)

    async def remove(self) -> None:
        """Delete the file, and write it never again."""
        self._later.cancel()
        self._removed = True
        try:
            await self._file.remove()
        except StorageFailed as error:
            LOGGER.warning("The last values of an account that was removed cannot be deleted (%s)", error)

    async def _save(self) -> None:
        await self.save(self._stored())


_FILES: HassKey[dict[str, LastValuesFile]] = HassKey(f"{DOMAIN}_last_values")


@callback
def last_values_file(hass: HomeAssistant, entry_id: str) -> LastValuesFile:
    """Return the file of a config entry, the same one however often the entry is loaded."""
    files = hass.data.setdefault(_FILES, {})
    return files.setdefault(entry_id, LastValuesFile(hass, entry_id))
