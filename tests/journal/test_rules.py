"""The journal's rules, case by case: what was missed, what was interrupted, and what the car or its owner got wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from custom_components.teslafi.journal.rules import current
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import Charge, ChargeEnergy, Drive, Parking
from custom_components.teslafi.journal.summary import logged_share

from .telling import Told, in_order, tell

NOON = 1_800_014_400
HOUR = 3600
HOME = {"latitude": 50.0, "longitude": 8.0, "zone": "Home"}
OFFICE = {"latitude": 50.2, "longitude": 8.2, "zone": "Office"}
THREE_PHASE: dict[str, Any] = {
    "charging_state": "Charging",
    "charger_power_kw": 11.0,
    "charger_volts": 230.0,
    "charger_amps": 16.0,
    "charger_phases": 2,
}


def parked(minute: float, km: float = 100.0, **more: Any) -> Sample:  # noqa: ANN401 - of any field
    """The car stands at home, unless told otherwise."""
    values: dict[str, Any] = {
        "odometer_km": km,
        "driving": False,
        "charging_state": "Disconnected",
        "soc": 80.0,
        "usable_soc": 80.0,
        "range_km": 400.0,
        "energy_added_kwh": 0.0,
        "software": "2026.38.1",
        **HOME,
    }
    return Sample(at=NOON + round(minute * 60), state=Wake.ONLINE, **(values | more))


def driving(minute: float, km: float, **more: Any) -> Sample:  # noqa: ANN401 - the same
    """The car drives."""
    return parked(minute, km, **{"driving": True, "speed_kmh": 60.0, "zone": "", "latitude": 50.1} | more)


def charging(minute: float, added: float, **more: Any) -> Sample:  # noqa: ANN401 - the same
    """The car charges with 11 kW."""
    soc = round(50 + added / 0.75)
    return parked(
        minute,
        **THREE_PHASE
        | {"energy_added_kwh": added, "soc": float(soc), "usable_soc": float(soc), "range_km": 250 + added / 0.15}
        | more,
    )


def asleep(minute: float) -> Sample:
    """The car sleeps."""
    return Sample(at=NOON + round(minute * 60), state=Wake.ASLEEP)


def sleeping(start: int, end: int) -> Iterator[Sample]:
    """Yield that the car sleeps, each ten minutes."""
    yield from (asleep(minute) for minute in range(start, end + 1, 10))


def offline(minute: float) -> Sample:
    """The car cannot be reached."""
    return Sample(at=NOON + round(minute * 60), state=Wake.OFFLINE)


def a_drive(minute: float = 0.0, km: float = 100.0) -> Iterator[Sample]:
    """Yield a drive of ten minutes and 10 km to the office, looked at every two minutes."""
    yield parked(minute, km)
    for passed in range(2, 12, 2):
        yield driving(minute + passed, km + passed - 1, range_km=400.0 - passed)
    yield parked(minute + 12, km + 10, range_km=388.0, **OFFICE)


def closed[T](told: Told, kind: type[T]) -> list[T]:
    return [one for one in told.closed if isinstance(one, kind)]


def test_a_drive_from_place_to_place() -> None:
    told = tell([*a_drive(), parked(20, 110.0, range_km=388.0, **OFFICE)])
    (drive,) = closed(told, Drive)
    assert drive.distance_km == 10.0
    assert (drive.start_place, drive.end_place) == ("Home", "Office")
    assert drive.range_change_km == -12.0
    assert drive.range_efficiency == pytest.approx(10 / 12)
    assert drive.speed_max_kmh == 60.0
    assert NOON <= drive.start <= NOON + 120
    assert NOON + 600 <= drive.end <= NOON + 720
    assert drive.software == "2026.38.1"
    now = current(told.state)
    assert isinstance(now, Parking)
    assert (now.start, now.place) == (drive.end, "Office")


def test_a_drive_whose_end_nobody_saw_ends_with_sleep() -> None:
    """It is told when the car sleeps, and again with its whole distance at the next look; it is one drive."""
    samples = list(a_drive())[:-1]
    told = tell([*samples, asleep(30)])
    (early,) = closed(told, Drive)
    assert (early.distance_km, early.end) == (9.0, NOON + 600)
    told.feed([*sleeping(40, 120), parked(121, 111.0, range_km=386.0, **OFFICE)])
    (drive,) = closed(told, Drive)
    assert drive.start == early.start
    assert (drive.distance_km, drive.end_place) == (11.0, "Office")
    assert NOON + 600 < drive.end <= NOON + 1800
    assert drive.latest == NOON + 1800
    now = current(told.state)
    assert isinstance(now, Parking)
    assert now.asleep_s >= 90 * 60


def test_a_tunnel_does_not_end_a_drive() -> None:
    samples = list(a_drive())
    told = tell([*samples[:-1], offline(12), offline(20), driving(22, 125.0), parked(24, 127.0)])
    (drive,) = closed(told, Drive)
    assert drive.distance_km == 27.0


def test_a_car_that_stays_offline_has_arrived_until_it_says_otherwise() -> None:
    samples = list(a_drive())[:-1]
    told = tell([*samples, offline(15), offline(30)])
    assert [one.distance_km for one in closed(told, Drive)] == [9.0]
    assert isinstance(current(told.state), Parking)
    told.feed([driving(40, 140.0), parked(44, 142.0)])
    assert [one.distance_km for one in closed(told, Drive)] == [42.0]


def test_a_missed_drive_is_bounded_by_sleep_and_has_no_path() -> None:
    told = tell([parked(0), *sleeping(15, 125), Sample(at=NOON + 150 * 60, state=Wake.ONLINE)])
    told.feed([*sleeping(200, 300), parked(301, 130.0, range_km=370.0, **OFFICE)])
    (drive,) = closed(told, Drive)
    assert drive.reconstructed
    assert (drive.distance_km, drive.samples, drive.duration_s, drive.speed_mean_kmh) == (30.0, 0, None, None)
    assert (drive.earliest, drive.latest) == (NOON + 125 * 60, NOON + 200 * 60)
    assert (drive.start_place, drive.end_place) == ("Home", "Office")
    assert drive.range_change_km == -30.0
    assert in_order(told.sessions)


def test_a_missed_drive_and_charge_are_two_rows_in_the_right_order() -> None:
    told = tell(
        [
            parked(0),
            parked(600, 150.0, energy_added_kwh=15.0, soc=88.0, range_km=440.0, charging_state="Complete", **OFFICE),
        ]
    )
    drive, charge = (one for one in told.closed if not isinstance(one, Parking))
    assert isinstance(drive, Drive)
    assert isinstance(charge, Charge)
    assert drive.reconstructed
    assert charge.reconstructed
    assert (drive.distance_km, charge.added_kwh, charge.place) == (50.0, 15.0, "Office")
    told = tell([parked(0), parked(600, 150.0, energy_added_kwh=15.0, soc=88.0, range_km=440.0)])
    assert [type(one) for one in told.closed if not isinstance(one, Parking)] == [Charge, Drive]


def test_how_much_was_logged() -> None:
    told = tell([*a_drive(), parked(60, 140.0)])
    assert logged_share(closed(told, Drive)) == pytest.approx(10 / 40)
    assert logged_share([]) is None


def test_a_charge_with_three_phases() -> None:
    told = tell([parked(0, soc=50.0, range_km=250.0), *(charging(2 + step * 6, step * 1.0) for step in range(11))])
    told.feed([charging(63, 10.1, charging_state="Complete", charger_power_kw=0.0, charger_amps=0.0)])
    (charge,) = closed(told, Charge)
    assert charge.added_kwh == 10.1
    assert charge.phases == 3.0
    assert charge.used_method is ChargeEnergy.AMPERES
    assert charge.used_kwh == pytest.approx(11.04 * 10.1 / 10, rel=0.01)
    assert charge.efficiency == pytest.approx(10 / 11.04, rel=0.01)
    assert not charge.dc
    assert charge.place == "Home"


def test_unplugging_right_after_a_look_keeps_the_energy() -> None:
    """The counter stays after the session: what was added since the look before belongs to it."""
    told = tell([parked(0), charging(10, 1.0), charging(40, 6.0), parked(70, energy_added_kwh=11.5, soc=65.0)])
    (charge,) = closed(told, Charge)
    assert charge.added_kwh == 11.5
    assert NOON + 40 * 60 < charge.end <= NOON + 70 * 60
    assert [one.added_kwh for one in told.charges] == [11.5]


def test_unplugging_and_driving_off_right_after_a_look() -> None:
    told = tell([parked(0), charging(10, 1.0), charging(40, 6.0), driving(60, 102.0, energy_added_kwh=8.0)])
    (charge,) = closed(told, Charge)
    assert charge.added_kwh == 8.0
    assert isinstance(current(told.state), Drive)


def test_a_charge_that_nobody_looked_at_to_its_end() -> None:
    told = tell([parked(0), charging(10, 1.0), charging(40, 6.0), asleep(300)])
    assert [one.added_kwh for one in closed(told, Charge)] == [6.0]
    told.feed([parked(600, energy_added_kwh=20.0, charging_state="Complete", soc=77.0)])
    assert [one.added_kwh for one in closed(told, Charge)] == [20.0]
    assert closed(told, Charge)[0].end <= NOON + 300 * 60


def test_a_charge_that_is_continued_counts_on() -> None:
    """Stopped by a schedule and begun again with the cable in: two charges, no energy twice."""
    told = tell([parked(0), charging(10, 1.0), charging(40, 6.0), charging(50, 7.0, charging_state="Stopped")])
    told.feed([charging(200, 8.0), charging(230, 12.0), charging(240, 12.5, charging_state="Complete")])
    assert [one.added_kwh for one in closed(told, Charge)] == [7.0, 5.5]


def test_another_plug_counts_from_nothing() -> None:
    told = tell([parked(0), charging(10, 1.0), charging(40, 6.0), parked(50, energy_added_kwh=7.0)])
    told.feed([charging(200, 1.0), charging(230, 4.0), parked(240, energy_added_kwh=4.5)])
    assert [one.added_kwh for one in closed(told, Charge)] == [7.0, 4.5]


def test_preconditioning_at_the_cable_is_no_charge() -> None:
    told = tell([parked(0, energy_added_kwh=5.0, charging_state="Complete")])
    told.feed([parked(30, energy_added_kwh=5.2, charging_state="Complete")])
    assert closed(told, Charge) == []


@pytest.mark.parametrize("odometer", [20.0, 99_000.0, 99.5])
def test_another_computer_counts_from_elsewhere(odometer: float) -> None:
    """The odometer goes back, or on by more than a car can drive: nothing is invented, and counting goes on."""
    told = tell([*a_drive(), parked(20, odometer, **OFFICE), *a_drive(30, odometer)])
    assert [one.distance_km for one in closed(told, Drive)] == [10.0, 10.0]


def test_a_car_sold_and_bought_back() -> None:
    """What others drove meanwhile is nobody's drive."""
    months = 200 * 24 * 60
    told = tell([*a_drive(), asleep(60), *a_drive(months, 24_000.0)])
    assert [one.distance_km for one in closed(told, Drive)] == [10.0, 10.0]
    assert not any(one.reconstructed for one in told.closed)
    assert in_order(told.sessions)
    assert sum(one.seconds for one in closed(told, Parking)) < 2 * 86_400


