"""A companion that is served as it is in production, in a thread of its own, while a test sends bytes from another."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
import socket
import threading
import time
from typing import Any, Final, override

import pytest
from sqlalchemy import delete, func, insert, select
import structlog

from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.adapters.chargebee.webhooks import ChargebeeWebhooks
from teslafi_companion.adapters.free.billing import FreeOfCharge
from teslafi_companion.app import SUPERVISOR, create_app
from teslafi_companion.clock import system_clock
from teslafi_companion.crypto import new_token, token_hash
from teslafi_companion.domain.accounts import account, sessions
from teslafi_companion.domain.accounts.account import CHANGE_EMAIL, RESET, SIGN_UP
from teslafi_companion.domain.accounts.step_up import Method
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.billing.port import Checkout, Portal, Webhooks
from teslafi_companion.domain.links.links import Proof
from teslafi_companion.domain.links.scopes import Acr, Scope
from teslafi_companion.http.door import DOORKEEPER, GuardedSite
from teslafi_companion.http.protocol import Runner
from teslafi_companion.http.services import Services, make_services
from teslafi_companion.settings import Settings
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store, create_engine, new_id
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.schema import migrate

from ..companion.conftest import CHEAP
from ..companion.oauth.linking import link_up
from .raw import Answer, answer_of

OLGA: Final = "olga.marker@example.org"
PRICE: Final = "controls-USD-monthly"
WEBHOOKS: Final = "chargebee:marker-webhook-password"
HERE: Final = Visitor("127.0.0.1", "Firefox")
SECONDS: Final = 120
TICK: Final = 0.01
TRACE: Final = ("failed", "unavailable", "loop_failed", "mail_given_up")
"""What the log says when something of ours went wrong."""


CHARGEBEE: Final = ChargebeeSettings(
    site="acme-test",
    api_key="test_simulated",
    item_prices=(f"{PRICE}=Controls",),
    webhook_credentials=(WEBHOOKS,),
    base_url="http://127.0.0.1:1",
)


class Paid(FreeOfCharge):
    """A keeper of subscriptions that knows nobody, with Chargebee's webhooks."""

    @property
    @override
    def webhooks(self) -> Webhooks:  # type: ignore[override]
        return ChargebeeWebhooks(CHARGEBEE)

    @property
    @override
    def required(self) -> bool:
        return True

    @override
    async def checkout_url(self, customer_id: str, checkout: Checkout) -> str:
        """Lead to a page that is none."""
        return "https://example.org/checkout"

    @override
    async def open_portal(self, customer_id: str, back: str) -> Portal:
        """Lead to a page that is none."""
        return Portal(new_token(), "https://example.org/portal")

    @override
    async def close_portal(self, portal_id: str) -> None:
        """Do nothing."""


@dataclass
class Keys:
    """What opens the doors at the moment."""

    cookies: str = ""
    csrf: str = ""
    access: str = ""
    refresh: str = ""
    links: dict[str, str] = field(default_factory=dict)


