"""Figures over several sessions."""

from collections import defaultdict
from collections.abc import Iterable

from .sessions import Charge, Drive


def logged_share(drives: Iterable[Drive]) -> float | None:
    """Return how much of the distance by odometer was seen as drives, 0 to 1; None when the car did not move.

    Every kilometer of the odometer is in some drive: what nobody saw is in a reconstructed one.
    """
    told = list(drives)
    distance = sum(drive.distance_km for drive in told)
    return sum(drive.distance_km for drive in told if not drive.reconstructed) / distance if distance else None


def costs_of(charges: Iterable[Charge]) -> dict[str, float]:
    """Return what charges cost, by currency: amounts of two currencies are never added up."""
    costs: defaultdict[str, float] = defaultdict(float)
    for charge in charges:
        if charge.cost is not None and charge.currency is not None:
            costs[charge.currency] += charge.cost
    return dict(sorted(costs.items()))
