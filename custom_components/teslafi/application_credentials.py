"""The owner's developer application as Home Assistant's application credentials."""

from homeassistant.components.application_credentials import ClientCredential
from homeassistant.core import HomeAssistant
from homeassistant.helpers.config_entry_oauth2_flow import (
    AUTH_CALLBACK_PATH,
    MY_AUTH_CALLBACK_PATH,
    AbstractOAuth2Implementation,
)

from .flow.oauth import TeslaImplementation


async def async_get_auth_implementation(
    hass: HomeAssistant, auth_domain: str, credential: ClientCredential
) -> AbstractOAuth2Implementation:
    """Return the OAuth implementation of one developer application."""
    return TeslaImplementation(hass, auth_domain, credential)


async def async_get_description_placeholders(hass: HomeAssistant) -> dict[str, str]:
    """Return the addresses that the dialog for new credentials names."""
    own_address = hass.config.external_url or "https://YOUR_HOME_ASSISTANT"
    return {
        "dashboard_url": "https://developer.tesla.com/dashboard",
        "redirect_url": MY_AUTH_CALLBACK_PATH if "my" in hass.config.components else own_address + AUTH_CALLBACK_PATH,
    }
