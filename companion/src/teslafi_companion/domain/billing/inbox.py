"""Hints that something happened to a subscription, by webhook or poll: each is kept once and worked off once."""

from collections.abc import Sequence
from typing import Final, Literal

from sqlalchemy import and_, select, update

from teslafi_companion.audit import record
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import billing_event

from .mirror import account_of, want
from .port import BillingEvent

BATCH: Final = 500


async def take(transaction: Transaction, event: BillingEvent, source: Literal["webhook", "poll"]) -> bool:
    """Keep an event; says whether it was new."""
    values = {
        "id": event.id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "subscription_id": event.subscription_id,
        "customer_id": event.customer_id,
        "source": source,
        "received_at": transaction.now,
    }
    return await transaction.insert_once(billing_event, "id", values)


async def waiting(transaction: Transaction) -> list[str]:
    """Return the identifiers of events that were not worked off yet, oldest first."""
    rows = await transaction.rows(
        select(billing_event.c.id)
        .where(billing_event.c.handled_at.is_(None))
        .order_by(billing_event.c.received_at)
        .limit(BATCH)
    )
    return [row.id for row in rows]


async def work_off(transaction: Transaction, events: Sequence[str]) -> int:
    """Have the accounts of events asked about; returns how many events were worked off. Many make one question."""
    rows = await transaction.rows(
        select(billing_event.c.id, billing_event.c.customer_id).where(
            billing_event.c.id.in_(events), billing_event.c.handled_at.is_(None)
        )
    )
    accounts = {found for row in rows if (found := account_of(row.customer_id)) is not None}
    # One order for everyone: two processes never wait for each other's rows
    await want(transaction, sorted(accounts))
    await _handled(transaction, [row.id for row in rows])
    return len(rows)


async def put_aside(transaction: Transaction, event: str, fault: str) -> None:
    """Take an event out of the way that cannot be worked off."""
    await _handled(transaction, [event])
    detail = {"what": "event", "event": event, "fault": fault}
    record(transaction, "billing_put_aside", actor="service", outcome="failure", detail=detail)


async def _handled(transaction: Transaction, events: Sequence[str]) -> None:
    await transaction.execute(
        update(billing_event).where(billing_event.c.id.in_(events)).values(handled_at=transaction.now)
    )


async def purge(transaction: Transaction) -> None:
    """Drop events that nobody repeats any more: Chargebee's last retry comes after three days and seven hours."""
    over = transaction.now - transaction.policy.billing_event_kept
    await transaction.drop(
        billing_event, and_(billing_event.c.handled_at.is_not(None), billing_event.c.received_at < over)
    )
