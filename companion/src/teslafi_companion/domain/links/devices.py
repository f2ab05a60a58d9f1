"""Device grants (RFC 8628): for a Home Assistant whose own address no redirect can reach.

The user code is eight letters without vowels. It dies when somebody signed in types it: from then on the request is
that account's, and only its page can allow it. There is no address that carries the code: whoever allows a request
has typed what their own Home Assistant shows.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
import secrets
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select, update
import structlog

from teslafi_companion.audit import record
from teslafi_companion.crypto import new_token, token_hash
from teslafi_companion.domain.accounts import throttle
from teslafi_companion.domain.accounts.throttle import USER_CODE_NETWORK, USER_CODE_SESSION, Attempt, Rule, network_key
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Store, Transaction, new_id
from teslafi_companion.store.tables import device_grant

from .clients import Client
from .faults import (
    ACCESS_DENIED,
    AUTHORIZATION_PENDING,
    EXPIRED_TOKEN,
    INVALID_GRANT,
    SLOW_DOWN,
    OAuthFault,
)
from .instance import Instance
from .lifetimes import DEVICE_GRANT, POLL
from .links import Approval, Proof, instance_macs, lock_owner, open_link
from .networks import network_of
from .scopes import Acr, Scope, stored, written
from .tokens import Tokens, issue

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
LETTERS: Final = 8
_GROUP: Final = 4
_LONGEST_TYPED: Final = 40
# Guesses of everybody together: far above what people mistype, far below what finds one of 20^8 codes
_GUESSES_OF_ALL: Final = Rule("user-code-all", 50, timedelta(minutes=10))

_log = structlog.get_logger(__name__)


class State(StrEnum):
    """What became of a request."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    APPROVED = "approved"
    DENIED = "denied"
    SPENT = "spent"


class Claim(StrEnum):
    """Why a typed user code led nowhere."""

    WRONG = "wrong"
    LOCKED = "locked"


@dataclass(frozen=True)
class DeviceCodes:
    """What a device is given: the code it polls with, and the one it shows, as `WDJB-MJHT`."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    lifetime: timedelta
    interval: timedelta


@dataclass(frozen=True)
class DeviceRequest:
    """A request as its approval page shows it."""

    id: UUID
    client_id: str
    state: State
    created_at: datetime
    scopes: frozenset[Scope]
    instance: Instance
    visitor: Visitor

    def is_near(self, address: str) -> bool:
        """Say whether the request came from the network that this address lies in."""
        return network_of(address) == network_of(self.visitor.address)


def new_user_code() -> str:
    """Return a code as it is shown: two groups of four letters."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    return f"{letters[:_GROUP]}-{letters[_GROUP:]}"


def typed_code(text: str) -> str:
    """Return what was typed as a code is shown, whatever the case and the punctuation; '' for anything else."""
    letters = "".join(sign for sign in text[:_LONGEST_TYPED].upper() if sign.isalnum())
    if len(letters) != LETTERS or any(letter not in ALPHABET for letter in letters):
        return ""
    return f"{letters[:_GROUP]}-{letters[_GROUP:]}"


def _code_macs(transaction: Transaction, user_code: str) -> list[bytes]:
    # 34 bits are found by trying: a plain hash would not hide the code from whoever has a copy of the database
    return transaction.cipher.macs("user-code", user_code.encode())


async def ask(
    transaction: Transaction, client: Client, scopes: frozenset[Scope], instance: Instance, visitor: Visitor
) -> DeviceCodes:
    """Begin a request; an earlier one of the same instance that still waits ends."""
    macs = instance_macs(transaction, instance.id)
    await transaction.execute(
        delete(device_grant).where(device_grant.c.instance_mac.in_(macs), device_grant.c.state == State.WAITING)
    )
    device_code, row = new_token(), new_id()
    content = visitor.detail() | {"name": instance.name, "instance": instance.id}
    values = {
        "id": row,
        "client_id": client.id,
        "device_hash": token_hash(device_code),
        "instance_mac": macs[0],
        "state": State.WAITING,
        "created_at": transaction.now,
        "expires_at": transaction.now + DEVICE_GRANT,
        "poll_seconds": int(POLL.total_seconds()),
        "scopes": written(scopes),
        "sealed": transaction.seal(content, device_grant, row, row),
    }
    while True:
        user_code = new_user_code()
        coded = values | {"user_code_mac": _code_macs(transaction, user_code)[0]}
        if await transaction.insert_once(device_grant, "user_code_mac", coded):
            return DeviceCodes(device_code, user_code, DEVICE_GRANT, POLL)


async def claim(store: Store, account_id: UUID, session_id: UUID, typed: str, visitor: Visitor) -> UUID | Claim:
    """Make the request of a user code this account's; returns its identifier. Of parallel entries one gets it.

    Only a request that waits has a user code.
    """
    attempts = [Attempt(USER_CODE_SESSION, session_id.bytes), Attempt(USER_CODE_NETWORK, network_key(visitor.address))]
    reservation = await throttle.reserve(store, attempts)
    if not reservation.admitted:
        return Claim.LOCKED
    async with throttle.judging(store, reservation), store.transaction() as transaction:
        claimed = await _claim(transaction, account_id, typed)
        if claimed is not None:
            await throttle.refund(transaction, reservation.reserved)
            return claimed
        record(transaction, "user_code_wrong", account_id=account_id, outcome="failure", detail=visitor.detail())
        if not await throttle.is_first(transaction, Attempt(_GUESSES_OF_ALL, b"")):
            _log.warning("user_codes_are_being_guessed")
    return Claim.WRONG


