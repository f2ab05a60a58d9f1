"""Transactions: one connection, one moment, one cipher, and audit entries that join the chain just before commit."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import datetime
import fcntl
from functools import cache
import os
from pathlib import Path
import stat
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid7

import asyncpg
from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    CursorResult,
    Executable,
    Row,
    Table,
    TextClause,
    bindparam,
    delete,
    event,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.engine.interfaces import BindTyping
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, SQLAlchemyError, TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from teslafi_companion.adapters.secrets_manager.password import RotatedPassword
from teslafi_companion.clock import Clock
from teslafi_companion.crypto import FieldCipher, Place
from teslafi_companion.settings import Settings

from .sqlite import OneVisitConnection, connect

type Step = Callable[[Transaction], Awaitable[None]]

_SQLITE_BUSY_MS: Final = 20_000
CONNECT_SECONDS: Final = 3.0
"""For a new connection to PostgreSQL: one that hangs must not outlive the trouble by much."""
STATEMENT_SECONDS: Final = 10.0
"""For one statement of a serving process. A server that vanished says nothing, and whoever waits holds a connection."""
SILENCE_SECONDS: Final = 1.0
"""Without an answer to anybody, after which whoever gives up waiting takes the server for gone."""
POOL_SECONDS: Final = 10.0
"""For a free connection, after which the visitor is better told to come again."""
DROPPED_AT_ONCE: Final = 5_000
"""How many rows one statement deletes at most, so that it ends in time and nobody waits long for its locks."""
_MOST_OWED: Final = 10_000
_READING: Final = "companion_reading"
_ASKED_AT: Final = "companion_asked_at"
_PLAIN: Final = "plain"
_SNAPSHOT: Final = "snapshot"
_PRIVATE: Final = 0o600


class DatabaseInUse(Exception):
    """Another process serves this database; the text is a sentence for the operator."""


class StoreUnreachable(Exception):
    """The database does not answer, or cannot do its work at present: gone, overloaded, read-only, its disk full.

    The text is the kind of the driver's fault. The same may work later; nothing of the transaction was kept.
    """


_POSTGRESQL_PASSING: Final = ("08", "25006", "40", "53", "55000", "55P03", "57", "58")
"""Beginnings of SQLSTATEs that say nothing about the statement: connection, read-only, undone because of others
(deadlock, snapshot), resources, no connections accepted, a lock that was not had in time, operator, system."""
_SQLITE_PASSING: Final = frozenset({5, 6, 8, 10, 11, 13, 14, 15, 26})
"""SQLite's primary result codes of the same kind: busy, locked, read-only, input or output, corrupt, full, not to be
opened, protocol, no database."""


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what the drivers and the pool raise when the database cannot be used into StoreUnreachable."""
    try:
        yield
    except (OSError, NoConnection, DisconnectionError) as fault:
        raise StoreUnreachable(type(fault).__name__) from fault
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        if not _is_passing(fault):
            raise
        raise StoreUnreachable(type(fault).__name__) from fault


def _is_passing(fault: Exception) -> bool:
    """Say whether a driver's fault is about the database rather than about what it was asked."""
    if not isinstance(fault, DBAPIError):
        # asyncpg's own, not SQLAlchemy's: only connecting raises it, so there is no statement that could be at fault
        return True
    driver: BaseException | None = fault.orig
    if fault.connection_invalidated or driver is None:
        return True
    code, state = getattr(driver, "sqlite_errorcode", None), getattr(driver, "sqlstate", None)
    if code is not None:
        return code % 256 in _SQLITE_PASSING
    if state is not None:
        return str(state).startswith(_POSTGRESQL_PASSING)
    # The client's own word; a value that it could not send is the statement's fault (asyncpg's DataError)
    return isinstance(fault, InterfaceError) and not isinstance(driver.__cause__, ValueError)


