"""Every command that may be sent, by the library's name: its group, whether it is sensitive, what counts as done.

Names and parameters: `tesla-fleet-api`; groups: docs/security.md. A command that is not here cannot be sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .groups import ControlGroup

type Parameters = Mapping[str, Any]


def _always(_: Parameters) -> bool:
    return True


def _never(_: Parameters) -> bool:
    return False


def _switched_off(sent: Parameters) -> bool:
    return not sent.get("on")


def _opened(sent: Parameters) -> bool:
    return sent.get("command", sent.get("state")) not in ("close", "stop")


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `sensitive` tells by the parameters; `done` are refusals that mean it is as was wished already."""

    group: ControlGroup
    sensitive: Callable[[Parameters], bool] = _never
    done: frozenset[str] = frozenset()


def _of(group: ControlGroup, *names: str, **more: Any) -> dict[str, Command]:  # noqa: ANN401 - fields of Command
    return {name: Command(group, **more) for name in names}


_ALREADY: Final = frozenset({"already_set"})

COMMANDS: Final[Mapping[str, Command]] = {
    **_of(ControlGroup.CHARGING, "set_charge_limit", "set_charging_amps", done=_ALREADY),
    **_of(ControlGroup.CHARGING, "charge_start", done=frozenset({"is_charging", "already_started", "requested"})),
    **_of(ControlGroup.CHARGING, "charge_stop", done=frozenset({"not_charging"})),
    **_of(ControlGroup.CHARGING, "charge_standard", done=frozenset({"already_standard"})),
    **_of(ControlGroup.CHARGING, "charge_max_range", done=frozenset({"already_max_range"})),
    **_of(ControlGroup.CHARGING, "charge_port_door_close"),
    **_of(ControlGroup.CHARGING, "charge_port_door_open", sensitive=_always),
    **_of(
        ControlGroup.CLIMATE,
        "auto_conditioning_start",
        "auto_conditioning_stop",
        "remote_auto_seat_climate_request",
        "remote_auto_steering_wheel_heat_climate_request",
        "remote_seat_cooler_request",
        "remote_seat_heater_request",
        "remote_steering_wheel_heat_level_request",
        "remote_steering_wheel_heater_request",
        "set_bioweapon_mode",
        "set_cabin_overheat_protection",
        "set_climate_keeper_mode",
        "set_cop_temp",
        "set_preconditioning_max",
        "set_temps",
    ),
    **_of(ControlGroup.OPENINGS, "door_lock"),
    **_of(ControlGroup.OPENINGS, "door_unlock", "actuate_trunk", sensitive=_always),
    **_of(ControlGroup.OPENINGS, "sun_roof_control", "window_control", sensitive=_opened),
    **_of(
        ControlGroup.SECURITY,
        "clear_pin_to_drive_admin",
        "erase_user_data",
        "guest_mode",
        "remote_start_drive",
        "reset_pin_to_drive_pin",
        "reset_valet_pin",
        "speed_limit_clear_pin",
        "speed_limit_clear_pin_admin",
        "speed_limit_deactivate",
        "trigger_homelink",
        sensitive=_always,
    ),
    **_of(
        ControlGroup.SECURITY,
        "set_keep_accessory_power_mode",
        "set_low_power_mode",
        "speed_limit_activate",
        "speed_limit_set_limit",
    ),
    **_of(ControlGroup.SECURITY, "set_pin_to_drive", "set_sentry_mode", "set_valet_mode", sensitive=_switched_off),
    **_of(
        ControlGroup.MEDIA,
        "adjust_volume",
        "flash_lights",
        "honk_horn",
        "media_next_fav",
        "media_next_track",
        "media_prev_fav",
        "media_prev_track",
        "media_toggle_playback",
        "media_volume_down",
        "media_volume_up",
        "navigation_gps_request",
        "navigation_request",
        "navigation_sc_request",
        "navigation_waypoints_request",
        "remote_boombox",
        "set_vehicle_name",
        "take_drivenote",
        "upcoming_calendar_entries",
    ),
    **_of(ControlGroup.SOFTWARE, "cancel_software_update", "schedule_software_update"),
    **_of(
        ControlGroup.SCHEDULES,
        "add_charge_schedule",
        "add_precondition_schedule",
        "remove_charge_schedule",
        "remove_precondition_schedule",
        "set_scheduled_charging",
        "set_scheduled_departure",
    ),
}
"""Commands of cars."""

SITE_COMMANDS: Final = frozenset(
    {
        "backup",
        "grid_import_export",
        "off_grid_vehicle_charging_reserve",
        "operation",
        "storm_mode",
        "time_of_use_settings",
    }
)
"""Commands of energy sites, all of the group `energy`."""

WAKE: Final = "wake_up"
"""Waking the car for its own sake: it needs any group of cars, and is billed as what it is."""

SECRET_PARAMETERS: Final = frozenset({"pin", "password"})
"""Parameters that no event, log or audit entry carries."""


def shown_parameters(sent: Parameters) -> dict[str, Any]:
    """Return a command's parameters without secrets."""
    return {name: value for name, value in sent.items() if name not in SECRET_PARAMETERS and value is not None}
