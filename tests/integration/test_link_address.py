"""Linking a companion: what is said about an address at which there is no companion to link to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import datetime as dt
from ipaddress import IPv4Address, ip_address
from pathlib import Path
import socket
import ssl
import threading

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import get_test_instance_port  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.link.client import (
    Companion,
    NoAddress,
    NoTls,
    OtherName,
    Unreachable,
    _may_follow,
    found_companion,
    is_near,
    origin_of,
    origins_of,
)

from .owner import Owner

METADATA = "/.well-known/oauth-authorization-server"
ABOUT = {"product": "teslafi-companion", "version": "0.1.0", "api": 1}

type Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def entry(owner: Owner) -> ConfigEntry:
    """Return an account that is signed in."""
    return await owner.sign_in()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Answer on loopback with one JSON object for each path, and 404 elsewhere."""
    runners: list[web.AppRunner] = []

    async def begin(answers: dict[str, object], status: int = 200) -> str:
        async def answer(request: web.Request) -> web.Response:
            if request.path not in answers:
                raise web.HTTPNotFound
            body = answers[request.path]
            return web.Response(text=body, status=status) if isinstance(body, str) else web.json_response(body)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield begin
    for runner in runners:
        await runner.cleanup()


async def told(hass: HomeAssistant, owner: Owner, entry: ConfigEntry, address: str) -> tuple[object, object]:
    """Type an address; return the sentence's key and what it names."""
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    flow = await owner.choose(flow, "link_companion")
    flow = await owner.answer(flow, {"address": address})
    assert flow["step_id"] == "link_companion"
    assert flow["errors"] is not None
    hass.config_entries.flow.async_abort(flow["flow_id"])
    return flow["errors"].get("address"), flow["description_placeholders"]


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ftp://companion.example.org",
        "https://companion.example.org/path",
        "https://companion.example.org/?a=b",
        "https://someone@companion.example.org",
        "https://",
        "https://companion:port",
        "two words",
    ],
)
def test_what_is_no_address(typed: str) -> None:
    """Anything but scheme, host and port: the tokens' way must not depend on how the rest is read."""
    with pytest.raises(NoAddress):
        origin_of(typed)


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("companion.example.org", "https://companion.example.org"),
        (" https://Companion.example.org/ ", "https://companion.example.org"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://companion.example.org:443", "https://companion.example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_what_is_an_address(typed: str, origin: str) -> None:
    """Written in any usual way, it comes to the same origin; without a scheme it is https."""
    assert origin_of(typed) == origin


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.5", True),
        ("10.0.0.1", True),
        ("fd00::5", True),
        ("fe80::1", True),
        ("::ffff:192.168.1.5", True),
        ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False),
        ("2606:4700::1111", False),
    ],
)
def test_what_is_near(address: str, near: bool) -> None:
    """This machine and private networks, by either protocol."""
    assert is_near(ip_address(address)) is near


async def test_each_wrong_address_has_its_sentence(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, serve: Serve
) -> None:
    closed = f"http://127.0.0.1:{get_test_instance_port()}"
    page = await serve({"/api/v1/about": "<html>a router</html>"})
    nothing = await serve({})
    other = await serve({"/api/v1/about": {"product": "something else"}})
    newer = await serve({"/api/v1/about": ABOUT | {"api": 2, "version": "9.0.0"}})
    real = closed.replace("http://", "https://")
    named = await serve({"/api/v1/about": ABOUT, METADATA: {"issuer": real}})
    ill = await serve({"/api/v1/about": "no", "/x": 1}, status=503)
    cases = {
        "not an address": ("companion_no_address", {}),
        closed: ("companion_unreachable", {"address": closed}),
        ill: ("companion_unreachable", {"address": ill}),
        page: ("companion_not_one", {"address": page}),
        nothing: ("companion_not_one", {"address": nothing}),
        other: ("companion_not_one", {"address": other}),
        newer: ("companion_version", {"version": "9.0.0"}),
        named: ("companion_other_name", {"issuer": real}),
        "http://8.8.8.8:8080": ("companion_plain_http", {"address": "http://8.8.8.8:8080"}),
    }
    assert {address: await told(hass, owner, entry, address) for address in cases} == cases


