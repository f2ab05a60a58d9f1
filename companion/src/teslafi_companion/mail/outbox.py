"""Mails leave through a table: written in the transaction that caused them, handed over by a worker afterwards.

A worker claims a row for a minute by one conditional UPDATE, so two workers never hold the same mail. A process
killed between the mail server's *250* and its own commit cannot know whether the mail was taken: it is handed over
again under the same Message-ID, by which mail stores recognise what they already have.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
import ssl
from traceback import format_tb
from typing import Any, Final
from uuid import UUID

import aiosmtplib
from sqlalchemy import and_, delete, func, insert, or_, select, update
import structlog

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import TROUBLE, Store, Transaction, new_id
from teslafi_companion.store.tables import outbox

MESSAGE: Final = "message"
_SMTP_SECONDS: Final = 30
_POLL_SECONDS: Final = 1.0
_BACKOFF_FIRST: Final = timedelta(seconds=5)
_BACKOFF_LONGEST: Final = timedelta(minutes=30)
_FOR_GOOD: Final = 500
"""Codes from here on are permanent (RFC 5321, 4.2.1); below, as by greylisting, the server wants to be asked again."""
_KEPT: Final = timedelta(days=7)
_BATCH: Final = 20

_UNBUILDABLE: Final = (
    AddressRefused,
    ArithmeticError,
    AttributeError,
    LookupError,
    MessageError,
    TypeError,
    ValueError,
)
"""What Python's email package raises for what it cannot write, much of it by accident."""

type Resolver = Callable[[Transaction, dict[str, Any]], Awaitable[None]]
"""Does the work of a row that is not yet a mail, such as finding out whether an address has an account."""

_log = structlog.get_logger(__name__)


class Unbuildable(Exception):
    """A letter cannot be written down; the text is the kind of fault, which names nobody."""


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
    await transaction.execute(
        insert(outbox).values(
            id=row,
            account_id=account_id,
            kind=kind,
            state="waiting",
            created_at=transaction.now,
            due_at=transaction.now + delay,
            attempts=0,
            sealed=transaction.seal(body, outbox, row, account_id or row),
        )
    )
    transaction.wakes_outbox = True
    return row


def compose(settings: Settings, row: UUID, account_id: UUID | None, body: Mapping[str, str]) -> EmailMessage:
    """Build the message; its Message-ID is the row's, however often it is handed over. Raises Unbuildable."""
    host = settings.host
    message = EmailMessage(policy=SMTP)
    try:
        message["Subject"] = body["subject"]
        message["From"] = _mailbox(settings.mail_sender, settings.service_name)
        message["To"] = _mailbox(parse_address(body["to"]))
        message["Message-ID"] = f"<{row}@{host}>"
        if account_id is not None:
            message["References"] = f"<account-{account_id}@{host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body["text"])
        message.add_alternative(body["html"], subtype="html")
        message.as_bytes()
    except _UNBUILDABLE as fault:
        raise Unbuildable(type(fault).__name__) from fault
    return message


