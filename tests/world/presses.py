"""One round of commands: troubles at what a press of a button meets, drawn from a seed, and what became of each press.

Each press is held against the simulator's own notes: success means that the car did it, once; an error that is not
"uncertain" means that it did not; nothing is ever carried out twice.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from random import Random
from typing import Any, Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]

from custom_components.teslafi.controls.record import CommandRecord, Result
from custom_components.teslafi.controls.sender import LOOK_AFTER
from teslafi_simulators.tesla.cars.car import State
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ANNAS_SITE
from tests.integration.controls.keeper import Keeper

from .troubles import COMMANDS, Trouble, drawn

PRESSES: Final = 4
NAMES: Final = {ANNAS_MODEL_3: "roadrunner", ANNAS_MODEL_Y: "snowball"}
UNCERTAIN: Final = "command_uncertain"


@dataclass(frozen=True, slots=True)
class Press:
    """A press: what is called, at which car or site, and by which name the simulator notes it."""

    service: str
    entity_id: str
    target: str
    command: str
    data: dict[str, Any] = field(default_factory=dict)

    def done(self, keeper: Keeper) -> int:
        """Return how often the simulator has carried it out."""
        if self.target == str(ANNAS_SITE):
            return int(keeper.tesla.state.sites[ANNAS_SITE].reserve == self.data["value"])
        return keeper.tesla.control.executed(self.target).count(self.command)


def pressed(random: Random, reserve: float) -> Press:
    """Draw a press; a site's new reserve differs from its present one, so that it shows whether it was set."""
    if random.random() < 0.2:
        value = {"value": random.choice([percent for percent in range(1, 100) if percent != reserve])}
        return Press("number.set_value", "number.anna_s_home_backup_reserve", str(ANNAS_SITE), "backup", value)
    vin, name = random.choice(sorted(NAMES.items()))
    service, entity, command = random.choice(
        (
            ("lock.unlock", f"lock.{name}_door_lock", "door_unlock"),
            ("lock.lock", f"lock.{name}_door_lock", "door_lock"),
            ("button.press", f"button.{name}_honk_horn", "honk_horn"),
            ("button.press", f"button.{name}_flash_lights", "flash_lights"),
            ("climate.turn_on", f"climate.{name}_climate", "auto_conditioning_start"),
        )
    )
    return Press(service, entity, vin, command)


@dataclass
class Outcome:
    """What a press came to: the sentence's key ("" for success), how often it was done, the records that tell of it."""

    press: Press
    key: str
    done: int
    records: list[CommandRecord]
    exchanges: int = 0
    """How many requests Tesla had seen when it was told."""


@dataclass
class CommandRound:
    """What was drawn, what came of each press, and what is wrong with it."""

    seed: int
    troubles: list[Trouble]
    outcomes: list[Outcome] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def tally(self) -> Counter[str]:
        """Count presses by outcome; `lost` are those that were carried out while the answer said so to nobody."""
        found = Counter(outcome.key or "succeeded" for outcome in self.outcomes)
        found["lost"] = sum(outcome.key == UNCERTAIN and outcome.done > 0 for outcome in self.outcomes)
        return found


async def press_in_trouble(keeper: Keeper, seed: int) -> CommandRound:
    """Live through a round: a restart, sleep or dead tokens may come between two presses."""
    random = Random(f"lost commands {seed}")  # noqa: S311 - a test's dice
    lived = CommandRound(seed, drawn(random, endpoints=COMMANDS))
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        keeper.tesla.control.wake(vin)
    for trouble in lived.troubles:
        trouble.order(keeper.tesla.control)
    for _ in range(PRESSES):
        await _something_else(keeper, random)
        lived.outcomes.append(await _press(keeper, pressed(random, keeper.tesla.state.sites[ANNAS_SITE].reserve)))
    keeper.tesla.control.clear_faults()
    for outcome in lived.outcomes:
        lived.complaints += complaints_about(outcome)
    lived.complaints += await _afterwards(keeper, lived)
    return lived


