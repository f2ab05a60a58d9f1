"""Every command: entity or action -> the state of a simulated car, signed and unsigned, and of an energy site."""

import asyncio
from collections.abc import Callable
from copy import deepcopy, replace
from datetime import timedelta
import logging
import re
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.teslafi.const import EVENT_COMMAND
from custom_components.teslafi.controls.commands import COMMANDS
from custom_components.teslafi.tesla import commander
from teslafi_companion.store.tables import audit, controls
from teslafi_simulators.tesla.cars.car import Car
from teslafi_simulators.tesla.cars.supply import Supply
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_SITE

from .keeper import Keeper
from .test_gate import device, refusal

pytestmark = pytest.mark.slow

type Prepare = Callable[[Car], None] | None


def plugged(car: Car) -> None:
    car.plug_in(Supply.SINGLE_PHASE)
    car.stop_charging()


def unplugged(car: Car) -> None:
    car.unplug()


def opened_port(car: Car) -> None:
    car.unplug()
    car.set_value("charge_state.charge_port_door_open", value=True)


def charging(car: Car) -> None:
    car.plug_in(Supply.SINGLE_PHASE)


def sets(**values: object) -> Callable[[Car], None]:
    """Return a preparation: `block__field=value`."""

    def prepare(car: Car) -> None:
        for path, value in values.items():
            car.set_value(path.replace("__", "."), deepcopy(value))

    return prepare


def homelink(car: Car) -> None:
    sets(vehicle_state__homelink_device_count=1, vehicle_state__homelink_nearby=True)(car)


def pin(name: str, **values: object) -> Callable[[Car], None]:
    def prepare(car: Car) -> None:
        car.pins[name] = "1234"
        sets(**values)(car)

    return prepare


def planned(car: Car) -> None:
    car.data["vehicle_state"]["software_update"] |= {"status": "scheduled", "scheduled_time_ms": 4e12}


NEW: Final = sets(vehicle_state__car_version="2026.2.9 abcdef")


CLIMATE_OFF: Final = sets(climate_state__is_climate_on=False)
UPDATE: Final = {"status": "available", "version": "2026.3.1", "expected_duration_sec": 60}
OFFERED: Final = sets(vehicle_state__software_update=UPDATE | {"download_perc": 100, "install_perc": 1})


def with_schedules(car: Car) -> None:
    NEW(car)
    place = {"latitude": 1.0, "longitude": 1.0, "enabled": True, "days_of_week": 1, "one_time": False, "name": "x"}
    charge = {"id": 5, "start_enabled": True, "start_time": 60, "end_enabled": False, **place}
    car.data["charge_schedule_data"] = {"charge_schedules": [charge]}
    car.data["preconditioning_schedule_data"] = {
        "precondition_schedules": [{"id": 6, "precondition_time": 60, **place}]
    }


# Service, entity, data, what the car is like before, and the commands that arrive
ENTITIES: Final[list[tuple[str, str, dict[str, Any], Prepare, list[str]]]] = [
    ("lock.unlock", "lock.X_door_lock", {}, None, ["door_unlock"]),
    ("lock.lock", "lock.X_door_lock", {}, None, ["door_lock"]),
    ("lock.unlock", "lock.X_charge_cable_lock", {}, plugged, ["charge_port_door_open"]),
    ("lock.lock", "lock.X_speed_limit_mode", {"code": "1234"}, None, ["speed_limit_activate"]),
    ("lock.unlock", "lock.X_speed_limit_mode", {"code": "1234"}, None, ["speed_limit_deactivate"]),
    ("cover.open_cover", "cover.X_frunk", {}, None, ["actuate_trunk"]),
    ("cover.open_cover", "cover.X_trunk", {}, None, ["actuate_trunk"]),
    ("cover.close_cover", "cover.X_trunk", {}, sets(vehicle_state__rt=1), ["actuate_trunk"]),
    ("cover.open_cover", "cover.X_charge_port", {}, unplugged, ["charge_port_door_open"]),
    ("cover.close_cover", "cover.X_charge_port", {}, opened_port, ["charge_port_door_close"]),
    ("cover.open_cover", "cover.X_windows", {}, None, ["window_control"]),
    ("cover.close_cover", "cover.X_windows", {}, sets(vehicle_state__fd_window=1), ["window_control"]),
    ("cover.open_cover", "cover.X_sunroof", {}, sets(vehicle_state__sun_roof_state="closed"), ["sun_roof_control"]),
    ("cover.close_cover", "cover.X_sunroof", {}, sets(vehicle_state__sun_roof_state="vent"), ["sun_roof_control"]),
    ("climate.turn_on", "climate.X_climate", {}, None, ["auto_conditioning_start"]),
    ("climate.turn_off", "climate.X_climate", {}, None, ["auto_conditioning_stop"]),
    ("climate.set_temperature", "climate.X_climate", {"temperature": 21.5}, None, ["set_temps"]),
    ("climate.set_preset_mode", "climate.X_climate", {"preset_mode": "dog"}, None, ["set_climate_keeper_mode"]),
    ("climate.set_hvac_mode", "climate.X_overheat_protection", {"hvac_mode": "fan_only"},
     sets(climate_state__allow_cabin_overheat_protection=True),
     ["set_cabin_overheat_protection"]),
    ("switch.turn_on", "switch.X_charge", {}, plugged, ["charge_start"]),
    ("switch.turn_off", "switch.X_charge", {}, charging, ["charge_stop"]),
    ("switch.turn_on", "switch.X_defrost", {}, None, ["set_preconditioning_max"]),
    ("switch.turn_off", "switch.X_defrost", {}, None, ["set_preconditioning_max"]),
    ("switch.turn_on", "switch.X_sentry_mode", {}, sets(vehicle_state__sentry_mode_available=True),
     ["set_sentry_mode"]),
    ("switch.turn_on", "switch.X_valet_mode", {}, pin("valet", vehicle_state__valet_pin_needed=False),
     ["set_valet_mode"]),
    ("number.set_value", "number.X_charge_limit", {"value": 66}, None, ["set_charge_limit"]),
    ("number.set_value", "number.X_charge_current", {"value": 9}, None, ["set_charging_amps"]),
    ("number.set_value", "number.X_speed_limit", {"value": 77}, None, ["speed_limit_set_limit"]),
    ("select.select_option", "select.X_seat_heater_front_left", {"option": "high"}, CLIMATE_OFF,
     ["auto_conditioning_start", "remote_seat_heater_request"]),
    ("button.press", "button.X_flash_lights", {}, None, ["flash_lights"]),
    ("button.press", "button.X_honk_horn", {}, None, ["honk_horn"]),
    ("button.press", "button.X_boombox", {}, None, ["remote_boombox"]),
    ("button.press", "button.X_play_locator_sound", {}, None, ["remote_boombox"]),
    ("button.press", "button.X_keyless_start", {}, sets(vehicle_state__remote_start_enabled=True),
     ["remote_start_drive"]),
    ("button.press", "button.X_cancel_update", {}, planned, ["cancel_software_update"]),
    ("text.set_value", "text.X_destination", {"value": "Harbour"}, None, ["navigation_request"]),
]  # fmt: skip

