"""What is true of every answer: its headers, its cookies, its sentence when something goes wrong."""

from dataclasses import replace
import json
from typing import Any
from uuid import uuid4

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
import pytest
import structlog

from teslafi_companion.app import create_app
from teslafi_companion.domain.accounts.account import find
from teslafi_companion.domain.accounts.passwords import PasswordsBusy
from teslafi_companion.domain.accounts.sessions import sessions_of
from teslafi_companion.http.services import make_services
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .person import OLGA, PASSWORD, Person
from .test_access import ROUTES, address

pytestmark = pytest.mark.usefixtures("socket_enabled")

PAGE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Server": "companion",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    ),
}


async def test_every_answer_has_the_headers(olga: Person) -> None:
    await olga.has_account()
    await olga.signs_in()
    for method, path in [*ROUTES, ("GET", "/nothing"), ("PUT", "/sign-in"), ("POST", "/account/email")]:
        answer = await olga.send(method, address(path), {} if method == "POST" else None)
        assert {name: answer.headers.get(name) for name in PAGE} == PAGE, (method, path)
        cached = "public" if path.startswith("/static/") else "no-store"
        assert cached in answer.headers["Cache-Control"] or path.endswith("openapi.yaml"), (method, path)


@pytest.fixture
def https(settings: Settings) -> Settings:
    """Be reached by https through a proxy on loopback."""
    return replace(settings, base_url="https://companion.example.org", trusted_proxies=("127.0.0.0/8",))


