"""Dropping what has ended by itself."""

from sqlalchemy import delete, or_, select

from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import access_token, authorization_code, device_grant, link

from .lifetimes import REFRESH_ABSOLUTE, REFRESH_IDLE, SPENT_CODE
from .links import End, end_link, link_of


async def purge(transaction: Transaction) -> None:
    """Drop what nobody can use any more: tokens, codes and requests silently, links with a mail to their owner."""
    now = transaction.now
    await transaction.execute(delete(access_token).where(access_token.c.expires_at <= now))
    await transaction.execute(delete(authorization_code).where(authorization_code.c.expires_at <= now - SPENT_CODE))
    await transaction.execute(delete(device_grant).where(device_grant.c.expires_at <= now - SPENT_CODE))
    over = or_(link.c.rotated_at < now - REFRESH_IDLE, link.c.authorized_at < now - REFRESH_ABSOLUTE)
    for row in await transaction.rows(select(link).where(over)):
        await end_link(transaction, link_of(transaction, row), End.AGE, None, actor="service")
