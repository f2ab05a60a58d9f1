"""The steps that link a companion and end the link, out of the reconfigure menu."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
import probatio

from ..const import (
    CONF_ADDRESS,
    CONF_COMPANION,
    CONF_CONTROLS,
    CONF_INSTANCE_ID,
    CONF_LAST_COMPANION,
    CONTROLS,
    DOMAIN,
    LINK,
)
from ..controls.twins import follow_controls
from ..issues import note_controls_locked
from ..link.client import CompanionError, Unlinked, found_companion
from ..link.oauth import CompanionImplementation
from ..link.session import end_link
from ..storage.vault import async_get_vault

ADDRESS_SCHEMA: Final = probatio.Schema(
    {probatio.Required(CONF_ADDRESS): TextSelector(TextSelectorConfig(type=TextSelectorType.URL))}
)


class LinkFlow(ConfigFlow):
    """Asks where the companion lives, opens its pages, keeps what the browser brings back."""

    _implementation: CompanionImplementation
    _origin: str
    _instance_id: str
    _returned: dict[str, Any]

    async def async_step_link_companion(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the address and see that a companion lives there."""
        return await self.async_ask_for_companion("link_companion", user_input)

    async def async_ask_for_companion(self, step_id: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        """Ask for the address in a step of this name; go on to the companion's page."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        typed = user_input or {CONF_ADDRESS: self._known_address()}
        if user_input is not None:
            http = async_get_clientsession(self.hass)
            try:
                self._origin = await found_companion(http, user_input[CONF_ADDRESS], self.hass.loop)
            except CompanionError as error:
                errors = {CONF_ADDRESS: error.key}
                placeholders = error.placeholders
            else:
                known = self._get_reconfigure_entry().data.get(CONF_COMPANION, {})
                self._instance_id = known.get(CONF_INSTANCE_ID) or uuid4().hex
                self._implementation = CompanionImplementation(self.hass, self._origin, self._instance_id)
                return await self.async_step_companion_page()
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(ADDRESS_SCHEMA, typed),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _known_address(self) -> str:
        """Return the address of this account's companion, now or before, or of another account's."""
        this = self._get_reconfigure_entry()
        others = [entry for entry in self.hass.config_entries.async_entries(DOMAIN) if entry is not this]
        found = [entry.data[CONF_COMPANION][CONF_ADDRESS] for entry in (this, *others) if CONF_COMPANION in entry.data]
        found += [entry.data[CONF_LAST_COMPANION] for entry in (this, *others) if CONF_LAST_COMPANION in entry.data]
        return next(iter(found), "")

    async def async_step_companion_page(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Open the companion's pages, and take up what the browser brings back."""
        if user_input is None:
            url = await self._implementation.async_generate_authorize_url(self.flow_id)
            return self.async_external_step(step_id="companion_page", url=url)
        self._returned = user_input
        return self.async_external_step_done(next_step_id="companion_linked")

    async def async_step_companion_linked(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Exchange the code; the tokens go straight into the vault."""
        returned, self._returned = self._returned, {}
        if "code" not in returned:
            return self.async_abort(reason="companion_refused")
        entry = self._get_reconfigure_entry()
        try:
            tokens = await self._implementation.async_redeem(returned)
        except Unlinked:
            return self.async_abort(reason="companion_link_lost")
        except CompanionError as error:
            return self.async_abort(reason=error.key, description_placeholders=error.placeholders)
        vault = await async_get_vault(self.hass)
        if CONF_COMPANION in entry.data:
            # This Home Assistant would be listed twice otherwise
            await end_link(self.hass, entry, vault)
        await vault.put_text(entry.entry_id, LINK, tokens.to_plaintext())
        link = {CONF_ADDRESS: self._origin, CONF_INSTANCE_ID: self._instance_id}
        return await self.async_after_link(entry, {CONF_COMPANION: link})

    async def async_after_link(self, entry: ConfigEntry, updates: Mapping[str, Any]) -> ConfigFlowResult:
        """Keep the link in the entry, and be done."""
        return self.async_update_reload_and_abort(entry, data_updates=updates, reason="companion_linked")

    async def async_step_unlink_companion(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """End the link on both sides; on this one even when the companion is out of reach."""
        entry = self._get_reconfigure_entry()
        address = entry.data[CONF_COMPANION][CONF_ADDRESS]
        if user_input is None:
            return self.async_show_form(step_id="unlink_companion", description_placeholders={"address": address})
        told = await async_unlink(self.hass, entry)
        return self.async_abort(reason="companion_unlinked" if told else "companion_unlinked_here")


async def async_unlink(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Forget the link, and controls with it; say whether the companion knows that it ended."""
    vault = await async_get_vault(hass)
    told = await end_link(hass, entry, vault)
    await vault.wipe(entry.entry_id, CONTROLS)
    note_controls_locked(hass, entry, "", None)
    follow_controls(hass, entry, entry.data.get(CONF_CONTROLS, {}), {})
    hass.config_entries.async_update_entry(entry, data=without_companion(entry))
    hass.config_entries.async_schedule_reload(entry.entry_id)
    return told


def without_companion(entry: ConfigEntry) -> dict[str, Any]:
    """Return the entry's data without the link, and without controls, which need it; the address stays known."""
    left = {name: value for name, value in entry.data.items() if name not in (CONF_COMPANION, CONF_CONTROLS)}
    return {**left, CONF_LAST_COMPANION: entry.data[CONF_COMPANION][CONF_ADDRESS]}
