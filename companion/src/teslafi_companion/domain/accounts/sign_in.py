"""Signing in: password first, then the second factor; the same answer and the same work whatever was wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from sqlalchemy import and_, update

from teslafi_companion.audit import record
from teslafi_companion.language import N_
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.tables import pending_sign_in

from . import account, factors, lockout, notices, sessions, throttle
from .account import Account
from .passwords import Passwords, PasswordsBusy
from .sessions import PendingSignIn
from .step_up import Method
from .throttle import (
    INCOMPLETE_NOTICE,
    LOCK_NOTED,
    SIGN_IN_DEVICE,
    SIGN_IN_NETWORK,
    SIGN_IN_NETWORK_DAY,
    Attempt,
    Reservation,
    network_key,
)
from .visitor import Visitor

_METHOD_WORDS: Final = {
    Method.PASSWORD: N_("password"),
    Method.CODE: N_("password and code"),
    Method.RECOVERY_CODE: N_("password and recovery code"),
    Method.PASSKEY: N_("password and passkey"),
}


class Refusal(Enum):
    """Why a sign-in goes no further."""

    WRONG = "wrong"
    """Address, password or code is wrong, or the account is locked: it is not said which."""
    NETWORK = "network"
    """Too many attempts from this network."""


@dataclass(frozen=True)
class SignedIn:
    """A session was opened: the token of its cookie, and a new token for the known-device cookie if it needs one."""

    token: str
    device: str | None


@dataclass(frozen=True)
class SecondFactorWanted:
    """The password was right; the token belongs into the cookie of the pending sign-in."""

    token: str


async def with_password(
    store: Store, passwords: Passwords, address: str, password: str, visitor: Visitor, device: str | None
) -> SignedIn | SecondFactorWanted | Refusal:
    """Check address and password. Raises PasswordsBusy."""
    async with store.reading() as transaction:
        owner = await account.find(transaction, address)
        counter = await _counter(transaction, owner, address, device)
    network, known = network_key(visitor.address), counter.rule is SIGN_IN_DEVICE
    attempts = [counter]
    if not known:
        attempts += [Attempt(SIGN_IN_NETWORK, network), Attempt(SIGN_IN_NETWORK_DAY, network)]
    reservation = await throttle.reserve(store, attempts)
    if reservation.refused_by in {SIGN_IN_NETWORK, SIGN_IN_NETWORK_DAY}:
        await _note_lock(store, "sign_in_network_locked", None, Attempt(LOCK_NOTED, network), visitor)
        return Refusal.NETWORK
    async with throttle.judging(store, reservation, PasswordsBusy):
        outcome = await _judge(store, passwords, owner, password, visitor, device, reservation, known=known)
    if not reservation.admitted:
        await _note_lock(store, "sign_in_locked", owner, attempts[0], visitor)
    return outcome


async def _counter(transaction: Transaction, owner: Account | None, address: str, device: str | None) -> Attempt:
    """Return what counts the wrong passwords: of a browser that the owner has used before, she alone."""
    if owner is not None and device is not None and await sessions.is_known_device(transaction, owner.id, device):
        # Neither a stranger nor her neighbours lock her out there
        return lockout.by_device(owner, device)
    return lockout.by_stranger(address)


async def factor_wait(transaction: Transaction, owner: Account, device: str | None) -> timedelta:
    """Return how long no second factor of an account is looked at."""
    known = device is not None and await sessions.is_known_device(transaction, owner.id, device)
    return await throttle.wait_of(transaction, lockout.second_factor(owner, device if known else None))


async def _note_lock(store: Store, event: str, owner: Account | None, refused: Attempt, visitor: Visitor) -> None:
    """Write down that a limit refuses, once an hour: who is over it comes as often as he likes."""
    async with store.transaction() as transaction:
        if await throttle.is_first(transaction, Attempt(LOCK_NOTED, event.encode() + refused.key)):
            record(
                transaction,
                event,
                account_id=owner.id if owner else None,
                actor="anonymous",
                outcome="failure",
                detail=visitor.detail(),
            )


async def _judge(
    store: Store,
    passwords: Passwords,
    owner: Account | None,
    password: str,
    visitor: Visitor,
    device: str | None,
    reservation: Reservation,
    *,
    known: bool,
) -> SignedIn | SecondFactorWanted | Refusal:
    phc = None
    if owner is not None and reservation.admitted:
        async with store.reading() as transaction:
            phc = await account.password_of(transaction, owner.id)
    right = await passwords.verify(phc, password, known=known)
    if not reservation.admitted:
        return Refusal.WRONG
    fresh = None
    if right and phc is not None and passwords.needs_rehash(phc):
        fresh = await passwords.hash(password)
    async with store.transaction() as transaction:
        if not right or owner is None or phc is None:
            record(
                transaction,
                "sign_in_failed",
                account_id=owner.id if owner else None,
                actor="anonymous",
                outcome="failure",
                detail=visitor.detail(),
            )
            return Refusal.WRONG
        current = await account.load(transaction, owner.id)
        if current is None or current.credential_version != owner.credential_version:
            return Refusal.WRONG
        await throttle.refund(transaction, reservation.reserved)
        if fresh is not None:
            await account.rehash_password(transaction, owner.id, phc, fresh)
        if current.has_second_factor:
            return SecondFactorWanted(await sessions.open_pending(transaction, owner.id, visitor))
        return await _open(transaction, current, {Method.PASSWORD}, Method.PASSWORD, visitor, device)


async def _open(
    transaction: Transaction,
    owner: Account,
    methods: set[Method],
    last: Method,
    visitor: Visitor,
    device: str | None,
) -> SignedIn:
    # One at a time: which sessions are too many, and how many mails were written, is counted in what follows
    await notices.lock(transaction, owner.id)
    known = device is not None and await sessions.is_known_device(transaction, owner.id, device)
    token, _ = await sessions.open_session(transaction, owner.id, methods, visitor)
    fresh_device = await sessions.remember_device(transaction, owner.id, device)
    record(transaction, "sign_in_success", account_id=owner.id, detail=visitor.detail() | {"method": last})
    if owner.login_notices:
        await notices.sign_in_notice(
            transaction, owner.id, owner.email, visitor, method=_METHOD_WORDS[last], known_device=known
        )
    return SignedIn(token, fresh_device)


async def with_second_factor(
    store: Store,
    pending: PendingSignIn,
    method: Method,
    proof: str | Mapping[str, Any],
    visitor: Visitor,
    *,
    device: str | None,
    bound_to: str = "",
) -> SignedIn | Refusal:
    """Finish a sign-in by its second factor."""
    async with store.reading() as transaction:
        owner = await account.load(transaction, pending.account_id)
        known = device is not None and await sessions.is_known_device(transaction, pending.account_id, device)
    if owner is None:
        return Refusal.WRONG
    reservation = await factors.reserve(store, owner, lockout.second_factor(owner, device if known else None), visitor)
    async with throttle.judging(store, reservation), store.transaction() as transaction:
        if reservation is not None and await factors.prove(
            transaction, reservation, owner, method, proof, visitor, bound_to=bound_to
        ):
            if not await sessions.end_pending(transaction, pending):
                return Refusal.WRONG
            return await _open(transaction, owner, {Method.PASSWORD, method}, method, visitor, device)
        await transaction.execute(
            update(pending_sign_in).where(pending_sign_in.c.id == pending.id).values(tries=pending_sign_in.c.tries + 1)
        )
        return Refusal.WRONG


async def notice_incomplete(transaction: Transaction) -> int:
    """Write to owners whose password was right while no code followed, within three minutes or three tries.

    At most one such mail an hour goes to an account. Returns how many were written.
    """
    policy, now = transaction.policy, transaction.now
    table = pending_sign_in
    due = await transaction.rows(
        update(table)
        .where(
            ~table.c.noticed,
            (table.c.created_at <= now - policy.incomplete_sign_in_notice)
            | (table.c.tries >= policy.incomplete_sign_in_tries),
        )
        .values(noticed=True)
        .returning(table.c.id, table.c.account_id, table.c.sealed)
    )
    written = 0
    for row in due:
        owner = await account.load(transaction, row.account_id)
        hourly = Attempt(INCOMPLETE_NOTICE, row.account_id.bytes)
        if owner is None or not await throttle.is_first(transaction, hourly):
            continue
        about = transaction.open(row.sealed, table, row.id, row.account_id)
        came_from = Visitor(about["address"], about["agent"])
        await notices.security_notice(transaction, owner.id, owner.email, "sign_in_incomplete", came_from)
        record(transaction, "sign_in_incomplete", account_id=owner.id, actor="service", outcome="failure")
        written += 1
    return written


async def purge_pending(transaction: Transaction) -> None:
    """Drop sign-ins that can no longer be finished and whose owner was told."""
    table = pending_sign_in
    over = transaction.now - transaction.policy.sign_in_pending
    await transaction.drop(table, and_(table.c.noticed, table.c.created_at <= over))
