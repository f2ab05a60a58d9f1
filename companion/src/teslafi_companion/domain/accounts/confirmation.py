"""Proving to be the owner of an account that is signed in: by the ways that a purpose asks for."""

from collections.abc import Mapping
from typing import Any

from teslafi_companion.audit import record
from teslafi_companion.store.database import Store

from . import account, factors, lockout, sessions, throttle
from .account import Account
from .passwords import Passwords, PasswordsBusy
from .sessions import Session
from .step_up import Method, Purpose, methods_for
from .visitor import Visitor


async def confirm(
    store: Store,
    passwords: Passwords,
    owner: Account,
    session: Session,
    purpose: Purpose,
    method: Method,
    proof: str | Mapping[str, Any],
    visitor: Visitor,
    *,
    bound_to: str,
) -> str | None:
    """Note in the session that a factor was proved for a purpose; returns the session's new token, None if not right.

    Raises PasswordsBusy.
    """
    if method not in methods_for(owner, purpose):
        return None
    reservation = await factors.reserve(store, owner, lockout.at_step_up(owner), visitor)
    if reservation is None:
        return None
    async with throttle.judging(store, reservation, PasswordsBusy):
        if method is Method.PASSWORD and not await _password_is_right(store, passwords, owner, str(proof)):
            async with store.transaction() as transaction:
                record(transaction, "step_up_failed", account_id=owner.id, outcome="failure", detail=visitor.detail())
            return None
        async with store.transaction() as transaction:
            if method is Method.PASSWORD:
                await throttle.refund(transaction, reservation.reserved)
            elif not await factors.prove(transaction, reservation, owner, method, proof, visitor, bound_to=bound_to):
                return None
            record(
                transaction,
                "step_up",
                account_id=owner.id,
                detail=visitor.detail() | {"purpose": purpose, "method": method},
            )
            return await sessions.renew_token(transaction, session, purpose=purpose, method=method)


async def _password_is_right(store: Store, passwords: Passwords, owner: Account, password: str) -> bool:
    async with store.reading() as transaction:
        phc = await account.password_of(transaction, owner.id)
    # Who is signed in waits for no stranger, as little as a known device does
    return await passwords.verify(phc, password, known=True)
