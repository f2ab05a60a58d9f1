"""Calls of `tesla-fleet-api`: the one place where foreign code is run, and what is known of a call afterwards.

The library is given a stand-in for its HTTP session. It follows no redirect, since token, PIN or signed payload would
travel along; reads no endless body; takes a refusal's status as it is, whatever its body; and notes which access token
was sent where, what Tesla bills, and whether anything may have reached it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
import json
from typing import Any, Final, cast, override

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from multidict import CIMultiDictProxy
import orjson
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.exceptions import ResponseError, raise_for_status
from yarl import URL, Query

from ..secret import Secret
from .body import body_of, limited
from .errors import AccessTokenRefused, TeslaError, UnexpectedAnswer, WrongRegion, translated
from .servers import region_at
from .session import GrantSession

TIMEOUT: Final = 30.0
"""Seconds for a call, the library's own repetitions included."""

_URLS: Final = 512
"""Addresses that are remembered as parsed."""

type Count = Callable[[], None]


@dataclass(slots=True)
class Exchange:
    """What one call of the library sent to Tesla and got from it."""

    count: Count
    """Called for each request that Tesla bills: every one with a status below 500 ("Billing and limits").

    One whose answer was lost on the way counts as well: Tesla has probably billed it.
    """
    token: Secret | None = None
    """The access token that was sent last."""
    endpoint: str = ""
    """Path of the last request: an endpoint of one car, site or account."""
    delivered: bool = False
    """Whether a request that changes something may have reached Tesla."""


_exchange: ContextVar[Exchange | None] = ContextVar("teslafi_exchange", default=None)


def under_way() -> Exchange | None:
    """Return the exchange that the running code belongs to; None outside of our own calls."""
    return _exchange.get()


@contextmanager
def changing_nothing() -> Iterator[None]:
    """Send what may be repeated at will: it leaves open whether a command was delivered."""
    exchange = _exchange.get()
    delivered = exchange is not None and exchange.delivered
    try:
        yield
    finally:
        if exchange is not None:
            exchange.delivered = delivered


async def exchanged[T](request: Callable[[], Awaitable[T]], exchange: Exchange) -> T:
    """Call the library; whatever goes wrong becomes a TeslaError that knows whether anything was delivered."""
    try:
        with translated():
            # A timer that was cancelled keeps its context for a while: there is no exchange in it
            async with asyncio.timeout(TIMEOUT):
                mark = _exchange.set(exchange)
                try:
                    return await request()
                finally:
                    _exchange.reset(mark)
    except TeslaError as error:
        error.delivered = exchange.delivered
        raise


class Answer:
    """An HTTP answer with its whole body, as far as the library looks at one."""

    def __init__(self, answer: aiohttp.ClientResponse, body: bytes) -> None:
        """Hold what is needed after the connection was given back."""
        self.status: Final[int] = answer.status
        self.headers: Final[CIMultiDictProxy[str]] = answer.headers
        self.content_type: Final[str] = answer.content_type
        self.url: Final[URL] = answer.url
        self._body = body

    @property
    def ok(self) -> bool:
        """Whether the status is no refusal."""
        return self.status < HTTPStatus.BAD_REQUEST

    async def text(self) -> str:
        """Return the body as text. Tesla sends UTF-8; a charset that an answer claims is not believed."""
        return self._body.decode(errors="replace")

    async def read(self) -> bytes:
        """Return the body."""
        return self._body

    async def json(self) -> Any:  # noqa: ANN401 - JSON
        """Parse the body. A refusal counts by its status alone when its body is no object."""
        if self.ok:
            return _parsed(self._body)
        try:
            body = _parsed(self._body)
        except ValueError, RecursionError:
            return {}
        return body if isinstance(body, dict) else {}

    def raise_for_status(self) -> None:
        """Refuse a status that the library has no name for."""
        raise ResponseError(status=self.status)


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON; what the fast and strict parser refuses (NaN, half a character), as Python's own takes it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


class Transport:
    """The library's HTTP session."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        """Send with this session."""
        self._http = http

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], json: object = None, params: Query = None
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request; raises as aiohttp does, and TeslaErrors for what the library would mistake."""
        return _Sent(self._http, method, _url_of(url), headers, json, params)


_url_of: Final = lru_cache(_URLS)(URL)
"""Addresses, of which each car has a few that are asked for all the time."""


