"""One round of the faulty world: health, troubles drawn from a seed, health again; and what may be expected of it."""

from dataclasses import dataclass
from random import Random
from typing import Final

from homeassistant.config_entries import ConfigEntryState

from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.integration.owner import ANNA

from .troubles import Trouble, drawn
from .world import Report, World

BATTERY: Final = "sensor.roadrunner_battery_level"
TROUBLED_HOURS: Final = (0.25, 1.0)
HEALTHY_HOURS: Final = 26.0
"""Longest wait there is: what Tesla refuses and bills is asked again within a day."""
MOST_USD_PER_HOUR: Final = 0.35
"""Two cars, one of them on the road, cost 0.24 USD an hour in health; what Tesla refuses must not come to much more."""
MOST_REFRESHES_PER_HOUR: Final = 12.0


@dataclass(frozen=True)
class Round:
    """What was drawn, the reports of the troubled and of the healthy time, and what is wrong with them."""

    seed: int
    troubles: list[Trouble]
    troubled: Report
    healthy: Report
    complaints: list[str]


async def live_through(world: World, seed: int) -> Round:
    """Live through a round."""
    random = Random(f"faulty world {seed}")  # noqa: S311 - a test's dice
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        world.tesla.control.wake(vin)
        world.tesla.control.set_values(vin, {"vehicle_state.sentry_mode": True})
    await world.sign_in()
    if random.random() < 0.5:
        world.tesla.control.drive(ANNAS_MODEL_3, miles=300, speed=40)
    await world.pass_time(seconds=300)
    world.report()
    troubles = drawn(random)
    world.strike(*troubles)
    if random.random() < 0.5:
        # A token lives for eight hours: without this the refresh would hardly ever meet a trouble
        world.tesla.control.expire_access_tokens(ANNA)
    if random.random() < 0.4:
        await world.restart()
    await world.pass_time(hours=random.choice(TROUBLED_HOURS), step=60)
    troubled = world.report()
    world.calm()
    if random.random() < 0.3:
        await world.restart()
    await world.pass_time(hours=HEALTHY_HOURS, step=1800)
    healthy = world.report()
    return Round(seed, troubles, troubled, healthy, complaints_about(world, troubles, troubled, healthy))


def complaints_about(world: World, troubles: list[Trouble], troubled: Report, healthy: Report) -> list[str]:
    """Return what is wrong, each sentence with the troubles that led to it."""
    found = [f"escaped: {text}" for text in troubled.exceptions + healthy.exceptions]
    if troubled.usd_per_hour > MOST_USD_PER_HOUR:
        found.append(f"{troubled.usd_per_hour:.3f} USD an hour")
    if troubled.refreshes / max(troubled.hours, 1.0) > MOST_REFRESHES_PER_HOUR:
        found.append(f"{troubled.refreshes} refreshes in {troubled.hours} h")
    if troubled.strays or healthy.strays:
        found.append(f"{troubled.strays + healthy.strays} requests followed a redirect")
    if not healthy.reauthenticating:
        found += _not_well(world, healthy)
    elif not any(_asks_to_sign_in(trouble) for trouble in troubles):
        found.append("the owner is asked to sign in again, though Tesla did not say so")
    drawn_from = "; ".join(trouble.name for trouble in troubles)
    return [f"{complaint} [{drawn_from}]" for complaint in found]


def _asks_to_sign_in(trouble: Trouble) -> bool:
    """Tell whether the token endpoint might have answered that the grant is over."""
    return trouble.kind == "status" and trouble.endpoint in {"token", "everything"}


def _not_well(world: World, healthy: Report) -> list[str]:
    """Return what is not as before the troubles, a day after their end."""
    found = [f"entry is {entry.state}" for entry in world.entries if entry.state is not ConfigEntryState.LOADED]
    car = world.tesla.control.car(ANNAS_MODEL_3)
    if healthy.states.get(BATTERY) != str(car.data["charge_state"]["battery_level"]):
        found.append(f"{BATTERY} is {healthy.states.get(BATTERY)}, not {car.data['charge_state']['battery_level']}")
    found += [f"repair left: {issue}" for issue in healthy.issues]
    return found
