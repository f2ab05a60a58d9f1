"""Who is behind an access token, read anew for each request: a revoked link has no access from that moment on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, exists, func, select

from teslafi_companion.crypto import token_hash
from teslafi_companion.store.database import Transaction
from teslafi_companion.store.tables import access_token, account, controls, link, passkey, totp

from .links import Link, link_of
from .scopes import Acr, Scope, stored

_TOTP: Final = exists(select(totp.c.id).where(totp.c.account_id == account.c.id, totp.c.state == "active"))
_PASSKEYS: Final = (
    select(func.count()).select_from(passkey).where(passkey.c.account_id == account.c.id).scalar_subquery()
)
_STATEMENT: Final = (
    select(
        link,
        access_token.c.scopes.label("token_scopes"),
        access_token.c.generation.label("token_generation"),
        account.c.credential_version.label("present_version"),
        account.c.sealed_email,
        _TOTP.label("has_totp"),
        _PASSKEYS.label("passkeys"),
        controls.c.given_at.label("controls_at"),
        controls.c.sealed.label("controls_sealed"),
    )
    .join_from(access_token, link, access_token.c.link_id == link.c.id)
    .join(account, link.c.account_id == account.c.id)
    .join(controls, controls.c.link_id == link.c.id, isouter=True)
    .where(access_token.c.token_hash == bindparam("token_hash"), access_token.c.expires_at > bindparam("now"))
)
"""All that a request may need, in one round trip. Made once: SQLAlchemy then compiles it once as well."""


@dataclass(frozen=True)
class Allowed:
    """Groups of commands that an owner allowed, and since when."""

    groups: tuple[str, ...]
    since: datetime


@dataclass(frozen=True)
class Caller:
    """A linked Home Assistant that asks, and what of its account an answer may need."""

    link: Link
    scopes: frozenset[Scope]
    email: str
    has_totp: bool
    passkeys: int
    credential_version: int
    generation: int
    """The generation of the link's tokens that the access token came with."""
    allowed: Allowed | None = None
    """What the owner allowed the link to control."""

    @property
    def has_second_factor(self) -> bool:
        """Say whether the account has a second factor now."""
        return self.has_totp or self.passkeys > 0

    def has_proved(self, acr: Acr, max_age: timedelta | None, now: datetime) -> bool:
        """Say whether the link's consent was given by an owner recognised so strongly and so recently.

        A proof counts no longer when the password was changed or the second factor was removed since (RFC 9470).
        """
        proof = self.link.proof
        if proof.credential_version != self.credential_version:
            return False
        if max_age is not None and now - proof.authenticated_at > max_age:
            return False
        return acr is Acr.PASSWORD or (proof.acr is Acr.SECOND_FACTOR and self.has_second_factor)


async def find_caller(transaction: Transaction, token: str) -> Caller | None:
    """Return who a live access token belongs to, or None."""
    row = await transaction.first(_STATEMENT, {"token_hash": token_hash(token), "now": transaction.now})
    if row is None:
        return None
    return Caller(
        link=link_of(transaction, row),
        scopes=stored(row.token_scopes),
        email=transaction.open(row.sealed_email, account, row.account_id, row.account_id, "sealed_email")["email"],
        has_totp=bool(row.has_totp),
        passkeys=row.passkeys,
        credential_version=row.present_version,
        # Tokens of before there were generations live a quarter of an hour
        generation=row.token_generation or 0,
        allowed=_allowed(transaction, row),
    )


def _allowed(transaction: Transaction, row: Row[Any]) -> Allowed | None:
    if row.controls_at is None:
        return None
    content = transaction.open(row.controls_sealed, controls, row.id, row.account_id)
    return Allowed(tuple(content["groups"]), row.controls_at)
