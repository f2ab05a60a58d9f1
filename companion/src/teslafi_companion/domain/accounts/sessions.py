"""Sessions: who is signed in, since when, by what, and what was freshly proved.

A session is a random token in a cookie and a row found by the token's SHA-256. It ends after an hour without use and
after a day in any case, and gets a new token at each step-up and at each change of password or factor.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update

from teslafi_companion.audit import record
from teslafi_companion.crypto import new_token, token_hash
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import account, known_device, pending_sign_in, session

from .visitor import Visitor

_TOUCH: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    """A browser that is signed in."""

    id: UUID
    account_id: UUID
    created_at: datetime
    seen_at: datetime
    authenticated_at: datetime
    methods: frozenset[str]
    step_up_at: datetime | None
    step_up_purpose: str | None
    step_up_version: int | None
    """The account's credential version that the fresh proof was given under."""
    address: str
    browser: str


@dataclass(frozen=True)
class PendingSignIn:
    """A sign-in whose password was right and whose second factor is awaited."""

    id: UUID
    account_id: UUID
    created_at: datetime
    tries: int


def _session(transaction: Transaction, row: Row[Any]) -> Session:
    about = transaction.open(row.sealed, session, row.id, row.account_id)
    return Session(
        row.id,
        row.account_id,
        row.created_at,
        row.seen_at,
        row.authenticated_at,
        frozenset(row.methods.split()),
        row.step_up_at,
        row.step_up_purpose,
        row.step_up_version,
        about["address"],
        about["browser"],
    )


_LIVE: Final = (session.c.seen_at > bindparam("seen_after")) & (session.c.created_at > bindparam("created_after"))
_BY_TOKEN: Final = select(session).where(session.c.token_hash == bindparam("token"), _LIVE)
"""Made once, as each request asks for its session."""


def _after(transaction: Transaction) -> dict[str, object]:
    """Return since when a session that is live was used, and made."""
    policy, now = transaction.policy, transaction.now
    return {"seen_after": now - policy.session_idle, "created_after": now - policy.session_absolute}


async def open_session(
    transaction: Transaction, account_id: UUID, methods: Iterable[str], visitor: Visitor
) -> tuple[str, UUID]:
    """Open a session; returns its token and row. Beyond twenty, the one that was idle longest ends.

    Those that a clock that was ahead has seen end first: nobody knows how long they were idle.
    """
    live = await transaction.rows(
        select(session.c.id)
        .where(session.c.account_id == account_id)
        .order_by(session.c.seen_at > transaction.now, session.c.seen_at.desc())
    )
    surplus = [row.id for row in live[transaction.policy.session_limit - 1 :]]
    if surplus:
        await transaction.execute(delete(session).where(session.c.id.in_(surplus)))
    token, row = new_token(), new_id()
    now = transaction.now
    await transaction.execute(
        insert(session).values(
            id=row,
            account_id=account_id,
            token_hash=token_hash(token),
            created_at=now,
            seen_at=now,
            authenticated_at=now,
            methods=" ".join(sorted(methods)),
            sealed=transaction.seal(visitor.detail(), session, row, account_id),
        )
    )
    record(transaction, "session_created", account_id=account_id, detail=visitor.detail())
    return token, row


async def find_session(transaction: Transaction, token: str) -> Session | None:
    """Return the live session of a token, or None."""
    row = await transaction.first(_BY_TOKEN, {"token": token_hash(token)} | _after(transaction))
    return None if row is None else _session(transaction, row)


def wants_touch(found: Session, now: datetime) -> bool:
    """Say whether the time of last use is worth writing down: once a minute is enough."""
    return now - found.seen_at >= _TOUCH


async def touch(transaction: Transaction, found: Session) -> None:
    """Write down that a session was used."""
    await transaction.execute(
        update(session)
        .where(session.c.id == found.id, session.c.seen_at < transaction.now)
        .values(seen_at=transaction.now)
    )


async def renew_token(
    transaction: Transaction, found: Session, *, purpose: str | None = None, method: str | None = None
) -> str | None:
    """Give a session a new token, and note what was freshly proved; returns None when the session has ended.

    The proof counts for the credentials that the account has now: any later change of them voids it.
    """
    token = new_token()
    values: dict[str, object] = {"token_hash": token_hash(token), "seen_at": transaction.now}
    if purpose is not None and method is not None:
        values |= {
            "step_up_at": transaction.now,
            "step_up_purpose": purpose,
            "step_up_version": select(account.c.credential_version)
            .where(account.c.id == found.account_id)
            .scalar_subquery(),
            "authenticated_at": transaction.now,
            "methods": " ".join(sorted(found.methods | {method})),
        }
    renewed = await transaction.changed_one(
        update(session).where(session.c.id == found.id, _LIVE).values(values), _after(transaction)
    )
    return token if renewed else None


