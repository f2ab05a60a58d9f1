"""Controls replace what they can do more than: one entity a thing, before, with and after."""

from typing import Final

from homeassistant.components.climate.const import ClimateEntityFeature
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.controls.twins import BROUGHT, REPLACED, REPLACED_AT_SITES
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ANNAS_SITE
from tests.integration.test_link import reconfigure

from .keeper import Keeper

pytestmark = pytest.mark.slow

BY_INTEGRATION: Final = er.RegistryEntryDisabler.INTEGRATION
BY_USER: Final = er.RegistryEntryDisabler.USER


def entities(keeper: Keeper, vin: str) -> dict[str, er.RegistryEntry]:
    """Return a car's registered entities by their keys."""
    known = er.async_entries_for_config_entry(er.async_get(keeper.hass), keeper.entry.entry_id)
    return {one.unique_id.removeprefix(f"{vin}-"): one for one in known if one.unique_id.startswith(f"{vin}-")}


def disabled(keeper: Keeper, vin: str = ANNAS_MODEL_3) -> dict[str, er.RegistryEntryDisabler | None]:
    """Return by whom each entity that controls replace or bring is disabled."""
    known = entities(keeper, vin)
    return {key: known[key].disabled_by for key in (*REPLACED, *BROUGHT)}


def disabled_at_site(keeper: Keeper) -> dict[str, er.RegistryEntryDisabler | None]:
    """Return by whom each entity that the group *Energy* replaces is disabled."""
    known = entities(keeper, str(ANNAS_SITE))
    return {key: known[key].disabled_by for key in REPLACED_AT_SITES}


