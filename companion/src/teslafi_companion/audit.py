"""The audit log: append-only, each row chained to the one before by a keyed hash, details sealed.

Who can write to the database but has no key can neither forge a row nor close the gap of a removed one. Cutting off the
newest rows together with the chain's head would restore an earlier valid state: that is why the head is also
written to the log stream once a day, and `check` can be given such a head.

A rotation of the root begins a new segment: its first row's hash, by the new root, covers the last one of the old root.
Whoever got hold of an old root can therefore change no row that it keyed, nor add one: the head is by the root in use.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
import hmac
import struct
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
import structlog

from teslafi_companion.crypto import Place, RootUnknown, SealBroken
from teslafi_companion.store.database import DROPPED_AT_ONCE, Store, StoreUnreachable, Transaction, new_id
from teslafi_companion.store.tables import audit, audit_chain
from teslafi_companion.text import json_bytes

type Actor = Literal["anonymous", "account", "link", "operator", "service"]
type Outcome = Literal["success", "failure"]

_START: Final = bytes(32)
_CHAIN_LABEL: Final = "audit-chain"
_DETAIL_LABEL: Final = "audit-detail"
_TAIL_LABEL: Final = "audit-tail"
_BATCH: Final = 500
_LONGEST_DETAIL: Final = 16 * 1024

# Made once: most transactions need them, and SQLAlchemy takes longer to make them than the database to do them
_CHAIN: Final = select(audit_chain).with_for_update()
_APPENDED: Final = insert(audit)
_HEAD: Final = update(audit_chain).values(head_number=bindparam("number"), head_hash=bindparam("hash"))

_log = structlog.get_logger(__name__)


def record(
    transaction: Transaction,
    event: str,
    *,
    account_id: UUID | None = None,
    actor: Actor = "account",
    outcome: Outcome = "success",
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note an event; it joins the chain when the transaction commits. Detail never holds passwords, codes or tokens."""
    transaction.audit_entries.append(
        {
            "id": new_id(),
            "at": transaction.now,
            "account_id": account_id,
            "actor": actor,
            "event": event,
            "outcome": outcome,
            "detail": dict(detail or {}),
        }
    )
    # The chain's head is one row: taken last, it is locked for the shortest time and can deadlock with nothing
    transaction.finally_do(_append_entries)


async def _append_entries(transaction: Transaction) -> None:
    chain = await _locked_chain(transaction)
    number, last, root = chain.head_number, chain.head_hash, chain.root
    for entry in transaction.audit_entries:
        number += 1
        detail = _detail(entry["detail"])
        row = {name: value for name, value in entry.items() if name != "detail"} | {"number": number, "root": root}
        row["detail_mac"] = _mac(transaction, root, _DETAIL_LABEL, entry["id"].bytes + detail)
        row["sealed"] = transaction.cipher.seal(detail, _place(entry["id"], entry["account_id"]))
        row["hash"] = last = _mac(transaction, root, _CHAIN_LABEL, _chained(last, row))
        await transaction.execute(_APPENDED, row)
    await transaction.execute(_HEAD, {"number": number, "hash": last})
    transaction.audit_entries.clear()


def _mac(transaction: Transaction, root: int, label: str, message: bytes) -> bytes:
    """Return a hash by the chain's present root; raises StoreUnreachable while this process does not have it."""
    try:
        return transaction.cipher.mac_of(root, label, message)
    except RootUnknown as fault:
        raise StoreUnreachable("the audit chain is keyed by a newer root") from fault


def begin_segment(transaction: Transaction, root: int) -> None:
    """Go on with the chain by another root, before what this transaction records is appended."""

    async def begin(transaction: Transaction) -> None:
        chain = await _locked_chain(transaction)
        tail_mac = _mac(transaction, root, _TAIL_LABEL, _tail(chain.tail_number, chain.tail_hash))
        await transaction.execute(update(audit_chain).values(root=root, tail_mac=tail_mac))

    transaction.finally_do(begin)


def _detail(detail: Mapping[str, object]) -> bytes:
    """Return a detail as it is kept: whatever strangers sent into it, it can be written and read back."""
    written = json_bytes(detail, sort_keys=True)
    if len(written) > _LONGEST_DETAIL or not written.startswith(b"{"):
        return json_bytes({"unwritten": len(written)})
    return written


async def _locked_chain(transaction: Transaction) -> Row[Any]:
    if (row := await transaction.first(_CHAIN)) is not None:
        return row
    root = transaction.cipher.index_root
    values = {
        "id": 1,
        "head_number": 0,
        "head_hash": _START,
        "tail_number": 0,
        "tail_hash": _START,
        "tail_mac": transaction.cipher.mac_of(root, _TAIL_LABEL, _tail(0, _START)),
        "root": root,
    }
    await transaction.insert_once(audit_chain, "id", values)
    return (await transaction.execute(_CHAIN)).one()


