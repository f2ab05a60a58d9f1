"""Does again and again what no request does: takes over keys, carries out what is due, drops what has expired."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from teslafi_companion import audit
from teslafi_companion.domain.accounts import account, factors, notices, passkeys, sessions, sign_in, throttle, totp
from teslafi_companion.domain.billing import inbox, portals
from teslafi_companion.domain.links import purge as links
from teslafi_companion.mail import outbox
from teslafi_companion.rotation import retire_roots
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.keyring import REFRESH, refresh_cipher

from .supervisor import Loop

PAUSE: Final = timedelta(seconds=30)
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


class Housekeeping:
    """Keeps the database of one store in order, and writes the audit log's head to the log once a day."""

    def __init__(self, store: Store) -> None:
        """Begin with a head that was never logged."""
        self._store = store
        self._head_logged_at: datetime | None = None
        self._waiting_logged_at: datetime | None = None

    def loop(self) -> Loop:
        """Return what the supervisor has to do again and again."""
        return Loop(name="housekeeping", turn=self.turn, seconds=min(PAUSE, REFRESH).total_seconds())

    async def turn(self) -> int:
        """Keep the house; returns 0, because all of it is done at once."""
        await keep_house(self._store)
        now = self._store.clock()
        if self._head_logged_at is None or now - self._head_logged_at >= HEAD_LOGGED:
            async with self._store.reading() as transaction:
                _log.info("audit_head", head=await audit.head(transaction))
            self._head_logged_at = now
            expiry = self._store.settings.security_expiry
            if expiry is not None and expiry - now < EXPIRY_LOGGED:
                # From then on no process starts any more
                _log.warning("security_contact_expires", at=expiry.isoformat(), days=(expiry - now).days)
        if self._store.settings.smtp_host:
            await self._tell_of_waiting_mail(now)
        return 0

    async def _tell_of_waiting_mail(self, now: datetime) -> None:
        if self._waiting_logged_at is not None and now - self._waiting_logged_at < WAITING_LOGGED:
            return
        async with self._store.reading() as transaction:
            waiting = await outbox.waiting(transaction)
        if waiting.seconds >= WAITING_LOGGED.total_seconds():
            _log.warning("mail_waiting", oldest_seconds=int(waiting.seconds), rows=waiting.rows)
            self._waiting_logged_at = now


async def keep_house(store: Store) -> None:
    """Learn new keys, tell of unfinished sign-ins, carry out due removals, drop what has expired."""
    await refresh_cipher(store)
    async with store.transaction() as transaction:
        await sign_in.notice_incomplete(transaction)
        await factors.remove_due(transaction)
    async with store.transaction() as transaction:
        await _purge(transaction)
        await retire_roots(transaction)


async def _purge(transaction: Transaction) -> None:
    for purge in PURGES:
        await purge(transaction)
    await audit.purge(transaction, transaction.policy.audit_retention)
