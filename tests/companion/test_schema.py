"""Migrations make exactly the tables that the code knows, and old or foreign databases are met with a sentence."""

from contextlib import nullcontext
from pathlib import Path

from alembic.autogenerate import compare_metadata
import alembic.command
from alembic.runtime.migration import MigrationContext
import pytest
import sqlalchemy
from sqlalchemy import LargeBinary, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.service import DatabaseUnreachable, migrate_database, opened_store
from teslafi_companion.settings import Settings
from teslafi_companion.store import schema, tables
from teslafi_companion.store.database import DatabaseInUse, create_engine, serving_alone
from teslafi_companion.store.schema import (
    OLDEST_TABLES,
    SchemaOutdated,
    migrate,
    newest_revision,
    prepare_schema,
    revisions,
)
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


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("UPDATE schema_support SET oldest_code = '9999'", True),
        ("DELETE FROM schema_support", True),
        ("DROP TABLE schema_support", True),
        (f"UPDATE schema_support SET oldest_code = '{newest_revision()}'", False),  # noqa: S608 - ours
        ("UPDATE schema_support SET oldest_code = '0009'", False),
    ],
)
async def test_tables_of_a_newer_version_are_used_if_they_say_that_this_one_may(
    settings: Settings, said: str, refused: bool
) -> None:
    """A process of the version before starts anew in the middle of a deployment, and after one that was called off."""
    engine = create_engine(settings)
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.execute(text(said))
    for start in (prepare_schema, migrate):
        with pytest.raises(SchemaOutdated, match="newer version") if refused else nullcontext():
            await start(engine)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "9999"
    await engine.dispose()


async def test_tables_of_the_version_before_are_used_until_they_are_migrated(postgresql_database: str) -> None:
    engine = create_engine(Settings(database=postgresql_database))
    await migrate(engine)
    for revision, refused in ((OLDEST_TABLES, False), ("0008", True)):
        async with engine.begin() as connection:
            await connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))  # noqa: S608 - ours
        with pytest.raises(SchemaOutdated, match="run `teslafi-companion migrate`") if refused else nullcontext():
            await prepare_schema(engine)
    await engine.dispose()


@pytest.mark.timeout(600)  # without the bound it waits for ever
async def test_a_migration_holds_nobody_up_behind_a_lock_that_it_does_not_get(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database=postgresql_database)
    engine = create_engine(settings)
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0008'"))
        for table in ("audit", "audit_chain"):
            await connection.execute(text(f"ALTER TABLE {table} DROP COLUMN root"))
        await connection.execute(text("DROP TABLE schema_support"))
    async with engine.begin() as connection:
        await connection.execute(text("SELECT * FROM audit"))
        with monkeypatch.context() as hurried:
            hurried.setattr("teslafi_companion.store.schema.LOCK_SECONDS", 0.1)
            with pytest.raises(DatabaseUnreachable):
                await migrate_database(settings)
    await migrate_database(settings)
    await prepare_schema(engine)
    await engine.dispose()


async def test_no_command_changes_the_tables_of_a_file_that_another_process_serves(tmp_path: Path) -> None:
    """A new version is installed, or its container started, while the old one is still at work with the old tables."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'data' / 'companion.sqlite3'}", key_file=tmp_path / "key")
    engine = create_engine(settings)
    await migrate(engine)
    with serving_alone(settings):
        # Up to date: commands go on working beside the service
        await migrate_database(settings)
        async with opened_store(settings):
            pass
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0009'"))
            await connection.execute(text("DROP TABLE schema_support"))
        with pytest.raises(DatabaseInUse):
            await migrate_database(settings)
        with pytest.raises(DatabaseInUse):
            async with opened_store(settings):
                pass
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "0009"
        async with opened_store(settings, patient=False):
            pass
    await prepare_schema(engine)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == newest_revision()
    await engine.dispose()


@pytest.mark.usefixtures("socket_enabled")
async def test_no_sentence_about_the_database_holds_its_password() -> None:
    """`serve --migrate` logs one every two seconds; a password may stand in the address's query as well."""
    settings = Settings(database="postgresql://companion:marker@127.0.0.1:1/companion?password=marker")
    with pytest.raises(DatabaseUnreachable) as caught:
        await migrate_database(settings)
    assert "127.0.0.1:1/companion" in str(caught.value)
    assert "marker" not in f"{caught.value} {settings!r}"


