"""What the tests of linking share: an account, its approval, and what a Home Assistant does with it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
import pyotp
from yarl import URL

from teslafi_companion.app import create_app
from teslafi_companion.domain.accounts import account, sessions, totp
from teslafi_companion.domain.accounts.step_up import Method, Purpose
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links import codes, devices, tokens
from teslafi_companion.domain.links.clients import CLIENTS
from teslafi_companion.domain.links.codes import Redemption
from teslafi_companion.domain.links.faults import OAuthFault
from teslafi_companion.domain.links.instance import Instance
from teslafi_companion.domain.links.links import Approval, Link, Proof, links_of
from teslafi_companion.domain.links.pkce import challenge_of
from teslafi_companion.domain.links.scopes import STATUS, Acr, Scope
from teslafi_companion.domain.links.tokens import Tokens
from teslafi_companion.http.services import make_services
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import audit, outbox

CLIENT = CLIENTS["home-assistant"]
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = challenge_of(VERIFIER)
INSTANCE = Instance("Marker home Quetzal", "instance-0123456789")
HOME = Visitor("198.51.100.7", "HomeAssistant/2026.10.4")
BROWSER = Visitor("198.51.100.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0")
DETAILS = {
    "type": "teslafi_controls",
    "account": "0a0a0a0a-0000-4000-8000-000000000001",
    "account_name": "Tesla (Roadrunner)",
    "groups": ["charging", "climate"],
    "vehicles": [{"vin": "5YJ3E1EA7KF000001", "name": "Roadrunner"}],
}
"""What controls are asked for in tests."""
ELSEWHERE = Visitor("203.0.113.50", "curl/8")
OWNER = "pia.marker@example.org"


@dataclass(frozen=True)
class Letter:
    """A mail in the outbox."""

    to: str
    subject: str
    text: str


async def make_account(store: Store, address: str = OWNER, *, second_factor: bool = False) -> UUID:
    async with store.transaction() as transaction:
        made = await account.create(transaction, address, "$argon2id$not-used")
        assert made is not None
        if second_factor:
            enrolment = await totp.begin(transaction, made, "label")
            code = pyotp.TOTP(enrolment.secret).at(transaction.now)
            assert await totp.activate(transaction, made, enrolment, code)
        return made


def approval_of(store: Store, owner: UUID, instance: Instance = INSTANCE, **changes: object) -> Approval:
    approval = Approval(
        owner,
        CLIENT.id,
        STATUS,
        instance,
        Proof(store.clock(), Acr.PASSWORD, 1),
        BROWSER.address,
        BROWSER.agent,
    )
    return replace(approval, **changes)  # type: ignore[arg-type]


async def make_code(store: Store, owner: UUID, instance: Instance = INSTANCE, **changes: object) -> str:
    async with store.transaction() as transaction:
        approval = approval_of(store, owner, instance, **changes)
        return await codes.issue_code(transaction, approval, MY_HOME_ASSISTANT, CHALLENGE)


async def redeem(
    store: Store,
    code: str,
    *,
    redirect_uri: str = MY_HOME_ASSISTANT,
    verifier: str = VERIFIER,
    visitor: Visitor = HOME,
) -> Tokens | OAuthFault:
    async with store.transaction() as transaction:
        return await codes.redeem(transaction, CLIENT, Redemption(code, redirect_uri, verifier), visitor)


async def link_up(store: Store, owner: UUID, instance: Instance = INSTANCE, **changes: object) -> Tokens:
    given = await redeem(store, await make_code(store, owner, instance, **changes))
    assert isinstance(given, Tokens)
    return given


async def refresh(
    store: Store, token: str, *, scopes: frozenset[Scope] | None = None, visitor: Visitor = HOME
) -> Tokens | OAuthFault:
    async with store.transaction() as transaction:
        return await tokens.refresh(transaction, CLIENT, token, scopes, visitor)


async def refreshed(store: Store, given: Tokens, *, visitor: Visitor = HOME) -> Tokens:
    successor = await refresh(store, given.refresh, visitor=visitor)
    assert isinstance(successor, Tokens)
    return successor


async def poll(store: Store, device_code: str) -> Tokens | OAuthFault:
    async with store.transaction() as transaction:
        return await devices.poll(transaction, CLIENT, device_code, HOME)


def error_of(answer: Tokens | OAuthFault) -> str | None:
    return answer.error if isinstance(answer, OAuthFault) else None


async def links(store: Store, owner: UUID) -> list[Link]:
    async with store.reading() as transaction:
        return await links_of(transaction, owner)


async def letters(store: Store) -> list[Letter]:
    """Return the mails of the outbox, in order."""
    async with store.reading() as transaction:
        rows = await transaction.rows(outbox.select().where(outbox.c.kind == "message").order_by(outbox.c.id))
        opened = [transaction.open(row.sealed, outbox, row.id, row.account_id or row.id) for row in rows]
    return [Letter(one["to"], one["subject"].partition(": ")[2], one["text"]) for one in opened]


async def subjects(store: Store) -> list[str]:
    return [letter.subject for letter in await letters(store)]


async def events(store: Store) -> list[str]:
    async with store.reading() as transaction:
        return [row.event for row in await transaction.rows(audit.select().order_by(audit.c.number))]


type Http = TestClient[web.Request, web.Application]


@asynccontextmanager
async def served(store: Store, *more: web.RouteDef) -> AsyncIterator[Http]:
    """Serve the companion with no worker beside it, and give a client of it."""
    parts = make_services(store)
    app = create_app(parts, works=False)
    app.add_routes(more)
    try:
        async with TestClient(TestServer(app)) as http:
            yield http
    finally:
        parts.passwords.close()


async def post(http: Http, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Send a form; returns status and JSON."""
    async with http.post(path, data=form) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


