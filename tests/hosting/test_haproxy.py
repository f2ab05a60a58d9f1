"""What visitors are told by HAProxy, as operators get it, when a process ends in the middle of their request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import os
from pathlib import Path
import socket
import struct
import textwrap
from typing import Final

import pytest

from tests.chaos.replicated import is_installed
from tests.live.ports import free_port
from tests.live.proxied import haproxy, with_sbin

pytestmark = pytest.mark.usefixtures("socket_enabled")

START_SECONDS: Final = 60
ANSWER_SECONDS: Final = 60
RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time: closing says RST, as the kernel does for a process that left something unread."""
HTTP_2: Final = """
    defaults
        mode http
        timeout connect 10s
        timeout client 60s
        timeout server 60s
    listen visitors
        bind 127.0.0.1:{port}
        server tried 127.0.0.1:{tried} proto h2
"""
"""A second HAProxy speaks HTTP/2 for the test; where a stream is only reset, it says 502."""


class Dying:
    """A process that answers, until a request tells it to die."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each request of a connection with its path."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                path = (await _message(reader))[0].split()[1]
                if path != "/readyz":
                    self.asked.append(path)
                if path == "/reset":
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                if path in {"/reset", "/close"}:
                    break
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(path)}\r\n\r\n{path}".encode())
                await writer.drain()
        writer.close()


async def _message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], str]:
    """Read a request or a response: its first line, headers, and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return head[0], headers, body.decode()


class Visitor:
    """Somebody who keeps one connection and sends nothing twice."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be connected."""
        self._reader, self._writer = reader, writer

    async def post(self, path: str) -> tuple[int, str | None]:
        """Send a form; return the status and Retry-After. Raises IncompleteReadError where nothing is said."""
        self._writer.write(f"POST {path} HTTP/1.1\r\nHost: companion\r\nContent-Length: 3\r\n\r\na=b".encode())
        async with asyncio.timeout(ANSWER_SECONDS):
            first, headers, _ = await _message(self._reader)
        return int(first.split()[1]), headers.get("retry-after")


@asynccontextmanager
async def _visitor(port: int) -> AsyncIterator[Visitor]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Visitor(reader, writer)
    writer.close()


async def _serves(port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                async with _visitor(port) as visitor:
                    if (await visitor.post("/serves"))[0] == 200:
                        return
            await asyncio.sleep(0.05)


@pytest.fixture
async def process() -> AsyncIterator[tuple[Dying, asyncio.Server]]:
    """Give what stands behind HAProxy."""
    dying = Dying()
    server = await asyncio.start_server(dying.serve, "127.0.0.1", 0)
    yield dying, server
    server.close()


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
async def port(
    request: pytest.FixtureRequest, process: tuple[Dying, asyncio.Server], tmp_path: Path
) -> AsyncIterator[int]:
    """Give the port at which visitors arrive."""
    if not is_installed("haproxy") and not os.environ.get("CI"):
        pytest.skip("haproxy is missing: script/proxies installs it")
    behind = process[1].sockets[0].getsockname()[1]
    port = free_port()
    running = [await haproxy(tmp_path, port, [behind], tmp_path / "s")]
    try:
        await _serves(port)
        if request.param == "HTTP/2":
            configuration = tmp_path / "visitors.cfg"
            tried, port = port, free_port()
            configuration.write_text(textwrap.dedent(HTTP_2.format(port=port, tried=tried)), encoding="ascii")
            running.append(
                await asyncio.create_subprocess_exec("haproxy", "-db", "-f", str(configuration), env=with_sbin())
            )
            await _serves(port)
        yield port
    finally:
        for one in running:
            one.kill()
            await one.wait()


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("how", ["/close", "/reset"])
async def test_a_process_that_dies_is_503_and_gets_no_form_twice(
    port: int, process: tuple[Dying, asyncio.Server], before: int, how: str
) -> None:
    """However many requests the visitor's connection has carried, and in whichever way the process went."""
    dying, _ = process
    dying.asked.clear()
    async with _visitor(port) as visitor:
        for number in range(before):
            assert await visitor.post(f"/{number}") == (200, None)
        assert await visitor.post(how) == (503, "5")
    assert dying.asked == [*(f"/{number}" for number in range(before)), how]


async def test_nobody_there_is_503(port: int, process: tuple[Dying, asyncio.Server]) -> None:
    """Also for a visitor who was served on the same connection."""
    async with _visitor(port) as visitor:
        assert await visitor.post("/before") == (200, None)
        process[1].close()
        assert await visitor.post("/after") == (503, "5")
