"""One of Tesla's endpoints about one site or account: when it is due, and how long it is left alone after failures."""

from collections.abc import Awaitable
import random
import time

from ..polling.backoff import Backoff
from ..tesla.errors import RateLimited, TeslaError
from .troubles import trouble_of


class Endpoint:
    """Asked every `interval` seconds, sooner when wanted, never sooner than its failures allow. Waiting is monotonic.

    `shown_for`: seconds for which an answer is worth showing when no other follows.
    """

    def __init__(self, name: str, interval: float, shown_for: float) -> None:
        """Begin with nothing asked: it is due."""
        self.name = name
        self.interval = interval
        self.shown_for = shown_for
        self.trouble: TeslaError | None = None
        self.backoff = Backoff()
        self._answered_at: float | None = None
        self._wanted = False

    def want(self) -> None:
        """Make it due as soon as its failures allow. What Tesla asked to wait stays waited for."""
        self._wanted = True

    def wait(self, *, early: float = 0.0) -> float:
        """Return the seconds until it is due, 0 when it is; the regular interval may be cut short by `early`."""
        now = time.monotonic()
        planned = 0.0
        if self._answered_at is not None and not self._wanted:
            planned = self._answered_at + self.interval - early - now
        return max(planned, self.backoff.wait(now), 0.0)

    def shown(self) -> float:
        """Return for how many seconds more its last answer is worth showing, 0 when it is too old or never came."""
        return 0.0 if self._answered_at is None else max(self._answered_at + self.shown_for - time.monotonic(), 0.0)

    async def ask[T](self, request: Awaitable[T]) -> T:
        """Await a request, and remember how it went; raise its TeslaError."""
        try:
            answer = await request
        except TeslaError as error:
            retry_after = error.retry_after if isinstance(error, RateLimited) else None
            self.trouble = error
            jitter = random.random()  # noqa: S311 - spreads requests, keeps no secret
            self.backoff = self.backoff.failed(
                trouble_of(error), time.monotonic(), retry_after=retry_after, jitter=jitter
            )
            raise
        self.trouble, self.backoff, self._wanted = None, self.backoff.succeeded(), False
        self._answered_at = time.monotonic()
        return answer
