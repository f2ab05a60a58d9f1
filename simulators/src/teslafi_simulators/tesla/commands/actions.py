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

from .parameters import BadParameter

type DecodedCommand = tuple[str, dict[str, Any]]
"""A command's name, and its parameters as REST would have them."""

type Action = Any
"""One of the many messages of `car_server.proto`: each reader knows the fields of its own."""
type Decode = Callable[[Action], list[DecodedCommand]]


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


def decode_vehicle_security(message: UnsignedMessage) -> list[DecodedCommand]:
    """Read what the security computer was told; raise UnknownAction."""
    kind = message.WhichOneof("sub_message")
    if kind == "RKEAction" and message.RKEAction in RKE:
        return [(RKE[message.RKEAction], {})]
    if kind == "closureMoveRequest":
        moves = [(field.name, value) for field, value in message.closureMoveRequest.ListFields()]
        if len(moves) == 1 and moves[0] in CLOSURES:
            return [CLOSURES[moves[0]]]
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


def _choice[K, V](options: Mapping[K, V], chosen: K, name: str) -> V:
    """Return what a value of the wire stands for; raise BadParameter for none and for those that mean nothing."""
    if chosen not in options:
        raise BadParameter(name)
    return options[chosen]


def _named(name: str, *fields: str, **renamed: str) -> Decode:
    """Return a reader that takes fields as parameters; `renamed` gives parameter=field where they differ."""
    taken = {field: field for field in fields} | renamed

    def decode(action: Action) -> list[DecodedCommand]:
        return [(name, {parameter: getattr(action, field) for parameter, field in taken.items()})]

    return decode


def _charging(action: Action) -> list[DecodedCommand]:
    return [(_choice(CHARGING, action.WhichOneof("charging_action"), "charging_action"), {})]


def _volume(action: Action) -> list[DecodedCommand]:
    if action.WhichOneof("media_volume") == "volume_delta":
        return [("media_volume_up" if action.volume_delta > 0 else "media_volume_down", {})]
    return [("adjust_volume", {"volume": round(action.volume_absolute_float, 4)})]


def _heaters(action: Action) -> list[DecodedCommand]:
    """Read any number of seats, none included: the message repeats them, and a car takes one after the other."""
    return [("remote_seat_heater_request", _heater(one)) for one in action.hvacSeatHeaterAction]


def _heater(one: Action) -> dict[str, Any]:
    names = {field.name for field, _ in one.ListFields()}
    seats = [place for place, name in enumerate(SEATS) if name in names]
    levels = [place for place, name in enumerate(LEVELS) if name in names]
    if len(seats) != 1 or len(levels) != 1:
        raise BadParameter("hvacSeatHeaterAction")
    return {"heater": seats[0], "level": levels[0]}


def _coolers(action: Action) -> list[DecodedCommand]:
    return [("remote_seat_cooler_request", _cooler(one)) for one in action.hvacSeatCoolerAction]


def _cooler(one: Action) -> dict[str, Any]:
    level = _choice(COOLER_LEVELS, one.seat_cooler_level, "seat_cooler_level")
    return {"seat_position": one.seat_position, "seat_cooler_level": level}


def _auto_seats(action: Action) -> list[DecodedCommand]:
    return [
        ("remote_auto_seat_climate_request", {"auto_seat_position": one.seat_position, "auto_climate_on": one.on})
        for one in action.carseat
    ]


def _temperatures(action: Action) -> list[DecodedCommand]:
    temperatures = {
        "driver_temp": round(action.driver_temp_celsius, 2),
        "passenger_temp": round(action.passenger_temp_celsius, 2),
    }
    return [("set_temps", temperatures)]


def _departure(action: Action) -> list[DecodedCommand]:
    """Read a departure: a block of times that is there switches its feature on."""
    preconditioning, off_peak = action.HasField("preconditioning_times"), action.HasField("off_peak_charging_times")
    departure = {
        "enable": action.enabled,
        "departure_time": action.departure_time,
        "preconditioning_enabled": preconditioning,
        "preconditioning_weekdays_only": preconditioning and action.preconditioning_times.HasField("weekdays"),
        "off_peak_charging_enabled": off_peak,
        "off_peak_charging_weekdays_only": off_peak and action.off_peak_charging_times.HasField("weekdays"),
        "end_off_peak_time": action.off_peak_hours_end_time,
    }
    return [("set_scheduled_departure", departure)]


