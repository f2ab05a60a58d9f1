"""Decoding: recorded answers read right, and no JSON whatever raises."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
import json
import math
from operator import attrgetter
from typing import Any

from homeassistant.helpers.json import json_bytes
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.teslafi.tesla.decode import PATHS, Memory, decode_vehicle, encode, merge
from custom_components.teslafi.tesla.snapshot import CarState, Snapshot
from tests.integration.recorded import (
    CARS,
    MODEL_3,
    MODEL_3_WITHOUT_PLACE,
    MODEL_S_CHARGING,
    MODEL_S_OF_2018,
    recorded,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["<invalid>", "", " ", "None", "1", "online", 2**63, -(2**63) - 1, 10**400, 1e300, -0.0])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(sorted({part for path in PATHS for part in path.split(".")}))
resembling = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8),
    max_leaves=30,
)
"""JSON with Tesla's own keys in places where they may or may not belong."""


def leaves(answer: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name every value of a recorded answer, blocks included."""
    for key, value in answer.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


PLACES = sorted(leaves(recorded(MODEL_3)))


def put(answer: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    """Put a value where `place` says."""
    *blocks, key = place
    for block in blocks:
        answer = answer[block]
    answer[key] = value


def held(snapshot: Snapshot) -> dict[str, object]:
    """Return the value of every path."""
    return {path: attrgetter(path)(snapshot) for path in PATHS}


def test_every_path_leads_to_a_value_of_the_snapshot() -> None:
    """An empty snapshot knows nothing, at every path."""
    values = held(Snapshot())
    assert len(values) > 300
    assert set(values.values()) == {None, ()}


@pytest.mark.parametrize("name", CARS)
def test_recorded_answers_are_read_whole(name: str) -> None:
    """Each value of each recorded car arrives as it was sent, or as nothing where it says nothing."""
    answer = recorded(name)
    decoded = decode_vehicle({"response": answer})
    assert decoded.malformed == ()
    values = held(decoded.snapshot)
    for block, content in answer.items():
        for key, value in content.items() if isinstance(content, dict) else [(block, content)]:
            path = f"{block}.{key}" if isinstance(content, dict) else f"vehicle.{key}"
            if path in PATHS:
                expected = None if value in ("", " ", "<invalid>") else value
                assert values[path] == expected, path
                assert path in decoded.snapshot.reported


def test_values_keep_teslas_units_and_words() -> None:
    """Miles stay miles, and texts stay Tesla's."""
    car = decode_vehicle(recorded(MODEL_S_CHARGING)).snapshot
    assert car.vehicle.state is CarState.ONLINE
    assert car.charge_state.charge_rate == 23.2
    assert car.charge_state.charging_state == "Charging"
    assert car.climate_state.outside_temp == 32.5
    assert car.vehicle_state.odometer == 70915.596752
    assert car.vehicle_state.tpms_pressure_fr == 2.58
    assert car.vehicle_state.software_update.version == "2022.36.20"
    assert car.vehicle_config.sun_roof_installed == 2


def test_a_whole_quantity_stays_whole() -> None:
    """77 % does not become 77.0 %."""
    level = decode_vehicle(recorded(MODEL_3)).snapshot.charge_state.battery_level
    assert type(level) is int


def test_words_for_nothing_are_nothing() -> None:
    """`<invalid>`, the empty text and a blank."""
    car = decode_vehicle(recorded(MODEL_3_WITHOUT_PLACE)).snapshot
    assert car.charge_state.charge_port_color is None
    assert "charge_state.charge_port_color" in car.reported
    assert car.charge_state.fast_charger_brand is None
    assert car.vehicle_state.software_update.version is None


def test_firmware_of_2018_switches_seat_heaters_by_bool() -> None:
    """`false` is level 0."""
    climate = decode_vehicle(recorded(MODEL_S_OF_2018)).snapshot.climate_state
    assert climate.seat_heater_left == 0
    assert type(climate.seat_heater_left) is int


def test_what_was_not_sent_is_not_reported() -> None:
    """An absent key differs from null."""
    car = decode_vehicle(recorded(MODEL_3_WITHOUT_PLACE)).snapshot
    assert car.drive_state.latitude is None
    assert "drive_state.latitude" not in car.reported
    assert "drive_state.speed" in car.reported
    assert "charge_schedule_data" not in car.reported


def test_tokens_are_not_read() -> None:
    """Nothing of the car's tokens is in the snapshot or in what is kept of it."""
    answer = recorded(MODEL_3) | {"tokens": ["MARKER-1"], "backseat_token": "MARKER-2", "cached_data": "MARKER-3"}
    decoded = decode_vehicle(answer)
    assert "MARKER" not in repr(decoded)
    assert "MARKER" not in json.dumps(encode(decoded.snapshot))


@pytest.mark.parametrize(
    ("block", "key", "value", "expected"),
    [
        ("charge_state", "battery_level", 76.0, 76.0),
        ("charge_state", "charger_phases", 2.0, 2),
        ("climate_state", "is_climate_on", 1, True),
        ("climate_state", "is_climate_on", 0.0, False),
        ("vehicle_config", "sun_roof_installed", True, 1),
        ("drive_state", "timestamp", 1705707520649.0, 1705707520649),
    ],
)
def test_numbers_are_taken_in_either_notation(block: str, key: str, value: object, expected: object) -> None:
    """Tesla changes between 2, 2.0, true and 1."""
    decoded = decode_vehicle({block: {key: value}})
    known = attrgetter(f"{block}.{key}")(decoded.snapshot)
    assert known == expected
    assert type(known) is type(expected)
    assert decoded.malformed == ()


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ("charge_state", "battery_level", "76"),
        ("charge_state", "battery_level", True),
        ("charge_state", "battery_level", math.nan),
        ("charge_state", "battery_level", math.inf),
        ("charge_state", "battery_level", 10**400),
        ("charge_state", "battery_level", [76]),
        ("charge_state", "charger_phases", 1.5),
        ("charge_state", "charger_phases", 2**63),
        ("charge_state", "charging_state", 3),
        ("charge_state", "charging_state", {"Charging": {}}),
        ("charge_state", "charging_state", "half a \ud83d"),
        ("climate_state", "is_climate_on", "true"),
        ("climate_state", "is_climate_on", 2),
    ],
)
def test_a_value_of_another_type_is_unknown_and_named(block: str, key: str, value: object) -> None:
    """Only that value is lost, and it stays reported."""
    answer = recorded(MODEL_3)
    good = decode_vehicle(answer).snapshot
    answer[block][key] = value
    decoded = decode_vehicle(answer)
    assert decoded.malformed == (f"{block}.{key}",)
    assert held(decoded.snapshot) == held(good) | {f"{block}.{key}": None}
    assert decoded.snapshot.reported == good.reported


