"""What charges cost, what they took from the supply, and what they tell of the battery."""

from dataclasses import replace
from datetime import UTC, datetime
from math import sqrt
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.journal.battery import (
    Measurement,
    capacity_of,
    health,
    median_of,
    with_drain_energy,
    with_drive_energy,
    worth,
)
from custom_components.teslafi.journal.sample import Sample
from custom_components.teslafi.journal.sessions import Charge, Drive, DriveEnergy, Parking
from custom_components.teslafi.journal.supply import Supply
from custom_components.teslafi.journal.tariff import Curve, Prices, Tariff, Window, cost_of, is_supercharger

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def charge(start: str = "2026-11-16T20:00+01:00", hours: float = 2.0, **more: object) -> Charge:
    begins = moment(start)
    values: dict[str, object] = {
        "start": begins,
        "end": begins + round(hours * 3600),
        "earliest": begins,
        "latest": begins + round(hours * 3600),
        "added_kwh": 20.0,
        "used_kwh": 22.0,
        "soc_start": 30.0,
        "soc_end": 60.0,
        "range_start_km": 150.0,
        "range_end_km": 283.3,
        "wheels": "Apollo19",
    }
    return Charge(**(values | more))  # type: ignore[arg-type]


def evenly(one: Charge, steps: int = 40) -> Curve:
    """Energy that comes evenly."""
    return [(one.start + one.seconds * n // steps, one.added_kwh * n / steps) for n in range(1, steps)]


# Costs


def test_what_is_paid_is_what_was_used_or_added_whichever_is_more() -> None:
    assert cost_of(charge(), Tariff(currency="EUR", per_kwh=0.30), UTC) == pytest.approx(6.60)
    assert cost_of(charge(used_kwh=None), Tariff(currency="EUR", per_kwh=0.30), UTC) == pytest.approx(6.00)
    assert cost_of(charge(used_kwh=19.0), Tariff(currency="EUR", per_kwh=0.30), UTC) == pytest.approx(6.00)


def test_minutes_and_sessions_cost_as_well() -> None:
    tariff = Tariff(currency="EUR", per_kwh=0.1, per_minute=0.05, session_fee=1.0)
    assert cost_of(charge(), tariff, UTC) == pytest.approx(2.2 + 6.0 + 1.0)


@pytest.mark.parametrize("windows", [(), (Window(start=0, end=0, per_minute=0.05),)])
def test_minutes_of_a_charge_that_nobody_saw_are_not_made_up(windows: tuple[Window, ...]) -> None:
    """It lies somewhere between two looks, which may be a day apart."""
    unseen = charge(hours=20, reconstructed=True)
    assert unseen.duration_s is None
    assert cost_of(unseen, Tariff(currency="EUR", per_kwh=0.1, session_fee=1.0), UTC) == pytest.approx(3.2)
    minutes = Tariff(currency="EUR", per_kwh=0.1, per_minute=0.0 if windows else 0.05, windows=windows)
    assert cost_of(unseen, minutes, UTC) is None
    assert cost_of(replace(unseen, reconstructed=False), minutes, UTC) == pytest.approx(62.2)


def test_a_window_takes_the_part_that_lies_in_it() -> None:
    one = charge("2026-11-16T21:00+01:00", hours=2)
    tariff = Tariff(currency="EUR", per_kwh=0.40, windows=[Window(start=22 * 60, end=6 * 60, per_kwh=0.20)])
    assert cost_of(one, tariff, BERLIN, evenly(one)) == pytest.approx(11 * 0.4 + 11 * 0.2)
    assert cost_of(one, tariff, BERLIN) == pytest.approx(11 * 0.4 + 11 * 0.2)


def test_a_window_over_midnight_counts_by_the_day_on_which_it_begins() -> None:
    friday = Window(start=22 * 60, end=6 * 60, days=frozenset({4}), per_kwh=0.0)
    tariff = Tariff(currency="EUR", per_kwh=1.0, windows=[friday])
    assert cost_of(charge("2026-11-21T02:00+01:00", hours=1), tariff, BERLIN) == 0.0
    assert cost_of(charge("2026-11-22T02:00+01:00", hours=1), tariff, BERLIN) == 22.0


@pytest.mark.parametrize(
    ("start", "cheap"),
    [("2026-10-25T00:30+02:00", 4 / 5), ("2026-03-29T00:30+01:00", 4 / 5)],
)
def test_daylight_saving_moves_a_window_by_the_clock_on_the_wall(start: str, cheap: float) -> None:
    """The window 0:30 to 3:30 is four hours long in October and two in March: five hours of charging from 0:30 on."""
    hours = 5 if start.startswith("2026-10") else 2.5
    one = charge(start, hours=hours)
    window = Window(start=30, end=3 * 60 + 30, per_kwh=0.0)
    cost = cost_of(one, Tariff(currency="EUR", per_kwh=1.0, windows=[window]), BERLIN, evenly(one, 100))
    assert cost == pytest.approx(22.0 * (1 - cheap), rel=0.02)


def test_a_series_of_prices_applies_by_the_quarter() -> None:
    one = charge("2026-11-16T20:00+01:00", hours=2)
    prices = Prices([one.start - 60, one.start + 3600], [0.1, 0.5], until=one.end + 60)
    assert cost_of(one, Tariff(currency="EUR", prices=prices), BERLIN, evenly(one)) == pytest.approx(
        11 * 0.1 + 11 * 0.5
    )


@pytest.mark.parametrize("gap", ["before", "after"])
def test_a_price_that_is_not_known_is_not_made_up(gap: str) -> None:
    one = charge()
    since, until = (one.start + 1800, one.end + 60) if gap == "before" else (one.start - 60, one.end - 1800)
    assert cost_of(one, Tariff(currency="EUR", prices=Prices([since], [0.1], until=until)), UTC) is None


@given(
    st.floats(0.05, 100), st.integers(0, 40 * 3600), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), max_size=8)
)
def test_one_price_costs_the_same_however_the_energy_came(
    kwh: float, seconds: int, points: list[tuple[float, float]]
) -> None:
    one = charge(hours=seconds / 3600, added_kwh=kwh, used_kwh=None)
    curve = [(one.start + round(share * one.seconds), value) for share, value in sorted(points)]
    curve = [(at, max(value for _, value in curve[: index + 1])) for index, (at, _) in enumerate(curve)]
    assert cost_of(one, Tariff(currency="EUR", per_kwh=0.25), UTC, curve) == pytest.approx(kwh * 0.25, abs=2e-4)


