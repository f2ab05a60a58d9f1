"""Keeps the mirror true: works off events, asks about accounts, polls for what webhooks lost, closes portals.

Several processes may run it on one database: an account is claimed for a minute by one conditional UPDATE.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, delete, insert, or_, select, update
import structlog

from teslafi_companion.domain.accounts.account import load
from teslafi_companion.domain.accounts.addresses import address_index
from teslafi_companion.domain.billing import inbox, mirror
from teslafi_companion.domain.billing.access import Access
from teslafi_companion.domain.billing.port import BillingPort, BillingUnavailable
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.tables import billing_customer, billing_event, billing_poll, billing_portal, session

_PAUSE_SECONDS: Final = 1.0
_LEASE: Final = timedelta(minutes=1)
_PORTAL_LIFE: Final = timedelta(hours=24)
_AT_A_TIME: Final = 20

_log = structlog.get_logger(__name__)


class BillingWorker:
    """Does what is due, one account after another; after a fault it leaves Chargebee alone for a while."""

    def __init__(self, store: Store, billing: BillingPort) -> None:
        """Work for one database."""
        self._store = store
        self._billing = billing
        self._quiet_until: datetime | None = None
        self._faults = 0

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            if not await self.work_once():
                await asyncio.sleep(_PAUSE_SECONDS)

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
        if self._faults == 1:
            _log.warning("billing_unavailable", fault=str(fault))

    def _recovered(self) -> None:
        if self._faults:
            _log.info("billing_back")
        self._faults, self._quiet_until = 0, None

    async def _work_off_events(self) -> int:
        async with self._store.reading() as transaction:
            waiting = await transaction.first(select(billing_event.c.id).where(billing_event.c.handled_at.is_(None)))
        if waiting is None:
            return 0
        async with self._store.transaction() as transaction:
            return await inbox.work_off(transaction)

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
            if row is not None and row.next_at > transaction.now:
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
        made = await transaction.first(
            transaction.upsert(billing_poll)
            .values(values)
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(billing_poll.c.id)
        )
        return now - transaction.policy.billing_poll_overlap if made is not None else None

    # Asking about accounts

    async def _want_the_oldest(self) -> None:
        """Have accounts that nobody asked about for half a day asked about: what was lost in every other way."""
        async with self._store.reading() as transaction:
            old = and_(
                billing_customer.c.wanted_at.is_(None),
                billing_customer.c.checked_at <= transaction.now - transaction.policy.billing_reconcile,
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
            done += await self._ask_about(row.account_id)
        return done

    @staticmethod
    def _claimable(transaction: Transaction) -> Any:  # noqa: ANN401 - an SQL expression
        leased = billing_customer.c.leased_until
        return and_(billing_customer.c.wanted_at.is_not(None), or_(leased.is_(None), leased <= transaction.now))

    async def _ask_about(self, account_id: UUID) -> int:
        """Ask about one account if nobody else does; returns 1 if it was asked about."""
        async with self._store.transaction() as transaction:
            claimed = await transaction.first(
                update(billing_customer)
                .where(billing_customer.c.account_id == account_id, self._claimable(transaction))
                .values(leased_until=transaction.now + _LEASE)
                .returning(billing_customer.c.wanted_at)
            )
        if claimed is None:
            return 0
        try:
            await refresh(self._store, self._billing, account_id)
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
                .values(wanted_at=None)
            )
        return 1

    # Portals end with the sessions they were opened from

    async def _close_portals(self) -> int:
        async with self._store.reading() as transaction:
            ended = and_(
                billing_portal.c.session_id.not_in(select(session.c.id)),
                billing_portal.c.opened_at > transaction.now - _PORTAL_LIFE,
            )
            rows = await transaction.rows(select(billing_portal.c.id).where(ended).limit(_AT_A_TIME))
        for row in rows:
            await self._billing.close_portal(row.id)
            async with self._store.transaction() as transaction:
                await transaction.execute(delete(billing_portal).where(billing_portal.c.id == row.id))
        return len(rows)


async def refresh(store: Store, billing: BillingPort, account_id: UUID) -> Access | None:
    """Ask about one account now, and keep the answer; returns the decision. Raises BillingUnavailable."""
    asked_at = store.clock()
    await _tell_address(store, billing, account_id)
    fetched = await billing.fetch_subscriptions(mirror.customer_id(account_id))
    async with store.transaction() as transaction:
        return await mirror.keep(transaction, account_id, fetched, asked_at)


async def _tell_address(store: Store, billing: BillingPort, account_id: UUID) -> None:
    """Give the keeper an account's new address, so that invoices go where the owner reads them."""
    async with store.reading() as transaction:
        owner = await load(transaction, account_id)
        told = await transaction.first(
            select(billing_customer.c.email_index).where(billing_customer.c.account_id == account_id)
        )
        same = owner is None or told is None or told.email_index == address_index(transaction.cipher, owner.email)
    if owner is not None and not same:
        await billing.ensure_customer(mirror.customer_id(account_id), owner.email)
        async with store.transaction() as transaction:
            await mirror.note_customer(transaction, account_id, owner.email)


async def note_portal(transaction: Transaction, portal_id: str, session_id: UUID) -> None:
    """Note a portal session, so that it ends with the session it was opened from."""
    await transaction.execute(
        insert(billing_portal).values(id=portal_id, session_id=session_id, opened_at=transaction.now)
    )


async def purge(transaction: Transaction) -> None:
    """Forget portal sessions that have ended by themselves."""
    await transaction.execute(
        delete(billing_portal).where(billing_portal.c.opened_at <= transaction.now - _PORTAL_LIFE)
    )
