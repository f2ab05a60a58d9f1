"""What a press shows: at once what is under way, in the end what came of it; and the line that tells of it."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Context, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_load_integrations
from hypothesis import given, strategies as st
import pytest

import custom_components.teslafi
from custom_components.teslafi import logbook
from custom_components.teslafi.const import DOMAIN, EVENT_COMMAND
from custom_components.teslafi.controls.commands import COMMANDS, SITE_COMMANDS, WAKE
from custom_components.teslafi.controls.gate import GateShut, Lock
from custom_components.teslafi.controls.record import Result
from custom_components.teslafi.controls.sentences import sentence
from custom_components.teslafi.tesla import errors
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.integration.test_errors import every_error
from tests.translations import translations

from .keeper import Keeper

ROOT: Final = Path(custom_components.teslafi.__file__).parent


class Traces:
    """The states that entities went through, each once as long as it did not change."""

    def __init__(self, hass: HomeAssistant, *entities: str) -> None:
        """Begin with the state of now."""
        self.of = {entity: [self._now(hass, entity)] for entity in entities}
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._changed)

    @staticmethod
    def _now(hass: HomeAssistant, entity: str) -> str:
        state = hass.states.get(entity)
        assert state is not None, entity
        return state.state

    @callback
    def _changed(self, event: Event[EventStateChangedData]) -> None:
        trace, new = self.of.get(event.data["entity_id"]), event.data["new_state"]
        if trace is not None and new is not None and trace[-1] != new.state:
            trace.append(new.state)


@pytest.fixture
def at_gate(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Look at what is shown at the moment at which a command reaches the gate, before anything is asked of anybody."""
    gate = keeper.controls.gate

    def look(looked: Callable[[], None]) -> None:
        for name in ("command", "command_site"):
            real = getattr(gate, name)

            def command(*args: object, real: Callable[..., object] = real, **kwargs: object) -> object:
                looked()
                return real(*args, **kwargs)

            monkeypatch.setattr(gate, name, command)

    return look


WINDOWS_CLOSED: Final = {f"vehicle_state.{side}_window": 0 for side in ("fd", "fp", "rd", "rp")}
SHOWN: Final[list[tuple[str, str, dict[str, Any], dict[str, Any], str, str, str]]] = [
    # service, entity, data, the car before -> shown before, under way, in the end
    ("lock.unlock", "lock.roadrunner_door_lock", {}, {}, "locked", "unlocking", "unlocked"),
    ("lock.lock", "lock.roadrunner_door_lock", {}, {"vehicle_state.locked": False}, "unlocked", "locking", "locked"),
    ("cover.open_cover", "cover.roadrunner_frunk", {}, {"vehicle_state.ft": 0}, "closed", "opening", "open"),
    ("cover.close_cover", "cover.roadrunner_trunk", {}, {"vehicle_state.rt": 1}, "open", "closing", "closed"),
    ("cover.open_cover", "cover.roadrunner_windows", {}, WINDOWS_CLOSED, "closed", "opening", "open"),
    ("number.set_value", "number.roadrunner_charge_limit", {"value": 66}, {"charge_state.charge_limit_soc": 80},
     "80", "66", "66"),
    ("switch.turn_on", "switch.roadrunner_sentry_mode", {},
     {"vehicle_state.sentry_mode": False, "vehicle_state.sentry_mode_available": True}, "off", "on", "on"),
    ("climate.turn_on", "climate.roadrunner_climate", {}, {"climate_state.is_climate_on": False},
     "off", "heat_cool", "heat_cool"),
    ("select.select_option", "select.roadrunner_seat_heater_front_left", {"option": "high"},
     {"climate_state.is_climate_on": False, "climate_state.seat_heater_left": 0}, "off", "high", "high"),
    ("media_player.media_next_track", "media_player.roadrunner_media", {},
     {"vehicle_state.media_info.media_playback_status": "Playing"}, "playing", "buffering", "playing"),
]  # fmt: skip


async def test_a_press_shows_itself_before_anybody_is_asked_and_ends_truly(
    hass: HomeAssistant, keeper: Keeper, at_gate: Callable[[Callable[[], None]], None], subtests: pytest.Subtests
) -> None:
    """Each row twice: the car does it; and the car does not, which puts the old state back."""
    shown: list[str] = []
    at_gate(lambda: shown.append(Traces._now(hass, looked_at)))  # noqa: SLF001
    for service, entity, data, before, *wanted in SHOWN:
        looked_at = entity
        for refused in (False, True):
            with subtests.test(f"{service} {entity}", refused=refused):
                keeper.tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.locked": True, **before})
                await look(keeper)
                keeper.controls.gate._sent.clear()  # noqa: SLF001 - more than thirty in a minute
                traces = Traces(hass, entity)
                shown.clear()
                domain, action = service.split(".")
                call = hass.services.async_call(domain, action, {"entity_id": entity, **data}, blocking=True)
                if refused:
                    keeper.tesla.control.unpair(ANNAS_MODEL_3)
                    with pytest.raises(HomeAssistantError) as caught:
                        await call
                    keeper.tesla.control.pair(ANNAS_MODEL_3, "teslafi-controls")
                    assert caught.value.translation_key == "key_not_paired"
                else:
                    await call
                assert shown[0] == wanted[1], "not shown before the gate"
                steps = [wanted[0], wanted[1], wanted[0] if refused else wanted[2]]
                assert traces.of[entity] == [step for at, step in enumerate(steps) if not at or steps[at - 1] != step]


