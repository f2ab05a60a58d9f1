"""From Tesla's answers to the journal's samples: metric units, fresh blocks alone, and a clock that can be trusted."""

from dataclasses import replace
from typing import Final

from ..journal.sample import KM_PER_MILE, Sample, Wake
from ..polling.observation import Reason
from ..tesla.snapshot import CarState, ChargeState, ClimateState, DriveState, Snapshot, VehicleConfig, VehicleState

PARKED: Final = frozenset({None, "", "P"})
YEARS: Final = range(1_577_836_800, 4_102_444_800)
"""Epoch seconds of 2020 to 2099: what a car's clock may say."""
IDLE: Final = tuple(reason for reason in Reason if reason not in (Reason.DRIVING, Reason.CHARGING))
"""Why a car is awake that neither drives nor charges, the liveliest first."""


class CarClock:
    """Tells when something was seen: by the car's own clock, and between its answers by the monotonic one.

    The wall clock of Home Assistant's machine serves until the car has answered once. It may be wrong for a while, or
    be set, without a session getting another time.
    """

    def __init__(self) -> None:
        """Know nothing of the car's clock yet."""
        self._ahead: float | None = None

    def at(self, answer: Snapshot, monotonic: float, wall: float) -> int:
        """Return the moment of an answer, epoch seconds."""
        if (told := _told_at(answer)) is not None:
            self._ahead = told - monotonic
        return round(wall if self._ahead is None else self._ahead + monotonic)


def _told_at(answer: Snapshot) -> float | None:
    """Return when the car made the newest block of an answer, if it says so."""
    blocks = (answer.charge_state, answer.climate_state, answer.drive_state, answer.vehicle_state)
    stamps = [block.timestamp / 1000 for block in blocks if block.timestamp]
    newest = max(stamps, default=0.0)
    return newest if int(newest) in YEARS else None


def sample_of(answer: Snapshot, fresh: frozenset[str], reasons: frozenset[Reason], at: int) -> Sample:
    """Return what an answer with data says. Blocks that are not `fresh` count as not sent.

    `reasons` are those for which the car cannot sleep.
    """
    charge = answer.charge_state if "charge_state" in fresh else ChargeState()
    climate = answer.climate_state if "climate_state" in fresh else ClimateState()
    drive = answer.drive_state if "drive_state" in fresh else DriveState()
    vehicle = answer.vehicle_state if "vehicle_state" in fresh else VehicleState()
    config = answer.vehicle_config if "vehicle_config" in fresh else VehicleConfig()
    moving = None
    if "drive_state" in fresh:
        moving = drive.shift_state not in PARKED or (drive.speed or 0) > 0
    reason = next((reason for reason in IDLE if reason in reasons), None)
    return Sample(
        at=at,
        state=Wake.ONLINE,
        odometer_km=_km(vehicle.odometer),
        soc=_share(charge.battery_level),
        usable_soc=_share(charge.usable_battery_level),
        range_km=_km(charge.battery_range),
        driving=moving,
        speed_kmh=_km(drive.speed),
        power_kw=drive.power,
        latitude=drive.latitude,
        longitude=drive.longitude,
        address=drive.location,
        charging_state=charge.charging_state,
        charger_power_kw=_positive(charge.charger_power),
        charger_volts=_positive(charge.charger_voltage),
        charger_amps=_positive(charge.charger_actual_current),
        charger_phases=charge.charger_phases,
        energy_added_kwh=_positive(charge.charge_energy_added),
        charge_limit=_share(charge.charge_limit_soc),
        fast_charger=charge.fast_charger_present,
        fast_charger_type=charge.fast_charger_type,
        fast_charger_brand=charge.fast_charger_brand,
        inside_c=climate.inside_temp,
        outside_c=climate.outside_temp,
        software=vehicle.car_version.split(" ")[0] if vehicle.car_version else None,
        wheels=config.wheel_type,
        awake_because=reason,
    )


def state_sample(state: CarState, at: int) -> Sample:
    """Return what an answer about the car's state alone says."""
    return Sample(at=at, state=Wake(state.value))


def placed(sample: Sample, zone: str | None) -> Sample:
    """Return the sample with the name of its zone; in none of the zones, the name is empty."""
    return sample if sample.position is None else replace(sample, zone=zone or "")


def _km(miles: float | None) -> float | None:
    return None if miles is None or miles < 0 else miles * KM_PER_MILE


def _share(percent: float | None) -> float | None:
    return percent if percent is not None and 0 <= percent <= 100 else None  # noqa: PLR2004 - per cent


def _positive(value: float | None) -> float | None:
    return None if value is None or value < 0 else value
