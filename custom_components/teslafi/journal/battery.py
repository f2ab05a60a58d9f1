"""What a battery holds: its usable capacity, what a kilometer of rated range is worth, and its health.

All of it out of charges that were seen. docs/journal.md sets the method beside TeslaMate's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from .sample import Moment
from .sessions import Charge, Drive, DriveEnergy, Parking

POINTS_LEAST: Final = 20
"""A charge of fewer points says little: the state of charge is told in whole per cent."""
CHARGES: Final = 10
"""Newest charges that count."""
NEW_DAYS: Final = 90
RANGE_CHARGES: Final = 20
RANGE_POINTS_LEAST: Final = 5
FULL_MOST: Final = 95.0
"""Per cent above which charging is balancing, and range and energy part."""
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Measurement:
    """One charge's word, and how much it counts."""

    at: Moment
    value: float
    weight: float


@dataclass(frozen=True, slots=True)
class Median:
    """A weighted median with its spread: half of the weight lies between `low` and `high`."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A battery by the charges of its journal. Energies in kWh, ranges in km of rated range."""

    capacity: Median | None = None
    new_kwh: float | None = None
    """The owner's number, or the median of the first 90 days."""
    range_km: Median | None = None
    """At 100 %, with the wheels of the last charge."""

    @property
    def share(self) -> float | None:
        """Capacity by what it was when new, at most 1."""
        return min(self.capacity.value / self.new_kwh, 1.0) if self.capacity and self.new_kwh else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What turns range and charge into energy: kWh per km of rated range by wheel type, and kWh of the battery."""

    kwh_per_km: Mapping[str | None, float]
    capacity_kwh: float | None = None


def capacity_of(charge: Charge) -> Measurement | None:
    """Return the usable capacity that a charge tells: energy added by points added, weighted by the points."""
    start = charge.soc_start if charge.usable_soc_start is None else charge.usable_soc_start
    end = charge.soc_end if charge.usable_soc_end is None else charge.usable_soc_end
    if charge.reconstructed or start is None or end is None or end - start < POINTS_LEAST:
        return None
    return Measurement(charge.end, charge.added_kwh * 100 / (end - start), end - start)


def range_of(charge: Charge) -> Measurement | None:
    """Return the rated range at 100 % that the end of a charge tells, weighted by how full the battery was."""
    soc = charge.usable_soc_end or charge.soc_end
    if charge.reconstructed or not soc or charge.range_end_km is None or soc < POINTS_LEAST:
        return None
    return Measurement(charge.end, charge.range_end_km * 100 / soc, soc)


def worth_of_range(charge: Charge) -> Measurement | None:
    """Return what a kilometer of rated range is worth by a charge, weighted by the range added."""
    points, km = charge.soc_change, charge.range_change_km
    if charge.reconstructed or charge.cold or points is None or km is None or points < RANGE_POINTS_LEAST or km <= 0:
        return None
    if charge.soc_end is not None and charge.soc_end > FULL_MOST:
        return None
    return Measurement(charge.end, charge.added_kwh / km, km)


def median_of(measurements: Sequence[Measurement]) -> Median | None:
    """Return the weighted median; None without measurements."""
    if not measurements:
        return None
    ordered = sorted(measurements, key=lambda one: one.value)
    return Median(_quantile(ordered, 0.5), _quantile(ordered, 0.25), _quantile(ordered, 0.75), len(measurements))


def _quantile(ordered: Sequence[Measurement], share: float) -> float:
    """Return the value below which this share of the weight lies; between two values where it falls between."""
    aim = share * sum(one.weight for one in ordered)
    passed = 0.0
    for index, one in enumerate(ordered):
        passed += one.weight
        if passed > aim:
            return one.value
        if passed == aim and index + 1 < len(ordered):
            return (one.value + ordered[index + 1].value) / 2
    return ordered[-1].value


def health(charges: Iterable[Charge], *, new_kwh: float | None = None) -> Health:
    """Return a battery's health; `charges` in order of time, `new_kwh` as the owner gives it."""
    told = list(charges)
    capacities = [one for charge in told if (one := capacity_of(charge)) is not None]
    wheels = told[-1].wheels if told else None
    ranges = [one for charge in told if charge.wheels == wheels and (one := range_of(charge)) is not None]
    if new_kwh is None and capacities:
        first = [one for one in capacities if one.at - capacities[0].at <= NEW_DAYS * DAY]
        median = median_of(first)
        new_kwh = median.value if median else None
    return Health(capacity=median_of(capacities[-CHARGES:]), new_kwh=new_kwh, range_km=median_of(ranges[-CHARGES:]))


def worth(charges: Iterable[Charge]) -> Worth:
    """Return what turns range and charge into energy; `charges` in order of time."""
    told = list(charges)
    by_wheels: dict[str | None, list[Measurement]] = {}
    for charge in told:
        if (one := worth_of_range(charge)) is not None:
            by_wheels.setdefault(charge.wheels, []).append(one)
    medians = {wheels: median_of(measured[-RANGE_CHARGES:]) for wheels, measured in by_wheels.items()}
    capacities = [one for charge in told if (one := capacity_of(charge)) is not None]
    capacity = median_of(capacities[-CHARGES:])
    return Worth(
        kwh_per_km={wheels: median.value for wheels, median in medians.items() if median is not None},
        capacity_kwh=capacity.value if capacity else None,
    )


def with_drive_energy(drive: Drive, worth: Worth) -> Drive:
    """Return the drive with its energy, by rated range where that is known, else by state of charge."""
    by_range = _by_range(drive.range_change_km, drive.wheels, worth)
    points = drive.soc_change
    by_soc = None if points is None or worth.capacity_kwh is None else -points * worth.capacity_kwh / 100
    energy = by_range if by_range is not None else by_soc
    method = DriveEnergy.RATED_RANGE if by_range is not None else DriveEnergy.STATE_OF_CHARGE
    return replace(
        drive,
        energy_kwh=_rounded(energy),
        energy_method=None if energy is None else method,
        energy_range_kwh=_rounded(by_range),
        energy_soc_kwh=_rounded(by_soc),
    )


def with_drain_energy(parking: Parking, worth: Worth) -> Parking:
    """Return the parking with the energy it lost; a cold battery hides some, so then it has none."""
    lost = None if parking.cold else _by_range(parking.range_change_km, parking.wheels, worth)
    return replace(parking, drain_kwh=_rounded(lost))


def _by_range(change_km: float | None, wheels: str | None, worth: Worth) -> float | None:
    """Return the energy of lost range; with wheels of which no charge told, by those of the others."""
    if change_km is None or not worth.kwh_per_km:
        return None
    others = sum(worth.kwh_per_km.values()) / len(worth.kwh_per_km)
    return -change_km * worth.kwh_per_km.get(wheels, others)


def _rounded(kwh: float | None) -> float | None:
    return None if kwh is None else round(kwh, 3)
