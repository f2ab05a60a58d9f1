"""The audit log's chain: whole after parallel writes, broken by any touch, still whole after ageing and deletion."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from teslafi_companion import audit as companion_audit
from teslafi_companion.audit import all_entries, check_chain, entries_of, head, page_of, purge, record
from teslafi_companion.crypto import Place
from teslafi_companion.domain.accounts import account
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store.database import Store, Transaction, new_id
from teslafi_companion.store.tables import audit, audit_chain

from .clock import ManualClock
from .postgresql import others_wait

VISITOR = Visitor("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")


async def note(store: Store, event: str = "sign_in_success", account_id: UUID | None = None) -> None:
    async with store.transaction() as transaction:
        record(transaction, event, account_id=account_id, detail={"address": "192.0.2.7"})


async def test_parallel_events_form_one_chain(store: Store) -> None:
    await asyncio.gather(*[note(store, f"event-{number}") for number in range(50)])
    report = await check_chain(store)
    assert (report.rows, report.faults) == (50, ())
    async with store.reading() as transaction:
        assert await head(transaction) == report.head
        entries = await all_entries(transaction)
    assert [number for number, _ in entries] == list(range(1, 51))
    assert {entry.event for _, entry in entries} == {f"event-{number}" for number in range(50)}
    assert entries[0][1].detail == {"address": "192.0.2.7"}
    assert (entries[0][1].outcome, entries[0][1].actor) == ("success", "account")


async def test_what_was_rolled_back_is_not_in_the_log(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction must see it raised inside
        async with store.transaction() as transaction:
            record(transaction, "sign_in_success")
            raise ZeroDivisionError
    assert (await check_chain(store)).rows == 0


async def test_an_empty_log_has_a_head(store: Store) -> None:
    async with store.reading() as transaction:
        assert await head(transaction) == "0:"
    assert (await check_chain(store)).head == "0:"


async def test_a_check_while_people_come_in_finds_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends and rows are those of one moment, whatever is written in between."""
    await note(store)
    between = companion_audit._deleted_accounts  # noqa: SLF001 - asked after the ends were read, before the rows

    async def meanwhile(transaction: Transaction) -> frozenset[UUID]:
        await note(store)
        return await between(transaction)

    monkeypatch.setattr(companion_audit, "_deleted_accounts", meanwhile)
    report = await check_chain(store)
    assert (report.rows, report.faults) == (1, ())


async def tampered(store: Store, statement: object) -> tuple[str, ...]:
    async with store.transaction() as transaction:
        await transaction.execute(statement)  # type: ignore[arg-type]
    return (await check_chain(store)).faults


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"event": "sign_out"}, "Row 2 was changed"),
        ({"outcome": "failure"}, "Row 2 was changed"),
        ({"actor": "operator"}, "Row 2 was changed"),
        ({"account_id": UUID(int=7)}, "Row 2 was changed"),
        ({"detail_mac": bytes(32)}, "Row 2 was changed"),
        ({"hash": bytes(32)}, "Row 2 was changed"),
        ({"root": 99}, "Row 2 was changed"),
        ({"sealed": None}, "Row 2 has lost its detail"),
        ({"sealed": bytes(60)}, "Row 2's detail does not open"),
    ],
)
async def test_a_changed_row_is_found(store: Store, values: dict[str, object], sentence: str) -> None:
    for _ in range(3):
        await note(store)
    assert (await check_chain(store)).faults == ()
    faults = await tampered(store, update(audit).where(audit.c.number == 2).values(values))
    assert any(sentence in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({1}, "Rows 1 to 1 are missing."),
        ({2}, "Rows 2 to 2 are missing."),
        ({2, 3}, "Rows 2 to 3 are missing."),
        ({4}, "The chain ends at row 3 but its head says 4: rows were removed."),
    ],
)
async def test_a_removed_row_is_found(store: Store, numbers: set[int], sentence: str) -> None:
    for _ in range(4):
        await note(store)
    faults = await tampered(store, delete(audit).where(audit.c.number.in_(numbers)))
    assert sentence in faults


