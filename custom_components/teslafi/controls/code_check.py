"""Asks for the owner's code before sensitive commands."""

from collections.abc import Mapping
import time
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError

from ..const import CONF_COMMAND_CODE, DOMAIN
from .code import Confirmations, matches
from .commands import COMMANDS
from .record import user_id


class CodeCheck:
    """The code of one entry's owner, and who entered it lately."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Begin with nobody confirmed; the code's hash is in the entry's options."""
        self._hass = hass
        self._entry = entry
        self._confirmations = Confirmations()

    @property
    def required(self) -> bool:
        """Whether sensitive commands ask for a code."""
        return bool(self._entry.options.get(CONF_COMMAND_CODE))

    async def async_confirm(self, code: str, context: Context | None) -> None:
        """Take the code; it counts for this person for a minute. Raise ServiceValidationError when it is wrong."""
        user, now = user_id(context), time.monotonic()
        kept = self._entry.options.get(CONF_COMMAND_CODE)
        if not kept:
            return
        if self._confirmations.must_wait(user, now):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wait")
        if not await self._hass.async_add_executor_job(matches, code, kept):
            self._confirmations.failed(user, now)
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wrong")
        self._confirmations.confirm(user, now)

    async def async_check(
        self, name: str, parameters: Mapping[str, Any], context: Context | None, code: str | None
    ) -> None:
        """Raise ServiceValidationError when the command needs a code that was not given."""
        command = COMMANDS.get(name)
        if command is None or not self.required or not command.sensitive(parameters):
            return
        if code:
            await self.async_confirm(code, context)
        elif not self._confirmations.confirmed(user_id(context), time.monotonic()):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_needed")
