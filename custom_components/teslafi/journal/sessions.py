"""What the journal tells of a car: drives, charges, parking and software versions.

Moments are epoch seconds, UTC. `start` and `end` are the best estimate and never overlap another session of the same
car; what really was lies between `earliest` and `latest`, which are the polls around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .sample import Moment, Position


class Kind(StrEnum):
    """The kinds of sessions. A car's time is a row of them, with holes where nothing was seen."""

    DRIVE = "drive"
    CHARGE = "charge"
    PARKING = "parking"


class DriveEnergy(StrEnum):
    """How the energy of a drive was told."""

    RATED_RANGE = "rated_range"
    """Rated range used times what a kilometer of it was worth at the car's charges."""
    STATE_OF_CHARGE = "state_of_charge"
    """Per cent used times usable capacity."""


class ChargeEnergy(StrEnum):
    """How the energy that a charge took from its supply was told."""

    AMPERES = "amperes"
    """Amperes times volts times corrected phases."""
    POWER = "power"
    """The charger's power, which Tesla rounds to whole kilowatts."""


class CostSource(StrEnum):
    """Where the cost of a charge comes from."""

    TARIFF = "tariff"
    FREE = "free"
    TESLA = "tesla"
    OWNER = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What all sessions have."""

    start: Moment
    end: Moment
    earliest: Moment
    latest: Moment
    reconstructed: bool = False
    """Nobody looked while it happened; it is told from odometer, range and energy added before and after."""
    samples: int = 0
    """How many observations with data lie in it."""
    soc_start: float | None = None
    soc_end: float | None = None
    range_start_km: float | None = None
    range_end_km: float | None = None
    odometer_km: float | None = None
    """At the end."""
    outside_c: float | None = None
    """Mean of what was seen."""
    software: str | None = None
    cold: bool = False
    """The battery withheld charge because it was cold, in more than a quarter of the samples or at either end."""
    wheels: str | None = None
    """Wheel type: rated range means the same with the same wheels only."""

    @property
    def seconds(self) -> int:
        """How long it took, by the estimate."""
        return self.end - self.start

    @property
    def soc_change(self) -> float | None:
        """Points of charge gained; lost ones are negative."""
        return None if self.soc_start is None or self.soc_end is None else self.soc_end - self.soc_start

    @property
    def range_change_km(self) -> float | None:
        """Rated range gained; lost range is negative."""
        if self.range_start_km is None or self.range_end_km is None:
            return None
        return self.range_end_km - self.range_start_km


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive(Session):
    """The car moved. A reconstructed drive has bounds, no path and no duration."""

    distance_km: float
    """By odometer."""
    start_place: str | None = None
    """Name of the zone, or the address."""
    end_place: str | None = None
    start_position: Position | None = None
    end_position: Position | None = None
    speed_max_kmh: float | None = None
    """Of what was seen."""
    inside_c: float | None = None
    energy_kwh: float | None = None
    energy_method: DriveEnergy | None = None
    energy_range_kwh: float | None = None
    energy_soc_kwh: float | None = None
    tag: str | None = None
    kind: Kind = Kind.DRIVE

    @property
    def duration_s(self) -> int | None:
        """How long it took; unknown when nobody looked."""
        return None if self.reconstructed else self.seconds

    @property
    def speed_mean_kmh(self) -> float | None:
        """Distance by duration."""
        return self.distance_km * 3600 / self.seconds if not self.reconstructed and self.seconds else None

    @property
    def wh_per_km(self) -> float | None:
        """Energy by distance."""
        return None if self.energy_kwh is None or not self.distance_km else self.energy_kwh * 1000 / self.distance_km

    @property
    def range_efficiency(self) -> float | None:
        """Distance by rated range used: 1 is as rated, less is worse."""
        change = self.range_change_km
        return None if change is None or change > -0.1 else self.distance_km / -change  # noqa: PLR2004 - TeslaMate's


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(Session):
    """The car took energy from a cable. A reconstructed charge has bounds and no duration."""

    added_kwh: float
    """Into the battery, as the car counts."""
    used_kwh: float | None = None
    """From the supply."""
    used_method: ChargeEnergy | None = None
    seen_kwh: float = 0.0
    """How much of `added_kwh` was added between the first and the last look."""
    place: str | None = None
    position: Position | None = None
    dc: bool = False
    phases: float | None = None
    """Corrected number of phases; √3 where the car tells the voltage between lines."""
    power_max_kw: float | None = None
    limit: float | None = None
    charger_type: str | None = None
    charger_brand: str | None = None
    usable_soc_start: float | None = None
    usable_soc_end: float | None = None
    cost: float | None = None
    currency: str | None = None
    cost_source: CostSource | None = None
    kind: Kind = Kind.CHARGE

    @property
    def duration_s(self) -> int | None:
        """How long it took; unknown when nobody looked."""
        return None if self.reconstructed else self.seconds

    @property
    def power_mean_kw(self) -> float | None:
        """Energy added by duration."""
        return self.added_kwh * 3600 / self.seconds if not self.reconstructed and self.seconds else None

    @property
    def efficiency(self) -> float | None:
        """Energy added by energy used, at most 1."""
        return min(1.0, self.added_kwh / self.used_kwh) if self.used_kwh else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking(Session):
    """The car stood and took nothing."""

    place: str | None = None
    position: Position | None = None
    asleep_s: int = 0
    awake_s: int = 0
    """Both as far as it was watched."""
    awake_because: Mapping[str, int] = field(default_factory=dict)
    """Reason (`polling.observation.Reason`) -> seconds."""
    drain_kwh: float | None = None
    kind: Kind = Kind.PARKING

    @property
    def drain_km(self) -> float | None:
        """Rated range lost."""
        change = self.range_change_km
        return None if change is None else -change

    @property
    def drain_soc(self) -> float | None:
        """Points of charge lost."""
        change = self.soc_change
        return None if change is None else -change

    @property
    def drain_w(self) -> float | None:
        """Mean power lost."""
        return None if self.drain_kwh is None or not self.seconds else self.drain_kwh * 3_600_000 / self.seconds

    @property
    def asleep_share(self) -> float | None:
        """Share of the watched time that the car slept, 0 to 1."""
        watched = self.asleep_s + self.awake_s
        return self.asleep_s / watched if watched else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareVersion:
    """A version that was seen on the car."""

    version: str
    since: Moment
    """When it was first seen."""
    after: Moment | None = None
    """When the version before it was last seen; None for the first."""


type Closed = Drive | Charge | Parking | SoftwareVersion
