"""Does again and again what no request does: takes over keys, carries out what is due, drops what has expired."""

from collections.abc import Callable
from datetime import datetime, timedelta
import time
from typing import Final

import structlog

from teslafi_companion import audit
from teslafi_companion.clock import Clock
from teslafi_companion.domain.accounts import account, factors, notices, passkeys, sessions, sign_in, throttle, totp
from teslafi_companion.domain.billing import inbox, portals
from teslafi_companion.domain.links import purge as links
from teslafi_companion.mail import outbox
from teslafi_companion.rotation import retire_roots
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.keyring import REFRESH, refresh_cipher

from .supervisor import Loop

PAUSE: Final = timedelta(seconds=30)
JUMP: Final = timedelta(minutes=2)
"""More than clocks are put right by without a jump."""
STEADY: Final = timedelta(hours=1)
"""For how long the clock has to go evenly before anything is deleted by it."""
HEAD_LOGGED: Final = timedelta(hours=24)
WAITING_LOGGED: Final = timedelta(minutes=5)
"""A mail that waits for longer is worth a line, and one more each time that this passes again: alarms count on it."""
PURGES: Final = (
    sessions.purge,
    account.purge_links,
    sign_in.purge_pending,
    totp.purge,
    passkeys.purge,
    notices.purge,
    throttle.purge,
    outbox.purge,
    links.purge,
    inbox.purge,
    portals.purge,
)
"""What drops rows that nothing needs any more."""

EXPIRY_LOGGED: Final = timedelta(days=30)

_log = structlog.get_logger(__name__)


class Steadiness:
    """Says whether the wall clock went evenly for an hour: right after a start or a jump nobody knows if it is right.

    What a clock that is ahead deletes does not come back with the right time.
    """

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Trust nothing yet."""
        self._clock = clock
        self._monotonic = monotonic
        self._apart: float | None = None
        self._since = 0.0

    def holds(self) -> bool:
        """Look at the clocks, which has to be done again and again."""
        now = self._monotonic()
        apart = self._clock().timestamp() - now
        if self._apart is None or abs(apart - self._apart) > JUMP.total_seconds():
            self._since = now
        self._apart = apart
        return now - self._since >= STEADY.total_seconds()


class Housekeeping:
    """Keeps the database of one store in order, and writes the audit log's head to the log once a day."""

    def __init__(self, store: Store, steadiness: Steadiness | None = None) -> None:
        """Begin with a head that was never logged."""
        self._store = store
        self._steadiness = steadiness or Steadiness(store.clock)
        self._head_logged_at: datetime | None = None
        self._waiting_logged_at: datetime | None = None

    def loop(self) -> Loop:
        """Return what the supervisor has to do again and again."""
        return Loop(name="housekeeping", turn=self.turn, seconds=min(PAUSE, REFRESH).total_seconds())

    async def turn(self) -> int:
        """Keep the house; returns 1 when more has expired than is dropped at once, otherwise 0."""
        left_some = await keep_house(self._store, deletes=self._steadiness.holds())
        now = self._store.clock()
        if not _is_within(HEAD_LOGGED, self._head_logged_at, now):
            async with self._store.reading() as transaction:
                _log.info("audit_head", head=await audit.head(transaction))
            self._head_logged_at = now
            expiry = self._store.settings.security_expiry
            if expiry is not None and expiry - now < EXPIRY_LOGGED:
                # From then on no process starts any more
                _log.warning("security_contact_expires", at=expiry.isoformat(), days=(expiry - now).days)
        if self._store.settings.smtp_host:
            await self._tell_of_waiting_mail(now)
        return int(left_some)

    async def _tell_of_waiting_mail(self, now: datetime) -> None:
        if _is_within(WAITING_LOGGED, self._waiting_logged_at, now):
            return
        async with self._store.reading() as transaction:
            waiting = await outbox.waiting(transaction)
        if waiting.seconds >= WAITING_LOGGED.total_seconds():
            _log.warning("mail_waiting", oldest_seconds=int(waiting.seconds), rows=waiting.rows)
            self._waiting_logged_at = now


def _is_within(span: timedelta, since: datetime | None, now: datetime) -> bool:
    """Say whether a moment is less than a span ago; one that is yet to come is of a clock that was ahead."""
    return since is not None and timedelta() <= now - since < span


async def keep_house(store: Store, *, deletes: bool = True) -> bool:
    """Learn new keys, write what is owed, tell of unfinished sign-ins; with `deletes` remove and drop what is due.

    Says whether so much has expired that there is more to drop.
    """
    await refresh_cipher(store)
    await store.settle()
    async with store.transaction() as transaction:
        await sign_in.notice_incomplete(transaction)
    if not deletes:
        return False
    async with store.transaction() as transaction:
        await factors.remove_due(transaction)
    async with store.transaction() as transaction:
        await _purge(transaction)
        await retire_roots(transaction)
    return transaction.left_some


async def _purge(transaction: Transaction) -> None:
    for purge in PURGES:
        await purge(transaction)
    await audit.purge(transaction, transaction.policy.audit_retention)
