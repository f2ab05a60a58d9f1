"""tescmd: a client with its own implementation of Tesla's signed protocol, unmodified but for the base address."""

from collections.abc import AsyncIterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
import pytest
from tescmd.api import client as tescmd_client
from tescmd.api.charging import ChargingAPI
from tescmd.api.client import TeslaFleetClient
from tescmd.api.command import CommandAPI
from tescmd.api.energy import EnergyAPI
from tescmd.api.errors import (
    AuthError,
    MissingScopesError,
    RateLimitError,
    SessionError,
    VCPRequiredError,
    VehicleAsleepError,
)
from tescmd.api.signed_command import SignedCommandAPI
from tescmd.api.user import UserAPI
from tescmd.api.vehicle import VehicleAPI
from tescmd.protocol.session import SessionManager

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.commands.computers import computer_of, public_point
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE

VIN: Final = ANNAS_MODEL_3
SCOPES: Final = {
    "openid", "user_data", "vehicle_device_data", "vehicle_location", "vehicle_cmds", "vehicle_charging_cmds",
    "energy_device_data", "energy_cmds",
}  # fmt: skip


@pytest.fixture
async def client(tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TeslaFleetClient]:
    """Return tescmd's client in front of the simulator."""
    monkeypatch.setitem(tescmd_client.REGION_BASE_URLS, "na", tesla.addresses.fleet("na"))
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    async with TeslaFleetClient(token) as made:
        yield made


@pytest.fixture
def car(tesla: TeslaSimulator, key: ec.EllipticCurvePrivateKey) -> Car:
    """Return a car that takes signed commands alone, with the key paired."""
    found = tesla.control.car(VIN)
    found.keys.add(public_point(key.public_key()))
    found.data["vehicle_state"]["media_state"]["remote_control_enabled"] = True
    return found


@pytest.fixture
def signed(client: TeslaFleetClient, car: Car, key: ec.EllipticCurvePrivateKey) -> SignedCommandAPI:
    """Return tescmd's commands, signed by itself."""
    return SignedCommandAPI(client, SessionManager(key, client), CommandAPI(client))


async def test_tescmd_reads_a_car(client: TeslaFleetClient, tesla: TeslaSimulator) -> None:
    vehicles = VehicleAPI(client)
    assert VIN in [one.vin for one in await vehicles.list_vehicles()]
    data = await vehicles.get_vehicle_data(VIN)
    assert data.charge_state is not None
    assert data.charge_state.battery_level == tesla.control.car(VIN).data["charge_state"]["battery_level"]
    assert await vehicles.mobile_enabled(VIN)
    assert (await vehicles.nearby_charging_sites(VIN)).superchargers
    assert (await vehicles.wake(VIN)).state == "online"
    assert (await UserAPI(client).region()).region == "na"


async def test_tescmd_reads_charging_and_energy(client: TeslaFleetClient) -> None:
    history = await ChargingAPI(client).charging_history(vin=VIN, page_size=1, sort_order="DESC")
    assert len(history["data"]) == 1
    energy = EnergyAPI(client)
    live = await energy.live_status(ANNAS_SITE)
    assert live.load_power is not None
    assert (await energy.site_info(ANNAS_SITE)).site_name == "Anna's home"
    day = await energy.calendar_history(ANNAS_SITE, kind="energy", period="week", time_zone="America/Los_Angeles")
    assert day.time_series
    await energy.set_backup_reserve(ANNAS_SITE, percent=33)
    assert (await energy.site_info(ANNAS_SITE)).backup_reserve_percent == 33


COMMANDS: Final[dict[str, dict[str, Any]]] = {
    "door_lock": {},
    "door_unlock": {},
    "actuate_trunk": {"which_trunk": "rear"},
    "charge_port_door_open": {},
    "charge_port_door_close": {},
    "set_charge_limit": {"percent": 63},
    "set_charging_amps": {"charging_amps": 8},
    "set_scheduled_charging": {"enable": True, "time": 120},
    "auto_conditioning_start": {},
    "set_temps": {"driver_temp": 21.5, "passenger_temp": 20.0},
    "set_preconditioning_max": {"on": True},
    "remote_steering_wheel_heater_request": {"on": True},
    "set_climate_keeper_mode": {"climate_keeper_mode": 2},
    "set_sentry_mode": {"on": True},
    "flash_lights": {},
    "honk_horn": {},
    "media_toggle_playback": {},
    "adjust_volume": {"volume": 4.0},
    "set_vehicle_name": {"vehicle_name": "Zoe"},
    "window_control": {"command": "vent", "lat": 0.0, "lon": 0.0},
    "remote_start_drive": {},
}


@pytest.mark.parametrize(("name", "parameters"), COMMANDS.items(), ids=COMMANDS)
async def test_a_car_takes_what_tescmd_signs(
    signed: SignedCommandAPI, car: Car, name: str, parameters: dict[str, Any]
) -> None:
    """Each by tescmd's own protobuf writer, with its own keys and tags."""
    if name == "charge_port_door_close":
        car.data["charge_state"]["charge_port_door_open"] = True
    car.data["vehicle_state"]["remote_start_enabled"] = True
    answer = await getattr(signed, name)(VIN, **parameters)
    assert answer.response.result, answer.response.reason
    ((executed, _, outcome),) = car.executed
    assert (executed, outcome.result) == (name, True)


async def test_a_message_that_is_not_tesla_s_is_refused(signed: SignedCommandAPI, car: Car) -> None:
    """Tescmd 0.6 writes numbers where Tesla's description of seat heaters has messages."""
    with pytest.raises(SessionError, match="ERROR_BAD_PARAMETER"):
        await signed.remote_seat_heater_request(VIN, seat_position=1, level=2)
    assert car.executed == []


async def test_tescmd_takes_up_a_session_anew_after_a_reboot(signed: SignedCommandAPI, car: Car) -> None:
    await signed.flash_lights(VIN)
    for domain in car.computers:
        computer_of(car, domain).reboot(car.now)
    assert (await signed.flash_lights(VIN)).response.result
    assert len(car.executed) == 2


async def test_tescmd_understands_the_refusals(client: TeslaFleetClient, tesla: TeslaSimulator) -> None:
    vehicles, commands = VehicleAPI(client), CommandAPI(client)
    with pytest.raises(VCPRequiredError):
        await commands.door_unlock(VIN)
    tesla.control.sleep(VIN)
    with pytest.raises(VehicleAsleepError):
        await vehicles.get_vehicle_data(VIN)
    tesla.control.limit("self-hoster@example.com", 0.0)
    with pytest.raises(AuthError, match="EXCEEDED_LIMIT"):
        await vehicles.get_vehicle_data(VIN)
    reading = tesla.control.mint("anna@example.com", "teslafi-monitoring", {"vehicle_device_data"}).access_token
    client.update_token(reading)
    with pytest.raises(MissingScopesError):
        await EnergyAPI(client).live_status(ANNAS_SITE)


async def test_tescmd_waits_as_long_as_it_is_told(
    client: TeslaFleetClient, tesla: TeslaSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []

    async def wait(seconds: int, _attempt: int, _most: int) -> None:
        waited.append(seconds)

    monkeypatch.setattr(client, "_on_rate_limit_wait", wait)
    vehicles = VehicleAPI(client)
    tesla.control.wake(VIN)
    for _ in range(3):
        await vehicles.wake(VIN)
    with pytest.raises(RateLimitError):
        await vehicles.wake(VIN)
    assert len(waited) == 3
    assert all(50 <= seconds <= 60 for seconds in waited)
