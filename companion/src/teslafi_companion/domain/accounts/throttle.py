"""Attempts are reserved before anything is judged, each in one statement, and given back on success.

Checking first and counting afterwards lets parallel guesses pass the limit (ZITADEL's GHSA-7h8m-vrxx-vr4m). A
reservation is a transaction of its own: whatever fails while the attempt is judged takes nothing back. The state is in
the database: every process sees it and a restart forgets nothing. Keys are HMACs: no address is kept in clear.

No lock is for ever (NIST SP 800-63B-4, 3.2.2: throttle): after a hundred failures in a row one attempt a day is left.
What a stranger can lock is the way of strangers: known devices, step-ups and resets by mail have their own counters.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Row,
    TextClause,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from teslafi_companion.store.columns import Moment
from teslafi_companion.store.database import Store, StoreUnreachable, Transaction, as_text, upsert
from teslafi_companion.store.tables import throttle

_LADDER: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 16, 32, 60))
_FORGET: Final = timedelta(hours=24)
_MANY: Final = 100
_AFTER_MANY: Final = timedelta(hours=24)
_FORGET_MANY: Final = timedelta(days=30)
_LONGEST_LOCK: Final = max(_AFTER_MANY, _LADDER[-1])
_IPV6_SITE: Final = 64

# What each guess asks, made once
_ROW: Final = and_(throttle.c.scope == bindparam("of_scope"), throttle.c.key.in_(bindparam("of_keys", expanding=True)))
_FORGIVEN: Final = delete(throttle).where(_ROW)
_LOCKED: Final = select(func.max(throttle.c.locked_until).label("until")).where(_ROW)


@dataclass(frozen=True)
class Rule:
    """How many attempts one key may make in a window.

    With `ladder`, reaching the limit locks the key for 1, 2, 4 … 60 minutes, and then every further failure locks it
    again; after a hundred failures in a row for a day at a time.
    """

    scope: str
    attempts: int
    window: timedelta
    ladder: bool = False


# Rules of one request are reserved in the order of their names: the network's come before the account's, so that a
# network that is over its limit locks no account
SIGN_IN_NETWORK: Final = Rule("sign-in-network", 20, timedelta(minutes=10))
SIGN_IN_NETWORK_DAY: Final = Rule("sign-in-network-day", 100, timedelta(days=1))
SIGN_IN_STRANGER: Final = Rule("sign-in-stranger", 5, timedelta(minutes=15), ladder=True)
SIGN_IN_DEVICE: Final = Rule("sign-in-known-device", 5, timedelta(minutes=15), ladder=True)
FACTOR_STRANGER: Final = Rule("second-factor-stranger", 5, timedelta(minutes=15), ladder=True)
FACTOR_DEVICE: Final = Rule("second-factor-known-device", 5, timedelta(minutes=15), ladder=True)
FACTOR_RESET: Final = Rule("second-factor-reset", 5, timedelta(minutes=15), ladder=True)
STEP_UP: Final = Rule("step-up", 5, timedelta(minutes=15), ladder=True)
LINK_NETWORK: Final = Rule("mail-link-network", 30, timedelta(hours=1))
LINK_TRIES: Final = Rule("mail-link-tries", 20, timedelta(minutes=30))
INCOMPLETE_NOTICE: Final = Rule("incomplete-notice", 1, timedelta(hours=1))
LOCK_NOTED: Final = Rule("lock-noted", 1, timedelta(hours=1))
NOTICES_SET: Final = Rule("notices-set", 6, timedelta(hours=1))
USER_CODE_SESSION: Final = Rule("user-code-session", 5, timedelta(minutes=10))
USER_CODE_NETWORK: Final = Rule("user-code-network", 5, timedelta(minutes=10))
TOKEN_NETWORK: Final = Rule("token-network", 30, timedelta(minutes=1))
WEBHOOK_NETWORK: Final = Rule("webhook-network", 30, timedelta(minutes=10))
DEVICE_NETWORK: Final = Rule("device-network", 10, timedelta(minutes=1))


def mail_to_address(purpose: str) -> Rule:
    """Return the rule of mails to one address; each purpose has its own budget, so that none uses up another's."""
    return Rule(f"mail-to-address-{purpose}", 3, timedelta(minutes=30))


def mail_from_network(purpose: str) -> Rule:
    """Return the rule of mails that one network may have written, for one purpose."""
    return Rule(f"mail-by-network-{purpose}", 10, timedelta(hours=1))


@dataclass(frozen=True)
class Attempt:
    """One rule applied to one key: an address, a network, a token's hash."""

    rule: Rule
    key: bytes = field(repr=False)
    indexed_as: str = ""
    """The name of the blind index that the key is turned into first; none for what is no address."""


