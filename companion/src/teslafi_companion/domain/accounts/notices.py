"""The mails: what happened, in plain words, with nothing in them that a stranger or a mail scanner could use.

No notice carries a token or an action of one click; only the mails that somebody asked for hold a link, and that link
opens a page with a button, because mail scanners open links.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import and_, insert, select, update

from teslafi_companion.language import N_, SOURCE
from teslafi_companion.mail import outbox
from teslafi_companion.mail.letters import Letter, write
from teslafi_companion.store import tables
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import account

from .addresses import masked
from .visitor import Visitor

_MOST_SHOWN: Final = 20
DIGEST: Final = "sign-in-digest"
_HOUR: Final = timedelta(hours=1)
DIGEST_AFTER: Final = _HOUR
"""How long sign-ins are held that are told together."""


async def send(
    transaction: Transaction, to: str, letter: Letter, *, account_id: UUID | None = None, language: str | None = None
) -> None:
    """Put a letter into the outbox, in the account's language; `language` is for who has no account."""
    if account_id is not None:
        row = await transaction.first(select(account.c.language).where(account.c.id == account_id))
        language = row.language if row is not None else language
    mail = write(transaction.settings, to, letter, language or SOURCE)
    await outbox.send(transaction, mail, account_id=account_id)


async def security_notice(
    transaction: Transaction,
    account_id: UUID,
    to: str,
    template: str,
    visitor: Visitor | None = None,
    **values: object,
) -> None:
    """Tell the owner about a change of what protects the account; this cannot be switched off."""
    facts: list[tuple[str, str | datetime]] = [(N_("Account"), masked(to)), (N_("When"), transaction.now)]
    if visitor is not None:
        facts += [(N_("From"), visitor.address), (N_("Browser"), visitor.browser)]
    await send(transaction, to, Letter(template, values, facts, is_notice=True), account_id=account_id)


async def sign_in_notice(
    transaction: Transaction, account_id: UUID, to: str, visitor: Visitor, *, method: str, known_device: bool
) -> None:
    """Tell the owner about a sign-in; beyond five in an hour, the others are told together at its end."""
    device = N_("used before with this account") if known_device else N_("new, not used with this account before")
    facts = [
        (N_("From"), visitor.address),
        (N_("Browser"), visitor.browser),
        (N_("Method"), method),
        (N_("Device"), device),
    ]
    await lock(transaction, account_id)
    log = tables.sign_in
    recent = await transaction.rows(
        select(log.c.held).where(log.c.account_id == account_id, log.c.at > transaction.now - _HOUR)
    )
    held = len(recent) >= transaction.policy.login_notices_per_hour
    row = new_id()
    await transaction.execute(
        insert(log).values(
            id=row,
            account_id=account_id,
            at=transaction.now,
            held=held,
            sealed=transaction.seal({"facts": facts}, log, row, account_id),
        )
    )
    if held:
        if not any(one.held for one in recent):
            await outbox.ask(transaction, DIGEST, {"account": str(account_id)}, delay=DIGEST_AFTER)
        return
    letter = Letter(
        "new_sign_in",
        facts=[(N_("Account"), masked(to)), (N_("When"), transaction.now), *facts],
        is_notice=True,
    )
    await send(transaction, to, letter, account_id=account_id)


async def lock(transaction: Transaction, account_id: UUID) -> None:
    """Let one sign-in of an account be counted at a time.

    Rows that refer to the account hold its key: a lock that wanted the key too would wait for those of others, who
    wait for ours.
    """
    await transaction.execute(select(account.c.id).where(account.c.id == account_id).with_for_update(key_share=True))


async def mail_digest(transaction: Transaction, work: dict[str, str]) -> None:
    """Write one mail about the sign-ins that were held back."""
    account_id = UUID(work["account"])
    await lock(transaction, account_id)
    log = tables.sign_in
    held = await transaction.rows(
        select(log).where(log.c.account_id == account_id, log.c.held).order_by(log.c.at).with_for_update()
    )
    owner = await transaction.first(select(account.c.sealed_email).where(account.c.id == account_id))
    if not held or owner is None:
        return
    to = transaction.open(owner.sealed_email, account, account_id, account_id, "sealed_email")["email"]
    await transaction.execute(update(log).where(log.c.id.in_([row.id for row in held])).values(held=False))
    shown = held[-_MOST_SHOWN:]
    said = [(row.at, transaction.open(row.sealed, log, row.id, account_id)["facts"]) for row in shown]
    letter = Letter(
        "more_sign_ins",
        {"number": len(held)},
        [(N_("Account"), masked(to)), *((N_("Sign-in"), _line(at, facts)) for at, facts in said)],
        is_notice=True,
    )
    await send(transaction, to, letter, account_id=account_id)


def _line(at: datetime, facts: Sequence[Sequence[str]]) -> str:
    """Return a sign-in on one line; version 0.1.0 kept its moment among the facts."""
    values = [value for label, value in facts if label != "When"]
    return " · ".join([f"{at:%Y-%m-%d %H:%M} UTC", *values])


async def purge(transaction: Transaction) -> None:
    """Forget sign-ins that no count needs any more."""
    await transaction.drop(
        tables.sign_in, and_(tables.sign_in.c.at < transaction.now - 24 * _HOUR, ~tables.sign_in.c.held)
    )