ACTIONS: Final[list[tuple[str, dict[str, Any], Prepare, list[str]]]] = [
    ("add_charge_schedule", {"start_time": "01:00:00", "days": ["tuesday", "thursday"]}, NEW, ["add_charge_schedule"]),
    ("add_precondition_schedule", {"time": "07:30:00", "name": "Work"}, NEW, ["add_precondition_schedule"]),
    ("remove_charge_schedule", {"id": 5}, with_schedules, ["remove_charge_schedule"]),
    ("remove_precondition_schedule", {"id": 6}, with_schedules, ["remove_precondition_schedule"]),
    ("set_scheduled_charging", {"enable": True, "time": "02:00:00"}, None, ["set_scheduled_charging"]),
    ("set_scheduled_departure", {"enable": True, "departure_time": "07:00:00", "preconditioning_enabled": True}, None,
     ["set_scheduled_departure"]),
    ("set_temperatures", {"driver": 20, "passenger": 22}, None, ["set_temps"]),
    ("navigate", {"destination": "Harbour"}, None, ["navigation_request"]),
    ("navigate", {"location": {"latitude": 52.5, "longitude": 13.4}}, None, ["navigation_gps_request"]),
    ("navigate_to_supercharger", {}, None, ["navigation_sc_request"]),
    ("navigate_waypoints", {"waypoints": "refId:a,refId:b"}, None, ["navigation_waypoints_request"]),
    ("speed_limit", {"enable": True, "pin": "1234"}, None, ["speed_limit_activate"]),
    ("speed_limit", {"enable": False, "pin": "1234"}, None, ["speed_limit_deactivate"]),
    ("clear_speed_limit_pin", {"pin": "1234"}, None, ["speed_limit_clear_pin"]),
    ("valet_mode", {"enable": True, "pin": "1234"}, None, ["set_valet_mode"]),
    ("reset_valet_pin", {}, sets(vehicle_state__valet_mode=False), ["reset_valet_pin"]),
    ("pin_to_drive", {"enable": True, "pin": "1234"}, None, ["set_pin_to_drive"]),
    ("reset_pin_to_drive", {}, None, ["reset_pin_to_drive_pin"]),
    ("set_vehicle_name", {"name": "Bolt"}, None, ["set_vehicle_name"]),
    ("schedule_update", {"offset": 60}, OFFERED, ["schedule_software_update"]),
]  # fmt: skip

