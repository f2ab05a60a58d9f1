"""When a car's own schedules come next."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone, tzinfo
import math
from typing import Final, Protocol

from .snapshot import ChargeScheduleData, PreconditioningScheduleData

_DAY_MINUTES: Final = 24 * 60
_EVERY_DAY: Final = 0b111_1111
_MOST_OFFSET: Final = timedelta(hours=18).total_seconds()


type Place = tuple[float, float]
"""Latitude and longitude in degrees."""


class Placed(Protocol):
    """Something that counts at a place, if it names one."""

    @property
    def latitude(self) -> float | None:
        """Degrees."""

    @property
    def longitude(self) -> float | None:
        """Degrees."""


NEAR_KM: Final = 1.0
"""How far from its place a schedule may be taken to count; cars keep one for each place."""


def next_charge(
    schedules: ChargeScheduleData, after: datetime, zone: tzinfo, place: Place | None = None
) -> datetime | None:
    """Return the next start of charging by a schedule of this place that is switched on and has a start."""
    starts = (
        _next(schedule.start_time, schedule.days_of_week, after, zone)
        for schedule in schedules.charge_schedules
        if schedule.enabled and schedule.start_enabled and counts(schedule, place)
    )
    return _earliest(starts)


def next_preconditioning(
    schedules: PreconditioningScheduleData, after: datetime, zone: tzinfo, place: Place | None = None
) -> datetime | None:
    """Return the next time for which a schedule of this place that is switched on has the car ready."""
    times = (
        _next(schedule.precondition_time, schedule.days_of_week, after, zone)
        for schedule in schedules.precondition_schedules
        if schedule.enabled and counts(schedule, place)
    )
    return _earliest(times)


def counts(schedule: Placed, place: Place | None) -> bool:
    """Say whether a schedule counts where the car is; where either place is unknown it may."""
    latitude, longitude = schedule.latitude, schedule.longitude
    if place is None or latitude is None or longitude is None:
        return True
    return _kilometers(place, (latitude, longitude)) <= NEAR_KM


def _kilometers(one: Place, other: Place) -> float:
    """Return the distance on the globe by the haversine formula."""
    north, south = math.radians(one[0]), math.radians(other[0])
    half = (
        math.sin((south - north) / 2) ** 2
        + math.cos(north) * math.cos(south) * math.sin(math.radians(other[1] - one[1]) / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(max(half, 0.0), 1.0)))


def car_zone(utc_offset: float | None, at: datetime, home: tzinfo) -> tzinfo:
    """Return the zone of the car's clock: Home Assistant's where both show the same, else the bare offset.

    The car tells its offset of the moment (`vehicle_config.utc_offset`, seconds) and not its zone, so only the first
    knows when summer time begins or ends.
    """
    if utc_offset is None or not -_MOST_OFFSET < utc_offset < _MOST_OFFSET:
        return home
    offset = timedelta(seconds=utc_offset)
    return home if at.astimezone(home).utcoffset() == offset else timezone(offset)


def _next(minutes: int | None, days_of_week: int | None, after: datetime, zone: tzinfo) -> datetime | None:
    """Return the next moment that is so many minutes after midnight on one of the days; bit 0 is Sunday.

    A schedule for one time may name no day: it is due the next time the clock shows its time.
    """
    if minutes is None or not 0 <= minutes < _DAY_MINUTES:
        return None
    days = (days_of_week or 0) & _EVERY_DAY or _EVERY_DAY
    midnight = after.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = (
        (midnight + timedelta(days=ahead)).replace(hour=minutes // 60, minute=minutes % 60) for ahead in range(8)
    )
    return next(moment for moment in moments if days >> (moment.isoweekday() % 7) & 1 and moment > after)


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
