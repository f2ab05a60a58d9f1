"""Values of a car that get no entity of their own, since another entity shows them.

What the car was built with, can do, or is set to belongs to one entity as its attributes. What a second entity would
only say again is left out. Whoever has such an entity from an earlier version keeps it, and a car that does not report
what the other entity is about has one for the value itself: nothing that is reported is lost.
"""

from collections.abc import Mapping
from typing import Final

from ..tesla.decode import PATHS
from ..tesla.requests import Category
from .fitted import Fitted, never, unless_reported

ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "sensor.vehicle_config_car_type": (
        "vehicle_config.aux_park_lamps",
        "vehicle_config.can_accept_navigation_requests",
        "vehicle_config.can_actuate_trunks",
        "vehicle_config.car_special_type",
        "vehicle_config.charge_port_type",
        "vehicle_config.cop_user_set_temp_supported",
        "vehicle_config.dashcam_clip_save_supported",
        "vehicle_config.default_charge_to_max",
        "vehicle_config.driver_assist",
        "vehicle_config.ece_restrictions",
        "vehicle_config.efficiency_package",
        "vehicle_config.eu_vehicle",
        "vehicle_config.exterior_color",
        "vehicle_config.exterior_trim",
        "vehicle_config.front_drive_unit",
        "vehicle_config.has_air_suspension",
        "vehicle_config.has_ludicrous_mode",
        "vehicle_config.has_seat_cooling",
        "vehicle_config.headlamp_type",
        "vehicle_config.interior_trim_type",
        "vehicle_config.motorized_charge_port",
        "vehicle_config.perf_config",
        "vehicle_config.performance_package",
        "vehicle_config.plg",
        "vehicle_config.pws",
        "vehicle_config.rear_drive_unit",
        "vehicle_config.rhd",
        "vehicle_config.roof_color",
        "vehicle_config.sentry_preview_supported",
        "vehicle_config.spoiler_type",
        "vehicle_config.sun_roof_installed",
        "vehicle_config.supports_qr_pairing",
        "vehicle_config.third_row_seats",
        "vehicle_config.trim_badging",
        "vehicle_config.use_range_badging",
        "vehicle_config.utc_offset",
        "vehicle_config.webcam_selfie_supported",
        "vehicle_config.webcam_supported",
        "vehicle_config.wheel_type",
        "vehicle.access_type",
        "vehicle.ble_autopair_enrolled",
        "vehicle.calendar_enabled",
        "vehicle.command_signing",
        "vehicle.granular_access.hide_private",
        "vehicle_state.api_version",
        "vehicle_state.calendar_supported",
        "vehicle_state.dashcam_clip_save_available",
        "vehicle_state.media_state.remote_control_enabled",
        "vehicle_state.notifications_supported",
        "vehicle_state.parsed_calendar_supported",
        "vehicle_state.remote_start_supported",
        "vehicle_state.santa_mode",
        "vehicle_state.sentry_mode_available",
        "vehicle_state.smart_summon_available",
        "vehicle_state.tpms_rcp_front_value",
        "vehicle_state.tpms_rcp_rear_value",
        "vehicle_state.webcam_available",
        "charge_state.charge_limit_soc_max",
        "charge_state.charge_limit_soc_min",
        "charge_state.charge_limit_soc_std",
        "charge_state.max_range_charge_counter",
        "climate_state.allow_cabin_overheat_protection",
        "climate_state.max_avail_temp",
        "climate_state.min_avail_temp",
        "climate_state.remote_heater_control_enabled",
        "climate_state.supports_fan_only_cabin_overheat_protection",
    ),
    "sensor.data_at": (
        "drive_state.gps_as_of",
        "drive_state.timestamp",
        "vehicle_state.tpms_last_seen_pressure_time_fl",
        "vehicle_state.tpms_last_seen_pressure_time_fr",
        "vehicle_state.tpms_last_seen_pressure_time_rl",
        "vehicle_state.tpms_last_seen_pressure_time_rr",
    ),
    "sensor.gui_settings_gui_distance_units": (
        "gui_settings.gui_24_hour_time",
        "gui_settings.gui_charge_rate_units",
        "gui_settings.gui_range_display",
        "gui_settings.gui_temperature_units",
        "gui_settings.gui_tirepressure_units",
        "gui_settings.show_range_units",
    ),
    "sensor.vehicle_state_media_info_media_playback_status": (
        "vehicle_state.media_info.a2dp_source_name",
        "vehicle_state.media_info.audio_volume",
        "vehicle_state.media_info.now_playing_album",
        "vehicle_state.media_info.now_playing_artist",
        "vehicle_state.media_info.now_playing_duration",
        "vehicle_state.media_info.now_playing_elapsed",
        "vehicle_state.media_info.now_playing_source",
        "vehicle_state.media_info.now_playing_station",
        "vehicle_state.media_info.now_playing_title",
    ),
    "sensor.charge_state_charge_current_request": (
        "charge_state.charge_amps",
        "charge_state.charge_current_request_max",
        "charge_state.charge_enable_request",
        "charge_state.charger_pilot_current",
        "charge_state.user_charge_enable_request",
    ),
    "sensor.charge_state_charge_port_latch": (
        "charge_state.charge_port_cold_weather_mode",
        "charge_state.charge_port_color",
    ),
    "sensor.charge_state_scheduled_charging_mode": (
        "charge_state.off_peak_charging_enabled",
        "charge_state.off_peak_charging_times",
        "charge_state.off_peak_hours_end_time",
        "charge_state.preconditioning_enabled",
        "charge_state.preconditioning_times",
        "charge_state.scheduled_charging_pending",
    ),
    "sensor.climate_state_cabin_overheat_protection": (
        "climate_state.cabin_overheat_protection_actively_cooling",
        "climate_state.cop_activation_temperature",
        "climate_state.cop_not_running_reason",
    ),
    "sensor.climate_state_defrost_mode": (
        "climate_state.is_front_defroster_on",
        "climate_state.is_rear_defroster_on",
        "climate_state.side_mirror_heaters",
        "climate_state.wiper_blade_heater",
    ),
    "sensor.climate_state_hvac_auto_request": (
        "climate_state.auto_seat_climate_left",
        "climate_state.auto_seat_climate_right",
        "climate_state.auto_steering_wheel_heat",
        "climate_state.fan_status",
        "climate_state.is_auto_conditioning_on",
    ),
    "binary_sensor.charge_state_battery_heater_on": (
        "charge_state.not_enough_power_to_heat",
        "climate_state.battery_heater",
        "climate_state.battery_heater_no_power",
    ),
    "binary_sensor.charge_state_fast_charger_present": (
        "charge_state.fast_charger_brand",
        "charge_state.supercharger_session_trip_planner",
        "charge_state.trip_charging",
    ),
    "binary_sensor.vehicle_state_remote_start": ("vehicle_state.remote_start_enabled",),
    "binary_sensor.vehicle_state_service_mode": (
        "vehicle_state.service_mode_plus",
        "vehicle_state.vehicle_self_test_progress",
        "vehicle_state.vehicle_self_test_requested",
    ),
    "binary_sensor.vehicle_state_speed_limit_mode_active": (
        "vehicle_state.speed_limit_mode.current_limit_mph",
        "vehicle_state.speed_limit_mode.max_limit_mph",
        "vehicle_state.speed_limit_mode.min_limit_mph",
        "vehicle_state.speed_limit_mode.pin_code_set",
    ),
    "binary_sensor.vehicle_state_valet_mode": ("vehicle_state.valet_pin_needed",),
    "update.software_update": (
        "vehicle_state.software_update.download_perc",
        "vehicle_state.software_update.expected_duration_sec",
        "vehicle_state.software_update.status",
    ),
}
"""Platform and key of an entity -> the paths of the values that are its attributes, as Tesla sends them."""

