"""What a copy of a Home Assistant's data cannot avoid, looked for at each refresh and each permit.

The copy holds the link's refresh token. It comes after a long silence when it is an old backup; the original goes on
beside it, so that two networks are used by turns, or one of both presents a token that the other has replaced.
Monitoring goes on whatever is found here; the link keeps the fact, and what protects controls is refused until the
owner has confirmed on the links page, with the second factor, that it was them. docs/security.md says which thief this
misses.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, literal, select, update

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import account as accounts, throttle
from teslafi_companion.domain.accounts.notices import security_notice
from teslafi_companion.domain.accounts.throttle import Attempt, Rule
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.language import N_
from teslafi_companion.store.columns import Moment
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import link

from .lifetimes import SILENCE
from .links import Link, link_of, sealed_about
from .networks import contact, network_mac, network_of

_NOTICE: Final = Rule("link-suspicious", 1, timedelta(days=1))
_LOST_ANSWER: Final = Rule("link-lost-answer", 1, timedelta(days=1))
_LOST_ANSWERS: Final = Rule("link-lost-answers", 3, timedelta(days=1))
"""So many renewals a day may lose their answer: somebody who always renews a little earlier looks just like that."""


class Sign(StrEnum):
    """What looks unusual, as the owner reads it."""

    TURNS = N_("alternately from two networks")
    SILENCE = N_("after a long silence")
    SPENT = N_("repeatedly with a key that had already been replaced")


async def look(
    transaction: Transaction, known: Link, visitor: Visitor, *, spent: bool = False, permit: bool = False
) -> Link:
    """Look at a use of a link that the caller has locked; return the link with what is known now.

    `spent` says that the refresh token was replaced already, its successor never used; `permit` that a permit is asked
    for. What is suspicious is kept, put into the audit log, and told to the owner once a day.
    """
    networks, by_turns = contact(known.networks, network_of(visitor.address), transaction.now)
    signs = []
    if by_turns:
        signs.append(Sign.TURNS)
    if transaction.now - known.contact_at > SILENCE:
        signs.append(Sign.SILENCE)
    if spent and await _too_many_lost(transaction, known):
        signs.append(Sign.SPENT)
    suspicious = known.suspicious_since is not None or bool(signs)
    if permit and not suspicious:
        networks = (replace(networks[0], permit_at=transaction.now), *networks[1:])
    found = replace(known, seen=tuple(one.to_json() for one in networks), signs=tuple(sorted({*known.signs, *signs})))
    values: dict[str, Any] = {
        "sealed": transaction.seal(sealed_about(found), link, known.id, known.account_id),
        "network_mac": network_mac(transaction, visitor.address),
    }
    if signs:
        values["suspicious_since"] = func.coalesce(link.c.suspicious_since, literal(transaction.now, Moment))
    row = await transaction.execute(update(link).where(link.c.id == known.id).values(values).returning(link))
    if signs:
        await _tell(transaction, known, signs, visitor)
    return link_of(transaction, row.one())


async def locked(transaction: Transaction, link_id: UUID) -> Link | None:
    """Return a link that nobody else changes before this transaction ends, None when it has ended."""
    row = await transaction.first(select(link).where(link.c.id == link_id).with_for_update())
    return None if row is None else link_of(transaction, row)


async def _too_many_lost(transaction: Transaction, known: Link) -> bool:
    """Count a lost answer, once for each token however often it is presented."""
    token = Attempt(_LOST_ANSWER, known.family.bytes + known.generation.to_bytes(4))
    if not await throttle.is_first(transaction, token):
        return False
    return not await throttle.is_first(transaction, Attempt(_LOST_ANSWERS, known.id.bytes))


async def _tell(transaction: Transaction, known: Link, signs: Sequence[Sign], visitor: Visitor) -> None:
    record(
        transaction,
        "link_suspicious",
        account_id=known.account_id,
        actor="link",
        outcome="failure",
        detail=visitor.detail() | {"instance": known.instance.name, "why": [sign.value for sign in signs]},
    )
    owner = await accounts.load(transaction, known.account_id)
    told_today = not await throttle.is_first(transaction, Attempt(_NOTICE, known.id.bytes))
    if owner is None or told_today:
        return
    await security_notice(
        transaction, owner.id, owner.email, "link_unusual", visitor, name=known.instance.name, signs=tuple(signs)
    )


async def confirm(transaction: Transaction, account_id: UUID, link_id: UUID, visitor: Visitor) -> bool:
    """Take the owner's word that it was them: the networks seen are theirs. False when there is nothing to confirm.

    The caller has seen the owner's second factor.
    """
    known = await locked(transaction, link_id)
    if known is None or known.account_id != account_id or known.suspicious_since is None:
        return False
    vouched = replace(known, seen=tuple({**one, "vouched": True} for one in known.seen), signs=())
    await transaction.execute(
        update(link)
        .where(link.c.id == known.id)
        .values(
            suspicious_since=None,
            # Also what was silent for long counts as heard of now
            contact_at=transaction.now,
            sealed=transaction.seal(sealed_about(vouched), link, known.id, account_id),
        )
    )
    await throttle.refund(transaction, [Attempt(_LOST_ANSWERS, known.id.bytes)])
    record(
        transaction,
        "link_confirmed",
        account_id=account_id,
        detail=visitor.detail() | {"instance": known.instance.name, "why": list(known.signs)},
    )
    owner = await accounts.load(transaction, account_id)
    if owner is not None:
        name = known.instance.name
        await security_notice(transaction, owner.id, owner.email, "link_confirmed", visitor, name=name)
    return True
