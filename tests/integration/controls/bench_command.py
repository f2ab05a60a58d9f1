"""`script/bench command`: from a press in Home Assistant to the acknowledgement, beside the bare library's call.

One simulated car that takes signed commands, one run. Ours asks the companion for the owner's consent before each
command; that is part of the press. A sleeping car takes six seconds to wake here, and both wait for it in their way.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
import logging
import statistics
import time
from typing import Final

import aiohttp
from homeassistant.core import HomeAssistant
import pytest
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.tesla.vehicle.signed import VehicleSigned

from teslafi_simulators.tesla.cars import car as simulated
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3

from .keeper import Keeper

AWAKE: Final = 25
ASLEEP: Final = 3
WAKES_IN: Final = 6.0
SCOPES: Final = {"openid", "offline_access", "vehicle_device_data", "vehicle_cmds"}


@pytest.fixture
async def bare(keeper: Keeper) -> AsyncIterator[VehicleSigned[TeslaFleetApi]]:
    """Return the library's car, with the same key, and a token of its own application."""
    token = keeper.tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    async with aiohttp.ClientSession() as http:
        api = TeslaFleetApi(http, access_token=token, server=keeper.tesla.addresses.fleet("na"))
        api.private_key = keeper.controls.gate.command_key
        yield VehicleSigned(api, ANNAS_MODEL_3)


async def timed(times: int, press: Callable[[], Awaitable[object]], before: Callable[[], None]) -> list[float]:
    """Return the seconds of each press."""
    found = []
    for _ in range(times):
        before()
        began = time.perf_counter()
        await press()
        found.append(time.perf_counter() - began)
    return found


def shown(name: str, seconds: list[float]) -> float:
    """Print one row; return the median in milliseconds."""
    middle = statistics.median(seconds) * 1000
    print(f"{name:<42}{middle:10.1f} ms median of {len(seconds):>2}{max(seconds) * 1000:10.1f} ms at most")
    return middle


async def test_command(
    hass: HomeAssistant,
    keeper: Keeper,
    bare: VehicleSigned[TeslaFleetApi],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Print the figures."""

    async def ours() -> None:
        await hass.services.async_call("button", "press", {"entity_id": "button.roadrunner_honk_horn"}, blocking=True)

    async def asleep_bare() -> None:
        await bare.wake_up(wait=True)
        await bare.honk_horn()

    def fresh() -> None:
        keeper.tesla.state.recent.clear()
        keeper.controls.gate._sent.clear()  # noqa: SLF001 - more than thirty a minute

    def asleep() -> None:
        fresh()
        keeper.tesla.control.sleep(ANNAS_MODEL_3)

    # PHACC logs every statement and request, which costs more than they do
    logging.disable(logging.INFO)
    await ours()
    await bare.honk_horn()
    print()
    library = shown("awake: tesla-fleet-api alone", await timed(AWAKE, bare.honk_horn, fresh))
    press = shown("awake: a press in Home Assistant", await timed(AWAKE, ours, fresh))
    print(f"{'awake: what ours adds':<42}{press - library:10.1f} ms")
    monkeypatch.setattr(simulated, "WAKE_SECONDS", WAKES_IN)
    library = shown("asleep: tesla-fleet-api alone", await timed(ASLEEP, asleep_bare, asleep))
    press = shown("asleep: a press in Home Assistant", await timed(ASLEEP, ours, asleep))
    print(f"{'asleep: what ours adds':<42}{press - library:10.1f} ms")
