"""Companions as processes of their own, as an operator runs them: started, killed, stopped."""

import asyncio
from collections.abc import Mapping
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

import aiohttp

from .ports import free_port
from .processes import Running, Starts, executed

PREFIX: Final = "TESLAFI_COMPANION_"
READY_SECONDS: Final = 120
STOP_SECONDS: Final = 120


class ServedCompanion:
    """So many processes of one companion, behind one port."""

    starts: Starts = staticmethod(executed)
    """How each begins."""

    def __init__(self, folder: Path, database: str, *, processes: int = 1, **settings: str) -> None:
        """Take the settings that differ from the tests' own; nothing runs yet."""
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self._folder = folder
        self.log = folder / "companion.log"
        self._processes: list[Running] = []
        self._count = processes
        said: Mapping[str, str] = {
            "base_url": self.url,
            "listen_port": str(self.port),
            "metrics_port": "-1",
            "database": database,
            "key_file": str(folder / "keys" / "companion.key"),
            "trusted_proxies": "127.0.0.0/8",
            "reuse_port": "true" if processes > 1 else "false",
            "log_level": "error",
            **settings,
        }
        self._environment = {f"{PREFIX}{name.upper()}": value for name, value in said.items()}

    def change(self, **settings: str) -> None:
        """Change settings for what is started from now on."""
        self._environment |= {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}

    async def command(self, *arguments: str, stdin: str = "") -> str:
        """Run another command of the companion to its end; return what it said."""
        with TemporaryFile() as given, TemporaryFile() as said:
            given.write(stdin.encode())
            given.seek(0)
            process = await self.starts(*self._call(*arguments), env=self._surrounded(), stdin=given, stdout=said)
            code = await process.wait()
            said.seek(0)
            output = said.read().decode()
        if code:
            raise RuntimeError(f"teslafi-companion {arguments[0]}: {output}")
        return output

    def _call(self, *arguments: str) -> tuple[str, ...]:
        """Return the arguments of Python's command line."""
        return ("-m", "teslafi_companion", *arguments)

    def _surrounded(self, **settings: str) -> dict[str, str]:
        """Return the environment of a process, with settings of its own."""
        own = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
        return {"PATH": os.environ["PATH"], **self._environment, **own}

    async def start(self) -> None:
        """Start and wait until it is ready."""
        self._processes = [await self._serve() for _ in range(self._count)]
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                if any(process.returncode is not None for process in self._processes):
                    raise RuntimeError(self.log.read_text()[-2000:])
                await asyncio.sleep(0.05)

    async def _serve(self, **settings: str) -> Running:
        """Start one process, with settings of its own."""
        with self.log.open("ab") as log:
            return await self.starts(*self._call("serve"), env=self._surrounded(**settings), stdout=log)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self.port}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    def answered(self, method: str, path: str, status: int, retry_after: str) -> None:
        """Take note of an answer that a load got; whoever counts them overrides it."""

    @property
    def pids(self) -> list[int]:
        """Return the processes."""
        return [process.pid for process in self._processes]

    async def kill(self) -> None:
        """End every process at once, as a power cut does."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes))
        self._processes.clear()

    async def stop(self) -> list[int]:
        """Ask every process to stop; return their codes."""
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            codes = await asyncio.gather(*(process.wait() for process in self._processes))
        self._processes.clear()
        return codes


class Browser:
    """What a load needs of a browser: forms with our Origin, each visitor from an address of its own."""

    def __init__(self, session: aiohttp.ClientSession, companion: ServedCompanion, address: str) -> None:
        """Be somebody at this address."""
        self._session = session
        self._companion = companion
        self._headers = {"Origin": companion.url, "X-Forwarded-For": address, "User-Agent": "Firefox/145.0"}

    async def ask(self, method: str, path: str, **how: Any) -> tuple[int, str, str]:  # noqa: ANN401 - as aiohttp
        """Make one request; return status, Location and text."""
        headers = self._headers | how.pop("headers", {})
        async with self._session.request(
            method, f"http://127.0.0.1:{self._companion.port}{path}", headers=headers, allow_redirects=False, **how
        ) as response:
            self._companion.answered(method, path, response.status, response.headers.get("Retry-After", ""))
            return response.status, response.headers.get("Location", ""), await response.text()
