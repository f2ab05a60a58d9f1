"""A wall clock that is wrong, steps or jumps: cars are watched as ever, and what is shown is what the car says.

Tesla's time and monotonic time go on as if nothing were. Each step is tried in health, in a back-off and at the start.
"""

from typing import Final

import pytest

from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y

from .world import World

pytestmark = pytest.mark.slow

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

STEPS: Final = {
    "back five minutes": -300.0,
    "back an hour": -HOUR,
    "back a day": -DAY,
    "back over the turn of the month": -17 * DAY,
    "back to 1970": -1_794_000_000.0,
    "ahead an hour": HOUR,
    "ahead over the turn of the month": 16 * DAY,
    "ahead a year": 365 * DAY,
}

LEAST_AN_HOUR: Final = 3
"""Looks at the data of a car that is awake: it is asked every ten minutes or more often in health."""


async def awake(world: World) -> None:
    """Have two cars that stay awake."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        world.tesla.control.wake(vin)
        world.tesla.control.set_values(vin, {"vehicle_state.sentry_mode": True})


async def watched(world: World) -> None:
    """Let an hour pass: cars and sites are asked, no more than in health, and shown as they are."""
    world.report()
    await world.pass_time(hours=1, step=120)
    report = world.report()
    assert report.about(ANNAS_MODEL_3)["vehicle_data"] >= LEAST_AN_HOUR
    assert report.requests["live_status"] >= LEAST_AN_HOUR
    assert report.usd_per_hour < 0.4
    assert report.exceptions == []
    battery = world.tesla.control.car(ANNAS_MODEL_3).data["charge_state"]["battery_level"]
    assert report.states["sensor.roadrunner_battery_level"] == str(battery)


@pytest.mark.parametrize("seconds", [pytest.param(seconds, id=name) for name, seconds in STEPS.items()])
async def test_a_step_in_health(world: World, seconds: float) -> None:
    await awake(world)
    await world.sign_in()
    await world.pass_time(seconds=600, step=120)
    world.clocks.step(seconds)
    await watched(world)


@pytest.mark.parametrize("seconds", [-HOUR, HOUR, 365 * DAY])
async def test_a_glitch_of_two_minutes(world: World, seconds: float) -> None:
    """Wrong, and right again: nothing of it stays."""
    await awake(world)
    await world.sign_in()
    await world.pass_time(seconds=600, step=120)
    world.clocks.step(seconds)
    await world.pass_time(seconds=120)
    world.clocks.step(-seconds)
    await watched(world)


@pytest.mark.parametrize("seconds", [-HOUR, -1_794_000_000.0, 365 * DAY])
async def test_a_start_with_a_wrong_clock_that_is_put_right(world: World, seconds: float) -> None:
    """As a small computer without a battery does: it starts in the past, and the time server comes later."""
    await awake(world)
    await world.sign_in()
    await world.pass_time(seconds=600, step=120)
    world.clocks.step(seconds)
    await world.restart()
    await world.pass_time(seconds=300)
    world.clocks.step(-seconds)
    await watched(world)


@pytest.mark.parametrize("seconds", [-HOUR, HOUR, 365 * DAY])
async def test_a_step_in_a_back_off(world: World, seconds: float) -> None:
    """What Tesla asked to wait for is waited for, no longer and no shorter than by an hour's tenth."""
    await awake(world)
    await world.sign_in()
    world.tesla.control.fault(
        path="*/vehicle_data", kind="status", status=429, headers={"Retry-After": "1800"}, times=None
    )
    await world.pass_time(seconds=900, step=60)
    world.report()
    world.clocks.step(seconds)
    await world.pass_time(seconds=600, step=60)
    assert world.report().about(ANNAS_MODEL_3)["vehicle_data"] == 0
    world.calm()
    await world.pass_time(hours=2, step=300)
    assert world.report().about(ANNAS_MODEL_3)["vehicle_data"] >= LEAST_AN_HOUR


async def test_a_suspended_machine(world: World) -> None:
    """Eight hours in which nothing ran, and both clocks went on: as after the lid of a laptop was closed."""
    await awake(world)
    await world.sign_in()
    await world.pass_time(seconds=600, step=120)
    await world.pass_time(hours=8, step=8 * HOUR)
    await watched(world)
