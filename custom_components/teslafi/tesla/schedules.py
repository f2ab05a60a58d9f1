"""A car's own schedules as rows that a calendar can show and change. Times are the car's local ones.

Days are bits, bit 0 Sunday; the names that commands take for them are Tesla's ("Vehicle commands").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final, TypeGuard

from .snapshot import ChargeSchedule, PreconditionSchedule, Snapshot

EVERY_DAY: Final = 0b111_1111
DAY_MINUTES: Final = 24 * 60
SHORTEST: Final = 30
"""Minutes that an event without an end of its own is shown with."""
RRULE_DAYS: Final = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
COMMAND_DAYS: Final = ("SUN", "MON", "TUES", "WED", "THURS", "FRI", "SAT")


class Kind(StrEnum):
    """What a schedule does."""

    CHARGE = "charge"
    PRECONDITION = "precondition"
    OLD_CHARGE = "scheduled_charging"
    OLD_DEPARTURE = "scheduled_departure"


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule that is switched on. `begin` and `end` in minutes after local midnight; `days` are bits."""

    kind: Kind
    id: int
    name: str
    begin: int
    end: int | None
    days: int
    one_time: bool
    latitude: float | None
    longitude: float | None
    starts: bool = True
    """Whether `begin` is a start; without one it is the end by which charging stops."""


def plans_of(snapshot: Snapshot) -> list[Plan]:
    """Return the schedules that are switched on, those of older firmware among them."""
    charges = snapshot.charge_schedule_data.charge_schedules
    ready = snapshot.preconditioning_schedule_data.precondition_schedules
    found = [*map(_charge, charges), *map(_precondition, ready), *_old(snapshot)]
    return [plan for plan in found if plan is not None]


def _charge(schedule: ChargeSchedule) -> Plan | None:
    begin = schedule.start_time if schedule.start_enabled else schedule.end_time
    if not schedule.enabled or schedule.id is None or not _in_day(begin):
        return None
    both = schedule.start_enabled and schedule.end_enabled and _in_day(schedule.end_time)
    return Plan(
        Kind.CHARGE,
        schedule.id,
        schedule.name or "",
        begin,
        schedule.end_time if both else None,
        (schedule.days_of_week or 0) & EVERY_DAY,
        bool(schedule.one_time),
        schedule.latitude,
        schedule.longitude,
        bool(schedule.start_enabled),
    )


def _precondition(schedule: PreconditionSchedule) -> Plan | None:
    begin = schedule.precondition_time
    if not schedule.enabled or schedule.id is None or not _in_day(begin):
        return None
    return Plan(
        Kind.PRECONDITION,
        schedule.id,
        schedule.name or "",
        begin,
        None,
        (schedule.days_of_week or 0) & EVERY_DAY,
        bool(schedule.one_time),
        schedule.latitude,
        schedule.longitude,
    )


def _in_day(minutes: int | None) -> TypeGuard[int]:
    return minutes is not None and 0 <= minutes < DAY_MINUTES


def _old(snapshot: Snapshot) -> Iterator[Plan]:
    """Yield the one schedule of older firmware; its two kinds share a mode, so that one of them is on at most."""
    charge = snapshot.charge_state
    start = charge.scheduled_charging_start_time_minutes
    if charge.scheduled_charging_mode == "StartAt" and _in_day(start):
        yield Plan(Kind.OLD_CHARGE, 0, "", start, None, EVERY_DAY, False, None, None)  # noqa: FBT003 - a field
    departure = charge.scheduled_departure_time_minutes
    if charge.scheduled_charging_mode == "DepartBy" and _in_day(departure):
        days = 0b011_1110 if charge.preconditioning_times == "weekdays" else EVERY_DAY
        yield Plan(Kind.OLD_DEPARTURE, 0, "", departure, None, days, False, None, None)  # noqa: FBT003 - a field


def occurrences(plan: Plan, begin: datetime, end: datetime, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of each time the plan comes due within a span; a plan for one time comes due once."""
    day = begin.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    last = end.astimezone(zone)
    while day <= last:
        on_day = (plan.days or EVERY_DAY) >> (day.isoweekday() % 7) & 1
        starts = day.replace(hour=plan.begin // 60, minute=plan.begin % 60)
        ends = starts + timedelta(minutes=minutes(plan))
        if on_day and ends > begin and starts < end:
            yield starts, ends
            if plan.one_time:
                return
        day += timedelta(days=1)


def charge_times(begin: datetime, end: datetime, before: Plan | None) -> dict[str, int]:
    """Return the times of a charge schedule out of those of its event, as the command takes them.

    One that had a start alone or an end alone keeps it alone, unless its event was made longer or shorter than such
    events are shown. `begin` and `end` are in the car's zone, where a night may be an hour longer.
    """
    shown = timedelta(minutes=SHORTEST)
    lengths = (end - begin, end.astimezone(UTC) - begin.astimezone(UTC))
    start = begin.hour * 60 + begin.minute
    if before is not None and before.end is None and shown in lengths:
        return {"start_time": start} if before.starts else {"end_time": start}
    return {"start_time": start, "end_time": end.hour * 60 + end.minute}


def minutes(plan: Plan) -> int:
    """Return how long a plan lasts; an end before the begin is the next day's."""
    return SHORTEST if plan.end is None else (plan.end - plan.begin) % DAY_MINUTES or DAY_MINUTES


def rrule(days: int) -> str:
    """Return days as a recurrence rule (RFC 5545)."""
    if days in (0, EVERY_DAY):
        return "FREQ=DAILY"
    return f"FREQ=WEEKLY;BYDAY={','.join(name for bit, name in enumerate(RRULE_DAYS) if days >> bit & 1)}"


def days_of_rrule(rule: str, first: datetime) -> int | None:
    """Return the days of a recurrence rule; None for one that no car can keep."""
    parts = dict(part.split("=", maxsplit=1) for part in rule.upper().removeprefix("RRULE:").split(";") if "=" in part)
    if parts.keys() - {"FREQ", "BYDAY", "INTERVAL", "WKST"} or parts.get("INTERVAL", "1") != "1":
        return None
    if parts.get("FREQ") == "DAILY" and "BYDAY" not in parts:
        return EVERY_DAY
    if parts.get("FREQ") not in ("DAILY", "WEEKLY"):
        return None
    names = parts["BYDAY"].split(",") if "BYDAY" in parts else [RRULE_DAYS[first.isoweekday() % 7]]
    if not set(names) <= set(RRULE_DAYS):
        return None
    return sum(1 << RRULE_DAYS.index(name) for name in set(names))


def command_days(days: int, *, signed: bool) -> str | int:
    """Return days as the library takes them: bits where the command is signed, Tesla's names over REST."""
    if signed:
        return days
    if days == EVERY_DAY:
        return "ALL"
    return ",".join(name for bit, name in enumerate(COMMAND_DAYS) if days >> bit & 1)