def test_two_drives_with_a_long_stop_that_nobody_saw() -> None:
    told = tell([*list(a_drive())[:-1], driving(250, 120.0), parked(254, 122.0)])
    assert [one.distance_km for one in closed(told, Drive)] == [9.0, 13.0]


def test_a_few_meters_are_no_drive_and_are_not_lost() -> None:
    """Moved within the garage; the next drive has them."""
    told = tell([parked(0), driving(1, 100.02), parked(2, 100.03), *a_drive(10, 100.03)])
    assert [one.distance_km for one in closed(told, Drive)] == [pytest.approx(10.03, abs=0.001)]


def test_parking_tells_drain_sleep_and_why_awake() -> None:
    samples = [*a_drive()]
    samples.extend(
        parked(minute, 110.0, range_km=388.0 - (minute - 12) / 60, awake_because="sentry", **OFFICE)
        for minute in range(14, 74, 2)
    )
    samples.extend(sleeping(74, 674))
    samples.extend([parked(675, 110.0, range_km=386.5, soc=79.0, **OFFICE), driving(677, 112.0)])
    told = tell(samples)
    parking = closed(told, Parking)[-1]
    assert parking.drain_km == pytest.approx(1.5)
    assert parking.drain_soc == 1.0
    assert parking.asleep_s == pytest.approx(600 * 60, abs=600)
    assert parking.asleep_share == pytest.approx(600 / 663, rel=0.02)
    assert parking.awake_because["sentry"] == pytest.approx(3600, abs=200)
    assert parking.place == "Office"


