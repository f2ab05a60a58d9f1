"""The account itself: signing up, its address and password, its export and its end."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
import hmac
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, exists, func, insert, select, update

from teslafi_companion.audit import Actor, entries_of, forget_details, record
from teslafi_companion.crypto import new_token, token_hash
from teslafi_companion.language import N_, SOURCE
from teslafi_companion.mail import outbox
from teslafi_companion.mail.letters import Letter
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.indexes import BlindIndex
from teslafi_companion.store.keyring import hold_index_root
from teslafi_companion.store.tables import (
    account,
    factor_removal,
    known_device,
    mail_link,
    outbox as outbox_table,
    passkey,
    recovery_code,
    session,
    sign_in,
    totp,
)

from . import sessions
from .addresses import address_index, indexes_of, is_same, masked, parse_address
from .notices import security_notice, send
from .visitor import Visitor

SIGN_UP: Final = "sign-up"
RESET: Final = "reset-password"
CHANGE_EMAIL: Final = "change-email"
BY_MAIL: Final = "by a link in a mail"
"""How a password was changed, in the audit log's words."""


@dataclass(frozen=True)
class Account:
    """An account as the rules and pages see it."""

    id: UUID
    email: str
    created_at: datetime
    credential_version: int
    password_changed_at: datetime
    login_notices: bool
    has_totp: bool
    passkeys: int
    language: str | None = None
    """The language that its owner chose; None: the browser's."""

    @property
    def has_second_factor(self) -> bool:
        """Say whether signing in needs more than the password."""
        return self.has_totp or self.passkeys > 0


@dataclass(frozen=True)
class MailLink:
    """What a link in a mail stands for."""

    id: UUID
    purpose: str
    account_id: UUID | None
    credential_version: int | None
    content: dict[str, str]


@cache
def _statement() -> Any:  # noqa: ANN401 - an SQL expression
    return select(
        account,
        exists(select(totp.c.id).where(totp.c.account_id == account.c.id, totp.c.state == "active")).label("has_totp"),
        select(func.count())
        .select_from(passkey)
        .where(passkey.c.account_id == account.c.id)
        .scalar_subquery()
        .label("passkeys"),
    )


@cache
def _by_id() -> Any:  # noqa: ANN401 - an SQL expression
    return _statement().where(account.c.id == bindparam("account"))


@cache
def _by_address() -> Any:  # noqa: ANN401 - an SQL expression
    return _statement().where(account.c.email_index.in_(bindparam("indexes", expanding=True)))


def _account(transaction: Transaction, row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        email=transaction.open(row.sealed_email, account, row.id, row.id, "sealed_email")["email"],
        created_at=row.created_at,
        credential_version=row.credential_version,
        password_changed_at=row.password_changed_at,
        login_notices=row.login_notices,
        has_totp=bool(row.has_totp),
        passkeys=row.passkeys,
        language=row.language,
    )


ADDRESS_INDEX: Final = BlindIndex(
    account,
    "email_index",
    lambda transaction, row: address_index(
        transaction.cipher, transaction.open(row.sealed_email, account, row.id, row.id, "sealed_email")["email"]
    ),
)


async def load(transaction: Transaction, account_id: UUID) -> Account | None:
    """Return an account, or None when it was deleted."""
    row = await transaction.first(_by_id(), {"account": account_id})
    return None if row is None else _account(transaction, row)


async def find(transaction: Transaction, address: str) -> Account | None:
    """Return the account of an e-mail address in any of its spellings, or None."""
    rows = await transaction.rows(_by_address(), {"indexes": indexes_of(transaction.cipher, address)})
    known = (_account(transaction, row) for row in rows)
    return next((one for one in known if is_same(one.email, address)), None)


async def password_of(transaction: Transaction, account_id: UUID) -> str | None:
    """Return the PHC string of an account's password."""
    row = await transaction.first(select(account.c.sealed_password).where(account.c.id == account_id))
    if row is None:
        return None
    phc: str = transaction.open(row.sealed_password, account, account_id, account_id, "sealed_password")["phc"]
    return phc


