"""A simulator with a clock that the test moves, and tokens for its accounts."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator

SCOPES = {
    "openid",
    "offline_access",
    "user_data",
    "vehicle_device_data",
    "vehicle_location",
    "vehicle_cmds",
    "vehicle_charging_cmds",
    "energy_device_data",
    "energy_cmds",
}


@pytest.fixture
def clock() -> ManualClock:
    """Stand at noon (UTC) of a day in November."""
    return ManualClock(1_795_435_200.0)


@pytest.fixture
async def tesla(clock: ManualClock, socket_enabled: None) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla."""
    async with TeslaSimulator(clock=clock) as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def token(tesla: TeslaSimulator) -> str:
    """Return Anna's access token, with every scope."""
    return tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
