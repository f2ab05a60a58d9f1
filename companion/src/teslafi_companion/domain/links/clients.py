"""The programs that may ask to be linked: a fixed table, all public (nothing they ship is a secret)."""

from dataclasses import dataclass
from typing import Final

from teslafi_companion.settings import Settings

from .faults import INVALID_CLIENT, OAuthFault
from .scopes import Scope

AUTHORIZATION_CODE: Final = "authorization_code"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a grant's name
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class Client:
    """A program, the grants it may use, and what it may ask for by each way."""

    id: str
    name: str
    grants: frozenset[str]
    scopes: frozenset[Scope]
    device_scopes: frozenset[Scope]


CLIENTS: Final = {
    client.id: client
    for client in (
        Client(
            "home-assistant",
            "Home Assistant",
            frozenset({AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE}),
            frozenset(Scope),
            # A device grant can be begun by somebody else: it never leads to controls
            frozenset({Scope.ACCOUNT, Scope.LINK}),
        ),
    )
}


def find_client(client_id: str | None) -> Client:
    """Return the client of this identifier; raises OAuthFault."""
    client = CLIENTS.get(client_id or "")
    if client is None:
        raise OAuthFault(INVALID_CLIENT, "client_id names no client of this server")
    return client


def is_redirect_uri(settings: Settings, uri: str) -> bool:
    """Say whether an address is on the list, character for character (RFC 9700, 2.1)."""
    return uri in settings.oauth_redirect_uris
