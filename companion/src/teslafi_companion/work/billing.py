"""Keeps the mirror true: works off events, asks about accounts, polls for what webhooks lost, closes portals.

Several processes may run it on one database: an account is claimed for a minute by one conditional UPDATE.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, or_, select, update
import structlog

from teslafi_companion.audit import record
from teslafi_companion.domain.billing import inbox, mirror, portals
from teslafi_companion.domain.billing.port import BillingPort, BillingUnavailable
from teslafi_companion.domain.billing.refresh import refresh
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.tables import billing_customer, billing_poll

from .rows import each
from .supervisor import Loop

_PAUSE_SECONDS: Final = 1.0
_LEASE: Final = timedelta(minutes=1)
_AT_A_TIME: Final = 20

_log = structlog.get_logger(__name__)


class BillingWorker:
    """Does what is due, one account after another; after a fault it leaves Chargebee alone for a while."""

    def __init__(self, store: Store, billing: BillingPort) -> None:
        """Work for one database."""
        self._store = store
        self._billing = billing.beside()
        self._quiet_until: datetime | None = None
        self._faults = 0
        self._fault: str | None = None

    def loop(self) -> Loop:
        """Return what the supervisor has to do again and again."""
        return Loop(name="billing", turn=self.work_once, seconds=_PAUSE_SECONDS, trouble=lambda: self._fault)

    async def work_once(self) -> int:
        """Do what is due now; returns how much was done."""
        done = await self._work_off_events()
        if self._quiet_until is not None and self._store.clock() < self._quiet_until:
            return done
        try:
            done += await self._poll()
            await self._want_the_oldest()
            done += await self._ask_about_wanted()
            done += await self._close_portals()
        except BillingUnavailable as fault:
            self._rest(fault)
            return done
        self._recovered()
        return done

    def _rest(self, fault: BillingUnavailable) -> None:
        self._faults += 1
        pause = min(fault.pause * 2 ** min(self._faults - 1, 6), max(fault.pause, timedelta(minutes=10)))
        self._quiet_until = self._store.clock() + pause
        self._fault = type(fault).__name__
        if self._faults == 1:
            _log.warning("billing_unavailable", fault=str(fault))

    def _recovered(self) -> None:
        if self._faults:
            _log.info("billing_back")
        self._faults, self._fault, self._quiet_until = 0, None, None

    # Events: hints to ask about an account

    async def _work_off_events(self) -> int:
        async with self._store.reading() as transaction:
            waiting = await inbox.waiting(transaction)
        return await self._work_off(waiting) if waiting else 0

    async def _work_off(self, events: Sequence[str]) -> int:
        return await each(self._work_off_together(events), partial(self._work_off_apart, events)) or 0

    async def _work_off_together(self, events: Sequence[str]) -> int:
        async with self._store.transaction() as transaction:
            return await inbox.work_off(transaction, events)

    async def _work_off_apart(self, events: Sequence[str], fault: str) -> None:
        """Find the one of some events that cannot be worked off, and put it aside."""
        if len(events) > 1:
            for event in events:
                await self._work_off([event])
            return
        async with self._store.transaction() as transaction:
            await inbox.put_aside(transaction, events[0], fault)

    # The poll: what webhooks lost

    async def _poll(self) -> int:
        since = await self._claim_poll()
        if since is None:
            return 0
        events = await self._billing.events_since(since)
        async with self._store.transaction() as transaction:
            new = [event for event in events if await inbox.take(transaction, event, "poll")]
            newest = max((event.occurred_at for event in events), default=since)
            await transaction.execute(
                update(billing_poll)
                .where(billing_poll.c.seen_until < newest)
                .values(seen_until=min(newest, transaction.now))
            )
        return len(new)

    async def _claim_poll(self) -> datetime | None:
        """Return from when on to ask if the poll is due and nobody else does it; begins with the present."""
        async with self._store.reading() as transaction:
            row = await transaction.first(select(billing_poll))
            # What is due later than that was written by a clock that was ahead
            if row is not None and transaction.now < row.next_at <= transaction.now + transaction.policy.billing_poll:
                return None
        async with self._store.transaction() as transaction:
            if row is None:
                return await self._first_poll(transaction)
            claimed = await transaction.changed_one(
                update(billing_poll)
                .where(billing_poll.c.next_at == row.next_at)
                .values(next_at=transaction.now + transaction.policy.billing_poll)
            )
            return row.seen_until - transaction.policy.billing_poll_overlap if claimed else None

    @staticmethod
    async def _first_poll(transaction: Transaction) -> datetime | None:
        now = transaction.now
        values = {"id": 1, "seen_until": now, "next_at": now + transaction.policy.billing_poll}
        made = await transaction.insert_once(billing_poll, "id", values)
        return now - transaction.policy.billing_poll_overlap if made else None

    # Asking about accounts

    async def _want_the_oldest(self) -> None:
        """Have accounts that nobody asked about for half a day asked about: what was lost in every other way."""
        async with self._store.reading() as transaction:
            old = and_(
                billing_customer.c.wanted_at.is_(None),
                or_(
                    billing_customer.c.checked_at <= transaction.now - transaction.policy.billing_reconcile,
                    billing_customer.c.checked_at > transaction.now + transaction.policy.billing_gap,
                ),
            )
            rows = await transaction.rows(select(billing_customer.c.account_id).where(old).limit(_AT_A_TIME))
        if rows:
            async with self._store.transaction() as transaction:
                await mirror.want(transaction, sorted(row.account_id for row in rows))

    async def _ask_about_wanted(self) -> int:
        async with self._store.reading() as transaction:
            rows = await transaction.rows(
                select(billing_customer.c.account_id)
                .where(self._claimable(transaction))
                .order_by(billing_customer.c.wanted_at)
                .limit(_AT_A_TIME)
            )
        done = 0
        for row in rows:
            work = self._ask_about(row.account_id)
            put_aside = partial(self._put_aside, row.account_id)
            done += await each(work, put_aside, passing=(BillingUnavailable,)) or 0
        return done

    async def _put_aside(self, account_id: UUID, fault: str) -> None:
        """Leave an account alone that cannot be asked about, as long as one is that nobody wants."""
        async with self._store.transaction() as transaction:
            await transaction.execute(
                update(billing_customer)
                .where(billing_customer.c.account_id == account_id)
                .values(leased_until=transaction.now + transaction.policy.billing_reconcile)
            )
            record(
                transaction,
                "billing_put_aside",
                account_id=account_id,
                actor="service",
                outcome="failure",
                detail={"what": "account", "fault": fault},
            )

    @staticmethod
    def _claimable(transaction: Transaction) -> Any:  # noqa: ANN401 - an SQL expression
        leased, wanted = billing_customer.c.leased_until, billing_customer.c.wanted_at
        # What is wanted for much later was written by a clock that was ahead
        due = or_(wanted <= transaction.now, wanted > transaction.now + transaction.policy.billing_gap)
        late = leased > transaction.now + transaction.policy.billing_reconcile
        return and_(due, or_(leased.is_(None), leased <= transaction.now, late))

    async def _ask_about(self, account_id: UUID) -> int:
        """Ask about one account if nobody else does; returns 1 if it was asked about."""
        async with self._store.transaction() as transaction:
            claimed = await transaction.first(
                update(billing_customer)
                .where(billing_customer.c.account_id == account_id, self._claimable(transaction))
                .values(leased_until=transaction.now + _LEASE)
                .returning(billing_customer.c.wanted_at, billing_customer.c.returned_page)
            )
        if claimed is None:
            return 0
        try:
            await refresh(self._store, self._billing, account_id)
            if claimed.returned_page is not None:
                await self._acknowledge(account_id, claimed.returned_page)
        finally:
            async with self._store.transaction() as transaction:
                await transaction.execute(
                    update(billing_customer)
                    .where(billing_customer.c.account_id == account_id)
                    .values(leased_until=None)
                )
        async with self._store.transaction() as transaction:
            # Wanted again in the meantime: the answer may be older than what it is wanted for
            await transaction.execute(
                update(billing_customer)
                .where(billing_customer.c.account_id == account_id, billing_customer.c.wanted_at == claimed.wanted_at)
                .values(wanted_at=None, returned_page=None)
            )
        return 1

    async def _acknowledge(self, account_id: UUID, page_id: str) -> None:
        """Tell the keeper that a payment was seen. The page's number came by a browser: it may be anybody's."""
        page = await self._billing.hosted_page(page_id)
        mine = page is not None and page.customer_id == mirror.customer_id(account_id)
        if page is not None and mine and page.state == "succeeded":
            await self._billing.acknowledge(page_id)

    # Portals end with the sessions they were opened from

    async def _close_portals(self) -> int:
        async with self._store.reading() as transaction:
            ended = await portals.ended(transaction, _AT_A_TIME)
        for portal_id in ended:
            await each(self._close(portal_id), partial(self._forget, portal_id), passing=(BillingUnavailable,))
        return len(ended)

    async def _close(self, portal_id: str) -> None:
        await self._billing.close_portal(portal_id)
        async with self._store.transaction() as transaction:
            await portals.forget(transaction, portal_id)

    async def _forget(self, portal_id: str, fault: str) -> None:
        """Forget a portal that cannot be closed: it ends by itself within a day."""
        async with self._store.transaction() as transaction:
            await portals.forget(transaction, portal_id)
            detail = {"what": "portal", "fault": fault}
            record(transaction, "billing_put_aside", actor="service", outcome="failure", detail=detail)