def _schedule(name: str, *times: str) -> Decode:
    def decode(action: Action) -> list[DecodedCommand]:
        schedule = {
            "id": action.id,
            "name": action.name,
            "days_of_week": action.days_of_week,
            "one_time": action.one_time,
            "enabled": action.enabled,
            "lat": action.latitude,
            "lon": action.longitude,
            **{time: getattr(action, time) for time in times},
        }
        return [(name, schedule)]

    return decode


def _valet(action: Action) -> list[DecodedCommand]:
    return [("set_valet_mode", {"on": action.on, "password": action.password or None})]


def _speed_limit(action: Action) -> list[DecodedCommand]:
    return [("speed_limit_activate" if action.activate else "speed_limit_deactivate", {"pin": action.pin})]


def _sun_roof(action: Action) -> list[DecodedCommand]:
    return [("sun_roof_control", {"state": action.WhichOneof("action")})]


def _window(action: Action) -> list[DecodedCommand]:
    return [("window_control", {"command": action.WhichOneof("action")})]


def _homelink(action: Action) -> list[DecodedCommand]:
    if not action.HasField("location"):
        return [("trigger_homelink", {})]
    return [("trigger_homelink", {"lat": action.location.latitude, "lon": action.location.longitude})]


def _power(action: Action) -> list[DecodedCommand]:
    return [("auto_conditioning_start" if action.power_on else "auto_conditioning_stop", {})]


def _keeper(action: Action) -> list[DecodedCommand]:
    mode = _choice(KEEPERS, action.ClimateKeeperAction, "ClimateKeeperAction")
    return [("set_climate_keeper_mode", {"climate_keeper_mode": mode})]


def _overheat_level(action: Action) -> list[DecodedCommand]:
    return [("set_cop_temp", {"cop_temp": _choice(COP_LEVELS, action.copActivationTemp, "copActivationTemp")})]


def _wheel_level(action: Action) -> list[DecodedCommand]:
    level = _choice(WHEEL_LEVELS, action.stw_heat_level, "stw_heat_level")
    return [("remote_steering_wheel_heat_level_request", {"level": level})]


INFOTAINMENT: Final[Mapping[str, Decode]] = {
    "addChargeScheduleAction": _schedule(
        "add_charge_schedule", "start_enabled", "start_time", "end_enabled", "end_time"
    ),
    "addPreconditionScheduleAction": _schedule("add_precondition_schedule", "precondition_time"),
    "autoSeatClimateAction": _auto_seats,
    "autoStwHeatAction": _named("remote_auto_steering_wheel_heat_climate_request", "on"),
    "batchRemoveChargeSchedulesAction": _named("batch_remove_charge_schedules", "home", "work", "other"),
    "batchRemovePreconditionSchedulesAction": _named("batch_remove_precondition_schedules", "home", "work", "other"),
    "boomboxAction": _named("remote_boombox", "sound"),
    # As Tesla's own SDK sends it (vehicle-command, pkg/vehicle/charge.go); others move the closure
    "chargePortDoorClose": _named("charge_port_door_close"),
    "chargePortDoorOpen": _named("charge_port_door_open"),
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
    "hvacClimateKeeperAction": _keeper,
    "hvacSeatCoolerActions": _coolers,
    "hvacSeatHeaterActions": _heaters,
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
    "setCopTempAction": _overheat_level,
    "setKeepAccessoryPowerModeAction": _named("set_keep_accessory_power_mode", on="keep_accessory_power_mode"),
    "setLowPowerModeAction": _named("set_low_power_mode", on="low_power_mode"),
    "setVehicleNameAction": _named("set_vehicle_name", vehicle_name="vehicleName"),
    "stwHeatLevelAction": _wheel_level,
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


def decode_infotainment(action: VehicleAction) -> list[DecodedCommand]:
    """Read what the infotainment computer was told; raise UnknownAction or BadParameter."""
    kind = action.WhichOneof("vehicle_action_msg")
    if kind not in INFOTAINMENT:
        raise UnknownAction(kind or "nothing")
    return INFOTAINMENT[kind](getattr(action, kind))