@dataclass(frozen=True)
class Reservation:
    """What was reserved, and by which rule the rest was refused; None when every rule admits."""

    reserved: tuple[Attempt, ...]
    refused_by: Rule | None

    @property
    def admitted(self) -> bool:
        """Say whether the attempt may be judged."""
        return self.refused_by is None


def network_key(address: str) -> bytes:
    """Return the key of a client's network: the address, or the /64 of an IPv6 address."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped.packed if parsed.ipv4_mapped else parsed.packed[: _IPV6_SITE // 8]
    return parsed.packed


async def reserve(store: Store, attempts: Sequence[Attempt]) -> Reservation:
    """Reserve one attempt under every rule, for good; never called inside a transaction.

    What was reserved before a refusal stays counted.
    """
    # Whoever comes back after an outage finds what it cost him given back
    await store.settle()
    made: list[Attempt] = []
    async with store.transaction() as transaction:
        # One order for everyone: two requests with the same keys never wait for each other's rows
        for attempt in _in_order(attempts):
            if not await _reserved(transaction, attempt):
                return Reservation(tuple(made), attempt.rule)
            made.append(attempt)
    return Reservation(tuple(made), None)


async def is_first(transaction: Transaction, attempt: Attempt) -> bool:
    """Count something that was not guessed, and say whether its rule still admits it: what is told once an hour."""
    return await _reserved(transaction, attempt)


def _in_order(attempts: Sequence[Attempt]) -> list[Attempt]:
    return sorted(attempts, key=lambda one: (one.rule.scope, one.key))


async def _reserved(transaction: Transaction, attempt: Attempt) -> bool:
    await _carry_over(transaction, attempt)
    rule, now = attempt.rule, transaction.now
    values = {
        "of_scope": rule.scope,
        "of_key": _keys(transaction, attempt)[0],
        "most": rule.attempts,
        "now": now,
        "window_ago": now - rule.window,
        "window_ahead": now + rule.window,
    }
    if rule.ladder:
        values |= {
            "forgotten": now - _FORGET,
            "longest_lock": now + _LONGEST_LOCK,
            "after_many": now + _AFTER_MANY,
            **{_rung(step): now + wait for step, wait in enumerate(_LADDER)},
        }
    statement = _reservation(transaction.connection.dialect.name, ladder=rule.ladder)
    return await transaction.first(statement, values) is not None


def _rung(step: int) -> str:
    """Name the end of a lock of a step of the ladder."""
    return f"rung_{step}"


def _moment(name: str) -> BindParameter[Any]:
    return bindparam(name, type_=Moment)


@cache
def _reservation(dialect: str, *, ladder: bool) -> TextClause:
    """Make the statement that reserves an attempt, for one kind of database and of rule."""
    state, now, most = throttle.c, _moment("now"), bindparam("most", type_=Integer)
    # A window or lock that begins or ends later than any can was written by a clock that was ahead
    fresh = or_(state.window_start <= _moment("window_ago"), state.window_start > _moment("window_ahead"))
    count = case((fresh, 1), else_=state.attempts + 1)
    values = {
        "window_start": case((fresh, now), else_=state.window_start),
        "attempts": count,
        "consecutive": state.consecutive + 1,
        "touched_at": now,
    }
    admits: ColumnElement[bool] = or_(fresh, state.attempts < most)
    if ladder:
        until = state.locked_until
        admits = or_(until.is_(None), until <= now, until > _moment("longest_lock"))
        # A lock that led to no further failure for a day is forgotten
        rung = case((state.touched_at <= _moment("forgotten"), 0), else_=state.rung)
        many = state.consecutive + 1 >= _MANY
        locks = or_(count >= most, rung > 0, many)
        waits = [(rung == step, _moment(_rung(step))) for step in range(len(_LADDER) - 1)]
        longest = _moment(_rung(len(_LADDER) - 1))
        values["locked_until"] = case((locks, case((many, _moment("after_many")), *waits, else_=longest)), else_=None)
        values["rung"] = case((locks, rung + 1), else_=rung)
    return as_text(
        dialect,
        upsert(dialect, throttle)
        .values(
            scope=bindparam("of_scope"),
            key=bindparam("of_key"),
            window_start=now,
            attempts=1,
            rung=0,
            consecutive=1,
            touched_at=now,
        )
        .on_conflict_do_update(index_elements=["scope", "key"], set_=values, where=admits)
        .returning(throttle.c.scope),
    )


async def _carry_over(transaction: Transaction, attempt: Attempt) -> None:
    """Take along what was counted under a root of indexes that was replaced since: nobody can key it anew beforehand.

    Until every process has learnt of the new root, for half a minute, each of the two keys counts by itself.
    """
    current, *earlier = _keys(transaction, attempt)
    if not earlier:
        return
    rows = await _taken(transaction, attempt, earlier)
    if not rows:
        return
    rows += await _taken(transaction, attempt, [current])
    last = max(rows, key=lambda row: row.touched_at)
    await transaction.execute(
        throttle.insert().values(
            last._asdict()
            | {
                "key": current,
                "attempts": sum(row.attempts for row in rows),
                "consecutive": sum(row.consecutive for row in rows),
                "rung": max(row.rung for row in rows),
                "locked_until": max((row.locked_until for row in rows if row.locked_until is not None), default=None),
            }
        )
    )


async def _taken(transaction: Transaction, attempt: Attempt, keys: Sequence[bytes]) -> list[Row[Any]]:
    where = and_(throttle.c.scope == attempt.rule.scope, throttle.c.key.in_(keys))
    return await transaction.rows(delete(throttle).where(where).returning(throttle))


async def refund(transaction: Transaction, attempts: Sequence[Attempt]) -> None:
    """Give back what was reserved for an attempt that succeeded; a ladder is forgiven as a whole."""
    for attempt in _in_order(attempts):
        if attempt.rule.ladder:
            await transaction.execute(_FORGIVEN, _found(transaction, attempt))
        else:
            await _take_back(transaction, attempt)


async def give_back(store: Store, reservation: Reservation, *, worked: bool = False) -> None:
    """Undo a reservation whose attempt was never judged, because we could not.

    When we `worked` at it nevertheless, what counts by network stays: a client that is slow on purpose causes work.
    While the database is out of reach it is owed, and StoreUnreachable raised.
    """

    async def take_back(transaction: Transaction) -> None:
        for attempt in _in_order(reservation.reserved):
            if attempt.rule.ladder or not worked:
                await _take_back(transaction, attempt)

    await store.settle(take_back)


@asynccontextmanager
async def judging(store: Store, reservation: Reservation | None, *ours: type[Exception]) -> AsyncIterator[None]:
    """Judge an attempt inside the block: when trouble of ours keeps it from an answer, it has not been one.

    Nobody learns anything from such an attempt: what was right and what was wrong end alike. The deadline of the
    request, which cancels, is such trouble as well.
    """
    trouble: tuple[type[BaseException], ...] = (StoreUnreachable, asyncio.CancelledError, *ours)
    try:
        yield
    except trouble as fault:
        if reservation is not None:
            with suppress(StoreUnreachable):  # owed until it is there again
                await give_back(store, reservation, worked=isinstance(fault, asyncio.CancelledError))
        raise


async def _take_back(transaction: Transaction, attempt: Attempt) -> None:
    await transaction.execute(_taking_back(), _found(transaction, attempt) | {"now": transaction.now})


@cache
def _taking_back() -> Update:
    state = throttle.c
    # Who reserved is the last who could: nobody else got in behind a lock that this reservation set
    locked = state.locked_until > _moment("now")
    return (
        update(throttle)
        .where(_ROW, state.attempts > 0)
        .values(
            attempts=state.attempts - 1,
            consecutive=case((state.consecutive > 0, state.consecutive - 1), else_=0),
            rung=case((and_(locked, state.rung > 0), state.rung - 1), else_=state.rung),
            locked_until=None,
        )
    )


async def forgive(transaction: Transaction, attempts: Sequence[Attempt]) -> int:
    """Forget every failure under some keys; returns how many of them were locked."""
    locked = 0
    for attempt in _in_order(attempts):
        row = await transaction.first(_FORGIVEN.returning(throttle.c.locked_until), _found(transaction, attempt))
        locked += row is not None and row.locked_until is not None and row.locked_until > transaction.now
    return locked


async def wait_of(transaction: Transaction, attempt: Attempt) -> timedelta:
    """Return how long a key is locked from now on; nothing when it is not."""
    row = await transaction.first(_LOCKED, _found(transaction, attempt))
    until = None if row is None else row.until
    wait: timedelta = timedelta() if until is None else until - transaction.now
    return wait if timedelta() < wait <= _LONGEST_LOCK else timedelta()


async def purge(transaction: Transaction) -> None:
    """Drop rows that can refuse nobody any more, and what is so old that it counts no longer."""
    state, now = throttle.c, transaction.now
    few = and_(state.touched_at < now - 2 * _FORGET, state.consecutive < _MANY)
    await transaction.drop(throttle, or_(few, state.touched_at < now - _FORGET_MANY))


def _found(transaction: Transaction, attempt: Attempt) -> dict[str, object]:
    return {"of_scope": attempt.rule.scope, "of_keys": _keys(transaction, attempt)}


def _keys(transaction: Transaction, attempt: Attempt) -> list[bytes]:
    """Return the keys that an attempt may be counted under, by each root of indexes, the one in use first."""
    cipher = transaction.cipher
    return [
        cipher.mac_of(
            root,
            "throttle",
            attempt.rule.scope.encode()
            + b"\0"
            + (cipher.mac_of(root, attempt.indexed_as, attempt.key) if attempt.indexed_as else attempt.key),
        )
        for root in cipher.roots(transaction.now - _FORGET_MANY)
    ]
