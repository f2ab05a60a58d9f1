"""Who may import whom in the simulators: a new arrow, an unused one or a circle is red until the table says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import teslafi_simulators

from .arrows import circles, differences, module_arrows, room_arrows

ROOT: Final = Path(teslafi_simulators.__file__).parent
PARTS: Final = ("chargebee", "mail", "tesla", "teslafi_feed")


def _arrows(**allowed: str) -> Mapping[str, frozenset[str]]:
    return {name.removeprefix("init_"): frozenset(targets.split()) for name, targets in allowed.items()}


ALLOWED: Final = {
    "chargebee": _arrows(
        init_="simulator site",
        __main__="simulator",
        api="parameters site",
        pages="site",
        simulator="api clock pages site webhooks",
        site="clock",
        webhooks="clock site",
    ),
    "mail": _arrows(init_="catcher"),
    "teslafi_feed": _arrows(init_="simulator"),
    "tesla": _arrows(
        init_="clock simulator",
        __main__="scenario simulator",
        accounts="addresses clock",
        applications="addresses",
        cars="addresses clock",
        commands="cars",
        control="accounts addresses billing cars clock commands faults state tokens",
        fleet_api="addresses applications billing cars commands energy faults state tokens",
        scenario="accounts applications cars energy state",
        showroom="cars control state",
        sign_in="accounts addresses applications clock tokens",
        simulator=(
            "accounts addresses applications billing cars clock control faults fleet_api scenario showroom sign_in"
            " state tokens"
        ),
        state="accounts addresses applications billing cars clock energy faults tokens",
        tokens="accounts addresses applications clock pkce",
    ),
}
"""Room -> rooms it may import, for each simulator; `init_` is its public face."""


def test_the_simulators_do_not_know_each_other() -> None:
    assert room_arrows(module_arrows(ROOT)) == {"": set(), **{part: set() for part in PARTS}}


@pytest.mark.parametrize("part", PARTS)
def test_only_the_arrows_of_the_table(part: str) -> None:
    assert differences(room_arrows(module_arrows(ROOT / part)), ALLOWED[part]) == []


@pytest.mark.parametrize("part", PARTS)
def test_no_circle_between_modules_or_rooms(part: str) -> None:
    arrows = module_arrows(ROOT / part)
    assert circles(arrows) == []
    assert circles(room_arrows(arrows)) == []
