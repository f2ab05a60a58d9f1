"""Trouble of ours is 503 with `Retry-After`, whatever is asked: never a 500, and never the visitor's fault."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
import sqlite3
import threading
from typing import Any

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
import asyncpg
import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, OperationalError, TimeoutError as NoConnection

from teslafi_companion.app import create_app
from teslafi_companion.crypto import KeyFault
from teslafi_companion.domain.accounts.throttle import SIGN_IN_STRANGER, Attempt, judging, reserve
from teslafi_companion.http.services import make_services
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store, StoreUnreachable, new_id
from teslafi_companion.store.probe import Probe
from teslafi_companion.store.sqlite import connect
from teslafi_companion.work.housekeeping import keep_house

from .clock import ManualClock
from .web.person import OLGA, PASSWORD, Person
from .web.test_access import ROUTES, address

pytestmark = pytest.mark.usefixtures("socket_enabled")

PATIENCE = 60
"""Seconds after which nothing will come any more: no measure of how quick a machine is."""


def sqlite_fault(code: int) -> sqlite3.OperationalError:
    """Return a fault as SQLite's driver raises it."""
    fault = sqlite3.OperationalError("trouble")
    fault.sqlite_errorcode = code
    return fault


FAULTS: dict[str, Callable[[], Exception]] = {
    "refused": lambda: ConnectionRefusedError(111, "refused"),
    "name not found": lambda: OSError(-2, "Name or service not known"),
    "timeout": TimeoutError,
    "pool": lambda: NoConnection("QueuePool limit"),
    "starting up": lambda: asyncpg.CannotConnectNowError("starting up"),
    "too many": lambda: asyncpg.TooManyConnectionsError("sorry"),
    "not accepting": lambda: asyncpg.ObjectNotInPrerequisiteStateError("not accepting connections"),
    "password": lambda: asyncpg.InvalidPasswordError("no"),
    "closed": lambda: asyncpg.InterfaceError("connection is closed"),
    "gone": lambda: asyncpg.ConnectionDoesNotExistError("gone"),
    "disk full": lambda: sqlite_fault(sqlite3.SQLITE_FULL),
    "read-only": lambda: sqlite_fault(sqlite3.SQLITE_READONLY_DBMOVED),
    "not to be opened": lambda: sqlite_fault(sqlite3.SQLITE_CANTOPEN),
    "input or output": lambda: sqlite_fault(sqlite3.SQLITE_IOERR_WRITE),
}


OF_SQLITE = {"disk full", "read-only", "not to be opened", "input or output"}


@contextmanager
def out_of_reach(store: Store, fault: Callable[[], Exception]) -> Iterator[None]:
    """Let every new connection fail."""

    def refuse(*_: object) -> None:
        raise fault()

    engine = store.engine.sync_engine
    event.listen(engine, "do_connect", refuse)
    engine.dispose()
    try:
        with pytest.MonkeyPatch.context() as patch:
            # SQLite's connections are made by our own function, which that event does not know
            patch.setattr("teslafi_companion.store.database.connect", refuse)
            yield
    finally:
        event.remove(engine, "do_connect", refuse)


@pytest.mark.parametrize("kind", FAULTS)
async def test_what_the_drivers_raise_becomes_one_fault(store: Store, kind: str) -> None:
    if kind in OF_SQLITE and store.engine.dialect.name != "sqlite":
        pytest.skip("faults of the other driver")
    with out_of_reach(store, FAULTS[kind]):
        with pytest.raises(StoreUnreachable):
            async with store.transaction():
                pass
        with pytest.raises(StoreUnreachable):
            async with store.reading():
                pass
    async with store.reading():
        pass


async def test_a_fault_of_a_statement_stays_what_it_is(store: Store) -> None:
    """It would not go away by asking again: whoever works off rows has to know it from trouble."""
    row = {"id": 1, "written_at": store.clock()}
    with pytest.raises(IntegrityError):
        async with store.transaction() as transaction:
            await transaction.execute(tables.probe.insert().values([row, row]))
    with pytest.raises(Exception, match="nowhere") as caught:
        async with store.reading() as transaction:
            await transaction.execute(text("SELECT 1 FROM nowhere"))
    assert not isinstance(caught.value, StoreUnreachable)
    if store.engine.dialect.name == "postgresql":
        with pytest.raises(Exception, match=r".") as caught:
            async with store.transaction() as transaction:
                await transaction.execute(tables.outbox.insert().values(id=new_id(), kind="\ud800"))
        assert not isinstance(caught.value, StoreUnreachable)


