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
