"""Links: one Home Assistant, allowed by one account. Made by a consent, renewed by another, ended from either side."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, select, update

from teslafi_companion.audit import Actor, record
from teslafi_companion.domain.accounts import account as accounts
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.notices import security_notice
from teslafi_companion.domain.accounts.sessions import Session
from teslafi_companion.domain.accounts.step_up import Method
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.indexes import BlindIndex
from teslafi_companion.store.tables import access_token, account, controls, link

from .controls_request import ControlsRequest
from .instance import Instance
from .lifetimes import CONTACT
from .networks import Seen, mac_of_network, network_mac, network_of, of_json
from .scopes import Acr, Scope, stored, written

_STRONG: Final = frozenset({Method.CODE, Method.PASSKEY})


@dataclass(frozen=True)
class Proof:
    """How and when the owner was recognised; `credential_version` dates it against changes of the password."""

    authenticated_at: datetime
    acr: Acr
    credential_version: int


@dataclass(frozen=True)
class Approval:
    """What an owner agreed to, and from where."""

    account_id: UUID
    client_id: str
    scopes: frozenset[Scope]
    instance: Instance
    proof: Proof
    address: str
    agent: str
    controls: ControlsRequest | None = None

    @property
    def visitor(self) -> Visitor:
        """Return the browser that the owner agreed with."""
        return Visitor(self.address, self.agent)


@dataclass(frozen=True)
class Link:
    """A linked Home Assistant. `suspicious_since`: since when its refreshes look like somebody else's."""

    id: UUID
    account_id: UUID
    client_id: str
    created_at: datetime
    contact_at: datetime
    scopes: frozenset[Scope]
    family: UUID
    generation: int
    rotated_at: datetime
    authorized_at: datetime
    proof: Proof
    suspicious_since: datetime | None
    instance: Instance
    used_generation: int
    """The newest generation of tokens whose access token was used: its answer did arrive."""
    seen: tuple[Mapping[str, Any], ...] = ()
    """`networks` as they are sealed: read by few, while links are read by every request."""
    signs: tuple[str, ...] = ()
    """What looked unusual since `suspicious_since`, in words."""

    @property
    def networks(self) -> tuple[Seen, ...]:
        """Return where it was used from, the last first."""
        return tuple(of_json(one) for one in self.seen)


class End(StrEnum):
    """Why a link ended, in the audit log's words."""

    OWNER = "revoked on the links page"
    INSTANCE = "ended by the Home Assistant"
    REUSE = "a spent token was used"
    AGE = "not used or not renewed for too long"


_TOLD_AS: Final = {End.OWNER: "owner", End.INSTANCE: "instance", End.REUSE: "reuse", End.AGE: "age"}
"""Why a link ended, as the letter knows it."""


def proof_of(session: Session, owner: Account) -> Proof:
    """Return what a session has proved."""
    strong = owner.has_second_factor and not session.methods.isdisjoint(_STRONG)
    return Proof(
        session.step_up_at or session.authenticated_at,
        Acr.SECOND_FACTOR if strong else Acr.PASSWORD,
        owner.credential_version,
    )


def instance_macs(transaction: Transaction, identifier: str) -> list[bytes]:
    """Return the blind indexes by which an instance may be found; a new row takes the first."""
    return transaction.cipher.macs("instance", identifier.encode())


def _index_of_instance(transaction: Transaction, row: Row[Any]) -> bytes:
    return instance_macs(transaction, link_of(transaction, row).instance.id)[0]


def _index_of_network(transaction: Transaction, row: Row[Any]) -> bytes:
    """Return the index of the network that a link was used from last; links of 0.1.0 may know none."""
    seen = link_of(transaction, row).seen
    return mac_of_network(transaction, seen[0]["network"] if seen else str(row.id))


INDEXES: Final = (
    BlindIndex(link, "instance_mac", _index_of_instance),
    BlindIndex(link, "network_mac", _index_of_network),
)


def link_of(transaction: Transaction, row: Row[Any]) -> Link:
    """Return the link of a row of its table."""
    about = transaction.open(row.sealed, link, row.id, row.account_id)
    return Link(
        id=row.id,
        account_id=row.account_id,
        client_id=row.client_id,
        created_at=row.created_at,
        contact_at=row.contact_at,
        scopes=stored(row.scopes),
        family=row.family,
        generation=row.generation,
        rotated_at=row.rotated_at,
        authorized_at=row.authorized_at,
        proof=Proof(row.authenticated_at, Acr(row.acr), row.credential_version),
        suspicious_since=row.suspicious_since,
        instance=Instance(about["name"], about["instance"]),
        used_generation=row.used_generation,
        seen=tuple(about.get("networks", ())),
        signs=tuple(about.get("signs", ())),
    )


def sealed_about(known: Link) -> dict[str, Any]:
    """Return what is sealed of a link."""
    return {
        "name": known.instance.name,
        "instance": known.instance.id,
        "networks": list(known.seen),
        "signs": list(known.signs),
    }


async def lock_owner(transaction: Transaction, account_id: UUID) -> Account | None:
    """Let one change of an account's links be made at a time; returns the account, None when it was deleted."""
    await transaction.execute(select(account.c.id).where(account.c.id == account_id).with_for_update(key_share=True))
    return await accounts.load(transaction, account_id)


async def find_of_instance(transaction: Transaction, account_id: UUID, instance: Instance) -> Link | None:
    """Return the link that this account already has with an instance."""
    row = await transaction.first(
        select(link).where(
            link.c.account_id == account_id, link.c.instance_mac.in_(instance_macs(transaction, instance.id))
        )
    )
    return None if row is None else link_of(transaction, row)


