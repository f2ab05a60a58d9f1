"""docs/polling.md tells the rule's own numbers and names."""

from pathlib import Path
from typing import Final

from custom_components.teslafi.polling import rule
from custom_components.teslafi.polling.learnt import DEPARTURES_KEPT, PLACES_KEPT, SLEEPS_KEPT, WEEKS_REMEMBERED
from custom_components.teslafi.polling.observation import Reason
from custom_components.teslafi.polling.pace import PACES, Mode
from tests.translations import translations

ROOT: Final = Path(__file__).parents[3]
DOCUMENT: Final = (ROOT / "docs/polling.md").read_text("utf-8")
BALANCED: Final = PACES[Mode.BALANCED]


def test_the_picture_shows_the_times_of_balanced() -> None:
    """Each state of the picture with the pace's own seconds."""
    lingering = f"{BALANCED.lingering / 60:.0f} to {BALANCED.lingering_night / 60:.0f} min"
    for state in (
        f"Asleep: Asleep or offline, state each {BALANCED.state_resting:.0f} s, no looks",
        f"Woken: Just woken, one look, one more after {BALANCED.follow_up:.0f} s",
        f"Attended: Someone is there, look each {BALANCED.follow_up:.0f} s, later less often",
        f"Driving: Driving, look each {BALANCED.driving:.0f} s, sooner at the expected arrival",
        f"look each {BALANCED.charging / 60:.0f} min (fast charging {BALANCED.fast_charging:.0f} s)",
        f"up to {BALANCED.plug_in_looks} looks for a cable, {rule.PLUGGED_IN:.0f} s apart",
        f"Stop: Short stop likely, look each {BALANCED.stop:.0f} s",
        f"Silent: Silence, state each {BALANCED.state_awake:.0f} s, no looks",
        f"look each {BALANCED.departing:.0f} s when it usually leaves, else each {lingering}",
    ):
        assert state in DOCUMENT


def test_it_says_how_long_an_answer_counts() -> None:
    """Before a look, for a car at rest and for one that drives or charges."""
    assert f"within the last {rule.FRESH:.0f} seconds, or {rule.FRESH_ON_THE_MOVE:.0f} seconds while" in DOCUMENT


def test_every_state_of_the_picture_is_left_and_reached() -> None:
    """No arrow from or to a state that the picture does not name."""
    picture = DOCUMENT.split("```mermaid")[1].split("```")[0].splitlines()
    named = {line.split(":")[0].strip() for line in picture if ":" in line and "-->" not in line}
    arrows = [line.split(":")[0].split("-->") for line in picture if "-->" in line]
    assert {start.strip() for start, _ in arrows} == {end.strip() for _, end in arrows} == named


def test_every_state_of_the_sensors_is_explained() -> None:
    """By the name that the owner reads."""
    sensors = translations()["entity"]["sensor"]
    unforced = {key: name for key, name in sensors["awake_because"]["state"].items() if key not in {*Reason}}
    assert len(unforced) > 4
    for name in unforced.values():
        assert f"| {name} |" in DOCUMENT
    for name in sensors["polling"]["state"].values():
        assert f"| {name} |" in DOCUMENT


def test_what_is_kept_is_bounded_as_told() -> None:
    """The numbers of the list."""
    assert f"the last {SLEEPS_KEPT} times" in DOCUMENT
    assert f"the last {PLACES_KEPT} places" in DOCUMENT
    assert {5: "for five weeks"}[WEEKS_REMEMBERED] in DOCUMENT
    assert DEPARTURES_KEPT < 200
