"""The key ring in the database: opening it, and making the first keys."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
import os
from typing import Any, Final

from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.adapters.kms.key import AwsKmsKey
from teslafi_companion.clock import Clock
from teslafi_companion.crypto import (
    KEY_BYTES,
    FieldCipher,
    IndexRoot,
    KeyEncryptionKey,
    KeyFault,
    LocalKey,
    SigningRoot,
    create_key_file,
    decode_key,
    read_key_file,
)
from teslafi_companion.settings import PREFIX, Settings

from .database import Store, StoreUnreachable, Transaction
from .tables import keyring

ROOT_NUMBER: Final = 0
REFRESH: Final = timedelta(seconds=30)
"""How often each process looks for new keys; rotation waits twice as long before it relies on that."""


@dataclass(frozen=True)
class KeyEncryptionKeys:
    """The key-encryption key in use and, while it is being replaced, the one before."""

    current: KeyEncryptionKey
    previous: KeyEncryptionKey | None = None

    def named(self, name: str) -> KeyEncryptionKey | None:
        """Return the key of this name, if it is at hand."""
        return next((key for key in (self.current, self.previous) if key and key.name == name), None)


async def open_cipher(engine: AsyncEngine, settings: Settings, clock: Clock) -> FieldCipher:
    """Open the key ring; on an empty database make it first. Raises KeyFault when the key is not the right one."""
    rows = await _stored(engine)
    if not rows:
        # Another process may have begun at the same moment: whose keys are stored first are everybody's
        with suppress(IntegrityError):
            await _make_keys(engine, settings, clock)
        rows = await _stored(engine)
    return await _opened(rows, settings, None)


async def _stored(engine: AsyncEngine) -> Sequence[Row[Any]]:
    async with engine.connect() as connection:
        return (await connection.execute(select(keyring))).all()


async def _make_keys(engine: AsyncEngine, settings: Settings, clock: Clock) -> None:
    if settings.key_provider == "file":
        with suppress(FileExistsError):
            create_key_file(settings.key_file)
    keys = key_encryption_keys(settings)
    async with engine.begin() as connection:
        for number, purpose in ((ROOT_NUMBER, "root"), (1, "field")):
            await connection.execute(
                insert(keyring).values(
                    number=number,
                    purpose=purpose,
                    state="active",
                    wrapped=await keys.current.wrap(os.urandom(KEY_BYTES), wrapping_context(number, purpose)),
                    kek=keys.current.name,
                    created_at=clock(),
                )
            )


def key_encryption_keys(settings: Settings) -> KeyEncryptionKeys:
    """Return the key-encryption keys that the settings name; raises KeyFault."""
    match settings.key_provider:
        case "file":
            previous = read_key_file(settings.previous_key_file) if settings.previous_key_file else None
            return KeyEncryptionKeys(read_key_file(settings.key_file), previous)
        case "env":
            old = settings.previous_key
            return KeyEncryptionKeys(
                LocalKey(decode_key(settings.key, f"{PREFIX}KEY")),
                LocalKey(decode_key(old, f"{PREFIX}PREVIOUS_KEY")) if old else None,
            )
        case "aws-kms":
            return KeyEncryptionKeys(
                AwsKmsKey(settings.aws_kms_key_id, settings.aws_kms_region, settings.aws_kms_endpoint)
            )


def wrapping_context(number: int, purpose: str) -> str:
    """Return what a wrapped data key is bound to."""
    return f"{number}:{purpose}"


async def _opened(rows: Sequence[Row[Any]], settings: Settings, known: FieldCipher | None) -> FieldCipher:
    """Open the keys; what the cipher at hand has opened is not asked for again."""
    kept = [row for row in rows if row.state != "retired"]
    opened: dict[int, bytes] = {}
    for row in kept:
        at_hand = None if known is None else known.opened(row.number, row.wrapped)
        opened[row.number] = await _unwrapped(row, settings) if at_hand is None else at_hand
    fields = {row.number: opened[row.number] for row in kept if row.purpose == "field"}
    active = next((row.number for row in kept if row.purpose == "field" and row.state == "active"), 0)
    roots = _index_roots(kept, opened)
    if not roots or active == 0:
        raise KeyFault("The key ring in the database is incomplete: restore the database from a backup.")
    wrapped = {row.number: (row.wrapped, opened[row.number]) for row in kept}
    return FieldCipher(fields, active, roots, signing=_signing(kept, opened), wrapped=wrapped)


def _index_roots(rows: Sequence[Row[Any]], opened: Mapping[int, bytes]) -> list[IndexRoot]:
    """Return the roots of indexes: the one in use, those before it, and one that is announced."""
    ring = sorted((row for row in rows if row.purpose == "root"), key=lambda row: row.number)
    found: list[IndexRoot] = []
    replaced_at = None
    for row in reversed([row for row in ring if row.state != "incoming"]):
        found.append(IndexRoot(row.number, opened[row.number], replaced_at))
        replaced_at = row.created_at
    if found and ring[-1].state == "incoming":
        # Another process may bring it into use before this one learns of that
        found.append(IndexRoot(ring[-1].number, opened[ring[-1].number], announced=True))
    return found


def _signing(rows: Sequence[Row[Any]], opened: Mapping[int, bytes]) -> list[SigningRoot]:
    """Return the roots that sign or signed, the present one first.

    Before the first rotation the first root of indexes signs. A root was replaced when its successor was brought into
    use; a wiped one signs nothing.
    """
    ring = sorted((row for row in rows if row.purpose == "signing"), key=lambda row: row.number)
    used = [row for row in ring if row.state != "incoming"]
    found: list[SigningRoot] = []
    replaced_at = None
    for row in reversed(used):
        found.append(SigningRoot(row.number, opened[row.number], replaced_at))
        replaced_at = row.created_at
        if row.state == "sole":
            break
    else:
        if ROOT_NUMBER in opened:
            found.append(SigningRoot(ROOT_NUMBER, opened[ROOT_NUMBER], replaced_at))
    return found + [SigningRoot(row.number, opened[row.number]) for row in ring if row.state == "incoming"]


async def _unwrapped(row: Row[Any], settings: Settings) -> bytes:
    keys = key_encryption_keys(settings)
    key = keys.named(row.kek)
    if key is None:
        raise KeyFault(
            f"The database's keys are wrapped by {row.kek}, but the key at hand is {keys.current.name}: "
            "give the service the key that belongs to this database. Nothing was changed."
        )
    return await key.unwrap(row.wrapped, wrapping_context(row.number, row.purpose))


async def hold_index_root(transaction: Transaction) -> None:
    """Keep the root of indexes in use until this transaction ends: of two rows with one index, the second is refused.

    Raises StoreUnreachable when another process has replaced it and this one has not learnt of that yet.
    """
    statement = select(keyring.c.state).where(keyring.c.number == transaction.cipher.index_root)
    row = await transaction.first(statement.with_for_update(read=True))
    if row is None or row.state != "active":
        raise StoreUnreachable("the root of indexes was replaced")


async def refresh_cipher(store: Store) -> None:
    """Take over keys that another process brought into use; with nothing new nobody is asked for a key."""
    async with store.reading() as transaction:
        rows = await transaction.rows(select(keyring))
    store.cipher = await _opened(rows, store.settings, store.cipher)
