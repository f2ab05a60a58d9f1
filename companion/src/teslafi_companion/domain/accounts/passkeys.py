"""Passkeys (WebAuthn) as second factor: the one that a forged page cannot ask for.

What a browser was asked to sign is kept on the server, bound to the session or pending sign-in, and taken once.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from sqlalchemy import Row, delete, insert, select, update

from teslafi_companion.crypto import token_hash
from teslafi_companion.language import N_, Phrase
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Transaction, new_id
from teslafi_companion.store.indexes import BlindIndex
from teslafi_companion.store.tables import passkey, passkey_challenge

from .account import Account

_LONGEST_NAME: Final = 60
_MOST: Final = 10
_INDEX: Final = "passkey-index"


class PasskeyRefused(Exception):
    """What a browser answered is not a valid proof; the text says what to do."""


@dataclass(frozen=True)
class Passkey:
    """A passkey of an account."""

    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None


def available(settings: Settings) -> bool:
    """Say whether browsers will make passkeys for this service: they want a host name, not a bare IP address."""
    try:
        ip_address(settings.host)
    except ValueError:
        return True
    return False


def _server(settings: Settings) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(name=settings.service_name, id=settings.host)
    return Fido2Server(entity, verify_origin=lambda origin: origin == settings.origin)


def _user_handle(transaction: Transaction, account_id: UUID) -> bytes:
    # Authenticators show and keep it: it must name no person. After a rotation a new passkey has another one
    return transaction.cipher.mac("passkey-user", account_id.bytes)


async def _credentials(transaction: Transaction, account_id: UUID) -> dict[UUID, AttestedCredentialData]:
    rows = await transaction.rows(select(passkey).where(passkey.c.account_id == account_id))
    return {row.id: _credential_of(transaction, row) for row in rows}


def _credential_of(transaction: Transaction, row: Row[Any]) -> AttestedCredentialData:
    content = transaction.open(row.sealed, passkey, row.id, row.account_id)
    return AttestedCredentialData(b64decode(content["credential"]))


def _index_of(transaction: Transaction, row: Row[Any]) -> bytes:
    return transaction.cipher.mac(_INDEX, _credential_of(transaction, row).credential_id)


CREDENTIAL_INDEX: Final = BlindIndex(passkey, "credential_index", _index_of)


async def passkeys_of(transaction: Transaction, account_id: UUID) -> list[Passkey]:
    """Return the passkeys of an account, the oldest first."""
    rows = await transaction.rows(
        select(passkey).where(passkey.c.account_id == account_id).order_by(passkey.c.created_at)
    )
    return [
        Passkey(row.id, transaction.open(row.sealed, passkey, row.id, account_id)["name"], row.created_at, row.used_at)
        for row in rows
    ]


async def begin_registration(transaction: Transaction, owner: Account, bound_to: str) -> Mapping[str, Any]:
    """Return what `navigator.credentials.create` is called with; `bound_to` is the session's token."""
    existing = await _credentials(transaction, owner.id)
    if len(existing) >= _MOST:
        raise PasskeyRefused(Phrase("An account can have %(most)s passkeys. Remove one first.", most=_MOST))
    options, state = _server(transaction.settings).register_begin(
        PublicKeyCredentialUserEntity(
            id=_user_handle(transaction, owner.id), name=owner.email, display_name=owner.email
        ),
        list(existing.values()),
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    await _keep_challenge(transaction, owner.id, bound_to, state)
    return dict(options)


async def finish_registration(
    transaction: Transaction, owner: Account, bound_to: str, answer: Mapping[str, Any], name: str
) -> None:
    """Add the passkey that a browser made; raises PasskeyRefused."""
    state = await _take_challenge(transaction, owner.id, bound_to)
    try:
        data = _server(transaction.settings).register_complete(state, answer)
    except Exception as fault:
        raise PasskeyRefused(N_("The passkey couldn't be verified. Try again.")) from fault
    credential = data.credential_data
    if credential is None:
        raise PasskeyRefused(N_("The browser sent no passkey. Try again."))
    known = transaction.cipher.macs(_INDEX, credential.credential_id)
    if await transaction.first(select(passkey.c.id).where(passkey.c.credential_index.in_(known))) is not None:
        raise PasskeyRefused(N_("This passkey is already registered."))
    row = new_id()
    content = {"credential": b64encode(credential).decode(), "name": name.strip()[:_LONGEST_NAME] or "Passkey"}
    values = {
        "id": row,
        "account_id": owner.id,
        "credential_index": known[0],
        "sign_count": data.counter,
        "created_at": transaction.now,
        "sealed": transaction.seal(content, passkey, row, owner.id),
    }
    if not await transaction.insert_once(passkey, "credential_index", values):
        raise PasskeyRefused(N_("This passkey is already registered."))


async def begin_proof(transaction: Transaction, account_id: UUID, bound_to: str) -> Mapping[str, Any]:
    """Return what `navigator.credentials.get` is called with; raises PasskeyRefused without any passkey."""
    credentials = await _credentials(transaction, account_id)
    if not credentials:
        raise PasskeyRefused(N_("This account has no passkey. Use another method."))
    options, state = _server(transaction.settings).authenticate_begin(
        list(credentials.values()), user_verification=UserVerificationRequirement.PREFERRED
    )
    await _keep_challenge(transaction, account_id, bound_to, state)
    return dict(options)


async def prove(transaction: Transaction, account_id: UUID, bound_to: str, answer: Mapping[str, Any]) -> None:
    """Check what a browser signed; raises PasskeyRefused."""
    state = await _take_challenge(transaction, account_id, bound_to)
    credentials = await _credentials(transaction, account_id)
    try:
        used = _server(transaction.settings).authenticate_complete(state, list(credentials.values()), answer)
        counter = AuthenticationResponse.from_dict(answer).response.authenticator_data.counter
    except Exception as fault:
        raise PasskeyRefused(N_("The passkey couldn't be verified. Try again.")) from fault
    row = next(key for key, value in credentials.items() if value.credential_id == used.credential_id)
    # A counter that does not grow means a copied authenticator; most passkeys keep it at zero
    grows = passkey.c.sign_count < counter if counter else passkey.c.sign_count == 0
    if not await transaction.changed_one(
        update(passkey).where(passkey.c.id == row, grows).values(sign_count=counter, used_at=transaction.now)
    ):
        raise PasskeyRefused(N_("This passkey may have been copied. Remove it and add a new one."))


async def remove(transaction: Transaction, account_id: UUID, passkey_id: UUID) -> bool:
    """Remove one passkey; False when it is none of this account's."""
    return await transaction.changed_one(
        delete(passkey).where(passkey.c.id == passkey_id, passkey.c.account_id == account_id)
    )


async def remove_all(transaction: Transaction, account_id: UUID) -> None:
    """Remove every passkey of an account."""
    await transaction.execute(delete(passkey).where(passkey.c.account_id == account_id))


async def _keep_challenge(transaction: Transaction, account_id: UUID, bound_to: str, state: Mapping[str, Any]) -> None:
    await transaction.execute(delete(passkey_challenge).where(passkey_challenge.c.bound_to == token_hash(bound_to)))
    row = new_id()
    await transaction.execute(
        insert(passkey_challenge).values(
            id=row,
            account_id=account_id,
            bound_to=token_hash(bound_to),
            expires_at=transaction.now + transaction.policy.passkey_challenge,
            sealed=transaction.seal(dict(state), passkey_challenge, row, account_id),
        )
    )


async def _take_challenge(transaction: Transaction, account_id: UUID, bound_to: str) -> dict[str, Any]:
    row = await transaction.first(
        delete(passkey_challenge)
        .where(
            passkey_challenge.c.bound_to == token_hash(bound_to),
            passkey_challenge.c.account_id == account_id,
            passkey_challenge.c.expires_at > transaction.now,
        )
        .returning(passkey_challenge.c.id, passkey_challenge.c.sealed)
    )
    if row is None:
        raise PasskeyRefused(N_("The request to your passkey has expired. Try again."))
    return transaction.open(row.sealed, passkey_challenge, row.id, account_id)


async def purge(transaction: Transaction) -> None:
    """Drop questions that were never answered."""
    await transaction.drop(passkey_challenge, passkey_challenge.c.expires_at <= transaction.now)
