"""What a new set-up shows at first: what nearly every owner looks at, one entity a thing, from the first minute on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.vehicle import VehicleCoordinator
from custom_components.teslafi.entity import ShownDescription, VehicleEntity
from custom_components.teslafi.tesla.grant import SCOPE_LOCATION

from .recorded import (
    CARS,
    MODEL_3,
    MODEL_3_WITHOUT_PLACE,
    MODEL_S_OF_2018,
    SITE_ID,
    VIN,
    RecordedReader,
    begin,
    look_again,
    recorded,
    watch,
    watch_car,
)

TIRES: Final = {f"sensor.vehicle_state_tpms_pressure_{wheel}" for wheel in ("fl", "fr", "rl", "rr")}
PLACE: Final = {
    "device_tracker.location",
    "sensor.drive_state_active_route_destination",
    "sensor.drive_state_active_route_energy_at_arrival",
    "sensor.drive_state_active_route_minutes_to_arrival",
}
ESSENTIAL: Final = {
    "sensor.charge_state_battery_level",
    "sensor.charge_state_battery_range",
    "sensor.charge_state_charging_state",
    "sensor.charge_state_charge_limit_soc",
    "sensor.charge_state_charger_power",
    "sensor.charge_state_charge_energy_added",
    "sensor.home_charging_energy",
    "sensor.charge_state_minutes_to_full_charge",
    "binary_sensor.charge_state_conn_charge_cable",
    "binary_sensor.charge_state_charge_port_door_open",
    "sensor.drive_state_shift_state",
    "sensor.drive_state_speed",
    "sensor.vehicle_state_odometer",
    "binary_sensor.vehicle_state_locked",
    "binary_sensor.doors",
    "binary_sensor.windows",
    "binary_sensor.vehicle_state_ft",
    "binary_sensor.vehicle_state_rt",
    "binary_sensor.vehicle_state_is_user_present",
    "binary_sensor.vehicle_state_sentry_mode",
    "sensor.journal_drive_distance",
    "sensor.journal_charge_added",
    "binary_sensor.climate_state_is_climate_on",
    "sensor.climate_state_inside_temp",
    "sensor.climate_state_outside_temp",
    "binary_sensor.tire_warning",
    "update.software_update",
    "sensor.state",
    "sensor.awake_because",
    *TIRES,
    *PLACE,
}
"""The entities of a car that are enabled by default, by platform and key."""
OLD_FIRMWARE: Final = TIRES | {
    "binary_sensor.tire_warning",
    "binary_sensor.vehicle_state_sentry_mode",
    "binary_sensor.windows",
    "sensor.charge_state_minutes_to_full_charge",
}
"""What the software of 2018 does not report."""


def enabled(hass: HomeAssistant, vin: str = VIN) -> set[str]:
    """Return platform and key of a car's enabled entities."""
    return {
        f"{entity.domain}.{entity.unique_id.removeprefix(f'{vin}-')}"
        for entity in er.async_get(hass).entities.values()
        if entity.platform == DOMAIN and entity.unique_id.startswith(vin) and entity.disabled_by is None
    }


def state_of(hass: HomeAssistant, key: str, platform: str = "binary_sensor") -> State:
    """Return the state of a car's entity."""
    entity_id = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{VIN}-{key}")
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    return state


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        (MODEL_3, set[str]()),
        (MODEL_3_WITHOUT_PLACE, PLACE),
        (MODEL_S_OF_2018, OLD_FIRMWARE),
    ],
)
async def test_what_is_enabled_by_default(hass: HomeAssistant, name: str, missing: set[str]) -> None:
    """And nothing that the car has been found not to report."""
    await watch_car(hass, name)
    assert enabled(hass) == ESSENTIAL - missing


@pytest.mark.parametrize("name", CARS)
async def test_every_other_entity_exists_and_is_disabled(hass: HomeAssistant, name: str) -> None:
    await watch_car(hass, name)
    entities = [entity for entity in er.async_get(hass).entities.values() if entity.unique_id.startswith(VIN)]
    assert len(entities) > 100
    disabled = {entity.disabled_by for entity in entities} - {None}
    assert disabled == {er.RegistryEntryDisabler.INTEGRATION}