@pytest.mark.parametrize(
    ("state", "passes"),
    [
        *(
            (state, True)
            for state in ("08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "58030")
        ),
        *((state, False) for state in ("22001", "23505", "42P01", "42703", "25P02")),
    ],
)
async def test_postgresql_s_word_tells_trouble_from_a_faulty_statement(
    store: Store, state: str, *, passes: bool
) -> None:
    """In the middle of a statement: what would go away by asking again must not cost anybody an attempt."""
    if store.engine.dialect.name != "postgresql":
        pytest.skip("states of the other database")
    raised = text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")
    for opened in (store.transaction, store.reading):
        with pytest.raises(Exception, match=r".") as caught:
            async with opened() as transaction:
                await transaction.execute(raised)
        assert isinstance(caught.value, StoreUnreachable) is passes


@pytest.mark.parametrize("signed_in", [False, True])
async def test_no_request_is_answered_with_500(store: Store, clock: ManualClock, *, signed_in: bool) -> None:
    parts = make_services(store)
    app = create_app(parts, works=False)
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client:
        person = await Person(client, store, clock).has_account()
        if signed_in:
            await person.signs_in()
        needed = 0
        with out_of_reach(store, FAULTS["starting up"]):
            for method, path in ROUTES:
                form = {"email": OLGA, "password": PASSWORD} if method == "POST" else None
                headers = {"Authorization": "Bearer marker"} if path.startswith("/api/") else {}
                answer = await person.send(method, address(path), form, **headers)
                assert answer.status != 500, (method, path)
                if answer.status == 503:
                    needed += 1
                    assert answer.headers["Retry-After"].isdigit(), (method, path)
        assert needed > (30 if signed_in else 8)
    parts.passwords.close()


@pytest.mark.parametrize("settles", ["the next attempt", "housekeeping"])
async def test_an_attempt_costs_nothing_although_the_database_was_gone_when_it_was_to_be_given_back(
    store: Store, settles: str
) -> None:
    """It is owed until the database is there again: whoever comes then has all attempts."""
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(7):
        reservation = await reserve(store, [attempt])
        assert reservation.admitted
        with out_of_reach(store, FAULTS["starting up"]):
            with pytest.raises(StoreUnreachable):
                async with judging(store, reservation), store.reading():
                    pass
            with pytest.raises(StoreUnreachable):
                await reserve(store, [attempt])
    if settles == "housekeeping":
        await keep_house(store, deletes=False)
        async with store.reading() as transaction:
            assert [row.attempts for row in await transaction.rows(select(tables.throttle))] == [0]
    assert [(await reserve(store, [attempt])).admitted for _ in range(6)] == [True] * 5 + [False]


TROUBLE: list[Exception] = [
    KeyFault("KMS is gone"),
    OSError(28, "No space left"),
    asyncpg.PostgresError("no such marker"),
]


@pytest.mark.parametrize("fault", TROUBLE, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/status"])
async def test_trouble_of_any_kind_in_a_handler_is_503(
    store: Store, monkeypatch: pytest.MonkeyPatch, fault: Exception, path: str
) -> None:
    parts = make_services(store)

    def fails(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("teslafi_companion.http.pages.sign_in.own_path", fails)
    monkeypatch.setattr("teslafi_companion.http.api.access.find_caller", fails)
    async with TestClient(TestServer(create_app(parts, works=False))) as client:
        answer = await client.get(path, headers={"Authorization": "Bearer marker"})
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "30"
        assert str(fault) not in await answer.text()
    parts.passwords.close()


async def test_a_process_without_a_free_connection_asks_for_another_to_serve(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Visitors would wait as long: a proxy has others, and comes back when one is free."""
    parts = make_services(store)
    async with TestClient(TestServer(create_app(parts, works=False))) as client:
        async with AsyncExitStack() as taken:
            for _ in range(store.settings.database_pool):
                await taken.enter_async_context(store.engine.connect())
            with monkeypatch.context() as hurried:
                hurried.setattr("teslafi_companion.store.probe.SECONDS", 0.3)
                answer = await client.get("/readyz")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert (await client.get("/healthz")).status == 200
        assert (await client.get("/readyz")).status == 200
    parts.passwords.close()


READ_ONLY = {
    "sqlite": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    "postgresql": ("SET transaction_read_only = on", "SET transaction_read_only = off"),
}


async def test_readiness_notices_a_database_that_takes_no_writes(store: Store, clock: ManualClock) -> None:
    parts = make_services(store)
    read_only, writable = READ_ONLY[store.engine.dialect.name]
    words = [writable]

    def set_up(connection: DBAPIConnection, *_: object) -> None:
        cursor = connection.cursor()
        cursor.execute(words[-1])
        cursor.close()

    event.listen(store.engine.sync_engine, "checkout", set_up)
    async with TestClient(TestServer(create_app(parts, works=False))) as client:
        assert (await client.get("/readyz")).status == 200
        words.append(read_only)
        clock.advance(seconds=10)
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert (await answer.json())["status"] == "database unreachable"
        assert (await client.get("/healthz")).status == 200
        words.append(writable)
        assert (await client.get("/readyz")).status == 200
        async with store.reading() as transaction:
            written = [row.written_at for row in await transaction.rows(select(tables.probe.c.written_at))]
        assert written == [clock()], "a write that changes nothing needs no disk"
        # What was written while the clock was ahead says nothing about the present
        clock.advance(days=2)
        assert (await client.get("/readyz")).status == 200
        clock.advance(days=-2)
        words.append(read_only)
        assert (await client.get("/readyz")).status == 503
    parts.passwords.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_could_not_begin_is_not_done_outside_of_its_transaction(store: Store) -> None:
    """A transaction begins with its first statement, which another process's command may keep waiting for too long."""
    row = insert(tables.probe).values(id=1, written_at=store.clock())
    async with store.reading() as transaction:
        await transaction.execute(text("PRAGMA busy_timeout = 1"))
    path = store.settings.sqlite_path
    assert path is not None

    async def write(other: sqlite3.Connection) -> None:
        async with store.transaction() as transaction:
            for _ in range(2):
                with pytest.raises(OperationalError, match="locked"):
                    await transaction.execute(row)
            other.execute("ROLLBACK")
            await transaction.execute(row)
            raise ZeroDivisionError

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ZeroDivisionError):
            await write(other)
    async with store.reading() as transaction:
        assert await transaction.first(select(tables.probe)) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_did_nothing_leaves_no_beginning_behind(store: Store) -> None:
    """The next to have its connection reads without a transaction, and holds up nobody."""
    async with store.transaction():
        pass
    path = store.settings.sqlite_path
    assert path is not None
    async with store.reading() as transaction:
        await transaction.execute(text("PRAGMA busy_timeout = 1"))
        await transaction.first(select(tables.probe))
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")


async def only_worker(store: Store, pragma: str) -> threading.Thread:
    """Set one connection up, and leave the pool no other; return its thread."""
    await store.engine.dispose()
    others = set(threading.enumerate())
    async with store.reading() as transaction:
        await transaction.execute(text(pragma))
    (worker,) = set(threading.enumerate()) - others
    return worker


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("it_gets_the_lock", [True, False])
async def test_who_gives_up_while_another_writes_leaves_neither_lock_nor_row(
    store: Store, *, it_gets_the_lock: bool
) -> None:
    """SQLite's thread waits for the lock all the same, and writes if it gets it: in a transaction that ends there."""
    worker = await only_worker(store, f"PRAGMA busy_timeout = {1000 * PATIENCE if it_gets_the_lock else 1}")
    path = store.settings.sqlite_path
    assert path is not None

    async def write() -> None:
        async with store.transaction() as transaction:
            await transaction.execute(insert(tables.probe).values(id=1, written_at=store.clock()))

    asked = asyncio.Event()
    event.listen(store.engine.sync_engine, "before_cursor_execute", lambda *_: asked.set())
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as other:
        other.execute("BEGIN IMMEDIATE")
        gives_up = asyncio.create_task(write())
        await asked.wait()
        gives_up.cancel()
        if it_gets_the_lock:
            other.execute("ROLLBACK")
        with pytest.raises(asyncio.CancelledError):
            await gives_up
        if it_gets_the_lock:
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM probe").fetchone() == (0,)
        other.execute("ROLLBACK")
        await asyncio.to_thread(worker.join, PATIENCE)
        await write()
        other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM probe").fetchone() == (1,)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_readiness_answers_in_time_while_another_process_writes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives up waits for SQLite's thread no longer, which may wait for the lock far longer."""
    worker = await only_worker(store, f"PRAGMA busy_timeout = {1000 * PATIENCE}")
    path = store.settings.sqlite_path
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as other:
        other.execute("BEGIN IMMEDIATE")
        with monkeypatch.context() as patch:
            patch.setattr("teslafi_companion.store.probe.SECONDS", 0.1)
            asking = asyncio.create_task(Probe(store)())
            await asyncio.wait({asking}, timeout=PATIENCE / 2)
        assert asking.done()
        with pytest.raises(StoreUnreachable):
            await asking
        async with store.reading() as transaction:
            assert await transaction.first(select(tables.probe)) is None
        other.execute("ROLLBACK")
        await asyncio.to_thread(worker.join, PATIENCE)
        await Probe(store)()
        assert other.execute("SELECT count(*) FROM probe").fetchone() == (1,)
        other.execute("BEGIN IMMEDIATE")


async def test_a_statement_on_its_way_is_undone_with_its_transaction(tmp_path: Path) -> None:
    """The thread comes to it when the event loop has ended the transaction."""
    connection = await connect(tmp_path / "data.sqlite3")
    cursor = await connection.cursor()
    await cursor.execute("CREATE TABLE told (word)")
    busy = threading.Event()

    async def begun(asked: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(asked)
        await asyncio.sleep(0)
        return task

    def hold(_: sqlite3.Connection) -> None:
        busy.wait()

    try:
        holding = await begun(connection.visit(hold))
        connection.begin("BEGIN IMMEDIATE")
        writing = await begun(cursor.execute("INSERT INTO told VALUES ('something')"))
        ending = await begun(connection.rollback())
        busy.set()
        await asyncio.gather(holding, writing, ending)
        assert not connection.in_transaction
        assert await (await cursor.execute("SELECT * FROM told")).fetchall() == []
    finally:
        busy.set()
        await connection.close()
