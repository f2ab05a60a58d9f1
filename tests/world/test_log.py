"""The log stays readable: a line when a kind of trouble begins, one when it is over, however many come at once."""

from collections import Counter
import logging
from typing import Final

import pytest

from custom_components.teslafi.const import DOMAIN
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y

from .troubles import BODIES, HEADERS
from .world import Report, World

pytestmark = pytest.mark.slow

KINDS: Final = 4
"""A scope that is missing, mobile access that is off, Tesla out of reach, too many requests."""


def lines(report: Report) -> Counter[str]:
    """Return how many lines of each level are ours, from INFO upwards."""
    return Counter(logging.getLevelName(line.level) for line in report.log if DOMAIN in line.logger)


def strike(world: World) -> None:
    """Have each car and site in another trouble, the site in three at once."""
    control = world.tesla.control
    for path, vin, how in (
        ("*/vehicle_data", ANNAS_MODEL_3, {"status": 403, "body": BODIES["scopes"]}),
        ("*/vehicle_data", ANNAS_MODEL_Y, {"status": 401, "body": BODIES["mobile access"]}),
        ("*/live_status", None, {"status": 503}),
        ("*/site_info", None, {"status": 502}),
        ("*/calendar_history", None, {"status": 200, "body": BODIES["page"]}),
        ("*/products", None, {"status": 429, "headers": HEADERS["seconds"]}),
    ):
        control.fault(path=path, vin=vin, kind="status", times=None, **how)


async def test_four_kinds_of_trouble_at_once_are_four_lines_and_four_at_their_end(world: World) -> None:
    """Half a day of it, with a reload between, and a day to be over in."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        world.tesla.control.wake(vin)
        world.tesla.control.set_values(vin, {"vehicle_state.sentry_mode": True})
    await world.sign_in()
    await world.pass_time(seconds=600)
    assert lines(world.report()) == {}
    strike(world)
    await world.pass_time(hours=6, step=300)
    await world.restart()
    await world.pass_time(hours=6, step=300)
    troubled = world.report()
    assert lines(troubled) == {"WARNING": KINDS}, [line.message for line in troubled.log if DOMAIN in line.logger]
    assert troubled.exceptions == []
    world.calm()
    await world.pass_time(hours=26, step=1800)
    healthy = world.report()
    assert lines(healthy) == {"INFO": KINDS}, [line.message for line in healthy.log if DOMAIN in line.logger]
    assert {line.message for line in healthy.log if "is over" not in line.message and DOMAIN in line.logger} == set()
    assert healthy.issues == frozenset()
