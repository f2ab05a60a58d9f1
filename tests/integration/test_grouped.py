"""Values that another entity shows: no entity of their own for a new car, and nothing lost to anybody."""

from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from custom_components.teslafi.binary_sensor import VEHICLE_BINARY_SENSORS
from custom_components.teslafi.catalogue.grouped import ATTRIBUTES, SAID_AGAIN, is_shown_by_another
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.sensor import VEHICLE_SENSORS
from custom_components.teslafi.tesla.decode import PATHS
from custom_components.teslafi.update import VEHICLE_UPDATES

from .recorded import MODEL_3, VIN, RecordedReader, begin, look_again, recorded, watch, watch_car

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
        assert not is_shown_by_another(*parent.split("."))
        assert set(paths) <= PATHS
        keys = {path.replace(".", "_") for path in paths}
        assert {name for key in keys for name in (f"sensor.{key}", f"binary_sensor.{key}") if name in ROWS}
        assert all(f"sensor.{key}" in ROWS or f"binary_sensor.{key}" in ROWS for key in keys)
    for again, other in SAID_AGAIN.items():
        assert again in ROWS
        assert other in ROWS
        assert not is_shown_by_another(*other.split("."))


async def test_a_new_car_has_no_entity_for_them(hass: HomeAssistant) -> None:
    """About half of what version 0.1.0 registered; and there is none but those that the table names."""
    await watch_car(hass, MODEL_3)
    made = owned(hass)
    assert not [name for name in made if is_shown_by_another(*name.split(".", maxsplit=1))]
    assert len(made) <= 160


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
