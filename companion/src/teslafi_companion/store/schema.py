"""Migrations: automatic on SQLite, by command on PostgreSQL; and which tables and which code go together.

Several processes are replaced one after another, and a deployment that fails goes back. So each revision first adds
what new code needs and leaves old code at work (expand), and takes away only what no code in use needs any more
(contract). It says so itself: `oldest_code` is the revision of the oldest code that goes on working with its tables.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
import structlog

from .tables import schema_support

OLDEST_TABLES: Final = "0009"
"""The revision of the oldest tables that this code works with, so that it can start before they are migrated."""
LOCK_SECONDS: Final = 5
"""How long a migration waits for a table: everybody who comes after it waits as well."""
MIGRATING: Final = 0x7E51A
"""The lock of whoever migrates: any number that no other program uses in this database."""

_AS_IT_IS: Final = nullcontext()
_SCRIPTS: Final = Path(__file__).parent / "migrations"

_log = structlog.get_logger(__name__)


class SchemaOutdated(Exception):
    """The database's tables and this version do not go together; the text says what to do."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def revisions() -> Iterator[tuple[str, str]]:
    """Give each revision that this version knows, the newest first, with the oldest code that its tables serve.

    The revisions up to 0009 say nothing of older code: for them it is their own.
    """
    for script in ScriptDirectory.from_config(_config()).walk_revisions():
        yield script.revision, getattr(script.module, "oldest_code", script.revision)


def newest_revision() -> str:
    """Return the revision that this version of the service brings the tables to."""
    return next(revision for revision, _ in revisions())


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Several processes of a new version may migrate at once: the others wait, and find it done
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
    revision = _revision(connection)
    if revision is not None and revision not in dict(revisions()):
        _refuse_unless_supported(connection, revision)
        return
    command.upgrade(_config(connection), "head")
    _note_support(connection)


def _note_support(connection: Connection) -> None:
    """Write down for older code whether it may go on: it does not know the revisions that came after it."""
    oldest = max(oldest for _, oldest in revisions())
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(schema_support)
        .values(id=1, oldest_code=oldest)
        .on_conflict_do_update(index_elements=["id"], set_={"oldest_code": oldest})
    )


def _refuse_unless_supported(connection: Connection, revision: str) -> None:
    """Refuse tables of a newer version that this code cannot use. Raises SchemaOutdated."""
    oldest = None
    if inspect(connection).has_table(schema_support.name):
        oldest = connection.execute(select(schema_support.c.oldest_code)).scalar()
    if oldest is None or oldest > newest_revision():
        raise SchemaOutdated(
            f"The database (revision {revision}) was used by a newer version of the companion: install that version."
        )
    _log.warning("newer_tables", tables=revision, code=newest_revision())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(engine: AsyncEngine) -> None:
    """Bring the tables up to date; newer ones stay as they are, if this code may use them. Raises SchemaOutdated."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def prepare_schema(engine: AsyncEngine, alone: AbstractContextManager[None] = _AS_IT_IS) -> None:
    """Make sure that this code can use the tables: migrate on SQLite, refuse on PostgreSQL. Raises SchemaOutdated.

    `alone` is entered for the time of a migration, if there is one.
    """
    async with engine.connect() as connection:
        revision = await connection.run_sync(_revision)
        if revision is not None and revision not in dict(revisions()):
            await connection.run_sync(_refuse_unless_supported, revision)
            return
    wanted = newest_revision()
    if revision == wanted:
        return
    if engine.dialect.name == "sqlite":
        with alone:
            await migrate(engine)
        return
    if revision is None or revision < OLDEST_TABLES:
        raise SchemaOutdated(
            f"The database is at revision {revision or 'none'}, this version needs {wanted}: "
            "make a backup and run `teslafi-companion migrate`."
        )
    _log.warning("older_tables", tables=revision, code=wanted)
