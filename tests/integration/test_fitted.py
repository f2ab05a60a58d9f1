"""No entities of seats that a car lacks: the configuration is believed, and where it is silent the report."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from .recorded import VIN, RecordedReader, recorded, watch

FRONT = {"seat_heater_left", "seat_heater_right"}
REAR = {"seat_heater_rear_left", "seat_heater_rear_center", "seat_heater_rear_right"}
THIRD = {"seat_heater_rear_left_back", "seat_heater_rear_right_back"}
FANS = {"seat_fan_front_left", "seat_fan_front_right"}


async def _seats(hass: HomeAssistant, name: str, **config: Any) -> set[str]:  # noqa: ANN401 - JSON
    """Set up a recorded car with every seat reported; return the seats that have a sensor."""
    car = recorded(name) | {"vin": VIN}
    car["climate_state"] = dict.fromkeys(FRONT | REAR | THIRD | FANS, 0) | car["climate_state"]
    car["vehicle_config"] = car["vehicle_config"] | config
    entry = await watch(hass, RecordedReader({VIN: car}, {}))
    known = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    keys = {one.unique_id.removeprefix(f"{VIN}-climate_state_") for one in known if one.domain == "sensor"}
    return {key for key in keys if key.startswith("seat_")}


@pytest.mark.parametrize(
    ("config", "seats"),
    [
        ({"rear_seat_heaters": 0, "third_row_seats": "None", "has_seat_cooling": False}, FRONT),
        ({"rear_seat_heaters": 1, "third_row_seats": "None", "has_seat_cooling": False}, FRONT | REAR),
        ({"rear_seat_heaters": 1, "third_row_seats": "FuturisFoldFlat", "has_seat_cooling": True}, None),
        ({"rear_seat_heaters": 0, "third_row_seats": "FuturisFoldFlat", "has_seat_cooling": True}, FRONT | FANS),
        ({"rear_seat_heaters": None, "third_row_seats": None, "has_seat_cooling": None}, None),
    ],
    ids=["front alone", "five seats", "seven seats", "no rear heaters", "configuration is silent"],
)
async def test_seats_by_configuration(hass: HomeAssistant, config: dict[str, Any], seats: set[str] | None) -> None:
    found = await _seats(hass, "teslatte_vehicle_data_gak_2023_11_11", **config)
    assert found == (seats if seats is not None else FRONT | REAR | THIRD | FANS)


async def test_a_recorded_car_that_reports_seats_it_lacks(hass: HomeAssistant) -> None:
    """The Model S of 2018 reports two seats of a third row, and its configuration says that there is none."""
    assert not THIRD & await _seats(hass, "timdorr_vehicle_data_2018_models")


OLD_CHARGE = {"scheduled_charging_mode": "StartAt", "scheduled_charging_start_time_minutes": 60}


@pytest.mark.parametrize(
    ("firmware", "charge", "calendars"),
    [
        ("2023.44.30.8 fe12d3a", {}, False),
        ("2024.20.9 0a1b2c3d", {}, False),
        ("2024.26 0a1b2c3d", {}, True),
        ("2024.26.3.1 0a1b2c3d", {}, True),
        ("2026.2.9", {}, True),
        ("develop-2030.1", {}, False),
        ("", {}, False),
        ("2023.44.30.8 fe12d3a", OLD_CHARGE, True),
    ],
)
async def test_calendars_are_there_where_the_firmware_has_schedules(
    hass: HomeAssistant, firmware: str, charge: dict[str, Any], calendars: bool
) -> None:
    """Or where the one schedule of older firmware is on, which can be shown."""
    car = recorded("ha_core_tesla_fleet_vehicle_data") | {"vin": VIN}
    quiet = {"scheduled_charging_mode": "Off", "scheduled_departure_time_minutes": None}
    car["charge_state"] = car["charge_state"] | quiet | charge
    car["vehicle_state"] = car["vehicle_state"] | {"car_version": firmware}
    for block in ("charge_schedule_data", "preconditioning_schedule_data"):
        car.pop(block, None)
    entry = await watch(hass, RecordedReader({VIN: car}, {}))
    known = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    found = {one.unique_id.removeprefix(f"{VIN}-") for one in known if one.domain == "calendar"}
    found = {key for key in found if not key.startswith("journal_")}
    assert found == ({"charge_schedules", "precondition_schedules"} if calendars else set())