async def create(transaction: Transaction, address: str, phc: str, *, language: str | None = None) -> UUID | None:
    """Make an account whose address is known to be its owner's; returns None when the address has one already."""
    await hold_index_root(transaction)
    if await find(transaction, address) is not None:
        return None
    row = new_id()
    values = {
        "id": row,
        "email_index": address_index(transaction.cipher, address),
        "created_at": transaction.now,
        "credential_version": 1,
        "password_changed_at": transaction.now,
        "login_notices": True,
        "language": language,
        "sealed_email": transaction.seal({"email": address}, account, row, row, "sealed_email"),
        "sealed_password": transaction.seal({"phc": phc}, account, row, row, "sealed_password"),
    }
    if not await transaction.insert_once(account, "email_index", values):
        return None
    record(transaction, "account_created", account_id=row)
    return row


async def _new_link(
    transaction: Transaction,
    purpose: str,
    content: dict[str, str],
    *,
    account_id: UUID | None = None,
    credential_version: int | None = None,
) -> str:
    """Make a link that works once; returns its token.

    Earlier ones go on working until they are over, or a credential changes: a stranger who asks for another reset
    takes none away. An owner who corrects a new address means the last one alone.
    """
    if purpose == CHANGE_EMAIL:
        await transaction.execute(
            delete(mail_link).where(mail_link.c.account_id == account_id, mail_link.c.purpose == purpose)
        )
    token, row = new_token(), new_id()
    lifetime = transaction.policy.reset_link if purpose == RESET else transaction.policy.confirm_link
    await transaction.execute(
        insert(mail_link).values(
            id=row,
            account_id=account_id,
            purpose=purpose,
            token_hash=token_hash(token),
            created_at=transaction.now,
            expires_at=transaction.now + lifetime,
            credential_version=credential_version,
            sealed=transaction.seal(content, mail_link, row, account_id or row),
        )
    )
    return token


async def find_link(transaction: Transaction, purpose: str, token: str) -> MailLink | None:
    """Return what a live link stands for, or None when it was used, has expired or was overtaken."""
    row = await transaction.first(
        select(mail_link, account.c.credential_version.label("now_version"))
        .join_from(mail_link, account, mail_link.c.account_id == account.c.id, isouter=True)
        .where(
            mail_link.c.token_hash == token_hash(token),
            mail_link.c.purpose == purpose,
            mail_link.c.expires_at > transaction.now,
        )
    )
    if row is None or row.credential_version != row.now_version:
        return None
    content = transaction.open(row.sealed, mail_link, row.id, row.account_id or row.id)
    return MailLink(row.id, row.purpose, row.account_id, row.credential_version, content)


async def _use_link(transaction: Transaction, link: MailLink) -> bool:
    """Spend a link; of parallel uses one wins."""
    return await transaction.changed_one(delete(mail_link).where(mail_link.c.id == link.id))


def _address(transaction: Transaction, path: str, token: str) -> str:
    return f"{transaction.settings.origin}{path}?token={token}"


async def ask_sign_up(transaction: Transaction, address: str, language: str) -> None:
    """Take a sign-up; whether the address has an account is found out by the outbox worker, out of anyone's sight."""
    await outbox.ask(transaction, SIGN_UP, {"email": address, "language": language})


async def mail_sign_up(transaction: Transaction, work: dict[str, str]) -> None:
    """Write to the address of a sign-up: a link, or that there is an account already."""
    address = parse_address(work["email"])
    existing = await find(transaction, address)
    if existing is not None:
        await send(transaction, address, Letter("account_exists"), account_id=existing.id)
        return
    language = work.get("language") or SOURCE
    token = await _new_link(transaction, SIGN_UP, {"email": address, "language": language})
    letter = Letter("confirm_sign_up", link=_address(transaction, "/sign-up/confirm", token))
    await send(transaction, address, letter, language=language)


async def confirm_sign_up(transaction: Transaction, token: str, phc: str, visitor: Visitor) -> UUID | None:
    """Make the account of whoever reads the mails of an address; returns None when the link no longer works.

    The password is chosen here, not at the sign-up: that may have been anybody's.
    """
    link = await find_link(transaction, SIGN_UP, token)
    if link is None or not await _use_link(transaction, link):
        return None
    address = link.content["email"]
    if await find(transaction, address) is not None:
        return None
    made = await create(transaction, address, phc, language=link.content.get("language"))
    if made is not None:
        record(transaction, "email_confirmed", account_id=made, detail=visitor.detail())
    return made


async def ask_reset(transaction: Transaction, address: str) -> None:
    """Take a request for a reset link; what comes of it is decided by the outbox worker."""
    await outbox.ask(transaction, RESET, {"email": address})


