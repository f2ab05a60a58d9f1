"""What the coordinators of the account, its cars and its energy sites share: how trouble counts, and how it is told."""

from datetime import timedelta
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from ..const import DOMAIN, LOGGER
from ..repairs import raise_issue
from ..tesla.errors import SignInRequired, TeslaError

EARLY: Final = 1.5
"""Seconds by which Home Assistant's timers may come before the planned moment."""
UNREACHABLE_AFTER: Final = 3
"""Failures in a row after which last values are no longer shown: one lost answer says nothing about a car."""


def failure(error: TeslaError, *, seen: str) -> UpdateFailed | ConfigEntryAuthFailed:
    """Return Home Assistant's exception for ours; `seen` names the car, site or account in the sentence."""
    if isinstance(error, SignInRequired):
        return ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key=f"sign_in_{error.reason}")
    return UpdateFailed(translation_domain=DOMAIN, translation_key=error.key, translation_placeholders={"name": seen})


class StillInTrouble(Exception):
    """Nothing was due, and the last answer was trouble: neither one failure more nor the end of it."""

    def __init__(self, error: TeslaError) -> None:
        """Keep the last trouble."""
        super().__init__(str(error))
        self.error = error


class TeslaCoordinator[T](DataUpdateCoordinator[T]):
    """Counts failures in a row, so that one lost answer does not make everything unavailable."""

    config_entry: ConfigEntry

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, name: str, interval: timedelta) -> None:
        """Begin with nothing asked; `name` names the car, site or account in sentences."""
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
        except StillInTrouble as still:
            raise failure(still.error, seen=self.name) from still.error
        except TeslaError as error:
            self.note(error)
            raise failure(error, seen=self.name) from error
        self._failures, self._trouble = 0, None
        return data

    def note(self, error: TeslaError) -> None:
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