AT_SITES: Final = {
    "binary_sensor.grid_status",
    "binary_sensor.storm_mode_active",
    "binary_sensor.storm_mode_enabled",
    "sensor.backup_reserve_percent",
    "sensor.battery_power",
    "sensor.default_real_mode",
    "sensor.grid_energy_imported",
    "sensor.grid_power",
    "sensor.load_power",
    "sensor.percentage_charged",
    "sensor.solar_power",
    "sensor.total_battery_charge",
    "sensor.total_battery_discharge",
    "sensor.total_grid_energy_exported",
    "sensor.total_home_usage",
    "sensor.total_solar_generation",
    "sensor.wall_connector_energy",
}
"""The entities of an energy site that are enabled by default: what flows where, and how the battery is to be used."""


async def test_what_a_site_enables_by_default(hass: HomeAssistant) -> None:
    """What the Energy page and the dashboard show; not what it was built with, nor programs that few take part in."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    reader.info["off_grid_vehicle_charging_reserve_percent"] = 30
    await watch(hass, reader)
    assert enabled(hass, str(SITE_ID)) == AT_SITES
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    said = re.search(r"An energy site has about (\d+)", readme)
    assert said is not None
    assert int(said[1]) == round(len(AT_SITES), -1)


async def test_the_readme_says_how_many_there_are(hass: HomeAssistant) -> None:
    """In round numbers, of a car that reports everything."""
    await watch_car(hass, MODEL_3)
    entities = [entity for entity in er.async_get(hass).entities.values() if entity.unique_id.startswith(VIN)]
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    said = re.search(r"A car has about (\d+) enabled entities .*? About (\d+) more are disabled", readme)
    assert said is not None
    there = len(enabled(hass)), len(entities) - len(enabled(hass))
    assert [round(number, -1) for number in map(int, said.groups())] == [round(number, -1) for number in there]


@pytest.mark.parametrize("state", ["asleep", "offline"])
async def test_a_car_that_was_never_awake_has_them_all(hass: HomeAssistant, state: str) -> None:
    """Dashboards find their entities; when the car wakes, they have values."""
    reader = RecordedReader({VIN: {"vin": VIN, "state": state, "display_name": "Test"}}, {})
    entry = await watch(hass, reader)
    assert enabled(hass) == ESSENTIAL
    for key in ("charge_state_battery_level", "drive_state_shift_state", "drive_state_speed"):
        assert state_of(hass, key, "sensor").state == STATE_UNKNOWN, "nobody knows that it is parked"
    before = {entity.entity_id for entity in er.async_get(hass).entities.values()}
    reader.cars[VIN] = recorded(MODEL_3) | {"vin": VIN, "state": "online"}
    await look_again(hass, entry)
    assert enabled(hass) == ESSENTIAL
    assert state_of(hass, "charge_state_battery_level", "sensor").state == "77"
    assert before <= {entity.entity_id for entity in er.async_get(hass).entities.values()}


async def test_no_place_of_a_car_whose_owner_does_not_share_it(hass: HomeAssistant) -> None:
    reader = RecordedReader({VIN: {"vin": VIN, "state": "asleep"}}, {})
    reader.grant = replace(reader.grant, scopes=reader.grant.scopes - {SCOPE_LOCATION})
    await watch(hass, reader)
    assert enabled(hass) == ESSENTIAL - PLACE


async def test_one_battery_a_car_and_no_single_doors(hass: HomeAssistant) -> None:
    """Home Assistant's Maintenance, Security and Climate pages collect by device class."""
    await watch_car(hass, MODEL_3)
    classes = Counter(
        (state.domain, state.attributes["device_class"])
        for state in hass.states.async_all()
        if "device_class" in state.attributes
    )
    assert classes["sensor", SensorDeviceClass.BATTERY] == 1
    for device_class in (
        BinarySensorDeviceClass.WINDOW,
        BinarySensorDeviceClass.LOCK,
        BinarySensorDeviceClass.OCCUPANCY,
        BinarySensorDeviceClass.PLUG,
        BinarySensorDeviceClass.PROBLEM,
    ):
        assert classes["binary_sensor", device_class] == 1, device_class
    assert classes["binary_sensor", BinarySensorDeviceClass.DOOR] == 2  # doors, charge port
    assert classes["binary_sensor", BinarySensorDeviceClass.OPENING] == 2  # frunk, trunk
    assert classes["binary_sensor", BinarySensorDeviceClass.PRESENCE] == 0


