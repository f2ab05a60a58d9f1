"""Authorization codes: 256 random bits, a minute, one use, bound to client, redirect address and PKCE challenge."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update

from teslafi_companion.crypto import new_token, token_hash
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import authorization_code

from . import consent, pkce
from .clients import Client
from .controls_request import of_json
from .faults import INVALID_GRANT, OAuthFault
from .instance import Instance
from .lifetimes import CODE, DUPLICATE
from .links import Approval, End, Proof, end_family, lock_owner, open_link
from .scopes import Acr, stored, written
from .tokens import Tokens, issue


@dataclass(frozen=True)
class Redemption:
    """What a client hands in with a code."""

    code: str = field(repr=False)
    redirect_uri: str
    verifier: str = field(repr=False)


async def issue_code(transaction: Transaction, approval: Approval, redirect_uri: str, challenge: str) -> str:
    """Turn an owner's approval into a code."""
    code, row = new_token(), new_id()
    content = {
        "redirect_uri": redirect_uri,
        "challenge": challenge,
        "name": approval.instance.name,
        "instance": approval.instance.id,
        "address": approval.address,
        "agent": approval.agent,
        "controls": None if approval.controls is None else approval.controls.to_json(),
    }
    await transaction.execute(
        insert(authorization_code).values(
            id=row,
            account_id=approval.account_id,
            code_hash=token_hash(code),
            client_id=approval.client_id,
            created_at=transaction.now,
            expires_at=transaction.now + CODE,
            scopes=written(approval.scopes),
            authenticated_at=approval.proof.authenticated_at,
            acr=approval.proof.acr,
            credential_version=approval.proof.credential_version,
            sealed=transaction.seal(content, authorization_code, row, approval.account_id),
        )
    )
    return code


def _approval(row: Row[Any], content: dict[str, Any]) -> Approval:
    return Approval(
        row.account_id,
        row.client_id,
        stored(row.scopes),
        Instance(content["name"], content["instance"]),
        Proof(row.authenticated_at, Acr(row.acr), row.credential_version),
        content["address"],
        content["agent"],
        of_json(asked) if (asked := content.get("controls")) else None,
    )


async def redeem(
    transaction: Transaction, client: Client, redemption: Redemption, visitor: Visitor
) -> Tokens | OAuthFault:
    """Give tokens for a code: of any number of uses the first one wins, and a late second one ends the link.

    A fault is returned, so that what it ended is committed. Codes do not tell apart why they are refused.
    """
    refused = OAuthFault(INVALID_GRANT, "the code is unknown, spent, expired, or was not given to this request")
    by_code = select(authorization_code).where(authorization_code.c.code_hash == token_hash(redemption.code))
    row = await transaction.first(by_code)
    if row is None:
        return refused
    content = transaction.open(row.sealed, authorization_code, row.id, row.account_id)
    is_theirs = (
        row.client_id == client.id
        and content["redirect_uri"] == redemption.redirect_uri
        and pkce.matches(redemption.verifier, content["challenge"])
    )
    if not is_theirs:
        return refused
    owner = await lock_owner(transaction, row.account_id)
    # Read again under the lock: somebody may have spent it, or its account have ended, meanwhile
    row = await transaction.first(by_code)
    if owner is None or row is None:
        return refused
    if row.spent_at is not None:
        if transaction.now - row.spent_at > DUPLICATE:
            await end_family(transaction, row.family, End.REUSE, visitor)
        return refused
    if transaction.now >= row.expires_at or row.credential_version != owner.credential_version:
        return refused
    approval = _approval(row, content)
    made = await open_link(transaction, owner, approval, visitor)
    if approval.controls is not None:
        await consent.give(transaction, made, approval.controls, approval.visitor)
    await _spend(transaction, row.id, made.family)
    return await issue(transaction, made)


async def _spend(transaction: Transaction, row: UUID, family: UUID) -> None:
    await transaction.execute(
        update(authorization_code).where(authorization_code.c.id == row).values(spent_at=transaction.now, family=family)
    )