def _mailbox(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


class OutboxWorker:
    """Hands over what is due, one mail at a time.

    What cannot be built, what is refused for good and what was tried for days is put aside with an audit event: no
    row ever ends the work on the others.
    """

    def __init__(self, store: Store, resolvers: Mapping[str, Resolver]) -> None:
        """Take the work that each kind of row needs."""
        self._store = store
        self._settings = store.settings
        self._resolvers = resolvers
        self._silent = False
        self.sent = 0

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._store.outbox_woken.clear()
            busy = await self.work_once()
            if busy:
                continue
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._store.outbox_woken.wait()
            except TimeoutError:
                continue

    async def work_once(self) -> int:
        """Do what is due now; returns how many rows were finished."""
        done = 0
        for row in await self._due():
            if await self._claim(row.id):
                done += await self._finish(row.id, row.account_id, row.kind)
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
        kinds = set(self._resolvers) | ({MESSAGE} if self._settings.smtp_host else set())
        return and_(
            outbox.c.state == "waiting",
            outbox.c.due_at <= now,
            outbox.c.kind.in_(kinds),
            or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now),
        )

    async def _claim(self, row: UUID) -> bool:
        async with self._store.transaction() as transaction:
            return await transaction.changed_one(
                update(outbox)
                .where(outbox.c.id == row, self._claimable(transaction))
                .values(leased_until=transaction.now + self._settings.policy.mail_lease, attempts=outbox.c.attempts + 1)
            )

    async def _finish(self, row: UUID, account_id: UUID | None, kind: str) -> int:
        try:
            if kind == MESSAGE:
                return await self._hand_over(row, account_id)
            return await self._resolve(row, account_id, kind)
        except TROUBLE:
            # Nothing is wrong with this row
            raise
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with one row, it is told and the others go on
            _log.error("mail_put_aside", fault=type(fault).__name__, place=format_tb(fault.__traceback__)[-3:])
            await self._put_aside(row, account_id, type(fault).__name__)
            return 0

    async def _resolve(self, row: UUID, account_id: UUID | None, kind: str) -> int:
        async with self._store.transaction() as transaction:
            entry = await transaction.first(select(outbox.c.sealed).where(outbox.c.id == row))
            if entry is None or not await self._close(transaction, row, "done"):
                return 0
            await self._resolvers[kind](transaction, transaction.open(entry.sealed, outbox, row, account_id or row))
        return 1

    async def _put_aside(self, row: UUID, account_id: UUID | None, fault: str) -> None:
        """Give a row up for good; the audit log says which and why, never to whom."""
        async with self._store.transaction() as transaction:
            if await self._close(transaction, row, "given-up"):
                record(
                    transaction,
                    "mail_given_up",
                    account_id=account_id,
                    actor="service",
                    outcome="failure",
                    detail={"mail": str(row), "fault": fault},
                )

    async def _close(self, transaction: Transaction, row: UUID, state: str) -> bool:
        return await transaction.changed_one(
            update(outbox).where(outbox.c.id == row, outbox.c.state == "waiting").values(state=state, sealed=None)
        )

    async def _hand_over(self, row: UUID, account_id: UUID | None) -> int:
        async with self._store.reading() as transaction:
            entry = await transaction.first(select(outbox).where(outbox.c.id == row))
            if entry is None or entry.sealed is None:
                return 0
            body = transaction.open(entry.sealed, outbox, row, account_id or row)
        try:
            message = compose(self._settings, row, account_id, body)
        except Unbuildable as fault:
            await self._put_aside(row, account_id, f"Unbuildable: {fault}")
            return 0
        message["Date"] = format_datetime(entry.created_at)
        try:
            async with asyncio.timeout(_SMTP_SECONDS):
                await aiosmtplib.send(message, **self._server())
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as fault:
            await self._postpone(row, account_id, entry, fault)
            return 0
        async with self._store.transaction() as transaction:
            await self._close(transaction, row, "done")
        if self._silent:
            self._silent = False
            _log.info("mail_server_back", waited_since=entry.created_at.isoformat())
        self.sent += 1
        return 1

    def _server(self) -> dict[str, Any]:
        settings = self._settings
        tls = ssl.create_default_context(cafile=settings.smtp_ca_file) if settings.smtp_security != "none" else None
        return {
            "hostname": settings.smtp_host,
            "port": settings.smtp_port,
            "use_tls": settings.smtp_security == "tls",
            "start_tls": settings.smtp_security == "starttls",
            "tls_context": tls,
            "username": settings.smtp_username or None,
            "password": settings.smtp_password or None,
            "timeout": _SMTP_SECONDS,
        }

    async def _postpone(self, row: UUID, account_id: UUID | None, entry: Any, fault: Exception) -> None:  # noqa: ANN401
        refusal = _refusal(fault)
        if refusal is not None and refusal >= _FOR_GOOD:
            await self._put_aside(row, account_id, f"{type(fault).__name__} {refusal}")
            return
        if self._store.clock() >= entry.created_at + self._settings.policy.mail_give_up:
            await self._put_aside(row, account_id, type(fault).__name__)
        else:
            async with self._store.transaction() as transaction:
                wait = min(_BACKOFF_FIRST * 2 ** min(entry.attempts - 1, 12), _BACKOFF_LONGEST)
                await transaction.execute(
                    update(outbox)
                    .where(outbox.c.id == row, outbox.c.state == "waiting")
                    .values(due_at=transaction.now + wait, leased_until=None)
                )
        if not self._silent and refusal is None:
            self._silent = True
            # The server's own words may repeat the address: the kind of fault is enough
            _log.warning("mail_server_unreachable", fault=type(fault).__name__)


def _refusal(fault: Exception) -> int | None:
    """Return the code by which a mail server refused this one letter; None for trouble that concerns all of them."""
    match fault:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return min(one.code for one in refused)
        case aiosmtplib.SMTPDataError(code=code):
            return code
    return None


async def purge(transaction: Transaction) -> None:
    """Drop rows that were finished a week ago."""
    await transaction.execute(
        delete(outbox).where(outbox.c.state != "waiting", outbox.c.created_at < transaction.now - _KEPT)
    )


async def waiting(transaction: Transaction) -> int:
    """Return how many mails have not been handed over yet, for the metrics."""
    count: int = (
        await transaction.execute(select(func.count()).select_from(outbox).where(outbox.c.state == "waiting"))
    ).scalar_one()
    return count
