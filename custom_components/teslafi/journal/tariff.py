"""What a charge costs by a tariff: pure, so that the past can be reckoned anew when a tariff changes.

The energy that is paid is what was used or what was added, whichever is more. It is spread over the charge as it was
added, in quarters of an hour, so that prices by time of day and prices of an hour or a quarter apply.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Final

from .sample import Moment
from .sessions import Charge

QUARTER: Final = 900
MINUTES: Final = 24 * 60
EVERY_DAY: Final = frozenset(range(7))

type Curve = Sequence[tuple[Moment, float]]
"""Moments of a charge with the energy added until then, kWh, both growing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Prices of a time of day. From `start` to `end`, minutes after local midnight; over midnight when end <= start."""

    start: int
    end: int
    days: frozenset[int] = EVERY_DAY
    """Monday is 0; a window over midnight counts by the day on which it begins."""
    per_kwh: float | None = None
    per_minute: float | None = None

    def holds(self, day: int, minute: int) -> bool:
        """Say whether a local weekday and minute lies in it."""
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return day in self.days
        return minute < self.end and (day - 1) % 7 in self.days


@dataclass(frozen=True, slots=True)
class Prices:
    """A series of prices per kWh, each from its moment on, as a price entity told them; None while it told none."""

    since: Sequence[Moment]
    per_kwh: Sequence[float | None]
    until: Moment
    """From this moment on, no price is known."""

    def at(self, moment: Moment) -> float | None:
        """Return the price at a moment."""
        index = bisect_right(self.since, moment) - 1
        return self.per_kwh[index] if index >= 0 and moment < self.until else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What charging costs in one place, in one currency."""

    currency: str
    per_kwh: float = 0.0
    per_minute: float = 0.0
    session_fee: float = 0.0
    windows: Sequence[Window] = ()
    """The first that holds a moment replaces the prices."""
    prices: Prices | None = None
    """Takes the place of `per_kwh` and of that of windows."""


FREE_BRAND: Final = "Tesla"


def is_supercharger(charge: Charge) -> bool:
    """Say whether a charge was at one of Tesla's fast chargers."""
    return charge.dc and FREE_BRAND in (charge.charger_brand, charge.charger_type)


def cost_of(charge: Charge, tariff: Tariff, zone: tzinfo, curve: Curve = ()) -> float | None:
    """Return what a charge costs; None when a price of the series is not known for all of it.

    How long a charge took that nobody saw is not known: None as well where minutes cost.
    """
    cost = tariff.session_fee
    paid = max(charge.added_kwh, charge.used_kwh or 0.0)
    for moment, kwh, seconds in _pieces(charge, paid, curve):
        per_kwh, per_minute = _prices(tariff, moment, zone)
        if per_kwh is None or (per_minute and charge.duration_s is None):
            return None
        cost += kwh * per_kwh + seconds / 60 * per_minute
    return round(cost, 4)


def _pieces(charge: Charge, paid: float, curve: Curve) -> Iterator[tuple[Moment, float, int]]:
    """Yield middle, energy and length of each part of a charge that lies in one quarter of an hour."""
    inside = [(at, kwh) for at, kwh in curve if charge.start < at < charge.end]
    points = [(charge.start, 0.0), *inside, (charge.end, max(charge.added_kwh, inside[-1][1] if inside else 0.0))]
    total = points[-1][1]
    if charge.end <= charge.start or total <= 0:
        yield charge.start, paid, charge.seconds
        return
    for (start, before), (end, after) in pairwise(points):
        kwh = max(after - before, 0.0) * paid / total
        if start == end and kwh:
            yield start, kwh, 0
        at = start
        while at < end:
            until = min((at // QUARTER + 1) * QUARTER, end)
            yield (at + until) // 2, kwh * (until - at) / (end - start), until - at
            at = until


def _prices(tariff: Tariff, moment: Moment, zone: tzinfo) -> tuple[float | None, float]:
    per_kwh: float | None = tariff.per_kwh
    per_minute = tariff.per_minute
    if tariff.windows:
        local = datetime.fromtimestamp(moment, zone)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if (window := next((one for one in tariff.windows if one.holds(day, minute)), None)) is not None:
            per_kwh = per_kwh if window.per_kwh is None else window.per_kwh
            per_minute = per_minute if window.per_minute is None else window.per_minute
    return (per_kwh if tariff.prices is None else tariff.prices.at(moment)), per_minute
