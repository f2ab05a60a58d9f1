"""The second factor as one thing: proving it, switching it on and off, and the operator's way out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update

from teslafi_companion.audit import Actor, record
from teslafi_companion.language import N_
from teslafi_companion.mail.letters import Letter
from teslafi_companion.store.database import Store, Transaction, new_id
from teslafi_companion.store.tables import account, factor_removal, link

from . import lockout, passkeys, recovery, sessions, throttle, totp
from .account import Account, load
from .addresses import masked
from .notices import security_notice, send
from .step_up import Method
from .throttle import LOCK_NOTED, Attempt, Reservation
from .visitor import Visitor


class CredentialsChanged(Exception):
    """Password or factors changed while a page was under way that was opened to their owner: nothing was done."""


async def reserve(store: Store, owner: Account, attempt: Attempt, visitor: Visitor) -> Reservation | None:
    """Reserve one try at a second factor, for good; None when the counter is locked, which is noted once an hour."""
    reservation = await throttle.reserve(store, [attempt])
    if reservation.admitted:
        return reservation
    async with store.transaction() as transaction:
        noted = Attempt(LOCK_NOTED, attempt.rule.scope.encode() + attempt.key)
        if await throttle.is_first(transaction, noted):
            record(transaction, "second_factor_locked", account_id=owner.id, outcome="failure", detail=visitor.detail())
    return None


async def prove(
    transaction: Transaction,
    reservation: Reservation,
    owner: Account,
    method: Method,
    proof: str | Mapping[str, Any],
    visitor: Visitor,
    *,
    bound_to: str = "",
) -> bool:
    """Check a second factor for which a try was reserved; a right one forgives the wrong ones before it."""
    if not await _is_right(transaction, owner, method, proof, bound_to):
        record(
            transaction,
            "second_factor_failed",
            account_id=owner.id,
            outcome="failure",
            detail=visitor.detail() | {"method": method},
        )
        return False
    await throttle.refund(transaction, reservation.reserved)
    if method is Method.RECOVERY_CODE:
        await _tell_recovery_code_used(transaction, owner, visitor)
    return True


async def _is_right(
    transaction: Transaction, owner: Account, method: Method, proof: str | Mapping[str, Any], bound_to: str
) -> bool:
    match method, proof:
        case Method.CODE, str():
            return await totp.use_code(transaction, owner.id, "".join(proof.split()))
        case Method.RECOVERY_CODE, str():
            return await recovery.use(transaction, owner.id, proof)
        case Method.PASSKEY, Mapping():
            try:
                await passkeys.prove(transaction, owner.id, bound_to, proof)
            except passkeys.PasskeyRefused:
                return False
            return True
    return False


async def _tell_recovery_code_used(transaction: Transaction, owner: Account, visitor: Visitor) -> None:
    left = await recovery.left(transaction, owner.id)
    record(transaction, "recovery_code_used", account_id=owner.id, detail=visitor.detail() | {"left": left})
    low = left <= transaction.policy.recovery_codes_low
    await security_notice(transaction, owner.id, owner.email, "recovery_code_used", visitor, left=left, low=low)


async def enrol_totp(
    transaction: Transaction, owner: Account, enrolment: totp.Enrolment, code: str, visitor: Visitor, *, keep: UUID
) -> bool:
    """Switch an authenticator app on if its first code is right; `keep` is the session that does so."""
    if not await totp.activate(transaction, owner.id, enrolment, "".join(code.split())):
        return False
    # In place of another app it is a change of what was proved for links, not an addition
    await _changed(transaction, owner, visitor, "totp_enrolled", keep=keep, added=not owner.has_totp)
    return True


async def add_passkey(
    transaction: Transaction,
    owner: Account,
    bound_to: str,
    answer: Mapping[str, Any],
    name: str,
    visitor: Visitor,
    *,
    keep: UUID,
) -> None:
    """Add a passkey in the session `keep`; raises PasskeyRefused."""
    await passkeys.finish_registration(transaction, owner, bound_to, answer, name)
    await _changed(transaction, owner, visitor, "passkey_added", keep=keep, added=True)


async def new_recovery_codes(transaction: Transaction, owner: Account, visitor: Visitor, *, keep: UUID) -> list[str]:
    """Replace the recovery codes, in the session `keep`; returns the new ones, which nobody can read again."""
    await sessions.end_all(transaction, owner.id, keep=keep)
    codes = await recovery.regenerate(transaction, owner.id)
    record(transaction, "recovery_codes_made", account_id=owner.id, detail=visitor.detail())
    await security_notice(transaction, owner.id, owner.email, "new_recovery_codes", visitor, number=len(codes))
    return codes


async def remove_totp(transaction: Transaction, owner: Account, visitor: Visitor, *, keep: UUID | None = None) -> bool:
    """Switch the authenticator app off, in the session `keep`; recovery codes go with the last factor."""
    if not await totp.remove(transaction, owner.id):
        return False
    await _after_removal(transaction, owner, visitor, "totp_removed", keep)
    return True


async def remove_passkey(
    transaction: Transaction, owner: Account, passkey_id: UUID, visitor: Visitor, *, keep: UUID | None = None
) -> bool:
    """Remove one passkey, in the session `keep`; recovery codes go with the last factor."""
    if not await passkeys.remove(transaction, owner.id, passkey_id):
        return False
    await _after_removal(transaction, owner, visitor, "passkey_removed", keep)
    return True


async def _after_removal(
    transaction: Transaction, owner: Account, visitor: Visitor, event: str, keep: UUID | None
) -> None:
    now = await load(transaction, owner.id)
    none_left = now is not None and not now.has_second_factor
    if none_left:
        await recovery.remove(transaction, owner.id)
    await _changed(transaction, owner, visitor, event, keep=keep, none_left=none_left)


async def _changed(
    transaction: Transaction,
    owner: Account,
    visitor: Visitor,
    event: str,
    *,
    keep: UUID | None,
    added: bool = False,
    none_left: bool = False,
) -> None:
    """Void what was proved with the factors before, end the other sessions, and tell the owner.

    What linked Home Assistants were allowed outlasts a factor that was only `added`.
    """
    bumped = (
        update(account)
        .where(account.c.id == owner.id, account.c.credential_version == owner.credential_version)
        .values(credential_version=owner.credential_version + 1)
    )
    if not await transaction.changed_one(bumped):
        raise CredentialsChanged
    if added:
        await transaction.execute(
            update(link)
            .where(link.c.account_id == owner.id, link.c.credential_version == owner.credential_version)
            .values(credential_version=owner.credential_version + 1)
        )
    await sessions.end_all(transaction, owner.id, keep=keep)
    record(transaction, event, account_id=owner.id, detail=visitor.detail())
    await security_notice(
        transaction, owner.id, owner.email, "factors_changed", visitor, event=event, none_left=none_left
    )


async def ask_removal(transaction: Transaction, owner: Account) -> datetime:
    """Note the operator's order to remove the second factor; it is carried out after the delay. Returns when."""
    due = transaction.now + transaction.policy.operator_recovery_delay
    await transaction.execute(delete(factor_removal).where(factor_removal.c.account_id == owner.id))
    await transaction.execute(
        factor_removal.insert().values(id=new_id(), account_id=owner.id, asked_at=transaction.now, due_at=due)
    )
    record(transaction, "factor_removal_asked", account_id=owner.id, actor="operator", detail={"due": due.isoformat()})
    facts: list[tuple[str, str | datetime]] = [(N_("Account"), masked(owner.email)), (N_("Planned for"), due)]
    await send(transaction, owner.email, Letter("factor_removal", facts=facts, is_notice=True), account_id=owner.id)
    return due


