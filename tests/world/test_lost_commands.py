"""Answers of commands that are lost, odd or a lie: what is told of a command is what became of it.

`script/chaos integration [ROUNDS]` says how many rounds, from which seed, and prints a line for each.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
import logging
import os
import sys
from typing import Final

import pytest

from custom_components.teslafi.controls import enabled, gate
from custom_components.teslafi.controls.gate import GateContext
from custom_components.teslafi.controls.record import CommandRecord, Result
from custom_components.teslafi.tesla import session
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.integration.conftest import _domains_lead_nowhere  # noqa: F401 - in real time
from tests.integration.controls.conftest import (  # noqa: F401 - fixtures
    _patient,
    companion,
    entry,
    expected_lingering_timers,
    hass,
    hass_config_dir,
    keeper,
    keeper_without_link,
    kept_owner,
    linked,
    load_registries,
    olga,
    settings,
    tesla,
)
from tests.integration.controls.keeper import Keeper
from tests.integration.test_link import link, stack  # noqa: F401 - fixtures

from .presses import UNCERTAIN, CommandRound, Outcome, Press, complaints_about, press_in_trouble

FIRST: Final = int(os.environ.get("TESLAFI_CHAOS_SEED", "1"))
ROUNDS: Final = int(os.environ.get("TESLAFI_CHAOS_ROUNDS", "0"))
SEEDS: Final = range(FIRST, FIRST + ROUNDS) if ROUNDS else range(12, 24)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses pass at once, and presses follow each other as fast as they can."""

    async def sleep(_seconds: float) -> None:
        """Wait no longer."""

    monkeypatch.setattr(enabled, "GateContext", partial(GateContext, sleep=sleep))
    monkeypatch.setattr(gate, "PER_MINUTE", 100_000)
    # A token that dies within minutes is not blamed at first, and here everything happens within seconds
    monkeypatch.setattr(session, "YOUNG", 0.0)


@pytest.fixture
def escaped() -> Iterator[list[str]]:
    """Return what is logged with a traceback, or as an error of Home Assistant's."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ours = record.name.startswith("custom_components.")
            if record.exc_info or (record.levelno >= logging.ERROR and not ours):
                found.append(f"{record.name}: {record.getMessage()}")

    listener = Listener()
    logging.getLogger().addHandler(listener)
    yield found
    logging.getLogger().removeHandler(listener)


@pytest.mark.slow
@pytest.mark.usefixtures("_quick")
async def test_what_is_told_is_what_became_of_it(keeper: Keeper, escaped: list[str]) -> None:  # noqa: F811 - fixture
    """One car takes signed commands, the other has never heard of signatures."""
    keeper.car(ANNAS_MODEL_Y).signing = "off"
    complaints: list[str] = []
    tally: Counter[str] = Counter()
    for seed in SEEDS:
        lived = await press_in_trouble(keeper, seed)
        lived.complaints += [f"escaped: {text}" for text in escaped]
        escaped.clear()
        complaints += [f"seed {seed}: {complaint}" for complaint in lived.complaints]
        tally += lived.tally
        if ROUNDS:
            tell(lived)
    if ROUNDS:
        sys.stdout.write(f"\n{ROUNDS} rounds of commands: {dict(tally)}; {len(complaints)} complaints\n")
    assert complaints == []
    assert tally["lost"] >= len(SEEDS) / 12, "hardly an answer was lost: the rounds are too kind to find anything"
    assert tally["succeeded"] >= len(SEEDS) / 12


def test_what_goes_wrong_is_noticed() -> None:
    """Each thing that a press is held to: with it there is one complaint at least, without none."""
    press = Press("lock.unlock", "lock.x_door_lock", ANNAS_MODEL_3, "door_unlock")
    record = CommandRecord(None, "", ANNAS_MODEL_3, "door_unlock")  # type: ignore[arg-type] # no moment
    good = Outcome(press, "", 1, [record])
    lost = Outcome(press, UNCERTAIN, 1, [replace(record, result=Result.UNCERTAIN)])
    refused = Outcome(press, "vehicle_busy", 0, [replace(record, result=Result.FAILED)])
    for fine in (good, lost, refused, replace(lost, done=0), Outcome(press, "", 0, [])):
        assert complaints_about(fine) == []
    for wrong in (
        replace(good, done=0),
        replace(good, done=2),
        replace(lost, done=2),
        replace(refused, done=1),
        replace(lost, records=[]),
        replace(lost, records=[record]),
        replace(refused, records=[record]),
        replace(good, records=lost.records),
    ):
        assert complaints_about(wrong) != []


def tell(lived: CommandRound) -> None:
    """Print what came of a round."""
    troubles = "; ".join(trouble.name for trouble in lived.troubles)
    sys.stdout.write(f"\nseed {lived.seed}: {troubles}\n  {dict(lived.tally)}\n")
    for complaint in lived.complaints:
        sys.stdout.write(f"  COMPLAINT: {complaint}\n")