async def mail_reset(transaction: Transaction, work: dict[str, str]) -> None:
    """Write a reset link to the account of an address, if there is one."""
    owner = await find(transaction, work["email"])
    if owner is None:
        return
    token = await _new_link(transaction, RESET, {}, account_id=owner.id, credential_version=owner.credential_version)
    minutes = int(transaction.policy.reset_link.total_seconds() // 60)
    letter = Letter(
        "reset_password",
        {"minutes": minutes},
        [(N_("Account"), masked(owner.email)), (N_("Requested"), transaction.now)],
        _address(transaction, "/forgotten-password/new", token),
    )
    record(transaction, "password_reset_asked", account_id=owner.id, actor="anonymous")
    await send(transaction, owner.email, letter, account_id=owner.id)


async def reset_password(transaction: Transaction, token: str, phc: str, visitor: Visitor) -> str | None:
    """Set a new password by a reset link and end every session; returns None when the link no longer works.

    The browser that did it is known from then on, by the token that is returned: strangers who go on guessing do not
    lock its owner out.
    """
    link = await find_link(transaction, RESET, token)
    if link is None or link.account_id is None or not await _use_link(transaction, link):
        return None
    await set_password(transaction, link.account_id, phc, visitor, how=BY_MAIL)
    return await sessions.remember_device(transaction, link.account_id, None)


async def sign_out_everywhere(
    transaction: Transaction, owner: Account, keep: UUID | None = None, *, actor: Actor = "account"
) -> None:
    """End every session but the one to `keep`, and forget every known device."""
    await sessions.end_all(transaction, owner.id, keep=keep)
    await transaction.execute(delete(known_device).where(known_device.c.account_id == owner.id))
    record(transaction, "signed_out_everywhere", account_id=owner.id, actor=actor)


async def set_password(
    transaction: Transaction, account_id: UUID, phc: str, visitor: Visitor, *, how: str, keep: UUID | None = None
) -> None:
    """Set a password, end all sessions (but `keep`) and known devices, and write to the owner."""
    await transaction.execute(
        update(account)
        .where(account.c.id == account_id)
        .values(
            sealed_password=transaction.seal({"phc": phc}, account, account_id, account_id, "sealed_password"),
            password_changed_at=transaction.now,
            credential_version=account.c.credential_version + 1,
        )
    )
    await sessions.end_all(transaction, account_id, keep=keep)
    await transaction.execute(delete(known_device).where(known_device.c.account_id == account_id))
    record(transaction, "password_changed", account_id=account_id, detail=visitor.detail() | {"how": how})
    owner = await load(transaction, account_id)
    if owner is not None:
        await security_notice(transaction, account_id, owner.email, "password_changed", visitor, by_mail=how == BY_MAIL)


async def rehash_password(transaction: Transaction, account_id: UUID, old: str, new: str) -> None:
    """Replace a PHC string by one of the same password with today's parameters, unless it has changed meanwhile."""
    row = await transaction.first(
        select(account.c.sealed_password).where(account.c.id == account_id).with_for_update(key_share=True)
    )
    if row is None:
        return
    known = transaction.open(row.sealed_password, account, account_id, account_id, "sealed_password")["phc"]
    if hmac.compare_digest(known, old):
        sealed = transaction.seal({"phc": new}, account, account_id, account_id, "sealed_password")
        await transaction.execute(update(account).where(account.c.id == account_id).values(sealed_password=sealed))


async def ask_change_email(transaction: Transaction, owner: Account, address: str, visitor: Visitor) -> None:
    """Take a new address; it counts once its link was used. The old address is told at once."""
    work = {"account": str(owner.id), "email": address}
    await outbox.ask(transaction, CHANGE_EMAIL, work)
    record(transaction, "email_change_asked", account_id=owner.id, detail=visitor.detail() | {"to": masked(address)})
    await security_notice(transaction, owner.id, owner.email, "address_changing", visitor, address=masked(address))


async def mail_change_email(transaction: Transaction, work: dict[str, str]) -> None:
    """Write to a new address: a link, or that it has an account already."""
    owner = await load(transaction, UUID(work["account"]))
    if owner is None:
        return
    address = work["email"]
    if await find(transaction, address) is not None:
        await send(transaction, address, Letter("address_taken"), language=owner.language)
        return
    token = await _new_link(
        transaction,
        CHANGE_EMAIL,
        {"email": address},
        account_id=owner.id,
        credential_version=owner.credential_version,
    )
    letter = Letter("confirm_address", link=_address(transaction, "/account/email/confirm", token))
    await send(transaction, address, letter, language=owner.language)


async def confirm_change_email(transaction: Transaction, token: str, visitor: Visitor) -> UUID | None:
    """Give an account its confirmed new address; returns None when the link no longer works."""
    link = await find_link(transaction, CHANGE_EMAIL, token)
    if link is None or link.account_id is None or not await _use_link(transaction, link):
        return None
    await hold_index_root(transaction)
    owner = await load(transaction, link.account_id)
    new = link.content["email"]
    if owner is None or await find(transaction, new) is not None:
        return None
    await transaction.execute(
        update(account)
        .where(account.c.id == owner.id)
        .values(
            email_index=address_index(transaction.cipher, new),
            sealed_email=transaction.seal({"email": new}, account, owner.id, owner.id, "sealed_email"),
            credential_version=account.c.credential_version + 1,
        )
    )
    record(
        transaction,
        "email_changed",
        account_id=owner.id,
        detail=visitor.detail() | {"from": masked(owner.email), "to": masked(new)},
    )
    for address in (owner.email, new):
        await security_notice(transaction, owner.id, address, "address_changed", visitor, address=masked(new))
    return owner.id


async def set_login_notices(transaction: Transaction, owner: Account, visitor: Visitor, *, wanted: bool) -> None:
    """Switch the mails about sign-ins on or off; the switch itself is always told."""
    await transaction.execute(update(account).where(account.c.id == owner.id).values(login_notices=wanted))
    record(transaction, "login_notices_set", account_id=owner.id, detail=visitor.detail() | {"wanted": wanted})
    if not wanted and owner.login_notices:
        await security_notice(transaction, owner.id, owner.email, "sign_in_emails_off", visitor)


async def set_language(transaction: Transaction, owner: Account, language: str | None) -> None:
    """Choose the language of an account's pages and letters; None goes by the browser."""
    await transaction.execute(update(account).where(account.c.id == owner.id).values(language=language))


async def export(transaction: Transaction, owner: Account) -> dict[str, object]:
    """Return everything that is kept about an account, but for secrets."""
    record(transaction, "account_exported", account_id=owner.id)
    entries = await entries_of(transaction, owner.id, transaction.policy.audit_retention)
    codes = await transaction.rows(select(recovery_code.c.used_at).where(recovery_code.c.account_id == owner.id))
    return {
        "account": {
            "id": str(owner.id),
            "email": owner.email,
            "created_at": owner.created_at.isoformat(),
            "password_changed_at": owner.password_changed_at.isoformat(),
            "login_notices": owner.login_notices,
            "language": owner.language,
        },
        "second_factor": {
            "authenticator_app": owner.has_totp,
            "passkeys": owner.passkeys,
            "recovery_codes_left": sum(code.used_at is None for code in codes),
        },
        "sessions": [
            {
                "opened_at": one.created_at.isoformat(),
                "seen_at": one.seen_at.isoformat(),
                "address": one.address,
                "browser": one.browser,
            }
            for one in await sessions.sessions_of(transaction, owner.id)
        ],
        "events": [
            {
                "at": entry.at.isoformat(),
                "event": entry.event,
                "outcome": entry.outcome,
                "actor": entry.actor,
                "detail": dict(entry.detail),
            }
            for entry in entries
        ],
    }


async def end(transaction: Transaction, owner: Account, visitor: Visitor) -> None:
    """Delete an account with all that belongs to it; of its audit events only the fact stays, without detail."""
    # The mail goes out under no account, so that it survives the deletion
    letter = Letter("account_deleted", facts=[(N_("When"), transaction.now), (N_("From"), visitor.address)])
    for table in (mail_link, session, sign_in, totp, passkey, recovery_code, known_device, factor_removal):
        await transaction.execute(delete(table).where(table.c.account_id == owner.id))
    await transaction.execute(delete(outbox_table).where(outbox_table.c.account_id == owner.id))
    await transaction.execute(delete(account).where(account.c.id == owner.id))
    await send(transaction, owner.email, letter, language=owner.language)
    await forget_details(transaction, owner.id)
    record(transaction, "account_deleted", account_id=owner.id)


async def purge_links(transaction: Transaction) -> None:
    """Drop links whose time is over."""
    await transaction.drop(mail_link, mail_link.c.expires_at <= transaction.now)
