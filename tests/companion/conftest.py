"""The companion on both databases, with a clock that the test moves."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.settings import Policy, Settings
from teslafi_companion.store.database import Store, create_engine
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.schema import migrate

from .clock import ManualClock
from .postgresql import is_installed, running_server

CHEAP = Policy(argon2_memory_kib=64, argon2_passes=1)
"""argon2id as cheap as it goes: what is tested is never how hard it is."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[int]:
    """Run one PostgreSQL for the whole test run."""
    if not is_installed():
        pytest.fail("PostgreSQL 15 is missing: script/test installs it (apt-get install postgresql-15).")
    with running_server() as port:
        yield port


@pytest.fixture
async def postgresql_database(postgresql: int, socket_enabled: None) -> AsyncIterator[str]:
    """Give an empty PostgreSQL database."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(host="127.0.0.1", port=postgresql, user="companion", database="postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield f"postgresql://companion@127.0.0.1:{postgresql}/{name}"
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database, of either kind."""
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
    """Give the migrated database."""
    engine = create_engine(settings)
    await migrate(engine)
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
