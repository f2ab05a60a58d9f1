"""The companion on both databases, with a clock that the test moves."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pytest_socket import enable_socket
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.settings import Policy, Settings
from teslafi_companion.store.database import Store, create_engine
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.tables import metadata

from .clock import ManualClock
from .postgresql import is_installed, running_server
from .prepared import migrate_now, prepare_sqlite, run_apart, share_statements

MIGRATED = "migrated"
"""The PostgreSQL database that others are copied from."""
CHEAP = Policy(argon2_memory_kib=64, argon2_passes=1)
"""argon2id as cheap as it goes: what is tested is never how hard it is."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[int]:
    """Run one PostgreSQL for the whole test run."""
    if not is_installed():
        pytest.fail("PostgreSQL 15 is missing: script/test installs it (apt-get install postgresql-15).")
    with running_server() as port, pytest.MonkeyPatch.context() as patch:
        # Each connection would make a TLS context to ask a server for TLS that has none
        patch.setenv("PGSSLMODE", "disable")
        # The server starts inside the first test that needs it, where PHACC forbids sockets; that test gets them anyway
        enable_socket()
        run_apart(_make(port, MIGRATED))
        migrate_now(_address(port, MIGRATED))
        yield port


def _address(port: int, name: str) -> str:
    return f"postgresql://companion@127.0.0.1:{port}/{name}"


def new_postgresql(port: int) -> str:
    """Make a PostgreSQL database with today's tables, for more than one test; returns its address."""
    name = f"test_{uuid4().hex}"
    run_apart(_make(port, name, MIGRATED))
    return _address(port, name)


async def _make(port: int, name: str, template: str = "template1") -> None:
    async with _connected(port, "postgres") as connection:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


async def _drop(port: int, name: str) -> None:
    async with _connected(port, "postgres") as connection:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def _connected(port: int, name: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(_address(port, name))
    try:
        yield connection
    finally:
        await connection.close()


async def _emptied(port: int, name: str) -> bool:
    """Empty all tables; say whether they are still those that the migrations made."""
    async with _connected(port, name) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if await connection.fetchval(_SHAPE) != await _shape_of_migrated(port):
            return False
        emptying = (f'DELETE FROM "{table}"' for table in reversed(metadata.sorted_tables))  # noqa: S608 - our own names
        await connection.execute(";".join(emptying))
    return True


async def _shape_of_migrated(port: int) -> str:
    if port not in _shapes:
        async with _connected(port, MIGRATED) as connection:
            _shapes[port] = await connection.fetchval(_SHAPE)
    return _shapes[port]


_SHAPE = """
SELECT concat(
    md5(string_agg(concat(relname, attname, atttypid), ',' ORDER BY relname, attnum)),
    (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_proc), (SELECT version_num FROM alembic_version)
)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
"""
_shapes: dict[int, str] = {}
_spare: dict[int, str] = {}
"""Of each server, the database that the test before left empty: copying one takes longer than most tests."""


@pytest.fixture
async def postgresql_database(
    request: pytest.FixtureRequest, postgresql: int, socket_enabled: None
) -> AsyncIterator[str]:
    """Give a PostgreSQL database, with today's tables for a test that asks for `engine`, otherwise empty."""
    migrated = "engine" in request.fixturenames
    name = _spare.pop(postgresql, "") if migrated else ""
    if not name:
        name = f"test_{uuid4().hex}"
        await _make(postgresql, name, MIGRATED if migrated else "template1")
    yield _address(postgresql, name)
    if migrated and await _emptied(postgresql, name):
        _spare[postgresql] = name
    else:
        await _drop(postgresql, name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database of either kind; it is empty as long as nobody asks for `engine`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'companion.sqlite3'}"
    address: str = request.getfixturevalue("postgresql_database")
    return address


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still."""
    return ManualClock()


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    """Give settings for this test alone."""
    return Settings(database=database, key_file=tmp_path / "keys" / "companion.key", policy=CHEAP, metrics_port=-1)


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Give the database with today's tables."""
    if settings.sqlite_path is not None:
        prepare_sqlite(settings)
    engine = create_engine(settings)
    share_statements(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def store(engine: AsyncEngine, settings: Settings, clock: ManualClock) -> Store:
    """Give the store over the migrated database, with a fresh key ring."""
    return Store(engine, settings, await open_cipher(engine, settings, clock), clock)


def with_policy(settings: Settings, **changes: object) -> Settings:
    """Return the settings with other numbers in their policy."""
    return replace(settings, policy=replace(settings.policy, **changes))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Do without PHACC's search for threads left behind: a killed rotation leaves its SQLite worker a moment to end."""
