"""Commands and controls with something in between: the caller gives up, the entry goes, Tesla is away at a restart."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]

from custom_components.teslafi import async_remove_config_entry_device
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.controls.record import CommandRecord, Result
from custom_components.teslafi.controls.sender import LOOK_AFTER
from custom_components.teslafi.link.client import CheckedIn
from custom_components.teslafi.link.session import companion_identifier
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE
from tests.integration.test_link import reconfigure

from .keeper import Keeper
from .test_gate import refusal

pytestmark = pytest.mark.slow


def records(keeper: Keeper, target: str) -> list[CommandRecord]:
    """Return where the records of a car's or site's commands will come in."""
    found: list[CommandRecord] = []

    @callback
    def told(record: CommandRecord) -> None:
        found.append(record)

    keeper.controls.sender.async_on_command(target, told)
    return found


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens on its own."""
    while not true():  # noqa: ASYNC110 - the simulator has no event for it
        await asyncio.sleep(0.01)


async def test_a_command_whose_caller_gives_up_is_looked_after(hass: HomeAssistant, keeper: Keeper) -> None:
    """As an automation that restarts while it waits. The car has done it already."""
    told = records(keeper, ANNAS_MODEL_3)
    flash = {"entity_id": "button.roadrunner_flash_lights"}
    await hass.services.async_call("button", "press", flash, blocking=True)
    keeper.tesla.control.fault(path="*/signed_command", kind="delay", seconds=30)
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    press = asyncio.create_task(hass.services.async_call("button", "press", honk, blocking=True))
    await until(lambda: "honk_horn" in keeper.tesla.control.executed(ANNAS_MODEL_3))
    press.cancel()
    with pytest.raises(asyncio.CancelledError):
        await press
    assert [record.result for record in told] == [Result.SUCCEEDED, Result.UNCERTAIN]
    begun = len(keeper.tesla.control.exchanges())
    for seconds in (LOOK_AFTER + 1, LOOK_AFTER + 15):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
        await hass.async_block_till_done(wait_background_tasks=True)
    assert ANNAS_MODEL_3 in {exchange.vin for exchange in keeper.tesla.control.exchanges()[begun:]}


async def test_a_sites_command_whose_caller_gives_up_is_recorded(hass: HomeAssistant, keeper: Keeper) -> None:
    told = records(keeper, str(ANNAS_SITE))
    keeper.tesla.control.fault(path="*/backup", kind="delay", seconds=30)
    reserve = {"entity_id": "number.anna_s_home_backup_reserve", "value": 37}
    press = asyncio.create_task(hass.services.async_call("number", "set_value", reserve, blocking=True))
    await until(lambda: keeper.tesla.state.sites[ANNAS_SITE].reserve == 37)
    press.cancel()
    with pytest.raises(asyncio.CancelledError):
        await press
    assert [record.result for record in told] == [Result.UNCERTAIN]


async def test_a_command_that_ends_after_its_entry_begins_nothing(hass: HomeAssistant, keeper: Keeper) -> None:
    """The entry is unloaded while the answer is on its way: no timer is left that would ask the car."""
    sender = keeper.controls.sender
    flash = {"entity_id": "button.roadrunner_flash_lights"}
    await hass.services.async_call("button", "press", flash, blocking=True)
    keeper.tesla.control.fault(path="*/signed_command", kind="delay", seconds=0.5)
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    press = asyncio.create_task(hass.services.async_call("button", "press", honk, blocking=True))
    await until(lambda: "honk_horn" in keeper.tesla.control.executed(ANNAS_MODEL_3))
    await hass.config_entries.async_unload(keeper.entry.entry_id)
    await asyncio.gather(press, return_exceptions=True)
    assert sender._looks == {}  # noqa: SLF001 - timers are nowhere else to be seen
    begun = len(keeper.tesla.control.exchanges())
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=LOOK_AFTER + 15))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.tesla.control.exchanges()[begun:] == []


async def test_closing_the_gate_while_a_command_asks_the_companion_is_told(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a locked gate, and no cancelled task."""
    asked = asyncio.Event()
    gate = keeper.controls.gate

    async def check_in(*, permit: bool) -> CheckedIn:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError(permit)

    monkeypatch.setattr(gate._companion, "check_in", check_in)  # noqa: SLF001 - what comes over the wire
    press = asyncio.create_task(refusal(keeper.unlock()))
    await asked.wait()
    await gate.close()
    assert await press == "controls_starting"
    assert keeper.tesla.control.executed(ANNAS_MODEL_3) == []


async def test_controls_outlive_a_restart_in_an_outage(hass: HomeAssistant, keeper: Keeper) -> None:
    """Tesla's list cannot be read: nothing is removed, everything that commands is unavailable, and comes back."""
    before = keeper.of_controls()
    sites = {one for one in before if "anna_s_home" in one}
    assert sites
    keeper.tesla.control.fault(path="*/products", kind="status", status=503, times=None)
    keeper.tesla.control.fault(path="*/energy_sites/*", kind="status", status=503, times=None)
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.of_controls() == before
    states = {one: hass.states.get(one) for one in sites}
    assert {one for one, state in states.items() if state is None or state.state != STATE_UNAVAILABLE} == set()
    keeper.tesla.control.clear_faults()
    for minutes in (2, 4, 8, 16):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=minutes))
        await hass.async_block_till_done(wait_background_tasks=True)
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert keeper.of_controls() == before
    back = {one for one in sites if (state := hass.states.get(one)) is not None and state.state != STATE_UNAVAILABLE}
    assert back == sites


async def test_the_companions_device_goes_with_the_link_alone(hass: HomeAssistant, linked: Keeper) -> None:
    """It would come back at the next start. *End the link* removes it."""
    registry = dr.async_get(hass)

    def device() -> dr.DeviceEntry | None:
        identifier = (DOMAIN, companion_identifier(linked.entry))
        return registry.async_get_device_by_identifier(identifier, linked.entry.entry_id)

    found = device()
    assert found is not None
    assert not await async_remove_config_entry_device(hass, linked.entry, found)
    assert device() is not None
    flow = await reconfigure(hass, linked.owner, linked.entry, "unlink_companion")
    await linked.owner.answer(flow, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert device() is None
