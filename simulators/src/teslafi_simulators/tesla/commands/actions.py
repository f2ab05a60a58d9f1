"""Signed payloads read as commands: protobuf messages of the two computers -> a command's name and parameters."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tesla_protocol.command.car_server_pb2 import (
    HvacClimateKeeperAction,
    HvacSeatCoolerActions,
    VehicleAction,
)
from tesla_protocol.command.common_pb2 import StwHeatLevel
from tesla_protocol.command.vcsec_pb2 import ClosureMoveType_E, RKEAction_E, UnsignedMessage
from tesla_protocol.command.vehicle_pb2 import ClimateState

type DecodedCommand = tuple[str, dict[str, Any]]


class UnknownAction(Exception):
    """The computer does not know the action; the text names it."""


RKE: Final[Mapping[int, str]] = {
    RKEAction_E.RKE_ACTION_LOCK: "door_lock",
    RKEAction_E.RKE_ACTION_UNLOCK: "door_unlock",
    RKEAction_E.RKE_ACTION_REMOTE_DRIVE: "remote_start_drive",
}

CLOSURES: Final[Mapping[tuple[str, int], DecodedCommand]] = {
    ("frontTrunk", ClosureMoveType_E.CLOSURE_MOVE_TYPE_MOVE): ("actuate_trunk", {"which_trunk": "front"}),
    ("rearTrunk", ClosureMoveType_E.CLOSURE_MOVE_TYPE_MOVE): ("actuate_trunk", {"which_trunk": "rear"}),
    ("chargePort", ClosureMoveType_E.CLOSURE_MOVE_TYPE_OPEN): ("charge_port_door_open", {}),
    ("chargePort", ClosureMoveType_E.CLOSURE_MOVE_TYPE_CLOSE): ("charge_port_door_close", {}),
}


def decode_vehicle_security(message: UnsignedMessage) -> DecodedCommand:
    """DecodedCommand what the security computer was told; raise UnknownAction."""
    kind = message.WhichOneof("sub_message")
    if kind == "RKEAction" and message.RKEAction in RKE:
        return RKE[message.RKEAction], {}
    if kind == "closureMoveRequest":
        moves = [(field.name, value) for field, value in message.closureMoveRequest.ListFields()]
        if len(moves) == 1 and moves[0] in CLOSURES:
            return CLOSURES[moves[0]]
    raise UnknownAction(kind or "nothing")


SEATS: Final = (
    "CAR_SEAT_FRONT_LEFT",
    "CAR_SEAT_FRONT_RIGHT",
    "CAR_SEAT_REAR_LEFT",
    "CAR_SEAT_REAR_LEFT_BACK",
    "CAR_SEAT_REAR_CENTER",
    "CAR_SEAT_REAR_RIGHT",
    "CAR_SEAT_REAR_RIGHT_BACK",
    "CAR_SEAT_THIRD_ROW_LEFT",
    "CAR_SEAT_THIRD_ROW_RIGHT",
)
LEVELS: Final = ("SEAT_HEATER_OFF", "SEAT_HEATER_LOW", "SEAT_HEATER_MED", "SEAT_HEATER_HIGH")
COOLER_LEVELS: Final = {
    HvacSeatCoolerActions.HvacSeatCoolerLevel_Off: 0,
    HvacSeatCoolerActions.HvacSeatCoolerLevel_Low: 1,
    HvacSeatCoolerActions.HvacSeatCoolerLevel_Med: 2,
    HvacSeatCoolerActions.HvacSeatCoolerLevel_High: 3,
}
KEEPERS: Final = {
    HvacClimateKeeperAction.ClimateKeeperAction_Off: 0,
    HvacClimateKeeperAction.ClimateKeeperAction_On: 1,
    HvacClimateKeeperAction.ClimateKeeperAction_Dog: 2,
    HvacClimateKeeperAction.ClimateKeeperAction_Camp: 3,
}
COP_LEVELS: Final = {
    ClimateState.CopActivationTemp.CopActivationTempLow: 0,
    ClimateState.CopActivationTemp.CopActivationTempMedium: 1,
    ClimateState.CopActivationTemp.CopActivationTempHigh: 2,
}
WHEEL_LEVELS: Final = {
    StwHeatLevel.StwHeatLevel_Off: 0,
    StwHeatLevel.StwHeatLevel_Low: 1,
    StwHeatLevel.StwHeatLevel_High: 3,
}
CHARGING: Final = {
    "start": "charge_start",
    "stop": "charge_stop",
    "start_standard": "charge_standard",
    "start_max_range": "charge_max_range",
}


def _named(name: str, *fields: str, **renamed: str) -> Callable[[Any], DecodedCommand]:
    """Return a reader that takes fields as parameters; `renamed` gives parameter=field where they differ."""
    taken = {field: field for field in fields} | renamed

    def read(action: Any) -> DecodedCommand:  # noqa: ANN401 - one of many messages
        return name, {parameter: getattr(action, field) for parameter, field in taken.items()}

    return read


def _charging(action: Any) -> DecodedCommand:  # noqa: ANN401
    return CHARGING[action.WhichOneof("charging_action")], {}


def _volume(action: Any) -> DecodedCommand:  # noqa: ANN401
    if action.WhichOneof("media_volume") == "volume_delta":
        return ("media_volume_up" if action.volume_delta > 0 else "media_volume_down"), {}
    return "adjust_volume", {"volume": round(action.volume_absolute_float, 4)}


def _heater(action: Any) -> DecodedCommand:  # noqa: ANN401
    (one,) = action.hvacSeatHeaterAction
    names = {field.name for field, _ in one.ListFields()}
    seat = next(place for place, name in enumerate(SEATS) if name in names)
    level = next(place for place, name in enumerate(LEVELS) if name in names)
    return "remote_seat_heater_request", {"heater": seat, "level": level}


def _cooler(action: Any) -> DecodedCommand:  # noqa: ANN401
    (one,) = action.hvacSeatCoolerAction
    level = COOLER_LEVELS[one.seat_cooler_level]
    return "remote_seat_cooler_request", {"seat_position": one.seat_position, "seat_cooler_level": level}


def _auto_seat(action: Any) -> DecodedCommand:  # noqa: ANN401
    (one,) = action.carseat
    return "remote_auto_seat_climate_request", {"auto_seat_position": one.seat_position, "auto_climate_on": one.on}


def _temperatures(action: Any) -> DecodedCommand:  # noqa: ANN401
    return "set_temps", {
        "driver_temp": round(action.driver_temp_celsius, 2),
        "passenger_temp": round(action.passenger_temp_celsius, 2),
    }


def _departure(action: Any) -> DecodedCommand:  # noqa: ANN401
    """DecodedCommand a departure: a block of times that is there switches its feature on."""
    preconditioning, off_peak = action.HasField("preconditioning_times"), action.HasField("off_peak_charging_times")
    return "set_scheduled_departure", {
        "enable": action.enabled,
        "departure_time": action.departure_time,
        "preconditioning_enabled": preconditioning,
        "preconditioning_weekdays_only": preconditioning and action.preconditioning_times.HasField("weekdays"),
        "off_peak_charging_enabled": off_peak,
        "off_peak_charging_weekdays_only": off_peak and action.off_peak_charging_times.HasField("weekdays"),
        "end_off_peak_time": action.off_peak_hours_end_time,
    }


def _schedule(name: str, *times: str) -> Callable[[Any], DecodedCommand]:
    def read(action: Any) -> DecodedCommand:  # noqa: ANN401
        return name, {
            "id": action.id,
            "name": action.name,
            "days_of_week": action.days_of_week,
            "one_time": action.one_time,
            "enabled": action.enabled,
            "lat": action.latitude,
            "lon": action.longitude,
            **{time: getattr(action, time) for time in times},
        }

    return read


def _valet(action: Any) -> DecodedCommand:  # noqa: ANN401
    return "set_valet_mode", {"on": action.on, "password": action.password or None}


def _speed_limit(action: Any) -> DecodedCommand:  # noqa: ANN401
    return ("speed_limit_activate" if action.activate else "speed_limit_deactivate"), {"pin": action.pin}


def _sun_roof(action: Any) -> DecodedCommand:  # noqa: ANN401
    return "sun_roof_control", {"state": action.WhichOneof("action")}


def _window(action: Any) -> DecodedCommand:  # noqa: ANN401
    return "window_control", {"command": action.WhichOneof("action")}


def _homelink(action: Any) -> DecodedCommand:  # noqa: ANN401
    if not action.HasField("location"):
        return "trigger_homelink", {}
    return "trigger_homelink", {"lat": action.location.latitude, "lon": action.location.longitude}


def _power(action: Any) -> DecodedCommand:  # noqa: ANN401
    return ("auto_conditioning_start" if action.power_on else "auto_conditioning_stop"), {}


INFOTAINMENT: Final[Mapping[str, Callable[[Any], DecodedCommand]]] = {
    "addChargeScheduleAction": _schedule(
        "add_charge_schedule", "start_enabled", "start_time", "end_enabled", "end_time"
    ),
    "addPreconditionScheduleAction": _schedule("add_precondition_schedule", "precondition_time"),
    "autoSeatClimateAction": _auto_seat,
    "autoStwHeatAction": _named("remote_auto_steering_wheel_heat_climate_request", "on"),
    "batchRemoveChargeSchedulesAction": _named("batch_remove_charge_schedules", "home", "work", "other"),
    "batchRemovePreconditionSchedulesAction": _named("batch_remove_precondition_schedules", "home", "work", "other"),
    "boomboxAction": _named("remote_boombox", "sound"),
    "chargingSetLimitAction": _named("set_charge_limit", "percent"),
    "chargingStartStopAction": _charging,
    "drivingClearSpeedLimitPinAction": _named("speed_limit_clear_pin", "pin"),
    "drivingClearSpeedLimitPinAdminAction": _named("speed_limit_clear_pin_admin"),
    "drivingSetSpeedLimitAction": _named("speed_limit_set_limit", "limit_mph"),
    "drivingSpeedLimitAction": _speed_limit,
    "eraseUserDataAction": _named("erase_user_data"),
    "guestModeAction": _named("guest_mode", enable="GuestModeActive"),
    "hvacAutoAction": _power,
    "hvacBioweaponModeAction": _named("set_bioweapon_mode", "on", "manual_override"),
    "hvacClimateKeeperAction": lambda action: (
        "set_climate_keeper_mode",
        {"climate_keeper_mode": KEEPERS[action.ClimateKeeperAction]},
    ),
    "hvacSeatCoolerActions": _cooler,
    "hvacSeatHeaterActions": _heater,
    "hvacSetPreconditioningMaxAction": _named("set_preconditioning_max", "on", "manual_override"),
    "hvacSteeringWheelHeaterAction": _named("remote_steering_wheel_heater_request", on="power_on"),
    "hvacTemperatureAdjustmentAction": _temperatures,
    "mediaNextFavorite": _named("media_next_fav"),
    "mediaNextTrack": _named("media_next_track"),
    "mediaPlayAction": _named("media_toggle_playback"),
    "mediaPreviousFavorite": _named("media_prev_fav"),
    "mediaPreviousTrack": _named("media_prev_track"),
    "mediaUpdateVolume": _volume,
    "navigationGpsRequest": _named("navigation_gps_request", "lat", "lon", "order"),
    "navigationRequest": _named("navigation_request", "destination"),
    "navigationSuperchargerRequest": _named("navigation_sc_request", id="id", order="remote_nav_trip_order"),
    "navigationWaypointsRequest": _named("navigation_waypoints_request", "waypoints"),
    "removeChargeScheduleAction": _named("remove_charge_schedule", "id"),
    "removePreconditionScheduleAction": _named("remove_precondition_schedule", "id"),
    "scheduledChargingAction": _named("set_scheduled_charging", enable="enabled", time="charging_time"),
    "scheduledDepartureAction": _departure,
    "setCabinOverheatProtectionAction": _named("set_cabin_overheat_protection", "on", "fan_only"),
    "setChargingAmpsAction": _named("set_charging_amps", "charging_amps"),
    "setCopTempAction": lambda action: ("set_cop_temp", {"cop_temp": COP_LEVELS[action.copActivationTemp]}),
    "setKeepAccessoryPowerModeAction": _named("set_keep_accessory_power_mode", on="keep_accessory_power_mode"),
    "setLowPowerModeAction": _named("set_low_power_mode", on="low_power_mode"),
    "setVehicleNameAction": _named("set_vehicle_name", vehicle_name="vehicleName"),
    "stwHeatLevelAction": lambda action: (
        "remote_steering_wheel_heat_level_request",
        {"level": WHEEL_LEVELS[action.stw_heat_level]},
    ),
    "takeDrivenoteAction": _named("take_drivenote", "note"),
    "uiSetUpcomingCalendarEntries": _named("upcoming_calendar_entries", "calendar_data"),
    "vehicleControlCancelSoftwareUpdateAction": _named("cancel_software_update"),
    "vehicleControlFlashLightsAction": _named("flash_lights"),
    "vehicleControlHonkHornAction": _named("honk_horn"),
    "vehicleControlResetPinToDriveAction": _named("reset_pin_to_drive_pin"),
    "vehicleControlResetPinToDriveAdminAction": _named("clear_pin_to_drive_admin"),
    "vehicleControlResetValetPinAction": _named("reset_valet_pin"),
    "vehicleControlScheduleSoftwareUpdateAction": _named("schedule_software_update", "offset_sec"),
    "vehicleControlSetPinToDriveAction": _named("set_pin_to_drive", "on", "password"),
    "vehicleControlSetSentryModeAction": _named("set_sentry_mode", "on"),
    "vehicleControlSetValetModeAction": _valet,
    "vehicleControlSunroofOpenCloseAction": _sun_roof,
    "vehicleControlTriggerHomelinkAction": _homelink,
    "vehicleControlWindowAction": _window,
}
"""The infotainment computer's actions."""


def decode_infotainment(action: VehicleAction) -> DecodedCommand:
    """DecodedCommand what the infotainment computer was told; raise UnknownAction."""
    kind = action.WhichOneof("vehicle_action_msg")
    if kind not in INFOTAINMENT:
        raise UnknownAction(kind or "nothing")
    return INFOTAINMENT[kind](getattr(action, kind))
