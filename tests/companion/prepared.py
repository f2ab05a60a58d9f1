"""What is made once in a process: databases with today's tables, by the companion's own migrations, and statements."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, override

from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.settings import Settings
from teslafi_companion.store.database import create_engine
from teslafi_companion.store.schema import migrate


class _Statements(dict[tuple[object, ...], object]):
    """Statements by what they say and for which kind of database, whichever engine said them first."""

    @override
    def get(self, key: tuple[object, ...], default: object = None) -> object:
        dialect, *statement = key
        return super().get((type(dialect), *statement), default)

    @override
    def __setitem__(self, key: tuple[object, ...], compiled: object) -> None:
        dialect, *statement = key
        super().__setitem__((type(dialect), *statement), compiled)


_statements = _Statements()


def share_statements(engine: AsyncEngine) -> None:
    """Let an engine compile only what no engine has compiled before; each would compile some forty for one test."""
    engine.sync_engine.update_execution_options(compiled_cache=_statements)


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
