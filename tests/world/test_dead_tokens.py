"""A dead access token costs one refresh, however many requests meet it; a refusal that lasts is no token's fault."""

from typing import Final

import pytest

from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.integration.owner import ANNA

from .world import World

pytestmark = pytest.mark.slow

MOST_REFRESHES_A_DAY: Final = 12
"""Three for the eight hours that a token lives; some more to find out that it is not the token."""


async def _awake(world: World) -> None:
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        world.tesla.control.wake(vin)
        world.tesla.control.set_values(vin, {"vehicle_state.sentry_mode": True})
    await world.sign_in()


async def test_five_requests_with_one_dead_token_make_one_refresh(world: World) -> None:
    await _awake(world)
    await world.pass_time(hours=1, step=60)
    world.report()
    assert world.tesla.control.expire_access_tokens(ANNA) > 0
    await world.pass_time(seconds=900, step=900)
    report = world.report()
    refused = [exchange for exchange in report.exchanges if exchange.status == 401]
    assert len(refused) > 1, "several requests met the dead token"
    assert report.refreshes == 1
    assert report.exceptions == []


@pytest.mark.parametrize("endpoint", ["vehicle_data", "live_status", "products"])
async def test_an_empty_401_that_lasts_is_not_the_tokens_fault(world: World, endpoint: str) -> None:
    await _awake(world)
    world.tesla.control.fault(path=f"*/{endpoint}", kind="status", status=401, times=None)
    await world.pass_time(hours=24, step=900)
    report = world.report()
    assert report.requests[endpoint] > 0
    assert report.refreshes <= MOST_REFRESHES_A_DAY
    assert report.exceptions == []
