"""Entities that are disabled by default: the first car's are made once, other cars' are registered like them."""

from typing import Any, Final

import attrs
from homeassistant.components.sensor import DOMAIN as SENSOR
from homeassistant.const import UnitOfSpeed
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.vehicle import VehicleCoordinator
from custom_components.teslafi.entity import ShownDescription, VehicleEntity

from .recorded import MODEL_3, VIN, RecordedReader, recorded, watch

SECOND: Final = f"{VIN[:-1]}8"
THIRD: Final = f"{VIN[:-1]}9"
OF_ONE_CAR: Final = {"entity_id", "unique_id", "id", "device_id", "created_at", "modified_at", "_cache"}
CHARGE_RATE: Final = "charge_state_charge_rate"


def reader_of(*vins: str) -> RecordedReader:
    """Return an account of cars that answer alike, each with a name of its own."""
    cars = {vin: recorded(MODEL_3) | {"vin": vin} for vin in vins}
    for vin, car in cars.items():
        car["vehicle_state"] |= {"vehicle_name": f"Car {vin[-1]}"}
    return RecordedReader(cars, {})


def entries_of(hass: HomeAssistant, vin: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is registered of a car, without what is its own: by domain and key."""
    return {
        (known.domain, known.unique_id.removeprefix(vin)): attrs.asdict(
            known, recurse=False, filter=lambda attribute, _: attribute.name not in OF_ONE_CAR
        )
        for known in er.async_get(hass).entities.values()
        if known.platform == DOMAIN and known.unique_id.startswith(vin)
    }


def entity(hass: HomeAssistant, vin: str, key: str) -> er.RegistryEntry:
    """Return a car's sensor."""
    registry = er.async_get(hass)
    found = registry.async_get_entity_id(SENSOR, DOMAIN, f"{vin}-{key}")
    assert found is not None
    return registry.entities[found]


async def test_another_car_has_the_same_entities(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Home Assistant registers of the first car is registered of the next; only what is enabled is made of it."""
    made: list[str] = []
    make = VehicleEntity.__init__

    def making(self: VehicleEntity, coordinator: VehicleCoordinator, row: ShownDescription[Any]) -> None:
        make(self, coordinator, row)
        made.append(str(self.unique_id))

    monkeypatch.setattr(VehicleEntity, "__init__", making)
    await watch(hass, reader_of(VIN, SECOND))
    first, second = entries_of(hass, VIN), entries_of(hass, SECOND)
    assert first == second
    enabled = {key for (_, key), known in first.items() if known["disabled_by"] is None}
    assert len(enabled) < len(first) - 80
    assert {one.removeprefix(SECOND) for one in made if one.startswith(SECOND)} <= enabled
    assert len([one for one in made if one.startswith(VIN)]) > len(enabled)
    assert entity(hass, SECOND, CHARGE_RATE).entity_id == "sensor.car_8_charge_rate"


async def test_what_an_owner_enabled_of_any_car_is_there_again(hass: HomeAssistant) -> None:
    """Home Assistant remembers it of an account that was removed; and what one car's owner chose stays that car's."""
    registry = er.async_get(hass)
    entry = await watch(hass, reader_of(VIN, SECOND))
    registry.async_update_entity(entity(hass, SECOND, CHARGE_RATE).entity_id, disabled_by=None)
    chosen = {"unit_of_measurement": UnitOfSpeed.METERS_PER_SECOND}
    registry.async_update_entity_options(entity(hass, VIN, CHARGE_RATE).entity_id, SENSOR, chosen)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()

    await watch(hass, reader_of(VIN, SECOND, THIRD))
    shown = {vin: hass.states.get(entity(hass, vin, CHARGE_RATE).entity_id) is not None for vin in (VIN, SECOND, THIRD)}
    assert shown == {VIN: False, SECOND: True, THIRD: False}
    assert entity(hass, VIN, CHARGE_RATE).options[SENSOR] == chosen
    assert SENSOR not in entity(hass, THIRD, CHARGE_RATE).options