async def removal_due(transaction: Transaction, account_id: UUID) -> datetime | None:
    """Return when the operator's removal will happen, or None."""
    row = await transaction.first(select(factor_removal.c.due_at).where(factor_removal.c.account_id == account_id))
    due: datetime | None = row.due_at if row is not None else None
    return due


async def keep_factors(transaction: Transaction, account_id: UUID, *, actor: Actor = "account") -> bool:
    """Call the operator's removal off; False when there was none."""
    kept = await transaction.changed_one(delete(factor_removal).where(factor_removal.c.account_id == account_id))
    if kept:
        record(transaction, "factor_removal_called_off", account_id=account_id, actor=actor)
    return kept


async def remove_due(transaction: Transaction) -> int:
    """Carry out the operator's removals whose delay is over; returns how many."""
    due = await transaction.rows(
        delete(factor_removal).where(factor_removal.c.due_at <= transaction.now).returning(factor_removal.c.account_id)
    )
    for row in due:
        owner = await load(transaction, row.account_id)
        if owner is None:
            continue
        await totp.remove(transaction, owner.id)
        await passkeys.remove_all(transaction, owner.id)
        await recovery.remove(transaction, owner.id)
        await sessions.end_all(transaction, owner.id)
        await lockout.unlock(transaction, owner, actor="operator")
        await transaction.execute(
            update(account).where(account.c.id == owner.id).values(credential_version=account.c.credential_version + 1)
        )
        record(transaction, "factors_removed", account_id=owner.id, actor="operator")
        await security_notice(transaction, owner.id, owner.email, "factors_removed")
    return len(due)
