"""Slow and idle clients, where no proxy is in front: they are let go in time, and others are answered meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import pytest

from teslafi_companion.http import door
from teslafi_companion.server import SPARE_FILES, started
from teslafi_companion.settings import Settings, UnsafeSetting
from tests.live.ports import free_port

MOST, MOST_OF_NETWORK = 40, 10
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HEADLESS = b""
WITHOUT_BODY = (
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail="
)

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Stranger:
    """A connection from some address of this machine, which says little."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold both ways."""
        self.reader = reader
        self.writer = writer

    @classmethod
    async def at(cls, port: int, address: str, said: bytes) -> Stranger:
        """Connect from an address and say something."""
        stranger = cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))
        stranger.writer.write(said)
        return stranger

    async def gets(self) -> bytes:
        """Return all that comes until the other side ends it."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    @property
    def is_disconnected(self) -> bool:
        """Say whether the other side has ended it."""
        return self.reader.at_eof() or self.reader.exception() is not None


@pytest.fixture
async def port(settings: Settings, socket_enabled: None) -> AsyncIterator[int]:
    """Serve a companion without a proxy; give its port."""
    port = free_port()
    settings = replace(
        settings,
        base_url=f"http://localhost:{port}",
        listen_port=port,
        connections=MOST,
        connections_of_network=MOST_OF_NETWORK,
    )
    async with AsyncExitStack() as stack:
        await started(stack, settings)
        yield port


async def is_answered(port: int, address: str) -> bool:
    """Ask from an address, as a browser does."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


async def crowd(port: int, networks: int, each: int, said: bytes) -> list[Stranger]:
    """Connect from so many networks, so often from each."""
    return [await Stranger.at(port, f"127.0.1.{network + 1}", said) for network in range(networks) for _ in range(each)]


@pytest.mark.parametrize("said", [HALF, HEADLESS], ids=["half a head", "nothing"])
async def test_half_requests_of_many_networks_stop_nobody(port: int, said: bytes) -> None:
    """Twice as many as there is room for: each newcomer takes the place of who has waited longest."""
    strangers = await crowd(port, networks=2 * MOST // MOST_OF_NETWORK, each=MOST_OF_NETWORK, said=said)
    assert await is_answered(port, "127.0.0.1")
    assert await is_answered(port, "127.0.0.1")
    await asyncio.sleep(0)
    assert sum(stranger.is_disconnected for stranger in strangers) >= MOST


async def test_one_network_takes_no_more_than_its_share(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 1000.0)
    strangers = await crowd(port, networks=1, each=3 * MOST_OF_NETWORK, said=HALF)
    gone = asyncio.gather(*(stranger.gets() for stranger in strangers[MOST_OF_NETWORK:]))
    assert set(await gone) == {b""}
    assert not any(stranger.is_disconnected for stranger in strangers[:MOST_OF_NETWORK])
    assert not await is_answered(port, "127.0.1.1")
    assert await is_answered(port, "127.0.0.1")


@pytest.mark.parametrize("said", [HALF, HEADLESS], ids=["half a head", "nothing"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.2)
    stranger = await Stranger.at(port, "127.0.1.1", said)

    async def drips() -> None:
        while not stranger.is_disconnected:
            stranger.writer.write(b"x" if said else b"")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drips())
    assert await stranger.gets() == b""
    await dripping


@pytest.mark.slow
async def test_a_body_that_does_not_come_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REQUEST_SECONDS", 0.3)
    stranger = await Stranger.at(port, "127.0.1.1", WITHOUT_BODY)
    answer = await stranger.gets()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Content-Security-Policy" in answer
    assert b"Server: companion" in answer


async def test_an_idle_connection_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REST_SECONDS", 0.2)
    stranger = await Stranger.at(port, "127.0.1.1", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # Long before aiohttp, which lets a connection rest for as long as a proxy's may, would have ended it
    async with asyncio.timeout(door.PROXY_REST_SECONDS / 5):
        assert (await stranger.gets()).startswith(b"HTTP/1.1 200 OK")


async def test_a_connection_goes_on_as_long_as_it_is_used(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve times it rests for half as long as it may; the event loop's clock is moved, nobody waits."""
    monkeypatch.setattr(door, "HEAD_SECONDS", 40.0)
    monkeypatch.setattr(door, "REST_SECONDS", 40.0)
    loop = asyncio.get_running_loop()
    real, rests = loop.time, 0
    monkeypatch.setattr(loop, "time", lambda: real() + 20.0 * rests)
    stranger = await Stranger.at(port, "127.0.1.1", b"")
    for _ in range(12):
        stranger.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await stranger.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        await stranger.reader.readuntil(b"}")
        rests += 1
        await asyncio.sleep(0)
    stranger.writer.close()


async def test_more_connections_than_files_are_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (settings.connections + SPARE_FILES - 1, 100_000))
    async with AsyncExitStack() as stack:
        with pytest.raises(UnsafeSetting, match="Lower it to 799"):
            await started(stack, settings)
