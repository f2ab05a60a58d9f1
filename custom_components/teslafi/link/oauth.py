"""The companion's authorization server, as Home Assistant's OAuth helpers want it."""

from collections.abc import Mapping
import json
import time
from typing import Any, Final, override

from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.config_entry_oauth2_flow import LocalOAuth2ImplementationWithPkce

from ..const import DOMAIN
from .client import CONTROLS_SCOPE, SCOPES, SECOND_FACTOR, Companion, LinkTokens
from .words import CLIENT_ID

FRESH_SECONDS: Final = 300
"""How old the proof of a second factor may be for controls."""


class CompanionImplementation(LocalOAuth2ImplementationWithPkce):
    """The companion's authorization server, as Home Assistant's OAuth helpers want it; made anew for each flow."""

    def __init__(self, hass: HomeAssistant, origin: str, instance_id: str) -> None:
        """Link to the companion at this origin, by the random name of this entry."""
        super().__init__(hass, DOMAIN, CLIENT_ID, f"{origin}/oauth/authorize", f"{origin}/oauth/token")
        self._companion = Companion(async_get_clientsession(hass), origin)
        self._instance_id = instance_id

    @property
    @override
    def name(self) -> str:
        """Never shown: there is nothing to choose from."""
        return "TeslaFi companion"

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for the status of link and account; say which Home Assistant asks."""
        return {
            **super().extra_authorize_data,
            "scope": " ".join(SCOPES),
            "instance_name": self.hass.config.location_name,
            "instance_id": self._instance_id,
        }

    async def async_redeem(self, external_data: Any) -> LinkTokens:  # noqa: ANN401 - as Home Assistant types it
        """Exchange the code that the browser brought back; raise CompanionError."""
        form = {
            "grant_type": "authorization_code",
            "code": str(external_data["code"]),
            "redirect_uri": external_data["state"]["redirect_uri"],
            **self.extra_token_resolve_data,
        }
        return await self._companion.redeem(form, time.time())


class ControlsImplementation(CompanionImplementation):
    """The same server, asked to let this Home Assistant control cars: a fresh second factor, and consent to it."""

    def __init__(self, hass: HomeAssistant, origin: str, instance_id: str, details: Mapping[str, Any]) -> None:
        """Ask for what `details` say (contract/companion-api.yaml, authorization_details)."""
        super().__init__(hass, origin, instance_id)
        self._details = details

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for controls, and for a proof not older than a few minutes."""
        return {
            **super().extra_authorize_data,
            "scope": CONTROLS_SCOPE,
            "acr_values": SECOND_FACTOR,
            "max_age": str(FRESH_SECONDS),
            "authorization_details": json.dumps([self._details], separators=(",", ":")),
        }