async def test_the_chain_is_made_as_it_always_was(store: Store, clock: ManualClock) -> None:
    """Reckoned here in other words: rows that an earlier version wrote have to stay part of it."""
    owner = new_id()
    await note(store, "sign_in_failed")
    clock.advance(seconds=61)
    await note(store, "sign_in_success", owner)
    last = bytes(32)
    async with store.reading() as transaction:
        for row in await transaction.rows(select(audit).order_by(audit.c.number)):
            detail = b'{"address":"192.0.2.7"}'
            assert row.detail_mac == store.cipher.mac("audit-detail", row.id.bytes + detail)
            account_id = b"" if row.account_id is None else row.account_id.bytes
            texts = [part.encode() for part in (row.actor, row.event, row.outcome)]
            moment = row.at.isoformat().encode()
            parts = [last, str(row.number).encode(), row.id.bytes, moment, account_id, *texts, row.detail_mac]
            last = store.cipher.mac("audit-chain", b"".join(len(part).to_bytes(4, "big") + part for part in parts))
            assert row.hash == last
        assert await head(transaction) == f"2:{last.hex()}"


async def test_every_head_that_was_logged_is_part_of_the_chain(store: Store) -> None:
    heads = []
    for _ in range(3):
        await note(store)
        heads.append((await check_chain(store)).head)
    assert [head.partition(":")[0] for head in heads] == ["1", "2", "3"]
    for logged in heads:
        assert (await check_chain(store, logged)).faults == ()
    other = f"2:{heads[0].partition(':')[2]}"
    assert (await check_chain(store, other)).faults == (
        f"The head {other} is not in the chain: the log was cut back or rewritten.",
    )


async def test_an_export_goes_on_after_the_last_row_that_it_has(store: Store) -> None:
    mine = new_id()
    for number in range(5):
        await note(store, f"event-{number}", mine)
    seen: list[tuple[int, str, UUID | None]] = []
    while True:
        async with store.reading() as transaction:
            part = await all_entries(transaction, after=seen[-1][0] if seen else 0, limit=2)
        if not part:
            break
        assert len(part) <= 2
        seen += [(number, entry.event, entry.account_id) for number, entry in part]
    assert seen == [(number + 1, f"event-{number}", mine) for number in range(5)]


async def test_a_chain_that_ends_by_a_root_that_nobody_has_is_found(store: Store) -> None:
    await note(store)
    faults = await tampered(store, update(audit_chain).values(root=99))
    assert {"The chain's start was changed.", "The chain's end is not keyed by the root in use."} <= set(faults)


async def test_details_swapped_between_rows_are_found(store: Store) -> None:
    await note(store)
    await note(store)
    async with store.reading() as transaction:
        first, second = await transaction.rows(select(audit.c.sealed).order_by(audit.c.number))
    async with store.transaction() as transaction:
        await transaction.execute(update(audit).where(audit.c.number == 1).values(sealed=second.sealed))
    assert await tampered(store, update(audit).where(audit.c.number == 2).values(sealed=first.sealed))


async def test_cutting_the_log_back_to_an_earlier_state_is_found_by_a_logged_head(store: Store) -> None:
    await note(store)
    async with store.reading() as transaction:
        earlier = await transaction.first(select(audit_chain))
    assert earlier is not None
    await note(store)
    logged = (await check_chain(store)).head
    async with store.transaction() as transaction:
        await transaction.execute(delete(audit).where(audit.c.number == 2))
        await transaction.execute(
            update(audit_chain).values(head_number=earlier.head_number, head_hash=earlier.head_hash)
        )
    assert (await check_chain(store)).faults == (), "a consistent earlier state looks whole by itself"
    (fault,) = (await check_chain(store, logged)).faults
    assert logged in fault


async def test_ageing_deletes_from_the_start_and_the_rest_stays_whole(store: Store, clock: ManualClock) -> None:
    await note(store, "old")
    await note(store, "old")
    clock.advance(days=300)
    await note(store, "young")
    clock.advance(days=101)
    async with store.transaction() as transaction:
        assert await purge(transaction, timedelta(days=400)) == 2
    report = await check_chain(store)
    assert (report.rows, report.faults) == (1, ())
    faults = await tampered(store, update(audit_chain).values(tail_number=3, head_number=3))
    assert "The chain's start was changed." in faults


