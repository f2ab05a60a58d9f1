"""Trackers of recorded cars, in a real Home Assistant."""

from typing import Any

from homeassistant.const import STATE_HOME, STATE_NOT_HOME, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
import pytest

from tests.integration.recorded import MODEL_3, MODEL_3_WITHOUT_PLACE, VIN, look_again, watch_car


def place(hass: HomeAssistant, name: str = "") -> tuple[str, Any, Any]:
    """Return state, latitude and longitude of a tracker; the car's own is named as the car."""
    state = hass.states.get(f"device_tracker.test{name}")
    assert state is not None
    return state.state, state.attributes.get("latitude"), state.attributes.get("longitude")


async def test_where_the_car_is_and_where_its_route_leads(hass: HomeAssistant) -> None:
    """As recorded."""
    await watch_car(hass, MODEL_3, every_entity=True)
    assert place(hass) == (STATE_NOT_HOME, -30.222626, -97.6236871)
    assert place(hass, "_destination") == (STATE_NOT_HOME, 30.2226265, -97.6236871)


async def test_a_car_in_a_zone(hass: HomeAssistant) -> None:
    """Home Assistant finds the zone."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["drive_state"] |= {"latitude": hass.config.latitude, "longitude": hass.config.longitude}
    await look_again(hass, entry)
    assert place(hass)[0] == STATE_HOME


async def test_the_end_of_a_route(hass: HomeAssistant) -> None:
    """Its keys go, its tracker is unknown."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    for key in [key for key in reader.cars[VIN]["drive_state"] if key.startswith("active_route")]:
        del reader.cars[VIN]["drive_state"][key]
    await look_again(hass, entry)
    assert place(hass, "_destination") == (STATE_UNKNOWN, None, None)


@pytest.mark.parametrize(("latitude", "longitude"), [(91, 0), (0, -181), (None, 5), ("north", 5)])
async def test_a_place_not_on_the_earth_is_unknown(hass: HomeAssistant, latitude: object, longitude: object) -> None:
    """Nothing is computed from it."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["drive_state"] |= {"latitude": latitude, "longitude": longitude}
    await look_again(hass, entry)
    assert place(hass) == (STATE_UNKNOWN, None, None)


async def test_no_tracker_without_the_location(hass: HomeAssistant) -> None:
    """The owner did not allow it, so it is not created."""
    await watch_car(hass, MODEL_3_WITHOUT_PLACE)
    assert hass.states.async_entity_ids("device_tracker") == []
