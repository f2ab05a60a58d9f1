"""Entities of details that Tesla bills: off by default, asked for seldom while they are on, at what price."""

import asyncio
from collections.abc import Mapping
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events  # type: ignore[import-untyped]

from custom_components.teslafi.coordinators.memory import forget_memory
from custom_components.teslafi.tesla.reader import Count, Reader
from custom_components.teslafi.tesla.vehicle_details import Alert
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y

from .owner import Owner
from .test_offers import ask, billed
from .test_watching import pass_time

LAST_ALERT = "sensor.roadrunner_last_alert"
ALERT = "event.roadrunner_alert"
SERVICE = (
    "sensor.roadrunner_service_status",
    "sensor.roadrunner_service_expected_to_be_ready",
    "sensor.roadrunner_service_visit_number",
)
HOUR = 3600


@pytest.fixture(autouse=True)
def _at_a_quiet_time(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month."""
    freezer.move_to("2026-11-16 12:00:00")


@pytest.fixture
async def entry(owner: Owner) -> ConfigEntry:
    """Set up Anna's cars; her Model 3 stays awake."""
    found = await owner.sign_in(energy_device_data=False)
    owner.tesla.control.car(ANNAS_MODEL_3).set_value("vehicle_state.sentry_mode", value=True)
    return found


async def enable(hass: HomeAssistant, entry: ConfigEntry, *entities: str) -> None:
    """Enable entities, as their owner does."""
    registry = er.async_get(hass)
    for entity_id in entities:
        registry.async_update_entity(entity_id, disabled_by=None)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


def shown(hass: HomeAssistant, entity_id: str) -> str:
    """Return a state."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


def alert(name: str, time: str, *audience: str) -> dict[str, Any]:
    """Return an alert as Tesla tells it."""
    return {"name": name, "time": time, "audience": list(audience), "user_text": f"About {name}"}


def give(car: Car, *alerts: Mapping[str, Any]) -> None:
    """Let the car have these alerts, and no others."""
    car.alerts[:] = [dict(one) for one in alerts]


async def test_nothing_is_asked_while_they_are_off(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """All of them are, and Tesla bills nothing for them."""
    registry = er.async_get(hass)
    for entity_id in (LAST_ALERT, ALERT, *SERVICE):
        found = registry.async_get(entity_id)
        assert found is not None
        assert found.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    owner.tesla.control.car(ANNAS_MODEL_3).set_value("in_service", value=True)
    await pass_time(hass, freezer, 13 * HOUR, step=1800)
    assert billed(owner, "/recent_alerts") == billed(owner, "/service_data") == 0


async def test_alerts_are_asked_four_times_a_day(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """However many entities show them; of a car that is awake alone."""
    await enable(hass, entry, LAST_ALERT, ALERT, "sensor.snowball_last_alert")
    assert shown(hass, LAST_ALERT) == "additional description text"
    assert shown(hass, "sensor.snowball_last_alert") == "unknown"
    await pass_time(hass, freezer, 24 * HOUR - 900, step=900)
    assert billed(owner, f"{ANNAS_MODEL_3}/recent_alerts") == 4
    assert billed(owner, f"{ANNAS_MODEL_Y}/recent_alerts") == 0


async def test_new_alerts_are_events(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """Each once, the oldest first, with whom it is for; those of before are none."""
    car = owner.tesla.control.car(ANNAS_MODEL_3)
    old = alert("Old", "2026-11-16T08:00:00+00:00", "customer")
    first = alert("First", "2026-11-16T11:00:00+00:00", "service-fix")
    second = alert("Second", "2026-11-16T11:30:00+00:00", "service-fix", "customer")
    give(car, old)
    await enable(hass, entry, ALERT, LAST_ALERT)
    assert shown(hass, ALERT) == "unknown"
    await pass_time(hass, freezer, 61)
    heard = async_capture_events(hass, "state_changed")
    give(car, second, old, first)
    for _ in range(2):
        await ask(hass, "get_recent_alerts")
        await hass.async_block_till_done()
    states = [event.data["new_state"] for event in heard if event.data["entity_id"] == ALERT]
    told = [(state.attributes["alert"], state.attributes["event_type"]) for state in states]
    assert told == [("First", "service"), ("Second", "customer")]
    assert shown(hass, LAST_ALERT) == "About Second"


async def test_an_alert_during_a_restart_is_an_event(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """Once there was one before it to go on from; what was told before the restart is not told again."""
    car = owner.tesla.control.car(ANNAS_MODEL_3)
    before = alert("Before", "2026-11-16T11:00:00+00:00", "customer")
    missed = alert("Missed", "2026-11-16T11:30:00+00:00", "customer")
    give(car)
    await enable(hass, entry, ALERT)
    give(car, before)
    freezer.tick(61)
    await ask(hass, "get_recent_alerts")
    await hass.async_block_till_done()
    told_at = shown(hass, ALERT)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert shown(hass, ALERT) == told_at
    await hass.config_entries.async_unload(entry.entry_id)
    forget_memory(hass, entry.entry_id)
    give(car, before, missed)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    state = hass.states.get(ALERT)
    assert state is not None
    assert state.attributes["alert"] == "Missed"


async def test_an_alert_that_comes_during_a_reload_is_an_event(
    hass: HomeAssistant,
    owner: Owner,
    entry: ConfigEntry,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody else asked, and the answer found no entity that would hear of it; there was no event before it."""
    await enable(hass, entry, ALERT)
    freezer.tick(61)
    give(owner.tesla.control.car(ANNAS_MODEL_3), alert("New", "2026-11-16T11:30:00+00:00", "customer"))
    read, asked, gone = Reader.recent_alerts, asyncio.Event(), asyncio.Event()

    async def late(self: Reader, vin: str, count: Count) -> tuple[Alert, ...]:
        asked.set()
        await gone.wait()
        return await read(self, vin, count)

    monkeypatch.setattr(Reader, "recent_alerts", late)
    asking = hass.async_create_task(ask(hass, "get_recent_alerts"))
    await asked.wait()
    await hass.config_entries.async_unload(entry.entry_id)
    gone.set()
    await asking
    assert shown(hass, ALERT) == "unavailable"
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    state = hass.states.get(ALERT)
    assert state is not None
    assert state.attributes["alert"] == "New"


@pytest.mark.parametrize("restarted", [False, True])
async def test_alerts_that_come_while_it_is_disabled_are_no_events(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory, *, restarted: bool
) -> None:
    """Whether Home Assistant ran on meanwhile or not, and though others ask; what comes afterwards is one."""
    given: list[dict[str, Any]] = []

    async def comes(name: str, time: str) -> None:
        given.append(alert(name, f"2026-11-16T{time}:00+00:00", "customer"))
        give(owner.tesla.control.car(ANNAS_MODEL_3), *given)
        freezer.tick(61)
        await ask(hass, "get_recent_alerts")
        await hass.async_block_till_done()

    await enable(hass, entry, ALERT)
    await comes("First", "11:30")
    told_at = shown(hass, ALERT)
    assert told_at != "unknown"
    er.async_get(hass).async_update_entity(ALERT, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    assert hass.states.get(ALERT) is None
    await comes("Meanwhile", "12:00")

    async def restart() -> None:
        await hass.config_entries.async_unload(entry.entry_id)
        forget_memory(hass, entry.entry_id)
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)

    if restarted:
        await restart()
    await enable(hass, entry, ALERT)
    assert shown(hass, ALERT) == told_at
    await restart()
    assert shown(hass, ALERT) == told_at, "nor later"
    await comes("Afterwards", "12:01")
    state = hass.states.get(ALERT)
    assert state is not None
    assert state.attributes["alert"] == "Afterwards"


async def test_service_is_asked_during_a_visit_alone(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """That there is one, the car's state says for nothing; that it is over as well."""
    await enable(hass, entry, *SERVICE)
    assert [shown(hass, entity_id) for entity_id in SERVICE] == ["unknown"] * 3
    await pass_time(hass, freezer, 2 * HOUR, step=1200)
    assert billed(owner, "/service_data") == 0
    car = owner.tesla.control.car(ANNAS_MODEL_3)
    car.set_value("in_service", value=True)
    await pass_time(hass, freezer, 5 * HOUR, step=1200)
    assert billed(owner, "/service_data") == 1
    status, ready, visit = (shown(hass, entity_id) for entity_id in SERVICE)
    assert (status, visit) == ("in_service", "SV12345678")
    assert ready.startswith("2026-11-22T")
    car.set_value("in_service", value=False)
    await pass_time(hass, freezer, 2 * HOUR, step=1200)
    assert [shown(hass, entity_id) for entity_id in SERVICE] == ["unknown"] * 3
    assert billed(owner, "/service_data") == 1


async def test_a_refusal_costs_little_and_stays_where_it_is(
    hass: HomeAssistant, owner: Owner, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """Its endpoint is asked seldom, nothing else of the car suffers, and it comes back."""
    owner.tesla.control.fault(path="*/recent_alerts", kind="status", status=403, times=None)
    await enable(hass, entry, LAST_ALERT)
    await pass_time(hass, freezer, HOUR, step=60)
    assert billed(owner, "/recent_alerts") <= 8
    assert shown(hass, LAST_ALERT) == "unavailable"
    assert shown(hass, "sensor.roadrunner_battery_level") not in ("unavailable", "unknown")
    owner.tesla.control.clear_faults()
    await pass_time(hass, freezer, 2 * HOUR, step=600)
    assert shown(hass, LAST_ALERT) == "additional description text"
