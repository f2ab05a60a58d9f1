"""Sessions that go on: what has been seen of them, in sums, and how they are closed.

`with_sample` names all fields: `replace` takes twice as long, for each of the half million samples of a year's import.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final, NamedTuple

from ..record import record
from .known import Known
from .sample import Moment, Sample
from .sessions import Charge, ChargeEnergy, Drive, Kind, Parking
from .supply import Supply

COLD_SHARE: Final = 0.25
"""More samples than this share with withheld charge make a session cold."""
LEAST_DRIVE_KM: Final = 0.05
LEAST_CHARGE_KWH: Final = 0.05
SEEN_ENOUGH_KWH: Final = 0.3
"""From so much energy between two looks on, what was used is scaled up to what was added in all."""


@record
class Seen:
    """Sums over the samples of a session."""

    samples: int = 0
    cold: int = 0
    outside_sum: float = 0.0
    outside: int = 0
    inside_sum: float = 0.0
    inside: int = 0

    def with_sample(self, sample: Sample, known: Known) -> Seen:
        """Return the sums with one more sample."""
        return Seen(
            samples=self.samples + 1,
            cold=self.cold + known.cold,
            outside_sum=self.outside_sum + (sample.outside_c or 0.0),
            outside=self.outside + (sample.outside_c is not None),
            inside_sum=self.inside_sum + (sample.inside_c or 0.0),
            inside=self.inside + (sample.inside_c is not None),
        )

    @property
    def outside_c(self) -> float | None:
        """Mean temperature outside."""
        return round(self.outside_sum / self.outside, 2) if self.outside else None

    @property
    def inside_c(self) -> float | None:
        """Mean temperature inside."""
        return round(self.inside_sum / self.inside, 2) if self.inside else None

    @property
    def mostly_cold(self) -> bool:
        """Whether charge was withheld in more than a quarter of the samples."""
        return self.cold > self.samples * COLD_SHARE


class Span(NamedTuple):
    """When a session began and ended as it is told, and the looks before and after, between which it surely lies."""

    start: Moment
    end: Moment
    earliest: Moment
    latest: Moment


def _bounds(before: Known, after: Known, span: Span, seen: Seen) -> dict[str, Any]:
    """Return what every session has: when it was, what was known before and after it, and what was seen of it."""
    return {
        **span._asdict(),
        "samples": seen.samples,
        "soc_start": before.soc,
        "soc_end": after.soc,
        "range_start_km": before.range_km,
        "range_end_km": after.range_km,
        "odometer_km": after.odometer_km,
        "outside_c": seen.outside_c,
        "software": after.software or before.software,
        "wheels": before.wheels or after.wheels,
    }


@record
class OpenDrive:
    """A drive that goes on."""

    start: Moment
    earliest: Moment
    before: Known
    """What was known when it began."""
    distance_km: float = 0.0
    speed_max_kmh: float | None = None
    seen: Seen = field(default_factory=Seen)
    kind: Kind = Kind.DRIVE

    def with_sample(self, sample: Sample, known: Known, moved: float) -> OpenDrive:
        """Return it with one more sample, `moved` km after the one before."""
        speed = sample.speed_kmh
        return OpenDrive(
            start=self.start,
            earliest=self.earliest,
            before=self.before,
            distance_km=self.distance_km + moved,
            speed_max_kmh=max(speed, self.speed_max_kmh or 0.0) if speed is not None else self.speed_max_kmh,
            seen=self.seen.with_sample(sample, known),
        )

    def closed(self, end: Moment, latest: Moment, after: Known, *, moved: float = 0.0) -> Drive | None:
        """Return the drive, `moved` km longer than it was seen; None when the car hardly moved."""
        distance = self.distance_km + moved
        if distance < LEAST_DRIVE_KM:
            return None
        return drive_between(
            self.before,
            after,
            Span(self.start, end, self.earliest, latest),
            distance_km=distance,
            seen=self.seen,
            speed_max_kmh=self.speed_max_kmh,
        )


def drive_between(
    before: Known,
    after: Known,
    span: Span,
    *,
    distance_km: float,
    seen: Seen | None = None,
    speed_max_kmh: float | None = None,
) -> Drive:
    """Return the drive between two moments; one of which nothing was seen is reconstructed."""
    told = seen or Seen()
    bounds = _bounds(before, after, span, told) | {"software": before.software or after.software}
    return Drive(
        **bounds,
        reconstructed=seen is None,
        inside_c=told.inside_c,
        cold=told.mostly_cold,
        distance_km=round(distance_km, 3),
        start_place=before.place or None,
        end_place=after.place or None,
        start_position=before.position,
        end_position=after.position,
        speed_max_kmh=speed_max_kmh,
    )


@record
class OpenCharge:
    """A charge that goes on."""

    start: Moment
    earliest: Moment
    before: Known
    base_kwh: float = 0.0
    """The car's counter when it began."""
    first_kwh: float | None = None
    """The counter at the first look."""
    last_kwh: float | None = None
    power_max_kw: float | None = None
    limit: float | None = None
    charger_type: str | None = None
    charger_brand: str | None = None
    supply: Supply = field(default_factory=Supply)
    seen: Seen = field(default_factory=Seen)
    kind: Kind = Kind.CHARGE

    def with_sample(self, sample: Sample, known: Known) -> OpenCharge:
        """Return it with one more sample."""
        power, counter = sample.charger_power_kw, sample.energy_added_kwh
        return OpenCharge(
            start=self.start,
            earliest=self.earliest,
            before=self.before,
            base_kwh=self.base_kwh,
            first_kwh=counter if self.first_kwh is None else self.first_kwh,
            last_kwh=self.last_kwh if counter is None else counter,
            power_max_kw=self.power_max_kw if power is None else max(power, self.power_max_kw or 0.0),
            limit=self.limit if sample.charge_limit is None else sample.charge_limit,
            charger_type=sample.fast_charger_type or self.charger_type,
            charger_brand=sample.fast_charger_brand or self.charger_brand,
            supply=self.supply.seen(sample),
            seen=self.seen.with_sample(sample, known),
        )

    @property
    def added_kwh(self) -> float:
        """Energy added, as far as it was seen."""
        return max((self.last_kwh or self.base_kwh) - self.base_kwh, 0.0)

    def closed(self, end: Moment, latest: Moment, after: Known, *, more: float = 0.0) -> Charge | None:
        """Return the charge, with so many kWh more than were seen; None when nothing was added."""
        added = self.added_kwh + more
        if added < LEAST_CHARGE_KWH:
            return None
        used, method = self._used(end, added)
        supply = self.supply
        return replace(
            charge_between(
                self.before,
                after,
                Span(self.start, end, self.earliest, latest),
                kwh=added,
                where=None,
                seen=self.seen,
            ),
            cold=self.seen.mostly_cold,
            used_kwh=used,
            used_method=method,
            seen_kwh=round(self._seen_kwh, 3),
            place=after.place or self.before.place or None,
            position=after.position or self.before.position,
            dc=supply.dc,
            phases=None if supply.dc else supply.corrected_phases(),
            power_max_kw=self.power_max_kw,
            limit=self.limit,
            charger_type=self.charger_type,
            charger_brand=self.charger_brand,
        )

    @property
    def _seen_kwh(self) -> float:
        return max((self.last_kwh or 0.0) - (self.first_kwh or 0.0), 0.0)

    def _used(self, end: Moment, added: float) -> tuple[float | None, ChargeEnergy | None]:
        """Return the energy used: what was seen, scaled up to all that was added; or the last power over the time."""
        told = self.supply.used_kwh()
        if told is not None and self._seen_kwh >= SEEN_ENOUGH_KWH:
            method = ChargeEnergy.AMPERES if told[1] else ChargeEnergy.POWER
            return round(told[0] * added / self._seen_kwh, 3), method
        power = self.supply.power_now_kw()
        if power <= 0:
            return None, None
        by_amperes = not self.supply.dc and self.supply.corrected_phases() is not None
        used = max(power * (end - self.start) / 3600, added)
        return round(used, 3), ChargeEnergy.AMPERES if by_amperes else ChargeEnergy.POWER


