"""Rotation of the keys, which a kill cannot spoil and which needs no pause of the service.

Replaced are the field key, the signing root, and the root of blind indexes and of the audit chain. Indexes are made
anew of what is sealed beside them. What nobody can make anew keeps its old root until it is used or too old: recovery
codes, counters of attempts, and the rows of the audit chain, which the new root seals off.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
import os
from typing import Final
from uuid import UUID

from sqlalchemy import LargeBinary, func, insert, select, update

from .audit import begin_segment, oldest_root, record
from .crypto import KEY_BYTES, KeyFault, Place, key_prefix
from .domain.accounts import recovery
from .domain.accounts.account import ADDRESS_INDEX
from .domain.accounts.passkeys import CREDENTIAL_INDEX
from .domain.links.links import INDEXES as LINK_INDEXES
from .store.database import Store, Transaction
from .store.indexes import BlindIndex
from .store.keyring import REFRESH, key_encryption_keys, refresh_cipher, wrapping_context
from .store.tables import SEALED, SealedColumn, keyring

_BATCH: Final = 200
INDEXES: Final = (ADDRESS_INDEX, CREDENTIAL_INDEX, *LINK_INDEXES)
"""The blind indexes that are made anew; others are of what ends within minutes, or see the module's text."""
ROOT_KEPT: Final = timedelta(days=31)
"""How long a replaced root stays at the least: counters of attempts and refresh tokens last a month."""


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
            context = wrapping_context(row.number, row.purpose)
            wrapped = await keys.current.wrap(await old.unwrap(row.wrapped, context), context)
            await transaction.execute(
                update(keyring).where(keyring.c.number == row.number).values(wrapped=wrapped, kek=keys.current.name)
            )
        if rows:
            record(transaction, "key_rotated", actor="operator", detail={"what": "key-encryption key"})
    return len(rows)


async def rotate_keys(
    store: Store,
    *,
    settle: Callable[[timedelta], Awaitable[None]] | None = None,
    leaked: bool = False,
) -> int:
    """Bring new keys into use and seal everything anew; returns how many fields were sealed.

    Four committed stages, each of which a later run takes up where a killed one stopped: the new keys are announced
    (every process learns them, and publishes the permits' key), become active (everyone seals, signs and indexes with
    them), all fields are sealed and all indexes made anew, the old field key is wiped. What the old root signed counts
    for a while, unless it `leaked`.
    `settle` waits between the stages for other processes; pass a function that returns at once when none is running.
    """
    wait = settle or (lambda span: asyncio.sleep(span.total_seconds()))
    if await _announce(store):
        await wait(2 * REFRESH)
    await refresh_cipher(store)
    await _activate(store, leaked=leaked)
    await refresh_cipher(store)
    sealed = await _seal_anew(store)
    await _index_anew(store)
    await wait(2 * REFRESH)
    # What other processes sealed with the old key before they learnt of the new one
    sealed += await _seal_anew(store)
    await _index_anew(store)
    await _retire(store)
    await refresh_cipher(store)
    return sealed


async def _announce(store: Store) -> bool:
    keys = key_encryption_keys(store.settings)
    async with store.transaction() as transaction:
        under_way = await transaction.first(
            select(keyring).where(keyring.c.purpose == "field", keyring.c.state.in_(("incoming", "replaced")))
        )
        if under_way is not None:
            return bool(under_way.state == "incoming")
        number = 1 + int((await transaction.execute(select(func.max(keyring.c.number)))).scalar_one())
        for new, purpose in ((number, "field"), (number + 1, "signing"), (number + 2, "root")):
            await transaction.execute(
                insert(keyring).values(
                    number=new,
                    purpose=purpose,
                    state="incoming",
                    wrapped=await keys.current.wrap(os.urandom(KEY_BYTES), wrapping_context(new, purpose)),
                    kek=keys.current.name,
                    created_at=transaction.now,
                )
            )
    return True


async def _activate(store: Store, *, leaked: bool) -> None:
    async with store.transaction() as transaction:
        incoming = {
            row.purpose: row for row in await transaction.rows(select(keyring).where(keyring.c.state == "incoming"))
        }
        if not incoming:
            return
        await transaction.execute(
            update(keyring).where(keyring.c.state == "active", keyring.c.purpose == "field").values(state="replaced")
        )
        if "root" in incoming:
            await transaction.execute(
                update(keyring).where(keyring.c.state == "active", keyring.c.purpose == "root").values(state="replaced")
            )
            begin_segment(transaction, incoming["root"].number)
        for purpose, row in incoming.items():
            sole = leaked and purpose == "signing"
            await transaction.execute(
                update(keyring)
                .where(keyring.c.number == row.number)
                .values(state="sole" if sole else "active", created_at=transaction.now)
            )
            detail = {"what": f"{purpose} key", "number": row.number, "leaked": leaked}
            record(transaction, "key_rotated", actor="operator", detail=detail)


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


async def _index_anew(store: Store) -> None:
    for index in INDEXES:
        await _index_column_anew(store, index)


async def _index_column_anew(store: Store, index: BlindIndex) -> None:
    column, identifier = index.table.c[index.column], index.table.c[index.row]
    after: UUID | None = None
    while True:
        async with store.transaction() as transaction:
            statement = select(index.table).order_by(identifier).limit(_BATCH)
            rows = await transaction.rows(statement if after is None else statement.where(identifier > after))
            for row in rows:
                old, new = getattr(row, index.column), index.made(transaction, row)
                if new != old:
                    # Written since it was read, it is indexed by its writer, or found in the second round
                    await transaction.execute(
                        update(index.table)
                        .where(identifier == getattr(row, index.row), column == old)
                        .values({index.column: new})
                    )
        if len(rows) < _BATCH:
            return
        after = getattr(rows[-1], index.row)


def _owner(row: UUID, owner: UUID | None) -> UUID:
    return row if owner is None else owner


async def _retire(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.execute(
            update(keyring)
            .where(keyring.c.state == "replaced", keyring.c.purpose == "field")
            .values(state="retired", wrapped=b"")
        )


async def retire_roots(transaction: Transaction) -> None:
    """Wipe the replaced roots of indexes that no row needs any more: no counter, recovery code or part of the log."""
    roots = await transaction.rows(select(keyring).where(keyring.c.purpose == "root").order_by(keyring.c.number))
    for row, successor in pairwise(root for root in roots if root.state != "incoming"):
        if row.state != "replaced" or transaction.now - successor.created_at < ROOT_KEPT:
            continue
        made_at = await recovery.oldest(transaction)
        # Another process may have made codes by it until it had learnt of the successor
        if made_at is not None and made_at <= successor.created_at + 2 * REFRESH:
            continue
        if await oldest_root(transaction) <= row.number:
            continue
        await transaction.execute(
            update(keyring).where(keyring.c.number == row.number).values(state="retired", wrapped=b"")
        )
        record(transaction, "key_retired", actor="service", detail={"what": "root key", "number": row.number})
