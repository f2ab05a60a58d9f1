"""Registration of an application in a region: Tesla reads the public key from the domain, and nowhere else."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.fleet_api.partner import KEY_PATH

DOMAIN: Final = "controls.example"
CLIENT: Final = "teslafi-controls"

type Answer = Callable[[], web.Response]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """Return the public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY: Final = ec.generate_private_key(ec.SECP256R1())
POINT: Final = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()


class Domain:
    """A developer's own web server."""

    def __init__(self) -> None:
        """Serve the right key."""
        self.answer: Answer = lambda: web.Response(text=pem(KEY))
        self.asked: list[str] = []
        self.origin = ""

    async def serve(self, request: web.Request) -> web.Response:
        """Answer as the test says."""
        self.asked.append(request.path)
        return self.answer()


@pytest.fixture
async def domain(tesla: TeslaSimulator) -> AsyncIterator[Domain]:
    """Serve the application's domain on loopback, which Tesla finds by its name."""
    served = Domain()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.serve)
    async with TestServer(app) as server:
        served.origin = str(server.make_url("")).rstrip("/")
        tesla.control.serve_domain(DOMAIN, served.origin)
        yield served


@pytest.fixture
async def partner(http: aiohttp.ClientSession, tesla: TeslaSimulator) -> str:
    """Return a partner token of an application that is registered nowhere yet."""
    application = tesla.applications.by_client_id(CLIENT)
    assert application is not None
    application.regions = set()
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": application.client_secret or "",
        "scope": "openid vehicle_device_data",
        "audience": tesla.addresses.fleet("na"),
    }
    async with http.post(tesla.addresses.token("na"), data=form) as response:
        token: str = (await response.json())["access_token"]
        return token


async def register(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, sent: object = None
) -> tuple[int, Any]:
    """Register; return status and body."""
    url = f"{tesla.addresses.fleet('na')}/api/1/partner_accounts"
    body = {"domain": DOMAIN} if sent is None else sent
    async with http.post(url, headers={"Authorization": f"Bearer {token}"}, json=body) as response:
        return response.status, await response.json()


async def test_the_key_is_read_from_the_domain(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, partner: str
) -> None:
    status, body = await register(http, tesla, partner)
    assert status == 200, body
    assert domain.asked == [KEY_PATH]
    assert (body["response"]["public_key"], body["response"]["domain"]) == (POINT, DOMAIN)
    application = tesla.applications.by_client_id(CLIENT)
    assert application is not None
    assert (application.regions, application.public_key) == ({"na"}, POINT)
    url = f"{tesla.addresses.fleet('na')}/api/1/partner_accounts/public_key?domain={DOMAIN}"
    async with http.get(url, headers={"Authorization": f"Bearer {partner}"}) as response:
        assert (await response.json())["response"] == {"public_key": POINT}


BROKEN: Final[dict[str, Answer]] = {
    "not there": lambda: web.Response(status=404),
    "elsewhere": lambda: web.Response(status=302, headers={"Location": "/other"}),
    "a page": lambda: web.Response(text="<html>Welcome</html>"),
    "nothing": lambda: web.Response(text=""),
    "a key of another kind": lambda: web.Response(text=pem(rsa.generate_private_key(65_537, 2048))),
    "a key on another curve": lambda: web.Response(text=pem(ec.generate_private_key(ec.SECP384R1()))),
    "too long": lambda: web.Response(text=" " * 20_000 + pem(KEY)),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_key_that_cannot_be_read(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, partner: str, answer: Answer
) -> None:
    domain.answer = answer
    assert await refused(http, tesla, partner) == (424, "Public key download failed")


async def test_a_domain_that_nobody_serves(http: aiohttp.ClientSession, tesla: TeslaSimulator, partner: str) -> None:
    assert await refused(http, tesla, partner) == (424, "Public key download failed")
    tesla.control.serve_domain(DOMAIN, "http://127.0.0.1:9")
    assert await refused(http, tesla, partner) == (424, "Public key download failed")


async def refused(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, sent: object = None
) -> tuple[int, str]:
    """Return status and error."""
    status, body = await register(http, tesla, token, sent)
    return status, body["error"]


@pytest.mark.parametrize("named", ["https://controls.example", "Controls.example", "controls.example/path"])
async def test_a_domain_is_a_bare_name_in_lower_case(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, partner: str, named: str
) -> None:
    status, error = await refused(http, tesla, partner, {"domain": named})
    assert (status, error.startswith(f"Invalid domain: {named}")) == (400, True)
    assert domain.asked == []


@pytest.mark.parametrize("sent", [{}, {"domain": 7}, {"domain": ""}, []])
async def test_a_domain_has_to_be_named(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, partner: str, sent: object
) -> None:
    assert await refused(http, tesla, partner, sent) == (400, "invalid_field")


async def test_the_domain_must_be_the_applications_own(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, partner: str
) -> None:
    tesla.control.serve_domain("other.example", domain.origin)
    tesla.control.serve_domain(f"ha.{DOMAIN}", domain.origin)
    assert await refused(http, tesla, partner, {"domain": "other.example"}) == (424, "Public key download failed")
    assert (await register(http, tesla, partner, {"domain": f"ha.{DOMAIN}"}))[0] == 200


async def test_two_applications_need_two_keys(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, partner: str
) -> None:
    tesla.control.host_key("teslafi-monitoring", pem(KEY))
    assert await refused(http, tesla, partner) == (400, "Validation failed: Public key hash has already been taken")


async def test_a_key_that_the_owner_hosts_here_is_read_like_any_other(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, partner: str
) -> None:
    tesla.control.host_key(CLIENT, pem(KEY))
    assert (await register(http, tesla, partner))[0] == 200


async def test_an_owners_token_registers_nothing(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, domain: Domain, token: str
) -> None:
    assert await refused(http, tesla, token) == (403, "Unauthorized")
    assert domain.asked == []
