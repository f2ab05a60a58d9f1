"""What is kept of cars and sites over a restart: all of it comes back, and what is damaged is not known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
import json
from typing import Any, Final

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.polling.ledger import Ledger
from custom_components.teslafi.storage.last_values import LastSite, LastValues, Stored
from custom_components.teslafi.tesla.decode import decode_vehicle
from custom_components.teslafi.tesla.energy_site import (
    EnergyToday,
    SiteInfo,
    SiteLive,
    decode_info,
    decode_live,
    decode_today,
)
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.snapshot import CarState, Snapshot

VIN: Final = "5YJ3E1EA7KF000001"
OTHER: Final = "5YJSA7H4XFF000003"
SITE: Final = 2252012345678
AT: Final = datetime(2026, 11, 26, 12, 30, 15, 250000, tzinfo=UTC)
NOW: Final = AT.timestamp()
LEDGER: Final = Ledger().counted(Category.DATA, NOW).counted(Category.COMMAND, NOW)
SPENT: Final = LEDGER.counted(Category.WAKE, NOW)

CAR: Final = LastValues(
    state=CarState.ASLEEP,
    snapshot=decode_vehicle({"state": "asleep", "vin": VIN, "charge_state": {"battery_level": 71}}).snapshot,
    data_at=AT,
    contact_at=AT.replace(minute=31),
    ledger=LEDGER,
    block_at={"charge_state": AT, "drive_state": AT.replace(hour=11)},
    polling={"at": NOW, "day": "2026-11-26", "learnt": {"sleeps": [540.0]}},
)
HOME: Final = LastSite(
    "Anna's home",
    decode_live({"solar_power": 3100.5, "percentage_charged": 44}).snapshot,
    decode_info({"site_name": "Anna's home", "backup_reserve_percent": 20}).snapshot,
    decode_today({"time_series": [{"timestamp": "2026-11-26T00:00:00+01:00", "solar_energy_exported": 70}]}).snapshot,
)
ALL: Final = Stored(
    vehicles={VIN: CAR, OTHER: LastValues()},
    sites={SITE: HOME, 1: LastSite()},
    ledgers={VIN: LEDGER, "GONE": SPENT, OTHER: Ledger()},
    absences={VIN: (7200.0, 3600.0), str(SITE): (0.0, 0.0)},
    month="2026-11",
)


def written(kept: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a file holds after it was written and read."""
    return json.loads(json.dumps(kept.to_json()))


def test_there_is_something_to_keep() -> None:
    """Else the next tests would hold nothing."""
    assert CAR.snapshot.charge_state.battery_level == 71
    assert (HOME.live, HOME.info, HOME.today) != (SiteLive(), SiteInfo(), EnergyToday())
    assert HOME.live.reported
    assert HOME.info.reported
    assert HOME.today.reported


@pytest.mark.parametrize("name", ["state", "snapshot", "data_at", "contact_at", "ledger", "block_at", "polling"])
def test_each_part_of_a_car_comes_back(name: str) -> None:
    """By itself, too: none depends on another."""
    only = replace(LastValues(), **{name: getattr(CAR, name)})
    assert LastValues.from_json(written(CAR)) == CAR
    assert LastValues.from_json(written(only)) == only
    assert LastValues.from_json({name: written(CAR)[name]}) == only
    assert LastValues.from_json(written(CAR) | {name: None}) == replace(CAR, **{name: getattr(LastValues(), name)})


@pytest.mark.parametrize("name", ["name", "live", "info", "today"])
def test_each_part_of_a_site_comes_back(name: str) -> None:
    assert LastSite.from_json(written(HOME)) == HOME
    only = replace(LastSite(), **{name: getattr(HOME, name)})
    assert LastSite.from_json(written(only)) == only
    assert LastSite.from_json(written(HOME) | {name: None}) == replace(HOME, **{name: getattr(LastSite(), name)})


def test_all_of_an_account_comes_back() -> None:
    assert Stored.from_json(written(ALL)) == ALL
    assert Stored.from_json(written(Stored())) == Stored()


