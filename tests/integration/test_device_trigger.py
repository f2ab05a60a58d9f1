"""The triggers that the automation editor offers for a car: each by name, at its change and at no other."""

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.device_automation import DeviceAutomationType
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
    async_get_device_automations,
    async_mock_service,
)

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.device_trigger import CHANGES, async_get_trigger_capabilities

from .recorded import MODEL_3, VIN, watch_car


@pytest.fixture
async def car(hass: HomeAssistant) -> str:
    """Set up a car; return its device's id."""
    entry, _ = await watch_car(hass, MODEL_3)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    return device.id


def entity(hass: HomeAssistant, car: str, key: str) -> str:
    """Return the id of the enabled entity with this domain and translation key."""
    entries = er.async_entries_for_device(er.async_get(hass), car)
    return next(entry.entity_id for entry in entries if f"{entry.domain}.{entry.translation_key}" == key)


async def automate(hass: HomeAssistant, car: str, name: str, **more: object) -> list[ServiceCall]:
    """Have an automation with this trigger; return the list that its runs fill."""
    runs: list[ServiceCall] = async_mock_service(hass, "test", "ran")
    trigger = {"platform": "device", "domain": DOMAIN, "device_id": car, "type": name, **more}
    automation = {"trigger": trigger, "action": {"service": "test.ran"}}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_block_till_done()
    return runs


async def test_the_editor_offers_them_by_name(hass: HomeAssistant, car: str) -> None:
    offered = await async_get_device_automations(hass, DeviceAutomationType.TRIGGER, car)
    ours = [trigger for trigger in offered if trigger["domain"] == DOMAIN]
    assert {trigger["type"] for trigger in ours} == set(CHANGES)
    for trigger in ours:
        found = await async_get_trigger_capabilities(hass, trigger)
        assert bool(found) == (trigger["type"] == "left_open"), trigger["type"]


async def test_none_is_offered_for_what_is_disabled(hass: HomeAssistant, car: str) -> None:
    tracker = entity(hass, car, "device_tracker.location")
    er.async_get(hass).async_update_entity(tracker, disabled_by=er.RegistryEntryDisabler.USER)
    offered = await async_get_device_automations(hass, DeviceAutomationType.TRIGGER, car)
    assert not {"arrived_home", "left_home"} & {trigger["type"] for trigger in offered}


@pytest.mark.parametrize("name", [name for name, change in CHANGES.items() if not change.minutes])
async def test_it_runs_at_its_change_alone(hass: HomeAssistant, car: str, name: str) -> None:
    change = CHANGES[name]
    before, after = change.before or ("not_home",), change.after or ("not_home",)
    source = entity(hass, car, change.entities[0])
    hass.states.async_set(source, before[0])
    runs = await automate(hass, car, name)
    for number, state in enumerate((after[0], before[0], after[-1]), start=1):
        hass.states.async_set(source, state)
        await hass.async_block_till_done()
        assert len(runs) == (number + 1) // 2, state
    hass.states.async_set(source, "unavailable")
    hass.states.async_set(source, after[-1])
    await hass.async_block_till_done()
    assert len(runs) == 2, "an outage that ends is no change"


@pytest.mark.parametrize(("more", "minutes"), [({}, 5), ({"for": {"minutes": 20}}, 20)])
async def test_left_open_waits(
    hass: HomeAssistant, car: str, freezer: FrozenDateTimeFactory, more: dict[str, object], minutes: int
) -> None:
    doors = entity(hass, car, "binary_sensor.doors")
    hass.states.async_set(doors, "off")
    runs = await automate(hass, car, "left_open", **more)

    async def open_for(minutes: float) -> int:
        hass.states.async_set(doors, "on")
        await hass.async_block_till_done()
        freezer.tick(timedelta(minutes=minutes))
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
        hass.states.async_set(doors, "off")
        await hass.async_block_till_done()
        return len(runs)

    assert await open_for(minutes - 0.5) == 0
    assert await open_for(minutes + 0.5) == 1


async def test_left_open_sees_what_opens_slowly(hass: HomeAssistant, car: str, freezer: FrozenDateTimeFactory) -> None:
    """A trunk that Home Assistant opened is opening before it is open."""
    doors = entity(hass, car, "binary_sensor.doors")
    hass.states.async_set(doors, "closed")
    runs = await automate(hass, car, "left_open")
    for state in ("opening", "open"):
        hass.states.async_set(doors, state)
        await hass.async_block_till_done()
    freezer.tick(timedelta(minutes=6))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert len(runs) == 1
