"""Databases with today's tables, made once in a process by the companion's own migrations and copied from then on."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from teslafi_companion.settings import Settings
from teslafi_companion.store.database import create_engine
from teslafi_companion.store.schema import migrate


def prepare_sqlite(settings: Settings) -> None:
    """Give a companion the database file that it would make at its first start."""
    path = settings.sqlite_path
    assert path is not None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(_sqlite())


@cache
def _sqlite() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "companion.sqlite3"
        migrate_now(f"sqlite:///{path}")
        return path.read_bytes()


def migrate_now(database: str) -> None:
    """Migrate a database."""
    run_apart(_migrate(database))


async def _migrate(database: str) -> None:
    engine = create_engine(Settings(database=database, key_file=Path("unused/key"), metrics_port=-1))
    await migrate(engine)
    await engine.dispose()


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Do work in an event loop of its own: the caller's may be running, and PHACC watches over it."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
