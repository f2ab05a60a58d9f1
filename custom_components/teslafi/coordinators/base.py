"""What the coordinators of the account, its cars and its energy sites share: how trouble counts, and how it is told."""

from datetime import timedelta
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from ..const import DOMAIN, LOGGER
from ..tesla.errors import SignInRequired, TeslaError
from .troubles import Subject, Troubles

EARLY: Final = 1.5
"""Seconds by which Home Assistant's timers may come before the planned moment."""
LONGEST_TIMER: Final = 3600.0
"""Seconds after which a coordinator looks up at the latest, whatever was planned."""
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
    """Counts failures in a row, so that one lost answer does not make everything unavailable.

    `troubles` tells of failures, for the whole account at once. Home Assistant's own lines, one for each coordinator,
    are not written: it writes them when `last_update_success` changes, which is done before it looks.
    """

    config_entry: ConfigEntry

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, name: str, interval: timedelta, troubles: Troubles
    ) -> None:
        """Begin with nothing asked; `name` names the car, site or account in sentences."""
        super().__init__(hass, LOGGER, config_entry=entry, name=name, update_interval=interval)
        self.troubles = troubles
        self._failures = 0
        self._trouble: TeslaError | None = None

    @property
    def subject(self) -> Subject:
        """Whom troubles belong to."""
        raise NotImplementedError

    @property
    def reachable(self) -> bool:
        """Whether the values shown are still worth showing."""
        return self._failures < UNREACHABLE_AFTER

    @override
    async def _async_update_data(self) -> T:
        try:
            data = await self._read()
        except StillInTrouble as still:
            self.last_update_success = False
            raise failure(still.error, seen=self.name) from still.error
        except TeslaError as error:
            self.note(error)
            self.last_update_success = False
            raise failure(error, seen=self.name) from error
        self._failures, self._trouble = 0, None
        self.last_update_success = True
        return data

    def note(self, error: TeslaError) -> None:
        """Count a failure."""
        self._trouble = error
        self._failures += 1
        if self._failures == UNREACHABLE_AFTER:
            # Home Assistant tells its listeners of the first failure in a row alone.
            self.async_update_listeners()

    def plan(self, seconds: float) -> None:
        """Look again after so many seconds; Home Assistant's timers come up to a second early."""
        self.update_interval = timedelta(seconds=min(max(seconds + 1.0, 1.0), LONGEST_TIMER))

    async def _read(self) -> T:
        """Ask Tesla; raise a TeslaError when there is nothing to show for it."""
        raise NotImplementedError
