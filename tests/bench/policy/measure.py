"""What a month of looks comes to: dollars, disturbance, and how well the looks tell what the car did."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final

from .car import Car, Charge, Drive, Look

DATA_USD: Final = 1 / 500
SHORTEST: Final = 180.0
"""Seconds: drives and charges below count for nothing."""


@dataclass
class Result:
    """Sums over car-months."""

    months: int = 0
    usd: float = 0.0
    beyond: float = 0.0
    drives: int = 0
    drives_seen: int = 0
    charges: int = 0
    charges_seen: int = 0
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    charge_starts: list[float] = field(default_factory=list)
    charge_ends: list[float] = field(default_factory=list)
    miles: float = 0.0
    miles_off: float = 0.0
    kwh: float = 0.0
    kwh_off: float = 0.0
    gaps: list[float] = field(default_factory=list)
    """Between looks while driving, the path's grain."""
    looks: int = 0
    states: int = 0
    refused: int = 0

    def add(self, other: Result) -> None:
        """Add another sum to this one."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def seen(self) -> float:
        """Share of drives and charges seen."""
        return (self.drives_seen + self.charges_seen) / max(self.drives + self.charges, 1)


def quantile(values: list[float], share: float) -> float:
    """Return the value that this share of values does not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def measure(car: Car) -> Result:
    """Judge a month."""
    looks = sorted(car.looks, key=lambda look: look.at)
    times = [look.at for look in looks]
    result = Result(
        months=1,
        usd=(len(looks) + car.refused) * DATA_USD,
        beyond=car.awake_beyond_natural(),
        looks=len(looks),
        states=car.states,
        refused=car.refused,
    )
    drives = [s for s in car.drives.spans if isinstance(s, Drive) and s.end - s.start > SHORTEST]
    charges = [s for s in car.charges.spans if isinstance(s, Charge) and s.end - s.start > SHORTEST]
    result.drives, result.charges = len(drives), len(charges)
    driving, charging = [look.driving for look in looks], [look.charging for look in looks]
    judged: set[int] = set()
    for drive in drives:
        seen = _seen(drive, times, driving)
        result.miles += drive.miles
        if seen is None:
            result.miles_off += drive.miles
            continue
        result.drives_seen += 1
        result.starts.append(times[seen] - drive.start)
        result.ends.append(_end(times, driving, drive.end) - drive.end)
        last = bisect_left(times, drive.end)
        result.gaps.extend(
            later - earlier for earlier, later in zip(times[seen : last - 1], times[seen + 1 : last], strict=True)
        )
        first, after = _session(driving, seen)
        if first in judged:
            result.miles_off += drive.miles
            continue
        judged.add(first)
        result.miles_off += abs(_at(looks, after).miles - _at(looks, first - 1).miles - drive.miles)
    for charge in charges:
        seen = _seen(charge, times, charging)
        result.kwh += charge.kwh
        if seen is None:
            result.kwh_off += charge.kwh
            continue
        result.charges_seen += 1
        result.charge_starts.append(times[seen] - charge.start)
        result.charge_ends.append(_end(times, charging, charge.end) - charge.end)
        _, after = _session(charging, seen)
        result.kwh_off += abs(_at(looks, after).kwh - charge.kwh)
    return result


def _seen(session: Drive | Charge, times: list[float], active: list[bool]) -> int | None:
    """Return the first look inside the session, if there is one."""
    index = bisect_left(times, session.start)
    return index if index < len(times) and times[index] < session.end and active[index] else None


def _end(times: list[float], active: list[bool], end: float) -> float:
    """Return when a look first said that it was over."""
    index = bisect_right(times, end)
    while index < len(times) and active[index]:
        index += 1
    return times[index] if index < len(times) else end


def _session(active: list[bool], seen: int) -> tuple[int, int]:
    """Return the first of the looks in a row that were active, and the first after them."""
    first = after = seen
    while first > 0 and active[first - 1]:
        first -= 1
    while after < len(active) and active[after]:
        after += 1
    return first, after


def _at(looks: list[Look], index: int) -> Look:
    return looks[min(max(index, 0), len(looks) - 1)]
