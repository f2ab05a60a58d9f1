"""Tokens of a link: opaque access tokens, and refresh tokens that are replaced at each use.

A refresh token is `family (16 bytes) | generation (4) | HMAC-SHA-256 of both (32)` in base64url: none is stored, yet
the answer that got lost can be given again, word for word. Of a family only the newest generation is good; the one
before it still answers for a day with that newest one, while nobody has used that: neither its refresh token nor, but
for requests that cross within a minute, an access token that came with it. Anything older, or replaced and used, is a
copy in the wrong hands or a restored backup: the family ends (RFC 9700, 4.14.2).
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import hmac
import struct
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from teslafi_companion.crypto import FieldCipher, new_token, token_hash
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.tables import access_token, link

from . import suspicion
from .clients import Client
from .faults import INVALID_GRANT, INVALID_SCOPE, OAuthFault
from .lifetimes import ACCESS_TOKEN, GRACE, KEY_OVERLAP, LOST_ANSWER, REFRESH_ABSOLUTE, REFRESH_IDLE
from .links import End, Link, end_family, end_link, link_of
from .scopes import Scope, written

_LABEL: Final = "refresh-token"
_GENERATION: Final = struct.Struct(">I")
_UUID_BYTES: Final = 16
_BODY_BYTES: Final = _UUID_BYTES + _GENERATION.size
_TOKEN_CHARACTERS: Final = 70


@dataclass(frozen=True)
class Tokens:
    """What a link is given: an access token for `lifetime`, and the refresh token that gets the next one."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    lifetime: timedelta
    scopes: frozenset[Scope]


def refresh_token(cipher: FieldCipher, family: UUID, generation: int) -> str:
    """Return the refresh token of one generation of a family."""
    return _token(cipher.signing_key(_LABEL), family, generation)


def _token(key: bytes, family: UUID, generation: int) -> str:
    body = family.bytes + _GENERATION.pack(generation)
    return base64.urlsafe_b64encode(body + hmac.digest(key, body, "sha256")).rstrip(b"=").decode()


def read_refresh_token(cipher: FieldCipher, token: str, now: datetime) -> tuple[UUID, int] | None:
    """Return family and generation of a token that this service made, None for anything else."""
    if len(token) != _TOKEN_CHARACTERS or not token.isascii():
        return None
    try:
        content = base64.b64decode(token + "==", altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    body = content[:_BODY_BYTES]
    family, generation = UUID(bytes=body[:_UUID_BYTES]), _GENERATION.unpack(body[_UUID_BYTES:])[0]
    # Compared as text: the unused bits at the end of base64 would give every token a second spelling
    made = [_token(key, family, generation) for key in cipher.signing_keys(_LABEL, now, KEY_OVERLAP)]
    if not any(hmac.compare_digest(one, token) for one in made):
        return None
    return family, generation


async def issue(transaction: Transaction, owner: Link, scopes: frozenset[Scope] | None = None) -> Tokens:
    """Issue an access token for a link, together with its newest refresh token; `scopes` may be fewer than its own."""
    token = new_token()
    granted = owner.scopes if scopes is None else scopes
    await transaction.execute(
        insert(access_token).values(
            id=new_id(),
            link_id=owner.id,
            token_hash=token_hash(token),
            expires_at=transaction.now + ACCESS_TOKEN,
            scopes=written(granted),
            generation=owner.generation,
        )
    )
    refresh = refresh_token(transaction.cipher, owner.family, owner.generation)
    return Tokens(token, refresh, ACCESS_TOKEN, granted)


async def refresh(
    transaction: Transaction, client: Client, token: str, scopes: frozenset[Scope] | None, visitor: Visitor
) -> Tokens | OAuthFault:
    """Replace a refresh token. A fault is returned, so that what it ended is committed."""
    read = read_refresh_token(transaction.cipher, token, transaction.now)
    if read is None:
        return OAuthFault(INVALID_GRANT, "this refresh token is none of this server")
    family, generation = read
    row = await transaction.first(select(link).where(link.c.family == family).with_for_update())
    if row is None or row.client_id != client.id:
        return OAuthFault(INVALID_GRANT, "this link has ended")
    known = link_of(transaction, row)
    refusal = await _refusal(transaction, known, generation, visitor)
    if refusal is not None:
        return refusal
    if scopes is not None and not scopes <= known.scopes:
        return OAuthFault(INVALID_SCOPE, "a refresh gives no more than the link has")
    lost = generation < known.generation and not _crosses(known, transaction.now)
    await suspicion.look(transaction, known, visitor, spent=lost)
    newest = await _newest(transaction, known, generation)
    return await issue(transaction, newest, scopes)


async def _refusal(transaction: Transaction, known: Link, generation: int, visitor: Visitor) -> OAuthFault | None:
    now = transaction.now
    if now - known.rotated_at > REFRESH_IDLE or now - known.authorized_at > REFRESH_ABSOLUTE:
        await end_link(transaction, known, End.AGE, None, actor="service")
        return OAuthFault(INVALID_GRANT, "this link has expired")
    if generation > known.generation:
        # The database was restored from a backup: nobody but this service can have made the token, so it goes on there
        return None
    is_previous = generation == known.generation - 1
    if generation == known.generation or (is_previous and (_crosses(known, now) or _may_be_lost(known, now))):
        return None
    await end_link(transaction, known, End.REUSE, visitor)
    return OAuthFault(INVALID_GRANT, "this refresh token was used before: the link has ended")


def _crosses(known: Link, now: datetime) -> bool:
    """Say whether a request may have been sent before the answer of the newest generation came."""
    return now - known.rotated_at <= GRACE


def _may_be_lost(known: Link, now: datetime) -> bool:
    """Say whether the answer of the newest generation may never have come: nothing of it was ever used."""
    return known.used_generation < known.generation and now - known.rotated_at <= LOST_ANSWER


async def _newest(transaction: Transaction, known: Link, generation: int) -> Link:
    """Return the link with the generation that is to be answered with: the next one, or in the grace the same again."""
    values: dict[str, object] = {"contact_at": transaction.now}
    if generation >= known.generation:
        values |= {"generation": generation + 1, "rotated_at": transaction.now}
    row = await transaction.execute(update(link).where(link.c.id == known.id).values(values).returning(link))
    return link_of(transaction, row.one())


async def revoke(transaction: Transaction, client: Client, token: str, visitor: Visitor) -> None:
    """End what a token stands for (RFC 7009): a refresh token ends the link, an access token only itself.

    A token that is unknown, or another client's, is none of the caller's business: nothing happens.
    """
    read = read_refresh_token(transaction.cipher, token, transaction.now)
    if read is not None:
        row = await transaction.first(select(link.c.client_id).where(link.c.family == read[0]))
        if row is not None and row.client_id == client.id:
            await end_family(transaction, read[0], End.INSTANCE, visitor)
        return
    mine = select(link.c.id).where(link.c.client_id == client.id)
    await transaction.execute(
        delete(access_token).where(access_token.c.token_hash == token_hash(token), access_token.c.link_id.in_(mine))
    )
