"""The software of recorded cars, in a real Home Assistant."""

from typing import Any

from homeassistant.components.update.const import DATA_COMPONENT
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.update import VehicleUpdate
from tests.integration.recorded import MODEL_3, MODEL_3_WITHOUT_PLACE, VIN, look_again, watch_car


def software(hass: HomeAssistant) -> tuple[str, dict[str, Any]]:
    """Return state and attributes of the only update."""
    (entity_id,) = hass.states.async_entity_ids("update")
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state, dict(state.attributes)


async def test_an_update_is_available(hass: HomeAssistant) -> None:
    """As recorded."""
    await watch_car(hass, MODEL_3)
    state, attributes = software(hass)
    assert state == STATE_ON
    assert attributes["installed_version"] == "2023.44.30.8"
    assert attributes["latest_version"] == "2024.12.0.0"
    assert attributes["in_progress"] is False
    assert attributes["update_percentage"] is None


async def test_no_update_is_available(hass: HomeAssistant) -> None:
    """A blank for a version is none."""
    await watch_car(hass, MODEL_3_WITHOUT_PLACE)
    state, attributes = software(hass)
    assert state == STATE_OFF
    assert attributes["latest_version"] == attributes["installed_version"] == "2023.38.6"


async def test_nothing_can_be_installed_from_here(hass: HomeAssistant) -> None:
    """The monitoring grant cannot."""
    await watch_car(hass, MODEL_3)
    assert software(hass)[1]["supported_features"] == 4 | 16  # PROGRESS and RELEASE_NOTES, not INSTALL


async def test_an_installation_in_progress(hass: HomeAssistant) -> None:
    """With its percentage."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["vehicle_state"]["software_update"] |= {"status": "installing", "install_perc": 40}
    await look_again(hass, entry)
    _, attributes = software(hass)
    assert attributes["in_progress"] is True
    assert attributes["update_percentage"] == 40


async def test_progress_outlasts_the_call_that_began_it(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home Assistant ends every progress with the action; the car installs for half an hour more."""
    await watch_car(hass, MODEL_3)
    (entity_id,) = hass.states.async_entity_ids("update")
    entity = hass.data[DATA_COMPONENT].get_entity(entity_id)
    assert isinstance(entity, VehicleUpdate)

    async def install(*_: object, **__: object) -> None:
        entity.coordinator.assume({"vehicle_state.software_update.status": "installing"})

    monkeypatch.setattr(entity, "async_install", install)
    await entity.async_install_with_progress(None, backup=False)
    assert software(hass)[1]["in_progress"] is True


@pytest.mark.parametrize(
    ("status", "version", "expected"),
    [
        ("scheduled", "2024.12.0.0", STATE_ON),
        ("downloading_wifi_wait", "2024.12.0.0", STATE_ON),
        ("available", "EU-2023.20-14615", STATE_ON),
        ("available", " ", STATE_UNKNOWN),
        ("available", None, STATE_UNKNOWN),
        ("pondering", "2024.12.0.0", STATE_OFF),
        ("", "2024.12.0.0", STATE_OFF),
        (7, {}, STATE_OFF),
    ],
)
async def test_what_tesla_offers_is_new(hass: HomeAssistant, status: object, version: object, expected: str) -> None:
    """Under the states in which it is an offer, and whatever the version looks like."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["vehicle_state"]["software_update"] = {"status": status, "version": version}
    await look_again(hass, entry)
    assert software(hass)[0] == expected


async def test_new_software_shows_on_the_device(hass: HomeAssistant, device_registry: dr.DeviceRegistry) -> None:
    """As soon as the car has it."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["vehicle_state"]["car_version"] = "2024.12.0.0 abcdef"
    await look_again(hass, entry)
    device = device_registry.async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    assert device.sw_version == "2024.12.0.0"
    assert software(hass)[0] == STATE_OFF
