"""Every command that the installed tesla-fleet-api can send, sent by it to a signed and to an unsigned car."""

from collections.abc import Callable
import inspect
from typing import Any, Final

import pytest
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet
from tesla_fleet_api.tesla.vehicle.signed import VehicleSigned

from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.cars.supply import Supply
from teslafi_simulators.tesla.commands.table import COMMANDS

from .conftest import Driven

type Row = tuple[dict[str, Any], Callable[[Car], None] | None, Callable[[dict[str, Any]], object] | None]


def charge(path: str, wanted: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["charge_state"][path] == wanted


def climate(path: str, wanted: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["climate_state"][path] == wanted


def state(path: str, wanted: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["vehicle_state"][path] == wanted


def plug(car: Car) -> None:
    car.plug_in(Supply.SINGLE_PHASE)
    car.stop_charging()


def set_value(path: str, value: object) -> Callable[[Car], None]:
    return lambda car: car.set_value(path, value)


def home(car: Car) -> None:
    car.data["vehicle_state"] |= {"homelink_device_count": 1, "homelink_nearby": True}
    car.set_value("drive_state.latitude", 37.0)
    car.set_value("drive_state.longitude", -122.0)


def new_firmware(car: Car) -> None:
    car.data["vehicle_state"]["car_version"] = "2026.2.9 abcdef"


def with_schedules(car: Car) -> None:
    new_firmware(car)
    place = {"latitude": car.home[0], "longitude": car.home[1]}
    car.data["charge_schedule_data"] = {"charge_schedules": [{"id": 1, **place, "enabled": False, "days_of_week": 1}]}
    car.data["preconditioning_schedule_data"] = {
        "precondition_schedules": [
            {"id": 1, **place, "enabled": False, "days_of_week": 1, "precondition_time": 0},
        ]
    }


def offered(car: Car) -> None:
    car.data["vehicle_state"]["software_update"] |= {"status": "available", "version": "2026.2.10"}


def planned(car: Car) -> None:
    car.data["vehicle_state"]["software_update"] |= {"status": "scheduled", "scheduled_time_ms": 4e12}


def pin(name: str) -> Callable[[Car], None]:
    return lambda car: car.pins.update({name: "1234"})


def comfort(car: Car) -> None:
    car.data["vehicle_config"]["has_seat_cooling"] = True
    car.data["climate_state"]["bioweapon_mode"] = False
    car.data["climate_state"]["allow_cabin_overheat_protection"] = True
    car.data["vehicle_config"]["cop_user_set_temp_supported"] = True
    car.data["vehicle_state"]["sentry_mode_available"] = True
    car.data["vehicle_state"]["remote_start_enabled"] = True


def charging_now(car: Car) -> None:
    car.plug_in(Supply.SINGLE_PHASE)


ROWS: Final[dict[str, Row]] = {
    "actuate_trunk": ({"which_trunk": "front"}, None, state("ft", 1)),
    "add_charge_schedule": (
        {"days_of_week": "MON,THURS", "enabled": True, "lat": 37.1, "lon": -122.1, "start_time": 60, "id": 7},
        new_firmware,
        lambda data: data["charge_schedule_data"]["charge_schedules"][0]["days_of_week"] == 18,
    ),
    "add_precondition_schedule": (
        # The library's signed form takes the bits alone, its REST form hands on what it is given
        {"days_of_week": 62, "enabled": True, "lat": 37.1, "lon": -122.1, "precondition_time": 480, "id": 8},
        new_firmware,
        lambda data: data["preconditioning_schedule_data"]["precondition_schedules"][0]["precondition_time"] == 480,
    ),
    "adjust_volume": ({"volume": 5.0}, None, lambda data: data["vehicle_state"]["media_info"]["audio_volume"] == 5.0),
    "auto_conditioning_start": ({}, None, climate("is_climate_on", wanted=True)),
    "auto_conditioning_stop": ({}, None, climate("is_climate_on", wanted=False)),
    "batch_remove_charge_schedules": (
        {"home": True, "work": False, "other": False},
        with_schedules,
        lambda data: data["charge_schedule_data"]["charge_schedules"] == [],
    ),
    "batch_remove_precondition_schedules": (
        {"home": True, "work": False, "other": False},
        with_schedules,
        lambda data: data["preconditioning_schedule_data"]["precondition_schedules"] == [],
    ),
    "cancel_software_update": (
        {},
        planned,
        lambda data: data["vehicle_state"]["software_update"]["status"] == "available",
    ),
    "charge_max_range": ({}, None, charge("charge_limit_soc", 100)),
    "charge_port_door_close": ({}, None, charge("charge_port_door_open", wanted=False)),
    "charge_port_door_open": ({}, None, charge("charge_port_door_open", wanted=True)),
    "charge_standard": (
        {},
        set_value("charge_state.charge_limit_soc", 70),
        lambda data: data["charge_state"]["charge_limit_soc"] == data["charge_state"]["charge_limit_soc_std"],
    ),
    "charge_start": ({}, plug, charge("charging_state", "Charging")),
    "charge_stop": ({}, charging_now, charge("charging_state", "Stopped")),
    "clear_pin_to_drive_admin": ({}, pin("drive"), None),
    "door_lock": ({}, set_value("vehicle_state.locked", value=False), state("locked", wanted=True)),
    "door_unlock": ({}, None, state("locked", wanted=False)),
    "erase_user_data": ({}, lambda car: car.settings.update(guest_mode=True), None),
    "flash_lights": ({}, None, None),
    "guest_mode": ({"enable": True}, None, None),
    "honk_horn": ({}, None, None),
    "media_next_fav": ({}, None, None),
    "media_next_track": ({}, None, lambda data: data["vehicle_state"]["media_info"]["now_playing_title"] == "Track 1"),
    "media_prev_fav": ({}, None, None),
    "media_prev_track": ({}, None, None),
    "media_toggle_playback": (
        {},
        None,
        lambda data: data["vehicle_state"]["media_info"]["media_playback_status"] in ("Paused", "Playing"),
    ),
    "media_volume_down": ({}, None, None),
    "media_volume_up": ({}, None, None),
    "navigation_gps_request": (
        {"lat": 52.5, "lon": 13.4, "order": 1},
        None,
        lambda data: data["drive_state"]["active_route_latitude"] == pytest.approx(52.5),
    ),
    "navigation_request": (
        {"value": "Brandenburger Tor"},
        None,
        lambda data: data["drive_state"]["active_route_destination"] == "Brandenburger Tor",
    ),
    "navigation_sc_request": ({"id": 1, "order": 1}, None, None),
    "navigation_waypoints_request": ({"waypoints": "refId:a,refId:b"}, None, None),
    "remote_auto_seat_climate_request": (
        {"auto_seat_position": 2, "auto_climate_on": True},
        None,
        climate("auto_seat_climate_right", wanted=True),
    ),
    "remote_auto_steering_wheel_heat_climate_request": (
        {"on": True},
        None,
        climate("auto_steering_wheel_heat", wanted=True),
    ),
    "remote_boombox": ({"sound": 2000}, None, None),
    "remote_seat_cooler_request": (
        {"seat_position": 1, "seat_cooler_level": 2},
        comfort,
        climate("seat_fan_front_left", 2),
    ),
    "remote_seat_heater_request": (
        {"seat_position": 4, "seat_heater_level": 3},
        None,
        climate("seat_heater_rear_center", 3),
    ),
    "remote_start_drive": ({}, comfort, state("remote_start", wanted=True)),
    "remote_steering_wheel_heat_level_request": ({"level": 1}, None, climate("steering_wheel_heat_level", 1)),
    "remote_steering_wheel_heater_request": ({"on": True}, None, climate("steering_wheel_heater", wanted=True)),
    "remove_charge_schedule": (
        {"id": 1},
        with_schedules,
        lambda data: data["charge_schedule_data"]["charge_schedules"] == [],
    ),
    "remove_precondition_schedule": (
        {"id": 1},
        with_schedules,
        lambda data: data["preconditioning_schedule_data"]["precondition_schedules"] == [],
    ),
    "reset_pin_to_drive_pin": ({}, pin("drive"), None),
    "reset_valet_pin": ({}, pin("valet"), state("valet_pin_needed", wanted=True)),
    "schedule_software_update": (
        {"offset_sec": 60},
        offered,
        lambda data: data["vehicle_state"]["software_update"]["status"] == "scheduled",
    ),
    "set_bioweapon_mode": ({"on": True, "manual_override": False}, comfort, climate("bioweapon_mode", wanted=True)),
    "set_cabin_overheat_protection": (
        {"on": True, "fan_only": True},
        comfort,
        climate("cabin_overheat_protection", "FanOnly"),
    ),
    "set_charge_limit": ({"percent": 61}, None, charge("charge_limit_soc", 61)),
    "set_charging_amps": ({"charging_amps": 8}, None, charge("charge_current_request", 8)),
    "set_climate_keeper_mode": ({"climate_keeper_mode": 2}, None, climate("climate_keeper_mode", "dog")),
    "set_cop_temp": ({"cop_temp": 1}, comfort, climate("cop_activation_temperature", "Medium")),
    "set_keep_accessory_power_mode": ({"on": True}, None, None),
    "set_low_power_mode": ({"on": True}, None, None),
    "set_pin_to_drive": ({"on": True, "password": "1234"}, None, None),
    "set_preconditioning_max": ({"on": True, "manual_override": False}, None, climate("defrost_mode", 2)),
    "set_scheduled_charging": (
        {"enable": True, "time": 120},
        None,
        charge("scheduled_charging_start_time_minutes", 120),
    ),
    "set_scheduled_departure": (
        {"enable": True, "departure_time": 420, "preconditioning_enabled": True},
        None,
        charge("scheduled_charging_mode", "DepartBy"),
    ),
    "set_sentry_mode": ({"on": True}, comfort, state("sentry_mode", wanted=True)),
    "set_temps": ({"driver_temp": 21.5, "passenger_temp": 22.0}, None, climate("driver_temp_setting", 21.5)),
    "set_valet_mode": ({"on": True, "password": "1234"}, None, state("valet_mode", wanted=True)),
    "set_vehicle_name": ({"vehicle_name": "Bolt"}, None, state("vehicle_name", "Bolt")),
    "speed_limit_activate": (
        {"pin": "1234"},
        None,
        lambda data: data["vehicle_state"]["speed_limit_mode"]["active"] is True,
    ),
    "speed_limit_clear_pin": ({"pin": "1234"}, pin("speed_limit"), None),
    "speed_limit_clear_pin_admin": ({}, None, None),
    "speed_limit_deactivate": ({"pin": "1234"}, pin("speed_limit"), None),
    "speed_limit_set_limit": (
        {"limit_mph": 65},
        None,
        lambda data: data["vehicle_state"]["speed_limit_mode"]["current_limit_mph"] == 65,
    ),
    "sun_roof_control": ({"state": "vent"}, None, state("sun_roof_state", "vent")),
    "take_drivenote": ({"note": "Rattles"}, None, None),
    "trigger_homelink": ({"lat": 37.0, "lon": -122.0}, home, None),
    "upcoming_calendar_entries": ({"calendar_data": "{}"}, None, None),
    "window_control": ({"command": "vent"}, None, state("fd_window", 1)),
}
SIGNED_ONLY: Final = {name for name, command in COMMANDS.items() if not command.rest}


def test_every_command_of_the_simulator_is_sent() -> None:
    assert ROWS.keys() == COMMANDS.keys()


def test_the_library_knows_no_rest_command_that_is_not_sent() -> None:
    sent = {
        name
        for name, method in inspect.getmembers(VehicleFleet, inspect.iscoroutinefunction)
        if "/command/" in inspect.getsource(method)
    }
    assert sent == COMMANDS.keys() - SIGNED_ONLY


@pytest.mark.parametrize("name", sorted(ROWS))
async def test_a_command_changes_the_car(driven: Driven, name: str) -> None:
    if not driven.signed and name in SIGNED_ONLY:
        assert not hasattr(VehicleFleet, name)
        assert hasattr(VehicleSigned, name)
        return
    parameters, prepare, check = ROWS[name]
    if prepare is not None:
        prepare(driven.car)
    method = getattr(driven.vehicle, name)
    taken = inspect.signature(method).parameters.keys()
    answer = await method(**{name: value for name, value in parameters.items() if name in taken})
    assert answer["response"]["result"] is True, answer
    done, _, outcome = driven.car.executed[-1]
    assert (done, outcome.result) == (name, True)
    if check is not None:
        assert check(driven.car.data)