class Served:
    """The companion at a port of this machine."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        """Keep everything in a folder, but for a database that is elsewhere."""
        self.settings = Settings(
            database=database or f"sqlite:///{folder / 'data' / 'companion.sqlite3'}",
            key_file=folder / "keys" / "companion.key",
            policy=CHEAP,
            metrics_port=-1,
            billing="chargebee",
            keeper=CHARGEBEE,
        )
        self.port = 0
        self.keys = Keys()
        self.log: list[dict[str, Any]] = []
        self.longest_stall = 0.0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._fault: BaseException | None = None

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        self._started.wait()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Stop, in order."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def do[Result](self, work: Coroutine[Any, Any, Result]) -> Result:
        """Have something done in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._go())
        except BaseException as fault:
            self._fault = fault
            raise
        finally:
            self._started.set()

    async def _go(self) -> None:
        engine = create_engine(self.settings)
        await migrate(engine)
        cipher = await open_cipher(engine, self.settings, system_clock)
        self.store = Store(engine, self.settings, cipher, system_clock)
        self.parts: Services = make_services(self.store, Paid())
        self.app = create_app(self.parts)
        runner = Runner(self.app, self.settings)
        await runner.setup()
        await GuardedSite(runner, "127.0.0.1", 0, self.app[DOORKEEPER]).start()
        self.port = runner.addresses[0][1]
        watch = asyncio.create_task(self._watch())
        await self.open_doors()
        self._started.set()
        await self._stop.wait()
        watch.cancel()
        await runner.cleanup()
        self.parts.passwords.close()
        await engine.dispose()

    async def _watch(self) -> None:
        """Measure for how long the loop works at most before it comes round.

        By the time of its own thread: what the client in the other thread takes, or the machine, is not its fault.
        """
        while True:
            begun = time.thread_time()
            await asyncio.sleep(TICK)
            self.longest_stall = max(self.longest_stall, time.thread_time() - begun - TICK)

    async def open_doors(self) -> None:
        """Be Olga: signed in, half signed in, linked, with a link of each kind in her mail; nothing is locked."""
        phc = await self.parts.passwords.hash("nine purple teapots on a hill")
        async with self.store.transaction() as transaction:
            await transaction.execute(delete(tables.throttle))
            await transaction.execute(delete(tables.outbox))
            owner = await account.find(transaction, OLGA)
            account_id = owner.id if owner else await account.create(transaction, OLGA, phc)
            assert account_id is not None
            token, row = await sessions.open_session(transaction, account_id, {Method.PASSWORD}, HERE)
            pending = await sessions.open_pending(transaction, account_id, HERE)
            owner = await account.load(transaction, account_id)
            assert owner is not None
            links = {purpose: new_token() for purpose in (SIGN_UP, RESET, CHANGE_EMAIL)}
            for purpose, secret in links.items():
                mine = None if purpose == SIGN_UP else account_id
                link = new_id()
                content = {"email": "new.marker@example.org"}
                await transaction.execute(
                    insert(tables.mail_link).values(
                        id=link,
                        account_id=mine,
                        purpose=purpose,
                        token_hash=token_hash(secret),
                        created_at=transaction.now,
                        expires_at=transaction.now + transaction.policy.reset_link,
                        credential_version=None if mine is None else owner.credential_version,
                        sealed=transaction.seal(content, tables.mail_link, link, mine or link),
                    )
                )
        proof = Proof(self.store.clock(), Acr.PASSWORD, owner.credential_version)
        given = await link_up(self.store, account_id, scopes=frozenset(Scope), proof=proof)
        self.keys = Keys(
            f"session={token}; sign-in={pending}",
            self.store.cipher.mac("csrf", row.bytes).hex(),
            given.access,
            given.refresh,
            links,
        )

    async def attempts(self) -> int:
        """Return how many attempts are counted."""
        async with self.store.reading() as transaction:
            counted = await transaction.execute(select(func.coalesce(func.sum(tables.throttle.c.attempts), 0)))
            return int(counted.scalar_one())

    def degraded(self) -> dict[str, str]:
        """Return the background work that does not go on."""
        return self.app[SUPERVISOR].degraded

    def send(self, said: bytes) -> Answer:
        """Send bytes on a connection of their own; return what comes back before it is closed."""
        received = bytearray()
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            try:
                connection.sendall(said)
                while chunk := connection.recv(65536):
                    received += chunk
            except ConnectionError:
                pass
        return answer_of(bytes(received))

    def troubles(self) -> list[dict[str, Any]]:
        """Return what the log says about trouble since the last time."""
        found = [line for line in self.log if line.get("event") in TRACE]
        self.log.clear()
        return found


@contextmanager
def serving(folder: Path, database: str | None = None) -> Iterator[Served]:
    """Serve for the time of the block: every door that asks for a fresh proof takes an old one."""
    served = Served(folder, database)

    def keep(_logger: object, _name: str, line: structlog.typing.EventDict) -> str:
        served.log.append(dict(line))
        raise structlog.DropEvent

    before = structlog.get_config()
    with pytest.MonkeyPatch.context() as patch:
        for place in ("guard", "oauth.pages"):
            patch.setattr(f"teslafi_companion.http.{place}.is_fresh", lambda *_: True)
        structlog.configure(processors=[keep], cache_logger_on_first_use=False)
        try:
            served.start()
            yield served
            served.stop()
        finally:
            structlog.configure(**before)
