"""The mails: what happened, in plain words, with nothing in them that a stranger or a mail scanner could use.

No notice carries a token or an action of one click; only the mails that somebody asked for hold a link, and that link
opens a page with a button, because mail scanners open links.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from teslafi_companion.mail import outbox
from teslafi_companion.mail.outbox import Mail
from teslafi_companion.store import tables
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import account

from .addresses import masked
from .visitor import Visitor

_LONGEST_VALUE: Final = 200
_MOST_SHOWN: Final = 20
DIGEST: Final = "sign-in-digest"
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Letter:
    """A mail before it is written out: paragraphs, a table of facts, and an address to open."""

    subject: str
    paragraphs: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    link: str | None = None
    closing: Sequence[str] = ()


def _value(text: str) -> str:
    """Return a stranger's text on one line and of bounded length."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_LONGEST_VALUE]


def write(transaction: Transaction, to: str, letter: Letter) -> Mail:
    """Write a letter out as plain text and as the same in simple HTML."""
    facts = [(label, _value(value)) for label, value in letter.facts]
    name = transaction.settings.service_name
    text = [*letter.paragraphs]
    html = [f"<p>{escape(paragraph)}</p>" for paragraph in letter.paragraphs]
    if facts:
        text.append("\n".join(f"{label}: {value}" for label, value in facts))
        rows = "".join(f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>" for label, value in facts)
        html.append(f"<table>{rows}</table>")
    if letter.link:
        text.append(letter.link)
        html.append(f'<p><a href="{escape(letter.link)}">{escape(letter.link)}</a></p>')
    for paragraph in (*letter.closing, f"{name} · {transaction.settings.base_url}"):
        text.append(paragraph)
        html.append(f"<p>{escape(paragraph)}</p>")
    return Mail(to, f"{name}: {letter.subject}", "\n\n".join(text) + "\n", "".join(html))


def moment(at: datetime) -> str:
    """Return a moment as the mails and pages write it."""
    return at.strftime("%-d %B %Y, %H:%M UTC")


def security_page(transaction: Transaction) -> str:
    """Return the address of the security page, where signing in is asked for first."""
    return f"{transaction.settings.origin}/account/security"


def not_you(transaction: Transaction) -> tuple[str, ...]:
    """Return the sentences that say what to do if it was somebody else; the address is the same for everybody."""
    return (
        (
            "Was this not you? Open the address below by typing it yourself, sign in, sign out all other sessions and "
            "change your password. If you cannot sign in any more, use “Forgotten password” on the same page."
        ),
        security_page(transaction),
    )


async def security_notice(
    transaction: Transaction, account_id: UUID, to: str, subject: str, what: str, visitor: Visitor | None = None
) -> None:
    """Tell the owner about a change of what protects the account; this cannot be switched off."""
    facts = [("Account", masked(to)), ("When", moment(transaction.now))]
    if visitor is not None:
        facts += [("From", visitor.address), ("With", visitor.browser)]
    letter = Letter(subject, (what,), facts, closing=not_you(transaction))
    await outbox.send(transaction, write(transaction, to, letter), account_id=account_id)


async def sign_in_notice(
    transaction: Transaction, account_id: UUID, to: str, visitor: Visitor, *, method: str, known_device: bool
) -> None:
    """Tell the owner about a sign-in; beyond five in an hour, the others are told together at its end."""
    facts = [
        ("When", moment(transaction.now)),
        ("From", visitor.address),
        ("With", visitor.browser),
        ("By", method),
        ("Device", "used before with this account" if known_device else "new: not seen with this account before"),
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
            await outbox.ask(transaction, DIGEST, {"account": str(account_id)}, delay=_HOUR)
        return
    letter = Letter(
        "New sign-in",
        ("Somebody signed in to your account.",),
        [("Account", masked(to)), *facts],
        closing=not_you(transaction),
    )
    await outbox.send(transaction, write(transaction, to, letter), account_id=account_id)


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
    opened = [transaction.open(row.sealed, log, row.id, account_id)["facts"] for row in shown]
    letter = Letter(
        f"{len(held)} more sign-ins",
        (f"There were {len(held)} more sign-ins to your account, too many for a mail each. The latest were:",),
        [("Account", masked(to)), *[("Sign-in", " · ".join(value for _, value in facts)) for facts in opened]],
        closing=not_you(transaction),
    )
    await outbox.send(transaction, write(transaction, to, letter), account_id=account_id)


async def purge(transaction: Transaction) -> None:
    """Forget sign-ins that no count needs any more."""
    await transaction.execute(
        delete(tables.sign_in).where(tables.sign_in.c.at < transaction.now - 24 * _HOUR, ~tables.sign_in.c.held)
    )
