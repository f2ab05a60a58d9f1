"""Somebody with a browser in front of the companion: follows redirects, fills in forms, keeps cookies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
import re
from typing import Any, Self, override
from uuid import UUID

from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
import pyotp
from sqlalchemy import select
from yarl import URL

from teslafi_companion.app import create_app
from teslafi_companion.domain.accounts import account, recovery, totp
from teslafi_companion.domain.accounts.passwords import Passwords
from teslafi_companion.domain.billing.port import BillingPort
from teslafi_companion.http.services import make_services
from teslafi_companion.settings import Policy
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.tables import outbox
from teslafi_companion.work.outbox import RESOLVERS, OutboxWorker

from ..clock import ManualClock
from ..oauth.linking import Letter, letters

PASSWORD = "nine purple teapots on a hill"
OTHER_PASSWORD = "eleven green kettles in a cellar"
OLGA = "olga.marker@example.org"


@dataclass
class Form:
    """A form of a page: where it goes and what it holds."""

    action: str
    values: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(said["action"]))
        elif tag == "input" and self.forms and "name" in said:
            self.forms[-1].values[said["name"]] = said.get("value", "")


@dataclass
class Page:
    """What the browser shows."""

    status: int
    path: str
    text: str
    headers: Mapping[str, str]

    @property
    def heading(self) -> str:
        """The page's first heading."""
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return found[1] if found else ""

    @property
    def error(self) -> str:
        """What the page says went wrong."""
        found = re.search(r'class="error" role="alert">(.*?)</p>', self.text, re.DOTALL)
        return found[1] if found else ""

    def form(self, action: str) -> Form:
        """Return the form that goes to a path."""
        parser = _Forms()
        parser.feed(self.text)
        return next(form for form in parser.forms if form.action == action)