def test_what_is_a_supercharger() -> None:
    assert is_supercharger(charge(dc=True, charger_brand="Tesla"))
    assert is_supercharger(charge(dc=True, charger_type="Tesla"))
    assert not is_supercharger(charge(dc=True, charger_type="Combo"))
    assert not is_supercharger(charge(dc=False, charger_type="ACSingleWireCAN"))


# Supply


def supply(power: float, volts: float, amps: float, phases: int | None, *, fast: bool = False) -> Supply:
    told = Supply()
    for at in range(3):
        told = told.seen(
            Sample(
                at=at * 600,
                charger_power_kw=power,
                charger_volts=volts,
                charger_amps=amps,
                charger_phases=phases,
                fast_charger=fast,
                fast_charger_type="Combo" if fast else "ACSingleWireCAN",
            )
        )
    return told


@pytest.mark.parametrize(
    ("power", "volts", "amps", "phases", "corrected"),
    [
        (11, 230, 16, 2, 3.0),  # Tesla's word for three
        (4, 241, 5, 2, 3.0),  # the recorded one
        (1, 230, 2, 2, 3.0),  # so little that the rounding hides a phase
        (11, 230, 16, 3, 3.0),
        (11, 400, 16, 3, sqrt(3)),  # the voltage between lines
        (7, 230, 32, 1, 1.0),
        (1, 120, 12, 1, 1.0),  # 1.4 kW is told as 1
        (7, 230, 16, 2, 2.0),  # really two
        (3, 230, 13, 1, 1.0),
        (1, 230, 16, 1, None),  # nothing fits: the power counts
    ],
)
def test_phases_are_corrected(power: float, volts: float, amps: float, phases: int, corrected: float | None) -> None:
    told = supply(power, volts, amps, phases)
    assert told.corrected_phases() == (None if corrected is None else pytest.approx(corrected))
    assert not told.dc
    used = told.used_kwh()
    assert used is not None
    expected = power if corrected is None else corrected * volts * amps / 1000
    assert used[0] == pytest.approx(expected * 1200 / 3600)
    assert used[1] is (corrected is not None)


def test_direct_current_counts_by_power() -> None:
    told = supply(150, 400, 0, None, fast=True)
    assert told.dc
    assert told.used_kwh() == (50.0, False)
    assert supply(50, 400, 0, None).dc
    assert not supply(11, 230, 16, 2, fast=False).dc


