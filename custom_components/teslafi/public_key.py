"""Serves the public keys of the owner's developer applications where Tesla looks for them.

One file at one path, open to everybody as Tesla's documents want it ("Partner endpoints"): a key that an entry's
application is registered with, or one that a config flow is about to register. Nothing else, and 404 without one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.http import HomeAssistantView
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.util.hass_dict import HassKey
from yarl import URL

from .const import CONF_CONTROLS, CONF_DOMAIN, CONF_PAIRING_DOMAIN, CONF_PUBLIC_KEY, CONF_REGISTRATION, DOMAIN
from .tesla.pairing import KEY_PATH

OF_FLOW: Final = "flow"
"""Query parameter that names a config flow: its key is sent as a file, for whoever hosts it elsewhere."""
FILE_NAME: Final = KEY_PATH.rpartition("/")[2]
CONTENT_TYPE: Final = "application/x-pem-file"


@dataclass(frozen=True, slots=True)
class HostedKey:
    """A public key (PEM) and the domain at which Tesla looks for it; no domain yet while a flow asks for one."""

    domain: str
    pem: str


class PublicKeys:
    """The keys that are in use, by entries and by flows."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with those of the entries."""
        self._hass = hass
        self._offered: dict[str, HostedKey] = {}

    @callback
    def offer(self, flow_id: str, key: HostedKey) -> None:
        """Serve a key while a flow goes on."""
        self._offered[flow_id] = key

    @callback
    def withdraw(self, flow_id: str) -> None:
        """Stop serving the key of a flow."""
        self._offered.pop(flow_id, None)

    def of_flow(self, flow_id: str) -> str | None:
        """Return the key of a flow."""
        key = self._offered.get(flow_id)
        return key.pem if key else None

    def at(self, domain: str | None) -> str | None:
        """Return the key for a domain. Where all have the same key, a proxy may have lost the domain."""
        keys = [*self._offered.values(), *self._of_entries()]
        found = next((key.pem for key in keys if key.domain and key.domain == domain), None)
        pems = {key.pem for key in keys}
        return found or (pems.pop() if len(pems) == 1 else None)

    def _of_entries(self) -> Iterator[HostedKey]:
        for entry in self._hass.config_entries.async_entries(DOMAIN):
            controls, registration = entry.data.get(CONF_CONTROLS, {}), entry.data.get(CONF_REGISTRATION)
            if pem := controls.get(CONF_PUBLIC_KEY):
                yield HostedKey(controls[CONF_PAIRING_DOMAIN], pem)
            if registration is not None:
                yield HostedKey(registration[CONF_DOMAIN], registration[CONF_PUBLIC_KEY])


_KEYS: Final[HassKey[PublicKeys]] = HassKey(f"{DOMAIN}_public_keys")


@callback
def public_keys(hass: HomeAssistant) -> PublicKeys:
    """Return this Home Assistant's keys, and see that they are served."""
    if (keys := hass.data.get(_KEYS)) is None:
        keys = hass.data[_KEYS] = PublicKeys(hass)
        hass.http.register_view(PublicKeyView(keys))
    return keys


def own_domain(hass: HomeAssistant) -> str | None:
    """Return the domain of this Home Assistant's own https address; None when it has none that Tesla could reach."""
    try:
        address = get_url(
            hass,
            allow_internal=False,
            allow_ip=False,
            prefer_external=True,
            require_ssl=True,
            require_standard_port=True,
        )
    except NoURLAvailableError:
        return None
    return URL(address).host


class PublicKeyView(HomeAssistantView):
    """The file."""

    url = KEY_PATH
    name = f"{DOMAIN}:public_key"
    requires_auth = False

    def __init__(self, keys: PublicKeys) -> None:
        """Serve these keys."""
        self._keys = keys

    async def get(self, request: web.Request) -> web.Response:
        """Send the key of the domain that was asked for, or of a flow as a file."""
        flow_id = request.query.get(OF_FLOW)
        pem = self._keys.of_flow(flow_id) if flow_id else self._keys.at(request.url.host)
        if pem is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if flow_id:
            headers["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
        return web.Response(text=pem, content_type=CONTENT_TYPE, headers=headers)
