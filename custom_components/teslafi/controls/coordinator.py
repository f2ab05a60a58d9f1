"""Knows how controls are: open, or locked and why. Renews the permit; sends nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from ..const import LOGGER
from ..issues import note_controls_locked
from ..link.client import CheckedIn
from ..link.coordinator import LinkCoordinator
from .gate import Gate, Lock

INTERVAL: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ControlsStatus:
    """How controls are: `lock` is None while they are open; `permit_until` is UTC."""

    lock: Lock | None = Lock.STARTING
    permit_until: datetime | None = None


class CompanionOverLink:
    """The companion, asked over the link whether controls are still allowed."""

    def __init__(self, link: LinkCoordinator) -> None:
        """Ask over `link`."""
        self._link = link

    async def check_in(self, *, permit: bool) -> CheckedIn:
        """Ask how controls are, and for a permit where one is wanted; the link learns from the same answer."""
        checked = await self._link.session.ask(lambda tokens: self._link.companion.check_in(tokens, permit=permit))
        self._link.note_account(checked.status)
        return checked


class ControlsCoordinator(DataUpdateCoordinator[ControlsStatus]):
    """State of one account's gate. A companion out of reach is a state, no failure; watching never depends on it."""

    config_entry: ConfigEntry
    reachable: Final = True

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, gate: Gate, origin: str) -> None:
        """Begin shut; `origin` is the companion's address, for the repair."""
        super().__init__(
            hass, LOGGER, config_entry=entry, name="controls", update_interval=INTERVAL, always_update=False
        )
        self.data = ControlsStatus()
        self.gate = gate
        self._origin = origin

    @property
    def is_open(self) -> bool:
        """Whether a command would be sent."""
        return self.gate.lock is None

    @override
    async def _async_update_data(self) -> ControlsStatus:
        await self.gate.renew()
        return self._status()

    def look_at_gate(self) -> None:
        """Show at once what the gate found out while a command was sent."""
        status = self._status()
        if status != self.data:
            self.async_set_updated_data(status)

    def _status(self) -> ControlsStatus:
        lock, permit = self.gate.lock, self.gate.permit
        if lock is not Lock.STARTING:
            note_controls_locked(self.hass, self.config_entry, self._origin, lock)
        if lock != self.data.lock:
            LOGGER.info("Controls of %s are %s", self.config_entry.title, f"locked ({lock})" if lock else "open")
        return ControlsStatus(lock, dt_util.utc_from_timestamp(permit.expires_at) if permit else None)