@pytest.mark.parametrize("answer", [None, [], "online", 4, {"response": None}, {"response": []}])
def test_an_answer_that_is_no_object_is_named(answer: object) -> None:
    """Nothing is known then, and that is said."""
    decoded = decode_vehicle(answer)
    assert decoded.snapshot == Snapshot()
    assert decoded.malformed == ("response",)


def test_an_unlisted_state_is_unknown_and_named() -> None:
    """States other than the three are news."""
    decoded = decode_vehicle({"state": "dreaming"})
    assert decoded.snapshot.vehicle.state is None
    assert decoded.malformed == ("vehicle.state",)


def test_schedules_are_read_with_either_kind_of_timestamp() -> None:
    """A bad entry of the list leaves the good ones; the moment is an object or a number."""
    entry = {"id": 7, "name": "Home", "days_of_week": 127, "start_time": 1380, "enabled": True, "unheard": 1}
    data = {"charge_schedules": [entry, "no schedule"], "timestamp": {"seconds": 1731000000, "nanos": 5_000_000}}
    decoded = decode_vehicle({"charge_schedule_data": data})
    schedules = decoded.snapshot.charge_schedule_data
    assert [(schedule.name, schedule.start_time) for schedule in schedules.charge_schedules] == [("Home", 1380)]
    assert schedules.timestamp == 1731000000005
    assert decoded.malformed == ("charge_schedule_data.charge_schedules",)
    plain = decode_vehicle({"preconditioning_schedule_data": {"timestamp": 1731000000005}})
    assert plain.snapshot.preconditioning_schedule_data.timestamp == 1731000000005


@pytest.mark.parametrize(("schedules", "malformed"), [(None, ()), ("none", ("charge_schedule_data.charge_schedules",))])
def test_schedules_that_are_no_list_are_none(schedules: object, malformed: tuple[str, ...]) -> None:
    """Null is no schedule; anything else is named."""
    decoded = decode_vehicle({"charge_schedule_data": {"charge_schedules": schedules}})
    assert decoded.snapshot.charge_schedule_data.charge_schedules == ()
    assert decoded.malformed == malformed


@settings(deadline=None)
@given(anything)
def test_no_json_raises(answer: object) -> None:
    """Any JSON at all."""
    decoded = decode_vehicle(answer)
    json_bytes(encode(decoded.snapshot))


@settings(deadline=None, max_examples=300)
@given(resembling)
def test_no_json_with_teslas_keys_raises_and_all_of_it_can_be_kept(answer: object) -> None:
    """Any JSON with Tesla's keys; what was read survives the file of last values."""
    snapshot = decode_vehicle(answer).snapshot
    kept = json.loads(json_bytes(encode(snapshot)))
    assert decode_vehicle(kept).snapshot == snapshot
    assert decode_vehicle(kept).malformed == ()


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PLACES), anything)
def test_one_bad_value_spoils_nothing_else(place: tuple[str, ...], value: object) -> None:
    """Any JSON in the place of one value or block changes nothing elsewhere."""
    answer = recorded(MODEL_3)
    before = held(decode_vehicle(deepcopy(answer)).snapshot)
    put(answer, place, value)
    decoded = decode_vehicle(answer)
    after = held(decoded.snapshot)
    path = ".".join(place if place[0] in {one.name for one in fields(Snapshot)} else ("vehicle", *place))
    touched = {key for key in before if before[key] != after[key] and not (key == path or key.startswith(f"{path}."))}
    assert not touched
    assert all(key == path or key.startswith(f"{path}.") for key in decoded.malformed)


