"""The polling rule case by case: what it says to the second, and what it remembers of each answer.

The other tests of the rule let cars live; these hold its numbers and its edges.
"""

from copy import replace
from typing import Any, Final

import pytest

from custom_components.teslafi.polling import rule
from custom_components.teslafi.polling.backoff import Backoff, Trouble
from custom_components.teslafi.polling.learnt import WEEK, Kind, Learnt, Place
from custom_components.teslafi.polling.observation import Observation, Reason
from custom_components.teslafi.polling.pace import Mode, Step, pace_of
from custom_components.teslafi.polling.rule import Ask, Moment, PollingState, Request, Unforced, Why

T: Final = 100_000.0
"""Now, by the monotonic clock."""
WALL: Final = 1_795_000_000.0
NOON, NIGHT, MORNING = 5 * WEEK + 720, 5 * WEEK + 120, 5 * WEEK + 450
"""Local minutes of a Monday; in the morning the car leaves."""
NEVER: Final = float("-inf")
HOME, SHOP = (50.0, 8.0), (50.1, 8.1)
WEEKDAYS: Final = tuple(week * WEEK + day * 1440 + 450 for week in range(5) for day in range(5))
LEAVES: Final = Learnt(departures=WEEKDAYS, since=WEEKDAYS[0])
LONG_STOPS: Final = Learnt(places=(Place(*HOME, 10.0, 0.0, 0.0),))
FAR_DRIVES: Final = Learnt(places=(Place(*HOME, 1.0, 0.0, 0.0, (600.0, 400.0, 500.0, 450.0)),))


def saw(*reasons: Reason, **more: Any) -> Observation:  # noqa: ANN401 - an observation's values
    """Return what a look saw."""
    return Observation(frozenset(reasons), **more)


def car(observed: Observation | None = None, **more: Any) -> PollingState:  # noqa: ANN401 - a state's values
    """Return a car that was looked at now, for the fifth time since it woke."""
    known: dict[str, Any] = {"online": True, "state_at": T, "turned_at": T - 5000, "data_at": T, "looks": 5}
    return PollingState(observed=observed or Observation(), **(known | more))


def look(
    polling: PollingState, minute: int = NOON, mode: Mode = Mode.BALANCED, step: Step = Step.FULL
) -> tuple[float, Why]:
    """Return in how many seconds the next look is due, and why."""
    at, why = rule._look(polling, Moment(T, WALL, minute), pace_of(mode, step))  # noqa: SLF001 - the state's come between
    return at - T, why


DRIVING = saw(Reason.DRIVING)
CHARGING = saw(Reason.CHARGING)
FAST = saw(Reason.CHARGING, fast=True)
PRESENT = saw(Reason.USER_PRESENT)
SENTRY = saw(Reason.SENTRY)
PARKED: Final[dict[str, Any]] = {"parked_at": T - 60, "parked_place": HOME}


