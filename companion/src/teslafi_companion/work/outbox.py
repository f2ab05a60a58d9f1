"""Hands over the mails of the outbox, and does the work that leads to some of them.

A worker claims a row for a minute by one conditional UPDATE, so two workers never hold the same mail. A process
killed between the mail server's *250* and its own commit cannot know whether the mail was taken: it is handed over
again under the same Message-ID, by which mail stores recognise what they already have.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, or_, select, update
import structlog

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import account, notices
from teslafi_companion.mail.outbox import DONE, GIVEN_UP, MESSAGE, WAITING, Resolver
from teslafi_companion.mail.port import Envelope, MailPostponed, MailRefused, MailServer, MailServerUnreachable
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.tables import outbox

from .rows import each
from .supervisor import Loop

_POLL_SECONDS: Final = 1.0
_BACKOFF_FIRST: Final = timedelta(seconds=5)
_BACKOFF_LONGEST: Final = timedelta(minutes=30)
LONGEST_WAIT: Final = max(_BACKOFF_LONGEST, notices.DIGEST_AFTER)
_BATCH: Final = 20

RESOLVERS: Final[dict[str, Resolver]] = {
    account.SIGN_UP: account.mail_sign_up,
    account.RESET: account.mail_reset,
    account.CHANGE_EMAIL: account.mail_change_email,
    notices.DIGEST: notices.mail_digest,
}
"""Kind of an outbox row -> the work that it asks for."""

_log = structlog.get_logger(__name__)


class OutboxWorker:
    """Hands over what is due, one mail at a time.

    What cannot be built, what is refused for good and what was tried for days is given up with an audit event: no row
    ever ends the work on the others.
    """

    def __init__(self, store: Store, resolvers: Mapping[str, Resolver], server: MailServer | None) -> None:
        """Take the work that each kind of row needs, and the mail server; without one, mails wait."""
        self._store = store
        self._resolvers = resolvers
        self._server = server
        self._unreachable: str | None = None

    def loop(self) -> Loop:
        """Return what the supervisor has to do again and again."""
        return Loop(
            name="outbox",
            turn=self.work_once,
            seconds=_POLL_SECONDS,
            woken=self._store.outbox_woken,
            trouble=lambda: self._unreachable,
        )

    async def work_once(self) -> int:
        """Do what is due now; returns how many rows were finished."""
        done = 0
        for row in await self._due():
            if await self._claim(row.id):
                work = self._finish(row.id, row.account_id, row.kind)
                done += await each(work, partial(self._give_up, row.id, row.account_id)) or 0
        return done

    async def _due(self) -> list[Any]:
        async with self._store.reading() as transaction:
            return await transaction.rows(
                select(outbox.c.id, outbox.c.account_id, outbox.c.kind)
                .where(self._claimable(transaction))
                .order_by(outbox.c.due_at)
                .limit(_BATCH)
            )

    def _claimable(self, transaction: Transaction) -> Any:  # noqa: ANN401 - an SQL expression
        now = transaction.now
        kinds = set(self._resolvers) | ({MESSAGE} if self._server is not None else set())
        due, leased = outbox.c.due_at, outbox.c.leased_until
        # What is due or leased for later than anything ever is was written by a clock that was ahead
        return and_(
            outbox.c.state == WAITING,
            or_(due <= now, due > now + LONGEST_WAIT),
            outbox.c.kind.in_(kinds),
            or_(leased.is_(None), leased <= now, leased > now + transaction.policy.mail_lease),
        )

    async def _claim(self, row: UUID) -> bool:
        async with self._store.transaction() as transaction:
            return await transaction.changed_one(
                update(outbox)
                .where(outbox.c.id == row, self._claimable(transaction))
                .values(leased_until=transaction.now + transaction.policy.mail_lease, attempts=outbox.c.attempts + 1)
            )

    async def _finish(self, row: UUID, account_id: UUID | None, kind: str) -> int:
        if kind == MESSAGE and self._server is not None:
            return await self._hand_over(self._server, row, account_id)
        async with self._store.transaction() as transaction:
            entry = await transaction.first(select(outbox.c.sealed).where(outbox.c.id == row))
            if entry is None or not await self._close(transaction, row, DONE):
                return 0
            await self._resolvers[kind](transaction, transaction.open(entry.sealed, outbox, row, account_id or row))
        return 1

    async def _close(self, transaction: Transaction, row: UUID, state: str) -> bool:
        return await transaction.changed_one(
            update(outbox).where(outbox.c.id == row, outbox.c.state == WAITING).values(state=state, sealed=None)
        )

    async def _hand_over(self, server: MailServer, row: UUID, account_id: UUID | None) -> int:
        async with self._store.reading() as transaction:
            entry = await transaction.first(select(outbox).where(outbox.c.id == row))
            if entry is None or entry.sealed is None:
                return 0
            content = transaction.open(entry.sealed, outbox, row, account_id or row)
        try:
            await server.deliver(Envelope(row, account_id, entry.created_at, content))
        except MailRefused as fault:
            await self._give_up(row, account_id, str(fault))
            return 0
        except (MailPostponed, MailServerUnreachable) as fault:
            await self._postpone(row, account_id, entry, fault)
            return 0
        async with self._store.transaction() as transaction:
            await self._close(transaction, row, DONE)
        if self._unreachable is not None:
            self._unreachable = None
            _log.info("mail_server_back", waited_since=entry.created_at.isoformat())
        return 1

    async def _give_up(self, row: UUID, account_id: UUID | None, fault: str) -> None:
        """Give a row up for good; the audit log says which and why, never to whom."""
        async with self._store.transaction() as transaction:
            if await self._close(transaction, row, GIVEN_UP):
                record(
                    transaction,
                    "mail_given_up",
                    account_id=account_id,
                    actor="service",
                    outcome="failure",
                    detail={"mail": str(row), "fault": fault},
                )

    async def _postpone(self, row: UUID, account_id: UUID | None, entry: Any, fault: Exception) -> None:  # noqa: ANN401 - a row
        if isinstance(fault, MailServerUnreachable):
            if self._unreachable is None:
                _log.warning("mail_server_unreachable", fault=str(fault))
            self._unreachable = str(fault)
        if self._store.clock() >= entry.created_at + self._store.settings.policy.mail_give_up:
            await self._give_up(row, account_id, str(fault))
            return
        wait = min(_BACKOFF_FIRST * 2 ** min(entry.attempts - 1, 12), _BACKOFF_LONGEST)
        async with self._store.transaction() as transaction:
            await transaction.execute(
                update(outbox)
                .where(outbox.c.id == row, outbox.c.state == WAITING)
                .values(due_at=transaction.now + wait, leased_until=None)
            )