TROUBLE: Final = (StoreUnreachable, SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""Everything by which a request can fail because of the database, through no fault of who sent it."""


def create_engine(settings: Settings, *, patient: bool = False) -> AsyncEngine:
    """Open the pool of connections; SQLite in WAL mode, each commit on disk before it is acknowledged.

    With `patient` a statement to PostgreSQL may take as long as it takes, as those of an operator's commands may.
    """
    url = settings.database_url
    if url.get_backend_name() != "sqlite":
        engine = create_async_engine(
            url,
            pool_size=settings.database_pool,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
            hide_parameters=True,
            connect_args=_postgresql_arguments(settings, patient=patient),
        )
        _Silence().watch(engine)
        return engine
    path = settings.sqlite_path
    if path is None:
        raise ValueError("a SQLite database without a file")
    _keep_private(path)
    engine = create_async_engine(
        url,
        async_creator=lambda: connect(path),
        pool_size=settings.database_pool,
        max_overflow=0,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _postgresql_arguments(settings: Settings, *, patient: bool) -> dict[str, Any]:
    """Return what asyncpg, and SQLAlchemy's adapter of it, are told for each connection."""
    arguments: dict[str, Any] = {"timeout": CONNECT_SECONDS}
    if not patient:
        arguments["command_timeout"] = STATEMENT_SECONDS
    if (tls := settings.database_tls) is not None:
        arguments["ssl"] = tls
    if settings.database_secret:
        arguments["password"] = RotatedPassword(settings.database_secret)
    if settings.database_transaction_pooling:
        # The next transaction has another server connection, which knows no statement that was prepared on this one.
        # Without caches none has a name: it is parsed, bound and executed up to one Sync, and until that a pooler
        # keeps to one connection
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return arguments


class _Silence:
    """Tells a server that vanished without a word from one that is slow: the first answers nobody any more.

    Somebody who gave up waiting takes the connection along. Of a silent server the whole pool is given up, because each
    of its connections would be found out by another waiting visitor; a slow one would only be kept busier by that.
    """

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._heard_at = 0.0

    def watch(self, engine: AsyncEngine) -> None:
        """Hear what an engine asks and is answered."""
        event.listen(engine.sync_engine, "before_cursor_execute", self._asked)
        event.listen(engine.sync_engine, "commit", self._asked)
        event.listen(engine.sync_engine, "after_cursor_execute", self._answered)
        event.listen(engine.sync_engine, "handle_error", self._failed)

    def _asked(self, connection: Connection, *_: object) -> None:
        connection.info[_ASKED_AT] = monotonic()

    def _answered(self, *_: object) -> None:
        self._heard_at = monotonic()

    def _failed(self, context: ExceptionContext) -> None:
        if not isinstance(context.original_exception, TimeoutError | asyncio.CancelledError):
            return
        context.is_disconnect = True  # type: ignore[misc] # documented as to be set by listeners
        now = monotonic()
        asked_at = now if context.connection is None else context.connection.info.get(_ASKED_AT, now)
        # Halved, because the last answer may be of the moment in between, when this one had asked already
        silent = now - self._heard_at >= max((now - asked_at) / 2, SILENCE_SECONDS)
        context.invalidate_pool_on_disconnect = silent  # type: ignore[misc] # the same


def _keep_private(path: Path) -> None:
    """Make folder and file its owner's alone, whatever the umask; SQLite gives its log the file's mode."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            if file.exists() and stat.S_IMODE(file.stat().st_mode) != _PRIVATE:
                file.chmod(_PRIVATE)
    except PermissionError:
        # Not ours, or read-only: opening it says what is wrong in words
        return


@contextmanager
def serving_alone(settings: Settings) -> Iterator[None]:
    """Hold a SQLite file as the one process that serves it; raises DatabaseInUse. PostgreSQL takes any number."""
    path = settings.sqlite_path
    if path is None:
        yield
        return
    _keep_private(path)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseInUse(
            f"Another process already uses {path}, and SQLite only allows one. Stop that process or use PostgreSQL."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's adapter
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"busy_timeout={_SQLITE_BUSY_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING)
    if reading == _PLAIN:
        return
    driver = connection.connection.driver_connection
    if not isinstance(driver, OneVisitConnection):
        raise TypeError("not a connection of this module's making")
    # A transaction that starts reading and then writes can be refused however long it waits: writers begin as such
    driver.begin("BEGIN" if reading == _SNAPSHOT else "BEGIN IMMEDIATE")


class Transaction:
    """What a rule works with: the database, the moment and the cipher. Commits when its `async with` ends well."""

    def __init__(self, connection: AsyncConnection, settings: Settings, cipher: FieldCipher, now: datetime) -> None:
        """Take an open connection; `now` stays the same for the whole transaction."""
        self.connection = connection
        self.settings = settings
        self.policy = settings.policy
        self.cipher = cipher
        self.now = now
        self.audit_entries: list[Mapping[str, Any]] = []
        self.wakes_outbox = False
        self.left_some = False
        self._last_steps: dict[Step, None] = {}

    def finally_do(self, step: Step) -> None:
        """Have a step done once, just before the commit."""
        self._last_steps[step] = None

    async def finish(self) -> None:
        """Do the steps that come just before the commit."""
        for step in self._last_steps:
            await step(self)

    async def execute(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> CursorResult[Any]:
        """Execute one statement, with the values of its bound parameters if it has any of its own."""
        result = await self.connection.execute(statement, parameters)
        if not isinstance(result, CursorResult):
            raise TypeError("not a statement of the database")
        return result

    async def first(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Row[Any] | None:
        """Return the first row, or None."""
        return (await self.execute(statement, parameters)).first()

    async def rows(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> list[Row[Any]]:
        """Return all rows."""
        return list((await self.execute(statement, parameters)).all())

    async def changed_one(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> bool:
        """Execute an INSERT, UPDATE or DELETE and say whether it met exactly one row: how races are decided."""
        return (await self.execute(statement, parameters)).rowcount == 1

    async def drop(self, table: Table, where: ColumnElement[bool]) -> None:
        """Delete rows, DROPPED_AT_ONCE at most; `left_some` says afterwards that there are more."""
        key = tuple(table.primary_key.columns)
        some = select(*key).where(where).limit(DROPPED_AT_ONCE)
        # Asked twice: PostgreSQL looks again at a row that was changed while it waited for it, but not into `some`
        deleted = await self.execute(delete(table).where(tuple_(*key).in_(some), where))
        self.left_some |= deleted.rowcount >= DROPPED_AT_ONCE

    async def insert_once(self, table: Table, unique: str, values: Mapping[str, object]) -> bool:
        """Insert a row unless there is one with the same value in the `unique` column; says whether it did."""
        return await self.changed_one(_insertion(self.connection.dialect.name, table, unique, tuple(values)), values)

    async def insert_or_change(self, table: Table, unique: str, values: Mapping[str, object], changed: str) -> None:
        """Insert a row, or change the `changed` column of the one with the same value in the `unique` column."""
        await self.execute(_insertion(self.connection.dialect.name, table, unique, tuple(values), changed), values)

    def seal(self, value: object, table: Table, row: UUID, owner: UUID, column: str = "sealed") -> bytes:
        """Seal a JSON value for its place."""
        return self.cipher.seal_json(value, Place(table.name, column, row, owner))

    def open(self, sealed: bytes, table: Table, row: UUID, owner: UUID, column: str = "sealed") -> dict[str, Any]:
        """Open a sealed JSON object of a place; raises SealBroken."""
        return self.cipher.open_json(sealed, Place(table.name, column, row, owner), dict)


class Store:
    """The database with its cipher and clock; the one thing that opens transactions."""

    def __init__(self, engine: AsyncEngine, settings: Settings, cipher: FieldCipher, clock: Clock) -> None:
        """Take an engine whose schema is up to date and the opened key ring."""
        self.engine = engine
        self.settings = settings
        self.cipher = cipher
        self.clock = clock
        self.outbox_woken = asyncio.Event()
        self._owed: deque[Step] = deque(maxlen=_MOST_OWED)
        # SQLite has one writer: waiting in line here is fairer and quicker than its own polling
        self._writers = asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction that may write; raises StoreUnreachable."""
        with reaching():
            async with self._writers, self.engine.begin() as connection:
                transaction = Transaction(connection, self.settings, self.cipher, self.clock())
                yield transaction
                await transaction.finish()
        if transaction.wakes_outbox:
            self.outbox_woken.set()

    @asynccontextmanager
    async def reading(self, *, snapshot: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that only reads; it holds up no writer. Raises StoreUnreachable.

        With `snapshot` all statements see the same state of the database; without, either database is spared the
        two round trips of a transaction.
        """
        options: dict[str, Any] = {_READING: _SNAPSHOT if snapshot else _PLAIN}
        if self.engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ" if snapshot else "AUTOCOMMIT"
        with reaching():
            async with self.engine.connect() as plain:
                connection = await plain.execution_options(**options)
                # Begins with the first statement, and ends with the connection's return to the pool
                yield Transaction(connection, self.settings, self.cipher, self.clock())

    async def settle(self, *steps: Step) -> None:
        """Do these steps, and those that the database was out of reach for, each in a transaction of its own.

        Raises StoreUnreachable while it still is; what is left is owed as long as this process lives.
        """
        self._owed.extend(steps)
        while self._owed:
            step = self._owed.popleft()
            try:
                async with self.transaction() as transaction:
                    await step(transaction)
            except StoreUnreachable, asyncio.CancelledError:
                self._owed.append(step)
                raise

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return a kind of database's INSERT that knows ON CONFLICT."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def as_text(dialect: str, statement: ClauseElement, columns: Sequence[str] | None = None) -> TextClause:
    """Return an INSERT that knows ON CONFLICT as its text, with its bound parameters; with `columns`, one for each.

    SQLAlchemy remembers how a text is compiled. Such an INSERT it compiles at each execution, and one that counts
    attempts took longer than the database does.
    """
    kind = (sqlite if dialect == "sqlite" else postgresql).dialect(paramstyle="named")
    # Who executes the text casts its parameters
    kind.bind_typing = BindTyping.NONE
    compiled = kind.statement_compiler(kind, statement, column_keys=columns)
    bound = [
        bindparam(name, type_=of.type) if of.required else bindparam(name, of.value, type_=of.type)
        for of, name in compiled.bind_names.items()
    ]
    return text(str(compiled)).bindparams(*bound)


@cache
def _insertion(dialect: str, table: Table, unique: str, columns: tuple[str, ...], changed: str = "") -> TextClause:
    """Make the INSERT of these columns that another row with the same `unique` one keeps out, or is changed by."""
    insertion = upsert(dialect, table)
    if changed:
        insertion = insertion.on_conflict_do_update(
            index_elements=[unique], set_={changed: insertion.excluded[changed]}
        )
    else:
        insertion = insertion.on_conflict_do_nothing(index_elements=[unique])
    return as_text(dialect, insertion, columns)


def new_id() -> UUID:
    """Return a new row's identifier (UUID version 7: ordered by time)."""
    return uuid7()