@pytest.mark.parametrize(
    ("polling", "seconds", "why"),
    [
        # On the road
        (car(DRIVING), 110, Why.DRIVING),
        (car(replace(DRIVING, arrival=181.0)), 180, Why.DRIVING),
        (car(replace(DRIVING, arrival=180.0)), 110, Why.DRIVING),
        (car(replace(DRIVING, arrival=50.0)), 65, Why.DRIVING),
        (car(replace(DRIVING, arrival=10.0)), 45, Why.DRIVING),
        (car(replace(DRIVING, arrival=10.0), overdue=1), 67.5, Why.DRIVING),
        (car(replace(DRIVING, arrival=10.0), overdue=2), 101.25, Why.DRIVING),
        (car(replace(DRIVING, arrival=10.0), overdue=3), 110, Why.DRIVING),
        (car(DRIVING, learnt=FAR_DRIVES, parked_place=HOME, departed_at=T - 179), 180, Why.DRIVING),
        (car(DRIVING, learnt=FAR_DRIVES, parked_place=HOME, departed_at=T - 180), 110, Why.DRIVING),
        (car(DRIVING, learnt=FAR_DRIVES, parked_place=HOME), 110, Why.DRIVING),
        (car(DRIVING, learnt=FAR_DRIVES, parked_place=SHOP, departed_at=T), 110, Why.DRIVING),
        # At the charger
        (car(CHARGING), 900, Why.CHARGING),
        (car(replace(CHARGING, charge_left=10_000.0)), 1800, Why.CHARGING),
        (car(replace(CHARGING, charge_left=500.0)), 515, Why.CHARGING),
        (car(replace(CHARGING, charge_left=10.0)), 45, Why.CHARGING),
        (car(replace(CHARGING, charge_left=10.0), overdue=2), 101.25, Why.CHARGING),
        (car(FAST), 90, Why.CHARGING),
        (car(replace(FAST, charge_left=10_000.0)), 90, Why.CHARGING),
        # With somebody in it
        (car(PRESENT), 30, Why.ATTENDED),
        (car(saw(open=True)), 30, Why.ATTENDED),
        (car(PRESENT, reasons_since=T - 300), 30, Why.ATTENDED),
        (car(PRESENT, reasons_since=T - 301), 60, Why.ATTENDED),
        (car(PRESENT, reasons_since=T - 1500), 60, Why.ATTENDED),
        (car(PRESENT, reasons_since=T - 1501), 900, Why.ATTENDED),
        (car(PRESENT, parked_at=T - 5000), 55, Why.ATTENDED),
        (car(PRESENT, parked_at=T - 5001), 30, Why.ATTENDED),
        (car(PRESENT, parked_at=0.0, turned_at=None), 55, Why.ATTENDED),
        (car(PRESENT, expecting_until=T + 1), 30, Why.ATTENDED),
        # Something was hinted at, or a charge should have begun
        (car(expecting_until=T + 1), 30, Why.HINT),
        (car(expecting_until=T), 900, Why.NO_SLEEP),
        (car(charge_starts_at=T), 15, Why.CHARGING),
        (car(charge_starts_at=T - 300), 30, Why.HINT),
        (car(charge_starts_at=T - 301), 900, Why.NO_SLEEP),
        (car(charge_starts_at=T + 100), 115, Why.CHARGING),
        (car(charge_starts_at=T - 5, expecting_until=T), 10, Why.CHARGING),
        (car(charge_starts_at=T - 15), 30, Why.HINT),
        (car(charge_starts_at=T + 885), 900, Why.NO_SLEEP),
        (car(charge_starts_at=T + 884), 899, Why.CHARGING),
        # The climate runs
        (car(saw(Reason.PRECONDITIONING)), 60, Why.PREPARING),
        (car(saw(Reason.CLIMATE), reasons_since=T - 2700), 60, Why.PREPARING),
        (car(saw(Reason.CLIMATE), reasons_since=T - 2701), 900, Why.PREPARING),
        (car(saw(Reason.CLIMATE, Reason.CLIMATE_KEEPER)), 900, Why.LINGERING),
        # Somebody has just left it, and may plug it in
        (car(**PARKED, empty_looks=1), 60, Why.SHORT_STOP),
        (car(**PARKED, empty_looks=3), 60, Why.SHORT_STOP),
        (car(**PARKED, empty_looks=0), 55, Why.SHORT_STOP),
        (car(**PARKED, empty_looks=4), 55, Why.SHORT_STOP),
        (car(**PARKED, empty_looks=1, learnt=LONG_STOPS), 60, Why.SHORT_STOP),
        (car(**PARKED, empty_looks=2, learnt=LONG_STOPS), 900, Why.NO_SLEEP),
        (car(**PARKED | {"parked_at": T - 5001}, empty_looks=1, learnt=LONG_STOPS), 900, Why.NO_SLEEP),
        (car(saw(plugged=True), **PARKED, empty_looks=1), 60, Why.SHORT_STOP),
        (car(saw(plugged=True), **PARKED, empty_looks=2), 900, Why.NO_SLEEP),
        (car(saw(plugged=True), **PARKED, empty_looks=1, stop_charged=True), 900, Why.NO_SLEEP),
        (car(saw(plugged=True), **PARKED, empty_looks=1, charge_starts_at=T - 400), 900, Why.NO_SLEEP),
        # It stops where stops are short
        (car(**PARKED | {"parked_at": T - 899}), 55, Why.SHORT_STOP),
        (car(**PARKED | {"parked_at": T - 900}), 900, Why.NO_SLEEP),
        (car(**PARKED, learnt=LONG_STOPS), 900, Why.NO_SLEEP),
        # Kept awake by something
        (car(SENTRY), 900, Why.LINGERING),
        (car(SENTRY, learnt=LEAVES), 2400, Why.LINGERING),
        # Just woken, nothing seen
        (car(looks=1), 30, Why.FOLLOW_UP),
        (car(looks=1, active=True), 900, Why.NO_SLEEP),
        (car(looks=2), 900, Why.NO_SLEEP),
        # Silence, longer each time
        (car(silences=1), 1350, Why.NO_SLEEP),
        (car(silences=2), 2025, Why.NO_SLEEP),
        (car(silences=4), 3600, Why.NO_SLEEP),
        (car(kind=Kind.OLDER), 1500, Why.NO_SLEEP),
        (car(learnt=Learnt(sleeps=(540.0,))), 660, Why.NO_SLEEP),
        # Others read it
        (car(silences=2, crowded_at=T), 900, Why.LINGERING),
        (car(silences=2, crowded_at=T, learnt=Learnt(sleeps=(900.0,))), 1080, Why.LINGERING),
        (car(silences=1, crowded_at=T), 1350, Why.NO_SLEEP),
        (car(silences=2, crowded_at=T - 21_600), 900, Why.LINGERING),
        (car(silences=2, crowded_at=T - 21_601), 2025, Why.NO_SLEEP),
        (car(silences=2, learnt=Learnt(sleeps=(540.0,) * 3), longest_silence=676.0), 900, Why.LINGERING),
        (car(silences=2, learnt=Learnt(sleeps=(540.0,) * 3), longest_silence=675.0), 1485, Why.NO_SLEEP),
        (car(silences=2, learnt=Learnt(sleeps=(540.0,) * 2), longest_silence=5000.0), 1485, Why.NO_SLEEP),
        # Just woken, not looked at yet
        (car(data_at=None, turned_at=T - 7), -7, Why.WOKEN),
        (car(data_at=None, turned_at=None), NEVER, Why.WOKEN),
        (car(data_at=None, turned_at=T, check_at=T - 3600), 95, Why.WOKEN),
        (car(data_at=None, turned_at=T, check_at=T - 3801), 0, Why.WOKEN),
        (car(data_at=None, turned_at=T, check_at=T - 3600, expecting_until=T + 1), 0, Why.WOKEN),
        (car(data_at=None, turned_at=T, check_at=T - 3600, expecting_until=T), 95, Why.WOKEN),
        (car(data_at=None, turned_at=None, check_at=T - 3600), NEVER, Why.WOKEN),
        (car(data_at=None, turned_at=T, charge_starts_at=T - 100), 0, Why.WOKEN),
        # Somebody asked
        (car(hint_at=T - 1), -1, Why.HINT),
        (car(hint_at=T + 899), 899, Why.HINT),
        (car(hint_at=T + 900), 900, Why.NO_SLEEP),
    ],
)
def test_when_the_next_look_is_due(polling: PollingState, seconds: float, why: Why) -> None:
    found, reason = look(polling)
    assert found == pytest.approx(seconds)
    assert reason is why


