"""Figures for Prometheus, on a port of their own that loopback alone reaches. No label holds anything of a person."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from teslafi_companion.store.database import StoreUnreachable

from . import outcome
from .received import method

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ELSEWHERE: Final = "(none)"
"""Route of what has no route: a scanner's paths would make a label each."""


type OutboxFigures = tuple[float, float]
"""How many mails wait, and the age of the oldest in seconds."""


class LoopFigures(NamedTuple):
    """How a loop that runs beside the requests does."""

    degraded: bool
    failed: int


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "companion_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "companion_request_seconds",
            "Time to answer a request",
            ("route",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._webhooks = Counter("companion_webhooks", "Webhooks of Chargebee's", ("answer",), registry=self.registry)
        self._waiting = Gauge("companion_outbox_waiting", "Mails not handed over yet", registry=self.registry)
        self._oldest = Gauge(
            "companion_outbox_oldest_seconds",
            "Age of the oldest mail that waits, 0 without one",
            registry=self.registry,
        )
        self._expires = Gauge(
            "companion_security_expires_seconds",
            "When security.txt expires, +Inf without one",
            registry=self.registry,
        )
        self._expires.set(float("inf"))
        self._degraded = Gauge(
            "companion_loop_degraded", "1 while a loop cannot do its work", ("loop",), registry=self.registry
        )
        self._failed = Gauge(
            "companion_loop_failed_turns", "Failed turns of a loop since the start", ("loop",), registry=self.registry
        )

    def middleware(self) -> Middleware:
        """Return what counts each request of an application."""

        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            def tell(route: str | None, status: int, seconds: float) -> None:
                self._requests.labels(method(request), route or _ELSEWHERE, status).inc()
                self._seconds.labels(route or _ELSEWHERE).observe(seconds)

            return await outcome.handle(request, handler, tell)

        return count

    def expires(self, at: datetime) -> None:
        """Say when security.txt expires."""
        self._expires.set(at.timestamp())

    def webhook(self, answer: str) -> None:
        """Count a webhook: `new`, `again` or `refused`."""
        self._webhooks.labels(answer).inc()

    def application(
        self, waiting: Callable[[], Awaitable[OutboxFigures]], loops: Callable[[], Mapping[str, LoopFigures]]
    ) -> web.Application:
        """Return the application of the metrics port.

        `waiting` counts the mails that wait and says how old the oldest is; `loops` tells how what runs beside the
        requests does.
        """

        async def show(_request: web.Request) -> web.Response:
            try:
                count, seconds = await waiting()
            except StoreUnreachable:
                count = seconds = float("nan")
            self._waiting.set(count)
            self._oldest.set(seconds)
            for name, figures in loops().items():
                self._degraded.labels(name).set(figures.degraded)
                self._failed.labels(name).set(figures.failed)
            return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

        app = web.Application()
        app.add_routes([web.get("/metrics", show)])
        return app