COUNTED: Final = (Category.DATA, Category.STATE, Category.WAKE, Category.COMMAND, Category.DETAILS)
"""The requests about a car that are counted by kind."""

SAID_AGAIN: Final[Mapping[str, str]] = {
    "binary_sensor.state": "sensor.state",
    "binary_sensor.charge_state_charger_phases": "sensor.charge_state_charger_phases",
    "binary_sensor.charge_state_charging_state": "sensor.charge_state_charging_state",
    "binary_sensor.climate_state_steering_wheel_heater": "sensor.climate_state_steering_wheel_heat_level",
    "binary_sensor.vehicle_state_dashcam_state": "sensor.vehicle_state_dashcam_state",
    **{
        f"binary_sensor.vehicle_state_tpms_{kind}_warning_{wheel}": f"binary_sensor.{shown}"
        for kind, shown in (("soft", "tire_warning"), ("hard", "tire_alarm"))
        for wheel in ("fl", "fr", "rl", "rr")
    },
    "sensor.charge_state_charge_miles_added_ideal": "sensor.charge_state_charge_miles_added_rated",
    "sensor.charge_state_scheduled_charging_start_time_app": "sensor.charge_state_scheduled_charging_start_time",
    "sensor.charge_state_scheduled_charging_start_time_minutes": "sensor.charge_state_scheduled_charging_start_time",
    "sensor.charge_state_scheduled_departure_time_minutes": "sensor.charge_state_scheduled_departure_time",
    "sensor.charge_state_time_to_full_charge": "sensor.charge_state_minutes_to_full_charge",
    **{f"sensor.requests_{category}": "sensor.cost" for category in COUNTED},
    "sensor.vehicle_state_car_version": "update.software_update",
    "sensor.vehicle_state_software_update_install_perc": "update.software_update",
    "sensor.vehicle_state_software_update_version": "update.software_update",
}
"""Platform and key of an entity -> the one that says the same, if not as its state as an attribute."""

_SHOWN_BY: Final = {path.replace(".", "_"): shown for shown, paths in ATTRIBUTES.items() for path in paths}
_PATHS: Final = {path.replace(".", "_"): path for path in PATHS}


def shown_by(platform: str, key: str) -> str | None:
    """Return platform and key of the other entity that shows the value, if one does."""
    return _SHOWN_BY.get(key) or SAID_AGAIN.get(f"{platform}.{key}")


def rule_of(shown: str) -> Fitted:
    """Return when a car has an entity of its own for what `shown` (platform and key) shows."""
    path = _PATHS.get(shown.partition(".")[2])
    return never if path is None else unless_reported(path)
