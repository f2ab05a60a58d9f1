"""Tesla's authorization code grant with PKCE, through Home Assistant's own OAuth helpers."""

import time
from typing import Any, override

from homeassistant.components.application_credentials import ClientCredential
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.config_entry_oauth2_flow import LocalOAuth2ImplementationWithPkce

from ..tesla.servers import SERVERS, Region
from ..tesla.token import TokenEndpoint


class TeslaImplementation(LocalOAuth2ImplementationWithPkce):
    """One developer application of the owner. Made anew for each flow, and with it the PKCE verifier."""

    def __init__(self, hass: HomeAssistant, auth_domain: str, credential: ClientCredential) -> None:
        """Use the owner's client id and secret, at Tesla's servers outside China until told otherwise."""
        server = SERVERS["na"]
        super().__init__(
            hass, auth_domain, credential.client_id, server.authorize, server.token, credential.client_secret
        )
        self._name = credential.name or credential.client_id
        self._region: Region = "na"

    @property
    @override
    def name(self) -> str:
        """Name by which the owner picks the application."""
        return self._name

    def sign_in_at(self, region: Region) -> None:
        """Use the sign-in pages and the token endpoint of this region."""
        self._region = region
        self.authorize_url = SERVERS[region].authorize
        self.token_url = SERVERS[region].token

    @property
    @override
    def extra_authorize_data(self) -> dict[str, Any]:
        """Ask for the password each time, and for consent to what an earlier consent lacks."""
        return {**super().extra_authorize_data, "prompt": "login", "prompt_missing_scopes": "true"}

    @override
    async def async_resolve_external_data(self, external_data: Any) -> dict[str, Any]:
        """Exchange the code; raise a TeslaError. Its prefix (`EU_…`) tells the region whose API the token is for."""
        prefix = str(external_data["code"]).partition("_")[0].lower()
        region = next((region for region in SERVERS if region == prefix), self._region)
        return await self._redeem(
            {
                "grant_type": "authorization_code",
                "code": external_data["code"],
                "redirect_uri": external_data["state"]["redirect_uri"],
                "audience": SERVERS[region].api,
                **self.extra_token_resolve_data,
            }
        )

    async def _redeem(self, data: dict[str, Any]) -> dict[str, Any]:
        """Ask through the endpoint that knows Tesla's refusals, which Home Assistant's takes all for dead grants."""
        form = {**data, "client_id": self.client_id}
        if self.client_secret:
            form["client_secret"] = self.client_secret
        endpoint = TokenEndpoint(async_get_clientsession(self.hass), time.time)
        return dict(await endpoint.request(self.token_url, form))
