"""How tests start Python programs: as an operator does, or, at a fraction of the CPU, as copies of a fork server."""

import asyncio
from asyncio.subprocess import Process
import atexit
from collections.abc import Mapping
from contextlib import suppress
import json
import os
from pathlib import Path
import socket
import subprocess
import sys
from typing import IO, Final, Protocol

ROOT: Final = Path(__file__).parents[2]


class Running(Protocol):
    """A process that was started; as asyncio's."""

    @property
    def pid(self) -> int:
        """Return its number."""

    @property
    def returncode(self) -> int | None:
        """Return its code, None as long as it runs."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    async def wait(self) -> int:
        """Wait for its end; return its code, negative for a signal."""


class Starts(Protocol):
    """A way to start Python."""

    async def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stdin: IO[bytes] | None = None,
        cwd: Path = ROOT,
    ) -> Running:
        """Start it with the arguments of its command line, in a session of its own; errors go where output goes."""


async def executed(
    *arguments: str,
    env: Mapping[str, str],
    stdout: IO[bytes],
    stdin: IO[bytes] | None = None,
    cwd: Path = ROOT,
    python: Path = Path(sys.executable),
) -> Process:
    """Start an interpreter, that of these tests unless told otherwise."""
    return await asyncio.create_subprocess_exec(
        python,
        *arguments,
        env=env,
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout,
        stderr=stdout,
        cwd=cwd,
        start_new_session=True,
    )


class Forked:
    """A copy of the fork server."""

    def __init__(self, pid: int, answer: socket.socket) -> None:
        """Have been started."""
        self.pid = pid
        self._answer = answer
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """Return its code, None as long as it runs."""
        if self._code is None:
            with suppress(BlockingIOError):
                self._code = int(self._answer.recv(64))
                self._answer.close()
        return self._code

    async def wait(self) -> int:
        """Wait for its end; return its code, negative for a signal."""
        # Not in the loop's selector: whoever looks at `returncode` meanwhile may be told the code first
        while (code := self.returncode) is None:  # noqa: ASYNC110 - no event tells of another process
            await asyncio.sleep(0.02)
        return code

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""
        if self.returncode is None:
            # The fork server may have seen its end and not told of it yet
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(15)

    def kill(self) -> None:
        """End it."""
        self.send_signal(9)


class ForkServer:
    """Starts what `python -m` would, in copies of one process that has imported these modules.

    It runs from the first use on, as long as the process that uses it.
    """

    def __init__(self, *modules: str, path: Path | None = None) -> None:
        """Name them; importing them must do nothing but define things. Those found in `path` come before others."""
        self._modules = modules
        self._found = {"PYTHONPATH": str(path)} if path else {}
        self._orders: socket.socket | None = None

    def _running(self) -> socket.socket:
        if self._orders is None:
            self._orders, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - our own
                    [sys.executable, "-m", "tests.live.forkserver", str(theirs.fileno()), *self._modules],
                    env={"PATH": os.environ["PATH"], **self._found},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    cwd=ROOT,
                    start_new_session=True,
                )
            atexit.register(self._end, self._orders, process)
        return self._orders

    @staticmethod
    def _end(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
        orders.close()
        process.wait()

    async def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stdin: IO[bytes] | None = None,
        cwd: Path = ROOT,
    ) -> Running:
        """Start it; what is no module of ours is started anew."""
        if arguments[0] != "-m":
            return await executed(*arguments, env=env, stdin=stdin, stdout=stdout, cwd=cwd)
        answer, theirs = socket.socketpair()
        answer.setblocking(False)
        order = json.dumps([arguments[1:], dict(env), str(cwd)]).encode() + b"\n"
        with theirs:
            descriptors = [file.fileno() for file in (stdin, stdout, theirs) if file is not None]
            socket.send_fds(self._running(), [order], descriptors)
        pid = b""
        while not pid.endswith(b"\n"):
            pid += await asyncio.get_running_loop().sock_recv(answer, 1)
        return Forked(int(pid), answer)


COMPANIONS: Final = ForkServer("teslafi_companion.cli", "teslafi_companion.server", "tests.live.cheap_argon2")
"""Companions that hash passwords cheaply; argon2 as it is and the start as an operator has it are tested elsewhere."""

HOME_ASSISTANTS: Final = ForkServer(
    "homeassistant.bootstrap",
    "homeassistant.runner",
    "tests.live.simulated_tesla",
    *(
        f"homeassistant.components.{name}"
        for name in (
            "analytics",
            "application_credentials",
            "backup",
            "calendar",
            "conversation",
            "energy.websocket_api",
            "ffmpeg",
            "frontend",
            "history",
            "labs",
            "logbook",
            "map_tiles",
            "media_player.trigger",
            "recorder.basic_websocket_api",
            "sun",
            "system_health",
        )
    ),
)
"""Home Assistants with what `tests/live` configures."""
