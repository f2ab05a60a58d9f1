"""Tells the companion's audit log of commands, where the owner wants that."""

import asyncio
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..const import CONF_REPORT_COMMANDS, LOGGER
from ..link.client import CompanionError
from ..link.coordinator import LinkCoordinator
from .record import CommandRecord

REPORT_MOST: Final = 100
"""Commands that wait for the companion at most; older ones are dropped."""


class AuditReporter:
    """Holds the commands that the companion was not told of yet. A companion out of reach delays nothing."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, link: LinkCoordinator) -> None:
        """Report over `link`, while the entry's options ask for it."""
        self._hass = hass
        self._entry = entry
        self._link = link
        self._unreported: list[CommandRecord] = []
        self._telling = asyncio.Lock()

    def add(self, record: CommandRecord) -> None:
        """Take in a command that ended."""
        if self._entry.options.get(CONF_REPORT_COMMANDS, True):
            self._unreported = [*self._unreported, record][-REPORT_MOST:]

    def report_soon(self) -> None:
        """Tell the companion in the background."""
        if self._unreported:
            self._entry.async_create_background_task(self._hass, self._report(), "teslafi audit")

    async def _report(self) -> None:
        """Tell one report after the other: of two under way at once, the later might arrive first."""
        async with self._telling:
            reported, self._unreported = self._unreported, []
            if not reported:
                return
            said = [record.for_audit() for record in reported]
            try:
                await self._link.session.ask(lambda tokens: self._link.companion.record_commands(tokens, said))
            except CompanionError as error:
                LOGGER.debug("The companion could not be told of commands (%s)", error)
                self._unreported = [*reported, *self._unreported][-REPORT_MOST:]
