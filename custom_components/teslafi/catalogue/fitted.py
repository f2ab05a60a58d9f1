"""What a car is fitted with, by its configuration, and where that is silent by what it reports.

`vehicle_config` of old firmware lacks fields, and cars report values of seats that they do not have (recorded payloads
of 2018 and 2022): a configuration that says no is believed, one that says nothing leaves it to the report.
"""

from collections.abc import Callable, Mapping
from typing import Final

from ..tesla.energy_site import SiteInfo
from ..tesla.schedules import plans_of
from ..tesla.snapshot import Snapshot, VehicleConfig
from .models import version_of

NOT_FITTED: Final = "None"
"""Tesla's word in `vehicle_config` for what the car does not have."""

SCHEDULES_SINCE: Final = (2024, 26)
"""The firmware that brought schedules ("Vehicle commands")."""

type Fitted = Callable[[Snapshot], bool]
"""Whether the car has something; asked once its paths were reported."""


def _unless_denied(value_of: Callable[[VehicleConfig], object]) -> Fitted:
    """Return a rule: fitted unless the configuration says no."""

    def fitted(snapshot: Snapshot) -> bool:
        value = value_of(snapshot.vehicle_config)
        return value is None or (bool(value) and value != NOT_FITTED)

    return fitted


rear_seat_heaters: Fitted = _unless_denied(lambda config: config.rear_seat_heaters)
third_row: Fitted = _unless_denied(lambda config: config.third_row_seats)
seat_cooling: Fitted = _unless_denied(lambda config: config.has_seat_cooling)
power_liftgate: Fitted = _unless_denied(lambda config: config.plg)


def never(_snapshot: Snapshot) -> bool:
    """No car is fitted with it."""
    return False


def unless_reported(path: str) -> Fitted:
    """Return a rule: fitted once the car turns out to report the block of a path without it."""
    block = path.partition(".")[0]
    return lambda snapshot: block in snapshot.reported and path not in snapshot.reported


def overheat_level(snapshot: Snapshot) -> bool:
    """Whether the level of the overheat protection needs a control of its own, as its climate entity can't set it."""
    return not snapshot.vehicle_config.cop_user_set_temp_supported


def third_row_heaters(snapshot: Snapshot) -> bool:
    """Whether the seats of the third row have heaters."""
    return rear_seat_heaters(snapshot) and third_row(snapshot)


def schedules(snapshot: Snapshot) -> bool:
    """Whether the firmware has schedules for charging and preconditioning, or shows one of those that it had before."""
    version = version_of(snapshot.vehicle_state.car_version) or ""
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return parts >= SCHEDULES_SINCE or bool(plans_of(snapshot))


def sunroof(snapshot: Snapshot) -> bool:
    """Whether the roof opens; only cars that say so have one."""
    return bool(snapshot.vehicle_config.sun_roof_installed)


ENERGY: Final[Mapping[str, tuple[str, ...]]] = {
    "battery": ("total_battery_charge", "total_battery_discharge"),
    "grid": ("grid_energy_imported", "total_grid_energy_exported"),
    "load_meter": ("total_home_usage",),
    "solar": ("total_solar_generation",),
}
"""Component of an energy site -> the day's energies that it has, also while Tesla leaves them out as nothing."""


def energy_paths(info: SiteInfo) -> frozenset[str]:
    """Return the paths of the energies that a site has by what it consists of."""
    there = [channels for part, channels in ENERGY.items() if getattr(info.components, part)]
    return frozenset(f"today.{channel}" for channels in there for channel in channels)


SEATS: Final[Mapping[str, Fitted]] = {
    "seat_heater_rear_left": rear_seat_heaters,
    "seat_heater_rear_center": rear_seat_heaters,
    "seat_heater_rear_right": rear_seat_heaters,
    "seat_heater_rear_left_back": third_row_heaters,
    "seat_heater_rear_right_back": third_row_heaters,
    "seat_heater_third_row_left": third_row_heaters,
    "seat_heater_third_row_right": third_row_heaters,
    "seat_fan_front_left": seat_cooling,
    "seat_fan_front_right": seat_cooling,
}
"""Field of `climate_state` -> whether there is such a seat. Front seats always have heaters."""
