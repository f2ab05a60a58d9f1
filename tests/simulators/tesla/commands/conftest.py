"""Cars that take commands, signed and unsigned, and the library that sends them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
import pytest
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet
from tesla_fleet_api.tesla.vehicle.signed import VehicleSigned

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.commands.computers import public_point
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ERIKS_MODEL_S

SCOPES = {"openid", "offline_access", "vehicle_device_data", "vehicle_cmds", "vehicle_charging_cmds", "energy_cmds"}


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla by the real clock, which the library signs by."""
    async with TeslaSimulator() as simulator:
        for vin in (ANNAS_MODEL_3, ERIKS_MODEL_S):
            car = simulator.control.car(vin)
            car.park()
            car.unplug()
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


@dataclass(frozen=True)
class Driven:
    """A car with the library's handle on it."""

    car: Car
    vehicle: VehicleFleet[TeslaFleetApi]
    signed: bool


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    """Return a command key."""
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def signed(tesla: TeslaSimulator, http: aiohttp.ClientSession, key: ec.EllipticCurvePrivateKey) -> Driven:
    """Return Anna's Model 3, which takes signed commands alone; the key is paired."""
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    api = TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("na"))
    api.private_key = key
    car = tesla.control.car(ANNAS_MODEL_3)
    car.keys.add(public_point(key.public_key()))
    return Driven(car, VehicleSigned(api, ANNAS_MODEL_3), signed=True)


@pytest.fixture
def unsigned(tesla: TeslaSimulator, http: aiohttp.ClientSession) -> Driven:
    """Return Erik's Model S of 2015, which knows no signatures."""
    token = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
    api = TeslaFleetApi(http, access_token=token, server=tesla.addresses.fleet("eu"))
    return Driven(tesla.control.car(ERIKS_MODEL_S), VehicleFleet(api, ERIKS_MODEL_S), signed=False)


@pytest.fixture(params=["signed", "unsigned"])
def driven(request: pytest.FixtureRequest) -> Driven:
    """Return a car of each kind."""
    found: Driven = request.getfixturevalue(request.param)
    return found
