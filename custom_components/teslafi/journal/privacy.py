"""What of a car's position the journal may keep."""

from dataclasses import replace
from enum import StrEnum

from .sample import Position, Sample


class Positions(StrEnum):
    """The owner's choice."""

    EXACT = "exact"
    ZONES = "zones"
    """The zone's name and center; outside of zones, nothing."""
    NONE = "none"
    """Neither positions nor zones."""


def veiled(sample: Sample, positions: Positions, center: Position | None) -> Sample:
    """Return the sample with as much of the position as the owner wants kept; `center` is that of its zone."""
    if positions is Positions.EXACT:
        return sample
    if positions is Positions.NONE:
        return replace(sample, latitude=None, longitude=None, elevation_m=None, zone=None, address=None)
    if not sample.zone or center is None:
        return replace(sample, latitude=None, longitude=None, elevation_m=None, address=None)
    return replace(sample, latitude=center[0], longitude=center[1], elevation_m=None, address=None)
