"""What Tesla refuses it bills: each refusal is asked seldom, and what is beside it as ever.

`script/chaos refusals` lives through a whole day and prints the table of docs/bench.md.
"""

from collections.abc import Iterator
import os
import sys
from typing import Final

import pytest

from .refusals import HEAD, HOURS, OF_AN_ACCOUNT, Cost, of_account, of_cars
from .world import World

pytestmark = pytest.mark.slow

FIRST_HOUR: Final = 8
LATER: Final = 1.5
"""Requests an hour after the first."""
SERVER_TROUBLE: Final = frozenset({"500", "503"})
"""Not billed: asked each quarter of an hour."""
TABLE: Final = bool(os.environ.get("TESLAFI_CHAOS_TABLE"))
SHORT: Final = HOURS if TABLE else 6


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[list[Cost]]:
    """Keep what was measured, and print it at the end where that is asked for."""
    found: list[Cost] = []
    yield found
    if TABLE:
        sys.stdout.write("\n" + "\n".join([HEAD, *(cost.row() for cost in found)]) + "\n")


def asked_too_often(costs: list[Cost]) -> list[str]:
    """Return the rows of refusals that are asked for more often than they may."""
    most = FIRST_HOUR + LATER * (SHORT - 1)
    return [
        cost.row()
        for cost in costs
        if cost.first_hour > FIRST_HOUR or (cost.day > most and cost.refusal not in SERVER_TROUBLE)
    ]


@pytest.mark.parametrize("endpoint", ["vehicle_data", *(["state"] if TABLE else [])])
async def test_what_tesla_refuses_of_a_car_is_asked_seldom(world: World, table: list[Cost], endpoint: str) -> None:
    """One world has a car for each refusal."""
    *refused, beside = await of_cars(world, endpoint, SHORT)
    table += [*refused, beside]
    assert asked_too_often(refused) == []
    assert [cost.row() for cost in refused if not cost.first_hour] == []
    if endpoint == "vehicle_data":
        assert beside.first_hour >= 3, "the car beside them is asked as ever"
        assert beside.day - beside.first_hour >= SHORT - 1


@pytest.mark.parametrize("refusal", OF_AN_ACCOUNT if TABLE else ("403 scopes", "429 nothing", "503"))
async def test_what_tesla_refuses_of_sites_and_the_account_is_asked_seldom(
    world: World, table: list[Cost], refusal: str
) -> None:
    """The list of products and each of a site's three endpoints."""
    costs = await of_account(world, refusal, SHORT)
    table += costs
    assert asked_too_often(costs) == []
    assert [cost.row() for cost in costs if not cost.day] == []
