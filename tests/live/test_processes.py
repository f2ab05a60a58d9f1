"""Processes of tests keep out of each other's way, and leave nothing behind."""

import asyncio
from asyncio.subprocess import PIPE
import os
from pathlib import Path
import sys
from tempfile import TemporaryFile
from typing import Final

import pytest

from .processes import ROOT, ForkServer, executed

pytestmark = pytest.mark.usefixtures("socket_enabled")

PATIENCE: Final = 120
"""Seconds after which nothing will come any more: no measure of how quick a machine is."""
PORTS: Final = """
from tests.live.ports import free_port
print({free_port() // 8 % 16 for _ in range(50)}, flush=True)
input()
"""
STARTER: Final = """
import asyncio, os, sys
from tests.live.processes import ForkServer
asyncio.run(ForkServer()("-m", "json.tool", env={}, stdin=sys.stdin.buffer, stdout=sys.stdout.buffer))
os.kill(os.getpid(), 9)
"""
"""Is killed while a copy, which it has started, waits for its input."""


async def _python(program: str) -> asyncio.subprocess.Process:
    env = {**os.environ, "PYTEST_XDIST_WORKER": "gw9"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=PIPE, stdout=PIPE, cwd=ROOT, env=env
    )


async def test_two_runs_have_no_port_in_common() -> None:
    runs = [await _python(PORTS) for _ in range(3)]
    said = []
    for run in runs:
        assert run.stdout is not None
        said.append(await run.stdout.readline())
    assert len(set(said)) == 3
    for run in runs:
        await run.communicate(b"\n")
        assert run.returncode == 0


async def test_copies_of_a_fork_server_end_with_whoever_started_them() -> None:
    starter = await _python(STARTER)
    assert starter.stdout is not None
    async with asyncio.timeout(PATIENCE):
        # Nobody has it open any more
        assert await starter.stdout.read() == b""
        assert await starter.wait() == -9


async def test_a_copy_says_why_it_ends_as_an_interpreter_does(tmp_path: Path) -> None:
    (tmp_path / "unwilling.py").write_text('import sys\nsys.exit("because")\n', encoding="utf-8")
    with TemporaryFile() as output:
        for starts in (executed, ForkServer(path=tmp_path)):
            ended = await starts("-m", "unwilling", env={"PYTHONPATH": str(tmp_path)}, stdout=output)
            assert await ended.wait() == 1
        output.seek(0)
        assert output.read() == b"because\n" * 2
