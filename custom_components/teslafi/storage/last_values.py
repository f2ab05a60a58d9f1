"""The last values of each car across restarts, in a private file: where a car was is personal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..polling.ledger import Ledger
from ..tesla.decode import decode_vehicle, encode
from ..tesla.snapshot import CarState, Snapshot
from .file import PrivateFile, StorageFailed

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

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds of the car."""
        return {
            "state": self.state,
            "snapshot": encode(self.snapshot),
            "data_at": self.data_at.isoformat() if self.data_at else None,
            "contact_at": self.contact_at.isoformat() if self.contact_at else None,
            "ledger": self.ledger.to_json(),
        }

    @classmethod
    def from_json(cls, data: object) -> LastValues:
        """Undo `to_json`; what is not there or not understood counts as unknown."""
        if not isinstance(data, dict):
            return cls()
        return cls(
            state=CarState(data["state"]) if data.get("state") in set(CarState) else None,
            snapshot=decode_vehicle(data.get("snapshot") or {}).snapshot,
            data_at=_moment(data.get("data_at")),
            contact_at=_moment(data.get("contact_at")),
            ledger=Ledger.from_json(data.get("ledger")),
        )


def _moment(text: object) -> datetime | None:
    return dt_util.parse_datetime(text) if isinstance(text, str) else None


class LastValuesFile:
    """The file of one config entry. It is written two minutes after the first change, however many follow."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Name the file; nothing is read yet. Use `last_values_file`, so that an entry has one."""
        self._hass = hass
        self._file = PrivateFile(hass, f"{DOMAIN}.last_values.{entry_id}")
        self._vehicles: Callable[[], Mapping[str, LastValues]] = dict
        self._calls: list[CALLBACK_TYPE] = []
        self._removed = False

    async def load(self) -> dict[str, LastValues]:
        """Return the cars of the last run by VIN."""
        stored = await self._file.load()
        vehicles = stored.get("vehicles") if stored else None
        if not isinstance(vehicles, dict):
            return {}
        return {vin: LastValues.from_json(values) for vin, values in vehicles.items()}

    @callback
    def save_soon(self, vehicles: Callable[[], Mapping[str, LastValues]]) -> None:
        """Write what `vehicles` returns when the time comes, or when Home Assistant stops."""
        self._vehicles = vehicles
        if self._calls or self._removed:
            return

        async def write(_when: datetime | Event) -> None:
            await self.save(self._vehicles())

        self._calls = [
            async_call_later(self._hass, SAVE_DELAY, HassJob(write, cancel_on_shutdown=True)),
            self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, write),
        ]

    async def save(self, vehicles: Mapping[str, LastValues]) -> None:
        """Write now; when the disk does not take it, again in two minutes."""
        self._call_off()
        if self._removed:
            return
        try:
            await self._file.write({"vehicles": {vin: values.to_json() for vin, values in vehicles.items()}})
        except StorageFailed:
            self.save_soon(lambda: vehicles)

    async def remove(self) -> None:
        """Delete the file, and write it never again."""
        self._call_off()
        self._removed = True
        try:
            await self._file.remove()
        except StorageFailed as error:
            LOGGER.warning("The last values of an account that was removed cannot be deleted (%s)", error)

    def _call_off(self) -> None:
        calls, self._calls = self._calls, []
        for call_off in calls:
            call_off()


_FILES: HassKey[dict[str, LastValuesFile]] = HassKey(f"{DOMAIN}_last_values")


@callback
def last_values_file(hass: HomeAssistant, entry_id: str) -> LastValuesFile:
    """Return the file of a config entry, the same one however often the entry is loaded."""
    files = hass.data.setdefault(_FILES, {})
    return files.setdefault(entry_id, LastValuesFile(hass, entry_id))
