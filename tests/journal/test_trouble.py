"""A file that cannot be used: nothing of it is overwritten, and what was seen meanwhile is written later."""

from pathlib import Path
import sqlite3
from typing import Any

import pytest
from sqlalchemy import Connection, event

from custom_components.teslafi.journal.file import (
    MIGRATIONS,
    JournalDamaged,
    JournalTooNew,
    JournalUnusable,
    open_file,
)
from custom_components.teslafi.journal.store import Store, move_aside

from .conftest import VIN
from .lives import World


def test_a_full_disk_loses_nothing(store: Store) -> None:
    samples = list(World("errands", seed=1, days=6).samples())
    full: list[bool] = []

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() if full else 1_000_000
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(store._open_engine(), "begin", limit)  # noqa: SLF001 - the disk's size is set from below
    store.record(VIN, samples[:300])
    full.append(True)
    refused = 0
    for at in range(300, 7200, 300):
        try:
            store.record(VIN, samples[at : at + 300])
        except JournalUnusable:
            refused += 1
    assert refused > 5
    full.clear()
    store.record(VIN, samples[7200:])
    kept = {sample.at for sample in store.samples(VIN)}
    other = Store(store.path.with_name("other.db"))
    other.open()
    other.record(VIN, samples)
    assert {sample.at for sample in other.samples(VIN)} == kept
    assert store.drives(VIN) == other.drives(VIN)
    other.close()


@pytest.mark.parametrize("damage", ["overwritten", "cut", "header"])
def test_a_damaged_file_is_left_as_it_is(path: Path, damage: str) -> None:
    store = Store(path)
    store.open()
    for sample in World("errands", seed=1, days=4).samples():
        store.record(VIN, [sample])
    store.close()
    data = bytearray(path.read_bytes())
    match damage:
        case "overwritten":
            data[8192 : len(data) - 4096] = bytes(len(data) - 12_288)
        case "cut":
            del data[len(data) // 2 :]
        case "header":
            data[:4] = b"oops"
    path.write_bytes(data)
    with pytest.raises(JournalDamaged):
        Store(path).open()
    assert path.read_bytes() == bytes(data)
    aside = move_aside(path)
    assert aside.read_bytes() == bytes(data)
    assert not path.exists()
    fresh = Store(path)
    fresh.open()
    assert fresh.vins() == []
    fresh.close()


def test_a_newer_file_is_left_as_it_is(path: Path) -> None:
    Store(path).open()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalTooNew):
        Store(path).open()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


@pytest.mark.parametrize("why", ["a folder", "no folder"])
def test_a_place_that_takes_no_file_is_named(tmp_path: Path, why: str) -> None:
    path = tmp_path / "journal.db"
    if why == "a folder":
        path.mkdir()
    else:
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "journal.db"
    with pytest.raises(JournalUnusable) as caught:
        Store(path).open()
    assert not isinstance(caught.value, JournalDamaged)


def test_a_migration_that_fails_changes_nothing(store: Store) -> None:
    for sample in World("errands", seed=1, days=2).samples():
        store.record(VIN, [sample])
    drives = store.drives(VIN)
    store.close()

    def half(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE drives ADD COLUMN weather TEXT")
        connection.exec_driver_sql("DELETE FROM charges")
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(JournalUnusable):
        open_file(store.path, (*MIGRATIONS, half))
    store.open()
    assert store.drives(VIN) == drives


def test_a_migration_happens_once(store: Store) -> None:
    store.close()
    ran: list[Any] = []

    def step(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE more (a INTEGER)")
        ran.append(connection)

    for _ in range(2):
        open_file(store.path, (*MIGRATIONS, step)).dispose()
    assert len(ran) == 1
