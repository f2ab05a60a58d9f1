"""The command key at Tesla: registering its public half with the application's domain, and seeing which cars know it.

Source: Tesla's developer documents, "Partner endpoints" and "Virtual keys".
"""

from collections.abc import Collection
import re
from typing import Final

import aiohttp
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet

from ..secret import Secret
from .errors import Refused, Unreachable
from .exchange import Caller, Exchange, connected, exchanged
from .servers import Server
from .session import GrantSession
from .token import TokenEndpoint

KEY_PATH: Final = "/.well-known/appspecific/com.tesla.3p.public-key.pem"
_DOMAIN: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.ASCII)


class KeyNotFound(Exception):
    """Tesla finds no key at the domain, or another one than ours."""


def domain_of(typed: str) -> str | None:
    """Return the domain that was typed, also as an address; None when it is none."""
    text = typed.strip().lower().removeprefix("https://").removesuffix("/")
    return text if _DOMAIN.fullmatch(text) else None


def key_address(domain: str) -> str:
    """Return where Tesla looks for the public key."""
    return f"https://{domain}{KEY_PATH}"


def pairing_address(domain: str) -> str:
    """Return the address that the owner opens on the phone with Tesla's app."""
    return f"https://tesla.com/_ak/{domain}"


async def register(
    http: aiohttp.ClientSession,
    endpoint: TokenEndpoint,
    application: tuple[str, Secret],
    server: Server,
    domain: str,
    public_key: bytes,
) -> None:
    """Have Tesla fetch the public key from the domain; raise KeyNotFound or a TeslaError.

    `application` is client id and secret, `public_key` the uncompressed point.
    """
    client_id, secret = application
    answer = await endpoint.request(
        server.token,
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret.reveal(),
            "scope": "openid vehicle_device_data",
            "audience": server.api,
        },
    )
    api = connected(http, str(answer.get("access_token", "")), server.api)
    try:
        registered = await exchanged(lambda: api.partner.register(domain), Exchange(_uncounted))
    except Unreachable as error:
        if getattr(error.__cause__, "status", None) == 424:  # noqa: PLR2004 - "Public key download failed"
            raise KeyNotFound from error
        raise
    found = registered.get("response") if isinstance(registered, dict) else None
    if not isinstance(found, dict) or str(found.get("public_key", "")).lower() != public_key.hex():
        raise KeyNotFound


async def paired(http: aiohttp.ClientSession, session: GrantSession, vins: Collection[str]) -> frozenset[str]:
    """Return which of these cars know the key of the grant's application; raise a TeslaError."""
    caller = Caller(http, session)
    answer = await caller.ask(lambda: VehicleFleet(caller.api, next(iter(vins))).fleet_status(list(vins)))
    response = answer.get("response") if isinstance(answer, dict) else None
    listed = response.get("key_paired_vins") if isinstance(response, dict) else None
    if not isinstance(listed, list):
        raise Refused("Tesla did not tell which cars are paired")
    return frozenset(vin for vin in vins if vin in listed)


def _uncounted() -> None:
    """Count nothing: Tesla bills neither of the two."""
