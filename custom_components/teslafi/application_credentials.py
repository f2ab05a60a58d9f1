"""The owner's developer application as Home Assistant's application credentials."""

from homeassistant.components.application_credentials import ClientCredential
from homeassistant.core import HomeAssistant
from homeassistant.helpers.config_entry_oauth2_flow import (
    AUTH_CALLBACK_PATH,
    MY_AUTH_CALLBACK_PATH,
    AbstractOAuth2Implementation,
)
from homeassistant.helpers.network import NoURLAvailableError, get_url

from .flow.oauth import TeslaImplementation
from .public_key import own_domain


async def async_get_auth_implementation(
    hass: HomeAssistant, auth_domain: str, credential: ClientCredential
) -> AbstractOAuth2Implementation:
    """Return the OAuth implementation of one developer application."""
    return TeslaImplementation(hass, auth_domain, credential)


async def async_get_description_placeholders(hass: HomeAssistant) -> dict[str, str]:
    """Return the addresses that the dialog for new credentials names."""
    domain = own_domain(hass)
    try:
        own_address = get_url(hass, prefer_external=True)
    except NoURLAvailableError:
        own_address = "https://YOUR_HOME_ASSISTANT"
    return {
        "dashboard_url": "https://developer.tesla.com/dashboard",
        "origin": f"https://{domain or 'YOUR_DOMAIN'}",
        "redirect_url": MY_AUTH_CALLBACK_PATH if "my" in hass.config.components else own_address + AUTH_CALLBACK_PATH,
    }