def _place(row: UUID, account_id: UUID | None) -> Place:
    return Place(audit.name, "sealed", row, account_id or row)


def _chained(last: bytes, row: Mapping[str, Any]) -> bytes:
    """Return one row's bytes for the chain, each part with its length, so that no two rows read the same."""
    parts = (
        last,
        str(row["number"]).encode(),
        row["id"].bytes,
        row["at"].isoformat().encode(),
        row["account_id"].bytes if row["account_id"] else b"",
        row["actor"].encode(),
        row["event"].encode(),
        row["outcome"].encode(),
        row["detail_mac"],
    )
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _tail(number: int, last: bytes) -> bytes:
    return f"{number}:".encode() + last


@dataclass(frozen=True)
class ChainReport:
    """What a check of the chain found; `faults` is empty when all is well."""

    rows: int
    head: str
    faults: tuple[str, ...]


async def check_chain(store: Store, expected_head: str | None = None) -> ChainReport:
    """Walk the whole chain and open every detail.

    `expected_head` is a head from the log stream (`number:hash`) that must still be part of the chain.
    """
    faults: list[str] = []
    rows = 0
    async with store.reading(snapshot=True) as transaction:
        chain = await transaction.first(select(audit_chain))
        if chain is None:
            any_row = await transaction.first(select(audit.c.number).limit(1))
            return ChainReport(0, "0:", ("The chain's ends are missing.",) if any_row or expected_head else ())
        if not _is_keyed(
            transaction, chain.root, _TAIL_LABEL, _tail(chain.tail_number, chain.tail_hash), chain.tail_mac
        ):
            faults.append("The chain's start was changed.")
        if chain.root != transaction.cipher.index_root:
            faults.append("The chain's end is not keyed by the root in use.")
        number, last, root = chain.tail_number, chain.tail_hash, 0
        deleted = await _deleted_accounts(transaction)
        heads: set[str] = set()
        while batch := await transaction.rows(
            select(audit).where(audit.c.number > number).order_by(audit.c.number).limit(_BATCH)
        ):
            for row in batch:
                rows += 1
                faults += _faults(transaction, row, number, last, deleted)
                if row.root < root:
                    faults.append(f"Row {row.number} is keyed by an older root than the one before it.")
                number, last, root = row.number, row.hash, row.root
                heads.add(_head(number, last))
        if rows and root != chain.root:
            faults.append(f"Row {number} is the last one, but not keyed by the root in use.")
        if (number, last) != (chain.head_number, chain.head_hash):
            faults.append(f"The chain ends at row {number} but its head says {chain.head_number}: rows were removed.")
        if expected_head is not None and expected_head not in heads:
            faults.append(f"The head {expected_head} is not in the chain: the log was cut back or rewritten.")
    return ChainReport(rows, _head(number, last), tuple(faults))


def _head(number: int, last: bytes) -> str:
    return f"{number}:{last.hex()}"


async def _deleted_accounts(transaction: Transaction) -> frozenset[UUID]:
    rows = await transaction.rows(select(audit.c.account_id).where(audit.c.event == "account_deleted"))
    return frozenset(row.account_id for row in rows)


def _faults(transaction: Transaction, row: Row[Any], number: int, last: bytes, deleted: frozenset[UUID]) -> list[str]:
    faults = []
    if row.number != number + 1:
        faults.append(f"Rows {number + 1} to {row.number - 1} are missing.")
    values = row._asdict()
    if not _is_keyed(transaction, row.root, _CHAIN_LABEL, _chained(last, values), row.hash):
        faults.append(f"Row {row.number} was changed, or does not follow the one before it.")
    if row.sealed is None:
        if row.account_id not in deleted:
            faults.append(f"Row {row.number} has lost its detail.")
        return faults
    try:
        detail = transaction.cipher.open(row.sealed, _place(row.id, row.account_id))
    except SealBroken:
        return [*faults, f"Row {row.number}'s detail does not open."]
    if not _is_keyed(transaction, row.root, _DETAIL_LABEL, row.id.bytes + detail, row.detail_mac):
        faults.append(f"Row {row.number}'s detail was changed.")
    return faults


def _is_keyed(transaction: Transaction, root: int, label: str, message: bytes, mac: bytes) -> bool:
    try:
        return hmac.compare_digest(mac, transaction.cipher.mac_of(root, label, message))
    except RootUnknown:
        return False