@pytest.mark.parametrize(
    ("polling", "minute", "mode", "step", "seconds"),
    [
        (car(SENTRY), NIGHT, Mode.BALANCED, Step.FULL, 3600),
        (car(SENTRY, learnt=LEAVES), NIGHT, Mode.BALANCED, Step.FULL, 3600),
        (car(SENTRY, learnt=LEAVES), MORNING, Mode.BALANCED, Step.FULL, 60.69),
        (car(SENTRY, learnt=LEAVES), MORNING - 20, Mode.BALANCED, Step.FULL, 307.46),
        (car(SENTRY, learnt=LEAVES), MORNING - 60, Mode.BALANCED, Step.FULL, 900),
        (car(SENTRY, learnt=LEAVES), MORNING - 61, Mode.BALANCED, Step.FULL, 2400),
        (car(SENTRY, learnt=LEAVES), MORNING, Mode.ECONOMY, Step.FULL, 120),
        (car(SENTRY, learnt=LEAVES), MORNING, Mode.ECONOMY, Step.REDUCED, 240),
        (car(SENTRY, learnt=LEAVES), MORNING, Mode.BALANCED, Step.STARTS_AND_ENDS, 1800),
        (car(replace(CHARGING, charge_left=10_000.0), learnt=LEAVES), MORNING, Mode.BALANCED, Step.FULL, 900),
        (car(replace(CHARGING, charge_left=10_000.0), learnt=LEAVES), NOON, Mode.BALANCED, Step.FULL, 1800),
        (car(FAST, learnt=LEAVES), MORNING, Mode.BALANCED, Step.FULL, 90),
        (car(replace(FAST, charge_left=9e4), learnt=LEAVES), MORNING, Mode.BALANCED, Step.STARTS_AND_ENDS, 900),
        (car(silences=2, crowded_at=T, learnt=LEAVES), MORNING, Mode.BALANCED, Step.FULL, 60.69),
        (car(silences=2, crowded_at=T, learnt=LEAVES), NOON, Mode.BALANCED, Step.FULL, 2400),
        (car(**PARKED), NOON, Mode.BALANCED, Step.STARTS_AND_ENDS, 900),
        (car(**PARKED | {"parked_at": T - 239}), NOON, Mode.ECONOMY, Step.FULL, 120),
        (car(**PARKED | {"parked_at": T - 240}), NOON, Mode.ECONOMY, Step.FULL, 900),
    ],
)
def test_what_hour_mode_and_budget_change(
    polling: PollingState, minute: int, mode: Mode, step: Step, seconds: float
) -> None:
    assert look(polling, minute, mode, step)[0] == pytest.approx(seconds, abs=0.01)


ASKED_OFTEN: Final = tuple(T - 59 + second for second in range(12))
LOOKED_OFTEN: Final = tuple(T - 59 + second for second in range(6))
WAITING: Final = Backoff(1, 1, T + 500, Trouble.REFUSED)
LIMITED: Final = Backoff(1, 1, T + 500, Trouble.RATE_LIMITED)


