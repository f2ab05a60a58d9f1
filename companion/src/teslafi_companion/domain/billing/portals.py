"""Portal sessions: each ends with the session of ours that it was opened from."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select

from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import billing_portal, session

_LIFE: Final = timedelta(hours=24)


async def note(transaction: Transaction, portal_id: str, session_id: UUID) -> None:
    """Note a portal session, so that it ends with the session it was opened from."""
    await transaction.execute(
        insert(billing_portal).values(id=portal_id, session_id=session_id, opened_at=transaction.now)
    )


async def ended(transaction: Transaction, limit: int) -> Sequence[str]:
    """Return portal sessions that outlived the session they were opened from, at most `limit`."""
    rows = await transaction.rows(
        select(billing_portal.c.id)
        .where(
            billing_portal.c.session_id.not_in(select(session.c.id)),
            billing_portal.c.opened_at > transaction.now - _LIFE,
        )
        .limit(limit)
    )
    return [row.id for row in rows]


async def forget(transaction: Transaction, portal_id: str) -> None:
    """Forget a portal session that was closed."""
    await transaction.execute(delete(billing_portal).where(billing_portal.c.id == portal_id))


async def purge(transaction: Transaction) -> None:
    """Forget portal sessions that have ended by themselves."""
    await transaction.drop(billing_portal, billing_portal.c.opened_at <= transaction.now - _LIFE)
