"""The end of a connection: what has begun is finished, what hangs is cut off in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web, web_protocol
import pytest

from teslafi_companion.http.protocol import Runner
from teslafi_companion.settings import Settings

pytestmark = pytest.mark.usefixtures("socket_enabled")

PATIENCE = 60
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Served:
    """One handler on our connections, until it is told to end."""

    def __init__(self) -> None:
        """Begin with nobody served."""
        self.begun = asyncio.Event()
        self.port = 0
        self.ends = asyncio.Event()
        """Connections have been told to close once they have nothing to do."""
        self.end: Callable[[], asyncio.Task[None]]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
        writer.close()


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.Response]], seconds: float) -> AsyncIterator[Served]:
    """Serve a handler, which has so many seconds at the end."""
    served = Served()

    async def handle(request: web.Request) -> web.Response:
        served.begun.set()
        return await handler(request)

    app = web.Application()

    async def note(_: web.Application) -> None:
        served.ends.set()

    app.router.add_post("/", handle)
    app.on_shutdown.append(note)
    runner = Runner(app, Settings(), shutdown_timeout=seconds)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    served.end = lambda: asyncio.create_task(runner.cleanup())
    yield served
    await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    """Answer with the body."""
    return web.Response(text=await request.text())


async def test_a_body_that_comes_after_the_end_has_begun_is_read() -> None:
    async with serving(echo, PATIENCE) as served, served.connected() as (reader, writer):
        writer.write(HEAD + b"for")
        await served.begun.wait()
        ending = served.end()
        await served.ends.wait()
        writer.write(b"m")
        said = await reader.read()
        assert said.startswith(b"HTTP/1.1 200 OK\r\n")
        assert said.endswith(b"\r\n\r\nform")
        await ending


async def test_nothing_new_begins_once_the_end_has_begun() -> None:
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(await request.text())
        return web.Response()

    async with serving(note, PATIENCE) as served, served.connected() as (reader, writer):
        writer.write(HEAD)
        await served.begun.wait()
        ending = served.end()
        await served.ends.wait()
        writer.write(b"form" + HEAD + b"more")
        said = await reader.read()
        await ending
    assert asked == ["form"]
    assert said.count(b"HTTP/1.1") == 1


async def test_a_handler_that_hangs_is_cut_off_once_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """By us: aiohttp's own waiting, which is twice as long, has no end here."""
    monkeypatch.setattr(web_protocol, "ceil_timeout", lambda _delay: asyncio.timeout(None))
    ended = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return web.Response()

    async with serving(hang, 0.05) as served, served.connected() as (reader, writer):
        writer.write(HEAD + b"form")
        await served.begun.wait()
        await served.end()
        assert await reader.read() == b""
        assert ended.is_set()