async def _something_else(keeper: Keeper, random: Random) -> None:
    # Tesla's minute and its limit of commands
    keeper.tesla.state.recent.clear()
    dice = random.random()
    if dice < 0.1:
        await keeper.hass.config_entries.async_reload(keeper.entry.entry_id)
        await keeper.hass.async_block_till_done(wait_background_tasks=True)
    elif dice < 0.25:
        keeper.tesla.control.expire_access_tokens("anna@example.com")
    elif dice < 0.4:
        keeper.tesla.control.sleep(random.choice((ANNAS_MODEL_3, ANNAS_MODEL_Y)))
    elif dice < 0.5:
        keeper.tesla.control.reboot(random.choice((ANNAS_MODEL_3, ANNAS_MODEL_Y)))


async def _press(keeper: Keeper, press: Press) -> Outcome:
    records: list[CommandRecord] = []
    stop: Callable[[], None] = lambda: None  # noqa: E731 - there may be no controls at the moment
    if (controls := keeper.entry.runtime_data.controls) is not None:
        stop = controls.sender.async_on_command(press.target, callback(lambda record: records.append(record)))  # noqa: PLW0108 - a builtin cannot be marked
    before = press.done(keeper)
    domain, _, service = press.service.partition(".")
    key = ""
    try:
        await keeper.hass.services.async_call(
            domain, service, {"entity_id": press.entity_id, **press.data}, blocking=True
        )
    except HomeAssistantError as error:
        key = error.translation_key or type(error).__name__
    stop()
    return Outcome(press, key, press.done(keeper) - before, records, len(keeper.tesla.control.exchanges()))


def complaints_about(outcome: Outcome) -> list[str]:
    """Return what is wrong with the way in which a press was told."""
    told = f"{outcome.press.command} at {outcome.press.target[-6:]}: {outcome.key or 'succeeded'}"
    found = []
    if outcome.done > 1:
        found.append(f"{told}, carried out {outcome.done} times")
    if not outcome.key and outcome.records and outcome.done != 1:
        found.append(f"{told}, carried out {outcome.done} times")
    if outcome.key and outcome.key != UNCERTAIN and outcome.done:
        found.append(f"{told}, and was carried out")
    if outcome.done and len(outcome.records) != 1:
        found.append(f"{told}, with {len(outcome.records)} records")
    wrong = {record.result for record in outcome.records} - _results(outcome.key)
    return found + [f"{told}, recorded as {result}" for result in wrong]


def _results(key: str) -> set[Result]:
    """Return what a record may say of a press with this sentence."""
    if not key:
        return {Result.SUCCEEDED}
    return {Result.UNCERTAIN} if key == UNCERTAIN else {Result.REFUSED, Result.FAILED, Result.LOCKED}


async def _afterwards(keeper: Keeper, lived: CommandRound) -> list[str]:
    """Say what is wrong after an uncertain command: the car is asked in a moment, and shown as it answers."""
    begun = {outcome.press.target: outcome.exchanges for outcome in lived.outcomes if outcome.key == UNCERTAIN}
    # Home Assistant keeps ten seconds between two refreshes that somebody asked for
    for seconds in (LOOK_AFTER + 2, LOOK_AFTER + 15):
        async_fire_time_changed(keeper.hass, dt_util.utcnow() + timedelta(seconds=seconds))
        await keeper.hass.async_block_till_done(wait_background_tasks=True)
    if any(trouble.endpoint in {"vehicles", "anything"} for trouble in lived.troubles):
        # What watches was struck as well, and waits
        return []
    exchanges = keeper.tesla.control.exchanges()
    found = []
    for vin, name in NAMES.items():
        asked = [exchange for exchange in exchanges[begun.get(vin, 0) :] if exchange.vin == vin]
        sleeps = keeper.car(vin).state is not State.ONLINE
        if vin in begun and not asked and not sleeps and not _waits_to_be_looked_at(keeper, vin):
            found.append(f"{vin[-6:]} was not looked at after an uncertain command")
        read = any(exchange.category == "data" and exchange.status == HTTPStatus.OK for exchange in asked)
        locked = keeper.car(vin).data["vehicle_state"]["locked"]
        shown = keeper.hass.states.get(f"lock.{name}_door_lock")
        if vin in begun and read and (shown is None or shown.state != ("locked" if locked else "unlocked")):
            found.append(f"lock.{name}_doors is {shown and shown.state}, and the car's is {locked}")
    return found


def _waits_to_be_looked_at(keeper: Keeper, vin: str) -> bool:
    """Say whether a look is due, and waits for what an earlier round's trouble made it wait for."""
    polling = keeper.entry.runtime_data.vehicles[vin].polling
    return bool(polling.wanted or polling.data_at is None)
