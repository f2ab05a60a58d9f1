"""PostgreSQL that says nothing, that is behind a pooler, that has much to forget: nobody waits long for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import delete, func, select, text
from structlog.testing import capture_logs

from teslafi_companion.audit import check_chain, record
from teslafi_companion.settings import Settings
from teslafi_companion.store import database as store_database
from teslafi_companion.store.database import Store, StoreUnreachable, create_engine, new_id
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.probe import Probe
from teslafi_companion.store.schema import migrate
from teslafi_companion.store.tables import audit, mail_link
from teslafi_companion.work.housekeeping import keep_house
from tests.chaos.valve import Valve

from .clock import ManualClock

pytestmark = pytest.mark.usefixtures("socket_enabled")
CONNECTIONS = 3
PATIENCE = 5.0
"""Seconds, far more than what is asked takes on a slow machine."""
FOR_EVER = 3600.0


@asynccontextmanager
async def behind(valve: Valve, address: str, folder: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """Give a store whose connections go through a valve, all of them open."""
    server, _, name = address.rpartition("/")
    await valve.start(int(server.rpartition(":")[2]))
    await migrated(address)
    settings = Settings(
        database=f"postgresql://companion@127.0.0.1:{valve.port}/{name}",
        database_pool=CONNECTIONS,
        key_file=folder / "key",
    )
    engine = create_engine(settings)
    store = Store(engine, settings, await open_cipher(engine, settings, clock), clock)
    try:
        await asyncio.gather(*(sleeping(store, 0.2) for _ in range(CONNECTIONS)))
        yield store
    finally:
        await valve.stop()
        await store.close()


async def migrated(address: str) -> None:
    """Make the tables, which may take as long as it takes."""
    engine = create_engine(Settings(database=address), patient=True)
    await migrate(engine)
    await engine.dispose()


async def sleeping(store: Store, seconds: float) -> None:
    async with store.reading() as transaction:
        await transaction.execute(text(f"SELECT pg_sleep({seconds})"))


async def test_who_gives_up_on_a_silent_server_takes_no_connection_to_it_again(
    postgresql_database: str, tmp_path: Path, clock: ManualClock
) -> None:
    """All but one of the pool's connections lie idle when the server vanishes: nobody waits on each of them in turn."""
    valve = Valve()
    with patch.object(store_database, "STATEMENT_SECONDS", PATIENCE):
        async with behind(valve, postgresql_database, tmp_path, clock) as store:
            valve.abandon()
            with pytest.raises(StoreUnreachable):
                await sleeping(store, 0)
            valve.flow()
            for _ in range(CONNECTIONS):
                await sleeping(store, 0)