async def look(keeper: Keeper) -> None:
    """Have Home Assistant see the car as it is prepared, however often it was looked at in this minute."""
    keeper.tesla.state.recent.clear()
    vehicle = keeper.entry.runtime_data.vehicles[ANNAS_MODEL_3]
    vehicle._memory = type(vehicle._memory).from_json({}, vehicle._moment(), "model_3")  # noqa: SLF001
    vehicle.want_look()
    await vehicle.async_refresh()
    await keeper.hass.async_block_till_done(wait_background_tasks=True)


async def test_a_sleeping_car_is_shown_waking(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock says at once that it unlocks, the car that it wakes; neither says more than is known."""
    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None

    async def sleep(_seconds: float) -> None:
        keeper.car().wake()

    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    await look(keeper)
    traces = Traces(hass, "sensor.roadrunner_car_state", "lock.roadrunner_door_lock")
    await keeper.unlock()
    assert traces.of == {
        "sensor.roadrunner_car_state": ["asleep", "waking", "online"],
        "lock.roadrunner_door_lock": ["locked", "unlocking", "unlocked"],
    }


async def test_a_car_known_asleep_is_shown_waking_before_anybody_is_asked(
    hass: HomeAssistant, keeper: Keeper, at_gate: Callable[[Callable[[], None]], None]
) -> None:
    """Also where it has woken meanwhile: then it was awake all along. Back to asleep where nothing was sent."""
    state = "sensor.roadrunner_car_state"
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    await look(keeper)
    shown: list[str] = []
    at_gate(lambda: shown.append(Traces._now(hass, state)))  # noqa: SLF001
    traces = Traces(hass, state)
    keeper.tesla.control.fault(path="*/command/*", kind="status", status=403, times=None)
    keeper.tesla.control.fault(path="*/signed_command", kind="status", status=403, times=None)
    with pytest.raises(HomeAssistantError):
        await keeper.unlock()
    keeper.tesla.control.clear_faults()
    assert (shown, traces.of[state]) == (["waking"], ["asleep", "waking", "asleep"])
    keeper.car().wake()
    await keeper.unlock()
    assert (shown, traces.of[state][2:]) == (["waking"] * 2, ["asleep", "waking", "online"])


async def test_a_car_out_of_reach_is_not_said_to_wake(
    hass: HomeAssistant, keeper: Keeper, at_gate: Callable[[Callable[[], None]], None]
) -> None:
    keeper.tesla.control.offline(ANNAS_MODEL_3)
    await look(keeper)
    shown: list[str] = []
    at_gate(lambda: shown.append(Traces._now(hass, "sensor.roadrunner_car_state")))  # noqa: SLF001
    keeper.tesla.control.fault(path="*/wake_up", kind="status", status=403)
    with pytest.raises(HomeAssistantError):
        await keeper.unlock()
    assert shown == ["offline"]


async def test_a_car_that_does_not_wake_is_asleep_again_and_locked(
    hass: HomeAssistant, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = keeper.controls.gate._open  # noqa: SLF001
    assert opened is not None

    async def sleep(_seconds: float) -> None:
        keeper.car().wakes_at = None

    monkeypatch.setattr(opened.commander, "_sleep", sleep)
    keeper.tesla.control.sleep(ANNAS_MODEL_3)
    await look(keeper)
    traces = Traces(hass, "sensor.roadrunner_car_state", "lock.roadrunner_door_lock")
    with pytest.raises(HomeAssistantError) as caught:
        await keeper.unlock()
    assert caught.value.translation_key == "vehicle_not_awake"
    assert traces.of == {
        "sensor.roadrunner_car_state": ["asleep", "waking", "asleep"],
        "lock.roadrunner_door_lock": ["locked", "unlocking", "locked"],
    }


SITE: Final[list[tuple[str, str, dict[str, Any], str]]] = [
    ("number.set_value", "number.anna_s_home_backup_reserve", {"value": 33}, "33"),
    ("select.select_option", "select.anna_s_home_operation_mode", {"option": "autonomous"}, "autonomous"),
    ("switch.turn_off", "switch.anna_s_home_storm_watch", {}, "off"),
]


async def test_an_energy_site_shows_it_too_and_puts_it_back(
    hass: HomeAssistant, keeper: Keeper, at_gate: Callable[[Callable[[], None]], None], subtests: pytest.Subtests
) -> None:
    shown: list[str] = []
    at_gate(lambda: shown.append(Traces._now(hass, looked_at)))  # noqa: SLF001
    for service, entity, data, wanted in SITE:
        looked_at = entity
        domain, action = service.split(".")
        for refused in (True, False):
            with subtests.test(entity, refused=refused):
                if refused:
                    keeper.tesla.control.fault(path="*/energy_sites/*", method="POST", kind="status", status=503)
                traces = Traces(hass, entity)
                before = traces.of[entity][0]
                assert before != wanted
                shown.clear()
                call = hass.services.async_call(domain, action, {"entity_id": entity, **data}, blocking=True)
                if refused:
                    with pytest.raises(HomeAssistantError):
                        await call
                else:
                    await call
                await hass.async_block_till_done(wait_background_tasks=True)
                assert shown == [wanted]
                assert traces.of[entity] == [before, wanted, *([before] if refused else [])]


def described(hass: HomeAssistant, event: Event[Any]) -> dict[str, Any]:
    """Return what Home Assistant's activity shows of an event."""
    describe: dict[str, Callable[[Event[Any]], dict[str, Any]]] = {}
    logbook.async_describe_events(hass, lambda _, kind, how: describe.update({kind: how}))
    return describe[EVENT_COMMAND](event)


@pytest.mark.parametrize(
    ("language", "refused", "done"),
    [("en", "Unlock doors \N{EN DASH} refused: not paired", "Set charge limit"),
     ("de", "Türen entriegeln \N{EN DASH} abgelehnt: nicht gekoppelt", "Ladelimit einstellen")],
)  # fmt: skip
async def test_the_activity_tells_in_words_what_became_of_a_command_and_who_sent_it(
    hass: HomeAssistant, keeper: Keeper, language: str, refused: str, done: str
) -> None:
    hass.config.language = language
    await async_load_integrations(hass, {DOMAIN})
    events: list[Event[Any]] = []
    hass.bus.async_listen(EVENT_COMMAND, callback(lambda event: events.append(event)))  # noqa: PLW0108 - a mark is set
    user = await hass.auth.async_create_user("Pia")
    keeper.tesla.control.unpair(ANNAS_MODEL_3)
    pressed = Context(user_id=user.id)
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(
            "lock", "unlock", {"entity_id": "lock.roadrunner_door_lock"}, blocking=True, context=pressed
        )
    keeper.tesla.control.pair(ANNAS_MODEL_3, "teslafi-controls")
    limit = {"entity_id": "number.roadrunner_charge_limit", "value": 66}
    await hass.services.async_call("number", "set_value", limit, blocking=True)
    assert [described(hass, event)["message"] for event in events] == [refused, done]
    assert {described(hass, event)["name"] for event in events} == {"Roadrunner"}
    assert events[0].context is pressed, "Home Assistant writes who it was"
    assert events[0].data["user"] == "Pia"
    action = {"device_id": events[0].data["device_id"]}
    await hass.services.async_call(DOMAIN, "reset_valet_pin", action, blocking=True)
    named = [event.data["entity_id"] for event in events]
    assert named == ["lock.roadrunner_door_lock", "number.roadrunner_charge_limit", "sensor.roadrunner_car_state"], (
        "Home Assistant's activity page looks for a device's lines by its entities"
    )
    event = er.async_get(hass).async_get("event.roadrunner_commands")
    assert event is not None
    assert event.disabled, "one line for each command"


def words(kind: str) -> set[str]:
    """Return the keys of a kind of words; that German has the same is tested with all translations."""
    return set(translations()["selector"][kind]["options"])


def test_every_command_and_result_has_its_words() -> None:
    assert words("command") == {*COMMANDS, *SITE_COMMANDS, WAKE}
    assert words("result") == {result.value for result in Result}


def keys_in_code() -> set[str]:
    """Return the keys of the sentences that the code refuses commands with, besides Tesla's."""
    found = set()
    for path in (*ROOT.glob("controls/*.py"),):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "Forbidden" and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
                if node.func.id == "ServiceValidationError":
                    found |= {
                        str(word.value.value)
                        for word in node.keywords
                        if word.arg == "translation_key" and isinstance(word.value, ast.Constant)
                    }
    return found


def test_every_reason_has_its_words() -> None:
    """What can be the reason of a record, and nothing else."""
    plain = [kind for kind in every_error() if kind is not errors.CommandRefused]
    of_tesla = {key_of(kind.__new__(kind)) for kind in plain if kind is not errors.SignInRequired}
    of_cars = {key_of(errors.CommandRefused(reason)) for reason in errors.EXPLAINED}
    of_gate = {key_of(GateShut(lock)) for lock in Lock}
    in_code = keys_in_code()
    assert in_code >= {"code_wrong", "budget_reached", "vehicle_not_allowed"}
    # Those that say nothing more than that it went wrong have no words
    silent = {"tesla_error", "tesla_refused"}
    assert words("reason") == (of_tesla | of_cars | of_gate | in_code) - silent


def key_of(error: Exception) -> str:
    """Return the key of the sentence about an error."""
    return str(sentence(error, target="", companion="").translation_key)


@given(st.text())
def test_raw_words_of_a_car_reach_no_sentence(reason: str) -> None:
    said = sentence(errors.refusal(reason), target="Roadrunner", companion="https://companion.example.org")
    assert said.translation_placeholders == {"name": "Roadrunner"}