class Person:
    """One person with one browser."""

    def __init__(self, client: TestClient[Any, Any], store: Store, clock: ManualClock) -> None:
        """Sit down in front of an empty browser."""
        self.client = client
        self.store = store
        self.clock = clock
        self.page = Page(0, "", "", {})
        self.secret = ""

    async def send(self, method: str, path: str, data: Mapping[str, str] | None = None, **headers: str) -> Page:
        """Make one request, follow no redirect."""
        said = {"Origin": self.store.settings.origin, "User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/145.0"} | headers
        async with self.client.request(
            method, URL(path, encoded=True), data=data, headers=said, allow_redirects=False
        ) as answer:
            return await self._page(answer, path)

    async def _page(self, answer: ClientResponse, path: str) -> Page:
        return Page(answer.status, path, await answer.text(), answer.headers)

    async def opens(self, path: str) -> Page:
        """Open a page, following redirects."""
        self.page = await self.send("GET", path)
        return await self.follows()

    async def fills(self, action: str, **typed: str) -> Page:
        """Fill in the shown page's form that goes to `action`, and send it."""
        form = self.page.form(action)
        self.page = await self.send("POST", action, form.values | typed)
        return await self.follows()

    async def follows(self) -> Page:
        """Follow the redirects of what was sent."""
        while self.page.status == 303:
            self.page = await self.send("GET", self.page.headers["Location"])
        return self.page

    # Journeys

    async def mails(self) -> list[Letter]:
        """Have the outbox's work done, and return the mails."""
        worker = OutboxWorker(self.store, RESOLVERS, None)
        while await self._works_waiting():
            await worker.work_once()
        return await letters(self.store)

    async def _works_waiting(self) -> bool:
        async with self.store.reading() as transaction:
            waiting = select(outbox.c.id).where(
                outbox.c.state == "waiting", outbox.c.kind.in_(RESOLVERS), outbox.c.due_at <= transaction.now
            )
            return await transaction.first(waiting) is not None

    async def link_in(self, subject: str) -> str:
        """Return the path of the link in the newest mail of this subject."""
        mail = [mail for mail in await self.mails() if mail.subject == subject][-1]
        found = re.search(r"https?://\S+\?token=\S+", mail.text)
        assert found is not None
        return URL(found[0]).raw_path_qs

    async def has_account(self, email: str = OLGA, password: str = PASSWORD) -> Self:
        """Make an account, without the way through the mail."""
        hashed = await make_phc(self.store, password)
        async with self.store.transaction() as transaction:
            assert await account.create(transaction, email, hashed) is not None
        return self

    async def is_protected(self) -> list[str]:
        """Have an account with an app, without the way through its pages, and sign in; returns the recovery codes."""
        await self.has_account()
        async with self.store.transaction() as transaction:
            owner = await self.account(transaction)
            enrolment = await totp.begin(transaction, owner, OLGA)
        self.secret = enrolment.secret
        code = self.code()
        async with self.store.transaction() as transaction:
            assert await totp.activate(transaction, owner, enrolment, code)
            codes = await recovery.regenerate(transaction, owner)
        await self.signs_in()
        await self.fills("/sign-in/second-factor", code=self.code())
        assert self.page.heading == "Your account"
        return codes

    @staticmethod
    async def account(transaction: Transaction, email: str = OLGA) -> UUID:
        """Return the identifier of an account."""
        found = await account.find(transaction, email)
        assert found is not None
        return found.id

    async def signs_in(self, email: str = OLGA, password: str = PASSWORD) -> Page:
        """Go through the sign-in form; stops at the second factor, if there is one."""
        await self.opens("/sign-in")
        return await self.fills("/sign-in", email=email, password=password)

    async def confirms(self) -> Page:
        """Prove once more to be the owner, by what the shown page asks for."""
        assert self.page.heading == "Confirm that it's you", self.page.text
        if self.secret:
            return await self.fills("/step-up", code=self.code())
        return await self.fills("/step-up", password=PASSWORD)

    async def sets_up_app(self) -> None:
        """Switch an authenticator app on, and make recovery codes."""
        await self.opens("/account/security/app")
        if self.page.heading.startswith("Confirm"):
            await self.confirms()
        found = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', self.page.text)
        assert found is not None
        self.secret = found[1].replace(" ", "")
        await self.fills("/account/security/app", code=self.code())

    def code(self) -> str:
        """Read the app, after waiting for a code that was not used yet."""
        self.clock.advance(seconds=30)
        return pyotp.TOTP(self.secret).at(self.clock())

    async def makes_recovery_codes(self) -> list[str]:
        """Make recovery codes and write them down."""
        await self.opens("/account/security/recovery-codes")
        if self.page.heading.startswith("Confirm"):
            await self.confirms()
        await self.fills("/account/security/recovery-codes")
        return self.shown_codes()

    def shown_codes(self) -> list[str]:
        """Return the recovery codes that the page shows."""
        return re.findall(r"<li>([0-9A-Z]{6}(?:-[0-9A-Z]{6}){3})</li>", self.page.text)


async def make_phc(store: Store, password: str) -> str:
    """Hash a password as the service does; the same one once."""
    known = (store.settings.policy, password)
    if known not in _hashed:
        passwords = Passwords(store.settings.policy)
        try:
            _hashed[known] = await passwords.hash(password)
        finally:
            passwords.close()
    return _hashed[known]


_hashed: dict[tuple[Policy, str], str] = {}


class Companion:
    """The served application, for as many browsers as a test needs."""

    def __init__(self, store: Store, clock: ManualClock, billing: BillingPort | None = None) -> None:
        """Serve this store; without a keeper of subscriptions, nothing costs anything.

        No worker runs beside it: tests have the one that they are about work when they say so.
        """
        self.store = store
        self.clock = clock
        self._parts = make_services(store, billing)
        self.server = TestServer(create_app(self._parts, works=False))
        self._clients: list[TestClient[Any, Any]] = []

    async def __aenter__(self) -> Self:
        """Start."""
        await self.server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        for client in self._clients:
            await client.close()
        await self.server.close()
        self._parts.passwords.close()

    def person(self) -> Person:
        """Return somebody with an empty browser."""
        client = TestClient(self.server, cookie_jar=CookieJar(unsafe=True))
        self._clients.append(client)
        return Person(client, self.store, self.clock)
