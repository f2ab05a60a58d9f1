"""The config flow: composes the ways of `flow/` and offers them."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult, ConfigSubentryFlow, OptionsFlow
from homeassistant.core import callback

from .const import (
    CONF_COMPANION,
    CONF_CONTROLS,
    CONF_METHOD,
    CONF_PAIRING_DOMAIN,
    CONTROLS,
    DOMAIN,
    METHOD_FEED,
    TARIFF,
)
from .flow.charging_history import ChargingHistoryFlow
from .flow.controls import ControlsFlow
from .flow.feed import FeedFlow
from .flow.import_history import ImportHistoryFlow
from .flow.options import TeslaFiOptionsFlow
from .flow.tariff import TariffFlow
from .secret import Secret
from .storage.file import StorageFailed
from .storage.vault import ShareNeeded, async_get_vault


class TeslaFiConfigFlow(ControlsFlow, ChargingHistoryFlow, FeedFlow, ImportHistoryFlow, domain=DOMAIN):
    """Sets up one Tesla account, signs it in again, and changes how it is signed in."""

    DOMAIN = DOMAIN
    VERSION = 1

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer the ways to bring a grant."""
        return self.async_show_menu(step_id="user", menu_options=["sign_in", "token", "feed"])

    async def async_step_reauth(self, _entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Sign in again after Tesla ended the grant."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say what happened, offer the ways that lead to the same account."""
        entry = self._get_reauth_entry()
        return self.async_show_menu(
            step_id="reauth_confirm",
            menu_options=["feed"] if entry.data.get(CONF_METHOD) == METHOD_FEED else ["sign_in_again", "token"],
            description_placeholders={"account": entry.title},
        )

    async def async_step_reconfigure(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer what can be changed about the grant, and the link to a companion."""
        data = self._get_reconfigure_entry().data
        if data.get(CONF_METHOD) == METHOD_FEED:
            return self.async_show_menu(step_id="reconfigure", menu_options=["feed", "import_history", "rotate_key"])
        link = ["link_companion", "unlink_companion"] if CONF_COMPANION in data else ["link_companion"]
        controls = ["enable_controls"]
        if CONF_CONTROLS in data:
            pairing = ["pair_cars"] if data[CONF_CONTROLS].get(CONF_PAIRING_DOMAIN) else []
            controls = ["enable_controls", *pairing, "disable_controls"]
        history = ["charging_history"] if self.offers_charging_history(data) else []
        options = ["sign_in", "token", *history, *link, *controls, "import_history", "rotate_key"]
        return self.async_show_menu(step_id="reconfigure", menu_options=options)

    async def async_step_rotate_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Seal all grants with a new key. What is sealed with a key share needs that share."""
        if user_input is None:
            return self.async_show_form(step_id="rotate_key")
        try:
            await (await async_get_vault(self.hass)).rotate_key(self._shares())
        except ShareNeeded:
            return self.async_abort(reason="controls_are_locked")
        except StorageFailed:
            return self.async_abort(reason="storage_failed")
        return self.async_abort(reason="key_rotated")

    def _shares(self) -> dict[tuple[str, str], Secret]:
        """Return the key shares that are in memory, by what they open."""
        loaded = self.hass.config_entries.async_loaded_entries(DOMAIN)
        controls = {entry.entry_id: entry.runtime_data.controls for entry in loaded}
        return {
            (entry_id, CONTROLS): share
            for entry_id, one in controls.items()
            if one is not None and (share := one.gate.share) is not None
        }

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Offer tariffs, one for a zone."""
        return {TARIFF: TariffFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the flow of the entry's options."""
        return TeslaFiOptionsFlow()