@pytest.mark.parametrize(
    ("polling", "step", "request_"),
    [
        (PollingState(), Step.FULL, Request(Ask.STATE, NEVER, Why.STATE)),
        (car(online=False), Step.FULL, Request(Ask.STATE, T + 30, Why.STATE)),
        (car(online=None, state_at=None), Step.FULL, Request(Ask.STATE, NEVER, Why.STATE)),
        (car(), Step.FULL, Request(Ask.STATE, T + 60, Why.STATE)),
        (car(wanted=True), Step.FULL, Request(Ask.STATE, NEVER, Why.STATE)),
        (car(wanted=True, states_asked=ASKED_OFTEN), Step.FULL, Request(Ask.STATE, T + 1, Why.STATE)),
        (car(wanted=True, states_asked=ASKED_OFTEN[1:]), Step.FULL, Request(Ask.STATE, NEVER, Why.STATE)),
        (car(wanted=True, state_backoff=WAITING), Step.FULL, Request(Ask.STATE, T + 500, Why.STATE)),
        (car(state_backoff=WAITING), Step.FULL, Request(Ask.STATE, T + 500, Why.STATE)),
        # A look before the state's next turn
        (car(PRESENT), Step.FULL, Request(Ask.DATA, T + 30, Why.ATTENDED)),
        (car(PRESENT, state_at=T - 1), Step.FULL, Request(Ask.STATE, T + 30, Why.ATTENDED)),
        (car(PRESENT), Step.STATE_ONLY, Request(Ask.STATE, T + 60, Why.STATE)),
        (car(saw(Reason.CLIMATE)), Step.FULL, Request(Ask.STATE, T + 60, Why.PREPARING)),
        # A look that is due
        (car(hint_at=T), Step.FULL, Request(Ask.DATA, T, Why.HINT)),
        (car(hint_at=T - 5), Step.FULL, Request(Ask.DATA, T - 5, Why.HINT)),
        (car(hint_at=T, state_at=T - 30), Step.FULL, Request(Ask.DATA, T, Why.HINT)),
        (car(hint_at=T, state_at=T - 31), Step.FULL, Request(Ask.STATE, T, Why.HINT)),
        (car(hint_at=T, state_at=T - 90), Step.FULL, Request(Ask.STATE, T - 30, Why.HINT)),
        (car(hint_at=T, state_at=None), Step.FULL, Request(Ask.STATE, NEVER, Why.HINT)),
        (car(hint_at=T, state_at=T - 31, states_asked=ASKED_OFTEN), Step.FULL, Request(Ask.STATE, T + 1, Why.HINT)),
        (car(hint_at=T, state_at=T - 31, state_backoff=WAITING), Step.FULL, Request(Ask.STATE, T + 500, Why.HINT)),
        # On the move an answer counts for longer
        (car(DRIVING, hint_at=T, state_at=T - 90), Step.FULL, Request(Ask.DATA, T, Why.HINT)),
        (car(CHARGING, hint_at=T, state_at=T - 90), Step.FULL, Request(Ask.DATA, T, Why.HINT)),
        (car(DRIVING, hint_at=T, state_at=T - 91), Step.FULL, Request(Ask.STATE, T - 31, Why.HINT)),
        (car(CHARGING, online=False, hint_at=T, state_at=T - 31), Step.FULL, Request(Ask.STATE, T - 1, Why.STATE)),
        # A look that has to wait
        (car(hint_at=T, looks_asked=LOOKED_OFTEN), Step.FULL, Request(Ask.DATA, T + 1, Why.HINT)),
        (car(hint_at=T, looks_asked=LOOKED_OFTEN[1:]), Step.FULL, Request(Ask.DATA, T, Why.HINT)),
        (car(hint_at=T, data_backoff=WAITING), Step.FULL, Request(Ask.STATE, T + 60, Why.STATE)),
        (car(hint_at=T, state_backoff=LIMITED), Step.FULL, Request(Ask.STATE, T + 500, Why.HINT)),
        (car(hint_at=T, state_backoff=WAITING), Step.FULL, Request(Ask.DATA, T, Why.HINT)),
    ],
)
def test_the_next_request(polling: PollingState, step: Step, request_: Request) -> None:
    assert rule.next_request(polling, Moment(T, WALL, NOON), step=step) == request_


@pytest.mark.parametrize(
    ("polling", "why"),
    [
        (PollingState(), None),
        (car(online=False), Unforced.NOT_AWAKE),
        (car(data_at=None), Unforced.JUST_WOKEN),
        (car(saw(Reason.SENTRY, Reason.CLIMATE)), Reason.CLIMATE),
        (car(saw(open=True)), Reason.USER_PRESENT),
        (car(saw(Reason.SENTRY, open=True)), Reason.SENTRY),
        (car(silences=2), Unforced.UNEXPLAINED),
        (car(silences=2, crowded_at=T), Unforced.ANOTHER_APP),
        (car(silences=1, crowded_at=T), Unforced.FALLING_ASLEEP),
        (car(**PARKED), Unforced.WATCHED),
        (car(), Unforced.FALLING_ASLEEP),
    ],
)
def test_why_it_is_awake(polling: PollingState, why: object) -> None:
    assert rule.awake_because(polling, Moment(T, WALL, NOON)) == why


