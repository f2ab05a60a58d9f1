"""Dropping what has ended by itself."""

from typing import Final

from sqlalchemy import or_, select

from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import access_token, authorization_code, device_grant, link

from .lifetimes import REFRESH_ABSOLUTE, REFRESH_IDLE, SPENT_CODE
from .links import End, end_link, link_of

ENDED_AT_ONCE: Final = 200
"""Each link takes some statements to end."""


async def purge(transaction: Transaction) -> None:
    """Drop what nobody can use any more: tokens, codes and requests silently, links with a mail to their owner."""
    now = transaction.now
    await transaction.drop(access_token, access_token.c.expires_at <= now)
    await transaction.drop(authorization_code, authorization_code.c.expires_at <= now - SPENT_CODE)
    await transaction.drop(device_grant, device_grant.c.expires_at <= now - SPENT_CODE)
    over = or_(link.c.rotated_at < now - REFRESH_IDLE, link.c.authorized_at < now - REFRESH_ABSOLUTE)
    rows = await transaction.rows(select(link).where(over).limit(ENDED_AT_ONCE))
    transaction.left_some |= len(rows) == ENDED_AT_ONCE
    for row in rows:
        await end_link(transaction, link_of(transaction, row), End.AGE, None, actor="service")