async def _claim(transaction: Transaction, account_id: UUID, typed: str) -> UUID | None:
    claimed = await transaction.first(
        update(device_grant)
        .where(
            device_grant.c.user_code_mac.in_(_code_macs(transaction, typed_code(typed))),
            device_grant.c.expires_at > transaction.now,
        )
        .values(state=State.CLAIMED, account_id=account_id, user_code_mac=None)
        .returning(device_grant.c.id)
    )
    if claimed is None:
        return None
    row: UUID = claimed.id
    return row


def _request(transaction: Transaction, row: Row[Any]) -> DeviceRequest:
    about = transaction.open(row.sealed, device_grant, row.id, row.id)
    return DeviceRequest(
        row.id,
        row.client_id,
        State(row.state),
        row.created_at,
        stored(row.scopes),
        Instance(about["name"], about["instance"]),
        Visitor(about["address"], about["agent"]),
    )


async def find_claimed(transaction: Transaction, account_id: UUID, request_id: UUID) -> DeviceRequest | None:
    """Return a request that this account has claimed and not yet answered, or None."""
    row = await transaction.first(select(device_grant).where(_claimed(transaction, account_id, request_id)))
    return None if row is None else _request(transaction, row)


def _claimed(transaction: Transaction, account_id: UUID, request_id: UUID) -> Any:  # noqa: ANN401 - an SQL expression
    return (
        (device_grant.c.id == request_id)
        & (device_grant.c.account_id == account_id)
        & (device_grant.c.state == State.CLAIMED)
        & (device_grant.c.expires_at > transaction.now)
    )


async def approve(
    transaction: Transaction, account_id: UUID, request: DeviceRequest, proof: Proof, visitor: Visitor
) -> bool:
    """Allow a request; False when it was answered, or its time was over, meanwhile."""
    about = request.visitor.detail() | {"name": request.instance.name, "instance": request.instance.id}
    content = about | {"approver": visitor.address, "approver_agent": visitor.agent}
    return await transaction.changed_one(
        update(device_grant)
        .where(_claimed(transaction, account_id, request.id))
        .values(
            state=State.APPROVED,
            authenticated_at=proof.authenticated_at,
            acr=proof.acr,
            credential_version=proof.credential_version,
            sealed=transaction.seal(content, device_grant, request.id, request.id),
        )
    )


async def deny(transaction: Transaction, account_id: UUID, request: DeviceRequest, visitor: Visitor) -> bool:
    """Refuse a request; False when it was answered, or its time was over, meanwhile."""
    denied = await transaction.changed_one(
        update(device_grant).where(_claimed(transaction, account_id, request.id)).values(state=State.DENIED)
    )
    if denied:
        detail = visitor.detail() | {"instance": request.instance.name, "requester": request.visitor.address}
        record(transaction, "link_denied", account_id=account_id, detail=detail)
    return denied


async def poll(transaction: Transaction, client: Client, device_code: str, visitor: Visitor) -> Tokens | OAuthFault:
    """Answer a device that asks how its request is doing. Faults are returned, so that the pace is kept."""
    row = await transaction.first(select(device_grant).where(device_grant.c.device_hash == token_hash(device_code)))
    if row is None or row.client_id != client.id or row.state == State.SPENT:
        return OAuthFault(INVALID_GRANT, "the device code is unknown or spent")
    if row.state == State.DENIED:
        return OAuthFault(ACCESS_DENIED, "the owner has refused")
    if transaction.now >= row.expires_at:
        return OAuthFault(EXPIRED_TOKEN, "the device code has expired: begin again")
    if row.state != State.APPROVED:
        return await _pace(transaction, row)
    return await _redeem(transaction, row, visitor)


async def _pace(transaction: Transaction, row: Row[Any]) -> OAuthFault:
    too_fast = row.polled_at is not None and transaction.now - row.polled_at < timedelta(seconds=row.poll_seconds)
    seconds = row.poll_seconds + int(POLL.total_seconds()) if too_fast else row.poll_seconds
    await transaction.execute(
        update(device_grant).where(device_grant.c.id == row.id).values(polled_at=transaction.now, poll_seconds=seconds)
    )
    if too_fast:
        return OAuthFault(SLOW_DOWN, f"ask every {seconds} seconds")
    return OAuthFault(AUTHORIZATION_PENDING, "the owner has not answered yet")


async def _redeem(transaction: Transaction, row: Row[Any], visitor: Visitor) -> Tokens | OAuthFault:
    gone = OAuthFault(INVALID_GRANT, "the device code is unknown or spent")
    owner = await lock_owner(transaction, row.account_id)
    if owner is None or owner.credential_version != row.credential_version:
        return gone
    spends = (
        update(device_grant)
        .where(device_grant.c.id == row.id, device_grant.c.state == State.APPROVED)
        .values(state=State.SPENT)
    )
    if not await transaction.changed_one(spends):
        return gone
    about = transaction.open(row.sealed, device_grant, row.id, row.id)
    approval = Approval(
        owner.id,
        client_id=row.client_id,
        scopes=stored(row.scopes),
        instance=Instance(about["name"], about["instance"]),
        proof=Proof(row.authenticated_at, Acr(row.acr), row.credential_version),
        address=about["approver"],
        agent=about["approver_agent"],
    )
    return await issue(transaction, await open_link(transaction, owner, approval, visitor))