async def test_a_clock_that_was_far_behind_takes_no_young_rows_along(store: Store, clock: ManualClock) -> None:
    await note(store, "young")
    clock.advance(days=-500)
    await note(store, "dated back")
    clock.advance(days=500)
    await note(store, "young")
    async with store.transaction() as transaction:
        assert await purge(transaction, timedelta(days=400)) == 0
    clock.advance(days=401)
    async with store.transaction() as transaction:
        assert await purge(transaction, timedelta(days=400)) == 3
    await note(store, "new")
    report = await check_chain(store)
    assert (report.rows, report.faults) == (1, ())


async def test_two_that_age_at_once_leave_a_whole_chain(store: Store, clock: ManualClock) -> None:
    """Another process deletes further while this one waits for the chain: what it had chosen then is gone."""
    for _ in range(6):
        await note(store, "old")
        clock.advance(days=10)
    clock.advance(days=400)

    async def age(retention: timedelta) -> None:
        async with store.transaction() as transaction:
            await purge(transaction, retention)

    if store.engine.dialect.name == "sqlite":
        await asyncio.gather(age(timedelta(days=440)), age(timedelta(days=420)))
    else:
        async with store.transaction() as transaction:
            await purge(transaction, timedelta(days=420))
            late = asyncio.create_task(age(timedelta(days=440)))
            await others_wait(transaction)
        await late
    report = await check_chain(store)
    assert (report.rows, report.faults) == (2, ())


async def test_a_deleted_account_leaves_a_whole_chain_without_details(store: Store) -> None:
    async with store.transaction() as transaction:
        mine = await account.create(transaction, "mine@example.org", "phc")
    assert mine is not None
    await note(store, account_id=mine)
    async with store.transaction() as transaction:
        owner = await account.load(transaction, mine)
        assert owner is not None
        await account.end(transaction, owner, VISITOR)
    report = await check_chain(store)
    assert report.faults == ()
    async with store.reading() as transaction:
        assert all(entry.detail == {} for _, entry in await all_entries(transaction) if entry.account_id == mine)


async def test_an_account_sees_its_own_events_of_ninety_days(store: Store, clock: ManualClock) -> None:
    mine, other = new_id(), new_id()
    await note(store, "too-old", mine)
    clock.advance(days=91)
    now = clock()
    await note(store, "seen", mine)
    await note(store, "foreign", other)
    async with store.reading() as transaction:
        entries = await entries_of(transaction, mine, timedelta(days=90))
    assert [(one.event, one.at, one.account_id) for one in entries] == [("seen", now, mine)]


async def test_a_log_without_its_ends_is_found(store: Store) -> None:
    assert (await check_chain(store)).faults == (), "nothing was written yet"
    assert (await check_chain(store, "1:00")).faults, "but somebody knows of a row"
    await note(store)
    assert await tampered(store, delete(audit_chain)) == ("The chain's ends are missing.",)


async def test_pages_show_each_event_once(store: Store) -> None:
    mine = new_id()
    for number in range(7):
        await note(store, f"event-{number}", mine)
        await note(store, f"event-{number}", new_id())
    for limit in (1, 2, 3, 7, 8):
        seen, before = [], None
        for _ in range(10):
            async with store.reading() as transaction:
                entries, before = await page_of(transaction, mine, timedelta(days=1), before=before, limit=limit)
            assert len(entries) <= limit
            seen += [entry.event for entry in entries]
            if before is None:
                break
        assert seen == [f"event-{number}" for number in reversed(range(7))], limit
    async with store.reading() as transaction:
        entries, _ = await page_of(
            transaction, mine, timedelta(days=1), before=None, limit=9, events=("event-3", "event-5", "none")
        )
    assert [entry.event for entry in entries] == ["event-5", "event-3"]


async def test_a_detail_that_was_sealed_anew_is_found(store: Store) -> None:
    """By somebody who has the key of fields and not the root of the chain."""
    await note(store)
    async with store.transaction() as transaction:
        row = (await transaction.execute(select(audit))).one()
        forged = transaction.cipher.seal(b'{"address":"203.0.113.9"}', Place("audit", "sealed", row.id, row.id))
        await transaction.execute(update(audit).values(sealed=forged))
    assert (await check_chain(store)).faults == ("Row 1's detail was changed.",)
