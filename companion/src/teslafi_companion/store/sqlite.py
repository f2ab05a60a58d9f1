"""A connection to SQLite that asks its thread once for each statement.

aiosqlite hands every call to a thread: to make a cursor, to execute, to fetch, to close. Each time the event loop and
the thread wait for each other, which costs more than the statement itself. Here one visit does all four.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
import sqlite3
from typing import Any, Final, override

import aiosqlite

_STATEMENTS: Final = 256
"""How many prepared statements a connection keeps."""
_LEFT_SECONDS: Final = 0.5
"""How long a thread is waited for that was at work for who gave up; without another process's lock it comes at once."""

type _Work = Callable[[sqlite3.Cursor], object]


class OneVisitCursor:
    """What SQLAlchemy's adapter needs of a cursor: results are there when `execute` returns."""

    def __init__(self, connection: OneVisitConnection) -> None:
        """Belong to a connection."""
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Sequence[Any] | None = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> OneVisitCursor:
        """Execute a statement and fetch what it gives."""
        return await self._visit(lambda cursor: cursor.execute(sql, parameters))

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> OneVisitCursor:
        """Execute a statement for each of several sets of parameters."""
        return await self._visit(lambda cursor: cursor.executemany(sql, parameters))

    async def _visit(self, work: _Work) -> OneVisitCursor:
        def all_of_it(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                work(cursor)
                self._rows = cursor.fetchall() if cursor.description else []
                self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
            finally:
                cursor.close()

        await self._connection.visit(all_of_it)
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Drop what was not fetched."""
        self._rows = []


@dataclass
class _Beginning:
    """How a transaction begins, and how far it has come."""

    how: str
    asked: bool = False
    """Whether its first statement is on its way: known to the event loop."""
    done: bool = False
    """Whether it has begun: known to the thread."""


class OneVisitConnection(aiosqlite.Connection):
    """aiosqlite's connection, with its thread and its queue."""

    _beginning: _Beginning | None = None
    _is_left = False

    def begin(self, how: str) -> None:
        """Begin a transaction in the visit of its first statement: one for the beginning alone costs as much again."""
        self._beginning = _Beginning(how)

    async def visit(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something with the connection in its thread."""
        # The thread comes to it when this loop may have ended the transaction: what was cancelled is done all the same
        beginning = self._beginning
        if beginning is not None:
            beginning.asked = True

        def begun(connection: sqlite3.Connection) -> None:
            if beginning is not None and not beginning.done:
                connection.execute(beginning.how)
                # As long as it cannot begin, nothing is done outside of it
                beginning.done = True
            work(connection)

        try:
            await self._execute(begun, self._conn)  # type: ignore[no-untyped-call] # aiosqlite's
        except asyncio.CancelledError:
            self._is_left = True
            raise

    @override
    async def cursor(self) -> OneVisitCursor:  # type: ignore[override] # SQLAlchemy's adapter asks for no more
        """Return a cursor; the thread has nothing to do with it yet."""
        return OneVisitCursor(self)

    @override
    async def commit(self) -> None:
        """Commit, if there is a transaction."""
        if self._ends():
            await super().commit()

    @override
    async def rollback(self) -> None:
        """Roll back, if there is a transaction."""
        if self._ends():
            await super().rollback()

    @override
    async def close(self) -> None:
        """Close; who was canceled does not wait until the thread has the lock that another process holds."""
        if not self._is_left:
            await super().close()
        # Once it comes back it rolls back what it has begun, and ends
        elif (ended := self.stop()) is not None:
            await asyncio.wait({ended}, timeout=_LEFT_SECONDS)

    def _ends(self) -> bool:
        """End the transaction; say whether the thread has to be asked to."""
        beginning, self._beginning = self._beginning, None
        return beginning is not None and beginning.asked


async def connect(path: Path) -> OneVisitConnection:
    """Open a connection to a file. Transactions are begun in words alone, never by the driver."""

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, cached_statements=_STATEMENTS)

    connection = OneVisitConnection(opened, iter_chunk_size=_STATEMENTS)
    # As SQLAlchemy does it: a process that ends waits for no thread of an unclosed connection
    connection._thread.daemon = True  # noqa: SLF001 - nothing public does it
    await connection
    return connection
