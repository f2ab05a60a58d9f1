"""What is learnt of one car by watching it: how soon it sleeps, where it stops how long, when it leaves.

Everything is bounded in size, kept over restarts, and harmless when wrong: it moves looks, it never adds rights.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
import math
from typing import Any, Final, Self

SLEEPS_KEPT: Final = 20
QUANTILE: Final = 0.25
"""A low one: what kept the car awake unseen made its silence longer, nothing makes it shorter."""
SHORTEST: Final = 300.0
LONGEST: Final = 2700.0
MARGIN: Final = 120.0
MARGIN_SHARE: Final = 0.2

SHORT_STOP: Final = 960.0
"""A stop of at most so many seconds is a short one: most cars do not fall asleep in it."""
STOPS_KEPT: Final = 30
STOPS_NEEDED: Final = 5
STOP_MOST: Final = 3600.0
STOP_WATCH: Final = 900.0
"""Seconds to look out for the end of a stop while little is known of stops."""
STOP_WATCHES: Final = (60.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0, 900.0, 1200.0, 1500.0, 2100.0, 2700.0)
STOP_WATCH_COSTS: Final = 1 / 60_000
"""A second of watching, in drives seen late: sixty thousand seconds are worth one."""
PLACES_KEPT: Final = 12
PLACE_RADIUS: Final = 250.0
"""Meters."""
UNKNOWN: Final = 3.0
"""Stops up to which a place may be anything."""
DRIVES_KEPT: Final = 8
DRIVES_NEEDED: Final = 4
DRIVE_SURE: Final = 0.9
"""Share of the shortest drive from a place that a drive from there lasts at least."""
STOPS_COUNTED: Final = 20.0
"""From so many stops on, older ones fade."""
CHARGED: Final = 0.04
"""Share of stops with a charge that makes a place one where the car is charged."""
METERS_A_DEGREE: Final = 111_320.0

CHECKS_KEPT: Final = 8
HOUR: Final = 3600.0
CHECK_LEAST: Final = 900.0
CHECK_MOST: Final = 7200.0

CHECK_LOOSE: Final = 200.0
CHECK_ALIKE: Final = 0.6
"""Share of the distances known that must be about the same; else they were no checks by a clock."""
CHECK_PERIODS: Final = 12

DAY: Final = 1440
WEEK: Final = 10_080
"""Minutes. Habits are told in local minutes since Monday, January 5, 1970."""
WORKING_DAYS: Final = 5
DAYS_A_WEEK: Final = 7
DEPARTURES_KEPT: Final = 128
WEEKS_REMEMBERED: Final = 5
NEAR: Final = 15
"""Minutes around a departure in which another one is habitual."""
HABITUAL: Final = 0.4
"""Share of the weeks in which the car left around a time that makes it a habit."""
NEW_WEEKS: Final = 1.5
"""Weeks up to which other days of the week stand in for this one."""
AROUND: Final = 60
"""Minutes around a departure on a day alike in which the car may well leave."""
SPREADS: Final = ((8.0, 0.4), (20.0, 0.35), (60.0, 0.25))
"""Minutes by which the next departure may be off a known one, and the share of departures to which that applies."""
OWN_DAY: Final = 0.8
"""How much more the same day of the week tells than other days alike, once it is known."""
OWN_DAY_WEEKS: Final = 2.5
"""Weeks from which on a day of the week is known."""
RARE: Final = 0.02 / DAY
"""Departures a minute that are expected at any time, whatever is known."""
MORNING: Final = 6 * 60
NIGHT: Final = 22 * 60


VIN_LENGTH: Final = 17


class Kind(StrEnum):
    """Kinds of cars by how they fall asleep."""

    CURRENT = "current"
    OLDER = "older"
    """Model S and X before 2021, which need longer."""


def kind_of(vin: str) -> Kind:
    """Return a car's kind by its VIN: the fourth character is the model, the tenth the model year (L is 2020)."""
    older = len(vin) == VIN_LENGTH and vin[3] in "SX" and vin[9] in "CDEFGHJKL"
    return Kind.OLDER if older else Kind.CURRENT