async def open_link(transaction: Transaction, owner: Account, approval: Approval, requester: Visitor) -> Link:
    """Make the link of an approval, or renew the one that the instance has; tells the owner.

    The caller holds `lock_owner`. Renewing gives the same link a new family of tokens: the old ones end, and with
    them what was suspicious.
    """
    known = await find_of_instance(transaction, owner.id, approval.instance)
    row = new_id() if known is None else known.id
    # controls are added to what a link may do; a request without them sets anew what it may do
    kept = known.scopes if known is not None and Scope.CONTROLS in approval.scopes else frozenset[Scope]()
    here = Seen(network_of(requester.address), transaction.now)
    values = {
        "client_id": approval.client_id,
        "contact_at": transaction.now,
        "scopes": written(approval.scopes | kept),
        # Not ordered by time like a row's identifier: the family is part of a token
        "family": uuid4(),
        "generation": 1,
        "used_generation": 0,
        "rotated_at": transaction.now,
        "authorized_at": transaction.now,
        "authenticated_at": approval.proof.authenticated_at,
        "acr": approval.proof.acr,
        "credential_version": approval.proof.credential_version,
        "network_mac": network_mac(transaction, requester.address),
        "suspicious_since": None,
        "sealed": transaction.seal(
            {"name": approval.instance.name, "instance": approval.instance.id, "networks": [here.to_json()]},
            link,
            row,
            owner.id,
        ),
    }
    if known is None:
        new = {"id": row, "account_id": owner.id, "created_at": transaction.now}
        await transaction.execute(
            link.insert().values(new | values | {"instance_mac": instance_macs(transaction, approval.instance.id)[0]})
        )
    else:
        await transaction.execute(update(link).where(link.c.id == row).values(values))
        await transaction.execute(delete(access_token).where(access_token.c.link_id == row))
        # Controls are allowed anew each time: what an earlier consent allowed ends with it
        await transaction.execute(delete(controls).where(controls.c.link_id == row))
    await _tell_opened(transaction, owner, approval, requester, renewed=known is not None)
    made = (await transaction.execute(select(link).where(link.c.id == row))).one()
    return link_of(transaction, made)


async def _tell_opened(
    transaction: Transaction, owner: Account, approval: Approval, requester: Visitor, *, renewed: bool
) -> None:
    record(
        transaction,
        "link_renewed" if renewed else "link_created",
        account_id=owner.id,
        detail=approval.visitor.detail()
        | {"instance": approval.instance.name, "scopes": written(approval.scopes), "requester": requester.address},
    )
    name = approval.instance.name
    visitor = approval.visitor
    await security_notice(transaction, owner.id, owner.email, "link_opened", visitor, name=name, renewed=renewed)


async def end_link(
    transaction: Transaction, ended: Link, why: End, visitor: Visitor | None, *, actor: Actor = "link"
) -> bool:
    """End a link with all its tokens and tell the owner; of parallel ends one is told, and returns True."""
    if not await transaction.changed_one(delete(link).where(link.c.id == ended.id, link.c.family == ended.family)):
        return False
    detail = {"instance": ended.instance.name, "why": why.value} | (visitor.detail() if visitor else {})
    if why is End.REUSE:
        record(
            transaction,
            "token_reuse_detected",
            account_id=ended.account_id,
            actor=actor,
            outcome="failure",
            detail=detail,
        )
    else:
        record(transaction, "link_revoked", account_id=ended.account_id, actor=actor, detail=detail)
    owner = await accounts.load(transaction, ended.account_id)
    if owner is not None:
        name, reason = ended.instance.name, _TOLD_AS[why]
        await security_notice(transaction, owner.id, owner.email, "link_ended", visitor, name=name, why=reason)
    return True


async def end_own(transaction: Transaction, account_id: UUID, link_id: UUID, visitor: Visitor) -> bool:
    """End a link as its owner; False when it is none of this account's."""
    row = await transaction.first(select(link).where(link.c.id == link_id, link.c.account_id == account_id))
    if row is None:
        return False
    return await end_link(transaction, link_of(transaction, row), End.OWNER, visitor, actor="account")


async def end_all_links(
    transaction: Transaction, account_id: UUID, visitor: Visitor | None, *, actor: Actor = "account"
) -> int:
    """End every link of an account, as its owner or for it; returns how many."""
    ended = [
        await end_link(transaction, one, End.OWNER, visitor, actor=actor)
        for one in await links_of(transaction, account_id)
    ]
    return sum(ended)


async def end_family(transaction: Transaction, family: UUID, why: End, visitor: Visitor) -> bool:
    """End the link that a family of tokens belongs to, if it is still this family's."""
    row = await transaction.first(select(link).where(link.c.family == family))
    return row is not None and await end_link(transaction, link_of(transaction, row), why, visitor)


async def links_of(transaction: Transaction, account_id: UUID) -> list[Link]:
    """Return the links of an account, the last heard of first."""
    rows = await transaction.rows(
        select(link).where(link.c.account_id == account_id).order_by(link.c.contact_at.desc(), link.c.id)
    )
    return [link_of(transaction, row) for row in rows]


def wants_contact(known: Link, generation: int, now: datetime) -> bool:
    """Say whether a use of an access token is worth writing down: the first of the newest, then once a minute."""
    return now - known.contact_at >= CONTACT or known.used_generation < generation


async def note_contact(transaction: Transaction, known: Link, generation: int) -> None:
    """Write down that a link was heard of, by an access token of this generation."""
    await transaction.execute(
        update(link)
        .where(link.c.id == known.id, link.c.contact_at < transaction.now)
        .values(contact_at=transaction.now)
    )
    # A family that was renewed meanwhile counts anew
    await transaction.execute(
        update(link)
        .where(link.c.id == known.id, link.c.family == known.family, link.c.used_generation < generation)
        .values(used_generation=generation)
    )
