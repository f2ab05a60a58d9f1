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
        self._confirmed_with = self._stored_hash

    @property
    def _stored_hash(self) -> str | None:
        """The code's hash of the moment; it changes with the options."""
        return self._entry.options.get(CONF_COMMAND_CODE)

    @property
    def required(self) -> bool:
        """Whether sensitive commands ask for a code."""
        return bool(self._stored_hash)

    async def async_confirm(self, code: str, context: Context | None) -> None:
        """Take the code; it counts for this person for a minute. Raise ServiceValidationError when it is wrong."""
        user, stored = user_id(context), self._stored_hash
        if not stored:
            return
        if not self._confirmations.reserve(user, time.monotonic()):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wait")
        right = await self._hass.async_add_executor_job(matches, code, stored)
        if not right or stored != self._stored_hash:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_wrong")
        self._forget_others(stored)
        self._confirmations.confirm(user, time.monotonic())

    def _confirmed(self, user: str | None) -> bool:
        self._forget_others(self._stored_hash)
        return self._confirmations.confirmed(user, time.monotonic())

    def _forget_others(self, stored: str | None) -> None:
        """Let a code that the owner has replaced no longer count."""
        if stored != self._confirmed_with:
            self._confirmations.forget()
            self._confirmed_with = stored

    async def async_check(
        self, name: str, parameters: Mapping[str, Any], context: Context | None, code: str | None
    ) -> None:
        """Raise ServiceValidationError when the command needs a code that was not given."""
        command = COMMANDS.get(name)
        if command is None or not self.required or not command.sensitive(parameters):
            return
        if code:
            await self.async_confirm(code, context)
        elif not self._confirmed(user_id(context)):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="code_needed")