def charge_between(
    before: Known,
    after: Known,
    span: Span,
    *,
    kwh: float,
    where: Known | None,
    seen: Seen | None = None,
) -> Charge:
    """Return the charge between two moments; one of which nothing was seen but what it added is reconstructed.

    `where` is known when the car had not moved.
    """
    return Charge(
        **_bounds(before, after, span, seen or Seen()),
        reconstructed=seen is None,
        usable_soc_start=before.usable_soc,
        usable_soc_end=after.usable_soc,
        added_kwh=round(kwh, 3),
        place=(where.place or None) if where else None,
        position=where.position if where else None,
    )


@record
class Watched:
    """How long the car was seen asleep and awake, and why awake, in seconds."""

    asleep_s: int = 0
    awake_s: int = 0
    because: Mapping[str, int] = field(default_factory=dict)

    def slept(self, seconds: int) -> Watched:
        """Return it with more sleep."""
        return Watched(asleep_s=self.asleep_s + seconds, awake_s=self.awake_s, because=self.because)

    def woke(self, seconds: int, reason: str | None) -> Watched:
        """Return it with more time awake."""
        because = self.because
        if reason is not None:
            because = {**because, reason: because.get(reason, 0) + seconds}
        return Watched(asleep_s=self.asleep_s, awake_s=self.awake_s + seconds, because=because)

    def within(self, seconds: int) -> Watched:
        """Return what of it fits in so many seconds: what was watched before the car stood, it was awake."""
        excess = self.asleep_s + self.awake_s - seconds
        if excess <= 0:
            return self
        awake = max(self.awake_s - excess, 0)
        share = awake / self.awake_s if self.awake_s else 0.0
        return Watched(
            asleep_s=min(self.asleep_s, seconds),
            awake_s=awake,
            because={reason: round(spent * share) for reason, spent in self.because.items()},
        )


@record
class OpenParking:
    """A car that stands."""

    start: Moment
    earliest: Moment
    before: Known
    seen: Seen = field(default_factory=Seen)
    kind: Kind = Kind.PARKING

    def with_sample(self, sample: Sample, known: Known) -> OpenParking:
        """Return it with one more sample."""
        return OpenParking(
            start=self.start,
            earliest=self.earliest,
            before=self.before,
            seen=self.seen.with_sample(sample, known),
        )

    def closed(self, end: Moment, latest: Moment, after: Known, watched: Watched) -> Parking:
        """Return the parking."""
        span = Span(self.start, end, self.earliest, latest)
        return parking_between(self.before, after, span, seen=self.seen, watched=watched)


def parking_between(before: Known, after: Known, span: Span, *, seen: Seen, watched: Watched) -> Parking:
    """Return the parking between two moments."""
    time = watched.within(span.end - span.start)
    return Parking(
        **_bounds(before, after, span, seen),
        cold=before.cold or after.cold,
        place=before.place or after.place or None,
        position=before.position or after.position,
        asleep_s=time.asleep_s,
        awake_s=time.awake_s,
        awake_because=time.because,
    )