async def test_over_https_cookies_are_for_this_host_alone(store: Store, https: Settings, clock: ManualClock) -> None:
    store.settings = https
    parts = make_services(store)
    async with TestClient(TestServer(create_app(parts)), cookie_jar=CookieJar(unsafe=True)) as client:
        person = Person(client, store, clock)
        await person.has_account()
        await person.opens("/sign-in")
        form = person.page.form("/sign-in").values | {"email": OLGA, "password": PASSWORD}
        answer = await client.post(
            "/sign-in",
            data=form,
            headers={"Origin": https.origin, "X-Forwarded-For": "203.0.113.9"},
            allow_redirects=False,
        )
        cookies = {name: morsel.output(header="") for name, morsel in answer.cookies.items()}
    parts.passwords.close()
    assert set(cookies) == {"__Host-session", "__Host-device", "__Host-sign-in"}
    for name, said in cookies.items():
        assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= {part.strip() for part in said.split(";")}, name
    assert "Max-Age" not in cookies["__Host-session"]
    assert "Max-Age=15552000" in cookies["__Host-device"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    async with store.reading() as transaction:
        owner = await find(transaction, OLGA)
        assert owner is not None
        (session,) = await sessions_of(transaction, owner.id)
    assert session.address == "203.0.113.9"


@pytest.mark.parametrize(
    ("trusted", "said", "seen"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8",), "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8", "203.0.113.0/24"), "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (("127.0.0.0/8",), "not an address", "127.0.0.1"),
        (("127.0.0.0/8", "203.0.113.0/24"), "198.51.100.1, ::ffff:203.0.113.9", "198.51.100.1"),
    ],
)
async def test_only_trusted_proxies_tell_where_somebody_comes_from(
    store: Store, clock: ManualClock, trusted: tuple[str, ...], said: str, seen: str
) -> None:
    store.settings = replace(store.settings, trusted_proxies=trusted)
    parts = make_services(store)
    async with TestClient(TestServer(create_app(parts)), cookie_jar=CookieJar(unsafe=True)) as client:
        person = Person(client, store, clock)
        await person.has_account()
        await person.opens("/sign-in")
        form = person.page.form("/sign-in").values | {"email": OLGA, "password": PASSWORD}
        await person.send("POST", "/sign-in", form, **{"X-Forwarded-For": said})
        page = await person.opens("/account/sessions")
    parts.passwords.close()
    assert f"<dd>{seen}</dd>" in page.text


async def test_what_is_not_there_says_so(olga: Person) -> None:
    page = await olga.opens("/nothing")
    assert (page.status, page.heading) == (404, "Page not found")
    answer = await olga.send("GET", "/api/v1/nothing")
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert json.loads(answer.text)["status"] == 404


async def test_a_fault_of_ours_shows_and_logs_no_secret(olga: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that it is our mistake; the log says where, never what somebody typed."""
    marker = "MARKER-typed-by-olga"

    async def broken(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever it is called with
        raise RuntimeError(marker)

    monkeypatch.setattr("teslafi_companion.http.pages.sign_in.with_password", broken)
    await olga.opens("/sign-in")
    with structlog.testing.capture_logs() as lines:
        page = await olga.fills("/sign-in", email=OLGA, password=marker)
    assert (page.status, page.heading) == (500, "Something went wrong")
    (failed,) = [line for line in lines if line["event"] == "failed"]
    assert failed["fault"] == "RuntimeError"
    assert marker not in page.text + repr(lines)


async def test_the_request_log_has_no_query(olga: Person) -> None:
    with structlog.testing.capture_logs() as lines:
        await olga.opens("/sign-up/confirm?token=MARKER-token")
        await olga.opens("/MARKER-path?x=1")
    assert [line["route"] for line in lines if line["event"] == "answered"] == ["/sign-up/confirm", None]
    assert "MARKER" not in repr(lines)


async def test_the_request_log_tells_who_was_refused_what(olga: Person) -> None:
    """By the account's identifier: a form of elsewhere, and what belongs to somebody else."""
    await olga.has_account()
    await olga.signs_in()
    async with olga.store.reading() as transaction:
        owner = str(await olga.account(transaction))
    with structlog.testing.capture_logs() as lines:
        await olga.send("POST", "/account/sessions/others/end", {"csrf": "of another session"})
        await olga.send("POST", "/sign-out", {}, Origin="https://evil.example")
        await olga.opens("/account")
        csrf = olga.page.form("/sign-out").values["csrf"]
        await olga.send("POST", f"/account/sessions/{uuid4()}/end", {"csrf": csrf})
    said = [(line["status"], line["account"], line["why"]) for line in lines if line["event"] == "answered"]
    assert said == [
        (403, owner, "form of another session"),
        (403, None, "another site"),
        (200, owner, None),
        (404, owner, None),
    ]


async def test_too_many_password_checks_at_once_are_told_to_wait(olga: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever it is called with
        raise PasswordsBusy

    monkeypatch.setattr("teslafi_companion.http.pages.sign_in.with_password", busy)
    await olga.opens("/sign-in")
    page = await olga.fills("/sign-in", email=OLGA, password=PASSWORD)
    assert (page.status, page.heading, page.headers["Retry-After"]) == (503, "Very busy", "5")


async def test_a_closed_service_takes_nobody_new(olga: Person) -> None:
    olga.store.settings = replace(olga.store.settings, sign_up_open=False)
    assert (await olga.opens("/sign-up")).heading == "Sign-up is closed"
    answer = await olga.send("POST", "/sign-up", {"email": OLGA, "password": PASSWORD})
    assert answer.status == 403
    assert await olga.mails() == []


async def test_what_people_typed_is_shown_as_text(olga: Person) -> None:
    """Markup in an address or a browser's name is no markup of the page."""
    page = await olga.send("POST", "/sign-in", {"email": '"><script>alert(1)</script>', "password": "x"})
    assert "<script>alert" not in page.text
    await olga.has_account()
    await olga.opens("/sign-in")
    form = olga.page.form("/sign-in").values | {"email": OLGA, "password": PASSWORD}
    await olga.send("POST", "/sign-in", form, **{"User-Agent": "<b>Firefox</b>"})
    page = await olga.opens("/account/activity")
    assert "<b>Firefox" not in page.text


async def test_ready_only_with_a_database(olga: Person) -> None:
    assert (await olga.send("GET", "/readyz")).status == 200
    assert (await olga.send("GET", "/healthz")).status == 200
