"""Who may hold a connection, and for how long: what slow and idle clients can take is bounded.

A connection has some seconds for the head of its first request, a request some more for its body and its answer, and in
between it may rest a while. Beyond the cap whoever waits without a request, the longest first, makes room.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
import ssl
from typing import Final, override

from aiohttp import web
from aiohttp.typedefs import Handler

from teslafi_companion.domain.accounts.throttle import network_key
from teslafi_companion.settings import Settings

from .answers import explain

HEAD_SECONDS: Final = 10.0
"""From the connection to the end of the first request's head."""
REST_SECONDS: Final = 30.0
"""Between two requests; proxies, which pool their connections, may rest longer."""
REQUEST_SECONDS: Final = 40.0
"""From the head to the answer, the body included. Pages wait 20 seconds for Chargebee."""
HANDSHAKE_SECONDS: Final = 10.0
PROXY_REST_SECONDS: Final = 300.0


class Doorkeeper:
    """Counts connections; there is one for the port that people reach."""

    def __init__(self, settings: Settings) -> None:
        """Take the caps, and the proxies, which speak for many."""
        self._most = settings.connections
        self._most_of_network = settings.connections_of_network
        self._proxies = settings.proxy_networks
        self._doors: dict[asyncio.BaseTransport, Door] = {}
        self._waiting: dict[Door, None] = {}
        self._networks: Counter[bytes] = Counter()

    def factory(self, server: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return what makes a protocol for each connection, around those of `server`."""
        return lambda: Door(self, server())

    def is_proxy(self, address: str) -> bool:
        """Say whether connections from here are a trusted proxy's."""
        return any(ip_address(address) in network for network in self._proxies)

    def entered(self, door: Door) -> bool:
        """Take a connection in, if need be in place of one that waits; False when there is no room."""
        if not door.is_proxy and self._networks[door.network] >= self._most_of_network:
            return False
        if len(self._doors) >= self._most:
            longest = next((one for one in self._waiting if not one.is_proxy), None)
            if longest is None:
                return False
            longest.abort()
            self.left(longest)
        self._doors[door.transport] = door
        self._networks[door.network] += 1
        self._waiting[door] = None
        return True

    def left(self, door: Door) -> None:
        """Forget a connection; more than once is once."""
        if self._doors.pop(door.transport, None) is None:
            return
        self._waiting.pop(door, None)
        self._networks[door.network] -= 1
        if not self._networks[door.network]:
            del self._networks[door.network]

    def begun(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a connection's request has come: it has its own deadline now."""
        if transport is not None and (door := self._doors.get(transport)) is not None:
            self._waiting.pop(door, None)
            door.patience(None)

    def ended(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request was answered: the next may take a while to come, and the answer to be read."""
        if transport is not None and (door := self._doors.get(transport)) is not None:
            self._waiting[door] = None
            door.patience(PROXY_REST_SECONDS if door.is_proxy else REST_SECONDS)


class Door(asyncio.Protocol):
    """One connection, in front of the protocol that reads its requests."""

    transport: asyncio.Transport

    def __init__(self, keeper: Doorkeeper, inner: asyncio.Protocol) -> None:
        """Stand in front of a protocol."""
        self._keeper = keeper
        self._inner: asyncio.Protocol | None = inner
        self._deadline: asyncio.TimerHandle | None = None
        self.network = b""
        self.is_proxy = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let a connection in, or end it at once."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a door is for streams")
        self.transport = transport
        address = str((transport.get_extra_info("peername") or ("0.0.0.0",))[0]).partition("%")[0]  # noqa: S104 - nobody
        self.network, self.is_proxy = network_key(address), self._keeper.is_proxy(address)
        if not self._keeper.entered(self):
            self._inner = None
            transport.abort()
            return
        self.patience(HEAD_SECONDS)
        if self._inner is not None:
            self._inner.connection_made(transport)

    def patience(self, seconds: float | None) -> None:
        """End the connection after so many seconds unless told otherwise; None takes the deadline away."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.abort)

    def abort(self) -> None:
        """End the connection at once, whatever was to be sent."""
        self.transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        """Pass on."""
        if self._inner is not None:
            self._inner.data_received(data)

    @override
    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received() if self._inner is not None else None

    @override
    def pause_writing(self) -> None:
        """Pass on."""
        if self._inner is not None:
            self._inner.pause_writing()

    @override
    def resume_writing(self) -> None:
        """Pass on."""
        if self._inner is not None:
            self._inner.resume_writing()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and pass on."""
        self.patience(None)
        self._keeper.left(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)


DOORKEEPER: Final = web.AppKey("doorkeeper", Doorkeeper)


@web.middleware
async def in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give up on a request that takes too long: 408 when its body does not come, else 503."""
    keeper = request.config_dict[DOORKEEPER]
    keeper.begun(request.transport)
    try:
        # A timeout of something inside is explained there: this one is ours
        async with asyncio.timeout(REQUEST_SECONDS):
            return await handler(request)
    except TimeoutError:
        if request.body_exists and not request.content.is_eof():
            answer = await explain(request, HTTPStatus.REQUEST_TIMEOUT, {})
            answer.force_close()
            return answer
        return await explain(request, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "30"})
    finally:
        keeper.ended(request.transport)


class GuardedSite(web.TCPSite):
    """A port behind the doorkeeper."""

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        keeper: Doorkeeper,
        *,
        ssl_context: ssl.SSLContext | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        """Take where to listen."""
        super().__init__(runner, host, port, ssl_context=ssl_context, reuse_port=reuse_port)
        self._keeper = keeper
        self._where = (host, port)

    @override
    async def start(self) -> None:
        """Listen; as web.TCPSite does, around the protocols of its server."""
        await web.BaseSite.start(self)
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        host, port = self._where
        self._server = await asyncio.get_running_loop().create_server(
            self._keeper.factory(server),
            host,
            port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=None if self._ssl_context is None else HANDSHAKE_SECONDS,
            backlog=self._backlog,
            reuse_port=self._reuse_port,
        )
