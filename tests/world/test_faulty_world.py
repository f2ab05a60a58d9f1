"""Anything may be answered to anything at any time: a few fixed seeds, and as many as are asked for.

`script/chaos integration [ROUNDS]` says how many, from which seed, and prints a line for each.
"""

from dataclasses import replace
import logging
import os
import sys
from typing import Final

import pytest

from teslafi_simulators.tesla.billing import Exchange
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3

from .rounds import BATTERY, MOST_USD_PER_HOUR, Round, complaints_about, live_through
from .world import Logged, World

FIRST: Final = int(os.environ.get("TESLAFI_CHAOS_SEED", "1"))
ROUNDS: Final = int(os.environ.get("TESLAFI_CHAOS_ROUNDS", "0"))
SEEDS: Final = range(FIRST, FIRST + ROUNDS) if ROUNDS else (2, 3, 6, 7)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_round(world: World, seed: int) -> None:
    """Trouble comes, with restarts in between, and goes; nothing escapes, nothing runs away, and all is well again."""
    lived = await live_through(world, seed)
    if ROUNDS:
        tell(lived)
    assert lived.complaints == []


async def test_what_goes_wrong_is_noticed(world: World) -> None:
    """Each thing that a round is held to: a report with it brings one complaint, a clean report none."""
    world.tesla.control.wake(ANNAS_MODEL_3)
    await world.sign_in()
    await world.look(BATTERY, ANNAS_MODEL_3)
    clean = world.report()
    assert complaints_about(world, [], clean, clean) == []
    dear = Exchange(at=0, method="GET", path="/vehicle_data", status=403, category="data", usd=MOST_USD_PER_HOUR * 2)
    refresh = Exchange(at=0, method="POST", path="/fleet-auth/oauth2/v3/token", status=200)
    wrong = {
        "escaped": replace(clean, log=(Logged(logging.ERROR, "homeassistant", "boom", traceback=True),)),
        "USD an hour": replace(clean, exchanges=(dear,)),
        "refreshes in": replace(clean, exchanges=(refresh,) * 100),
        "followed a redirect": replace(clean, strays=1),
    }
    for complaint, troubled in wrong.items():
        (found,) = complaints_about(world, [], troubled, clean)
        assert complaint in found
    unwell = {
        f"{BATTERY} is": replace(clean, states=clean.states | {BATTERY: "unavailable"}),
        "repair left: x": replace(clean, issues=frozenset({"x"})),
        "asked to sign in again": replace(clean, reauthenticating=True),
    }
    for complaint, healthy in unwell.items():
        (found,) = complaints_about(world, [], clean, healthy)
        assert complaint in found


def tell(lived: Round) -> None:
    """Print what came of a round."""
    troubles = "; ".join(trouble.name for trouble in lived.troubles)
    sys.stdout.write(f"\nseed {lived.seed}: {troubles}\n  in trouble: {lived.troubled.row()}\n")
    sys.stdout.write(f"  afterwards: {lived.healthy.row()}\n")
    for complaint in lived.complaints:
        sys.stdout.write(f"  COMPLAINT: {complaint}\n")