async def sessions_of(transaction: Transaction, account_id: UUID) -> list[Session]:
    """Return the live sessions of an account, the last used first."""
    rows = await transaction.rows(
        select(session).where(session.c.account_id == account_id, _LIVE).order_by(session.c.seen_at.desc()),
        _after(transaction),
    )
    return [_session(transaction, row) for row in rows]


async def end_session(transaction: Transaction, account_id: UUID, session_id: UUID) -> bool:
    """End one session of an account; False when it is none of this account's."""
    ended = await transaction.changed_one(
        delete(session).where(session.c.id == session_id, session.c.account_id == account_id)
    )
    if ended:
        record(transaction, "session_ended", account_id=account_id)
    return ended


async def end_all(transaction: Transaction, account_id: UUID, *, keep: UUID | None = None) -> int:
    """End every session of an account, and what waits for a second factor, but `keep`; returns how many."""
    where = session.c.account_id == account_id
    if keep is not None:
        where &= session.c.id != keep
    ended = (await transaction.execute(delete(session).where(where))).rowcount
    await transaction.execute(delete(pending_sign_in).where(pending_sign_in.c.account_id == account_id))
    if ended:
        record(transaction, "sessions_ended", account_id=account_id, detail={"count": ended})
    return ended


async def end_replaced(transaction: Transaction, token: str) -> None:
    """End the session whose cookie a new sign-in overwrites: nobody could end it any more."""
    row = await transaction.first(
        delete(session).where(session.c.token_hash == token_hash(token)).returning(session.c.account_id)
    )
    if row is not None:
        record(transaction, "session_ended", account_id=row.account_id, detail={"why": "replaced by a new sign-in"})


async def open_pending(transaction: Transaction, account_id: UUID, visitor: Visitor) -> str:
    """Note that the password was right; returns the token under which the second factor may be given."""
    token, row = new_token(), new_id()
    await transaction.execute(
        insert(pending_sign_in).values(
            id=row,
            account_id=account_id,
            token_hash=token_hash(token),
            created_at=transaction.now,
            tries=0,
            noticed=False,
            sealed=transaction.seal(visitor.detail(), pending_sign_in, row, account_id),
        )
    )
    return token


async def find_pending(transaction: Transaction, token: str) -> PendingSignIn | None:
    """Return the sign-in that a token belongs to, while it may still be finished."""
    row = await transaction.first(
        select(pending_sign_in).where(
            pending_sign_in.c.token_hash == token_hash(token),
            pending_sign_in.c.created_at > transaction.now - transaction.policy.sign_in_pending,
        )
    )
    return None if row is None else PendingSignIn(row.id, row.account_id, row.created_at, row.tries)


async def end_pending(transaction: Transaction, pending: PendingSignIn) -> bool:
    """Finish or abandon a pending sign-in; of parallel attempts one wins."""
    return await transaction.changed_one(delete(pending_sign_in).where(pending_sign_in.c.id == pending.id))


async def remember_device(transaction: Transaction, account_id: UUID, token: str | None) -> str | None:
    """Remember a browser that signed in with all factors; returns a new token for its cookie, None if it has one."""
    if token is not None and await is_known_device(transaction, account_id, token):
        await transaction.execute(
            update(known_device).where(known_device.c.token_hash == token_hash(token)).values(seen_at=transaction.now)
        )
        return None
    fresh = new_token()
    await transaction.execute(
        insert(known_device).values(
            id=new_id(),
            account_id=account_id,
            token_hash=token_hash(fresh),
            created_at=transaction.now,
            seen_at=transaction.now,
        )
    )
    return fresh


async def is_known_device(transaction: Transaction, account_id: UUID, token: str) -> bool:
    """Say whether this browser has signed in to this account with all factors before."""
    row = await transaction.first(
        select(known_device.c.id).where(
            known_device.c.token_hash == token_hash(token),
            known_device.c.account_id == account_id,
            known_device.c.seen_at > transaction.now - transaction.policy.known_device,
        )
    )
    return row is not None


async def purge(transaction: Transaction) -> None:
    """Drop what has ended by itself."""
    policy, now = transaction.policy, transaction.now
    await transaction.drop(
        session,
        or_(session.c.seen_at <= now - policy.session_idle, session.c.created_at <= now - policy.session_absolute),
    )
    await transaction.drop(known_device, known_device.c.seen_at <= now - policy.known_device)