def test_a_car_has_the_ledger_that_outlives_it() -> None:
    """Version 0.1.0 kept it with the car alone; what is kept beside it is newer."""
    old = {"vehicles": written(ALL)["vehicles"]}
    assert Stored.from_json(old).ledgers == {VIN: LEDGER, OTHER: Ledger()}
    both = old | {"ledgers": {VIN: SPENT.to_json(), "GONE": SPENT.to_json()}}
    assert Stored.from_json(both).ledgers == {VIN: SPENT, OTHER: Ledger(), "GONE": SPENT}


def test_vins_are_kept_in_one_form() -> None:
    """Whatever wrote them."""
    odd = {
        "vehicles": {f" {VIN.lower()}": CAR.to_json()},
        "ledgers": {VIN.lower(): SPENT.to_json()},
        "absences": {VIN.lower(): [1, 2]},
    }
    stored = Stored.from_json(odd)
    assert set(stored.vehicles) == set(stored.ledgers) == set(stored.absences) == {VIN}
    assert stored.ledgers[VIN] == SPENT


@pytest.mark.parametrize(
    ("absences", "known"),
    [
        ({"a": [1, 2]}, {"A": (1.0, 2.0)}),
        ({"a": [0, 0.5]}, {"A": (0.0, 0.5)}),
        ({"a": [1]}, {}),
        ({"a": [1, 2, 3]}, {}),
        ({"a": [-1, 2]}, {}),
        ({"a": [1, -2]}, {}),
        ({"a": [True, 2]}, {}),
        ({"a": ["1", 2]}, {}),
        ({"a": [1, None]}, {}),
        ({"a": 7}, {}),
        ({"a": {"0": 1, "1": 2}}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_absences_that_make_no_sense_are_none(absences: object, known: Mapping[str, tuple[float, float]]) -> None:
    assert Stored.from_json({"absences": absences}).absences == known


@pytest.mark.parametrize(
    ("key", "known"),
    [
        (str(SITE), True),
        ("1", True),
        ("9" * 20, True),
        ("9" * 21, False),
        ("", False),
        ("-1", False),
        ("1a", False),
        ("\u0663", False),
    ],
)
def test_a_site_has_a_number(key: str, known: bool) -> None:
    assert (
        (list(Stored.from_json({"sites": {key: HOME.to_json()}}).sites) == [int(key)])
        if known
        else not Stored.from_json({"sites": {key: HOME.to_json()}}).sites
    )


@pytest.mark.parametrize(
    ("month", "known"), [("2026-11", "2026-11"), ("2026-13", None), ("", None), (7, None), (None, None)]
)
def test_a_month_is_one(month: object, known: str | None) -> None:
    assert Stored.from_json({"month": month}).month == known


@pytest.mark.parametrize("moment", ["2026-11-26T12:30:15", "soon", "", 7, [], {}, True])
def test_a_moment_without_a_zone_is_none(moment: object) -> None:
    kept = written(CAR) | {"data_at": moment, "contact_at": moment, "block_at": {"charge_state": moment}}
    assert LastValues.from_json(kept) == replace(CAR, data_at=None, contact_at=None, block_at={})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*written(ALL), *written(CAR), *written(HOME), VIN, "1"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(data=JSON)
def test_whatever_the_file_holds(data: Any) -> None:  # noqa: ANN401 - JSON
    """No exception, and what came of it is kept as it is from then on."""
    stored = Stored.from_json(data)
    assert Stored.from_json(stored.to_json()) == stored
    LastValues.from_json(data)
    LastSite.from_json(data)


def test_a_state_that_is_none() -> None:
    states: tuple[object, ...] = ("driving", "", 1, None, ["asleep"], {})
    for state in states:
        assert LastValues.from_json({"state": state}).state is None
    assert LastValues.from_json({"state": "online"}).state is CarState.ONLINE
    assert LastValues.from_json({"snapshot": {"charge_state": "none"}}).snapshot == Snapshot()
