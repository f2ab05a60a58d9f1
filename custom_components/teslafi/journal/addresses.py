"""What places are called outside of the owner's zones, as somebody told: TeslaFi's tagged places, Tesla's invoices.

Nobody is asked for an address: what comes anyway is remembered, and named again wherever a car stands near by.
"""

from collections import defaultdict
from collections.abc import Iterable
from math import cos, hypot, radians
from typing import Final

from .sample import Position, Sample

NEAR_M: Final = 100.0
"""Meters within which a place is the same one."""
CELLS: Final = 500
"""Cells in a degree; a cell is 222 meters high."""
METERS: Final = 111_200.0
"""Of a degree of latitude."""
POLE: Final = 0.01
"""Least share of a degree of longitude, so that none is without width."""
ADDRESS_MOST: Final = 200
"""Characters of an address that are kept."""

type Cell = tuple[int, int]


class Addresses:
    """Addresses by where they are."""

    def __init__(self, known: Iterable[tuple[Position, str]] = ()) -> None:
        """Know these."""
        self._cells: defaultdict[Cell, list[tuple[Position, str]]] = defaultdict(list)
        for position, address in known:
            self._cells[_cell(position)].append((position, address))

    def note(self, position: Position, address: str) -> None:
        """Know one more; another address of the very place goes."""
        cell = self._cells[_cell(position)]
        cell[:] = [*(one for one in cell if one[0] != position), (position, address)]

    def at(self, position: Position | None) -> str | None:
        """Return the nearest address, None when there is none near by."""
        if position is None or not self._cells:
            return None
        row, column = _cell(position)
        near = [
            (_meters(position, where), address)
            for cell in ((row + up, column + right) for up in (-1, 0, 1) for right in _columns(position))
            for where, address in self._cells.get(cell, ())
        ]
        meters, address = min(near, default=(NEAR_M + 1, None))
        return address if meters <= NEAR_M else None


def address_of(sample: Sample) -> tuple[Position, str] | None:
    """Return where a car stands outside of all zones, and what somebody calls that place; None when nobody does."""
    if sample.address is None or sample.zone or sample.driving is not False or sample.position is None:
        return None
    return sample.position, sample.address


def place_name(place: str | None, position: Position | None) -> str | None:
    """Return what to call a place: its zone or address, else its coordinates."""
    return place or (None if position is None else f"{position[0]:.3f}, {position[1]:.3f}")


def _cell(position: Position) -> Cell:
    return round(position[0] * CELLS), round(position[1] * CELLS)


def _columns(position: Position) -> range:
    """Return how many cells to the left and right are near: cells get narrower toward the poles."""
    reach = min(int(NEAR_M / METERS * CELLS / max(cos(radians(position[0])), POLE)) + 1, CELLS)
    return range(-reach, reach + 1)


def _meters(one: Position, other: Position) -> float:
    width = max(cos(radians(one[0])), POLE)
    return METERS * hypot(one[0] - other[0], (one[1] - other[1]) * width)