def test_each_revision_from_here_on_says_what_code_goes_on_working(tmp_path: Path) -> None:
    """And what leaves older code at work only adds: nothing that its statements need is taken away or made stricter."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'tables.sqlite3'}")
    before: dict[str, dict[str, str]] = {}
    with engine.begin() as connection:
        for revision in sorted(revision for revision, _ in revisions()):
            alembic.command.upgrade(schema._config(connection), revision)  # noqa: SLF001 - each by itself
            after = shape(connection)
            if revision > "0009":
                oldest = dict(revisions())[revision]
                assert oldest <= revision
                (script,) = (Path(schema.__file__).parent / "migrations" / "versions").glob(f"r{revision}_*.py")
                assert f'oldest_code = "{oldest}"' in script.read_text().splitlines()
                if oldest < revision:
                    assert broken(before, after) == []
            before = after
    assert max(revision for revision, _ in revisions() if revision < newest_revision()) >= OLDEST_TABLES


def shape(connection: sqlalchemy.Connection) -> dict[str, dict[str, str]]:
    """Return each table's columns and rules, each with what it asks of whoever writes it."""
    inspector = sqlalchemy.inspect(connection)
    found: dict[str, dict[str, str]] = {}
    for table in inspector.get_table_names():
        found[table] = {
            column["name"]: f"{column['type']!r} {'NULL' if column['nullable'] else 'NOT NULL'} {column['default']}"
            for column in inspector.get_columns(table)
        }
        unique = [tuple(one["column_names"]) for one in inspector.get_unique_constraints(table)]
        unique += [tuple(map(str, one["column_names"])) for one in inspector.get_indexes(table) if one["unique"]]
        checks = [one["sqltext"] for one in inspector.get_check_constraints(table)]
        keys = [tuple(one["constrained_columns"]) for one in inspector.get_foreign_keys(table)]
        found[table] |= {f"rule {rule}": "rule" for rule in (*unique, *checks, *keys)}
    return found


def broken(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> list[str]:
    """Return what older code would stumble over."""
    found = []
    for table, columns in before.items():
        if table not in after:
            found.append(f"{table} is gone")
            continue
        found += [f"{table}.{name} changed" for name, said in columns.items() if after[table].get(name) != said]
        for name in after[table].keys() - columns.keys():
            said = after[table][name]
            if said == "rule" or said.endswith("NOT NULL None"):
                found.append(f"{table}.{name} is asked for")
    return found


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE a DROP COLUMN kept",
        "ALTER TABLE a RENAME COLUMN kept TO other",
        "ALTER TABLE a RENAME TO b",
        "DROP TABLE a",
        "CREATE UNIQUE INDEX u ON a (kept)",
        "ALTER TABLE a ADD COLUMN wanted INTEGER NOT NULL REFERENCES a (id) DEFAULT NULL",
    ],
)
def test_what_breaks_older_code_is_seen(change: str) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE a (id INTEGER PRIMARY KEY, kept INTEGER)"))
        before = shape(connection)
        connection.execute(text("ALTER TABLE a ADD COLUMN new INTEGER NOT NULL DEFAULT 0"))
        connection.execute(text("CREATE TABLE c (id INTEGER PRIMARY KEY, more INTEGER NOT NULL)"))
        assert broken(before, shape(connection)) == []
        connection.execute(text(change))
        assert broken(before, shape(connection))


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
