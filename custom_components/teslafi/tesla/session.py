"""Keeps one grant's access token valid: one refresh at a time, the successor saved before it is used."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from ..secret import Secret
from .errors import Reason, SignInRequired
from .grant import Grant
from .token import TokenEndpoint

EARLY: Final = 60.0
"""Seconds before its end at which an access token is replaced."""


type CreateTask = Callable[[Coroutine[Any, Any, Grant], str], asyncio.Task[Grant]]


class GrantKeeper(Protocol):
    """Where the grant lives between restarts."""

    async def load(self) -> Grant | None:
        """Return the grant; None when there is none or it cannot be read."""

    async def save(self, grant: Grant) -> None:
        """Put the grant in place of the one before."""

    async def wipe(self) -> None:
        """Forget the grant."""


class GrantSession:
    """Gives a valid access token to whoever reads, or says that the owner must sign in again."""

    def __init__(
        self, keeper: GrantKeeper, endpoint: TokenEndpoint, clock: Callable[[], float], create_task: CreateTask
    ) -> None:
        """Keep the grant of `keeper` valid by `clock` (epoch seconds); refreshes run as tasks of `create_task`."""
        self._keeper = keeper
        self._endpoint = endpoint
        self._clock = clock
        self._create_task = create_task
        self._grant: Grant | None = None
        self._ended = Reason.MISSING
        self._refused: Secret | None = None
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

    def refuse(self, access_token: Secret) -> None:
        """Note that Tesla answered 401 to this access token, so that the next caller refreshes."""
        self._refused = access_token

    async def move(self, grant: Grant) -> None:
        """Save the grant with another region (Tesla answered 421)."""
        await self._keeper.save(grant)
        self._grant = grant

    async def close(self) -> None:
        """Let a refresh under way end and be saved: Tesla has spent its refresh token already."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    def _stale(self, grant: Grant) -> bool:
        return grant.expires_at - EARLY <= self._clock() or grant.access_token == self._refused

    async def _refreshed(self) -> Grant:
        """Join the refresh under way, or begin it. A caller who gives up does not end it."""
        if self._refreshing is None:
            self._refreshing = self._create_task(self._refresh(), "teslafi grant refresh")
            self._refreshing.add_done_callback(self._refresh_ended)
        return await asyncio.shield(self._refreshing)

    def _refresh_ended(self, task: asyncio.Task[Grant]) -> None:
        """Free the place; look at the outcome, which every caller may have stopped waiting for."""
        self._refreshing = None
        if not task.cancelled():
            task.exception()

    async def _refresh(self) -> Grant:
        try:
            successor = await self._endpoint.refresh(self.grant)
        except SignInRequired as error:
            self._ended = error.reason
            self._grant = None
            await self._keeper.wipe()
            raise
        await self._keeper.save(successor)
        self._grant = successor
        self._refused = None
        return successor
