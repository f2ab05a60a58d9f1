"""Attempts are reserved before anything is checked, each in one statement, and given back on success.

Checking first and counting afterwards lets parallel guesses pass the limit (ZITADEL's GHSA-7h8m-vrxx-vr4m). The state
is in the database: every process sees it and a restart forgets nothing. Keys are HMACs: no address is kept in clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

from sqlalchemy import and_, case, delete, literal, or_, update

from teslafi_companion.store.columns import Moment
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import throttle

_LADDER: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 16, 32, 60))
_FORGET: Final = timedelta(hours=24)
_IPV6_SITE: Final = 64
_SMALLEST_CAP: Final = 100


@dataclass(frozen=True)
class Rule:
    """How many attempts one key may make in a window.

    With `ladder`, reaching the limit locks the key for 1, 2, 4 … 60 minutes, and then every further failure locks it
    again; after `cap` failures in a row it stays locked until a success elsewhere (a reset by mail) forgives it.
    """

    scope: str
    attempts: int
    window: timedelta
    ladder: bool = False
    cap: int | None = None


SIGN_IN_ACCOUNT: Final = Rule("sign-in-account", 5, timedelta(minutes=15), ladder=True, cap=100)
SIGN_IN_DEVICE: Final = Rule("sign-in-device", 5, timedelta(minutes=15), ladder=True, cap=100)
SIGN_IN_NETWORK: Final = Rule("sign-in-network", 20, timedelta(minutes=10))
SIGN_IN_NETWORK_DAY: Final = Rule("sign-in-network-day", 100, timedelta(days=1))
SECOND_FACTOR: Final = Rule("second-factor", 5, timedelta(minutes=15), ladder=True, cap=100)
MAIL_ADDRESS: Final = Rule("mail-address", 3, timedelta(hours=1))
MAIL_NETWORK: Final = Rule("mail-network", 10, timedelta(hours=1))
LINK_NETWORK: Final = Rule("mail-link-network", 30, timedelta(hours=1))
INCOMPLETE_NOTICE: Final = Rule("incomplete-notice", 1, timedelta(hours=1))
USER_CODE_SESSION: Final = Rule("user-code-session", 5, timedelta(minutes=10))
USER_CODE_NETWORK: Final = Rule("user-code-network", 5, timedelta(minutes=10))
TOKEN_NETWORK: Final = Rule("token-network", 30, timedelta(minutes=1))
WEBHOOK_NETWORK: Final = Rule("webhook-network", 30, timedelta(minutes=10))
DEVICE_NETWORK: Final = Rule("device-network", 10, timedelta(minutes=1))


@dataclass(frozen=True)
class Attempt:
    """One rule applied to one key: an account's address index, a network, a token's hash."""

    rule: Rule
    key: bytes


def network_key(address: str) -> bytes:
    """Return the key of a client's network: the address, or the /64 of an IPv6 address."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped.packed if parsed.ipv4_mapped else parsed.packed[: _IPV6_SITE // 8]
    return parsed.packed


async def reserve(transaction: Transaction, attempts: Sequence[Attempt]) -> Rule | None:
    """Reserve one attempt under every rule; returns the rule that refuses, or None when all admit it.

    What was reserved before a refusal stays counted.
    """
    # One order for everyone: two requests with the same keys never wait for each other's rows
    for attempt in sorted(attempts, key=lambda one: (one.rule.scope, one.key)):
        if not await _reserved(transaction, attempt):
            return attempt.rule
    return None


async def _reserved(transaction: Transaction, attempt: Attempt) -> bool:
    rule, now = attempt.rule, transaction.now
    state = throttle.c
    fresh = state.window_start <= now - rule.window
    count = case((fresh, 1), else_=state.attempts + 1)
    # A lock that led to no further failure for a day is forgotten
    rung = case((state.touched_at <= now - _FORGET, 0), else_=state.rung)
    open_now = or_(state.locked_until.is_(None), state.locked_until <= now)
    values = {
        "window_start": case((fresh, literal(now, Moment)), else_=state.window_start),
        "attempts": count,
        "consecutive": state.consecutive + 1,
        "touched_at": now,
    }
    if rule.ladder:
        locks = or_(count >= rule.attempts, rung > 0)
        waits = [(rung == step, literal(now + wait, Moment)) for step, wait in enumerate(_LADDER[:-1])]
        values["locked_until"] = case((locks, case(*waits, else_=literal(now + _LADDER[-1], Moment))), else_=None)
        values["rung"] = case((locks, rung + 1), else_=rung)
        admits = open_now if rule.cap is None else and_(open_now, state.consecutive < rule.cap)
    else:
        admits = or_(fresh, state.attempts < rule.attempts)
    statement = (
        transaction.upsert(throttle)
        .values(
            scope=rule.scope,
            key=_key(transaction, attempt),
            window_start=now,
            attempts=1,
            rung=0,
            consecutive=1,
            touched_at=now,
        )
        .on_conflict_do_update(index_elements=["scope", "key"], set_=values, where=admits)
        .returning(throttle.c.scope)
    )
    return await transaction.first(statement) is not None


async def charge(transaction: Transaction, attempts: Sequence[Attempt]) -> None:
    """Count one more failure than was reserved: a guess at an account that does not exist weighs double."""
    for attempt in attempts:
        await _reserved(transaction, attempt)


async def refund(transaction: Transaction, attempts: Sequence[Attempt]) -> None:
    """Give back what was reserved for an attempt that succeeded."""
    for attempt in sorted(attempts, key=lambda one: (one.rule.scope, one.key)):
        where = and_(throttle.c.scope == attempt.rule.scope, throttle.c.key == _key(transaction, attempt))
        if attempt.rule.ladder:
            await transaction.execute(delete(throttle).where(where))
        else:
            await transaction.execute(
                update(throttle)
                .where(where, throttle.c.attempts > 0)
                .values(attempts=throttle.c.attempts - 1, consecutive=throttle.c.consecutive - 1)
            )


async def purge(transaction: Transaction) -> None:
    """Drop rows that can refuse nobody any more."""
    await transaction.execute(
        delete(throttle).where(
            throttle.c.touched_at < transaction.now - 2 * _FORGET, throttle.c.consecutive < _SMALLEST_CAP
        )
    )


def _key(transaction: Transaction, attempt: Attempt) -> bytes:
    return transaction.cipher.mac("throttle", attempt.rule.scope.encode() + b"\0" + attempt.key)
