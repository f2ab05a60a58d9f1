"""What Tesla refuses before a car hears of it, what a car refuses itself, and what its plans do later."""

from typing import Any

import aiohttp
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.cars.supply import Supply
from teslafi_simulators.tesla.clock import ManualClock
from teslafi_simulators.tesla.scenario import ANNAS_SITE, ERIKS_MODEL_S

from .conftest import SCOPES, Driven


@pytest.fixture
def token(tesla: TeslaSimulator) -> str:
    """Return Erik's access token, with every scope of commands."""
    return tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token


async def command(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, name: str, body: object = None
) -> tuple[int, Any]:
    url = f"{tesla.addresses.fleet('eu')}/api/1/vehicles/{ERIKS_MODEL_S}/command/{name}"
    async with http.post(url, json=body if body is not None else {}, headers={"Authorization": f"Bearer {token}"}) as r:
        return r.status, await r.json() if r.content_type == "application/json" else await r.text()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("set_charge_limit", {}),
        ("set_charge_limit", {"percent": "80"}),
        ("set_charge_limit", {"percent": True}),
        ("set_charge_limit", {"percent": 80.5}),
        ("set_sentry_mode", {"on": 1}),
        ("set_temps", {"driver_temp": 20}),
        ("actuate_trunk", {"which_trunk": "left"}),
        ("set_pin_to_drive", {"on": True, "password": "12"}),
        ("add_charge_schedule", {"days_of_week": "TUE", "enabled": True, "lat": 1, "lon": 1, "start_enabled": True,
                                 "end_enabled": False, "start_time": 60}),
        ("add_charge_schedule", {"days_of_week": "MON", "enabled": True, "lat": 1, "lon": 1, "start_enabled": True,
                                 "end_enabled": False, "start_time": 1440}),
        ("add_charge_schedule", {"days_of_week": "MON", "enabled": True, "lat": 1, "lon": 1, "start_enabled": False,
                                 "end_enabled": False}),
    ],
    ids=str,
)  # fmt: skip
async def test_bad_parameters_do_not_reach_the_car(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, name: str, body: dict[str, Any]
) -> None:
    status, answer = await command(http, tesla, token, name, body)
    assert (status, answer["error"]) == (400, "invalid_field")
    assert tesla.control.car(ERIKS_MODEL_S).executed == []