def test_why_it_is_awake_depends_on_the_mode() -> None:
    """Economy no longer looks out for the end of this stop."""
    stopped = car(**PARKED | {"parked_at": T - 300})
    now = Moment(T, WALL, NOON)
    assert rule.awake_because(stopped, now) is Unforced.WATCHED
    assert rule.awake_because(stopped, now, Mode.ECONOMY) is Unforced.FALLING_ASLEEP
    assert rule.awake_because(stopped, now, Mode.BALANCED, Step.STARTS_AND_ENDS) is Unforced.FALLING_ASLEEP


# --- answers --------------------------------------------------------------------------------------------------------

BUSY: Final = PollingState(
    online=True,
    state_at=T - 60,
    turned_at=T - 5000,
    asleep=False,
    check_at=T - 9000,
    data_at=T - 700,
    looks=5,
    observed=saw(Reason.SENTRY, plugged=True),
    reasons_since=T - 4000,
    overdue=2,
    empty_looks=3,
    departed_at=T - 8000,
    active=True,
    visited=True,
    parked_at=T - 6000,
    parked_place=HOME,
    stop_charged=True,
    stop_counted=True,
    silences=2,
    longest_silence=900.0,
    crowded_at=T - 100,
    charge_starts_at=T + 5000,
    expecting_until=T + 90,
    hint_at=T - 3,
    hinted_at=T - 10,
    idle_hints=1,
    wanted=True,
    states_asked=tuple(T - 120 + 10 * number for number in range(12)),
    looks_asked=tuple(T - 1200 + 10 * number for number in range(6)),
    state_backoff=WAITING,
    data_backoff=WAITING,
    learnt=LEAVES,
)
"""Everything is known of it, and differs from what is true of a new car."""
NOW: Final = Moment(T, WALL, NOON)
FRESHLY_WOKEN: Final[dict[str, Any]] = {
    "online": True,
    "asleep": False,
    "state_at": T,
    "turned_at": T,
    "data_at": None,
    "looks": 0,
    "observed": Observation(),
    "reasons_since": None,
    "active": False,
    "visited": False,
    "silences": 0,
    "longest_silence": 0.0,
}


def test_that_a_request_goes_out() -> None:
    """The last dozen and half dozen are remembered; a wish is fulfilled by the request that it waited for."""
    assert rule.asked(BUSY, Ask.STATE, NOW) == replace(BUSY, states_asked=(*BUSY.states_asked[1:], T), wanted=False)
    assert rule.asked(BUSY, Ask.DATA, NOW) == replace(BUSY, looks_asked=(*BUSY.looks_asked[1:], T), hint_at=None)
    new = rule.asked(rule.asked(PollingState(), Ask.DATA, NOW), Ask.STATE, NOW)
    assert (new.states_asked, new.looks_asked) == ((T,), (T,))


def test_a_state_that_is_told() -> None:
    """By an answer, which ends the state's back-off and no other's; by a list, which ends none."""
    told = replace(BUSY, state_at=T)
    assert rule.state_told(BUSY, online=True, asleep=False, now=NOW) == told
    assert rule.state_answered(BUSY, online=True, asleep=False, now=NOW) == replace(told, state_backoff=Backoff())
    assert rule.state_told(BUSY, online=True, asleep=True, now=NOW) == told
    resting = replace(BUSY, online=False)
    for asleep in (True, False):
        expected = replace(resting, state_at=T, asleep=asleep, hint_at=None)
        assert rule.state_told(resting, online=False, asleep=asleep, now=NOW) == expected
    well = replace(BUSY, state_backoff=Backoff())
    assert rule.state_answered(well, online=True, asleep=False, now=NOW) == replace(well, state_at=T)


@pytest.mark.parametrize("before", [replace(BUSY, online=False, asleep=True), replace(BUSY, online=None)])
def test_it_woke(before: PollingState) -> None:
    assert rule.state_told(before, online=True, asleep=False, now=NOW) == replace(before, **FRESHLY_WOKEN)


RESTS: Final[dict[str, Any]] = {
    "online": False,
    "asleep": True,
    "state_at": T,
    "turned_at": T,
    "expecting_until": None,
    "silences": 0,
    "longest_silence": 0.0,
}
IDLE: Final = replace(BUSY, observed=Observation(), visited=False, learnt=Learnt())


