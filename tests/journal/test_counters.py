"""Counters that the car corrects, or loses for a moment, add no energy and lose no distance."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.teslafi.journal.sample import Sample
from custom_components.teslafi.journal.sessions import Charge, Drive

from .lives import World
from .telling import in_order, tell
from .test_rules import charging, driving, parked

PLUGGED: dict[str, Any] = {"charging_state": "Complete", "soc": 90.0, "usable_soc": 90.0}


def charge(
    counter: Sequence[float], minutes: float = 1.0, energy: Sequence[float] | None = None, *, plugged: int = 3
) -> list[Sample]:
    """Return looks at a charge with this counter, while the battery gains `energy`; then the car stays plugged in."""
    real = energy or counter
    looks = [
        charging(minutes * n, kwh, range_km=250 + held / 0.15, soc=round(50 + held / 0.75))
        for n, (kwh, held) in enumerate(zip(counter, real, strict=True))
    ]
    after = PLUGGED | {"range_km": 250 + real[-1] / 0.15, "energy_added_kwh": counter[-1]}
    return [
        parked(-5, range_km=250.0),
        *looks,
        *(parked(minutes * (len(counter) + n), **after) for n in range(plugged)),
    ]


@pytest.mark.parametrize(
    ("counter", "added"),
    [
        ([0.0, 1.0, 0.6, 1.2], 1.2),  # alandtse/tesla#586, Home Assistant core#160920
        ([0.0, 15.57, 14.95, 16.4], 16.4),
        ([0.0, 520.78, 520.77], 520.77),
        ([0.0, 8.0, 7.9, 7.8, 7.7, 7.6, 8.2], 8.2),
        ([0.0, 5.0, 0.0, 5.4], 5.4),  # nothing for once
        ([0.0, 5.0, 0.0, 0.0, 5.4], 5.4),
        ([3.0, 5.0, 0.0], 5.0),  # and that is the last word
    ],
)
@pytest.mark.parametrize("minutes", [0.5, 1.0, 2.0])
def test_a_counter_that_is_corrected_is_one_charge(counter: list[float], added: float, minutes: float) -> None:
    told = tell(charge(counter, minutes))
    assert [one.added_kwh for one in told.charges] == [added]
    assert in_order(told.sessions)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.floats(0.2, 1.8), min_size=4, max_size=20),
    share=st.floats(0.55, 0.99),
    place=st.floats(0, 1),
    parked_then=st.booleans(),
)
def test_a_correction_anywhere_adds_nothing(steps: list[float], share: float, place: float, parked_then: bool) -> None:
    """Ten minutes between looks, at 11 kW: what was counted at last is what was added, or was seen before that."""
    real = list(accumulate(steps, initial=4.0))
    at = 2 + int(place * (len(real) - 3))
    lost = real[at] - real[at - 1] * share
    counter = [kwh if n < at else kwh - lost for n, kwh in enumerate(real)]
    looks = charge(counter, 10.0, real)
    if parked_then:
        looks = [
            *looks[: at + 1],
            *(
                parked(10.0 * n, **PLUGGED, range_km=250 + real[at - 1] / 0.15, energy_added_kwh=counter[at])
                for n in range(at, at + 3)
            ),
        ]
    told = tell(looks)
    (only,) = told.charges
    seen = counter[:at] if parked_then else counter
    assert only.added_kwh == pytest.approx(seen[-1] if seen else 0.0, abs=0.01)
    assert in_order(told.sessions)


@pytest.mark.parametrize("minutes", [30, 120, 600])
def test_another_charge_of_nearly_as_much_is_another_charge(minutes: int) -> None:
    """What it added is in the battery."""
    first = charge([0.0, 2.0, 4.0, 6.0], 10.0)
    later = parked(60 + minutes, **PLUGGED, range_km=250 + 11.5 / 0.15, energy_added_kwh=5.5)
    assert [one.added_kwh for one in tell([*first, later]).charges] == [6.0, 5.5]


@pytest.mark.parametrize("nothing", [0.0, None])
@pytest.mark.parametrize("looks", [1, 2])
def test_an_odometer_of_nothing_for_once_loses_no_way(nothing: float | None, looks: int) -> None:
    told = tell(
        [
            parked(0, 45000.5),
            driving(2, 45001.0),
            *(driving(3 + n, 45001.0, odometer_km=nothing) for n in range(looks)),
            driving(6, 45003.0),
            parked(8, 45004.0),
            parked(20, 45004.0),
        ]
    )
    assert [one.distance_km for one in told.drives] == [3.5]
    parking = tell([parked(0, 45000.5), parked(10, 45000.5, odometer_km=nothing), parked(20, 45010.5)])
    assert [one.distance_km for one in parking.sessions if isinstance(one, Drive)] == [10.0]
    assert not [one for one in parking.sessions if isinstance(one, Charge)]


ONCE: Mapping[str, Mapping[str, Any]] = {
    "no way": {"odometer_km": 0.0},
    "no odometer": {"odometer_km": None},
    "no energy": {"energy_added_kwh": 0.0},
    "no counter": {"energy_added_kwh": None},
    "no battery": {"soc": None, "usable_soc": None, "range_km": None},
    "no charge": {"charging_state": None},
    "no gear": {"driving": None},
    "no place": {"latitude": None, "longitude": None, "zone": None},
    "nothing of the charger": {
        "charging_state": None,
        "energy_added_kwh": None,
        "soc": None,
        "usable_soc": None,
        "range_km": None,
        "charger_power_kw": None,
        "charger_volts": None,
        "charger_amps": None,
        "charger_phases": None,
    },
    "less energy": {},
}
"""What a look says for once, beside what is true."""


@pytest.fixture(scope="module", params=["commuter", "errands"])
def week(request: pytest.FixtureRequest) -> list[Sample]:
    samples = list(World(request.param, seed=3).samples(step=90, lost=0.2, outages=1))
    return [sample for sample in samples if sample.at < samples[0].at + 7 * 86_400]


@pytest.mark.parametrize("name", ONCE)
def test_what_a_car_says_wrong_for_once_changes_no_total(week: list[Sample], name: str) -> None:
    """Among fifty looks one, driving, charging or parked: way and energy are what they are without it."""
    random = Random(name)  # noqa: S311 - it repeats itself, and keeps no secret

    def said(sample: Sample) -> Sample:
        if not sample.has_data or random.random() > 0.02:
            return sample
        less = round((sample.energy_added_kwh or 0.0) * random.uniform(0.6, 0.99), 2)
        return replace(sample, **(ONCE[name] or {"energy_added_kwh": less}))

    true, told = tell(week), tell([said(sample) for sample in week])
    assert in_order(told.sessions)
    assert sum(one.distance_km for one in told.drives) == pytest.approx(sum(one.distance_km for one in true.drives))
    assert sum(one.added_kwh for one in told.charges) == pytest.approx(
        sum(one.added_kwh for one in true.charges), rel=0.01
    )
    assert len(told.charges) == len(true.charges)
