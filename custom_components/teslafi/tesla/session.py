"""Keeps one grant's access token valid: one refresh for each dead token, the successor saved before it is used.

Two things are never taken for one: an access token that is dead, and an endpoint of Tesla's that refuses whatever token
it is sent. A 401 is blamed on the token that was sent, and on the endpoint when that token had just been renewed.
"""

import asyncio
from collections.abc import Callable, Coroutine
import time
from typing import Any, Final, Protocol

from ..secret import Secret
from .errors import RateLimited, Reason, SignInRequired, TeslaError
from .grant import Grant
from .servers import Region
from .token import TokenEndpoint

EARLY: Final = 60.0
"""Seconds before its end at which an access token is replaced."""
YOUNG: Final = 300.0
"""Seconds in which a renewed access token is not blamed for a 401."""
BLAMED_FOR: Final = 3600.0
"""Seconds in which an endpoint that refused a renewed access token is blamed for its 401 itself."""
BLAMED_LONGER: Final = 4
"""By how much longer each time it refuses a renewed one again, without having taken any between."""
BLAMED_MOST: Final = 86_400.0
RATE_LIMITED_FOR: Final = 60.0
"""Seconds without a refresh after 429, when the token endpoint does not say how long."""
RATE_LIMITED_MOST: Final = 86_400.0
"""The longest that a 429 is waited for, whatever number it names: without a token nothing works."""
FAILED_FOR: Final = (0.0, 60.0, 120.0, 240.0, 480.0, 900.0)
"""Seconds without a refresh after the first, second, … in a row that brought no token; the last for all others."""


type CreateTask = Callable[[Coroutine[Any, Any, Grant], str], asyncio.Task[Grant]]


class GrantKeeper(Protocol):
    """Where the grant lives between restarts. Others may put a newer one there at any time."""

    async def load(self) -> Grant | None:
        """Return the grant; None when there is none or it cannot be read."""

    async def replace(self, before: Grant, after: Grant | None) -> Grant | None:
        """Put `after` in the place of `before` (None: nothing), if that is still there; return what is there then."""


class GrantSession:
    """Gives a valid access token to whoever asks Tesla, or says that the owner must sign in again."""

    def __init__(
        self,
        keeper: GrantKeeper,
        endpoint: TokenEndpoint,
        clock: Callable[[], float],
        create_task: CreateTask,
        steady: Callable[[], float] = lambda: time.monotonic(),  # noqa: PLW0108 - a test's clock comes later
    ) -> None:
        """Keep the grant of `keeper` valid by `clock` (epoch seconds); refreshes run as tasks of `create_task`.

        `steady` is the clock that waits are measured by, in seconds.
        """
        self._keeper = keeper
        self._endpoint = endpoint
        self._clock = clock
        self._steady = steady
        self._create_task = create_task
        self._grant: Grant | None = None
        self._ended = Reason.MISSING
        self._refused: Secret | None = None
        self._renewed_at: float | None = None
        self._blamed: dict[str, tuple[float, int]] = {}
        """Endpoint -> the moment until which it is blamed, and how often it was."""
        self._wait_until = 0.0
        self._failures = 0
        self._failure: TeslaError | None = None
        self._refreshing: asyncio.Task[Grant] | None = None

    async def load(self) -> Grant:
        """Take the grant from its keeper; raise SignInRequired when there is none."""
        self._grant = await self._keeper.load()
        return self.grant

    @property
    def grant(self) -> Grant:
        """The grant as last saved; raise SignInRequired when it is dead or was never there."""
        if self._grant is None:
            raise SignInRequired(self._ended)
        return self._grant

    async def access_token(self) -> str:
        """Return an access token that is not over and not known to be refused; raises as `TokenEndpoint.refresh`."""
        grant = self.grant
        if self._stale(grant):
            grant = await self._refreshed()
        return grant.access_token.reveal()

    def refuse(self, access_token: Secret, endpoint: str = "") -> bool:
        """Note that an endpoint answered 401 to this access token; return whether to ask it again with another one."""
        if self._grant is None or access_token != self._grant.access_token or access_token == self._refused:
            return True
        now = self._steady()
        until, times = self._blamed.get(endpoint, (now, 0))
        if now >= until and self._renewed_at is not None and now - self._renewed_at < YOUNG:
            until = now + min(BLAMED_FOR * BLAMED_LONGER**times, BLAMED_MOST)
            self._blamed[endpoint] = until, times + 1
        if now < until:
            return False
        self._refused = access_token
        return True

    def accept(self, endpoint: str) -> None:
        """Note that an endpoint took the access token that it was sent."""
        self._blamed.pop(endpoint, None)

    async def move(self, region: Region) -> None:
        """Remember that the account lives in another region (Tesla answered 421)."""
        before = self.grant
        self._adopt(await self._keeper.replace(before, before.moved_to(region)))

    async def close(self) -> None:
        """Let a refresh under way end and be saved: Tesla has spent its refresh token already."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    def _stale(self, grant: Grant) -> bool:
        return grant.expires_at - EARLY <= self._clock() or grant.access_token == self._refused

    async def _refreshed(self) -> Grant:
        """Join the refresh under way, or begin it. A caller who gives up does not end it."""
        if self._refreshing is None:
            if (wait := self._wait_until - self._steady()) > 0:
                raise self._why_it_waits(wait)
            self._refreshing = self._create_task(self._refresh(), "teslafi grant refresh")
            self._refreshing.add_done_callback(self._refresh_ended)
        refreshing = self._refreshing
        await asyncio.wait([refreshing])
        return refreshing.result()

    def _why_it_waits(self, wait: float) -> TeslaError:
        return RateLimited(wait) if self._failure is None else self._failure.with_traceback(None)

    def _refresh_ended(self, task: asyncio.Task[Grant]) -> None:
        """Free the place; look at the outcome, which every caller may have stopped waiting for."""
        self._refreshing = None
        if not task.cancelled():
            task.exception()

    async def _refresh(self) -> Grant:
        before = self.grant
        try:
            after: Grant | None = await self._endpoint.refresh(before)
        except SignInRequired as error:
            self._ended = error.reason
            after = None
        except RateLimited as error:
            self._failed(None, min(error.retry_after or RATE_LIMITED_FOR, RATE_LIMITED_MOST))
            raise
        except TeslaError as error:
            self._failed(error)
            raise
        else:
            self._renewed_at = self._steady()
        self._failures, self._failure = 0, None
        self._adopt(await self._keeper.replace(before, after))
        return self.grant

    def _failed(self, failure: TeslaError | None, least: float = 0.0) -> None:
        """Leave the token endpoint alone for at least so many seconds, longer the oftener it failed."""
        self._wait_until = self._steady() + max(least, FAILED_FOR[min(self._failures, len(FAILED_FOR) - 1)])
        self._failures += 1
        self._failure = failure

    def _adopt(self, grant: Grant | None) -> None:
        """Go on with what the keeper has now: ours, a newer one, or none."""
        self._grant = grant
        self._refused = None