@pytest.mark.parametrize(
    ("before", "asleep", "after"),
    [
        # What it saw is no idle car: nothing is learnt of its sleep
        (BUSY, True, {}),
        (replace(BUSY, observed=saw(open=True)), True, {}),
        # An idle one slept 700 seconds after the last look, and it came online for nothing
        (IDLE, True, {"learnt": Learnt(sleeps=(700.0,), checks=(4000.0,)), "check_at": T - 5000}),
        (replace(IDLE, check_at=None), True, {"learnt": Learnt(sleeps=(700.0,)), "check_at": T - 5000}),
        (replace(IDLE, visited=True), True, {"learnt": Learnt(sleeps=(700.0,))}),
        (replace(IDLE, turned_at=None), True, {"learnt": Learnt(sleeps=(700.0,))}),
        (replace(IDLE, data_at=None), True, {"learnt": Learnt(checks=(4000.0,)), "check_at": T - 5000}),
        # Nobody knows when
        (replace(IDLE, state_at=T - 150), True, {"learnt": Learnt((700.0,), checks=(4000.0,)), "check_at": T - 5000}),
        (replace(IDLE, state_at=T - 151), True, {}),
        (replace(IDLE, state_at=None), True, {}),
        (replace(IDLE, online=None), True, {}),
        # Out of reach
        (IDLE, False, {"asleep": False}),
        # The stop is a long one
        (
            replace(BUSY, stop_counted=False),
            True,
            {"stop_counted": True, "learnt": LEAVES.stopped(HOME, None, charged=True)},
        ),
        (
            replace(BUSY, stop_counted=False, stop_charged=False),
            True,
            {"stop_counted": True, "learnt": LEAVES.stopped(HOME, None, charged=False)},
        ),
        (replace(BUSY, stop_counted=False), False, {"asleep": False}),
        (replace(BUSY, stop_counted=False, parked_at=None), True, {}),
    ],
)
def test_it_rests(before: PollingState, asleep: bool, after: dict[str, Any]) -> None:
    assert rule.state_told(before, online=False, asleep=asleep, now=NOW) == replace(before, **(RESTS | after))


LOOKED: Final[dict[str, Any]] = {"state_at": T, "data_at": T, "looks": 6, "data_backoff": Backoff()}
QUIET: Final = replace(BUSY, observed=Observation(), reasons_since=None, charge_starts_at=None)
ONCE_ROUND: Final = replace(BUSY, observed=DRIVING, parked_at=None, stop_counted=False, stop_charged=False)


