"""Migrations make exactly the tables that the code knows, and old or foreign databases are met with a sentence."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
import pytest
from sqlalchemy import LargeBinary, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.settings import Settings
from teslafi_companion.store import tables
from teslafi_companion.store.database import create_engine
from teslafi_companion.store.schema import SchemaOutdated, migrate, newest_revision, prepare_schema
from teslafi_companion.store.tables import SEALED, metadata


async def test_migrations_make_the_tables_of_the_code(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_sqlite_migrates_by_itself_and_postgresql_asks_for_the_command(settings: Settings) -> None:
    engine = create_engine(settings)
    if engine.dialect.name == "sqlite":
        await prepare_schema(engine)
    else:
        with pytest.raises(SchemaOutdated, match="run `teslafi-companion migrate`"):
            await prepare_schema(engine)
        await migrate(engine)
    await prepare_schema(engine)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == newest_revision()
    await engine.dispose()


async def test_a_database_of_a_newer_version_is_refused(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutdated, match="newer version"):
        await prepare_schema(engine)


def test_every_sealed_column_is_known_to_key_rotation() -> None:
    sealed = {(one.table.name, one.column) for one in SEALED}
    by_name = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if column.name.startswith("sealed")
    }
    assert sealed == by_name


def test_all_other_binary_columns_hold_hashes_or_wrapped_keys() -> None:
    in_clear = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and not column.name.startswith("sealed")
    }
    assert {name.rpartition("_")[2] for name in in_clear - {"keyring.wrapped", "throttle.key", "audit.hash"}} <= {
        "hash",
        "mac",
        "index",
        "to",
    }
    assert tables.account.c.email_index.unique