async def test_there_is_no_such_command(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    for name in ("open_sesame", "media_volume_up"):
        status, answer = await command(http, tesla, token, name)
        assert (status, answer["error"]) == (400, "invalid_command")


@pytest.mark.parametrize("name", ["door_unlock", "set_charge_limit"])
async def test_scopes_of_commands(http: aiohttp.ClientSession, tesla: TeslaSimulator, name: str) -> None:
    for scopes, allowed in (
        ({"vehicle_device_data"}, False),
        ({"vehicle_charging_cmds"}, name == "set_charge_limit"),
        ({"vehicle_cmds"}, True),
    ):
        token = tesla.control.mint("erik@example.com", "core-tesla-fleet", scopes).access_token
        status, _ = await command(http, tesla, token, name, {"percent": 70 + len(scopes)})
        assert status == (200 if allowed else 403)


async def test_a_sleeping_car_a_car_in_service_and_the_limit_of_a_minute(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    tesla.control.sleep(ERIKS_MODEL_S)
    assert (await command(http, tesla, token, "honk_horn"))[0] == 408
    tesla.control.wake(ERIKS_MODEL_S)
    tesla.control.set_values(ERIKS_MODEL_S, {"in_service": True})
    assert (await command(http, tesla, token, "honk_horn"))[0] == 405
    tesla.control.set_values(ERIKS_MODEL_S, {"in_service": False})
    statuses = [(await command(http, tesla, token, "honk_horn"))[0] for _ in range(31)]
    assert statuses.count(200) == 28
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    ("name", "parameters", "reason"),
    [
        ("charge_start", {}, "disconnected"),
        ("charge_stop", {}, "not_charging"),
        ("set_charge_limit", {"percent": 80}, "already_set"),
        ("set_cop_temp", {"cop_temp": 1}, "not_supported"),
        ("remote_seat_cooler_request", {"seat_position": 1, "seat_cooler_level": 1}, "not_supported"),
        ("trigger_homelink", {"lat": 1.0, "lon": 1.0}, "not_supported"),
        ("schedule_software_update", {"offset_sec": 0}, "not_supported"),
        ("window_control", {"command": "close", "lat": 1.0, "lon": 1.0}, "invalid_value"),
        ("add_charge_schedule", {"days_of_week": "ALL", "enabled": True, "lat": 1, "lon": 1, "start_time": 1},
         "not_supported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_what_the_car_itself_refuses(
    unsigned: Driven, name: str, parameters: dict[str, Any], reason: str
) -> None:
    answer = await getattr(unsigned.vehicle, name)(**parameters)
    assert answer["response"] == {"result": False, "reason": reason}


async def test_seats_need_the_cars_own_permission(unsigned: Driven) -> None:
    unsigned.car.set_value("climate_state.remote_heater_control_enabled", value=False)
    answer = await unsigned.vehicle.remote_seat_heater_request(0, 3)
    assert answer["response"] == {"result": False, "reason": "cabin comfort remote settings not enabled"}


async def test_the_limit_is_clamped_and_not_refused(unsigned: Driven) -> None:
    """As recorded of a real car: 1 became 50."""
    await unsigned.vehicle.set_charge_limit(1)
    assert unsigned.car.data["charge_state"]["charge_limit_soc"] == 50


async def test_windows_close_from_beside_the_car(unsigned: Driven) -> None:
    await unsigned.vehicle.window_control("vent")
    drive = unsigned.car.data["drive_state"]
    await unsigned.vehicle.window_control("close", drive["latitude"], drive["longitude"])
    assert unsigned.car.data["vehicle_state"]["fd_window"] == 0


@pytest.mark.parametrize(
    ("path", "body", "where", "wanted"),
    [
        ("backup", {"backup_reserve_percent": 45}, "backup_reserve_percent", 45),
        ("operation", {"default_real_mode": "backup"}, "default_real_mode", "backup"),
        ("storm_mode", {"enabled": False}, "user_settings.storm_mode_enabled", False),
        ("grid_import_export", {"customer_preferred_export_rule": "never"},
         "components.customer_preferred_export_rule", "never"),
        ("off_grid_vehicle_charging_reserve", {"off_grid_vehicle_charging_reserve_percent": 30},
         "off_grid_vehicle_charging_reserve_percent", 30),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_energy_sites_take_commands(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, path: str, body: dict[str, Any], where: str, wanted: object
) -> None:
    base = f"{tesla.addresses.fleet('na')}/api/1/energy_sites/{ANNAS_SITE}"
    reading = tesla.control.mint("anna@example.com", "core-tesla-fleet", {"energy_device_data"}).access_token
    async with http.post(f"{base}/{path}", json=body, headers={"Authorization": f"Bearer {reading}"}) as answer:
        assert answer.status == 403
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", {"energy_cmds"}).access_token
    async with http.post(f"{base}/{path}", json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
        assert (await answer.json())["response"]["code"] == 201
    async with http.get(f"{base}/site_info", headers={"Authorization": f"Bearer {token}"}) as answer:
        found: Any = (await answer.json())["response"]
    for step in where.split("."):
        found = found[step]
    assert found == wanted


async def test_plans_come_true(socket_enabled: None, http: aiohttp.ClientSession) -> None:
    """A plugged-in car begins to charge at its time, is warm at its time, and installs at its time."""
    clock = ManualClock(1_795_435_200.0)
    async with TeslaSimulator(clock=clock) as tesla:
        car = tesla.control.car(ERIKS_MODEL_S)
        car.plug_in(Supply.SINGLE_PHASE)
        car.stop_charging()
        token = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
        minutes = int((clock() + car.utc_offset) % 86_400 // 60)
        await command(http, tesla, token, "set_scheduled_charging", {"enable": True, "time": minutes + 30})
        clock.advance(29 * 60)
        assert tesla.control.car(ERIKS_MODEL_S).charge is None
        tesla.control.wake(ERIKS_MODEL_S)
        clock.advance(2 * 60)
        assert tesla.control.car(ERIKS_MODEL_S).charge is not None
        car.data["vehicle_state"]["software_update"] |= {"status": "available", "version": "2022.9.1"}
        await command(http, tesla, token, "schedule_software_update", {"offset_sec": 60})
        clock.advance(120)
        assert tesla.control.car(ERIKS_MODEL_S).data["vehicle_state"]["software_update"]["status"] == "installing"
        clock.advance(3600)
        assert tesla.control.car(ERIKS_MODEL_S).data["vehicle_state"]["car_version"].startswith("2022.9.1")