def after(before: PollingState, observed: Observation, **changed: Any) -> PollingState:  # noqa: ANN401 - a state's values
    """Return what is known after a look that changed this."""
    seen: dict[str, Any] = {
        "observed": observed,
        "overdue": 0,
        "charge_starts_at": None,
        "silences": 0,
        "longest_silence": 0.0,
    }
    seen["stop_charged"] = before.stop_charged
    return replace(before, **(LOOKED | seen | {"empty_looks": 0, "visited": True} | changed))


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        # The same as before
        (BUSY, after(BUSY, BUSY.observed)),
        (BUSY, after(BUSY, replace(SENTRY, plugged=False))),
        # Other reasons begin anew
        (BUSY, after(BUSY, saw(Reason.CLIMATE, plugged=True), reasons_since=T)),
        (BUSY, after(BUSY, saw(Reason.SENTRY, open=True, plugged=True), reasons_since=T)),
        (QUIET, after(QUIET, saw(open=True), reasons_since=T)),
        (replace(BUSY, reasons_since=None), after(BUSY, BUSY.observed, reasons_since=T)),
        (BUSY, after(BUSY, Observation(), reasons_since=None, empty_looks=1)),
        # Nothing, again: no sleep either
        (QUIET, after(QUIET, Observation(), empty_looks=4, silences=2, longest_silence=900.0)),
        (
            replace(QUIET, data_at=T - 2025),
            after(QUIET, Observation(), empty_looks=4, silences=3, longest_silence=2025.0),
        ),
        (
            replace(QUIET, data_at=T - 2024),
            after(QUIET, Observation(), empty_looks=4, silences=2, longest_silence=900.0),
        ),
        (
            replace(QUIET, data_at=T - 2025, longest_silence=3000.0),
            after(QUIET, Observation(), empty_looks=4, silences=3, longest_silence=3000.0),
        ),
        (replace(QUIET, data_at=None), after(QUIET, Observation(), empty_looks=4, silences=2, longest_silence=900.0)),
        (replace(QUIET, observed=saw(open=True)), after(QUIET, Observation(), empty_looks=1)),
        (replace(QUIET, visited=False), after(QUIET, saw(open=True), reasons_since=T)),
        (
            replace(QUIET, visited=False),
            after(QUIET, Observation(), visited=False, empty_looks=4, silences=2, longest_silence=900.0),
        ),
        # A cable
        (QUIET, after(QUIET, saw(plugged=True), empty_looks=1, silences=2, longest_silence=900.0)),
        (
            replace(QUIET, observed=saw(plugged=True)),
            after(QUIET, saw(plugged=True), empty_looks=4, silences=2, longest_silence=900.0),
        ),
        # It was not known to be awake
        (replace(BUSY, online=False, asleep=True), after(BUSY, BUSY.observed, turned_at=T)),
        (replace(BUSY, online=None), after(BUSY, BUSY.observed, turned_at=T)),
        # A charge begins, goes on, ends
        (
            replace(BUSY, stop_charged=False, active=False, idle_hints=3),
            after(BUSY, CHARGING, reasons_since=T, stop_charged=True, idle_hints=0),
        ),
        (
            replace(BUSY, observed=CHARGING, idle_hints=3),
            after(BUSY, CHARGING, reasons_since=T - 4000, idle_hints=3),
        ),
        (
            replace(BUSY, observed=CHARGING, idle_hints=3),
            after(BUSY, Observation(), reasons_since=None, empty_looks=1, idle_hints=0),
        ),
        (
            replace(BUSY, observed=FAST),
            after(BUSY, Observation(), reasons_since=None, empty_looks=1, idle_hints=0, expecting_until=T + 300),
        ),
        (
            replace(BUSY, observed=CHARGING, parked_at=None),
            after(
                BUSY,
                saw(place=SHOP),
                reasons_since=None,
                empty_looks=1,
                idle_hints=0,
                parked_at=T,
                parked_place=SHOP,
                departed_at=None,
                stop_counted=False,
            ),
        ),
        (
            replace(BUSY, observed=CHARGING, data_at=None, parked_at=None),
            after(BUSY, Observation(), reasons_since=None, empty_looks=1, idle_hints=0, parked_at=None),
        ),
        # A scheduled start, by a wall clock that may be wrong
        (BUSY, after(BUSY, replace(BUSY.observed, charge_starts_at=WALL + 600), charge_starts_at=T + 600)),
        (BUSY, after(BUSY, replace(BUSY.observed, charge_starts_at=WALL + 9e6), charge_starts_at=T + 86_400)),
        # Ends that were expected
        (
            replace(BUSY, observed=replace(CHARGING, charge_left=700.0)),
            after(BUSY, CHARGING, overdue=3),
        ),
        (replace(BUSY, observed=replace(CHARGING, charge_left=701.0)), after(BUSY, CHARGING)),
        (replace(BUSY, observed=replace(CHARGING, charge_left=700.0), data_at=None), after(BUSY, CHARGING)),
        (
            replace(BUSY, observed=replace(CHARGING, charge_left=700.0), overdue=10),
            after(BUSY, CHARGING, overdue=10),
        ),
        (
            replace(ONCE_ROUND, observed=replace(DRIVING, arrival=700.0)),
            after(ONCE_ROUND, DRIVING, overdue=3),
        ),
        (
            replace(BUSY, observed=replace(CHARGING, charge_left=700.0), parked_at=T),
            after(BUSY, Observation(), parked_at=T, reasons_since=None, empty_looks=1, idle_hints=0),
        ),
        # It arrives
        (
            ONCE_ROUND,
            after(
                ONCE_ROUND,
                saw(place=SHOP),
                reasons_since=None,
                empty_looks=1,
                idle_hints=0,
                parked_at=T,
                parked_place=SHOP,
                departed_at=None,
                learnt=LEAVES.drove(HOME, 8000.0),
            ),
        ),
        (
            replace(ONCE_ROUND, learnt=FAR_DRIVES),
            after(
                ONCE_ROUND,
                Observation(),
                reasons_since=None,
                empty_looks=1,
                idle_hints=0,
                parked_at=T,
                parked_place=None,
                departed_at=None,
                learnt=FAR_DRIVES.drove(HOME, 8000.0),
            ),
        ),
        (
            replace(ONCE_ROUND, learnt=FAR_DRIVES, departed_at=None),
            after(
                ONCE_ROUND,
                Observation(),
                reasons_since=None,
                empty_looks=1,
                idle_hints=0,
                parked_at=T,
                parked_place=None,
                departed_at=None,
                learnt=FAR_DRIVES,
            ),
        ),
        (
            replace(ONCE_ROUND, data_at=None),
            after(ONCE_ROUND, Observation(), reasons_since=None, empty_looks=1, idle_hints=0),
        ),
        # It leaves: 350 seconds ago, in the middle between two looks
        (
            replace(BUSY, stop_counted=False, parked_at=T - 1000),
            after(
                BUSY,
                DRIVING,
                reasons_since=T,
                parked_at=None,
                departed_at=T,
                stop_charged=False,
                stop_counted=False,
                idle_hints=0,
                learnt=LEAVES.departed(NOON - 6).stop_lasted(650.0).stopped(HOME, 650.0, charged=True),
            ),
        ),
        (
            replace(BUSY, parked_at=T - 1000),
            after(
                BUSY,
                DRIVING,
                reasons_since=T,
                parked_at=None,
                departed_at=T,
                stop_charged=False,
                stop_counted=False,
                idle_hints=0,
                learnt=LEAVES.departed(NOON - 6).stop_lasted(650.0),
            ),
        ),
        (
            replace(BUSY, parked_at=None, data_at=None, active=False, visited=False),
            after(
                BUSY,
                DRIVING,
                reasons_since=T,
                parked_at=None,
                departed_at=T,
                stop_charged=False,
                stop_counted=False,
                idle_hints=0,
                learnt=LEAVES.departed(NOON),
            ),
        ),
        (ONCE_ROUND, after(ONCE_ROUND, DRIVING)),
        # A whole drive went by unseen
        (
            replace(BUSY, parked_at=T - 1000, stop_counted=False),
            after(
                BUSY,
                replace(BUSY.observed, place=SHOP),
                parked_at=T,
                parked_place=SHOP,
                stop_charged=False,
                stop_counted=False,
                learnt=LEAVES.stop_lasted(650.0).stopped(HOME, 650.0, charged=True),
            ),
        ),
        (
            replace(BUSY, parked_at=T - 1000),
            after(
                BUSY,
                replace(BUSY.observed, place=SHOP),
                parked_at=T,
                parked_place=SHOP,
                stop_charged=False,
                stop_counted=False,
                learnt=LEAVES.stop_lasted(650.0),
            ),
        ),
        (BUSY, after(BUSY, replace(BUSY.observed, place=(50.0044, 8.0)))),
        (replace(BUSY, parked_place=None), after(BUSY, replace(BUSY.observed, place=SHOP), parked_place=None)),
        # A stop has become a long one
        (
            replace(BUSY, parked_at=T - 961, stop_counted=False),
            after(BUSY, BUSY.observed, parked_at=T - 961, learnt=LEAVES.stopped(HOME, None, charged=True)),
        ),
        (
            replace(BUSY, parked_at=T - 961, stop_counted=False, stop_charged=False),
            after(
                BUSY,
                CHARGING,
                parked_at=T - 961,
                reasons_since=T,
                idle_hints=0,
                learnt=LEAVES.stopped(HOME, None, charged=True),
            ),
        ),
        (
            replace(BUSY, parked_at=T - 961, stop_counted=False, stop_charged=False),
            after(
                BUSY,
                BUSY.observed,
                parked_at=T - 961,
                stop_charged=False,
                learnt=LEAVES.stopped(HOME, None, charged=False),
            ),
        ),
        (
            replace(BUSY, parked_at=T - 960, stop_counted=False),
            after(BUSY, BUSY.observed, parked_at=T - 960, stop_counted=False),
        ),
    ],
)
def test_what_a_look_changes(before: PollingState, expected: PollingState) -> None:
    """Everything else stays."""
    observed = expected.observed
    found = rule.data_answered(before, observed, NOW)
    other = {name: value for name, value in found._asdict().items() if value != getattr(expected, name)}
    assert other == {}


