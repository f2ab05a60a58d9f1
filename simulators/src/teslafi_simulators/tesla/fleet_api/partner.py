"""Endpoints for applications themselves, with a partner token ("Partner endpoints")."""

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ..applications import Application
from ..commands.computers import public_point
from .access import Answer, Call
from .answers import Refused, not_found

KEY_PATH: Final = "/.well-known/appspecific/com.tesla.3p.public-key.pem"
TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
LARGEST_KEY: Final = 16_384

NOT_DOWNLOADED: Final = "Public key download failed"


def _application(call: Call) -> Application:
    """Return the asking application; refuse an owner's token."""
    application = call.state.applications.by_client_id(call.bearer.client_id)
    if call.bearer.kind != "partner" or application is None:
        raise Refused(403, "Unauthorized")
    return application


def public_key(call: Call) -> Any:  # noqa: ANN401 - JSON
    """Tell the public key that Tesla fetched from a domain when it was registered; without `domain`, from the own."""
    own = _application(call)
    domain = call.request.query.get("domain") or own.domain
    found = next((one for one in call.state.applications if one.domain == domain), None)
    if found is None or found.public_key is None:
        raise not_found()
    return {"public_key": found.public_key}


async def register(call: Call) -> Answer:
    """Register the application in this region: its public key is read from its domain.

    Texts: "Invalid domain" (vehicle-command issues 6 and 20), "already been taken" (core issues 134595 and 151568), 424
    ("Response codes"). The status of the second was not recorded.
    """
    application = _application(call)
    if call.region is None:
        raise not_found()
    domain = _domain(call)
    if application.domain is None or not _covers(application.domain, domain):
        # What Tesla says to a domain that is not the application's allowed origin was seen as a failed download alone
        raise Refused(424, NOT_DOWNLOADED)
    point = await _downloaded(call, domain)
    taken = any(
        point == other.public_key or (other.domain == domain and other.regions)
        for other in call.state.applications
        if other is not application and other.public_key is not None
    )
    if taken:
        raise Refused(400, "Validation failed: Public key hash has already been taken")
    application.public_key = point
    application.regions.add(call.region)
    now = datetime.fromtimestamp(call.state.clock(), UTC).isoformat()
    return {
        "client_id": application.client_id,
        "name": application.name,
        "description": application.name,
        "domain": domain,
        "ca": None,
        "created_at": now,
        "updated_at": now,
        "enterprise_tier": "pay_as_you_go",
        "public_key": point,
    }


def telemetry_errors(call: Call) -> Answer:
    """List streaming errors of the application's cars: none."""
    _application(call)
    return {"fleet_telemetry_errors": []}


def telemetry_error_vins(call: Call) -> Answer:
    """List cars with streaming errors: none."""
    _application(call)
    return {"vins": []}


def _domain(call: Call) -> str:
    body = call.json()
    domain = body.get("domain") if isinstance(body, dict) else None
    if not isinstance(domain, str) or not domain:
        raise Refused(400, "invalid_field")
    if domain != domain.lower() or "/" in domain or urlsplit(f"//{domain}").hostname is None:
        raise Refused(400, f"Invalid domain: {domain}. Ensure that domain is lowercase and starts without https://")
    return domain


def _covers(registered: str, domain: str) -> bool:
    """Tell whether a domain is the application's, or below it."""
    return domain == registered or domain.endswith(f".{registered}")


async def _downloaded(call: Call, domain: str) -> str:
    """Fetch the public key from where the domain is served; return its point in hex. 424 whatever goes wrong."""
    origin = call.state.domains.get(domain, f"{call.state.addresses().domains}/{domain}")
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(f"{origin}{KEY_PATH}", allow_redirects=False) as response,
        ):
            pem = await response.content.read(LARGEST_KEY) if response.status == 200 else b""  # noqa: PLR2004 - HTTP
        key = load_pem_public_key(pem)
    except aiohttp.ClientError, TimeoutError, ValueError:
        raise Refused(424, NOT_DOWNLOADED) from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Refused(424, NOT_DOWNLOADED)
    return public_point(key).hex()