class _Sent(AbstractAsyncContextManager[Answer]):
    """A request that is sent when it is entered. The answer is whole then, its connection given back."""

    __slots__ = ("_headers", "_http", "_json", "_method", "_params", "_url")

    def __init__(
        self,
        http: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        json: object,
        params: Query,
    ) -> None:
        """Send nothing yet."""
        self._http = http
        self._method = method
        self._url = url
        self._headers = headers
        self._json = json
        self._params = params

    @override
    async def __aenter__(self) -> Answer:
        exchange = _exchange.get() or Exchange(_uncounted)
        exchange.endpoint = self._url.path
        before, exchange.delivered = exchange.delivered, True
        try:
            response = await self._http.request(
                self._method,
                self._url,
                headers=self._headers,
                json=self._json,
                params=self._params,
                allow_redirects=False,
                middlewares=_EACH_ATTEMPT,
                timeout=_WITHIN_THE_CALL,
            )
        except aiohttp.ClientConnectorError, aiohttp.InvalidURL:
            exchange.delivered = before
            raise
        async with response:
            body = await _read(response)
        answer = Answer(response, body)
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise UnexpectedAnswer(f"Tesla's server sends us elsewhere ({answer.status})")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise limited(answer.headers, body)
        return answer

    @override
    async def __aexit__(self, *_exception: object) -> None:
        """There is nothing to close."""


async def _counted(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Count each attempt of aiohttp, which asks once more by itself when a connection breaks."""
    billed = True
    try:
        response = await send(request)
        billed = response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    except aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError:
        billed = False
        raise
    finally:
        if billed and (exchange := _exchange.get()) is not None:
            exchange.count()
    return response


_EACH_ATTEMPT: Final = (_counted,)
_WITHIN_THE_CALL: Final = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT)
"""The call's own timeout holds for the whole of each request."""


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read the body; of a refusal, what there is of it."""
    try:
        return await body_of(response)
    except aiohttp.ClientError, UnexpectedAnswer:
        if response.status < HTTPStatus.BAD_REQUEST:
            raise
        return b""


def connected(
    http: aiohttp.ClientSession, access_token: str | Callable[[], Awaitable[str]], server: str
) -> TeslaFleetApi:
    """Return the library's API for a server of Tesla's."""
    return TeslaFleetApi(cast("aiohttp.ClientSession", Transport(http)), access_token, server=server)


class Caller:
    """Calls the library with a grant that its session keeps valid."""

    def __init__(
        self, http: aiohttp.ClientSession, session: GrantSession, key: EllipticCurvePrivateKey | None = None
    ) -> None:
        """Use this grant, and this command key where there is one; raise SignInRequired when the grant is dead."""
        self._session = session
        self._transport = Transport(http)
        self.api: Final = connected(http, self._token, session.grant.server.api)
        self.api.private_key = key

    async def ask(self, request: Callable[[], Awaitable[object]], count: Count | None = None) -> object:
        """Call the library; after 401 once more with another access token, after 421 once more at the right server.

        `count` is called for each answer that Tesla bills.
        """
        repeated = False
        while True:
            exchange = Exchange(count or _uncounted)
            sent_to = self.api.server = self._session.grant.server.api
            try:
                answer = await exchanged(request, exchange)
            except AccessTokenRefused:
                another = exchange.token is not None and self._session.refuse(exchange.token, exchange.endpoint)
                if repeated or not another:
                    raise
            except WrongRegion as error:
                await self._move(error, sent_to)
                if repeated:
                    raise
            else:
                self._session.accept(exchange.endpoint)
                return answer
            repeated = True

    async def download(self, path: str, count: Count) -> bytes:
        """Fetch a document, for which the library has no method; otherwise as `ask`."""
        return cast("bytes", await self.ask(lambda: self._fetch(path), count))

    async def _fetch(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {await self._token()}"}
        async with self._transport.request("GET", f"{self.api.server}/{path}", headers=headers) as answer:
            await raise_for_status(cast("aiohttp.ClientResponse", answer))
            return await answer.read()

    async def _token(self) -> str:
        token = await self._session.access_token()
        if (exchange := _exchange.get()) is not None:
            exchange.token = Secret(token)
        return token

    async def _move(self, error: WrongRegion, sent_to: str) -> None:
        """Go to the server that Tesla names, if it is one of Tesla's and another than was asked."""
        region = region_at(error.api) if error.api else None
        if region is None or region == region_at(sent_to):
            raise error
        if region != self._session.grant.region:
            await self._session.move(region)


def _uncounted() -> None:
    """Count nothing: Tesla does not bill it."""
