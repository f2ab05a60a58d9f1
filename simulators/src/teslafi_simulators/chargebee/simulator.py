"""One simulated Chargebee on one port of loopback."""

import asyncio
from contextlib import suppress
import time
from typing import Self

from aiohttp import web

from .api import Gate, api_routes
from .clock import Clock, TravellingClock
from .pages import page_routes
from .site import Site
from .webhooks import WebhookSender

API_KEY = "test_simulated"


class ChargebeeSimulator:
    """Start it, point the SDK at `api_endpoint`, change things on `site`. Also an async context manager.

    `sender` delivers webhooks when told to, or by itself after `start(sends=True)`.
    """

    def __init__(self, *, clock: Clock = time.time, api_key: str = API_KEY) -> None:
        """Begin with an empty site."""
        self.clock = TravellingClock(clock)
        self.site = Site(self.clock)
        self.gate = Gate(api_key)
        self.sender = WebhookSender(self.clock)
        self.site.on_event = self.sender.take
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def api_endpoint(self) -> str:
        """What the SDK calls its endpoint."""
        return f"{self.url}/api/v2"

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sends: bool = False) -> None:
        """Serve; port 0 takes a free one."""
        app = web.Application()
        app.add_routes([*api_routes(self.site, self.gate, lambda: self.url), *page_routes(self.site)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0]
        self.url = f"http://{bound[0]}:{bound[1]}"
        if sends:
            self._sending = asyncio.create_task(self.sender.run(), name="webhooks")

    async def stop(self) -> None:
        """End everything."""
        if self._sending is not None:
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start on a free port."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()
