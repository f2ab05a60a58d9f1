"""Which bill of Tesla's is for which charge: by time, and checked by energy."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .sample import Moment, Position
from .sessions import Charge

AROUND: Final = 900
"""Seconds by which Tesla's times and the journal's may differ: a stall counts from the cable on."""
ENERGY_RATIO: Final = 1.5
"""Times by which billed energy and that of the journal may differ."""
ENERGY_APART_KWH: Final = 3.0
"""By how much they may differ in any case: the battery's preparation is billed, and not added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A session that Tesla billed, with fees for staying; no `cost` where they are in two currencies, or missing."""

    start: Moment
    end: Moment
    kwh: float | None = None
    cost: float | None = None
    currency: str | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Billed:
    """A charge with what Tesla's bills for it come to."""

    charge: Charge
    cost: float
    currency: str
    site: str | None

    @property
    def position(self) -> Position | None:
        """Where it was."""
        return self.charge.position


def billed(charges: Sequence[Charge], bills: Iterable[Bill]) -> tuple[list[Billed], list[Bill]]:
    """Return the charges that bills are for, and the bills that fit none.

    A bill belongs to the charge with which it shares the most time. A charge may have several: the cable was out for a
    while between two looks. They count together, if they are in one currency and their energy is that of the charge.
    """
    by_charge: defaultdict[Moment, list[Bill]] = defaultdict(list)
    rest: list[Bill] = []
    for bill in bills:
        nearest = max(charges, key=lambda charge: _shared(charge, bill), default=None)
        if nearest is None or _shared(nearest, bill) <= 0 or bill.cost is None or bill.currency is None:
            rest.append(bill)
        else:
            by_charge[nearest.start].append(bill)
    found: list[Billed] = []
    for charge in charges:
        of_charge = by_charge.get(charge.start, [])
        currencies = {bill.currency for bill in of_charge if bill.currency is not None}
        if len(currencies) == 1 and _fits(charge, of_charge):
            cost = round(sum(bill.cost or 0.0 for bill in of_charge), 4)
            found.append(Billed(charge, cost, currencies.pop(), of_charge[0].site))
        else:
            rest.extend(of_charge)
    return found, rest


def _shared(charge: Charge, bill: Bill) -> float:
    """Return for how long both went on, a little more for the nearer one. A charge that nobody saw has bounds alone."""
    start, end = (charge.earliest, charge.latest) if charge.reconstructed else (charge.start, charge.end)
    shared = min(end, bill.end) + AROUND - max(start - AROUND, bill.start)
    apart = abs((charge.start + charge.end) - (bill.start + bill.end)) / 2
    return shared + 1 / (1 + apart) if shared > 0 else 0.0


def _fits(charge: Charge, bills: Sequence[Bill]) -> bool:
    if any(bill.kwh is None for bill in bills):
        return True
    told, paid = max(charge.added_kwh, charge.used_kwh or 0.0), sum(bill.kwh or 0.0 for bill in bills)
    low, high = sorted((told, paid))
    return high - low <= ENERGY_APART_KWH or high <= low * ENERGY_RATIO