def test_what_nobody_watched_is_neither_sleep_nor_waking() -> None:
    told = tell([parked(0), asleep(20), asleep(30), asleep(5 * 60), parked(5 * 60 + 1)])
    now = current(told.state)
    assert isinstance(now, Parking)
    assert now.asleep_s + now.awake_s < 40 * 60


def test_software_is_told_with_the_day_it_came() -> None:
    told = tell([parked(0), parked(60), parked(600, software="2026.44.2"), parked(700, software="2026.44.2")])
    assert [(one.version, one.since, one.after) for one in told.versions] == [
        ("2026.38.1", NOON, None),
        ("2026.44.2", NOON + 36_000, NOON + 3600),
    ]


def test_answers_without_some_blocks_change_nothing_else() -> None:
    """Null right after waking, a block missing: what was known still holds."""
    samples = list(a_drive())
    holes = [Sample(at=one.at + 30, state=Wake.ONLINE, odometer_km=one.odometer_km) for one in samples[1:-1]]
    mixed = sorted([*samples, *holes], key=lambda one: one.at)
    assert [one.distance_km for one in closed(tell(mixed), Drive)] == [10.0]


def test_a_clock_that_was_ahead_does_not_stop_the_journal() -> None:
    """Home Assistant's clock, a year ahead, heard of sleep; the car's own clock counts when it answers."""
    told = tell([parked(0), asleep(365 * 24 * 60), *a_drive(10)])
    assert [one.distance_km for one in closed(told, Drive)] == [10.0]
    assert in_order(told.sessions)
