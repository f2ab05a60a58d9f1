"""When a car's own schedules come next."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import example, given, strategies as st
import pytest

from custom_components.teslafi.tesla.next_event import car_zone, next_charge, next_preconditioning
from custom_components.teslafi.tesla.schedules import charge_times, occurrences, plans_of
from custom_components.teslafi.tesla.snapshot import (
    ChargeSchedule,
    ChargeScheduleData,
    PreconditioningScheduleData,
    PreconditionSchedule,
    Snapshot,
)

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=BERLIN)
SUNDAYS, MONDAYS, EVERY_DAY = 0b1, 0b10, 0b111_1111


def charge(days: int | None, minutes: int | None, *, enabled: bool = True, start: bool = True) -> ChargeScheduleData:
    """Return data with one charge schedule."""
    schedule = ChargeSchedule(days_of_week=days, start_time=minutes, enabled=enabled, start_enabled=start)
    return ChargeScheduleData(charge_schedules=(schedule,))


@pytest.mark.parametrize(
    ("days", "minutes", "expected"),
    [
        (EVERY_DAY, 23 * 60, datetime(2026, 11, 23, 23, 0, tzinfo=BERLIN)),
        (EVERY_DAY, 6 * 60, datetime(2026, 11, 24, 6, 0, tzinfo=BERLIN)),
        (MONDAYS, 12 * 60, datetime(2026, 11, 30, 12, 0, tzinfo=BERLIN)),
        (MONDAYS, 12 * 60 + 1, datetime(2026, 11, 23, 12, 1, tzinfo=BERLIN)),
        (SUNDAYS, 0, datetime(2026, 11, 29, 0, 0, tzinfo=BERLIN)),
        (0, 6 * 60, datetime(2026, 11, 24, 6, 0, tzinfo=BERLIN)),
        (None, 6 * 60, datetime(2026, 11, 24, 6, 0, tzinfo=BERLIN)),
        (EVERY_DAY, None, None),
        (EVERY_DAY, 24 * 60, None),
        (EVERY_DAY, -1, None),
    ],
)
def test_the_next_start_of_a_schedule(days: int | None, minutes: int | None, expected: datetime | None) -> None:
    """Bit 0 of the days is Sunday; no day at all is a single time, the next one."""
    assert next_charge(charge(days, minutes), MONDAY, BERLIN) == expected


def test_what_is_switched_off_does_not_come() -> None:
    """The schedule as a whole, or its start."""
    assert next_charge(charge(EVERY_DAY, 0, enabled=False), MONDAY, BERLIN) is None
    assert next_charge(charge(EVERY_DAY, 0, start=False), MONDAY, BERLIN) is None
    assert next_charge(ChargeScheduleData(), MONDAY, BERLIN) is None


def test_the_earliest_of_several_preconditionings() -> None:
    """Of those that are switched on."""
    schedules = tuple(
        PreconditionSchedule(days_of_week=EVERY_DAY, precondition_time=minutes, enabled=enabled)
        for minutes, enabled in ((15 * 60, False), (17 * 60, True), (8 * 60, True))
    )
    data = PreconditioningScheduleData(precondition_schedules=schedules)
    assert next_preconditioning(data, MONDAY, BERLIN) == datetime(2026, 11, 23, 17, 0, tzinfo=BERLIN)


def test_a_schedule_keeps_its_time_of_day_when_the_clocks_change() -> None:
    """Six o'clock is six o'clock in winter too."""
    saturday = datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN)
    due = next_charge(charge(EVERY_DAY, 6 * 60), saturday, BERLIN)
    assert due is not None
    assert due.isoformat() == "2026-10-25T06:00:00+01:00"


@given(
    st.integers(0, EVERY_DAY),
    st.integers(0, 24 * 60 - 1),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds it
    st.sampled_from([BERLIN, ZoneInfo("America/Los_Angeles"), timezone(timedelta(hours=10)), UTC]),
)
def test_what_comes_next_is_ahead_on_its_day_at_its_time(
    days: int, minutes: int, after: datetime, zone: ZoneInfo | timezone
) -> None:
    """For any days, time, moment and zone; a gap of summer time moves nothing."""
    due = next_charge(charge(days, minutes), after, zone)
    assert due is not None
    assert after < due <= after + timedelta(days=8, hours=2)
    assert (due.hour, due.minute) == divmod(minutes, 60)
    assert days == 0 or days >> (due.isoweekday() % 7) & 1


def test_the_cars_clock_is_homes_where_both_agree() -> None:
    """Elsewhere, and with an offset no clock has, there is only the offset or home."""
    assert car_zone(3600, MONDAY, BERLIN) is BERLIN
    assert car_zone(None, MONDAY, BERLIN) is BERLIN
    assert car_zone(1e11, MONDAY, BERLIN) is BERLIN
    assert car_zone(-28800, MONDAY, BERLIN) == timezone(timedelta(hours=-8))


TIMES = st.integers(0, 24 * 60 - 1)


@given(
    start=st.none() | TIMES,
    end=TIMES,
    moved=st.integers(-7 * 24 * 60, 7 * 24 * 60),
    day=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001 - local, the zone comes with it
    both=st.booleans(),
)
@example(start=110, end=0, moved=0, day=datetime(2026, 3, 29), both=False)  # noqa: DTZ001 - as above; an hour is missing
def test_moving_an_event_never_changes_its_kind(
    start: int | None, end: int, moved: int, day: datetime, both: bool
) -> None:
    """Whatever is moved to whenever, over the nights when clocks change as well: start, end or window stay that."""
    schedule = ChargeSchedule(
        id=1,
        enabled=True,
        days_of_week=EVERY_DAY,
        start_enabled=start is not None,
        start_time=start,
        end_enabled=start is None or both,
        end_time=end,
    )
    snapshot = Snapshot(charge_schedule_data=ChargeScheduleData(charge_schedules=(schedule,)))
    (plan,) = plans_of(snapshot)
    since = day.replace(tzinfo=BERLIN)
    begin, until = next(occurrences(plan, since, since + timedelta(days=9), BERLIN))
    # As Home Assistant's page does: both by as much, in real time
    later = timedelta(minutes=moved)
    begin, until = (((moment.astimezone(UTC)) + later).astimezone(BERLIN) for moment in (begin, until))
    sent = charge_times(begin, until, plan)
    assert ("start_time" in sent, "end_time" in sent) == (schedule.start_enabled, schedule.end_enabled)