@pytest.mark.parametrize(
    ("typed", "origins"),
    [
        ("companion.example.org", ("https://companion.example.org", "http://companion.example.org")),
        ("192.168.1.5:8080", ("https://192.168.1.5:8080", "http://192.168.1.5:8080")),
        ("[fd00::5]:8080", ("https://[fd00::5]:8080", "http://[fd00::5]:8080")),
        ("https://companion.example.org", ("https://companion.example.org",)),
        ("http://127.0.0.1:8080", ("http://127.0.0.1:8080",)),
    ],
)
def test_what_an_address_can_mean(typed: str, origins: tuple[str, ...]) -> None:
    """Who names the scheme means it."""
    assert origins_of(typed) == origins


async def meant(typed: str) -> str:
    """Return the companion that is found by what was typed."""
    async with aiohttp.ClientSession() as http:
        return await found_companion(http, typed, asyncio.get_running_loop())


async def test_http_is_tried_by_itself_near_by_alone(serve: Serve, socket_enabled: None) -> None:
    answers: dict[str, object] = {"/api/v1/about": ABOUT}
    address = await serve(answers)
    answers[METADATA] = {"issuer": address}
    assert await meant(address.removeprefix("http://")) == address
    with pytest.raises(NoTls):
        await meant(address.replace("http://", "https://"))
    with pytest.raises(Unreachable) as caught:
        await meant(f"127.0.0.1:{get_test_instance_port()}")
    assert caught.value.placeholders["address"].startswith("https://"), "the address as it was typed"


async def test_far_away_plain_http_is_not_tried(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def about(companion: Companion) -> dict[str, object]:
        asked.append(companion.origin)
        raise Unreachable(address=companion.origin)

    monkeypatch.setattr(Companion, "_about", about)
    with pytest.raises(Unreachable):
        await meant("8.8.8.8:8080")
    assert asked == ["https://8.8.8.8:8080"]


async def test_a_companions_own_name_is_taken_over_where_it_answers_there(serve: Serve, socket_enabled: None) -> None:
    answers: dict[str, object] = {"/api/v1/about": ABOUT}
    address = await serve(answers)
    name = address.replace("127.0.0.1", "localhost")
    answers[METADATA] = {"issuer": name}
    assert await meant(address) == name
    for wrong in ("https://nowhere.invalid", f"{name}/path", "ftp://x", "", 7, "https://user@x", "http://8.8.8.8"):
        answers[METADATA] = {"issuer": wrong}
        with pytest.raises(OtherName):
            await meant(address)


@pytest.mark.parametrize(
    ("origin", "name", "followed"),
    [
        ("http://127.0.0.1:80", "https://companion.example.org", True),
        ("http://127.0.0.1:80", "http://companion.local", True),
        ("https://companion.example.org", "https://other.example.org", True),
        ("https://companion.example.org", "http://192.168.1.5", False),
        ("https://companion.example.org", "javascript:alert(1)", False),
    ],
)
def test_no_name_leads_from_https_to_plain_http(origin: str, name: str, followed: bool) -> None:
    assert _may_follow(origin, name) is followed


async def test_the_address_is_remembered(hass: HomeAssistant, owner: Owner, entry: ConfigEntry) -> None:
    """After the link ended as well, and for another account."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, "last_companion": "https://c.example.org"})
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    flow = await owner.choose(flow, "link_companion")
    assert flow["data_schema"] is not None
    (field,) = flow["data_schema"].schema
    assert field.description == {"suggested_value": "https://c.example.org"}


async def test_a_certificate_that_nobody_trusts(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, tmp_path: Path
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=shake_hands, args=(self_signed(tmp_path), listening))
    server.start()
    address = f"https://127.0.0.1:{listening.getsockname()[1]}"
    assert await told(hass, owner, entry, address) == ("companion_certificate", {"address": address})
    await asyncio.to_thread(server.join)


def shake_hands(context: ssl.SSLContext, listening: socket.socket) -> None:
    """Show the certificate to the first who comes, who will not have it."""
    with listening:
        connection, _ = listening.accept()
    with connection, pytest.raises(OSError, match=r"(?i)certificate|reset|eof"):
        context.wrap_socket(connection, server_side=True)


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return a server's side of TLS with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "companion")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
