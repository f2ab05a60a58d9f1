"""Mails leave through a table: written in the transaction that caused them, handed over by a worker afterwards."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, case, func, insert, select

from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import outbox

MESSAGE: Final = "message"
WAITING: Final = "waiting"
DONE: Final = "done"
GIVEN_UP: Final = "given-up"
"""States of a row; given up is what cannot be written, is refused for good, or was tried for days."""
_KEPT: Final = timedelta(days=7)
_ADDED: Final = insert(outbox)

type Resolver = Callable[[Transaction, dict[str, Any]], Awaitable[None]]
"""Does the work of a row that is not yet a mail, such as finding out whether an address has an account."""


@dataclass(frozen=True)
class Mail:
    """A mail to one person: plain text, the same in simple HTML, and what it is about."""

    to: str
    subject: str
    text: str
    html: str


async def send(
    transaction: Transaction, mail: Mail, *, account_id: UUID | None = None, delay: timedelta = timedelta()
) -> UUID:
    """Put a mail into the outbox of this transaction; returns its row."""
    body = {"to": mail.to, "subject": mail.subject, "text": mail.text, "html": mail.html}
    return await _add(transaction, MESSAGE, body, account_id=account_id, delay=delay)


async def ask(
    transaction: Transaction, kind: str, work: Mapping[str, object], *, delay: timedelta = timedelta()
) -> UUID:
    """Put work for a resolver into the outbox: the caller spends the same whatever it will lead to."""
    return await _add(transaction, kind, dict(work), delay=delay)


async def _add(
    transaction: Transaction,
    kind: str,
    body: dict[str, Any],
    *,
    account_id: UUID | None = None,
    delay: timedelta = timedelta(),
) -> UUID:
    row = new_id()
    values = {
        "id": row,
        "account_id": account_id,
        "kind": kind,
        "state": WAITING,
        "created_at": transaction.now,
        "due_at": transaction.now + delay,
        "attempts": 0,
        "sealed": transaction.seal(body, outbox, row, account_id or row),
    }
    await transaction.execute(_ADDED, values)
    transaction.wakes_outbox = True
    return row


async def purge(transaction: Transaction) -> None:
    """Drop rows that were finished a week ago."""
    await transaction.drop(outbox, and_(outbox.c.state != WAITING, outbox.c.created_at < transaction.now - _KEPT))


class Waiting(NamedTuple):
    """What has not been handed over yet."""

    rows: int
    """Mails, and work that leads to some."""
    seconds: float
    """Age of the oldest mail; 0 when none waits."""


async def waiting(transaction: Transaction) -> Waiting:
    """Return what has not been handed over yet, for the metrics and the log."""
    written = case((outbox.c.kind == MESSAGE, outbox.c.created_at))
    statement = select(func.count(), func.min(written)).select_from(outbox).where(outbox.c.state == WAITING)
    found = (await transaction.execute(statement)).one()
    oldest: datetime | None = found[1]
    return Waiting(found[0], max((transaction.now - oldest).total_seconds(), 0.0) if oldest else 0.0)
