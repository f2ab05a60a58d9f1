"""The SQLite file: opening, schema versions, and what its errors mean.

WAL with a commit that is on disk before it returns. The schema's version is SQLite's `user_version`; a migration and
its version are one transaction, so that a kill at any point leaves the one or the other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import sqlite3
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from .tables import ADDRESSES, METADATA

BUSY_SECONDS: Final = 20
MODE: Final = 0o600
DAMAGED_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class JournalUnusable(Exception):
    """The file cannot be used now: the disk is full, it is read-only or locked, or the disk does not answer."""


class JournalDamaged(JournalUnusable):
    """The file is no journal, or no longer. Nothing is written to it."""


class JournalTooNew(JournalUnusable):
    """A newer version of TeslaFi wrote the file. Nothing is written to it."""


def _create(connection: Connection) -> None:
    tables = [table for table in METADATA.sorted_tables if table is not ADDRESSES]
    METADATA.create_all(connection, tables, checkfirst=False)


def _add_addresses(connection: Connection) -> None:
    ADDRESSES.create(connection)


def _add_new_capacity(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE cars ADD COLUMN new_kwh FLOAT")


type Migration = Callable[[Connection], None]

MIGRATIONS: Final[Sequence[Migration]] = (_create, _add_addresses, _add_new_capacity)
"""The step at index n leads from version n to version n + 1."""


@contextmanager
def meaning() -> Iterator[None]:
    """Turn what SQLite raises into what it means."""
    try:
        yield
    except DBAPIError as error:
        raise _error_of(error.orig) from error
    except (OSError, sqlite3.Error) as error:
        raise _error_of(error) from error


def _error_of(error: BaseException | None) -> JournalUnusable:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code & 0xFF in DAMAGED_CODES:
        return JournalDamaged(str(error))
    return JournalUnusable(str(error))


def open_file(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> Engine:
    """Open the journal, make it if there is none, bring it up to date; raise JournalUnusable otherwise."""
    with meaning():
        _own(path)
        engine = create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            hide_parameters=True,  # where a car was belongs into no log and no exception
        )
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    try:
        with meaning():
            _check(engine)
            _migrate(engine, migrations)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _own(path: Path) -> None:
    """Make the file for the user of Home Assistant alone; SQLite gives its companions the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, MODE))
    if path.stat().st_mode & 0o077:
        path.chmod(MODE)


def _connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
    # The driver begins no transactions of its own: `_begun` does, also for changes of the schema
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _begun(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        raise JournalDamaged(str(found))


def _migrate(engine: Engine, migrations: Sequence[Migration]) -> None:
    while True:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version > len(migrations):
                raise JournalTooNew(f"version {version}")
            if version == len(migrations):
                return
            migrations[version](connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {version + 1}")