def test_the_first_look_of_all() -> None:
    found = rule.data_answered(PollingState(), Observation(), NOW)
    assert found == PollingState(online=True, state_at=T, turned_at=T, data_at=T, looks=1, empty_looks=1)


def test_what_went_on_since_it_woke() -> None:
    """A drive or charge makes it active; those and whoever is in it make it visited."""
    fresh = replace(BUSY, active=False, visited=False)
    for observed, active, visited in (
        (DRIVING, True, True),
        (CHARGING, True, True),
        (PRESENT, False, True),
        (saw(open=True), False, True),
        (saw(plugged=True), False, False),
    ):
        found = rule.data_answered(fresh, observed, NOW)
        assert (found.active, found.visited) == (active, visited)
    found = rule.data_answered(BUSY, Observation(), NOW)
    assert (found.active, found.visited) == (True, True)


@pytest.mark.parametrize("trouble", Trouble)
def test_a_failure_is_the_endpoints_own(trouble: Trouble) -> None:
    """With the wait that Tesla named, and the dice; a 429 is noted, whoever brought it about."""
    crowded = T if trouble is Trouble.RATE_LIMITED else T - 100
    for fail, name in ((rule.state_failed, "state_backoff"), (rule.data_failed, "data_backoff")):
        several: tuple[dict[str, Any], ...] = ({}, {"retry_after": 5000.0}, {"jitter": 0.5})
        for more in several:
            backoff = getattr(BUSY, name).failed(trouble, T, **more)
            assert fail(BUSY, trouble, NOW, **more) == replace(BUSY, crowded_at=crowded, **{name: backoff})


def test_habits_that_are_not_wanted() -> None:
    known = replace(BUSY, learnt=replace(LEAVES, sleeps=(540.0,)))
    assert rule.without_habits(known) == replace(BUSY, learnt=Learnt(sleeps=(540.0,)))
    forgotten = rule.without_habits(known)
    assert rule.without_habits(forgotten) is forgotten


def test_a_wish() -> None:
    """The state is asked first, and a look follows."""
    before = replace(BUSY, wanted=False, hint_at=None)
    assert rule.look_wanted(before, NOW) == replace(before, wanted=True, hint_at=T)


@pytest.mark.parametrize(
    ("idle", "deaf", "awaited"),
    [(0, 300.0, 300.0), (1, 600.0, 150.0), (2, 1200.0, 100.0), (3, 2400.0, 75.0), (9, 14_400.0, 30.0)],
)
def test_a_hint(idle: int, deaf: float, awaited: float) -> None:
    """The more brought nothing, the longer the next go unheard, and the shorter they are waited on."""
    before = replace(BUSY, wanted=False, hint_at=None, idle_hints=idle, hinted_at=T - deaf + 1)
    assert rule.hinted(before, NOW) is before
    before = replace(before, hinted_at=T - deaf)
    heard = replace(before, hinted_at=T, idle_hints=idle + 1, expecting_until=T + awaited, wanted=True, hint_at=T)
    assert rule.hinted(before, NOW) == heard
    assert rule.hinted(replace(before, hinted_at=None), NOW) == heard
