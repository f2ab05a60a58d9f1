"""How much of its mode each car may have, so that the month's limit is never passed and no car eats the others'.

Pure: what was spent, what the days left usually need, and the limit come to a step for each car.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from .pace import Step

RESERVE: Final = 0.1
"""Share of the limit that is left to commands and wakes."""
RESERVE_MOST: Final = 1.0
"""In the account's currency, as all sums here."""
USUAL_DAY: Final = 40.0
"""Looks a day at a car of which no whole day is known: a balanced month."""
FULL_FROM: Final = 0.9
REDUCED_FROM: Final = 0.45
"""Shares of what the rest of the month usually needs from which on full and reduced are affordable."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What one car came to, in the account's currency."""

    spent: float
    """This month, commands and wakes included."""
    usual_day: float | None
    """What the looks of an ordinary day cost; None while none is known."""
    look: float
    """The price of one look."""


def days_left(now: float) -> float:
    """Return the days until the billing month ends, at least an hour's worth."""
    moment = datetime.fromtimestamp(now, UTC)
    length = monthrange(moment.year, moment.month)[1]
    passed = moment.day - 1 + (moment.hour + moment.minute / 60) / 24
    return max(length - passed, 1 / 24)


def for_looks(limit: float, spent: float) -> float:
    """Return what is left for looks this month, beyond the reserve."""
    return limit - min(limit * RESERVE, RESERVE_MOST) - spent


def steps(
    limit: float | None, cars: Mapping[str, Spending], now: float, *, under_way: float = 0.0
) -> Mapping[str, Step]:
    """Return each car's step. `spent` of cars that are gone belongs in too; no limit means all of the mode.

    `under_way` is held back for requests that are not counted yet.
    """
    if limit is None:
        return dict.fromkeys(cars, Step.FULL)
    left = for_looks(limit, sum(car.spent for car in cars.values()) + under_way)
    days = days_left(now)
    needs = {
        vin: max(USUAL_DAY * car.look if car.usual_day is None else car.usual_day, 0.0) * days
        for vin, car in cars.items()
    }
    shares = _shared(left, needs)
    return {vin: _step(left, shares[vin], needs[vin], cars[vin].look) for vin in cars}


def _step(left: float, share: float, need: float, look: float) -> Step:
    if left < look:
        return Step.STATE_ONLY
    ratio = share / need if need > 0 else 1.0
    if ratio >= FULL_FROM:
        return Step.FULL
    if ratio >= REDUCED_FROM:
        return Step.REDUCED
    return Step.STARTS_AND_ENDS


def _shared(left: float, needs: Mapping[str, float]) -> Mapping[str, float]:
    """Share out what is left: nobody gets more than it needs, and who needs least is served first."""
    shares: dict[str, float] = {}
    for served, vin in enumerate(sorted(needs, key=lambda vin: needs[vin])):
        equal = max(left, 0.0) / (len(needs) - served)
        shares[vin] = min(needs[vin], equal)
        left -= shares[vin]
    return shares