# Battery


def test_a_capacity_is_energy_by_points_of_usable_charge() -> None:
    told = capacity_of(charge(added_kwh=22.5))
    assert told is not None
    assert (told.value, told.weight) == (75.0, 30.0)
    cold = capacity_of(charge(added_kwh=22.5, usable_soc_start=28.0, usable_soc_end=60.0))
    assert cold is not None
    assert cold.value == pytest.approx(22.5 / 0.32)
    assert capacity_of(charge(soc_end=49.0)) is None
    assert capacity_of(charge(reconstructed=True)) is None


def test_a_battery_is_the_weighted_median_of_its_last_ten_charges() -> None:
    charges = [charge(added_kwh=0.3 * kwh) for kwh in [80, 80, 80, 70, 71, 72, 73, 74, 75, 76, 77, 78, 10]]
    told = health(charges)
    assert told.capacity is not None
    assert (told.capacity.count, told.capacity.value) == (10, 73.5)
    assert told.capacity.low < told.capacity.value < told.capacity.high


def test_new_is_the_first_ninety_days_or_the_owners_word_and_never_the_maximum() -> None:
    first = [charge(f"2025-01-{day:02}T10:00+00:00", added_kwh=0.3 * kwh) for day, kwh in ((2, 75), (9, 90), (20, 75))]
    later = [charge(f"2026-01-{day:02}T10:00+00:00", added_kwh=0.3 * 69) for day in range(1, 12)]
    told = health([*first, *later])
    assert told.new_kwh == pytest.approx(75)
    assert told.share == pytest.approx(69 / 75)
    assert health([*first, *later], new_kwh=78.0).share == pytest.approx(69 / 78)
    assert health([]).share is None


def test_range_begins_anew_with_other_wheels() -> None:
    old = [charge(range_end_km=300.0, soc_end=60.0) for _ in range(5)]
    new = [charge(range_end_km=285.0, soc_end=60.0, wheels="Induction20")]
    told = health([*old, *new])
    assert told.range_km is not None
    assert told.range_km.count == 1
    assert told.range_km.value == pytest.approx(475)


def test_energy_of_a_drive_by_range_and_by_charge() -> None:
    value = worth([charge(added_kwh=20.0, range_start_km=150.0, range_end_km=283.3333), charge(added_kwh=20.0)])
    assert value.kwh_per_km["Apollo19"] == pytest.approx(0.15, rel=0.001)
    drive = Drive(
        start=0,
        end=600,
        earliest=0,
        latest=600,
        distance_km=10.0,
        soc_start=60.0,
        soc_end=57.0,
        range_start_km=283.3,
        range_end_km=273.3,
        wheels="Apollo19",
    )
    told = with_drive_energy(drive, value)
    assert told.energy_method is DriveEnergy.RATED_RANGE
    assert told.energy_kwh == pytest.approx(1.5, rel=0.01)
    assert told.energy_soc_kwh == pytest.approx(2.0, rel=0.01)
    assert told.wh_per_km == pytest.approx(150, rel=0.01)
    bare = with_drive_energy(replace(drive, range_start_km=None), value)
    assert (bare.energy_kwh, bare.energy_method) == (told.energy_soc_kwh, DriveEnergy.STATE_OF_CHARGE)
    nothing = with_drive_energy(drive, worth([]))
    assert (nothing.energy_kwh, nothing.energy_method, nothing.wh_per_km) == (None, None, None)


def test_a_cold_battery_hides_drain() -> None:
    value = worth([charge()])
    parking = Parking(start=0, end=36_000, earliest=0, latest=36_000, range_start_km=300.0, range_end_km=298.0)
    told = with_drain_energy(parking, value)
    assert told.drain_w == pytest.approx(30.0, rel=0.01)
    cold = Parking(start=0, end=1, earliest=0, latest=1, range_start_km=300.0, range_end_km=298.0, cold=True)
    assert with_drain_energy(cold, value).drain_kwh is None


@given(st.lists(st.tuples(st.floats(40, 110), st.floats(20, 80)), min_size=1, max_size=12))
def test_a_median_lies_within_its_spread(values: list[tuple[float, float]]) -> None:
    told = median_of([Measurement(0, value, weight) for value, weight in values])
    assert told is not None
    assert min(value for value, _ in values) <= told.low <= told.value <= told.high <= max(value for value, _ in values)
