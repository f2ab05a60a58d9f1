"""One observation of one car. Metric units throughout; where Tesla sends miles, whoever makes the sample converts."""

from enum import StrEnum
from typing import Final

from ..record import record

KM_PER_MILE: Final = 1.609344

type Moment = int
"""Epoch seconds, UTC."""
type Position = tuple[float, float]
"""Latitude and longitude, degrees."""


class Wake(StrEnum):
    """Whether the car could answer."""

    ONLINE = "online"
    ASLEEP = "asleep"
    OFFLINE = "offline"


CHARGING_STATES: Final = frozenset({"Charging", "Starting", "Calibrating"})
"""`charging_state` while a charge goes on."""
PARKED: Final = frozenset({None, "", "P", "<invalid>"})
"""`shift_state` of a car that stands: Tesla sends null once the driver has left."""


@record
class Sample:
    """What was seen of a car at one moment. None means not said; then what was known before still holds.

    Blocks that are leftovers of an earlier moment must not be in it (`polling.observation.fresh_blocks`).
    """

    at: Moment
    state: Wake | None = None
    """An answer with data means online; asleep and offline samples hold nothing else."""
    since: Moment | None = None
    """The same was seen again and again, without a gap, since this moment (set by `journal.quiet`)."""
    odometer_km: float | None = None
    soc: float | None = None
    """State of charge as the car shows it, per cent."""
    usable_soc: float | None = None
    """The same without what a cold battery withholds, per cent."""
    range_km: float | None = None
    """Rated range."""
    driving: bool | None = None
    """In D, N or R. None when the car said nothing of its shift state; parked is False."""
    speed_kmh: float | None = None
    power_kw: float | None = None
    """Drawn from the battery; negative into it."""
    latitude: float | None = None
    longitude: float | None = None
    zone: str | None = None
    """The name of the owner's zone that the car was in."""
    address: str | None = None
    """What somebody calls the place; no part of what is kept of a sample."""
    elevation_m: float | None = None
    charging_state: str | None = None
    charger_power_kw: float | None = None
    charger_volts: float | None = None
    charger_amps: float | None = None
    charger_phases: int | None = None
    """As sent: 1; 2 means three-phase; 3 on some; 0 or None without alternating current."""
    energy_added_kwh: float | None = None
    """Of this or the last charge; it stays until the next one begins."""
    charge_limit: float | None = None
    """Per cent."""
    fast_charger: bool | None = None
    fast_charger_type: str | None = None
    fast_charger_brand: str | None = None
    inside_c: float | None = None
    outside_c: float | None = None
    software: str | None = None
    """The version without its build."""
    wheels: str | None = None
    """Wheel type; another one changes what rated range means."""
    awake_because: str | None = None
    """Why a parked car could not sleep, in the words of `polling.observation.Reason`."""

    @property
    def has_data(self) -> bool:
        """Whether the car itself answered."""
        return self.driving is not None or self.charging_state is not None or self.odometer_km is not None

    @property
    def charging(self) -> bool | None:
        """Whether a charge goes on; None when the car said nothing of it."""
        return None if self.charging_state is None else self.charging_state in CHARGING_STATES

    @property
    def position(self) -> Position | None:
        """Where the car was, if it was said."""
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude
