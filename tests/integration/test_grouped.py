"""Values that another entity shows: no entity of their own for a new car, and nothing lost to anybody."""

from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.teslafi.binary_sensor import VEHICLE_BINARY_SENSORS
from custom_components.teslafi.catalogue.grouped import ATTRIBUTES, SAID_AGAIN, shown_by
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.sensor import VEHICLE_SENSORS
from custom_components.teslafi.tesla.decode import PATHS
from custom_components.teslafi.update import VEHICLE_UPDATES

from .recorded import CARS, MODEL_3, VIN, RecordedReader, begin, look_again, recorded, watch, watch_car

ROWS: Final = {
    f"{platform}.{row.key}": row
    for platform, rows in (
        ("sensor", VEHICLE_SENSORS),
        ("binary_sensor", VEHICLE_BINARY_SENSORS),
        ("update", VEHICLE_UPDATES),
    )
    for row in rows
}
MODEL: Final = "sensor.test_model"


def owned(hass: HomeAssistant) -> set[str]:
    """Return platform and key of the car's entities."""
    entities = er.async_get(hass).entities.values()
    return {
        f"{one.domain}.{one.unique_id.removeprefix(f'{VIN}-')}" for one in entities if one.unique_id.startswith(VIN)
    }


def test_each_value_is_shown_by_an_entity_that_new_cars_have() -> None:
    """By one that is there itself; the values are those that rows of their own would show."""
    for parent, paths in ATTRIBUTES.items():
        assert parent in ROWS
        assert shown_by(*parent.split(".")) is None
        assert set(paths) <= PATHS
        keys = {path.replace(".", "_") for path in paths}
        assert {name for key in keys for name in (f"sensor.{key}", f"binary_sensor.{key}") if name in ROWS}
        assert all(f"sensor.{key}" in ROWS or f"binary_sensor.{key}" in ROWS for key in keys)
    for again, other in SAID_AGAIN.items():
        assert again in ROWS
        assert other in ROWS
        assert shown_by(*other.split(".")) is None


async def test_a_new_car_has_no_entity_for_them(hass: HomeAssistant) -> None:
    """Less than half of what version 0.1.0 registered; and there is none but those that the table names."""
    await watch_car(hass, MODEL_3)
    made = owned(hass)
    assert not [name for name in made if shown_by(*name.split(".", maxsplit=1)) is not None]
    assert len(made) <= 130


@pytest.mark.parametrize("name", CARS)
async def test_nothing_that_a_car_reports_is_lost(hass: HomeAssistant, name: str) -> None:
    """Where a car does not report what the other entity is about, the value has one of its own."""
    await watch_car(hass, name)
    made = owned(hass)
    (vehicle,) = hass.config_entries.async_entries(DOMAIN)[0].runtime_data.vehicles.values()
    snapshot = vehicle.data.snapshot
    for full, row in ROWS.items():
        shown = shown_by(*full.split("."))
        if shown is not None and not snapshot.reported.isdisjoint(row.paths):
            assert {full, shown} & made, full


async def test_whoever_has_them_keeps_them(hass: HomeAssistant) -> None:
    """Each that an earlier version registered: enabled or not, with its id."""
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    entry = await watch(hass, reader)
    await hass.config_entries.async_unload(entry.entry_id)
    registry = er.async_get(hass)
    old = registry.async_get_or_create(
        "binary_sensor", DOMAIN, f"{VIN}-vehicle_config_rhd", config_entry=entry, suggested_object_id="wheel_right"
    )
    disabled = registry.async_get_or_create(
        "sensor",
        DOMAIN,
        f"{VIN}-vehicle_config_wheel_type",
        config_entry=entry,
        disabled_by=er.RegistryEntryDisabler.INTEGRATION,
    )
    await begin(hass, entry, reader)
    state = hass.states.get(old.entity_id)
    assert state is not None
    assert state.state == "on"
    kept = registry.async_get(disabled.entity_id)
    assert kept is not None
    assert kept.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_what_the_car_is_built_with_is_told_by_its_model(hass: HomeAssistant) -> None:
    """What the car reports, and nothing that it does not; a change is written once."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    state = hass.states.get(MODEL)
    assert state is not None
    config = reader.cars[VIN]["vehicle_config"]
    told = {name: state.attributes[name] for name in ("exterior_color", "rhd", "wheel_type", "utc_offset")}
    assert told == {name: config[name] for name in told}
    assert None not in state.attributes.values()
    config["wheel_type"] = "Induction20Black"
    await look_again(hass, entry)
    changed = hass.states.get(MODEL)
    assert changed is not None
    assert changed.attributes["wheel_type"] == "Induction20Black"
    assert changed.state == state.state
    await look_again(hass, entry)
    assert hass.states.get(MODEL) is changed


@pytest.mark.parametrize(
    ("shown", "block", "names"),
    [
        ("sensor.test_data_as_of", "vehicle_state", {"tpms_last_seen_pressure_time_fl"}),
        ("sensor.test_data_as_of", "drive_state", {"gps_as_of", "timestamp"}),
        ("sensor.test_scheduled_charging_mode", "charge_state", {"off_peak_hours_end_time", "preconditioning_enabled"}),
        ("sensor.test_defrost", "climate_state", {"is_front_defroster_on", "side_mirror_heaters"}),
    ],
)
async def test_other_entities_tell_theirs(hass: HomeAssistant, shown: str, block: str, names: set[str]) -> None:
    """As the car reports it."""
    _, reader = await watch_car(hass, MODEL_3, every_entity=True)
    state = hass.states.get(shown)
    assert state is not None
    reported = reader.cars[VIN][block]
    assert {name: state.attributes[name] for name in names} == {name: reported[name] for name in names}


async def test_a_tire_that_is_low_is_no_alarm(hass: HomeAssistant) -> None:
    """An owner is woken by a flat tire, and not by one that wants air."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    state = reader.cars[VIN]["vehicle_state"]
    state["tpms_soft_warning_fl"] = True
    await look_again(hass, entry)
    warning, alarm = (hass.states.get(f"binary_sensor.test_tire_{kind}") for kind in ("warning", "alarm"))
    assert warning is not None
    assert alarm is not None
    assert (warning.state, warning.attributes["tires"]) == ("on", ["front_left"])
    assert (alarm.state, alarm.attributes["tires"]) == ("off", [])
    state["tpms_hard_warning_rr"] = True
    await look_again(hass, entry)
    warning, alarm = (hass.states.get(f"binary_sensor.test_tire_{kind}") for kind in ("warning", "alarm"))
    assert warning is not None
    assert alarm is not None
    assert warning.attributes["tires"] == ["front_left", "rear_right"]
    assert (alarm.state, alarm.attributes["tires"]) == ("on", ["rear_right"])


async def test_an_update_that_waits_for_wi_fi_says_so(hass: HomeAssistant) -> None:
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["vehicle_state"]["software_update"] |= {"status": "downloading_wifi_wait", "download_perc": 40}
    await look_again(hass, entry)
    state = hass.states.get("update.test_software")
    assert state is not None
    assert (state.attributes["status"], state.attributes["download_perc"]) == ("downloading_wifi_wait", 40)
