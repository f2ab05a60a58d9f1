"""The command key at Tesla: registering its public half with the application's domain, and seeing which cars know it.

Source: Tesla's developer documents, "Partner endpoints" and "Virtual keys".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
import re
from typing import Final

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet

from ..secret import Secret
from .errors import Refused, TeslaError, TokenRequestRefused, said
from .exchange import Caller, Exchange, connected, exchanged
from .servers import Server
from .session import GrantSession
from .token import TokenEndpoint
from .vin import vin_of

KEY_PATH: Final = "/.well-known/appspecific/com.tesla.3p.public-key.pem"
LOOK_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
LONGEST_KEY: Final = 16 * 1024
WRONG_SECRET: Final = frozenset({"unauthorized_client", "invalid_client"})
_DOMAIN: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.ASCII)


class Refusal(StrEnum):
    """Why Tesla does not register an application at a domain; each has its own sentence."""

    KEY_NOT_FOUND = "key_not_found"
    KEY_DIFFERS = "key_differs"
    TAKEN = "domain_taken"
    ORIGIN = "origin_not_allowed"
    SECRET = "wrong_secret"  # noqa: S105 - a sentence's name
    DOMAIN = "no_domain"


REFUSALS: Final[Mapping[int, Refusal]] = {
    HTTPStatus.FAILED_DEPENDENCY: Refusal.KEY_NOT_FOUND,
    HTTPStatus.PRECONDITION_FAILED: Refusal.ORIGIN,
}
"""Status of Tesla's answer to a registration -> why it is refused."""


class RegistrationRefused(Exception):
    """Tesla does not register the application."""

    def __init__(self, why: Refusal) -> None:
        """Keep why."""
        super().__init__(why.value)
        self.why = why


class Published(StrEnum):
    """What is found at a domain where the public key belongs, as far as that can be seen from here."""

    OURS = "ours"
    OTHER = "key_other"
    HIDDEN = "key_hidden"
    CERTIFICATE = "key_certificate"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Application:
    """A developer application with the secret by which it can be registered."""

    client_id: str
    secret: Secret


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


def point_of(pem: str) -> bytes:
    """Return the uncompressed point of a public key; raise ValueError for any other file."""
    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError("a key of another kind") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("a key of another kind")  # noqa: TRY004 - bad data, not a bad call
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


async def look_at_key(http: aiohttp.ClientSession, domain: str, pem: str) -> Published:
    """See whether the public key can be fetched from its domain, as Tesla does: over https, following nothing."""
    try:
        async with http.get(key_address(domain), timeout=LOOK_TIMEOUT, allow_redirects=False) as response:
            found = await response.content.read(LONGEST_KEY)
            status = response.status
    except aiohttp.ClientConnectorCertificateError:
        return Published.CERTIFICATE
    except aiohttp.ClientError, TimeoutError:
        return Published.UNKNOWN
    if status != HTTPStatus.OK:
        return Published.HIDDEN
    try:
        return Published.OURS if point_of(found.decode()) == point_of(pem) else Published.OTHER
    except ValueError:
        return Published.HIDDEN


async def register(
    http: aiohttp.ClientSession,
    endpoint: TokenEndpoint,
    application: Application,
    server: Server,
    domain: str,
    pem: str,
) -> None:
    """Register an application in a region: Tesla fetches the public key from the domain.

    Raise RegistrationRefused or a TeslaError.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": application.client_id,
        "client_secret": application.secret.reveal(),
        "scope": "openid vehicle_device_data",
        "audience": server.api,
    }
    try:
        answer = await endpoint.request(server.token, form)
        api = connected(http, str(answer.get("access_token", "")), server.api)
        registered = await exchanged(lambda: api.partner.register(domain), Exchange(_uncounted))
    except TeslaError as error:
        if (why := _why(error)) is not None:
            raise RegistrationRefused(why) from error
        raise
    found = registered.get("response") if isinstance(registered, dict) else None
    if not isinstance(found, dict) or str(found.get("public_key", "")).lower() != point_of(pem).hex():
        raise RegistrationRefused(Refusal.KEY_DIFFERS)


def _why(error: TeslaError) -> Refusal | None:
    """Tell Tesla's refusals of a registration apart.

    Texts: those that owners report to other integrations; 412 there is a domain that the application does not name.
    """
    if isinstance(error, TokenRequestRefused):
        return Refusal.SECRET if error.error in WRONG_SECRET else None
    status, text = said(error)
    if "already been taken" in text:
        return Refusal.TAKEN
    if "invalid domain" in text.lower():
        return Refusal.DOMAIN
    return REFUSALS.get(status)


async def paired(http: aiohttp.ClientSession, session: GrantSession, vins: Collection[str]) -> frozenset[str]:
    """Return which of these cars know the key of the grant's application; raise a TeslaError."""
    caller = Caller(http, session)
    answer = await caller.ask(lambda: VehicleFleet(caller.api, next(iter(vins))).fleet_status(list(vins)))
    response = answer.get("response") if isinstance(answer, dict) else None
    listed = response.get("key_paired_vins") if isinstance(response, dict) else None
    if not isinstance(listed, list):
        raise Refused("Tesla did not tell which cars are paired")
    known = {vin_of(vin) for vin in listed if isinstance(vin, str)}
    return frozenset(vin for vin in vins if vin in known)


def _uncounted() -> None:
    """Count nothing: Tesla bills neither of the two."""
