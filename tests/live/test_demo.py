"""`script/demo` as a person and a terminal use it: processes, signals, exit codes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import re
import shutil
import signal
import socket
import sys
from typing import Any, Final

import aiohttp
import pytest

from custom_components.teslafi.journal.store import Store

from . import demo as live_demo
from .home_assistant import ROOT
from .ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

LONG_SECONDS: Final = 300
"""Longer than any demo takes to start or to stop."""

SERVED: Final = 5
"""Ports that a demo takes, one after the other."""

type Demo = Callable[..., Coroutine[Any, Any, asyncio.subprocess.Process]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a working tree of links, so that the state of somebody's own demo stays as it is.

    The journal is one of no day: the check, which keeps its state elsewhere, writes the year, which takes two seconds.
    """
    root = tmp_path / "tree"
    root.mkdir()
    (root / "custom_components").symlink_to(ROOT / "custom_components")
    shutil.copytree(ROOT / "tests" / "live", root / "tests" / "live")
    (root / ".demo" / "config").mkdir(parents=True)
    store = Store(root / ".demo" / "config" / "teslafi.journal.db")
    store.open()
    store.close()
    return root


@pytest.fixture
async def demo(tree: Path) -> AsyncIterator[Demo]:
    """Start demos; end those that a test left running."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.live.demo",
            *arguments,
            cwd=tree,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def _home_assistants(tree: Path) -> list[int]:
    """Return the processes that run Home Assistant from this tree."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            here = (folder / "cwd").readlink() == tree
        except OSError:
            continue
        if here and b"tests.live.launch" in words:
            found.append(int(folder.name))
    return found


async def _ended(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Wait for the demo's end; return what it printed, and what it printed as errors."""
    async with asyncio.timeout(LONG_SECONDS):
        output, errors = await process.communicate()
    return output.decode(), errors.decode()


async def _until(tree: Path, processes: Callable[[list[int]], bool]) -> None:
    """Wait until the processes of Home Assistant are those that are meant."""
    async with asyncio.timeout(LONG_SECONDS):
        while not processes(_home_assistants(tree)):  # noqa: ASYNC110 - no event tells of another process
            await asyncio.sleep(0.1)


async def _started(tree: Path) -> None:
    await _until(tree, bool)


async def _table(process: asyncio.subprocess.Process) -> str:
    """Read what the demo tells a person, to its last line."""
    assert process.stdout is not None
    lines = []
    while "Ctrl-C" not in (line := (await process.stdout.readline()).decode()):
        assert line, "the demo ended"
        lines.append(line)
    return "".join([*lines, line])


async def test_the_check_signs_in_and_prints_the_entities(demo: Demo, tree: Path) -> None:
    process = await demo("--check")
    output, errors = await _ended(process)
    assert process.returncode == 0, errors
    rows = [re.split(r" {2,}", line) for line in output.splitlines()]
    assert rows[0] == ["entity", "name", "state", "unit"]
    levels = [row for row in rows if row[0] == "sensor.roadrunner_battery_level"]
    assert len(levels) == 1
    assert levels[0][1] == "Roadrunner Battery level"
    assert 0 < float(levels[0][2]) <= 100
    assert levels[0][3] == "%"
    (link,) = [row for row in rows if row[0] == "sensor.teslafi_companion_link"]
    assert link[2] == "linked"
    assert not _home_assistants(tree)


async def test_a_signal_while_it_starts_stops_all(demo: Demo, tree: Path) -> None:
    """SIGHUP, when its terminal is closed. SIGTERM comes to the check below, and Ctrl-C to the demo that goes on."""
    process = await demo("--port", str(free_ports(SERVED)))
    await _started(tree)
    process.send_signal(signal.SIGHUP)
    _, errors = await _ended(process)
    assert process.returncode == 0
    assert errors.splitlines()[-1] == "Stopping …"
    assert not _home_assistants(tree)


async def test_a_check_that_was_stopped_did_not_succeed(demo: Demo, tree: Path) -> None:
    process = await demo("--check")
    await _started(tree)
    process.terminate()
    _, errors = await _ended(process)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "Stopping …"
    assert not _home_assistants(tree)


async def test_the_demo_says_where_to_go_and_survives_a_restart(demo: Demo, tree: Path) -> None:
    port = free_ports(SERVED)
    process = await demo("--port", str(port))
    table = await _table(process)
    assert f"http://127.0.0.1:{port}" in table
    assert re.search(r"anna@example\.com +correct-horse-anna +\d{6}\b", table)
    assert re.search(r"anna@example\.com +nine purple teapots on a hill +\d{6}\b", table)
    assert f"http://localhost:{port + 2}" in table
    assert f"http://127.0.0.1:{port + 3}" in table
    assert "ll-strategy-dashboard-" in await _dashboard_module(port)
    first = _home_assistants(tree)
    assert len(first) == 1

    # what "Restart" in Home Assistant does: it ends with a code that asks to be started again
    token = (tree / ".demo" / "config" / "access-token.txt").read_text()
    await _restart(port, token)
    await _until(tree, lambda now: bool(now) and now != first)
    process.send_signal(signal.SIGINT)
    _, errors = await _ended(process)
    assert process.returncode == 0
    assert errors.splitlines()[-1] == "Stopping …"
    assert not _home_assistants(tree)


async def _dashboard_module(port: int) -> str:
    """Load what the first page loads, before anybody has added the integration: the page that the demo opens with."""
    timeout = aiohttp.ClientTimeout(total=LONG_SECONDS)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as browser:
        async with browser.get("/") as page:
            (module,) = re.findall(r'import\("([^"]*teslafi[^"]*)"\)', await page.text())
        async with browser.get(module) as response:
            assert response.ok
            return await response.text()


async def _restart(port: int, token: str) -> None:
    body = b"{}"
    head = (
        f"POST /api/services/homeassistant/restart HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert not answer or b" 200 " in answer.splitlines()[0]


async def test_home_assistant_ends_with_a_demo_that_was_killed(demo: Demo, tree: Path) -> None:
    process = await demo("--port", str(free_ports(SERVED)))
    await _table(process)
    assert len(_home_assistants(tree)) == 1
    os.kill(process.pid, signal.SIGKILL)
    await _ended(process)
    await _until(tree, lambda now: not now)


async def test_a_port_that_is_taken_is_one_sentence(demo: Demo) -> None:
    """The last of them: those before it are found free."""
    port = free_ports(SERVED)
    with _taken(port + SERVED - 1):
        process = await demo("--port", str(port))
        _, errors = await _ended(process)
    assert process.returncode == 1
    assert errors == _sentence(port + SERVED - 1)


@pytest.mark.parametrize("place", range(SERVED))
def test_each_port_is_looked_at_first(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: another one for each port would import all of Home Assistant to say one sentence."""
    port = free_ports(SERVED)
    monkeypatch.setattr(live_demo, "STATE", tmp_path / "state")
    monkeypatch.setattr(live_demo, "_started", None)
    monkeypatch.setattr(sys, "argv", ["demo", "--port", str(port)])
    with _taken(port + place):
        assert live_demo.main() == 1
    assert capsys.readouterr() == ("", _sentence(port + place))
    assert not (tmp_path / "state").exists()


@contextmanager
def _taken(port: int) -> Iterator[None]:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port))
        somebody.listen()
        yield


def _sentence(port: int) -> str:
    return f"demo: port {port} is taken: end what uses it, or choose another with --port\n"
