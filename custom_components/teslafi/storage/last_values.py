"""The last values of each car across restarts, in a private file: where a car was is personal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..polling.ledger import Ledger
from ..tesla.decode import decode_vehicle, encode
from ..tesla.snapshot import CarState, Snapshot

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
    """The file of one config entry."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Name the file; nothing is read yet."""
        self._store = Store[dict[str, Any]](hass, 1, f"{DOMAIN}.last_values.{entry_id}", private=True)

    async def load(self) -> dict[str, LastValues]:
        """Return the cars of the last run by VIN."""
        stored = await self._store.async_load()
        vehicles = stored.get("vehicles") if isinstance(stored, dict) else None
        if not isinstance(vehicles, dict):
            return {}
        return {vin: LastValues.from_json(values) for vin, values in vehicles.items()}

    def save_soon(self, vehicles: Callable[[], Mapping[str, LastValues]]) -> None:
        """Write what `vehicles` returns when the time comes."""
        self._store.async_delay_save(
            lambda: {"vehicles": {vin: values.to_json() for vin, values in vehicles().items()}}, SAVE_DELAY
        )

    async def save(self, vehicles: Mapping[str, LastValues]) -> None:
        """Write now."""
        await self._store.async_save({"vehicles": {vin: values.to_json() for vin, values in vehicles.items()}})

    async def remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()