async def oldest_root(transaction: Transaction) -> int:
    """Return the root that the oldest row is keyed by: no row is by one before it."""
    row = await transaction.first(select(audit.c.root).order_by(audit.c.number).limit(1))
    return transaction.cipher.index_root if row is None else int(row.root)


@dataclass(frozen=True)
class AuditEntry:
    """One event as its reader sees it."""

    at: datetime
    account_id: UUID | None
    actor: str
    event: str
    outcome: str
    detail: Mapping[str, object]


async def entries_of(transaction: Transaction, account_id: UUID, span: timedelta) -> list[AuditEntry]:
    """Return an account's own events of the last `span`, newest first."""
    statement = _own(transaction, account_id, span)
    return [_entry(transaction, row) for row in await transaction.rows(statement)]


async def page_of(
    transaction: Transaction,
    account_id: UUID,
    span: timedelta,
    *,
    before: int | None,
    limit: int,
    events: Collection[str] = (),
) -> tuple[list[AuditEntry], int | None]:
    """Return up to `limit` of an account's own events from row `before` back, and where the next page begins.

    With `events`, only those of these names.
    """
    statement = _own(transaction, account_id, span)
    if events:
        statement = statement.where(audit.c.event.in_(events))
    if before is not None:
        statement = statement.where(audit.c.number < before)
    rows = await transaction.rows(statement.limit(limit + 1))
    older: int | None = rows[limit - 1].number if len(rows) > limit else None
    return [_entry(transaction, row) for row in rows[:limit]], older


def _own(transaction: Transaction, account_id: UUID, span: timedelta) -> Any:  # noqa: ANN401 - an SQL expression
    return (
        select(audit)
        .where(audit.c.account_id == account_id, audit.c.at > transaction.now - span)
        .order_by(audit.c.number.desc())
    )


async def all_entries(transaction: Transaction, *, after: int = 0, limit: int = _BATCH) -> list[tuple[int, AuditEntry]]:
    """Return numbered events in order, for export."""
    statement = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
    return [(row.number, _entry(transaction, row)) for row in await transaction.rows(statement)]


def _entry(transaction: Transaction, row: Row[Any]) -> AuditEntry:
    detail: dict[str, object] = {}
    if row.sealed is not None:
        detail = transaction.cipher.open_json(row.sealed, _place(row.id, row.account_id), dict)
    return AuditEntry(row.at, row.account_id, row.actor, row.event, row.outcome, detail)


async def forget_details(transaction: Transaction, account_id: UUID) -> None:
    """Wipe the details of a deleted account's events; the chain stays whole."""
    await transaction.execute(update(audit).where(audit.c.account_id == account_id).values(sealed=None))


async def purge(transaction: Transaction, retention: timedelta) -> int:
    """Delete events older than `retention` from the chain's start; returns how many.

    Only what comes before the first younger row goes: a row that a wrong clock dated far back takes nothing along.
    Rows that somebody took out are logged once, as what is left of their gap goes; until then `check` finds them.
    """
    threshold = transaction.now - retention
    oldest = await transaction.first(select(audit.c.at).order_by(audit.c.number).limit(1))
    if oldest is None or oldest.at >= threshold:
        return 0
    # Locked before anything is chosen: another process may be deleting from the same end
    chain = await _locked_chain(transaction)
    kept = await transaction.first(
        select(audit.c.number).where(audit.c.at >= threshold).order_by(audit.c.number).limit(1)
    )
    expired = chain.head_number if kept is None else kept.number - 1
    # By the rows that are there: a gap that somebody left may not keep the log from ageing
    some = select(audit.c.number).where(audit.c.number <= expired).order_by(audit.c.number).limit(DROPPED_AT_ONCE)
    end = select(func.max(some.subquery().c.number)).scalar_subquery()
    last = await transaction.first(select(audit.c.number, audit.c.hash).where(audit.c.number == end))
    if last is None:
        return 0
    transaction.left_some |= last.number < expired
    deleted = await transaction.execute(delete(audit).where(audit.c.number <= last.number))
    if missing := last.number - chain.tail_number - deleted.rowcount:
        _log.error("audit_rows_missing", after=chain.tail_number, up_to=last.number, missing=missing)
    await transaction.execute(
        update(audit_chain).values(
            tail_number=last.number,
            tail_hash=last.hash,
            tail_mac=_mac(transaction, chain.root, _TAIL_LABEL, _tail(last.number, last.hash)),
        )
    )
    return deleted.rowcount


async def head(transaction: Transaction) -> str:
    """Return the chain's head as `number:hash`, for the log stream."""
    chain = await transaction.first(select(audit_chain))
    return "0:" if chain is None else _head(chain.head_number, chain.head_hash)
