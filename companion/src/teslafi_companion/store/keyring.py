"""The key ring in the database: opening it, making the first keys, and rotation that a kill cannot spoil."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
import os
from typing import Any, Final
from uuid import UUID

from sqlalchemy import LargeBinary, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.audit import record
from teslafi_companion.clock import Clock
from teslafi_companion.crypto import (
    KEY_BYTES,
    AwsKmsKey,
    FieldCipher,
    KeyEncryptionKey,
    KeyFault,
    LocalKey,
    Place,
    create_key_file,
    decode_key,
    key_prefix,
    read_key_file,
)
from teslafi_companion.settings import PREFIX, Settings

from .database import Store
from .tables import SEALED, SealedColumn, keyring

ROOT_NUMBER: Final = 0
REFRESH: Final = timedelta(seconds=30)
"""How often each process looks for new keys; rotation waits twice as long before it relies on that."""
_BATCH: Final = 200


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
    return await _opened(rows, key_encryption_keys(settings))


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
                    wrapped=await keys.current.wrap(os.urandom(KEY_BYTES), _context(number, purpose)),
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


def _context(number: int, purpose: str) -> str:
    return f"{number}:{purpose}"


async def _opened(rows: Sequence[Row[tuple[object, ...]]], keys: KeyEncryptionKeys) -> FieldCipher:
    opened: dict[int, bytes] = {}
    active = 0
    for row in rows:
        if row.state == "retired":
            continue
        key = keys.named(row.kek)
        if key is None:
            raise KeyFault(
                f"The database's keys are wrapped by {row.kek}, but the key at hand is {keys.current.name}: "
                "give the service the key that belongs to this database. Nothing was changed."
            )
        opened[row.number] = await key.unwrap(row.wrapped, _context(row.number, row.purpose))
        if row.purpose == "field" and row.state == "active":
            active = row.number
    root = opened.pop(ROOT_NUMBER, None)
    if root is None or active == 0:
        raise KeyFault("The key ring in the database is incomplete: restore the database from a backup.")
    return FieldCipher(opened, active, root)


async def refresh_cipher(store: Store) -> None:
    """Take over keys that another process brought into use."""
    async with store.reading() as transaction:
        rows = await transaction.rows(select(keyring))
    store.cipher = await _opened(rows, key_encryption_keys(store.settings))


async def rewrap_keys(store: Store) -> int:
    """Wrap every data key with the current key-encryption key; returns how many were wrapped by the previous one."""
    keys = key_encryption_keys(store.settings)
    async with store.transaction() as transaction:
        rows = await transaction.rows(
            select(keyring).where(keyring.c.kek != keys.current.name, keyring.c.state != "retired")
        )
        for row in rows:
            old = keys.named(row.kek)
            if old is None:
                raise KeyFault(f"A data key is wrapped by {row.kek}: give that key as the previous one.")
            context = _context(row.number, row.purpose)
            wrapped = await keys.current.wrap(await old.unwrap(row.wrapped, context), context)
            await transaction.execute(
                update(keyring).where(keyring.c.number == row.number).values(wrapped=wrapped, kek=keys.current.name)
            )
        if rows:
            record(transaction, "key_rotated", actor="operator", detail={"what": "key-encryption key"})
    return len(rows)


async def rotate_field_key(
    store: Store,
    *,
    settle: Callable[[timedelta], Awaitable[None]] | None = None,
) -> int:
    """Bring a new field key into use and seal everything anew; returns how many fields were sealed.

    Four committed stages, each of which a later run takes up where a killed one stopped: the new key is announced
    (every process learns it), becomes active (everyone seals with it), all fields are sealed anew, the old is wiped.
    `settle` waits between them for the other processes; pass a function that returns at once when none is running.
    """
    wait = settle or (lambda span: asyncio.sleep(span.total_seconds()))
    if await _announce(store):
        await wait(2 * REFRESH)
    await _activate(store)
    await refresh_cipher(store)
    sealed = await _seal_anew(store)
    await wait(2 * REFRESH)
    # What other processes sealed with the old key before they learnt of the new one
    sealed += await _seal_anew(store)
    await _retire(store)
    await refresh_cipher(store)
    return sealed


async def _announce(store: Store) -> bool:
    keys = key_encryption_keys(store.settings)
    async with store.transaction() as transaction:
        under_way = await transaction.first(select(keyring).where(keyring.c.state.in_(("incoming", "replaced"))))
        if under_way is not None:
            return bool(under_way.state == "incoming")
        number = 1 + int((await transaction.execute(select(func.max(keyring.c.number)))).scalar_one())
        await transaction.execute(
            insert(keyring).values(
                number=number,
                purpose="field",
                state="incoming",
                wrapped=await keys.current.wrap(os.urandom(KEY_BYTES), _context(number, "field")),
                kek=keys.current.name,
                created_at=transaction.now,
            )
        )
    return True


async def _activate(store: Store) -> None:
    async with store.transaction() as transaction:
        incoming = await transaction.first(select(keyring).where(keyring.c.state == "incoming"))
        if incoming is None:
            return
        await transaction.execute(
            update(keyring).where(keyring.c.state == "active", keyring.c.purpose == "field").values(state="replaced")
        )
        await transaction.execute(update(keyring).where(keyring.c.number == incoming.number).values(state="active"))
        record(transaction, "key_rotated", actor="operator", detail={"what": "field key", "number": incoming.number})


async def _seal_anew(store: Store) -> int:
    return sum([await _seal_column_anew(store, sealed) for sealed in SEALED])


async def _seal_column_anew(store: Store, place: SealedColumn) -> int:
    column, identifier = place.table.c[place.column], place.table.c[place.row]
    active = key_prefix(store.cipher.active)
    done = 0
    while True:
        async with store.transaction() as transaction:
            rows = await transaction.rows(
                select(identifier.label("row"), place.table.c[place.owner].label("owner"), column.label("value"))
                .where(column.is_not(None), func.substr(column, 1, len(active), type_=LargeBinary) != active)
                .order_by(identifier)
                .limit(_BATCH)
            )
            for row in rows:
                where = Place(place.table.name, place.column, row.row, _owner(row.row, row.owner))
                sealed = store.cipher.seal(store.cipher.open(row.value, where), where)
                # Somebody may have written the row since it was read: then theirs stands, and is already sealed anew
                await transaction.execute(
                    update(place.table).where(identifier == row.row, column == row.value).values({place.column: sealed})
                )
        done += len(rows)
        if len(rows) < _BATCH:
            return done


def _owner(row: UUID, owner: UUID | None) -> UUID:
    return row if owner is None else owner


async def _retire(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.execute(
            update(keyring).where(keyring.c.state == "replaced").values(state="retired", wrapped=b"")
        )
