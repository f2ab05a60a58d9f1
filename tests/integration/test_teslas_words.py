"""Words of Tesla's that have been read wrongly: each as a table over its kind."""

from datetime import UTC, datetime
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.catalogue.climate import SEAT_LEVELS, STEERING_WHEEL_LEVELS, level
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.select import LEVELS, WHEEL_LEVELS, _option
from custom_components.teslafi.tesla.decode import decode_vehicle
from custom_components.teslafi.tesla.next_event import next_charge, next_preconditioning
from custom_components.teslafi.tesla.schedules import occurrences, plans_of
from tests.integration.recorded import MODEL_3, VIN, RecordedReader, look_again, recorded, watch

AMSTERDAM, BERGEN = (52.37, 4.9), (60.39, 5.32)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "name"), [(0, "off"), (1, "low"), (3, "high"), (4, "high"), (9, "high"), (10**400, "high")]
)
def test_levels_above_the_highest_are_the_highest(number: int, name: str) -> None:
    """In sensors and in what can be chosen."""
    for levels, options in ((SEAT_LEVELS, LEVELS), (STEERING_WHEEL_LEVELS, WHEEL_LEVELS)):
        found = level(levels, number)
        assert found is not None
        assert levels[found] == name == _option(options, number)


@pytest.mark.parametrize("value", [None, -1, 1.5, float("nan"), "3", [], {}])
def test_what_is_no_level_is_none(value: object) -> None:
    """Nothing is made up."""
    assert level(SEAT_LEVELS, value) is None
    assert _option(LEVELS, value) is None


@pytest.mark.parametrize("seat", [{}, {"seat_heater_left": 7, "steering_wheel_heat_level": 5}])
@pytest.mark.parametrize(
    ("cable", "state", "plugged"),
    [
        ("SNA", "Disconnected", "off"),
        ("<invalid>", "Disconnected", "off"),
        ("", "Disconnected", "off"),
        ("SNA", "Complete", "on"),
        ("IEC", "Disconnected", "on"),
        ("SNA", None, "unknown"),
    ],
)
async def test_cables_and_levels_are_shown(
    hass: HomeAssistant, cable: str, state: str | None, plugged: str, seat: dict[str, int]
) -> None:
    """What the car does not know is no cable; the charging state tells then."""
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    reader.cars[VIN]["charge_state"].update(conn_charge_cable=cable, charging_state=state)
    reader.cars[VIN]["climate_state"].update(seat)
    await watch(hass, reader, every_entity=True)

    def shown(platform: str, key: str) -> Any:  # noqa: ANN401 - a state
        entity_id = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{VIN}-{key}")
        assert entity_id is not None
        found = hass.states.get(entity_id)
        assert found is not None
        return found.state

    assert shown("binary_sensor", "charge_state_conn_charge_cable") == plugged
    if seat:
        assert shown("sensor", "climate_state_seat_heater_left") == "high"
        assert shown("sensor", "climate_state_steering_wheel_heat_level") == "high"


def schedules(place: tuple[float, float] | None) -> dict[str, Any]:
    """Return a car's answer with one schedule of each kind, at a place."""
    at = {} if place is None else {"latitude": place[0], "longitude": place[1]}
    common = {"id": 1, "days_of_week": 127, "enabled": True, **at}
    return {
        "charge_schedule_data": {"charge_schedules": [{**common, "start_enabled": True, "start_time": 1320}]},
        "preconditioning_schedule_data": {"precondition_schedules": [{**common, "precondition_time": 420}]},
    }


@pytest.mark.parametrize(
    ("car", "place", "counts"),
    [
        (AMSTERDAM, BERGEN, False),
        (AMSTERDAM, (52.3705, 4.9005), True),
        (AMSTERDAM, (52.40, 4.9), False),
        (None, BERGEN, True),
        (AMSTERDAM, None, True),
        ((0.0, 179.9999), (0.0, -179.9999), True),
        ((90.0, 0.0), (90.0, 180.0), True),
    ],
)
async def test_schedules_of_another_place_are_not_next(
    hass: HomeAssistant,
    car: tuple[float, float] | None,
    place: tuple[float, float] | None,
    counts: bool,
) -> None:
    """The car will not charge here by them."""
    snapshot = decode_vehicle(schedules(place)).snapshot
    assert (next_charge(snapshot.charge_schedule_data, NOON, UTC, car) is not None) is counts
    assert (next_preconditioning(snapshot.preconditioning_schedule_data, NOON, UTC, car) is not None) is counts
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN} | schedules(place)}, {})
    drive = reader.cars[VIN]["drive_state"]
    drive.update(latitude=car[0] if car else None, longitude=car[1] if car else None)
    entry = await watch(hass, reader, every_entity=True)
    await look_again(hass, entry)
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{VIN}-charge_schedule_data_next")
    state = hass.states.get(str(entity_id))
    assert state is not None
    assert (state.state != "unknown") is counts


@given(st.integers(), st.integers(), st.sampled_from(["StartAt", "DepartBy"]), st.booleans(), st.booleans())
def test_minutes_outside_a_day_are_no_schedule(begin: int, end: int, mode: str, starts: bool, ends: bool) -> None:
    """And no crash of the calendar."""
    schedule = {
        "id": 1,
        "enabled": True,
        "start_enabled": starts,
        "end_enabled": ends,
        "start_time": begin,
        "end_time": end,
    }
    snapshot = decode_vehicle(
        {
            "charge_state": {
                "scheduled_charging_mode": mode,
                "scheduled_charging_start_time_minutes": begin,
                "scheduled_departure_time_minutes": end,
            },
            "charge_schedule_data": {"charge_schedules": [schedule]},
            "preconditioning_schedule_data": {"precondition_schedules": [{**schedule, "precondition_time": end}]},
        }
    ).snapshot
    for plan in plans_of(snapshot):
        assert 0 <= plan.begin < 1440
        assert plan.end is None or 0 <= plan.end < 1440
        assert list(occurrences(plan, NOON, NOON.replace(day=25), UTC))


async def test_software_that_cannot_be_installed_is_no_configuration(hass: HomeAssistant) -> None:
    """It tells, as a diagnostic entity does."""
    await watch(hass, RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {}))
    registry = er.async_get(hass)
    known = registry.async_get(str(registry.async_get_entity_id("update", DOMAIN, f"{VIN}-software_update")))
    assert known is not None
    assert known.entity_category == "diagnostic"
