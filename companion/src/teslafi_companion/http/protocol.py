"""What comes before any request is one: answers to bytes that are no HTTP, with our headers and without our version."""

import asyncio
from typing import Any, Final, override

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
import structlog

from teslafi_companion.settings import Settings

from .answers import add_headers

_CONTINUE: Final = "100-continue"
_SENTENCES: Final = {400: "This is not HTTP that this service understands.", 500: "Something went wrong here."}

_log = structlog.get_logger("request")


class Connection(web.RequestHandler):
    """One connection; aiohttp's own answers to what it cannot read repeat it, and name Python and aiohttp."""

    __slots__ = ("_settings",)

    def __init__(
        self,
        manager: web.Server,
        *,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        **kwargs: Any,  # noqa: ANN401 - aiohttp's
    ) -> None:
        """Take the settings that decide about headers, and whatever aiohttp wants."""
        super().__init__(manager, loop=loop, **kwargs)
        self._settings = settings

    @override
    def data_received(self, data: bytes) -> None:
        """Take the body of the request under way also once the end has begun; aiohttp drops it."""
        ending = self._close, self._force_close
        if self._request_in_progress:
            self._close = self._force_close = False
        super().data_received(data)
        self._close |= ending[0]
        self._force_close |= ending[1]

    @override
    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Let the request under way finish for so many seconds, then cut it off; aiohttp waits for so long twice."""
        cut = None if timeout is None else self._loop.call_later(timeout, self._cut_off)
        try:
            await super().shutdown(timeout)
        finally:
            if cut is not None:
                cut.cancel()

    def _cut_off(self) -> None:
        if self._task_handler is not None:
            self._task_handler.cancel()

    @override
    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no request; what strangers sent is neither repeated nor logged."""
        if status >= 500:  # noqa: PLR2004 - ours, not theirs
            _log.error("failed", fault=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        answer = web.Response(status=status, text=_SENTENCES.get(status, _SENTENCES[400]))
        add_headers(self._settings, answer)
        answer.force_close()
        return answer


class _Server(web.Server):
    """Makes our connections."""

    def __init__(self, made: web.Server, settings: Settings, **kwargs: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(made.request_handler, request_factory=self._request)
        self._make = made.request_factory
        self._connection_kwargs = kwargs
        self._settings = settings

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        """Make a request, without expectations but the one that HTTP knows, and without the authority of its target.

        Others may be ignored (RFC 9110, 10.1.1); aiohttp answers them by a text that holds them, before any of our
        code, and fails for what is no UTF-8. It decodes the authority as well, and breaks the connection off without
        an answer where that is no IDNA name (`GET http://xn--a/`); nothing of ours looks at it.
        """
        if message.url.absolute:
            message = message._replace(url=message.url.relative())
        if hdrs.EXPECT in message.headers:
            headers = CIMultiDict(message.headers)
            if any(one.lower() != _CONTINUE for one in headers.popall(hdrs.EXPECT)):
                message = message._replace(headers=CIMultiDictProxy(headers))
        return self._make(message, payload, protocol, writer, task)

    @override
    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return Connection(self, settings=self._settings, loop=loop, **self._connection_kwargs)


class Runner(web.AppRunner):
    """Serves an application on our connections; `connection` is what aiohttp's `RequestHandler` takes."""

    __slots__ = ("_connection", "_settings")

    def __init__(
        self,
        app: web.Application,
        settings: Settings,
        *,
        shutdown_timeout: float = 60,
        **connection: Any,  # noqa: ANN401 - aiohttp's
    ) -> None:
        """Take the application and its settings."""
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._settings = settings
        # A body that says it is compressed is refused (received.py), never unpacked
        self._connection = {"access_log": None, "auto_decompress": False} | connection

    @override
    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._settings, **self._connection)
