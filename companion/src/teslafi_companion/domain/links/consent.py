"""An owner's consent to controls: what was allowed, and the key share that Home Assistant cannot do without.

The share exists as long as the consent does. Home Assistant holds it in memory alone: what it sealed stays shut without
it. Every new consent has a new one.
"""

import base64
from dataclasses import dataclass, field
from datetime import datetime
import secrets
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select

from teslafi_companion.audit import Actor, record
from teslafi_companion.domain.accounts import account as accounts
from teslafi_companion.domain.accounts.notices import security_notice
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import access_token, controls, link

from .controls_request import ControlsRequest, of_json
from .links import Link, link_of
from .scopes import Scope, written

SHARE_BYTES: Final = 32


@dataclass(frozen=True)
class Consent:
    """What an owner allowed to a link, and since when; `share` is secret."""

    link_id: UUID
    given_at: datetime
    request: ControlsRequest
    share: bytes = field(repr=False)


async def give(transaction: Transaction, to: Link, request: ControlsRequest, visitor: Visitor) -> None:
    """Keep a consent in place of the one before, with a new share; tells the owner."""
    await transaction.execute(delete(controls).where(controls.c.link_id == to.id))
    content = {**request.to_json(), "share": base64.b64encode(secrets.token_bytes(SHARE_BYTES)).decode()}
    await transaction.execute(
        insert(controls).values(
            link_id=to.id,
            account_id=to.account_id,
            given_at=transaction.now,
            sealed=transaction.seal(content, controls, to.id, to.account_id),
        )
    )
    record(
        transaction,
        "controls_allowed",
        account_id=to.account_id,
        detail=visitor.detail()
        | {
            "instance": to.instance.name,
            "groups": [group.value for group in request.groups],
            "vehicles": [vehicle.vin[-6:] for vehicle in request.vehicles],
        },
    )
    owner = await accounts.load(transaction, to.account_id)
    if owner is not None:
        name, groups = to.instance.name, tuple(request.words)
        await security_notice(transaction, owner.id, owner.email, "controls_allowed", visitor, name=name, groups=groups)


async def find(transaction: Transaction, link_id: UUID) -> Consent | None:
    """Return the consent that a link has."""
    row = await transaction.first(select(controls).where(controls.c.link_id == link_id))
    if row is None:
        return None
    content = transaction.open(row.sealed, controls, row.link_id, row.account_id)
    return Consent(row.link_id, row.given_at, of_json(content), base64.b64decode(content["share"]))


async def of_account(transaction: Transaction, account_id: UUID) -> dict[UUID, ControlsRequest]:
    """Return what each link of an account may control."""
    rows = await transaction.rows(select(controls.c.link_id).where(controls.c.account_id == account_id))
    found = [await find(transaction, row.link_id) for row in rows]
    return {consent.link_id: consent.request for consent in found if consent is not None}


async def withdraw(transaction: Transaction, held: Link, visitor: Visitor, *, actor: Actor) -> bool:
    """Wipe a link's consent with its share; from then on it gets no permit. False when there was none."""
    if not await transaction.changed_one(delete(controls).where(controls.c.link_id == held.id)):
        return False
    left = written(held.scopes - {Scope.CONTROLS})
    await transaction.execute(link.update().where(link.c.id == held.id).values(scopes=left))
    await transaction.execute(access_token.update().where(access_token.c.link_id == held.id).values(scopes=left))
    detail = visitor.detail() | {"instance": held.instance.name}
    record(transaction, "controls_locked", account_id=held.account_id, actor=actor, detail=detail)
    return True


async def withdraw_own(transaction: Transaction, account_id: UUID, link_id: UUID, visitor: Visitor) -> bool:
    """Withdraw as the owner; False when the link is none of this account's or had no consent."""
    row = await transaction.first(select(link).where(link.c.id == link_id, link.c.account_id == account_id))
    return row is not None and await withdraw(transaction, link_of(transaction, row), visitor, actor="account")
