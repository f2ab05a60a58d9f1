"""Migrations: automatic on SQLite, by command on PostgreSQL."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

_MIGRATING: Final = 0x7E51A
"""Any number that no other program uses for a lock in this database."""
_SCRIPTS: Final = Path(__file__).parent / "migrations"


class SchemaOutdated(Exception):
    """The database's tables are not those of this version; the text says what to do."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Several processes of a new version may migrate at once: the others wait, and find it done
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
    command.upgrade(_config(connection), "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """Return the revision that this version of the service needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def migrate(engine: AsyncEngine) -> None:
    """Bring the tables up to date."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def prepare_schema(engine: AsyncEngine) -> None:
    """Make sure that the tables are up to date: migrate on SQLite, refuse on PostgreSQL. Raises SchemaOutdated."""
    async with engine.connect() as connection:
        revision = await connection.run_sync(_revision)
    wanted = newest_revision()
    if revision == wanted:
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaOutdated(
            f"The database (revision {revision}) was used by a newer version of the companion: install that version."
        )
    if engine.dialect.name != "sqlite":
        raise SchemaOutdated(
            f"The database is at revision {revision or 'none'}, this version needs {wanted}: "
            "make a backup and run `teslafi-companion migrate`."
        )
    await migrate(engine)