AGGREGATES: Final = (
    ("doors", "open", {"df": 1}, ["driver_front"]),
    ("doors", "open", {"pf": 1, "dr": 2, "pr": 16}, ["passenger_front", "driver_rear", "passenger_rear"]),
    ("windows", "open", {"fd_window": 2, "rp_window": 1}, ["driver_front", "passenger_rear"]),
    ("tire_warning", "tires", {"tpms_soft_warning_fl": True, "tpms_hard_warning_fl": True}, ["front_left"]),
    ("tire_warning", "tires", {"tpms_hard_warning_rr": True}, ["rear_right"]),
)


@pytest.mark.parametrize(("key", "attribute", "reported", "which"), AGGREGATES)
async def test_one_entity_for_several_tells_which(
    hass: HomeAssistant, key: str, attribute: str, reported: dict[str, Any], which: list[str]
) -> None:
    entry, reader = await watch_car(hass, MODEL_3)
    body = reader.cars[VIN]["vehicle_state"]
    body |= dict.fromkeys(("df", "pf", "dr", "pr", "fd_window", "fp_window", "rd_window", "rp_window"), 0)
    await look_again(hass, entry)
    closed = state_of(hass, key)
    assert (closed.state, closed.attributes[attribute]) == (STATE_OFF, [])
    body |= reported
    await look_again(hass, entry)
    opened = state_of(hass, key)
    assert (opened.state, opened.attributes[attribute]) == (STATE_ON, which)


@pytest.mark.parametrize(
    ("doors", "expected"),
    [
        ({"df": None, "pf": 0, "dr": 0, "pr": 0}, STATE_OFF),
        ({"df": None, "pf": 0, "dr": 0, "pr": 1}, STATE_ON),
        ({"df": "ajar", "pf": None, "dr": [], "pr": {}}, STATE_UNKNOWN),
    ],
)
async def test_a_door_of_which_nothing_is_known(hass: HomeAssistant, doors: dict[str, Any], expected: str) -> None:
    """What is open counts, whatever is unknown of others; where nothing is known, nothing is claimed."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["vehicle_state"] |= doors
    await look_again(hass, entry)
    assert state_of(hass, "doors").state == expected


async def test_the_car_on_the_map_is_named_as_the_car(hass: HomeAssistant) -> None:
    await watch_car(hass, MODEL_3, every_entity=True)
    car, destination = (hass.states.get(f"device_tracker.test{name}") for name in ("", "_destination"))
    assert car is not None
    assert destination is not None
    assert (car.name, destination.name) == ("Test", "Test Destination")


async def test_a_disabled_entity_is_registered_once_and_not_made_again(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a later start it costs one look into the registry, and at a refresh nothing. Who enables one gets it."""
    entry, reader = await watch_car(hass, MODEL_3)
    registry = er.async_get(hass)
    known = {entity.entity_id for entity in registry.entities.values()}
    door = registry.async_get_entity_id("binary_sensor", DOMAIN, f"{VIN}-vehicle_state_df")
    assert door is not None
    registry.async_update_entity(door, disabled_by=None)
    await hass.config_entries.async_unload(entry.entry_id)
    made: list[str] = []
    make = VehicleEntity.__init__

    def making(self: VehicleEntity, coordinator: VehicleCoordinator, row: ShownDescription[Any]) -> None:
        made.append(row.key)
        make(self, coordinator, row)

    monkeypatch.setattr(VehicleEntity, "__init__", making)
    await begin(hass, entry, reader)
    keys = {key.partition(".")[2] for key in enabled(hass)}
    assert set(made) == {key for key in keys if not key.startswith("journal_")}
    assert "vehicle_state_df" in keys
    assert state_of(hass, "vehicle_state_df").state in (STATE_ON, STATE_OFF)
    assert {entity.entity_id for entity in registry.entities.values()} == known
