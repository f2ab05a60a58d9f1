"""What a rule left behind: the events of the audit log with their accounts and details, and the letters."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from teslafi_companion.audit import all_entries
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import outbox


class Event(NamedTuple):
    """One event of the audit log."""

    event: str
    account: UUID | None
    actor: str
    outcome: str
    detail: dict[str, Any]


async def events_of(store: Store, after: int = 0) -> list[Event]:
    """Return the events after a number."""
    async with store.reading() as transaction:
        entries = await all_entries(transaction, after=after)
    return [Event(one.event, one.account_id, one.actor, one.outcome, dict(one.detail)) for _, one in entries]


async def count_of(store: Store) -> int:
    """Return how many events there are."""
    return len(await events_of(store))


async def letters_of(store: Store) -> list[tuple[UUID | None, dict[str, str]]]:
    """Return the letters that wait, each with the account that it is about."""
    async with store.reading() as transaction:
        rows = await transaction.rows(select(outbox).where(outbox.c.kind == "message").order_by(outbox.c.id))
        return [
            (row.account_id, transaction.open(row.sealed, outbox, row.id, row.account_id or row.id)) for row in rows
        ]
