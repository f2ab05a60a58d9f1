"""The journal's file: what it keeps, over restarts, rebuilds, imports, thinning and deletion."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import batched
import json
from pathlib import Path
import sqlite3
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, event

from custom_components.teslafi.journal.file import JournalUnusable
from custom_components.teslafi.journal.recorder import CHECKPOINT_SECONDS
from custom_components.teslafi.journal.replay import Cancelled
from custom_components.teslafi.journal.rules import current
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import CostSource
from custom_components.teslafi.journal.store import Store, move_aside
from custom_components.teslafi.polling.observation import Reason

from .conftest import VIN
from .lives import EPOCH, World
from .telling import in_order

DAY = 86_400
OTHER = "5YJ3E1EA7KF000002"


@pytest.fixture(scope="module")
def month() -> list[Sample]:
    return list(World("holiday", seed=1).samples(step=90, lost=0.3, outages=2))


def record(store: Store, samples: Iterable[Sample], vin: str = VIN, portion: int = 200) -> None:
    for some in batched(samples, portion, strict=False):
        store.record(vin, some)


def told(store: Store, vin: str = VIN) -> list[Any]:
    sessions = [*store.drives(vin), *store.charges(vin), *store.parkings(vin)]
    return [*sorted(sessions, key=lambda one: (one.start, one.end)), *store.versions(vin)]


def content(path: Path) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    connection = sqlite3.connect(path)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        query = "SELECT * FROM {} ORDER BY 1, 2"
        return {table: connection.execute(query.format(table)).fetchall() for table in tables}
    finally:
        connection.close()


def test_what_is_recorded_is_there_after_each_restart(path: Path, month: list[Sample]) -> None:
    whole = Store(path)
    whole.open()
    record(whole, month)
    whole.record(VIN, (), flush=True)
    parts = Store(path.with_name("parts.db"))
    for some in batched(month, len(month) // 20, strict=False):
        parts.open()
        record(parts, some, portion=50)
        parts.close()
    parts.open()
    assert told(parts) == told(whole)
    assert in_order(one for one in told(parts) if hasattr(one, "end"))
    assert len(parts.drives(VIN)) > 30
    assert current(parts.state(VIN)) == current(whole.state(VIN))
    whole.close()
    parts.close()


def test_a_state_that_an_earlier_version_kept_is_understood(path: Path, month: list[Sample]) -> None:
    """Version 0.1.0 left nulls out, and wrote spaces."""
    store = Store(path)
    store.open()
    record(store, month)
    store.close()
    store.open()
    known = store.state(VIN)
    store.close()
    with closing(sqlite3.connect(path)) as file, file:
        (text,) = file.execute("SELECT state FROM cars").fetchone()
        file.execute("UPDATE cars SET state = ?", (json.dumps(without_nulls(json.loads(text))),))
    store.open()
    assert known.known is not None
    assert store.state(VIN) == known
    store.close()


def without_nulls(content: object) -> object:
    if isinstance(content, dict):
        return {key: without_nulls(inner) for key, inner in content.items() if inner is not None}
    return [without_nulls(inner) for inner in content] if isinstance(content, list) else content


def test_why_a_car_was_awake_is_kept_by_its_word(path: Path) -> None:
    """The rules count the seconds of each reason: reasons are words of an enumeration."""
    store = Store(path)
    store.open()
    parked = Sample(at=EPOCH, state=Wake.ONLINE, driving=False, odometer_km=10.0, awake_because=Reason.SENTRY)
    store.record(VIN, [parked, replace(parked, at=EPOCH + 60, odometer_km=10.001)])
    known = store.state(VIN)
    store.close()
    store.open()
    assert known.watched.because == {"sentry": 60}
    assert store.state(VIN) == known
    store.close()


def test_a_rebuild_tells_the_same(store: Store, month: list[Sample]) -> None:
    record(store, month)
    store.record(VIN, (), flush=True)
    before, state = told(store), store.state(VIN)
    store.rebuild(VIN)
    assert told(store) == before
    assert store.state(VIN) == state
    assert store.drives(VIN, EPOCH, EPOCH + DAY) == [one for one in store.drives(VIN) if one.start < EPOCH + DAY]


def test_two_cars_do_not_meet(store: Store, month: list[Sample]) -> None:
    for mine, others in zip(month[:600], World("errands", seed=9).samples(), strict=False):
        store.record(VIN, [mine])
        store.record(OTHER, [others])
    alone = Store(store.path.with_name("alone.db"))
    alone.open()
    record(alone, month[:600])
    assert told(alone) == told(store)
    alone.close()


def test_what_is_seen_of_many_cars_is_one_transaction(store: Store, month: list[Sample]) -> None:
    """A disk is made to write once for all cars of an account, and not once for each."""
    commits: list[Connection] = []
    event.listen(store._open_engine(), "commit", commits.append)  # noqa: SLF001 - counted from below
    told_of = store.record_all({VIN: month[:300], OTHER: month[:300]})
    assert len(commits) == 1
    assert told_of[VIN] == told_of[OTHER]
    assert told(store) == told(store, OTHER)
    assert told(store)
    store.record_all({VIN: (), OTHER: ()})
    assert len(commits) == 1


def test_what_is_read_together_is_of_one_moment(store: Store, month: list[Sample]) -> None:
    """Over one connection, whatever is written meanwhile; and what was reckoned by old rows is not kept."""
    half = len(month) // 2
    record(store, month[:half])
    checkouts: list[object] = []
    event.listen(store._open_engine(), "checkout", lambda *args: checkouts.append(args))  # noqa: SLF001 - counted from below
    with store.together():
        before = store.charges(VIN)
        assert before
        writer = threading.Thread(target=record, args=(store, month[half:]))
        writer.start()
        writer.join()
        checkouts.clear()
        assert store.charges(VIN) == before
        worth = store.worth(VIN)
        assert store.health(VIN).capacity is not None
        assert not checkouts
    assert len(store.charges(VIN)) > len(before)
    assert store.worth(VIN) != worth


def test_what_one_transaction_could_not_take_is_written_with_the_next(path: Path, month: list[Sample]) -> None:
    store, whole = Store(path), Store(path.with_name("whole.db"))
    store.open()
    whole.open()
    refuses = [True]

    def refuse(_connection: Connection) -> None:
        if refuses:
            raise sqlite3.OperationalError("disk I/O error")

    event.listen(store._open_engine(), "commit", refuse)  # noqa: SLF001 - a disk that fails, from below
    with pytest.raises(JournalUnusable):
        store.record_all({VIN: month[:200], OTHER: month[:100]})
    refuses.clear()
    store.record_all({VIN: month[200:300], OTHER: ()})
    whole.record_all({VIN: month[:300], OTHER: month[:100]})
    for vin in (VIN, OTHER):
        assert store.samples(vin) == whole.samples(vin)
        assert told(store, vin) == told(whole, vin)
    store.close()
    whole.close()


def test_a_file_that_is_begun_anew_knows_its_own_cars_and_words(store: Store, month: list[Sample]) -> None:
    """What stood in the damaged file that was moved aside says nothing about the numbers of the new one."""
    store.record_all({OTHER: month[:600], VIN: month[:600]})
    store.abandon()
    move_aside(store.path)
    store.open()
    store.record(VIN, month[:600])
    kept, versions = store.samples(VIN), store.versions(VIN)
    store.close()
    again = Store(store.path)
    again.open()
    assert again.samples(VIN) == kept
    assert again.versions(VIN) == versions
    assert any(sample.software for sample in kept)
    assert again.vins() == [VIN]
    again.close()


@pytest.mark.parametrize(("ahead", "looks"), [(2 * DAY, 1), (20 * DAY, 20), (400 * DAY, 1), (70 * 365 * DAY, 20)])
def test_a_clock_that_was_ahead_hides_nothing_that_comes(
    path: Path, month: list[Sample], ahead: int, looks: int
) -> None:
    """Some looks among others are dated far ahead; what comes of it all is what was without them."""
    month = month[:2400]
    middle = next(n for n, sample in enumerate(month) if n > len(month) // 2 and sample.has_data)
    store, right = Store(path), Store(path.with_name("right.db"))
    for one, wrong in ((store, True), (right, False)):
        one.open()
        for some in batched(month[:middle], 200, strict=False):
            one.record(VIN, some, now=some[-1].at)
        seen = month[middle : middle + looks]
        if wrong:
            one.record(VIN, [replace(sample, at=sample.at + ahead) for sample in seen], now=seen[-1].at)
        for some in batched(month[middle + looks :], 200, strict=False):
            one.record(VIN, some, now=some[-1].at)
        one.record(VIN, (), flush=True)
    assert told(store) == told(right)
    assert store.state(VIN) == right.state(VIN)
    store.rebuild(VIN)
    assert told(store) == told(right)
    store.close()
    right.close()


def test_a_clock_that_is_behind_drops_nothing(store: Store, month: list[Sample]) -> None:
    """Home Assistant's is at 1970 or a year late: the car's own clock counts, and so does what it said before."""
    for place, some in enumerate(batched(month[:2000], 200, strict=False)):
        store.record(VIN, some, now=(0, some[-1].at - 400 * DAY)[place % 2])
    looks = [sample for sample in month[:2000] if sample.has_data][:20]
    store.record(VIN, looks, now=month[2000].at)  # the same once more, days late
    store.record(VIN, (), flush=True)
    assert store.samples(VIN)[-1].at >= month[1990].at > looks[-1].at + DAY


def test_repetitions_are_left_out(store: Store, month: list[Sample]) -> None:
    record(store, month)
    kept = store.samples(VIN)
    assert len(kept) < len(month) / 4
    assert store.samples(VIN, kept[5].at, kept[9].at) == kept[5:9]


def test_brought_in_history_is_told_as_if_it_had_been_seen(path: Path, month: list[Sample]) -> None:
    """Older samples come in after newer ones; the sessions are those of one life, and own records stay."""
    middle = EPOCH + 20 * DAY
    store, whole = Store(path), Store(path.with_name("whole.db"))
    store.open()
    whole.open()
    record(store, (sample for sample in month if sample.at >= middle))
    store.record(VIN, (), flush=True)
    own = store.samples(VIN)
    done = store.bring_in(VIN, (sample for sample in month if sample.at < middle))
    assert (done.covered, done.taken) == (0, sum(sample.at < middle for sample in month))
    record(whole, month)
    whole.record(VIN, (), flush=True)
    assert told(store) == told(whole)
    assert [sample for sample in store.samples(VIN) if sample.at >= middle] == own
    store.close()
    whole.close()


def test_bringing_in_twice_changes_nothing(store: Store, month: list[Sample]) -> None:
    store.bring_in(VIN, month)
    before, sessions = content(store.path), told(store)
    store.bring_in(VIN, month)
    assert told(store) == sessions
    assert content(store.path) == before
    store.bring_in(VIN, [sample for sample in month if EPOCH + 8 * DAY <= sample.at < EPOCH + 12 * DAY])
    assert told(store) == sessions


def test_a_day_at_a_time_comes_in_as_the_whole(store: Store, month: list[Sample]) -> None:
    """Days in any order, and one of them twice: the sessions are those of one import."""
    some = [sample for sample in month if sample.at < EPOCH + 8 * DAY]
    whole = Store(store.path.with_name("whole.db"))
    whole.open()
    whole.bring_in(VIN, some)
    for day in (0, 1, 4, 5, 2, 3, 7, 6, 4):
        first, last = EPOCH + day * DAY, EPOCH + (day + 1) * DAY
        store.bring_in(VIN, (sample for sample in some if first <= sample.at < last))
    assert told(store) == told(whole)
    whole.close()


def test_own_records_win(store: Store, month: list[Sample]) -> None:
    record(store, month)
    store.record(VIN, (), flush=True)
    before = told(store)
    others = World("errands", seed=4).samples()
    inside = [s for s in others if month[2000].at <= s.at <= month[2400].at]
    done = store.bring_in(VIN, inside[:200])
    assert done.covered > 0
    assert done.taken < done.read
    assert in_order(one for one in told(store) if hasattr(one, "end"))
    assert len(told(store)) >= len(before) - 2


@pytest.mark.parametrize("how", ["cancelled", "broken"])
def test_half_an_import_is_none(store: Store, month: list[Sample], how: str) -> None:
    record(store, month[-2000:])
    store.record(VIN, (), flush=True)
    before = content(store.path)

    def samples() -> Iterator[Sample]:
        yield from month[:12_000]
        if how == "broken":
            raise ValueError("line 12001")

    with pytest.raises((Cancelled, ValueError)):
        store.bring_in(VIN, samples(), cancelled=lambda: how == "cancelled")
    assert content(store.path) == before
    record(store, [Sample(at=month[-1].at + 60, odometer_km=99_999.0, driving=False, charging_state="Disconnected")])


def two_months() -> list[Sample]:
    first, second = (World("commuter", seed=seed).samples(step=150) for seed in (2, 3))
    return [*first, *_later(second, 30 * DAY)]


def test_thinning_leaves_sessions_and_a_rebuild_too(store: Store) -> None:
    samples = two_months()
    record(store, samples)
    store.record(VIN, (), flush=True)
    before, many = told(store), len(store.samples(VIN))
    now = (EPOCH + 45 * DAY) // CHECKPOINT_SECONDS * CHECKPOINT_SECONDS + 10
    assert store.thin(now + 400 * DAY, days=100) == 0
    assert store.thin(now, days=0) > 0
    assert store.thin(now, days=0) == 0
    assert len(store.samples(VIN)) < many
    assert told(store) == before
    store.rebuild(VIN)
    assert told(store) == before


def test_each_car_keeps_details_as_long_as_its_owner_wants(store: Store) -> None:
    samples = two_months()
    for vin in (VIN, OTHER):
        record(store, samples, vin)
        store.record(vin, (), flush=True)
    before, kept = store.samples(VIN), store.samples(OTHER)
    now = (EPOCH + 60 * DAY) // CHECKPOINT_SECONDS * CHECKPOINT_SECONDS + 10
    assert store.thin(now, days=28, of={OTHER: None}) == 0, "nobody has said what the owner of the first one wants"
    assert store.thin(now, of={VIN: 28, OTHER: None}) > 0
    assert len(store.samples(VIN)) < len(before)
    assert store.thin(now, of={VIN: 28}) == 0
    assert store.samples(OTHER) == kept
    assert told(store) == told(store, OTHER)


def _later(samples: Iterable[Sample], seconds: int) -> Iterator[Sample]:
    for sample in samples:
        yield replace(sample, at=sample.at + seconds)


def test_a_deleted_car_is_not_in_the_file_anymore(store: Store, month: list[Sample]) -> None:
    record(store, month[:3000])
    record(store, month[:500], vin=OTHER)
    store.delete(VIN)
    assert store.vins() == [OTHER]
    assert told(store) == []
    assert VIN.encode() not in store.path.read_bytes()
    others = told(store, OTHER)
    record(store, month[:3000])
    assert len(store.drives(VIN)) > 0
    assert told(store, OTHER) == others


def test_the_owners_words_outlive_a_rebuild(store: Store, month: list[Sample]) -> None:
    record(store, month)
    drive, charge = store.drives(VIN)[3], store.charges(VIN)[1]
    assert store.tag_drive(VIN, drive.start, "business")
    assert not store.tag_drive(VIN, drive.start + 1, "none")
    assert store.set_cost(VIN, charge.start, 12.5, "EUR", CostSource.OWNER)
    assert store.set_cost(VIN, charge.start, 3.0, "EUR", CostSource.TARIFF)
    store.rebuild(VIN)
    assert [one.tag for one in store.drives(VIN)].count("business") == 1
    assert store.drives(VIN)[3].tag == "business"
    again = store.charges(VIN)[1]
    assert (again.cost, again.currency, again.cost_source) == (12.5, "EUR", CostSource.OWNER)
    assert store.tag_drive(VIN, drive.start, None)
    assert store.set_cost(VIN, charge.start, None, "", CostSource.OWNER)
    assert store.drives(VIN)[3].tag is None
    assert store.charges(VIN)[1].cost is None


def test_the_file_is_its_owners_alone(store: Store, month: list[Sample]) -> None:
    record(store, month[:100])
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in store.path.parent.iterdir()}
    assert set(modes.values()) == {"0o600"}
    assert len(modes) == 3


def test_a_backup_needs_the_one_file_alone(store: Store, month: list[Sample], tmp_path: Path) -> None:
    record(store, month[:5000])
    store.checkpoint()
    copied = tmp_path / "copied.db"
    copied.write_bytes(store.path.read_bytes())
    copy = Store(copied)
    copy.open()
    assert told(copy) == told(store)
    copy.close()