async def with_calendars(linked: Keeper) -> None:
    """Have both cars get the software that keeps schedules."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        linked.tesla.control.set_values(vin, {"vehicle_state.car_version": "2026.20.1 0123456789ab"})
    assert await linked.hass.config_entries.async_reload(linked.entry.entry_id)
    await linked.hass.async_block_till_done(wait_background_tasks=True)


def named_twice(keeper: Keeper, vin: str = ANNAS_MODEL_3) -> set[str]:
    """Return names that two enabled entities of a car share."""
    names = [one.original_name for one in entities(keeper, vin).values() if one.disabled_by is None]
    return {name for name in names if name and names.count(name) > 1}


async def test_they_come_and_go(hass: HomeAssistant, linked: Keeper) -> None:
    """For the cars and groups that were chosen; what a user disabled stays disabled."""
    await with_calendars(linked)
    registry = er.async_get(hass)
    reads = dict.fromkeys((*REPLACED, *BROUGHT))
    assert disabled(linked) == reads
    assert disabled_at_site(linked) == dict.fromkeys(REPLACED_AT_SITES)
    for key in BROUGHT:  # as version 0.1.0 registered them
        registry.async_update_entity(entities(linked, ANNAS_MODEL_3)[key].entity_id, disabled_by=BY_INTEGRATION)
    trunk = registry.async_get_entity_id("binary_sensor", DOMAIN, f"{ANNAS_MODEL_3}-vehicle_state_rt")
    assert trunk is not None
    registry.async_update_entity(trunk, disabled_by=BY_USER)
    await linked.enable(vehicles=[ANNAS_MODEL_3])
    commands = dict.fromkeys(REPLACED, BY_INTEGRATION) | dict.fromkeys(BROUGHT) | {"vehicle_state_rt": BY_USER}
    assert disabled(linked) == commands
    assert disabled(linked, ANNAS_MODEL_Y) == reads
    assert named_twice(linked) == set()
    assert disabled_at_site(linked) == dict.fromkeys(REPLACED_AT_SITES, BY_INTEGRATION)
    assert named_twice(linked, str(ANNAS_SITE)) == set()
    flow = await reconfigure(hass, linked.owner, linked.entry, "disable_controls")
    await linked.owner.answer(flow, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert disabled(linked) == reads | {"vehicle_state_rt": BY_USER}
    assert disabled_at_site(linked) == dict.fromkeys(REPLACED_AT_SITES)
    lock = hass.states.get("binary_sensor.roadrunner_lock")
    assert lock is not None


async def test_a_group_replaces_its_own_and_what_a_user_enables_again_stays(
    hass: HomeAssistant, linked: Keeper
) -> None:
    await with_calendars(linked)
    await linked.enable(groups=["charging"])
    charging = {key for key, group in REPLACED.items() if group.value == "charging"}
    assert {key for key, by in disabled(linked).items() if by} == charging
    assert disabled_at_site(linked) == dict.fromkeys(REPLACED_AT_SITES)
    registry = er.async_get(hass)
    limit = entities(linked, ANNAS_MODEL_3)["charge_state_charge_limit_soc"].entity_id
    registry.async_update_entity(limit, disabled_by=None)
    assert await hass.config_entries.async_reload(linked.entry.entry_id)
    assert disabled(linked)["charge_state_charge_limit_soc"] is None
    assert hass.states.get(limit) is not None


async def test_a_car_that_comes_with_controls_has_the_control_alone(hass: HomeAssistant, linked: Keeper) -> None:
    """As new cars do, which are registered when the controls are there already; a car without controls reads."""
    await with_calendars(linked)
    await linked.enable(vehicles=[ANNAS_MODEL_3])
    registry = er.async_get(hass)
    await hass.config_entries.async_unload(linked.entry.entry_id)
    for one in er.async_entries_for_config_entry(registry, linked.entry.entry_id):
        registry.async_remove(one.entity_id)
    registry.deleted_entities.clear()
    await hass.config_entries.async_setup(linked.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert disabled(linked) == dict.fromkeys(REPLACED, BY_INTEGRATION) | dict.fromkeys(BROUGHT)
    assert disabled(linked, ANNAS_MODEL_Y) == dict.fromkeys((*REPLACED, *BROUGHT))
    assert disabled_at_site(linked) == dict.fromkeys(REPLACED_AT_SITES, BY_INTEGRATION)


async def test_the_temperature_of_the_overheat_protection_has_one_control(hass: HomeAssistant, linked: Keeper) -> None:
    """The climate's own, where the car takes one; whoever had the other keeps it."""
    await linked.enable(vehicles=[ANNAS_MODEL_3])
    registry = er.async_get(hass)
    control = f"{ANNAS_MODEL_3}-control"
    protection = registry.async_get_entity_id("climate", DOMAIN, f"{control}-overheat_protection")
    assert protection is not None
    state = hass.states.get(protection)
    assert state is not None
    assert state.attributes["supported_features"] & ClimateEntityFeature.TARGET_TEMPERATURE
    assert registry.async_get_entity_id("select", DOMAIN, f"{control}-overheat_level") is None
    kept = registry.async_get_or_create("select", DOMAIN, f"{control}-overheat_level", config_entry=linked.entry)
    assert await hass.config_entries.async_reload(linked.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    chosen = {"entity_id": kept.entity_id, "option": "low"}
    await hass.services.async_call("select", "select_option", chosen, blocking=True)
    assert linked.tesla.control.executed(ANNAS_MODEL_3)[-1] == "set_cop_temp"
    level = hass.states.get(kept.entity_id)
    assert level is not None
    assert level.state == "low"


@pytest.fixture
def snowballs_wheel_has_no_levels(tesla: TeslaSimulator) -> None:
    """Have the Model Y know no levels of its steering wheel's heater, from the first look on."""
    climate = tesla.control.car(ANNAS_MODEL_Y).data["climate_state"]
    climate["steering_wheel_heater"] = climate.pop("steering_wheel_heat_level") > 0


@pytest.mark.usefixtures("snowballs_wheel_has_no_levels")
async def test_the_heater_of_the_wheel_has_one_control(hass: HomeAssistant, linked: Keeper) -> None:
    """Its levels, where the car has some, else a switch; whoever had both keeps them."""
    await linked.enable()
    registry = er.async_get(hass)

    def controls(vin: str) -> tuple[str | None, str | None]:
        return (
            registry.async_get_entity_id("select", DOMAIN, f"{vin}-control-steering_wheel_heat_level"),
            registry.async_get_entity_id("switch", DOMAIN, f"{vin}-control-steering_wheel_heater"),
        )

    assert controls(ANNAS_MODEL_3) == ("select.roadrunner_steering_wheel_heater_level", None)
    assert controls(ANNAS_MODEL_Y) == (None, "switch.snowball_steering_wheel_heater")
    kept = f"{ANNAS_MODEL_3}-control-steering_wheel_heater"
    switch = registry.async_get_or_create("switch", DOMAIN, kept, config_entry=linked.entry).entity_id
    assert await hass.config_entries.async_reload(linked.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await hass.services.async_call("switch", "turn_on", {"entity_id": switch}, blocking=True)
    assert linked.tesla.control.executed(ANNAS_MODEL_3) == ["remote_steering_wheel_heater_request"]


async def test_they_come_back_when_the_link_is_ended(hass: HomeAssistant, linked: Keeper) -> None:
    await with_calendars(linked)
    await linked.enable(groups=["openings"], vehicles=[ANNAS_MODEL_3])
    assert disabled(linked)["vehicle_state_locked"] is BY_INTEGRATION
    flow = await reconfigure(hass, linked.owner, linked.entry, "unlink_companion")
    await linked.owner.answer(flow, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert disabled(linked) == dict.fromkeys((*REPLACED, *BROUGHT))
