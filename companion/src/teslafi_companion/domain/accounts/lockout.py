"""Whose attempts count where: strangers, known devices, resets by mail and step-ups each lock only themselves."""

from sqlalchemy import select

from teslafi_companion.audit import Actor, record
from teslafi_companion.crypto import token_hash
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import known_device

from .account import Account
from .addresses import EMAIL_INDEX, indexed_form, parse_known
from .throttle import (
    FACTOR_DEVICE,
    FACTOR_RESET,
    FACTOR_STRANGER,
    SIGN_IN_DEVICE,
    SIGN_IN_STRANGER,
    STEP_UP,
    Attempt,
    forgive,
)


def by_stranger(address: str) -> Attempt:
    """Return the counter of everybody who types this address in a browser that it does not know."""
    return Attempt(SIGN_IN_STRANGER, indexed_form(address), EMAIL_INDEX)


def by_device(owner: Account, device: str) -> Attempt:
    """Return the counter of one known device of an account."""
    return Attempt(SIGN_IN_DEVICE, owner.id.bytes + token_hash(device))


def second_factor(owner: Account, device: str | None) -> Attempt:
    """Return the counter of second factors at a sign-in; `device` is a known one's token."""
    if device is None:
        return Attempt(FACTOR_STRANGER, owner.id.bytes)
    return Attempt(FACTOR_DEVICE, owner.id.bytes + token_hash(device))


def at_reset(owner: Account) -> Attempt:
    """Return the counter of second factors behind a link for a new password."""
    return Attempt(FACTOR_RESET, owner.id.bytes)


def at_step_up(owner: Account) -> Attempt:
    """Return the counter of proofs by somebody who is signed in."""
    return Attempt(STEP_UP, owner.id.bytes)


async def unlock(transaction: Transaction, owner: Account, *, actor: Actor = "account") -> int:
    """Forget all wrong attempts at an account; returns how many locks were open until now."""
    devices = await transaction.rows(select(known_device.c.token_hash).where(known_device.c.account_id == owner.id))
    keys = [owner.id.bytes + row.token_hash for row in devices]
    locked = await forgive(
        transaction,
        [
            by_stranger(parse_known(owner.email)),
            *(Attempt(rule, key) for rule in (SIGN_IN_DEVICE, FACTOR_DEVICE) for key in keys),
            Attempt(FACTOR_STRANGER, owner.id.bytes),
            at_reset(owner),
            at_step_up(owner),
        ],
    )
    record(transaction, "account_unlocked", account_id=owner.id, actor=actor)
    return locked
