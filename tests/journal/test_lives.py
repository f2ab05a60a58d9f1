"""Random lives seen through random losses: what the journal tells is what was, within the stated errors."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from random import Random
from typing import Final, TypedDict

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.teslafi.journal.battery import with_drive_energy, worth
from custom_components.teslafi.journal.sample import Sample
from custom_components.teslafi.journal.sessions import Kind
from tests.bench.policy.lives import LIVES

from .lives import CAPACITY_KWH, EPOCH, KWH_PER_KM, World
from .telling import Told, in_order, tell

DISTANCE: Final = 0.002
ADDED: Final = 0.02
DRIVEN: Final = 0.06


class Losses(TypedDict, total=False):
    """How `World.samples` loses polls."""

    step: float
    lost: float
    outages: int
    hours: float


LOSSES: Final[Mapping[str, Losses]] = {
    "all polls": {},
    "half of the polls": {"lost": 0.5},
    "one poll of ten": {"lost": 0.9},
    "nights without polls": {"lost": 0.3, "step": 110.0, "outages": 12, "hours": 8.0},
}


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("name", [name for name in LIVES if name != "parked"])
def test_totals_are_true(name: str, losses: str) -> None:
    world = World(name, seed=5, days=9)
    samples = list(world.samples(seed=3, **LOSSES[losses]))
    told = tell(samples)
    seen = [sample.at - EPOCH for sample in samples if sample.has_data]
    km, added, driven = world.truth.between(seen[0], seen[-1])
    assert sum(drive.distance_km for drive in told.drives) == pytest.approx(km, rel=DISTANCE)
    assert sum(charge.added_kwh for charge in told.charges) == pytest.approx(added, rel=ADDED, abs=0.05)
    told_worth = worth(told.charges)
    if told_worth.kwh_per_km:
        energy = sum(with_drive_energy(drive, told_worth).energy_kwh or 0.0 for drive in told.drives)
        assert energy == pytest.approx(driven, rel=DRIVEN)
        assert told_worth.kwh_per_km["Apollo19"] == pytest.approx(KWH_PER_KM, rel=0.01)
    if told_worth.capacity_kwh:
        assert told_worth.capacity_kwh == pytest.approx(CAPACITY_KWH, rel=0.05)
    assert in_order(told.sessions)


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("name", ["commuter", "errands", "holiday", "throttling"])
def test_starts_and_ends_are_within_the_polling_gap(name: str, losses: str) -> None:
    world = World(name, seed=8, days=6)
    samples = list(world.samples(seed=4, **LOSSES[losses]))
    told = tell(samples)
    looks = [sample.at for sample in samples if sample.has_data]
    pieces = {
        Kind.DRIVE: [piece for piece in world.truth.pieces if piece.drive],
        Kind.CHARGE: [piece for piece in world.truth.pieces if piece.added],
    }
    for session in told.closed:
        if session.kind is Kind.PARKING or session.reconstructed:
            continue
        start, end = session.start - EPOCH, session.end - EPOCH
        true = [piece for piece in pieces[session.kind] if piece.start < end and start < piece.end]
        if not true:
            continue
        for moment, really in ((session.start, true[0].start + EPOCH), (session.end, true[-1].end + EPOCH)):
            before = looks[max(bisect_left(looks, really - 1) - 1, 0)]
            after = looks[min(bisect_right(looks, really + 1), len(looks) - 1)]
            assert before - 1 <= moment <= after + 1


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(sorted(LIVES)), st.integers(0, 99), st.floats(0, 0.95), st.integers(0, 6))
def test_no_life_makes_sessions_overlap(name: str, seed: int, lost: float, outages: int) -> None:
    world = World(name, seed, days=6)
    told = tell(world.samples(step=150, lost=lost, outages=outages, hours=60, seed=seed))
    assert in_order(told.sessions)


@pytest.mark.parametrize("name", ["errands", "holiday", "sentry"])
def test_a_day_at_a_time_tells_the_same(name: str) -> None:
    samples = list(World(name, seed=2, days=6).samples(lost=0.4, outages=3))
    whole = tell(samples)
    portioned = Told()
    for day in range(7):
        first, last = EPOCH + day * 86_400, EPOCH + (day + 1) * 86_400
        portioned.feed(sample for sample in samples if first <= sample.at < last)
    assert portioned.closed == whole.closed
    assert portioned.state == whole.state


def test_what_came_twice_or_late_changes_nothing() -> None:
    samples = list(World("errands", seed=3, days=4).samples(lost=0.5))
    random = Random(1)  # noqa: S311 - a simulation
    noisy: list[Sample] = []
    for index, sample in enumerate(samples):
        noisy.append(sample)
        if random.random() < 0.3 and sample.has_data:
            earlier = [one for one in samples[max(index - 5, 0) : index + 1] if one.has_data]
            noisy.append(random.choice(earlier))
    assert tell(noisy).closed == tell(samples).closed