def code_form(code: str, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "client_id": CLIENT.id,
        "code": code,
        "redirect_uri": MY_HOME_ASSISTANT,
        "code_verifier": VERIFIER,
    } | changes


def refresh_form(token: str, **changes: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "client_id": CLIENT.id, "refresh_token": token} | changes


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Page:
    """What a browser got."""

    status: int
    location: str
    text: str
    headers: Mapping[str, str]


class Browser:
    """A browser with a session; forms carry the token of its pages."""

    def __init__(self, store: Store, http: Http, token: str, csrf: str) -> None:
        """Hold the session's cookie and its forms' token."""
        self._store = store
        self._http = http
        self._cookie = {"Cookie": f"session={token}"}
        self._csrf = csrf

    @classmethod
    async def signed_in(
        cls, store: Store, http: Http, owner: UUID, purpose: Purpose | None = None, *, method: Method = Method.PASSWORD
    ) -> Self:
        """Sign in, and prove a factor for a purpose."""
        async with store.transaction() as transaction:
            token, row = await sessions.open_session(transaction, owner, {Method.PASSWORD}, BROWSER)
            if purpose is not None:
                session = await sessions.find_session(transaction, token)
                assert session is not None
                renewed = await sessions.renew_token(transaction, session, purpose=purpose, method=method)
                assert renewed is not None
                token = renewed
        return cls(store, http, token, store.cipher.mac("csrf", row.bytes).hex())

    async def open(self, path: str) -> Page:
        """Open a page; redirects are not followed."""
        async with self._http.get(_encoded(path), headers=self._cookie, allow_redirects=False) as response:
            return await _page(response)

    async def send(self, path: str, *, csrf: str | None = None, site: str = "same-origin", **fields: str) -> Page:
        """Send a form of ours."""
        form = {"csrf": self._csrf if csrf is None else csrf} | fields
        headers = self._cookie | {"Sec-Fetch-Site": site}
        async with self._http.post(_encoded(path), data=form, headers=headers, allow_redirects=False) as response:
            return await _page(response)


def _encoded(path: str) -> URL:
    return URL(path, encoded=True)


async def _page(response: ClientResponse) -> Page:
    return Page(response.status, response.headers.get("Location", ""), await response.text(), response.headers)
