"""What a look's answer says about when to look again: read from that answer alone, whatever is in it."""

from dataclasses import replace
import math

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.polling.observation import STALE, Observation, Reason, fresh_blocks, observed_in
from custom_components.teslafi.tesla.decode import decode_vehicle
from custom_components.teslafi.tesla.snapshot import Snapshot

NOW = 1_795_000_000_000
BLOCKS = ("charge_state", "climate_state", "drive_state", "vehicle_state")


def answer(**blocks: dict[str, object]) -> Snapshot:
    """Return the decoded answer of a look with these values."""
    raw = {name: {"timestamp": NOW, **blocks.get(name, {})} for name in BLOCKS}
    return decode_vehicle(raw).snapshot


def seen(came: Snapshot) -> Observation:
    return observed_in(came, fresh_blocks(came))


@pytest.mark.parametrize(
    ("block", "values", "reasons"),
    [
        ("drive_state", {"shift_state": None, "speed": None}, set()),
        ("drive_state", {"shift_state": "P", "speed": 0}, set()),
        ("drive_state", {"shift_state": "D"}, {Reason.DRIVING}),
        ("drive_state", {"shift_state": "R"}, {Reason.DRIVING}),
        ("drive_state", {"shift_state": "N"}, {Reason.DRIVING}),
        ("drive_state", {"speed": 3}, {Reason.DRIVING}),
        ("charge_state", {"charging_state": "Charging"}, {Reason.CHARGING}),
        ("charge_state", {"charging_state": "Starting"}, {Reason.CHARGING}),
        ("charge_state", {"charging_state": "Complete"}, set()),
        ("charge_state", {"charging_state": "NoPower"}, set()),
        ("charge_state", {"powershare_instantaneous_load_kw": 2.5}, {Reason.POWER_OUTLET}),
        ("climate_state", {"is_climate_on": True}, {Reason.CLIMATE}),
        ("climate_state", {"is_preconditioning": True}, {Reason.PRECONDITIONING}),
        ("climate_state", {"climate_keeper_mode": "dog", "is_climate_on": False}, set()),
        (
            "climate_state",
            {"climate_keeper_mode": "dog", "is_climate_on": True},
            {Reason.CLIMATE_KEEPER, Reason.CLIMATE},
        ),
        ("climate_state", {"cabin_overheat_protection": "On"}, set()),
        ("climate_state", {"cabin_overheat_protection_actively_cooling": True}, {Reason.OVERHEAT_PROTECTION}),
        ("vehicle_state", {"sentry_mode": True}, {Reason.SENTRY}),
        ("vehicle_state", {"is_user_present": True}, {Reason.USER_PRESENT}),
        ("vehicle_state", {"center_display_state": 2}, {Reason.ACCESSORY_POWER}),
        ("vehicle_state", {"software_update": {"status": "downloading"}}, {Reason.UPDATE}),
        ("vehicle_state", {"software_update": {"status": "available"}}, set()),
    ],
)
def test_reasons(block: str, values: dict[str, object], reasons: set[Reason]) -> None:
    """A table of what keeps a car awake, and of what only looks like it."""
    assert seen(answer(**{block: values})).reasons == reasons


def test_what_else_a_look_tells() -> None:
    """Durations in seconds, a cable, an open door, a place."""
    observed = seen(
        answer(
            charge_state={"charging_state": "Charging", "minutes_to_full_charge": 90, "fast_charger_present": True},
            drive_state={"active_route_minutes_to_arrival": 12.5, "latitude": 1.5, "longitude": -2.5},
            vehicle_state={"rt": 32},
        )
    )
    assert (observed.fast, observed.plugged, observed.open, observed.attended) == (True, True, True, True)
    assert (observed.charge_left, observed.arrival, observed.place) == (5400, 750, (1.5, -2.5))
    older = seen(answer(charge_state={"charging_state": "Charging", "time_to_full_charge": 1.25}))
    assert older.charge_left == 4500
    waiting = {
        "charging_state": "Stopped",
        "scheduled_charging_pending": True,
        "scheduled_charging_start_time": 1_795_100_000,
    }
    assert seen(answer(charge_state=waiting)).charge_starts_at == 1_795_100_000


@pytest.mark.parametrize("block", BLOCKS)
def test_a_leftover_block_says_nothing(block: str) -> None:
    """A block far older than the others is a leftover; so is one that did not come."""
    lively: dict[str, dict[str, object]] = {
        "charge_state": {"charging_state": "Charging"},
        "climate_state": {"is_climate_on": True},
        "drive_state": {"shift_state": "D"},
        "vehicle_state": {"sentry_mode": True},
    }
    came = answer(**{block: lively[block]})
    assert seen(came).reasons
    old = answer(**{block: lively[block] | {"timestamp": NOW - STALE - 1}})
    assert seen(old) == Observation()
    assert fresh_blocks(old) == frozenset(BLOCKS) - {block}
    missing = replace(came, reported=frozenset(path for path in came.reported if path.split(".")[0] != block))
    assert seen(missing).reasons == frozenset()


VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5) | st.just([])
)
NAMES = st.sampled_from(
    [
        "timestamp",
        "shift_state",
        "speed",
        "charging_state",
        "minutes_to_full_charge",
        "time_to_full_charge",
        "latitude",
        "longitude",
        "active_route_minutes_to_arrival",
        "scheduled_charging_start_time",
        "scheduled_charging_pending",
        "df",
    ]
)


@given(raw=st.dictionaries(st.sampled_from(BLOCKS), st.dictionaries(NAMES, VALUES)))
def test_any_answer_is_a_sight(raw: dict[str, dict[str, object]]) -> None:
    """No exception, and durations that can be planned with."""
    observed = seen(decode_vehicle(raw).snapshot)
    for duration in (observed.arrival, observed.charge_left):
        assert duration is None or (duration >= 0 and math.isfinite(duration))
