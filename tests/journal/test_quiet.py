"""What is left out of what a standing car says again and again changes nothing of what is told."""

from dataclasses import replace

import pytest

from custom_components.teslafi.journal.recorder import Recorder
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import Parking, SoftwareVersion

from .lives import World
from .telling import Session, tell


@pytest.mark.parametrize("name", ["commuter", "sentry"])
def test_what_is_left_out_changes_nothing(name: str) -> None:
    samples = list(World(name, seed=4, days=5).samples(lost=0.2))
    recorder = Recorder()
    rows: dict[tuple[str, int], Session] = {}
    for sample in samples:
        recorder.see(sample)
    recorder.flush()
    kept = recorder.take_unwritten()
    for _, one in kept.closed:
        if not isinstance(one, SoftwareVersion):
            rows[one.kind, one.start] = one
    whole = tell(samples)
    assert len(kept.samples) < len(samples) / 3
    assert len(rows) == len(whole.rows)
    mine = sorted(rows.values(), key=lambda one: (one.start, one.end))
    for told, one in zip(mine, whole.closed, strict=True):
        assert told.kind is one.kind
        assert told.start == pytest.approx(one.start, abs=2)
        assert told.end == pytest.approx(one.end, abs=2)
        if isinstance(one, Parking):
            assert isinstance(told, Parking)
            assert told.asleep_s == pytest.approx(one.asleep_s, abs=120)
            assert told.awake_s == pytest.approx(one.awake_s, abs=120)


def test_what_comes_late_or_twice_is_not_kept() -> None:
    recorder = Recorder()
    first = Sample(at=1_800_000_000, state=Wake.ONLINE, odometer_km=1.0, driving=False, charging_state="Stopped")
    for at in (0, 0, -60, 60, 30):
        recorder.see(replace(first, at=first.at + at))
    recorder.flush()
    assert [sample.at - first.at for sample in recorder.take_unwritten().samples] == [0, 60]
