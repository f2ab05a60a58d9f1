"""A PostgreSQL with a synchronous standby, reached by one address, as a database over two zones is.

After a failover the address leads to the standby, and what was connected to the lost server hears nothing any more.
"""

import asyncio
from contextlib import suppress
import os
from pathlib import Path
import pwd
import shutil
import subprocess
from typing import Final

import asyncpg

from tests.companion.postgresql import BIN
from tests.live.ports import free_port

from .valve import Valve

USER: Final = "companion"
CONNECTIONS: Final = 40
_OPTIONS: Final = f"-c listen_addresses=127.0.0.1 -c shared_buffers=16MB -c jit=off -c max_connections={CONNECTIONS}"


class Server:
    """One PostgreSQL of our own."""

    def __init__(self, folder: Path) -> None:
        """Choose a port; there are no files yet."""
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else None
        folder.mkdir()
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)

    def _do(self, program: str, *arguments: str) -> None:
        command = [str(BIN / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd="/")  # noqa: S603 - no user input

    def make(self) -> None:
        """Make an empty one."""
        self._do("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--wal-segsize=4")

    def follow(self, primary: int) -> None:
        """Become a copy of a server that goes on following it."""
        self._do(
            "pg_basebackup",
            "-h",
            "127.0.0.1",
            "-p",
            str(primary),
            "-U",
            USER,
            "-D",
            str(self._data),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        )

    def start(self, *more: str) -> None:
        """Serve."""
        options = " ".join((_OPTIONS, f"-c port={self.port} -c unix_socket_directories={self._folder}", *more))
        self._do("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        """End; one that does not run stays so."""
        with suppress(subprocess.CalledProcessError):
            self._do("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    @property
    def pid(self) -> int:
        """Return the process that all others of it began from."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def promote(self) -> None:
        """Follow nobody any more."""
        self._do("pg_ctl", "-D", str(self._data), "-w", "promote")

    async def connect(self, database: str = "postgres") -> asyncpg.Connection[asyncpg.Record]:
        """Connect from outside of everything that is tried."""
        return await asyncpg.connect(host="127.0.0.1", port=self.port, user=USER, database=database)


class Replicated:
    """A primary, its standby, and the address that leads to whichever serves."""

    def __init__(self, folder: Path, name: str) -> None:
        """Choose ports."""
        self.name = name
        self.serving = Server(folder / "primary")
        self._standby = Server(folder / "standby")
        self._followed = False
        self.address = Valve()

    async def start(self, *, standby: bool) -> None:
        """Serve an empty database; with a standby, nothing is acknowledged before it has it."""
        await asyncio.to_thread(self.serving.make)
        self._followed = standby
        # Until the standby is there, nothing that is written would come back
        await asyncio.to_thread(self.serving.start, "-c synchronous_standby_names=")
        connection = await self.serving.connect()
        await connection.execute(f'CREATE DATABASE "{self.name}"')
        if standby:
            await asyncio.to_thread(self._standby.follow, self.serving.port)
            await asyncio.to_thread(self._standby.start)
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            await connection.close()
            await asyncio.to_thread(self.serving.stop, "fast")
            await asyncio.to_thread(self.serving.start)
        else:
            await connection.close()
        await self.address.start(self.serving.port)

    async def restart(self) -> None:
        """Restart the server that serves, as for an upgrade: whoever is connected is told to go."""
        await asyncio.to_thread(self.serving.stop, "fast")
        await asyncio.to_thread(self.serving.start)

    async def vanish(self) -> None:
        """Lose the primary: from now on it says nothing, not even that it is gone."""
        if not self._followed:
            raise RuntimeError("there is no standby")
        self.address.abandon()
        await asyncio.to_thread(self.serving.stop)

    async def fail_over(self) -> None:
        """Have the standby serve, at the same address."""
        await asyncio.to_thread(self._standby.promote)
        self.serving, self._followed = self._standby, False
        connection = await self.serving.connect()
        await connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        self.address.lead_to(self.serving.port)

    async def fill(self) -> list[asyncpg.Connection[asyncpg.Record]]:
        """Take every connection that the server has, those of the companions first; returns them."""
        taken = [await self.serving.connect()]
        with suppress(asyncpg.PostgresError):
            while True:
                await taken[0].execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", self.name
                )
                taken += [await self.serving.connect() for _ in range(5)]
        with suppress(asyncpg.PostgresError):
            while True:
                taken.append(await self.serving.connect())
        return taken

    async def close(self) -> None:
        """End both."""
        await self.address.stop()
        for server in (self.serving, self._standby):
            await asyncio.to_thread(server.stop)


def readable(folder: Path) -> None:
    """Let PostgreSQL's own user into a temporary folder of root's."""
    if os.geteuid() == 0:
        folder.chmod(0o755)


def is_installed(*programs: str) -> bool:
    """Say whether Debian's programs are here."""
    return all(shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") for program in programs)