async def test_who_gives_up_on_a_slow_server_leaves_the_others_their_connections(
    postgresql_database: str, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers others meanwhile: to open every connection anew would only keep it busier.

    The silence between two answers is what the test says, and no measure of the machine.
    """
    answers = 0

    async def asking(store: Store) -> None:
        nonlocal answers
        while True:
            await sleeping(store, 0.02)
            answers += 1

    monkeypatch.setattr(store_database, "monotonic", lambda: answers * 0.9 * store_database.SILENCE_SECONDS)
    with patch.object(store_database, "STATEMENT_SECONDS", PATIENCE):
        async with behind(Valve(), postgresql_database, tmp_path, clock) as store:
            before = await backends(store)
            others = asyncio.create_task(asking(store))
            with pytest.raises(StoreUnreachable):
                await sleeping(store, FOR_EVER)
            assert answers > 0
            others.cancel()
            await asyncio.wait([others])
            # Neither that of the one who gave up, nor that of the one who was asking when the test ended
            assert len(before & await backends(store)) >= CONNECTIONS - 2


async def backends(store: Store) -> set[int]:
    """Return the server's processes behind the connections that the pool has."""

    async def one(everybody: asyncio.Barrier) -> int:
        async with store.reading() as transaction:
            row = await transaction.first(text("SELECT pg_backend_pid()"))
            assert row is not None
            # Nobody gives the own one back before everybody has one
            await everybody.wait()
            return int(row[0])

    barrier = asyncio.Barrier(CONNECTIONS)
    return set(await asyncio.gather(*(one(barrier) for _ in range(CONNECTIONS))))


async def test_readiness_finds_a_silent_server_out_for_everybody(
    postgresql_database: str, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its patience is shorter than a statement's: a load balancer asks it all the time."""
    monkeypatch.setattr("teslafi_companion.store.probe.SECONDS", 2 * store_database.SILENCE_SECONDS)
    monkeypatch.setattr(store_database, "STATEMENT_SECONDS", FOR_EVER)
    valve = Valve()
    async with behind(valve, postgresql_database, tmp_path, clock) as store:
        valve.abandon()
        with pytest.raises(StoreUnreachable):
            await Probe(store)()
        valve.flow()
        async with asyncio.timeout(FOR_EVER / 10):
            for _ in range(CONNECTIONS):
                await sleeping(store, 0)


async def test_a_new_connection_is_not_waited_for_long(
    postgresql_database: str, tmp_path: Path, clock: ManualClock
) -> None:
    valve = Valve()
    with patch.object(store_database, "CONNECT_SECONDS", PATIENCE):
        async with behind(valve, postgresql_database, tmp_path, clock) as store:
            await store.engine.dispose()
            valve.hang()
            with pytest.raises(StoreUnreachable):
                await sleeping(store, 0)
            valve.flow()
            await sleeping(store, 0)


async def test_an_operators_command_may_take_its_time(postgresql_database: str) -> None:
    with patch.object(store_database, "STATEMENT_SECONDS", PATIENCE):
        for patient in (True, False):
            engine = create_engine(Settings(database=postgresql_database), patient=patient)
            async with engine.connect() as connection:
                if patient:
                    await connection.execute(text(f"SELECT pg_sleep({PATIENCE + 1})"))
                else:
                    with pytest.raises(TimeoutError):
                        await connection.execute(text(f"SELECT pg_sleep({FOR_EVER})"))
            await engine.dispose()


@pytest.mark.parametrize("pooled", [True, False])
async def test_behind_a_pooler_nothing_is_prepared(
    postgresql_database: str, tmp_path: Path, clock: ManualClock, *, pooled: bool
) -> None:
    """The next transaction may have another connection, on which a statement that was prepared here does not exist."""
    settings = Settings(
        database=postgresql_database, database_transaction_pooling=pooled, database_pool=1, key_file=tmp_path / "key"
    )
    engine = create_engine(settings)
    await migrate(engine)
    store = Store(engine, settings, await open_cipher(engine, settings, clock), clock)
    async with store.transaction() as transaction:
        record(transaction, "signed_in", account_id=None)
    async with store.reading(snapshot=True) as transaction:
        await transaction.execute(select(audit))
    async with store.reading() as transaction:
        names = await transaction.rows(text("SELECT name FROM pg_prepared_statements WHERE name <> ''"))
    assert (not names) is pooled
    await store.close()


async def test_what_expired_is_dropped_in_parts(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much there is after a long pause, one statement ends in time, and the chain of the audit log holds."""
    for module in ("teslafi_companion.store.database", "teslafi_companion.audit"):
        monkeypatch.setattr(f"{module}.DROPPED_AT_ONCE", 2)
    async with store.transaction() as transaction:
        for _ in range(5):
            row = {
                "id": new_id(),
                "purpose": "sign-up",
                "token_hash": new_id().bytes,
                "created_at": clock(),
                "expires_at": clock() + timedelta(hours=1),
                "sealed": b"",
            }
            await transaction.execute(mail_link.insert().values(row))
            record(transaction, "signed_in", account_id=None)
    clock.advance(seconds=timedelta(days=401).total_seconds())
    left = []
    turns = []
    for _ in range(4):
        turns.append(await keep_house(store))
        async with store.reading() as transaction:
            counts = [await transaction.first(select(func.count()).select_from(table)) for table in (mail_link, audit)]
        left.append([count[0] for count in counts if count is not None])
        assert not (await check_chain(store)).faults
    assert turns == [True, True, False, False]
    assert left == [[3, 3], [1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("removed", [{1}, {2}, {1, 2}, {2, 3}, {3, 4}, {5}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}, {7}])
async def test_a_gap_in_the_log_keeps_it_from_nothing(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, removed: set[int]
) -> None:
    """Housekeeping drops what is old around rows that somebody took out, says so, and does not turn without a rest."""
    monkeypatch.setattr("teslafi_companion.audit.DROPPED_AT_ONCE", 2)
    old, all_ = 5, 8
    async with store.transaction() as transaction:
        for _ in range(old):
            record(transaction, "signed_in", account_id=None)
    clock.advance(seconds=timedelta(days=401).total_seconds())
    async with store.transaction() as transaction:
        for _ in range(all_ - old):
            record(transaction, "signed_in", account_id=None)
    async with store.transaction() as transaction:
        await transaction.execute(delete(audit).where(audit.c.number.in_(removed)))
    with capture_logs() as said:
        turns = 0
        while await keep_house(store):
            turns += 1
    assert turns <= old
    async with store.reading() as transaction:
        left = [row.number for row in await transaction.rows(select(audit.c.number).order_by(audit.c.number))]
    assert left == [number for number in range(old + 1, all_ + 1) if number not in removed]
    gaps = [line for line in said if line["event"] == "audit_rows_missing"]
    for line in gaps:
        assert line["missing"] == len(removed & set(range(line["after"] + 1, line["up_to"] + 1)))
    told = sum(line["missing"] for line in gaps)
    faults = (await check_chain(store)).faults
    gone = {number for number in removed if number <= old}
    # What is at the end of what is old is not gone through yet: the check has it
    assert told == len(gone) or any("missing" in fault for fault in faults)
    assert bool(faults) == (told < len(removed))
    # When the rest is old as well, all of it was told
    clock.advance(seconds=timedelta(days=401).total_seconds())
    with capture_logs() as said:
        while await keep_house(store):
            pass
    told += sum(line["missing"] for line in said if line["event"] == "audit_rows_missing")
    assert told == len(removed)
    assert not (await check_chain(store)).faults
