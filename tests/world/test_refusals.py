"""What Tesla refuses it bills: each refusal of a car's data is asked seldom, and the car beside it as ever.

One account has a car for each refusal, so that one world shows all of them, and that none disturbs another.
"""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from .troubles import BODIES, HEADERS
from .world import World

pytestmark = pytest.mark.slow

FIRST_HOUR: Final = 8
PER_LATER_HOUR: Final = 1.5
HOURS: Final = 6

REFUSALS: Final[Mapping[str, Mapping[str, Any]]] = {
    "400": {"status": 400, "body": {"error": "invalid_request"}},
    "401 mobile access off": {"status": 401, "body": BODIES["mobile access"]},
    "402": {"status": 402},
    "403 scopes": {"status": 403, "body": BODIES["scopes"]},
    "403 other": {"status": 403, "body": {"error": "unsupported vehicle"}},
    "404": {"status": 404, "body": BODIES["not_found"]},
    "405": {"status": 405, "body": BODIES["in service"]},
    "408 awake": {"status": 408, "body": BODIES["time-out"]},
    "412": {"status": 412, "body": BODIES["unregistered"]},
    "423": {"status": 423},
    "429": {"status": 429, "body": "Retry in 45 seconds", "headers": HEADERS["seconds"]},
    "429 long": {"status": 429, "body": BODIES["retry in"], "headers": HEADERS["long"]},
    "429 zero": {"status": 429, "headers": HEADERS["zero"]},
    "429 nothing": {"status": 429},
    "429 absurd": {"status": 429, "headers": HEADERS["absurd"]},
    "451": {"status": 451},
}
"""By name: how a car's data are refused, for ever. An empty 401 and the spending limit concern a whole account."""

OWNER: Final = "fleet@example.com"


async def test_what_tesla_refuses_is_asked_seldom(world: World) -> None:
    tesla = world.tesla
    tesla.control.add_account(OWNER, cars=len(REFUSALS) + 1)
    account = tesla.accounts.by_email(OWNER)
    assert account is not None
    cars = tesla.garage.of(account.sub)
    healthy, refused = cars[-1], dict(zip(REFUSALS, cars[:-1], strict=True))
    for car in cars:
        car.set_value("vehicle_state.is_user_present", value=True)
    await world.sign_in(OWNER)
    for name, how in REFUSALS.items():
        tesla.control.fault(path="*/vehicle_data", vin=refused[name].vin, kind="status", times=None, **how)
    await world.pass_time(hours=1, step=60)
    first = world.report()
    await world.pass_time(hours=HOURS - 1, step=300)
    later = world.report()

    asked = {
        name: (first.about(car.vin)["vehicle_data"], later.about(car.vin)["vehicle_data"] / (HOURS - 1))
        for name, car in refused.items()
    }
    assert {name: told for name, told in asked.items() if told[0] > FIRST_HOUR or told[1] > PER_LATER_HOUR} == {}
    assert {name: told for name, told in asked.items() if told[0] == 0} == {}
    assert first.about(healthy.vin)["vehicle_data"] >= 3, "the car beside them is asked as ever"
    assert later.about(healthy.vin)["vehicle_data"] / (HOURS - 1) >= 1
    assert first.exceptions == later.exceptions == []
    assert not later.reauthenticating