SIGNED_CAR: Final[list[tuple[str, str, dict[str, Any], Prepare, list[str]]]] = [
    # What the recorded car of 2015 does not report
    ("media_player.media_next_track", "media_player.X_media", {}, None, ["media_next_track"]),
    ("media_player.media_previous_track", "media_player.X_media", {}, None, ["media_prev_track"]),
    ("media_player.media_pause", "media_player.X_media", {}, None, ["media_toggle_playback"]),
    ("media_player.volume_set", "media_player.X_media", {"volume_level": 0.5}, None, ["adjust_volume"]),
    ("climate.set_temperature", "climate.X_overheat_protection", {"temperature": 35}, None, ["set_cop_temp"]),
    ("select.select_option", "select.X_steering_wheel_heater_level", {"option": "low"}, CLIMATE_OFF,
     ["auto_conditioning_start", "remote_steering_wheel_heat_level_request"]),
    ("switch.turn_on", "switch.X_automatic_seat_climate_left", {}, None, ["remote_auto_seat_climate_request"]),
    ("switch.turn_on", "switch.X_automatic_seat_climate_right", {}, None, ["remote_auto_seat_climate_request"]),
    ("switch.turn_on", "switch.X_automatic_steering_wheel_heater", {}, None,
     ["remote_auto_steering_wheel_heat_climate_request"]),
    ("update.install", "update.X_software", {}, OFFERED, ["schedule_software_update"]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def many_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a car be looked at after each of the commands that follow each other here within a minute."""
    monkeypatch.setattr("custom_components.teslafi.polling.rule.LOOKS_A_MINUTE", 10_000)
    monkeypatch.setattr("custom_components.teslafi.polling.rule.STATES_A_MINUTE", 10_000)


async def look(keeper: Keeper, car: Car) -> None:
    """Have Home Assistant see the car as it was prepared."""
    vehicle = keeper.entry.runtime_data.vehicles[car.vin]
    vehicle.want_look()
    await vehicle.async_refresh()
    await keeper.hass.async_block_till_done(wait_background_tasks=True)


async def run_rows(keeper: Keeper, car: Car, name: str, rows: list[Any], subtests: pytest.Subtests) -> None:
    """Use each entity, and see what arrives at the car and that Home Assistant then shows it."""
    for service, entity_id, data, prepare, wanted in rows:
        entity = entity_id.replace("X", name)
        with subtests.test(f"{service} {entity}"):
            if prepare is not None:
                prepare(car)
            await look(keeper, car)
            domain, action = service.split(".")
            begun = len(car.executed)
            keeper.controls.gate._sent.clear()  # noqa: SLF001 - more than thirty in a minute
            keeper.tesla.state.recent.clear()
            await keeper.hass.services.async_call(domain, action, {"entity_id": entity, **data}, blocking=True)
            done = [(command, outcome.result, outcome.reason) for command, _, outcome in car.executed[begun:]]
            assert done == [(command, True, "") for command in wanted]


async def run_actions(keeper: Keeper, car: Car, subtests: pytest.Subtests) -> None:
    """Use each action."""
    target = device(keeper.hass, keeper, car.vin)
    for action, data, prepare, wanted in ACTIONS:
        with subtests.test(f"teslafi.{action} {data}"):
            if prepare is not None:
                prepare(car)
            begun = len(car.executed)
            keeper.controls.gate._sent.clear()  # noqa: SLF001
            keeper.tesla.state.recent.clear()
            await keeper.hass.services.async_call("teslafi", action, {"device_id": target, **data}, blocking=True)
            done = [(command, outcome.result, outcome.reason) for command, _, outcome in car.executed[begun:]]
            assert done == [(command, True, "") for command in wanted]


async def test_every_entity_and_action_of_a_signed_car(keeper: Keeper, subtests: pytest.Subtests) -> None:
    car = keeper.car()
    await run_rows(keeper, car, "roadrunner", [*ENTITIES, *SIGNED_CAR], subtests)
    await run_actions(keeper, car, subtests)


async def test_every_entity_and_action_of_an_unsigned_car(
    hass: HomeAssistant, linked: Keeper, subtests: pytest.Subtests
) -> None:
    """The same car, as one that knows no signatures."""
    car = linked.car()
    car.signing = "off"
    linked.car("7SAYGDEE8NF000002").signing = "off"
    await linked.entry.runtime_data.account.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    flow = await linked.at_companion(await linked.choose())
    flow = await linked.at_tesla(flow, "teslafi-controls")
    assert flow["reason"] == "controls_enabled", "no key is needed"
    await hass.async_block_till_done(wait_background_tasks=True)
    await run_rows(linked, car, "roadrunner", [*ENTITIES, *SIGNED_CAR], subtests)
    await run_actions(linked, car, subtests)
    assert not any("signed_command" in path for _, path in linked.tesla.state.requests)


def test_no_command_of_the_gate_is_left_out() -> None:
    """Those without an entity or action of their own are named, with the reason."""
    used = {command for row in [*ENTITIES, *SIGNED_CAR] for command in row[4]}
    used |= {command for row in ACTIONS for command in row[3]}
    used |= {"trigger_homelink", "remote_seat_cooler_request", "set_bioweapon_mode"}  # test_what_few_cars_have
    used |= {"remote_steering_wheel_heater_request"}  # test_twins
    used |= {"guest_mode", "set_low_power_mode", "set_keep_accessory_power_mode"}  # test_unreported_switches
    no_peer_offers = {
        "charge_max_range",
        "charge_standard",
        "clear_pin_to_drive_admin",
        "erase_user_data",
        "media_next_fav",
        "media_prev_fav",
        "media_volume_down",
        "media_volume_up",
        "speed_limit_clear_pin_admin",
        "take_drivenote",
        "upcoming_calendar_entries",
    }
    assert COMMANDS.keys() - used == no_peer_offers


async def test_energy_sites(hass: HomeAssistant, keeper: Keeper) -> None:
    site = keeper.tesla.state.sites[ANNAS_SITE]
    for domain, service, entity, data in (
        ("number", "set_value", "number.anna_s_home_backup_reserve", {"value": 33}),
        ("number", "set_value", "number.anna_s_home_off_grid_reserve", {"value": 44}),
        ("select", "select_option", "select.anna_s_home_operation_mode", {"option": "autonomous"}),
        ("select", "select_option", "select.anna_s_home_export_to_the_grid", {"option": "never"}),
        ("switch", "turn_off", "switch.anna_s_home_storm_watch", {}),
        ("switch", "turn_on", "switch.anna_s_home_charge_from_the_grid", {}),
    ):
        await hass.services.async_call(domain, service, {"entity_id": entity, **data}, blocking=True)
    target = device(hass, keeper, str(ANNAS_SITE))
    tariff = {"device_id": target, "tariff": {"code": "night"}}
    told = async_capture_events(hass, EVENT_COMMAND)
    await hass.services.async_call("teslafi", "set_time_of_use", tariff, blocking=True)
    assert [(event.data["device_id"], event.data["entity_id"]) for event in told] == [
        (target, "binary_sensor.anna_s_home_grid")
    ]
    assert (site.reserve, site.off_grid_reserve, site.mode) == (33, 44, "autonomous")
    assert (site.export_rule, site.storm_mode, site.no_grid_charging) == ("never", False, False)
    assert site.tariff == {"code": "night"}


async def test_a_refusal_of_the_car_is_told(hass: HomeAssistant, keeper: Keeper) -> None:
    with pytest.raises(HomeAssistantError) as caught:
        await hass.services.async_call("switch", "turn_on", {"entity_id": "switch.roadrunner_charge"}, blocking=True)
    assert caught.value.translation_key == "command_refused_unplugged"
    assert caught.value.translation_placeholders == {"name": "Roadrunner"}


async def test_what_is_so_already_is_no_error(hass: HomeAssistant, keeper: Keeper) -> None:
    limit = {"entity_id": "number.roadrunner_charge_limit", "value": 80}
    await hass.services.async_call("number", "set_value", limit, blocking=True)
    assert keeper.car().executed[-1][2].reason == "already_set"


async def test_a_state_is_assumed_until_the_car_has_its_say(hass: HomeAssistant, keeper: Keeper) -> None:
    car = keeper.car()
    await hass.services.async_call(
        "number", "set_value", {"entity_id": "number.roadrunner_charge_limit", "value": 66}, blocking=True
    )
    shown = hass.states.get("number.roadrunner_charge_limit")
    assert shown is not None
    assert shown.state == "66"
    car.data["charge_state"]["charge_limit_soc"] = 75
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
    await hass.async_block_till_done(wait_background_tasks=True)
    shown = hass.states.get("number.roadrunner_charge_limit")
    assert shown is not None
    assert shown.state == "75"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, keeper: Keeper) -> list[float]:
    """Let the commander's pauses pass at once; return those that it wanted."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) >= 3:
            keeper.car().wake()

    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None
    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    return waited


async def test_a_sleeping_car_is_woken_once_for_all_commands(
    hass: HomeAssistant, keeper: Keeper, quick: list[float]
) -> None:
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    keeper.tesla.control.reset_counters()
    presses = [
        hass.services.async_call("button", "press", {"entity_id": f"button.roadrunner_{name}"}, blocking=True)
        for name in ("honk_horn", "flash_lights", "honk_horn")
    ]
    await asyncio.gather(*presses)
    wakes = [path for _, path in keeper.tesla.state.requests if path.endswith("/wake_up")]
    assert len(wakes) == 1
    assert sorted(name for name, _, _ in keeper.car().executed) == ["flash_lights", "honk_horn", "honk_horn"]
    assert tuple(quick[:3]) == commander.WAKE_LOOKS[:3]


async def test_a_car_that_does_not_wake(hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_seconds: float) -> None:
        keeper.car().wakes_at = None

    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None
    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    assert await refusal(keeper.unlock()) == "vehicle_not_awake"
    assert keeper.car().executed == []


type Trouble = tuple[Callable[[Keeper], None], str, int]
"""A fault of the transport or the protocol, its sentence, and how often the car carried the command out."""

PASSES: Final[dict[str, Trouble]] = {
    "the answer is lost": (
        lambda keeper: keeper.tesla.control.fault(path="*/signed_command", kind="drop"), "command_uncertain", 1),
    "the gateway gives up": (
        lambda keeper: keeper.tesla.control.fault(path="*/signed_command", kind="status", status=504),
        "command_uncertain", 1),
    "awake and silent": (
        lambda keeper: keeper.tesla.control.fault(
            path="*/signed_command", kind="status", status=408, body={"error": '{"error": "timeout"}'}),
        "command_uncertain", 1),
    "the car says wait": (lambda keeper: keeper.tesla.control.signed_fault(ANNAS_MODEL_3, -1), "command_uncertain", 0),
    "busy": (lambda keeper: keeper.tesla.control.signed_fault(ANNAS_MODEL_3, 1), "vehicle_busy", 0),
    "time-out inside the car": (
        lambda keeper: keeper.tesla.control.signed_fault(ANNAS_MODEL_3, 2), "command_uncertain", 0),
    "remote access is off": (lambda keeper: keeper.tesla.control.signed_fault(ANNAS_MODEL_3, 21), "key_not_allowed", 0),
}  # fmt: skip
STAYS: Final[dict[str, Trouble]] = {
    "the key was removed": (lambda keeper: keeper.tesla.control.unpair(ANNAS_MODEL_3), "key_not_paired", 0),
    "in service": (
        lambda keeper: keeper.tesla.control.set_values(ANNAS_MODEL_3, {"in_service": True}), "vehicle_in_service", 0),
    "mobile access is off": (
        lambda keeper: setattr(keeper.car(), "mobile_access", False), "mobile_access_disabled", 0),
    "the spending limit is reached": (
        lambda keeper: keeper.tesla.control.limit("anna@example.com", 0.0), "command_billing_limit", 0),
}  # fmt: skip


async def in_trouble(hass: HomeAssistant, keeper: Keeper, cause: Callable[[Keeper], None]) -> tuple[str, int]:
    """Press while all is well, then in trouble; return its sentence, and how often the car carried that out."""
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    await hass.services.async_call("button", "press", honk, blocking=True)
    before = len(keeper.car().executed)
    cause(keeper)
    sentence = await refusal(hass.services.async_call("button", "press", honk, blocking=True))
    return sentence, len(keeper.car().executed) - before


async def test_trouble_that_passes_has_its_sentence_and_nothing_is_sent_twice(
    hass: HomeAssistant, keeper: Keeper, subtests: pytest.Subtests
) -> None:
    """One after the other, and the next press is carried out as if nothing had been."""
    for name, (cause, sentence, times) in PASSES.items():
        with subtests.test(name):
            assert await in_trouble(hass, keeper, cause) == (sentence, times)


@pytest.mark.parametrize(("cause", "sentence", "times"), STAYS.values(), ids=STAYS)
async def test_trouble_has_its_sentence_and_nothing_is_sent_twice(
    hass: HomeAssistant, keeper: Keeper, cause: Callable[[Keeper], None], sentence: str, times: int
) -> None:
    assert await in_trouble(hass, keeper, cause) == (sentence, times)


async def test_a_restarted_computer_is_met_anew_unseen(hass: HomeAssistant, keeper: Keeper) -> None:
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    await hass.services.async_call("button", "press", honk, blocking=True)
    keeper.tesla.control.reboot(ANNAS_MODEL_3)
    await hass.services.async_call("button", "press", honk, blocking=True)
    assert [name for name, _, _ in keeper.car().executed] == ["honk_horn", "honk_horn"]


async def test_a_car_that_was_taken_for_signed_is_told_unsigned(hass: HomeAssistant, keeper: Keeper) -> None:
    """Tesla's list was wrong, or the car changed: its own refusal is believed."""
    keeper.car().signing = "off"
    await keeper.unlock()
    assert keeper.car().data["vehicle_state"]["locked"] is False


async def test_thirty_a_minute(hass: HomeAssistant, keeper: Keeper) -> None:
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    for _ in range(30):
        keeper.controls.gate._keep_pace(ANNAS_MODEL_3)  # noqa: SLF001 - thirty signed commands take a while
    before = keeper.sent
    assert await refusal(hass.services.async_call("button", "press", honk, blocking=True)) == "too_many_commands"
    assert keeper.sent == before


async def test_the_budget(hass: HomeAssistant, keeper: Keeper) -> None:
    hass.config_entries.async_update_entry(keeper.entry, options={"monthly_budget": 0})
    before = keeper.sent
    assert await refusal(keeper.unlock()) == "budget_reached"
    assert keeper.sent == before


async def test_many_presses_at_once_stay_within_the_budget(hass: HomeAssistant, keeper: Keeper) -> None:
    """Each holds its money before it is sent: fifty at once send what is left, and no more."""
    await keeper.unlock()
    budget = keeper.entry.runtime_data.budget
    options = {"monthly_budget": budget.cost + 0.0051}
    hass.config_entries.async_update_entry(keeper.entry, options=options)
    sent = len(keeper.car().executed)
    ends = await asyncio.gather(*(keeper.unlock() for _ in range(50)), return_exceptions=True)
    done = len(keeper.car().executed) - sent
    assert {end.translation_key for end in ends if isinstance(end, ServiceValidationError)} == {"budget_reached"}
    assert done == ends.count(None)
    assert 1 <= done <= 5
    assert budget.cost <= options["monthly_budget"]


@pytest.mark.parametrize("dead", [False, True])
async def test_a_command_that_costs_twice_stays_within_the_budget(
    hass: HomeAssistant, keeper: Keeper, dead: bool
) -> None:
    """The first signed one agrees on a session before; and Tesla bills the answer to a dead token."""
    budget = keeper.entry.runtime_data.budget
    if dead:
        await keeper.unlock()
        assert keeper.tesla.control.expire_access_tokens("anna@example.com") > 0
    limit = budget.cost + 0.0015
    hass.config_entries.async_update_entry(keeper.entry, options={"monthly_budget": limit})
    assert await refusal(keeper.unlock()) == "budget_reached"
    assert budget.cost <= limit
    limit += 0.0006
    hass.config_entries.async_update_entry(keeper.entry, options={"monthly_budget": limit})
    await keeper.unlock()
    assert limit - 0.00011 <= budget.cost <= limit


@pytest.mark.parametrize("name", ["honk_horn", "wake"])
async def test_no_wake_beyond_the_budget_at_a_car_that_was_thought_awake(
    hass: HomeAssistant, keeper: Keeper, name: str
) -> None:
    """It fell asleep since it was last asked: what is left pays for the command, not for waking."""
    await keeper.unlock()
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    budget = keeper.entry.runtime_data.budget
    options = {"monthly_budget": budget.cost + 0.0051}
    hass.config_entries.async_update_entry(keeper.entry, options=options)
    press = {"entity_id": f"button.roadrunner_{name}"}
    assert await refusal(hass.services.async_call("button", "press", press, blocking=True)) == "budget_reached"
    assert budget.cost <= options["monthly_budget"]
    assert keeper.car().state.value == "asleep"


async def test_a_car_that_goes_nowhere_has_an_empty_destination(hass: HomeAssistant, keeper: Keeper) -> None:
    """No raw word stands in the field, and what is typed there has to be a place."""
    car = keeper.car()
    car.park()
    await look(keeper, car)
    field = hass.states.get("text.roadrunner_destination")
    assert field is not None
    assert field.state == ""
    sent = keeper.sent
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call("text", "set_value", {"entity_id": field.entity_id, "value": " "}, blocking=True)
    assert refused.value.translation_key == "destination_needed"
    assert keeper.sent == sent


async def test_each_command_is_recorded(hass: HomeAssistant, keeper: Keeper) -> None:
    """Who, what, when, answer, cost: as an event, and in the companion's audit log; PINs in neither."""
    er.async_get(hass).async_update_entity("event.roadrunner_commands", disabled_by=None)
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    user = await hass.auth.async_create_user("Pia")
    target = device(hass, keeper, ANNAS_MODEL_3)
    sent = {"device_id": target, "enable": True, "pin": "4321"}
    await hass.services.async_call("teslafi", "pin_to_drive", sent, blocking=True, context=Context(user_id=user.id))
    event = hass.states.get("event.roadrunner_commands")
    assert event is not None
    assert event.attributes["event_type"] == "succeeded"
    assert event.attributes["command"] == "set_pin_to_drive"
    assert event.attributes["user"] == "Pia"
    assert event.attributes["parameters"] == {"on": True}
    assert event.attributes["cost_usd"] == pytest.approx(0.002)  # the handshake costs as much as the command
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call("switch", "turn_on", {"entity_id": "switch.roadrunner_charge"}, blocking=True)
    event = hass.states.get("event.roadrunner_commands")
    assert event is not None
    assert (event.attributes["event_type"], event.attributes["answer"]) == ("refused", "disconnected")
    await keeper.ask_again()
    async with keeper.companion.store.reading() as transaction:
        rows = await transaction.rows(audit.select().where(audit.c.event == "command").order_by(audit.c.number))
        said = [transaction.open(row.sealed, audit, row.id, row.account_id) for row in rows]
    assert [(one["command"], one["user"], one["result"]) for one in said] == [
        ("set_pin_to_drive", "Pia", "succeeded"),
        ("charge_start", "Home Assistant", "refused"),
    ]
    # Moments have digits of their own
    assert "4321" not in str([one | {"at": None} for one in said])
    assert "4321" not in str([dict(state.attributes) for state in hass.states.async_all("event")])


async def test_the_record_at_the_companion_can_be_switched_off(hass: HomeAssistant, keeper: Keeper) -> None:
    hass.config_entries.async_update_entry(keeper.entry, options={"report_commands": False})
    await keeper.unlock()
    await keeper.ask_again()
    async with keeper.companion.store.reading() as transaction:
        assert await transaction.first(audit.select().where(audit.c.event == "command")) is None


async def test_sensitive_commands_ask_for_the_code(hass: HomeAssistant, keeper: Keeper) -> None:
    flow = await hass.config_entries.options.async_init(keeper.entry.entry_id)
    await hass.config_entries.options.async_configure(
        flow["flow_id"], {"show_tokens": False, "report_commands": True, "new_code": "tiger-7"}
    )
    await hass.async_block_till_done()
    assert "tiger-7" not in str(keeper.entry.options)
    assert asks_for_code(hass)
    doors, frunk = {"entity_id": "lock.roadrunner_door_lock"}, {"entity_id": "cover.roadrunner_frunk"}
    await hass.services.async_call("lock", "lock", doors, blocking=True)
    before = keeper.sent
    wrong = hass.services.async_call("lock", "unlock", {**doors, "code": "lion"}, blocking=True)
    assert await refusal(wrong) == "code_wrong"
    assert await refusal(hass.services.async_call("cover", "open_cover", frunk, blocking=True)) == "code_needed"
    assert keeper.sent == before
    await hass.services.async_call("lock", "unlock", {**doors, "code": "tiger-7"}, blocking=True)
    target = device(hass, keeper, ANNAS_MODEL_3)
    await hass.services.async_call("teslafi", "confirm_code", {"device_id": target, "code": "tiger-7"}, blocking=True)
    await hass.services.async_call("cover", "open_cover", frunk, blocking=True)
    assert keeper.car().data["vehicle_state"]["ft"] == 1
    guess = {"device_id": target, "code": "bear"}
    for _ in range(5):
        assert await refusal(hass.services.async_call("teslafi", "confirm_code", guess, blocking=True)) == "code_wrong"
    assert await refusal(hass.services.async_call("teslafi", "confirm_code", guess, blocking=True)) == "code_wait"
    flow = await hass.config_entries.options.async_init(keeper.entry.entry_id)
    await hass.config_entries.options.async_configure(
        flow["flow_id"], {"show_tokens": False, "report_commands": True, "remove_code": True}
    )
    await hass.async_block_till_done()
    assert not asks_for_code(hass)
    await hass.services.async_call("lock", "unlock", doors, blocking=True)


def asks_for_code(hass: HomeAssistant) -> bool:
    """Say whether Home Assistant asks for a code at the doors."""
    state = hass.states.get("lock.roadrunner_door_lock")
    return state is not None and state.attributes.get("code_format") is not None


async def test_pins_are_asked_for(hass: HomeAssistant, keeper: Keeper) -> None:
    limit = {"entity_id": "lock.roadrunner_speed_limit_mode"}
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call("lock", "lock", limit, blocking=True)
    cable = {"entity_id": "lock.roadrunner_charge_cable_lock"}
    assert await refusal(hass.services.async_call("lock", "lock", cable, blocking=True)) == "cable_locks_itself"


async def test_calendars_show_and_change_schedules(hass: HomeAssistant, keeper: Keeper) -> None:
    car = keeper.car()
    assert er.async_get(hass).async_get("calendar.roadrunner_charge_schedules") is None, "firmware without schedules"
    NEW(car)
    await look(keeper, car)
    await hass.async_block_till_done(wait_background_tasks=True)
    start = dt_util.now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for calendar in ("charge", "preconditioning"):
        await hass.services.async_call(
            "calendar",
            "create_event",
            {
                "entity_id": f"calendar.roadrunner_{calendar}_schedules",
                "summary": "Night",
                "start_date_time": start.isoformat(),
                "end_date_time": (start + timedelta(hours=2)).isoformat(),
            },
            blocking=True,
        )
    (charge,) = car.data["charge_schedule_data"]["charge_schedules"]
    assert (charge["name"], charge["one_time"]) == ("Night", True)
    assert (charge["end_time"] - charge["start_time"]) % 1440 == 120
    (ready,) = car.data["preconditioning_schedule_data"]["precondition_schedules"]
    assert ready["precondition_time"] == charge["start_time"]
    await look(keeper, car)
    entity = hass.data["entity_components"]["calendar"].get_entity("calendar.roadrunner_charge_schedules")
    events = await entity.async_get_events(hass, start - timedelta(days=1), start + timedelta(days=7))
    assert [(event.summary, event.start) for event in events] == [("Night", start)]
    changed = {
        "summary": "Early",
        "dtstart": start,
        "dtend": start + timedelta(hours=1),
        "rrule": "FREQ=WEEKLY;BYDAY=MO,TH",
    }
    await entity.async_update_event(events[0].uid, changed)
    (charge,) = car.data["charge_schedule_data"]["charge_schedules"]
    assert (charge["name"], charge["days_of_week"], charge["one_time"]) == ("Early", 0b001_0010, False)
    assert (
        await refusal(entity.async_update_event(events[0].uid, changed | {"rrule": "FREQ=MONTHLY"})) == "schedule_rule"
    )
    assert await refusal(entity.async_delete_event(events[0].uid, "20261124T120000")) == "schedule_no_exceptions"
    await entity.async_delete_event(events[0].uid)
    assert car.data["charge_schedule_data"]["charge_schedules"] == []


@pytest.mark.parametrize(("kept", "left_out"), [("start_time", "end_time"), ("end_time", "start_time")])
async def test_a_schedule_without_a_window_gets_none_by_a_new_name(
    hass: HomeAssistant, keeper: Keeper, kept: str, left_out: str
) -> None:
    car = keeper.car()
    NEW(car)
    flag, other = (f"{name.removesuffix('_time')}_enabled" for name in (kept, left_out))
    schedule = {"id": 7, "name": "Night", "enabled": True, "days_of_week": 127, "one_time": False}
    place = {"latitude": car.data["drive_state"]["latitude"], "longitude": car.data["drive_state"]["longitude"]}
    times = {flag: True, other: False, kept: 1320, left_out: 60}
    car.data["charge_schedule_data"] = {"charge_schedules": [schedule | place | times]}
    await look(keeper, car)
    await hass.async_block_till_done(wait_background_tasks=True)
    entity = hass.data["entity_components"]["calendar"].get_entity("calendar.roadrunner_charge_schedules")
    events = await entity.async_get_events(hass, dt_util.now(), dt_util.now() + timedelta(days=2))
    event = next(event for event in events if event.summary == "Night")
    moved = {"summary": "Later", "dtstart": event.start + timedelta(hours=1), "dtend": event.end + timedelta(hours=1)}
    await entity.async_update_event(event.uid, moved | {"rrule": "FREQ=DAILY"})
    (changed,) = car.data["charge_schedule_data"]["charge_schedules"]
    assert (changed["name"], changed[flag], changed[other]) == ("Later", True, False)
    assert changed[kept] == 1380
    assert {at: changed[at] for at in place} == pytest.approx(place, abs=1e-4), "the schedule's own place"


async def test_what_was_not_told_is_kept_or_asked_for_before_anything_is_sent(
    hass: HomeAssistant, keeper: Keeper
) -> None:
    car = keeper.car()
    target = {"device_id": device(hass, keeper, ANNAS_MODEL_3)}
    car.data["charge_state"]["scheduled_charging_start_time_minutes"] = 135
    car.data["vehicle_state"]["fd_window"] = 1
    await look(keeper, car)
    await hass.services.async_call("teslafi", "set_scheduled_charging", {**target, "enable": False}, blocking=True)
    assert car.data["charge_state"]["scheduled_charging_start_time_minutes"] in (135, None)
    await look(keeper, car)
    car.data["charge_state"]["scheduled_charging_start_time_minutes"] = 135
    await look(keeper, car)
    await hass.services.async_call("teslafi", "set_scheduled_charging", {**target, "enable": True}, blocking=True)
    assert car.data["charge_state"]["scheduled_charging_start_time_minutes"] == 135
    before = keeper.sent
    vehicle = keeper.entry.runtime_data.vehicles[ANNAS_MODEL_3]
    snapshot = vehicle.data.snapshot
    nowhere = replace(snapshot, drive_state=replace(snapshot.drive_state, latitude=None, longitude=None))
    no_time = replace(nowhere, charge_state=replace(nowhere.charge_state, scheduled_charging_start_time_minutes=None))
    vehicle.async_set_updated_data(replace(vehicle.data, snapshot=no_time))
    for domain, name, data, key in (
        ("cover", "close_cover", {"entity_id": "cover.roadrunner_windows"}, "place_needed"),
        ("teslafi", "navigate", target, "destination_needed"),
        ("teslafi", "set_scheduled_charging", {**target, "enable": True}, "schedule_needs_time"),
    ):
        assert await refusal(hass.services.async_call(domain, name, data, blocking=True)) == key
    assert keeper.sent == before


async def test_calendars_are_shown_without_controls(hass: HomeAssistant, linked: Keeper) -> None:
    """By whoever enables them; what is planned for another place is an event, and not what comes next here."""
    car = linked.car()
    with_schedules(car)
    await look(linked, car)
    await hass.async_block_till_done(wait_background_tasks=True)
    er.async_get(hass).async_update_entity("calendar.roadrunner_charge_schedules", disabled_by=None)
    assert await hass.config_entries.async_reload(linked.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    state = hass.states.get("calendar.roadrunner_charge_schedules")
    assert state is not None
    assert "message" not in state.attributes
    assert state.attributes["supported_features"] == 0
    entity = hass.data["entity_components"]["calendar"].get_entity("calendar.roadrunner_charge_schedules")
    events = await entity.async_get_events(hass, dt_util.now(), dt_util.now() + timedelta(days=8))
    assert {(event.summary, event.location) for event in events} == {("x", "1.00000, 1.00000")}
    drive = car.data["drive_state"]
    car.data["charge_schedule_data"]["charge_schedules"][0] |= {
        "latitude": drive["latitude"],
        "longitude": drive["longitude"],
    }
    await look(linked, car)
    state = hass.states.get("calendar.roadrunner_charge_schedules")
    assert state is not None
    assert state.attributes["message"] == "x"
    assert await refusal(entity.async_delete_event("charge-5")) == "controls_not_enabled"


async def test_what_few_cars_have(hass: HomeAssistant, keeper: Keeper) -> None:
    car = keeper.car()
    homelink(car)
    car.data["climate_state"] |= {"bioweapon_mode": False, "seat_fan_front_left": 0, "is_climate_on": True}
    car.data["vehicle_config"]["has_seat_cooling"] = True
    await look(keeper, car)
    for domain, service, entity, data in (
        ("button", "press", "button.roadrunner_garage_door", {}),
        ("switch", "turn_on", "switch.roadrunner_bioweapon_defense_mode", {}),
        ("select", "select_option", "select.roadrunner_seat_cooler_left", {"option": "low"}),
    ):
        await hass.services.async_call(domain, service, {"entity_id": entity, **data}, blocking=True)
    done = [name for name, _, outcome in car.executed if outcome.result]
    assert done == ["trigger_homelink", "set_bioweapon_mode", "remote_seat_cooler_request"]


async def test_unreported_switches(hass: HomeAssistant, keeper: Keeper) -> None:
    """They are off in the registry at first, since the car never tells how they stand."""
    names = ("guest_mode", "low_power_mode", "keep_accessory_power")
    for name in names:
        er.async_get(hass).async_update_entity(f"switch.roadrunner_{name}", disabled_by=None)
    await hass.config_entries.async_reload(keeper.entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    for name in names:
        await hass.services.async_call("switch", "turn_on", {"entity_id": f"switch.roadrunner_{name}"}, blocking=True)
    assert keeper.car().settings == {"guest_mode": True, "low_power": True, "accessory_power": True}


async def test_waking_for_its_own_sake(hass: HomeAssistant, keeper: Keeper, quick: list[float]) -> None:
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    await hass.services.async_call("button", "press", {"entity_id": "button.roadrunner_wake"}, blocking=True)
    assert keeper.car().state.value == "online"
    assert quick


async def test_a_car_that_fell_asleep_unnoticed_is_shown_as_waking(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was awake at the last look; the answer to the command says that it is not."""
    seen: list[str] = []

    def state() -> str:
        found = hass.states.get("sensor.roadrunner_car_state")
        assert found is not None
        return found.state

    async def sleep(_seconds: float) -> None:
        seen.append(state())
        keeper.car().wake()

    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None
    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    seen.append(state())
    await keeper.unlock()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [*seen, state()] == ["online", "waking", "online"]


async def test_a_lock_while_the_car_wakes_up_still_holds(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waking takes a while; the owner locks on the companion's page meanwhile."""

    async def sleep(_seconds: float) -> None:
        keeper.car().wake()
        async with keeper.companion.store.transaction() as transaction:
            await transaction.execute(controls.delete())

    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None
    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    assert await refusal(keeper.unlock()) == "controls_not_allowed"
    assert keeper.car().executed == []


async def test_closing_the_gate_while_the_car_wakes_up_is_told(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(_seconds: float) -> None:
        await keeper.controls.gate.close()

    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None
    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    assert await refusal(keeper.unlock()) in {"vehicle_not_awake", "controls_starting"}
    assert keeper.car().executed == []


async def test_no_connection_means_nothing_was_sent(hass: HomeAssistant, keeper: Keeper) -> None:
    await keeper.tesla.stop()
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    assert await refusal(hass.services.async_call("button", "press", honk, blocking=True)) == "command_not_sent"


async def test_an_answer_that_says_nothing_is_uncertain(hass: HomeAssistant, keeper: Keeper) -> None:
    keeper.car().signing = "off"
    honk = {"entity_id": "button.roadrunner_honk_horn"}
    await hass.services.async_call("button", "press", honk, blocking=True)
    keeper.tesla.control.fault(path="*/honk_horn", kind="status", status=200, body={"response": None})
    assert await refusal(hass.services.async_call("button", "press", honk, blocking=True)) == "command_uncertain"
    assert len(keeper.car().executed) == 2


@pytest.mark.parametrize("signing", ["required", "off"])
async def test_no_pin_reaches_a_log(
    hass: HomeAssistant, keeper: Keeper, caplog: pytest.LogCaptureFixture, signing: str
) -> None:
    """With debug logging of the library and of Home Assistant's own client on; signed payloads are readable as well."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "tesla_fleet_api")
    keeper.car().signing = signing
    target = device(hass, keeper, ANNAS_MODEL_3)
    caplog.clear()
    await hass.services.async_call(
        "teslafi", "pin_to_drive", {"device_id": target, "enable": True, "pin": "7391"}, blocking=True
    )
    assert keeper.car().pins["drive"] == "7391"
    ours = [record for record in caplog.records if record.name.startswith(("tesla_fleet_api", "custom_components"))]
    # Tesla's identifiers and ports have digits of their own
    said = "\n".join(re.sub(r"TXID: [0-9a-f]{32}$|:\d+/", "", record.getMessage()) for record in ours)
    assert "Left out by TeslaFi" in said
    assert "7391" not in said
    assert "routable_message" not in said