@pytest.mark.parametrize("name", CARS)
def test_what_was_written_reads_the_same(name: str) -> None:
    """The file of last values loses nothing, reports included."""
    snapshot = decode_vehicle(recorded(name)).snapshot
    assert decode_vehicle(json.loads(json_bytes(encode(snapshot)))).snapshot == snapshot


def test_a_block_that_was_not_sent_keeps_its_values() -> None:
    """Nor does one that was sent as null."""
    older = decode_vehicle(recorded(MODEL_3)).snapshot
    newer = decode_vehicle({"charge_state": {"battery_level": 50}, "climate_state": None}).snapshot
    merged = merge(older, newer)
    assert merged.charge_state.battery_level == 50
    assert merged.climate_state == older.climate_state
    assert merged.vehicle == older.vehicle


def test_a_key_missing_in_a_block_that_was_sent_means_nothing_is_there() -> None:
    """A route that ended leaves no keys behind."""
    older = decode_vehicle(recorded(MODEL_3)).snapshot
    newer = decode_vehicle({"drive_state": {"speed": 30}}).snapshot
    merged = merge(older, newer)
    assert merged.drive_state.active_route_destination is None
    assert "drive_state.active_route_destination" in merged.reported


def test_the_vehicle_object_is_merged_value_by_value() -> None:
    """The list has names and signing, the answer after it may have less."""
    listed = decode_vehicle(
        {"vin": "V", "state": "asleep", "display_name": "Nikola", "command_signing": "off"}
    ).snapshot
    merged = merge(listed, decode_vehicle({"vin": "V", "state": "online"}).snapshot)
    assert merged.vehicle.state is CarState.ONLINE
    assert merged.vehicle.display_name == "Nikola"
    assert merge(merged, decode_vehicle({"command_signing": None}).snapshot).vehicle.command_signing is None


@settings(deadline=None)
@given(st.sampled_from(CARS), resembling)
def test_merging_keeps_every_report_and_can_be_kept(name: str, answer: object) -> None:
    """Merging twice is merging once."""
    older = decode_vehicle(recorded(name)).snapshot
    newer = decode_vehicle(answer).snapshot
    merged = merge(older, newer)
    assert merged.reported == older.reported | newer.reported
    assert merge(merged, newer) == merged
    assert decode_vehicle(encode(merged)).snapshot == merged


def test_the_same_keys_again_are_the_same_set_of_reports() -> None:
    """Entities look for news by identity, whatever equal set somebody had before."""
    answer = decode_vehicle(recorded(MODEL_3)).snapshot
    for snapshot in (answer, replace(answer, reported=frozenset(list(answer.reported)))):
        assert merge(snapshot, answer).reported is snapshot.reported


@pytest.mark.parametrize("name", CARS)
def test_blocks_that_say_the_same_again_are_the_same_objects(name: str) -> None:
    """What has no time stamp seldom changes, and is not made anew."""
    memory: Memory = {}
    answer = recorded(name)
    first = decode_vehicle(deepcopy(answer), memory).snapshot
    again = decode_vehicle(deepcopy(answer), memory).snapshot
    assert again == first
    assert again.vehicle is first.vehicle
    assert again.vehicle_config is first.vehicle_config
    assert again.vehicle_state.software_update is first.vehicle_state.software_update


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PLACES), anything, anything)
def test_what_was_answered_before_changes_no_answer(place: tuple[str, ...], before: object, value: object) -> None:
    """One value or block after another in the same place, with 1, 1.0 and true told apart; then the first again."""
    memory: Memory = {}
    for each in (before, value, before):
        answer = recorded(MODEL_3)
        put(answer, place, each)
        decoded, alone = decode_vehicle(answer, memory), decode_vehicle(answer)
        assert decoded == alone
        assert {path: type(one) for path, one in held(decoded.snapshot).items()} == {
            path: type(one) for path, one in held(alone.snapshot).items()
        }


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0, False), (0.0, False)])
def test_equal_is_not_the_same(before: float, after: object) -> None:
    """A flag is no number, though Python holds them to be equal; and a number stays what was sent."""
    memory: Memory = {}
    answer = recorded(MODEL_3)
    for value in (before, after):
        put(answer, ("vehicle_state", "speed_limit_mode", "max_limit_mph"), value)
        decoded, alone = decode_vehicle(answer, memory), decode_vehicle(answer)
        assert decoded.malformed == alone.malformed
        told, expected = (one.snapshot.vehicle_state.speed_limit_mode.max_limit_mph for one in (decoded, alone))
        assert (told, type(told)) == (expected, type(expected))


@settings(deadline=None, max_examples=300)
@given(resembling, resembling)
def test_no_answer_before_changes_any_answer(before: object, answer: object) -> None:
    """Any JSON with Tesla's keys after any other."""
    memory: Memory = {}
    decode_vehicle(before, memory)
    assert decode_vehicle(answer, memory) == decode_vehicle(answer)
