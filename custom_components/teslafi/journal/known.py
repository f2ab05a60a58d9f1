"""What is known of a car when something new is seen: the newest value of everything that was ever said."""

from dataclasses import replace

from ..record import record
from .sample import Moment, Position, Sample

UNPLUGGED = frozenset({"Disconnected", "Unknown", "", "<invalid>"})
"""`charging_state` without a cable."""


@record
class Known:
    """The newest values, of which the newest came at `at`."""

    at: Moment
    odometer_km: float | None = None
    soc: float | None = None
    usable_soc: float | None = None
    range_km: float | None = None
    position: Position | None = None
    place: str | None = None
    plugged: bool | None = None
    energy_added_kwh: float | None = None
    speed_kmh: float | None = None
    power_kw: float | None = None
    """Of the charger."""
    software: str | None = None
    wheels: str | None = None

    @property
    def cold(self) -> bool:
        """Whether the battery withholds charge because it is cold."""
        return self.soc is not None and self.usable_soc is not None and self.usable_soc < self.soc

    def energy_changed(self, kwh: float, per_point: float, per_km: float) -> Known:
        """Return the same with so much more (or less) energy in the battery."""
        return replace(
            self,
            soc=None if self.soc is None else min(max(self.soc + kwh / per_point, 0.0), 100.0),
            usable_soc=None if self.usable_soc is None else min(max(self.usable_soc + kwh / per_point, 0.0), 100.0),
            range_km=None if self.range_km is None else max(self.range_km + kwh / per_km, 0.0),
        )


def known_with(known: Known | None, sample: Sample) -> Known:
    """Return what is known once a sample with data came."""
    place, position = sample.zone, sample.position
    if known is None:
        known = Known(at=sample.at)
    if place is None and position is None:
        place, position = known.place, known.position
    elif place is None:
        place = ""
    return Known(
        at=sample.at,
        odometer_km=known.odometer_km if sample.odometer_km is None else sample.odometer_km,
        soc=known.soc if sample.soc is None else sample.soc,
        usable_soc=known.usable_soc if sample.usable_soc is None else sample.usable_soc,
        range_km=known.range_km if sample.range_km is None else sample.range_km,
        position=position,
        place=place,
        plugged=known.plugged if sample.charging_state is None else sample.charging_state not in UNPLUGGED,
        energy_added_kwh=known.energy_added_kwh if sample.energy_added_kwh is None else sample.energy_added_kwh,
        speed_kmh=sample.speed_kmh,
        power_kw=sample.charger_power_kw,
        software=known.software if sample.software is None else sample.software,
        wheels=known.wheels if sample.wheels is None else sample.wheels,
    )
