"""A new root of blind indexes and of the audit chain: everything is found as before, and the old root opens nothing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import LargeBinary, select, update

from teslafi_companion import rotation
from teslafi_companion.audit import _chained, _tail, check_chain, purge, record
from teslafi_companion.crypto import FieldCipher
from teslafi_companion.domain.accounts import account, recovery, throttle
from teslafi_companion.domain.accounts.addresses import EMAIL_INDEX, indexed_form
from teslafi_companion.domain.accounts.throttle import SIGN_IN_NETWORK, SIGN_IN_STRANGER, Attempt
from teslafi_companion.domain.links.links import find_of_instance
from teslafi_companion.rotation import INDEXES, ROOT_KEPT, retire_roots, rotate_keys
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store, StoreUnreachable
from teslafi_companion.store.keyring import open_cipher, refresh_cipher

from .clock import ManualClock
from .oauth.linking import INSTANCE, link_up

OLGA = "Olga@example.org"
ADDRESS = Attempt(SIGN_IN_STRANGER, indexed_form(OLGA), EMAIL_INDEX)
NETWORK = Attempt(SIGN_IN_NETWORK, b"network")


async def at_once(_span: timedelta) -> None:
    """Wait for nobody."""


async def made(store: Store, address: str = OLGA) -> UUID:
    async with store.transaction() as transaction:
        owner = await account.create(transaction, address, "phc")
    assert owner is not None
    return owner


async def found(store: Store, address: str) -> UUID | None:
    async with store.reading() as transaction:
        owner = await account.find(transaction, address)
    return None if owner is None else owner.id


async def codes_of(store: Store, owner: UUID) -> list[str]:
    async with store.transaction() as transaction:
        return await recovery.regenerate(transaction, owner)


async def used(store: Store, owner: UUID, code: str) -> bool:
    async with store.transaction() as transaction:
        return await recovery.use(transaction, owner, code)


async def note(store: Store, event: str = "sign_in_success") -> None:
    async with store.transaction() as transaction:
        record(transaction, event, detail={"address": "192.0.2.7"})


async def retire(store: Store) -> None:
    async with store.transaction() as transaction:
        await retire_roots(transaction)
    await refresh_cipher(store)


async def root_states(store: Store) -> list[str]:
    async with store.reading() as transaction:
        rows = await transaction.rows(
            select(tables.keyring).where(tables.keyring.c.purpose == "root").order_by(tables.keyring.c.number)
        )
    assert all((row.wrapped == b"") == (row.state == "retired") for row in rows)
    return [row.state for row in rows]


async def other_process(store: Store) -> Store:
    cipher = await open_cipher(store.engine, store.settings, store.clock)
    return Store(store.engine, store.settings, cipher, store.clock)


async def stored(store: Store) -> dict[str, set[bytes]]:
    """Return what is in each keyed column."""
    async with store.reading() as transaction:
        return {
            f"{index.table.name}.{index.column}": {
                row[0] for row in await transaction.rows(select(index.table.c[index.column]))
            }
            for index in INDEXES
        }


async def test_everything_is_found_after_two_rotations(store: Store, clock: ManualClock) -> None:
    owner = await made(store)
    given = await link_up(store, owner)
    codes = await codes_of(store, owner)
    assert await used(store, owner, codes[0])
    before = await stored(store)
    for number in (1, 2):
        await rotate_keys(store, settle=at_once)
        assert await found(store, "olga@EXAMPLE.org") == owner
        async with store.reading() as transaction:
            link = await find_of_instance(transaction, owner, INSTANCE)
            assert link is not None
            assert await account.load(transaction, owner) is not None
        assert not await used(store, owner, codes[0]), "spent codes stay spent"
        assert await used(store, owner, codes[number])
        assert not await used(store, owner, codes[number])
        clock.advance(days=1)
    after = await stored(store)
    assert all(before[column].isdisjoint(after[column]) for column in before)
    assert (await check_chain(store)).faults == ()
    assert given.access


async def test_a_rotation_forgives_no_wrong_attempt(store: Store, clock: ManualClock) -> None:
    """Nobody can key counters anew: whoever comes again takes the count along."""
    for _ in range(6):
        await throttle.reserve(store, [ADDRESS])
    for _ in range(19):
        await throttle.reserve(store, [NETWORK])
    await rotate_keys(store, settle=at_once)
    assert not (await throttle.reserve(store, [ADDRESS])).admitted
    assert (await throttle.reserve(store, [NETWORK])).admitted
    assert not (await throttle.reserve(store, [NETWORK])).admitted
    clock.advance(minutes=1)
    assert (await throttle.reserve(store, [ADDRESS])).admitted, "the first rung is a minute"
    await rotate_keys(store, settle=at_once)
    clock.advance(minutes=1)
    assert not (await throttle.reserve(store, [ADDRESS])).admitted, "the second rung is two"
    async with store.transaction() as transaction:
        assert await throttle.forgive(transaction, [ADDRESS]) == 1
    assert (await throttle.reserve(store, [ADDRESS])).admitted


async def test_forgiving_right_after_a_rotation_forgets_what_was_counted_before(store: Store) -> None:
    for _ in range(6):
        await throttle.reserve(store, [ADDRESS])
    await rotate_keys(store, settle=at_once)
    async with store.transaction() as transaction:
        assert await throttle.forgive(transaction, [ADDRESS]) == 1
    assert [(await throttle.reserve(store, [ADDRESS])).admitted for _ in range(6)] == [True] * 5 + [False]


class Killed(Exception):
    """The process ends here."""


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [1, 2, 4, 6])
async def test_killed_at_any_column_a_rotation_leaves_everything_found(
    store: Store, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    """And the next run finishes it. The two rounds make each index anew twice."""
    monkeypatch.setattr(rotation, "_BATCH", 2)
    owners = {f"person{number}@example.org": await made(store, f"person{number}@example.org") for number in range(5)}
    for owner in owners.values():
        await link_up(store, owner)
    calls = 0
    original: Callable[..., Awaitable[None]] = rotation._index_column_anew  # noqa: SLF001 - where it is killed

    async def dies(*arguments: Any) -> None:  # noqa: ANN401 - whatever the original takes
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise Killed
        await original(*arguments)

    monkeypatch.setattr(rotation, "_index_column_anew", dies)
    with pytest.raises(Killed):
        await rotate_keys(store, settle=at_once)
    monkeypatch.undo()
    again = await other_process(store)
    assert {address: await found(again, address) for address in owners} == owners
    async with again.transaction() as transaction:
        assert await account.create(transaction, "person1@example.org", "phc") is None
    await rotate_keys(again, settle=at_once)
    assert await root_states(again) == ["replaced", "active"]
    assert {address: await found(again, address) for address in owners} == owners
    by_new_root = {again.cipher.mac(EMAIL_INDEX, indexed_form(address)) for address in owners}
    assert (await stored(again))["account.email_index"] == by_new_root
    assert (await check_chain(again)).faults == ()


async def test_a_process_that_has_not_learnt_of_the_new_root_makes_no_second_account(store: Store) -> None:
    """Each root gives an address another index: two processes could both find it free."""
    late = await other_process(store)
    rounds = 0

    async def others_work(_span: timedelta) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            await refresh_cipher(late)
            await made(late, "announced@example.org")
        else:
            with pytest.raises(StoreUnreachable):
                await made(late, "late@example.org")
            assert await found(late, OLGA) == owner
            await note(late)

    owner = await made(store)
    await rotate_keys(store, settle=others_work)
    assert rounds == 2
    await refresh_cipher(late)
    await made(late, "late@example.org")
    assert await found(store, "announced@example.org") is not None
    assert (await check_chain(store)).faults == ()


async def test_a_process_that_missed_the_announcement_writes_no_row_that_nobody_can_check(store: Store) -> None:
    late = await other_process(store)
    await rotate_keys(store, settle=at_once)
    with pytest.raises(StoreUnreachable):
        await note(late)
    await refresh_cipher(late)
    await note(late)
    assert (await check_chain(store)).faults == ()


def rehashed(cipher: FieldCipher, root: int, row: Any, last: bytes, **changed: object) -> dict[str, Any]:  # noqa: ANN401
    """Return a row as somebody with that root would write it."""
    values: dict[str, Any] = row._asdict() | changed | {"root": root}
    return values | {"hash": cipher.mac_of(root, "audit-chain", _chained(last, values))}


@pytest.mark.parametrize("also_the_rest", [False, True])
async def test_whoever_has_the_old_root_can_change_no_row_that_it_keyed(store: Store, also_the_rest: bool) -> None:
    """Neither the old part alone, nor all of it as if there had been no rotation, head and tail included."""
    for _ in range(3):
        await note(store)
    stolen = store.cipher
    await rotate_keys(store, settle=at_once)
    await note(store)
    assert (await check_chain(store)).faults == ()
    async with store.transaction() as transaction:
        rows = await transaction.rows(select(tables.audit).order_by(tables.audit.c.number))
        assert {row.root for row in rows} == {0, store.cipher.index_root}
        last = bytes(32)
        for row in rows:
            if row.root and not also_the_rest:
                break
            changed = {"event": "forged"} if row.number == 2 else {}
            forged = rehashed(stolen, 0, row, last, **changed)
            last = forged["hash"]
            await transaction.execute(update(tables.audit).where(tables.audit.c.number == row.number).values(forged))
        if also_the_rest:
            await transaction.execute(
                update(tables.audit_chain).values(
                    head_hash=last, root=0, tail_mac=stolen.mac_of(0, "audit-tail", _tail(0, bytes(32)))
                )
            )
    assert (await check_chain(store)).faults


async def test_whoever_has_the_old_root_can_cut_off_no_row_at_the_start(store: Store) -> None:
    await note(store)
    stolen = store.cipher
    await rotate_keys(store, settle=at_once)
    async with store.transaction() as transaction:
        first = (await transaction.rows(select(tables.audit).order_by(tables.audit.c.number)))[0]
        await transaction.execute(tables.audit.delete().where(tables.audit.c.number == first.number))
        await transaction.execute(
            update(tables.audit_chain).values(
                tail_number=first.number,
                tail_hash=first.hash,
                tail_mac=stolen.mac_of(0, "audit-tail", _tail(first.number, first.hash)),
            )
        )
    assert "The chain's start was changed." in (await check_chain(store)).faults


@pytest.mark.parametrize("ends_with", ["log", "codes"])
async def test_an_old_root_is_wiped_when_nothing_needs_it_any_more(
    store: Store, clock: ManualClock, ends_with: str
) -> None:
    owner = await made(store)
    codes = await codes_of(store, owner)
    await rotate_keys(store, settle=at_once)
    clock.advance(days=1)
    retention = timedelta(days=400)

    async def age() -> None:
        async with store.transaction() as transaction:
            await purge(transaction, retention)

    await retire(store)
    assert await root_states(store) == ["replaced", "active"]
    clock.advance(seconds=(ROOT_KEPT + retention).total_seconds())
    if ends_with == "log":
        for code in codes:
            assert await used(store, owner, code)
        await retire(store)
        assert await root_states(store) == ["replaced", "active"], "its rows are still in the log"
        await age()
    else:
        await age()
        await retire(store)
        assert await root_states(store) == ["replaced", "active"], "its codes can still be used"
        for code in codes:
            assert await used(store, owner, code)
    await retire(store)
    assert await root_states(store) == ["retired", "active"]
    again = await other_process(store)
    assert await found(again, OLGA) == owner
    assert (await check_chain(again)).faults == ()
    await rotate_keys(again, settle=at_once)
    assert await found(again, OLGA) == owner


NOT_MADE_ANEW = {
    "audit.detail_mac": "the new root seals them off",
    "audit_chain.tail_mac": "made anew with the first row by the new root",
    "recovery_code.code_mac": "nobody knows the codes: by their own root until they are used",
    "device_grant.user_code_mac": "ends within minutes",
    "device_grant.instance_mac": "ends within minutes",
    "billing_customer.email_index": "made anew when the provider is asked next, twice a day",
}


def test_every_keyed_column_has_a_way_to_the_new_root() -> None:
    keyed = {
        f"{table.name}.{column.name}"
        for table in tables.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name.endswith(("_mac", "_index"))
    }
    made_anew = {f"{index.table.name}.{index.column}" for index in INDEXES}
    assert keyed == made_anew | set(NOT_MADE_ANEW)
