"""Databases on a small disk of their own, which can be filled, made read-only and taken away while they are used."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import pwd
import sqlite3
import subprocess
from typing import Final, override

import asyncpg

from tests.companion.postgresql import BIN
from tests.live.ports import free_port

DISK_MIB: Final = {"sqlite": 24, "postgresql": 320}
_BLOCK: Final = bytes(64 * 1024)
_FORGET: Final = "DELETE FROM throttle"


class NoDisk(Exception):
    """This machine lets nobody mount a disk of memory: what needs one is left out, and said."""


class Database(ABC):
    """One database; `disk` is the folder of its own disk, None where nothing could be mounted."""

    kind: str
    address: str

    def __init__(self, folder: Path) -> None:
        """Mount the disk, if that is possible."""
        self.disk: Path | None = folder / "disk"
        self.disk.mkdir()
        self._place = self.disk
        size = f"size={DISK_MIB[self.kind]}m"
        mounted = subprocess.run(  # noqa: S603 - no user input
            ["/bin/mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.disk)], check=False, capture_output=True
        )
        if mounted.returncode:
            self.disk = None

    def _mounted(self) -> Path:
        if self.disk is None:
            raise NoDisk
        return self.disk

    def fill(self) -> None:
        """Leave no room on the disk; raises NoDisk."""
        descriptor = os.open(self._mounted() / "filler", os.O_CREAT | os.O_WRONLY, 0o600)
        with suppress(OSError):
            while True:
                os.write(descriptor, _BLOCK)
        os.close(descriptor)

    def make_room(self) -> None:
        """Undo `fill`."""
        (self._mounted() / "filler").unlink(missing_ok=True)

    @abstractmethod
    async def make_read_only(self) -> None:
        """Take no writes any more."""

    @abstractmethod
    async def make_writable(self) -> None:
        """Undo `make_read_only`."""

    @abstractmethod
    async def forget_limits(self) -> None:
        """Let everybody begin anew: what is tried next is not to be answered by a limit."""

    @abstractmethod
    async def take_away(self) -> None:
        """Be out of reach."""

    @abstractmethod
    async def give_back(self) -> None:
        """Undo `take_away`, and whatever a full disk did to the server."""

    def close(self) -> None:
        """Give the disk back."""
        if self.disk is not None:
            subprocess.run(["/bin/umount", "-l", str(self.disk)], check=False, capture_output=True)  # noqa: S603 - no user input


class Sqlite(Database):
    """A file."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        """Name it."""
        super().__init__(folder)
        self._file = self._place / "data" / "companion.sqlite3"
        self.address = f"sqlite:///{self._file}"
        self._holder: sqlite3.Connection | None = None

    @override
    async def make_read_only(self) -> None:
        """Do nothing: a file that is open stays writable, so the process itself is told (`wrapped.py`)."""

    @override
    async def make_writable(self) -> None:
        """Do nothing."""

    @override
    async def forget_limits(self) -> None:
        connection = sqlite3.connect(self._file, timeout=60)
        with connection:
            connection.execute(_FORGET)
        connection.close()

    @override
    async def take_away(self) -> None:
        """Lock the file, as a backup program that hangs does: a file cannot go away from whoever has it open."""
        self._holder = sqlite3.connect(self._file, isolation_level=None, timeout=60, check_same_thread=False)
        await asyncio.to_thread(self._holder.execute, "BEGIN IMMEDIATE")

    @override
    async def give_back(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None


class Postgresql(Database):
    """A server of our own."""

    kind = "postgresql"

    def __init__(self, folder: Path) -> None:
        """Make its files; it does not run yet."""
        super().__init__(folder)
        self._data = self._place / "data"
        self._port = free_port()
        self._user = "postgres" if os.geteuid() == 0 else None
        self.address = f"postgresql://companion@127.0.0.1:{self._port}/chaos"
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            for path in (folder, self._place):
                path.chmod(0o755)
            os.chown(self._place, entry.pw_uid, entry.pw_gid)
        self._do("initdb", "-D", str(self._data), "-U", "companion", "-A", "trust", "-E", "UTF8", "--wal-segsize=4")

    def _do(self, program: str, *arguments: str) -> bool:
        command = [str(BIN / program), *arguments]
        return subprocess.run(command, check=False, capture_output=True, user=self._user, cwd="/").returncode == 0  # noqa: S603 - no user input

    def _control(self, *arguments: str) -> bool:
        return self._do("pg_ctl", "-D", str(self._data), "-w", *arguments)

    async def start(self) -> None:
        """Serve, and make the database."""
        await self.give_back()
        connection = await asyncpg.connect(host="127.0.0.1", port=self._port, user="companion", database="postgres")
        await connection.execute('CREATE DATABASE "chaos"')
        await connection.close()

    async def _says(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(host="127.0.0.1", port=self._port, user="companion", database=database)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    @override
    async def forget_limits(self) -> None:
        await self._says(_FORGET, database="chaos")

    @override
    async def make_read_only(self) -> None:
        await self._read_only("on")

    @override
    async def make_writable(self) -> None:
        await self._read_only("off")

    async def _read_only(self, word: str) -> None:
        await self._says(
            f'ALTER DATABASE "chaos" SET default_transaction_read_only = {word}',
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'chaos'",
        )

    @override
    async def take_away(self) -> None:
        await asyncio.to_thread(self._control, "-m", "immediate", "stop")

    @override
    async def give_back(self) -> None:
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories={self._place}"
            " -c max_connections=100 -c shared_buffers=16MB -c jit=off -c min_wal_size=16MB -c max_wal_size=64MB"
        )
        log = str(self._place / "log")
        # Running already, it says so and nothing else happens
        await asyncio.to_thread(self._control, "-l", log, "-o", options, "start")

    @override
    def close(self) -> None:
        self._control("-m", "immediate", "stop")
        super().close()


@contextmanager
def disk_database(kind: str, folder: Path) -> Iterator[Database]:
    """Give a database on a disk of its own."""
    made: Database = Sqlite(folder) if kind == "sqlite" else Postgresql(folder)
    try:
        yield made
    finally:
        made.close()