DEFAULT_SILENCE: Final[Mapping[Kind, float]] = {Kind.CURRENT: 900.0, Kind.OLDER: 1500.0}
"""Seconds of silence for a car of which nothing is known yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the car has parked, and what came of it. Counts fade, so they are no whole numbers."""

    latitude: float
    longitude: float
    stops: float = 0.0
    short: float = 0.0
    charged: float = 0.0
    drives: tuple[float, ...] = ()
    """Seconds of the last drives that began here."""

    def distance(self, place: tuple[float, float]) -> float:
        """Return meters, good enough for neighbors."""
        north = place[0] - self.latitude
        east = (place[1] - self.longitude + 180) % 360 - 180
        return math.hypot(north, east * math.cos(math.radians(self.latitude))) * METERS_A_DEGREE


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that is learnt of one car. A new one knows nothing."""

    sleeps: tuple[float, ...] = ()
    """Seconds of silence after which the car was seen asleep, the newest last."""
    places: tuple[Place, ...] = ()
    """The place last stopped at is last."""
    elsewhere: Place = Place(0.0, 0.0)
    """Stops at places not known, and at all places while the place is not told."""
    stops: tuple[float, ...] = ()
    """Seconds of the last stops of less than an hour or so."""
    checks: tuple[float, ...] = ()
    """Seconds between wake-ups in a row that came to nothing: the car's own checks."""
    departures: tuple[int, ...] = ()
    """Local minutes of the last departures, the newest last."""
    since: int | None = None
    """Local minute of the first departure that was seen."""

    def silence(self, kind: Kind) -> float:
        """Return the seconds of silence in which this car should have fallen asleep."""
        if not self.sleeps:
            return DEFAULT_SILENCE[kind]
        expected = sorted(self.sleeps)[int(len(self.sleeps) * QUANTILE)]
        return min(max(expected + max(MARGIN, expected * MARGIN_SHARE), SHORTEST), LONGEST)

    def slept(self, seconds: float) -> Self:
        """Take in that the car was seen asleep after so much silence."""
        if not SHORTEST / 2 <= seconds <= 2 * LONGEST:
            return self
        return replace(self, sleeps=(*self.sleeps, seconds)[-SLEEPS_KEPT:])

    def place_at(self, place: tuple[float, float] | None) -> Place:
        """Return what is known of a place; of places not known as one, what is known of those."""
        near = [known for known in self.places if place and known.distance(place) <= PLACE_RADIUS]
        return min(near, key=lambda known: known.distance(place), default=self.elsewhere) if place else self.elsewhere

    def short_stops(self, place: tuple[float, float] | None) -> float:
        """Return the share of short stops to expect at a place, between 0 and 1."""
        known = self.place_at(place)
        before = (self.elsewhere.short + 0.5) / (self.elsewhere.stops + 1)
        return (known.short + before) / (known.stops + 1)

    def charges_at(self, place: tuple[float, float] | None) -> bool:
        """Tell whether the car is often charged where it is."""
        known = self.place_at(place)
        return known.charged >= CHARGED * known.stops or known.stops < UNKNOWN

    def drives_at_least(self, origin: tuple[float, float] | None) -> float:
        """Return the seconds that a drive from this place surely lasts; 0 when too little is known."""
        drives = self.place_at(origin).drives
        return min(drives) * DRIVE_SURE if len(drives) >= DRIVES_NEEDED else 0.0

    def drove(self, origin: tuple[float, float] | None, seconds: float) -> Self:
        """Take in how long a drive from a place lasted."""
        known = self.place_at(origin)
        if known is self.elsewhere:
            return self
        driven = replace(known, drives=(*known.drives, seconds)[-DRIVES_KEPT:])
        return replace(self, places=tuple(driven if other is known else other for other in self.places))

    def stop_watch(self, silence: float) -> float:
        """Return how long to look out for the end of a stop, in seconds after the arrival.

        A stop that ends while the car is watched, or after it fell asleep, is seen at once; one that ends in the
        silence between is seen late. The best time to fall silent is where few stops have ended in such a silence.
        """
        if len(self.stops) < STOPS_NEEDED:
            return STOP_WATCH
        late = {watch: sum(watch < stop <= watch + silence for stop in self.stops) for watch in STOP_WATCHES}
        return min(STOP_WATCHES, key=lambda watch: late[watch] / len(self.stops) + watch * STOP_WATCH_COSTS)

    def stop_lasted(self, seconds: float) -> Self:
        """Take in how long a stop lasted, if that is short enough to tell anything."""
        if seconds > STOP_MOST:
            return self
        return replace(self, stops=(*self.stops, seconds)[-STOPS_KEPT:])

    def stopped(self, place: tuple[float, float] | None, seconds: float | None, *, charged: bool) -> Self:
        """Take in a stop that is over, or has become a long one (`seconds` None)."""
        short = seconds is not None and seconds <= SHORT_STOP
        known = self.place_at(place)
        fade = 0.5 if known.stops >= STOPS_COUNTED else 1.0
        counted = replace(
            known,
            stops=known.stops * fade + 1,
            short=known.short * fade + short,
            charged=known.charged * fade + charged,
        )
        if known is not self.elsewhere:
            others = [other for other in self.places if other is not known]
            return replace(self, places=(*others, counted))
        places = self.places
        if place is not None:
            places = (*places, Place(*place, 1.0, float(short), float(charged)))[-PLACES_KEPT:]
        return replace(self, elsewhere=counted, places=places)

    def looks_like_a_check(self, since: float) -> bool:
        """Tell whether a wake-up so many seconds after the last check is probably another one.

        Checks come by a clock of the car's own, usually each hour, whatever happens in between.
        """
        if not self.checks:
            return abs(since - HOUR) <= CHECK_LOOSE
        period = sorted(self.checks)[len(self.checks) // 2]
        alike = sum(abs(check - period) <= CHECK_LOOSE for check in self.checks)
        times = round(since / period)
        return (
            alike >= CHECK_ALIKE * len(self.checks)
            and 1 <= times <= CHECK_PERIODS
            and abs(since - times * period) <= CHECK_LOOSE
        )

    def checked(self, since: float) -> Self:
        """Take in a check so many seconds after the last one."""
        if not CHECK_LEAST <= since <= CHECK_MOST:
            return self
        return replace(self, checks=(*self.checks, since)[-CHECKS_KEPT:])

    def departed(self, minute: int) -> Self:
        """Take in a departure at a local minute. Those of weeks ago, or of a clock that was ahead, are forgotten."""
        known = (at for at in self.departures if abs(minute - at) < WEEKS_REMEMBERED * WEEK)
        since = minute if self.since is None or self.since > minute else self.since
        return replace(self, departures=(*known, minute)[-DEPARTURES_KEPT:], since=since)

    def _weeks(self, minute: int) -> float:
        """Return the weeks of which departures are known."""
        return 0.0 if self.since is None else min(max(minute - self.since, 0) / WEEK, WEEKS_REMEMBERED)

    def leaves(self, minute: int) -> bool:
        """Tell whether the car usually leaves about this time of the week."""
        near = [at for at in self.departures if _apart(at, minute, DAY) <= NEAR]
        same = sum(_apart(at, minute, WEEK) <= NEAR for at in near)
        weeks = self._weeks(minute)
        if same and same >= HABITUAL * weeks:
            return True
        if weeks >= NEW_WEEKS:
            return False
        works = _works(minute)
        return sum(_works(at) is works for at in near) >= (2 if works else 1)

    def may_leave(self, minute: int) -> bool:
        """Tell whether the car lately left about this time on days alike; before that is known, whether it is day."""
        if self._weeks(minute) < NEW_WEEKS:
            return not is_night(minute)
        works = _works(minute)
        return any(_works(at) is works and _apart(at, minute, DAY) <= AROUND for at in self.departures)

    def departures_a_minute(self, minute: int) -> float:
        """Return how many departures to expect in a minute of this time of the week, by the last weeks; never 0."""
        works = _works(minute)
        sure = min(self._weeks(minute) / OWN_DAY_WEEKS, 1.0) * OWN_DAY
        days = WORKING_DAYS if works else DAYS_A_WEEK - WORKING_DAYS
        expected = 0.0
        for at in self.departures:
            near = _nearness(_apart(at, minute, DAY))
            if near and _works(at) is works:
                own = _apart(at, minute, WEEK) <= AROUND
                expected += near * (sure * own + (1 - sure) / days)
        return expected / max(self._weeks(minute), 1.0) + RARE

    def without_habits(self) -> Self:
        """Forget when the car left and where it stopped: the owner turned that off."""
        return replace(self, departures=(), since=None, places=())

    def to_json(self) -> dict[str, Any]:
        """Return what is kept between restarts."""
        return {
            "sleeps": list(self.sleeps),
            "places": [_place_to_json(place) for place in self.places],
            "elsewhere": _place_to_json(self.elsewhere),
            "stops": list(self.stops),
            "checks": list(self.checks),
            "departed": list(self.departures),
            "since": self.since,
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`; what is not there or not understood is not known."""
        if not isinstance(data, dict):
            return cls()
        places = [place for entry in _list(data.get("places")) if (place := _place(entry))]
        since = _numbers([data.get("since")])
        return cls(
            sleeps=tuple(seconds for seconds in _numbers(data.get("sleeps")) if SHORTEST / 2 <= seconds <= 2 * LONGEST)[
                -SLEEPS_KEPT:
            ],
            places=tuple(places[-PLACES_KEPT:]),
            elsewhere=_place(data.get("elsewhere")) or Place(0.0, 0.0),
            stops=tuple(seconds for seconds in _numbers(data.get("stops")) if seconds <= STOP_MOST)[-STOPS_KEPT:],
            checks=tuple(seconds for seconds in _numbers(data.get("checks")) if CHECK_LEAST <= seconds <= CHECK_MOST)[
                -CHECKS_KEPT:
            ],
            departures=tuple(int(minute) for minute in _numbers(data.get("departed")))[-DEPARTURES_KEPT:],
            since=int(since[0]) if since else None,
        )


def _apart(one: int, other: int, cycle: int) -> int:
    """Return the minutes between two times of the day or week."""
    apart = (one - other) % cycle
    return min(apart, cycle - apart)


def _nearness(apart: int) -> float:
    """Return the density, a minute, of a departure so many minutes off a known one."""
    return sum(share * max(spread - apart, 0.0) / spread**2 for spread, share in SPREADS)


def is_night(minute: int) -> bool:
    """Tell whether most people sleep."""
    return not MORNING <= minute % DAY < NIGHT


def _works(minute: int) -> bool:
    """Tell whether a minute belongs to a working day, Monday to Friday."""
    return minute % WEEK // DAY < WORKING_DAYS


def _place_to_json(place: Place) -> list[float]:
    return [place.latitude, place.longitude, place.stops, place.short, place.charged, *place.drives]


def _place(data: object) -> Place | None:
    numbers = _numbers(data, least=-180.0)
    if len(numbers) < 5 or any(count < 0 for count in numbers[2:]):  # noqa: PLR2004 - a place without drives
        return None
    latitude, longitude, stops, short, charged, *drives = numbers
    stops = min(stops, 2 * STOPS_COUNTED)
    return Place(latitude, longitude, stops, min(short, stops), min(charged, stops), tuple(drives[-DRIVES_KEPT:]))


def _list(data: object) -> Sequence[object]:
    return data if isinstance(data, list) else ()


def _numbers(data: object, *, least: float = 0.0) -> list[float]:
    """Return the list's numbers if it is one of plain numbers and nothing else."""
    entries: Iterable[object] = _list(data)
    return [
        float(entry)
        for entry in entries
        if isinstance(entry, int | float) and not isinstance(entry, bool) and least <= entry <= 10**9
    ]
