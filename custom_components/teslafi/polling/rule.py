"""The polling rule: what is known of one car, and the moment, come to the next request.

A pure function of its arguments. The state request is free and is asked all the time; a look (`vehicle_data`) costs
money and keeps an idle car awake, so there is one only when it buys something: a car that has just woken, a drive or a
charge and their ends, a stop that will probably be short, a silence that brought no sleep. docs/polling.md tells it in
words.
"""

from collections.abc import Callable
from enum import StrEnum
import math
from typing import Final, NamedTuple

from ..record import changed
from .backoff import Backoff, Trouble
from .learnt import PLACE_RADIUS, SHORT_STOP, Kind, Learnt, Place, is_night
from .observation import Observation, Reason
from .pace import Mode, Pace, Step, pace_of

FRESH: Final = 30.0
"""Seconds for which an answer still says that the car is online, so that it may be looked at."""
FRESH_ON_THE_MOVE: Final = 90.0
"""The same of a car that drives or charges: it does not fall asleep, and a look needs no state request before it."""
MINUTE: Final = 60.0
STATES_A_MINUTE: Final = 12
LOOKS_A_MINUTE: Final = 6
"""The most requests a minute, whoever wishes for them: far inside Tesla's limit of 60 for each car and account."""
CHECK_HOLD: Final = 95.0
"""How long a wake-up that is probably a check of the car's own goes unlooked at: it is over by then."""
ATTENDED_SOON: Final = 300.0
"""Somebody who got in leaves within so many seconds, or stays."""
ATTENDED_LONG: Final = 1500.0
PREPARING_LONG: Final = 2700.0
PLUGGED_IN: Final = 60.0
"""Who has left the car to charge it has mostly plugged in by then."""
EXPECTED: Final = 300.0
"""How long a hint, or the time of a scheduled charge, is waited on."""
DEAF_MOST: Final = 14_400.0
"""The longest that hints go unheard after many that brought nothing."""
ARRIVED: Final = 15.0
"""Seconds past an expected end at which it is looked at."""
OVERDUE_GROWS: Final = 1.5
OVERDUE_MOST: Final = 10
"""An end that does not come when the car expects it is looked for less and less often."""
SILENCE_GROWS: Final = 1.5
SILENCE_MOST: Final = 3600.0
COUNTED_MOST: Final = 20
"""Silences and hints in a row that are counted: waits are at their longest, and powers of many more are no numbers."""
UNEXPLAINED: Final = 2
"""Silences without sleep or reason after which something unseen keeps the car awake."""
SLEEPS_KNOWN: Final = 3
"""Times that a car must have been seen to fall asleep before it is known how long it needs."""
SLEEPS_LATE: Final = 1.25
"""A silence so many times as long as the longest that it ever needed should have been enough."""
CROWDED_LASTS: Final = 21_600.0
"""Seconds for which a 429 that we did not bring about says that somebody else asks."""
FLAPS_FREE: Final = 3
"""Wake-ups in a row, each soon after a look that saw nothing, that are looked at at once all the same."""
FLAP_SOON: Final = 1800.0
"""Seconds after that look within which a wake-up counts as soon."""
FLAP_MOST: Final = 900.0
"""Seconds that one more waits after the look before, at most."""
CONTINUOUS: Final = 150.0
"""State answers at most so far apart tell when the car fell asleep."""


class Ask(StrEnum):
    """What a request asks for."""

    STATE = "state"
    DATA = "data"


class Why(StrEnum):
    """Why the next request is due when it is."""

    STATE = "state"
    WOKEN = "woken"
    FOLLOW_UP = "follow_up"
    HINT = "hint"
    DRIVING = "driving"
    CHARGING = "charging"
    ATTENDED = "attended"
    PREPARING = "preparing"
    LINGERING = "lingering"
    SHORT_STOP = "short_stop"
    NO_SLEEP = "no_sleep"


class Unforced(StrEnum):
    """Why a car is awake, or is not, while it tells no reason why it could not sleep."""

    JUST_WOKEN = "just_woken"
    WATCHED = "watched"
    """We look at it, and that keeps it awake: the end of a short stop is expected."""
    FALLING_ASLEEP = "falling_asleep"
    ANOTHER_APP = "another_app"
    """We were silent for longer than it has ever needed, or are told that there are too many requests: others ask."""
    UNEXPLAINED = "unexplained"
    """We were silent, and it stayed awake; how long it needs to sleep is not known yet, if it can."""
    NOT_AWAKE = "not_awake"


type AwakeBecause = Reason | Unforced


class Moment(NamedTuple):
    """Now. `clock` is monotonic and decides alone when to ask; the others serve calendars and habits."""

    clock: float
    wall: float
    """Epoch seconds."""
    minute: int = 0
    """Local minutes since Monday, January 5, 1970."""
    day: str = ""
    """The local date."""


class Request(NamedTuple):
    """The next request, when it is due (monotonic), and why."""

    ask: Ask
    at: float
    why: Why


class PollingState(NamedTuple):
    """All that the rule knows of one car. Moments are monotonic seconds. A new car has been asked nothing.

    A tuple, of which a changed copy costs a fraction of a dataclass's: each look makes five.
    """

    online: bool | None = None
    state_at: float | None = None
    """The last answer that told the state."""
    turned_at: float | None = None
    """When `online` last changed; None when the change was not seen."""
    asleep: bool = False
    check_at: float | None = None
    """The last wake-up that was a check of the car's own."""
    data_at: float | None = None
    """The last look since the car came online."""
    looks: int = 0
    """Looks since the car came online."""
    flaps: int = 0
    """Wake-ups in a row, each soon after a look that saw nothing: the connection comes and goes."""
    observed: Observation = Observation()
    """What the last look since the car came online saw."""
    reasons_since: float | None = None
    """When the reasons of the last look were first seen together without a pause."""
    overdue: int = 0
    """Looks in a row at which an end that the car expected had not come."""
    empty_looks: int = 0
    """Looks in a row since the last drive, charge or plugging in that saw nothing and nobody."""
    departed_at: float | None = None
    active: bool = False
    """Whether the car drove or charged since it came online."""
    visited: bool = False
    """Whether anything at all went on since it came online."""
    parked_at: float | None = None
    """When the last drive or charge was seen to have ended; None while driving."""
    parked_place: tuple[float, float] | None = None
    stop_charged: bool = False
    stop_counted: bool = False
    """Whether the stop has been taken for a long one."""
    silences: int = 0
    """Silences in a row that brought no sleep."""
    longest_silence: float = 0.0
    """Seconds of the longest of them."""
    crowded_at: float | None = None
    """When Tesla last refused the car's state or a look as one too many. We never ask so often: somebody else does."""
    charge_starts_at: float | None = None
    expecting_until: float | None = None
    """Something was hinted at: a start is waited for until then."""
    hint_at: float | None = None
    """When a look was asked for that has not gone out."""
    hinted_at: float | None = None
    idle_hints: int = 0
    """Hints in a row after which neither a drive nor a charge began or ended."""
    wanted: bool = False
    """The state is asked at once: somebody wants a look and it is not known that the car is online, or one was lost."""
    states_asked: tuple[float, ...] = ()
    looks_asked: tuple[float, ...] = ()
    """When the last requests of each kind went out."""
    state_backoff: Backoff = Backoff()
    data_backoff: Backoff = Backoff()
    kind: Kind = Kind.CURRENT
    learnt: Learnt = Learnt()


# --- the next request -----------------------------------------------------------------------------------------------


def next_request(polling: PollingState, now: Moment, mode: Mode = Mode.BALANCED, step: Step = Step.FULL) -> Request:
    """Return the next request: free ones always, looks as mode and budget allow.

    It is never due later than the state's interval or the state's back-off says, and a look never without an answer of
    the last half minute, or minute and a half while it drives or charges, that the car is online.
    """
    pace = pace_of(mode, step)
    state = Request(Ask.STATE, _state_due(polling, pace), Why.STATE)
    if not polling.online or step is Step.STATE_ONLY:
        return state
    at, why = _look(polling, now, pace)
    at = max(
        at, polling.data_backoff.not_before, _free_at(polling.looks_asked, LOOKS_A_MINUTE), _rate_limited_until(polling)
    )
    if at > now.clock:
        return state if state.at < at else Request(Ask.DATA if _fresh(polling, at) else Ask.STATE, at, why)
    if _fresh(polling, now.clock):
        return Request(Ask.DATA, at, why)
    soonest = max(polling.state_backoff.not_before, _free_at(polling.states_asked, STATES_A_MINUTE))
    return Request(Ask.STATE, max(soonest, min(state.at, now.clock)), why)


def _rate_limited_until(polling: PollingState) -> float:
    """Return the end of the wait that Tesla asked for at the state: a 429 means the car, not the endpoint."""
    limited = polling.state_backoff.trouble is Trouble.RATE_LIMITED
    return polling.state_backoff.not_before if limited else float("-inf")


def _state_due(polling: PollingState, pace: Pace) -> float:
    interval = pace.state_awake if polling.online else pace.state_resting
    due = _after(polling.state_at, interval)
    if polling.wanted:
        due = float("-inf")
    return max(due, polling.state_backoff.not_before, _free_at(polling.states_asked, STATES_A_MINUTE))


def _after(moment: float | None, seconds: float) -> float:
    """Return the moment so much later; without a moment, one that is over."""
    return float("-inf") if moment is None else moment + seconds


def _free_at(asked_at: tuple[float, ...], most: int) -> float:
    """Return when the minute has room for one more request."""
    return asked_at[-most] + MINUTE if len(asked_at) >= most else float("-inf")


def _fresh(polling: PollingState, at: float) -> bool:
    lasts = FRESH_ON_THE_MOVE if polling.observed.driving or polling.observed.charging else FRESH
    return polling.state_at is not None and at - polling.state_at <= lasts


def _look(polling: PollingState, now: Moment, pace: Pace) -> tuple[float, Why]:
    """Return when the next look buys something."""
    at, why = _planned(polling, now, pace)
    starts = polling.charge_starts_at
    if starts is not None and polling.data_at is not None and polling.data_at < starts + ARRIVED < at:
        at, why = starts + ARRIVED, Why.CHARGING
    if polling.hint_at is not None and polling.hint_at < at:
        return polling.hint_at, Why.HINT
    return at, why


def _planned(polling: PollingState, now: Moment, pace: Pace) -> tuple[float, Why]:
    """Return when the next look is due by what the last one saw."""
    if polling.data_at is None:
        at = _after(polling.turned_at, CHECK_HOLD if _probably_a_check(polling) else 0.0)
        return max(at, _flapping_until(polling)), Why.WOKEN
    for applies, interval, why in _CASES:
        if applies(polling, now, pace):
            return polling.data_at + interval(polling, now, pace), why
    return polling.data_at + silence_of(polling), Why.NO_SLEEP


def _flapping_until(polling: PollingState) -> float:
    """Return when a car may be looked at again whose connection comes and goes, and that does nothing."""
    beyond = polling.flaps - FLAPS_FREE
    if beyond <= 0 or not polling.looks_asked:
        return float("-inf")
    return polling.looks_asked[-1] + min(MINUTE * 2.0**beyond, FLAP_MOST)


def _probably_a_check(polling: PollingState) -> bool:
    expected = polling.expecting_until is not None and (polling.turned_at or 0.0) < polling.expecting_until
    if polling.check_at is None or polling.turned_at is None or expected:
        return False
    return polling.learnt.looks_like_a_check(polling.turned_at - polling.check_at)


def silence_of(polling: PollingState) -> float:
    """Return the seconds for which an idle car is left alone; longer each time that this brought no sleep."""
    learnt = polling.learnt.silence(polling.kind)
    return max(min(learnt * SILENCE_GROWS**polling.silences, SILENCE_MOST), learnt)


def _driving(polling: PollingState, now: Moment, pace: Pace) -> float:
    arrival = polling.observed.arrival
    if arrival is None:
        return pace.driving_far if _surely_driving_for(polling, now) > pace.driving_far else pace.driving
    if arrival > pace.driving_far:
        return pace.driving_far
    return min(max(arrival + ARRIVED, pace.near_end * OVERDUE_GROWS**polling.overdue), pace.driving)


def _surely_driving_for(polling: PollingState, now: Moment) -> float:
    """Return the seconds that the drive goes on at least, by the last drives from where it began."""
    if polling.departed_at is None:
        return 0.0
    return polling.learnt.drives_at_least(polling.parked_place) - (now.clock - polling.departed_at)


def _charging(polling: PollingState, now: Moment, pace: Pace) -> float:
    most = pace.fast_charging if polling.observed.fast else pace.charging
    if not polling.observed.fast and polling.learnt.leaves(now.minute):
        most = min(most, pace.lingering)
    left = polling.observed.charge_left
    if left is None:
        return min(most, pace.lingering)
    return min(max(left + ARRIVED, pace.near_end * OVERDUE_GROWS**polling.overdue), most)


def _attended(polling: PollingState, now: Moment, pace: Pace) -> float:
    since = now.clock - polling.reasons_since if polling.reasons_since is not None else 0.0
    if since <= ATTENDED_SOON:
        return pace.stop if _just_arrived(polling) else pace.follow_up
    return pace.preparing if since <= ATTENDED_LONG else pace.lingering


def _preparing(polling: PollingState, now: Moment, pace: Pace) -> float:
    since = now.clock - polling.reasons_since if polling.reasons_since is not None else 0.0
    return pace.preparing if since <= PREPARING_LONG else pace.lingering


def _lingering(polling: PollingState, now: Moment, pace: Pace) -> float:
    """Return the interval of looks at a car that something keeps awake, by when it usually leaves."""
    return min(_best_interval(polling, now, pace), _lingering_most(polling, now, pace))


def _shared(polling: PollingState, now: Moment, pace: Pace) -> float:
    """Return the same for a car that others read; but for usual departures it may sleep once they have stopped."""
    most = max(_lingering_most(polling, now, pace), polling.learnt.silence(polling.kind))
    return min(_best_interval(polling, now, pace), most)


def _lingering_most(polling: PollingState, now: Moment, pace: Pace) -> float:
    if polling.learnt.may_leave(now.minute):
        return pace.lingering
    return pace.lingering_night if is_night(now.minute) else pace.lingering_rest


def _best_interval(polling: PollingState, now: Moment, pace: Pace) -> float:
    """Return the interval at which looks and lateness together cost the least, by when the car usually leaves.

    Looks `d` seconds apart see a start `d / 2` late on the average: their sum is least where `d` is the root of twice
    what a look is worth, in seconds, over the departures a second.
    """
    best = math.sqrt(2 * pace.look_worth * MINUTE / polling.learnt.departures_a_minute(now.minute))
    return max(best, pace.departing)


def stop_watched(polling: PollingState, pace: Pace) -> float:
    """Return for how long after an arrival the next departure is looked out for; 0 where stops are long."""
    if polling.learnt.short_stops(polling.parked_place) < pace.short_stops:
        return 0.0
    return min(polling.learnt.stop_watch(silence_of(polling)), pace.stop_longest)


def _just_arrived(polling: PollingState) -> bool:
    """Tell whether the last drive or charge ended since the car woke."""
    return polling.parked_at is not None and polling.parked_at >= (polling.turned_at or 0.0)


def _may_be_plugged_in(polling: PollingState, _now: Moment, pace: Pace) -> bool:
    """Tell whether a charge may begin now: the driver has just left the car where it is sometimes charged."""
    if not _just_arrived(polling):
        return False
    if polling.observed.plugged:
        return polling.empty_looks == 1 and polling.charge_starts_at is None and not polling.stop_charged
    looks = pace.plug_in_looks if polling.learnt.charges_at(polling.parked_place) else pace.plug_in_elsewhere
    return 1 <= polling.empty_looks <= looks


def _in_short_stop(polling: PollingState, _now: Moment, pace: Pace) -> bool:
    if polling.parked_at is None or polling.data_at is None or polling.observed.plugged:
        return False
    return polling.data_at - polling.parked_at < stop_watched(polling, pace)


def _expects(polling: PollingState, _now: Moment, _pace: Pace) -> bool:
    if polling.data_at is None:
        return False
    starts = polling.charge_starts_at
    charge = starts is not None and 0 <= polling.data_at - starts <= EXPECTED
    return charge or (polling.expecting_until is not None and polling.data_at < polling.expecting_until)


def _is_first_look(polling: PollingState, _now: Moment, _pace: Pace) -> bool:
    """Tell whether the car was looked at once since it woke, and may yet drive off."""
    return polling.looks == 1 and not polling.active and polling.flaps <= FLAPS_FREE


type _Applies = Callable[[PollingState, Moment, Pace], bool]
type _Interval = Callable[[PollingState, Moment, Pace], float]

_PREPARING: Final = frozenset({Reason.PRECONDITIONING, Reason.CLIMATE})

_CASES: Final[tuple[tuple[_Applies, _Interval, Why], ...]] = (
    (lambda w, _n, _p: w.observed.driving, _driving, Why.DRIVING),
    (lambda w, _n, _p: w.observed.charging, _charging, Why.CHARGING),
    (lambda w, _n, _p: w.observed.attended, _attended, Why.ATTENDED),
    (_expects, lambda _w, _n, p: p.follow_up, Why.HINT),
    (
        lambda w, _n, _p: bool(w.observed.reasons & _PREPARING) and Reason.CLIMATE_KEEPER not in w.observed.reasons,
        _preparing,
        Why.PREPARING,
    ),
    (_may_be_plugged_in, lambda _w, _n, _p: PLUGGED_IN, Why.SHORT_STOP),
    (_in_short_stop, lambda _w, _n, p: p.stop, Why.SHORT_STOP),
    (lambda w, _n, _p: bool(w.observed.reasons), _lingering, Why.LINGERING),
    (_is_first_look, lambda _w, _n, p: p.follow_up, Why.FOLLOW_UP),
    (lambda w, n, _p: _kept_awake_by_others(w, n), _shared, Why.LINGERING),
)
"""The first case that applies says how long after the last look the next one is due; none means silence."""


def awake_because(
    polling: PollingState, now: Moment, mode: Mode = Mode.BALANCED, step: Step = Step.FULL
) -> AwakeBecause | None:
    """Return why the car is awake; None while it is not known whether it is."""
    if polling.online is None:
        return None
    if not polling.online:
        return Unforced.NOT_AWAKE
    if polling.data_at is None:
        return Unforced.JUST_WOKEN
    shown = next((reason for reason in Reason if reason in polling.observed.reasons), None)
    if shown is not None or polling.observed.open:
        return shown or Reason.USER_PRESENT
    if polling.silences >= UNEXPLAINED:
        return Unforced.ANOTHER_APP if asked_by_others(polling, now) else Unforced.UNEXPLAINED
    why = _planned(polling, now, pace_of(mode, step))[1]
    return Unforced.FALLING_ASLEEP if why is Why.NO_SLEEP else Unforced.WATCHED


def _kept_awake_by_others(polling: PollingState, now: Moment) -> bool:
    return polling.silences >= UNEXPLAINED and asked_by_others(polling, now)


def asked_by_others(polling: PollingState, now: Moment) -> bool:
    """Tell whether there are signs of requests for this car's data that are not ours. Tesla does not tell of them.

    A car that is known to sleep stays awake through a longer silence than it has ever needed, and gives no reason; or
    Tesla says that there are too many requests for a car, of which ours are far too few for that.
    """
    if polling.crowded_at is not None and now.clock - polling.crowded_at <= CROWDED_LASTS:
        return True
    sleeps = polling.learnt.sleeps
    return len(sleeps) >= SLEEPS_KNOWN and polling.longest_silence > max(sleeps) * SLEEPS_LATE


# --- answers --------------------------------------------------------------------------------------------------------


def asked(polling: PollingState, ask: Ask, now: Moment) -> PollingState:
    """Take in that a request goes out."""
    if ask is Ask.STATE:
        return changed(polling, states_asked=(*polling.states_asked, now.clock)[-STATES_A_MINUTE:], wanted=False)
    return changed(polling, looks_asked=(*polling.looks_asked, now.clock)[-LOOKS_A_MINUTE:], hint_at=None)


def state_answered(polling: PollingState, *, online: bool, asleep: bool, now: Moment) -> PollingState:
    """Take in the answer of a state request."""
    if polling.state_backoff.trouble is not None:
        polling = changed(polling, state_backoff=polling.state_backoff.succeeded())
    return state_told(polling, online=online, asleep=asleep, now=now)


def state_told(polling: PollingState, *, online: bool, asleep: bool, now: Moment) -> PollingState:
    """Take in the car's state from whoever tells it, such as the list of products."""
    if online == polling.online:
        hint_at = polling.hint_at if online else None
        return changed(polling, state_at=now.clock, asleep=asleep and not online, hint_at=hint_at)
    if online:
        return _woken(polling, now)
    return _gone(polling, asleep=asleep, now=now)


def _woken(polling: PollingState, now: Moment) -> PollingState:
    looked = polling.looks_asked[-1] if polling.looks_asked else float("-inf")
    flaps = not polling.visited and now.clock - looked <= FLAP_SOON
    return changed(
        polling,
        flaps=min(polling.flaps + 1, COUNTED_MOST) if flaps else 0,
        online=True,
        asleep=False,
        state_at=now.clock,
        turned_at=now.clock,
        data_at=None,
        looks=0,
        observed=Observation(),
        reasons_since=None,
        active=False,
        visited=False,
        silences=0,
        longest_silence=0.0,
    )


def _gone(polling: PollingState, *, asleep: bool, now: Moment) -> PollingState:
    """Take in that the car fell asleep or out of reach, which tells why a look was lost, and learn from it."""
    learnt, check_at = polling.learnt, polling.check_at
    backoff = polling.data_backoff
    continuous = polling.state_at is not None and now.clock - polling.state_at <= CONTINUOUS
    if asleep and polling.online and continuous:
        if polling.data_at is not None and not polling.observed.reasons and not polling.observed.open:
            learnt = learnt.slept(now.clock - polling.data_at)
        if polling.turned_at is not None and not polling.visited:
            learnt = learnt.checked(polling.turned_at - check_at) if check_at is not None else learnt
            check_at = polling.turned_at
    counted = polling.stop_counted or (polling.parked_at is not None and asleep)
    if counted and not polling.stop_counted:
        learnt = learnt.stopped(polling.parked_place, None, charged=polling.stop_charged)
    return changed(
        polling,
        online=False,
        asleep=asleep,
        state_at=now.clock,
        turned_at=now.clock,
        check_at=check_at,
        stop_counted=counted,
        expecting_until=None,
        silences=0,
        longest_silence=0.0,
        data_backoff=backoff.succeeded() if backoff.trouble is Trouble.UNANSWERED else backoff,
        learnt=learnt,
    )


def data_answered(polling: PollingState, observed: Observation, now: Moment) -> PollingState:
    """Take in an answer of `vehicle_data`."""
    change = _change(polling, observed)
    polling = _with_silence(polling, observed, now)
    polling = _with_stop(polling, observed, change, now)
    return _with_look(polling, observed, change, now)


class _Change(NamedTuple):
    """What began or ended between two looks since the car came online."""

    departed: bool
    arrived: bool
    charge_ended: bool
    plugged_in: bool


def _change(polling: PollingState, observed: Observation) -> _Change:
    before, looked = polling.observed, polling.data_at is not None
    return _Change(
        departed=observed.driving and not before.driving,
        arrived=looked and before.driving and not observed.driving,
        charge_ended=looked and before.charging and not (observed.charging or observed.driving),
        plugged_in=observed.plugged and not before.plugged,
    )


def _with_silence(polling: PollingState, observed: Observation, now: Moment) -> PollingState:
    """Take in whether a silence before this look brought no sleep, though nothing was going on."""
    before = polling.observed
    if observed.reasons or observed.open or before.reasons or before.open:
        return changed(polling, silences=0, longest_silence=0.0) if polling.silences else polling
    quiet_for = now.clock - polling.data_at if polling.data_at is not None else 0.0
    if polling.data_at is None or quiet_for < silence_of(polling):
        return polling
    return changed(
        polling,
        silences=min(polling.silences + 1, COUNTED_MOST),
        longest_silence=max(polling.longest_silence, quiet_for),
    )


def _with_stop(polling: PollingState, observed: Observation, change: _Change, now: Moment) -> PollingState:
    """Take in where the car stands and since when; learn from the stops and drives that ended."""
    parked_at = polling.parked_at
    if change.departed:
        polling = _departed(polling, now)
    elif change.arrived or (change.charge_ended and parked_at is None):
        polling = _arrived(polling, observed, change, now)
    elif parked_at is not None and not observed.driving and _is_elsewhere(polling.parked_place, observed.place):
        # A whole drive went by unseen: the stop before it ended in the silence
        polling = changed(
            polling,
            learnt=_stop_learnt(polling, parked_at, now),
            parked_at=now.clock,
            parked_place=observed.place,
            stop_charged=False,
            stop_counted=False,
        )
    if observed.charging:
        polling = changed(polling, stop_charged=True)
    if polling.parked_at is None or polling.stop_counted or now.clock - polling.parked_at <= SHORT_STOP:
        return polling
    learnt = polling.learnt.stopped(polling.parked_place, None, charged=polling.stop_charged)
    return changed(polling, learnt=learnt, stop_counted=True)


def _departed(polling: PollingState, now: Moment) -> PollingState:
    left_at = _left_at(polling, now)
    learnt = polling.learnt if polling.parked_at is None else _stop_learnt(polling, polling.parked_at, now)
    learnt = learnt.departed(now.minute - round((now.clock - left_at) / MINUTE))
    return changed(
        polling, learnt=learnt, parked_at=None, departed_at=now.clock, stop_charged=False, stop_counted=False
    )


def _arrived(polling: PollingState, observed: Observation, change: _Change, now: Moment) -> PollingState:
    learnt = polling.learnt
    if change.arrived and polling.departed_at is not None:
        learnt = learnt.drove(polling.parked_place, now.clock - polling.departed_at)
    return changed(
        polling,
        learnt=learnt,
        parked_at=now.clock,
        parked_place=observed.place,
        departed_at=None,
        stop_counted=False,
    )


def _stop_learnt(polling: PollingState, parked_at: float, now: Moment) -> Learnt:
    """Return what is learnt with the stop that ended since the last look."""
    lasted = _left_at(polling, now) - parked_at
    learnt = polling.learnt.stop_lasted(lasted)
    if polling.stop_counted:
        return learnt
    return learnt.stopped(polling.parked_place, lasted, charged=polling.stop_charged)


def _with_look(polling: PollingState, observed: Observation, change: _Change, now: Moment) -> PollingState:
    """Take in what the look itself says, and when the next is due by it."""
    before = polling.observed
    idle_now = not (observed.reasons or observed.open)
    idle = idle_now and not (before.reasons or before.open)
    begins_anew = change.arrived or change.charge_ended or change.plugged_in
    goes_on = before.driving == observed.driving and before.charging == observed.charging
    starts = observed.charge_starts_at
    overdue = polling.overdue + 1 if _expected_end_is_over(polling, observed, now) else 0
    return changed(
        polling,
        online=True,
        asleep=False,
        state_at=now.clock,
        turned_at=polling.turned_at if polling.online else now.clock,
        data_at=now.clock,
        looks=polling.looks + 1,
        observed=observed,
        reasons_since=_since(polling, observed, now),
        overdue=min(overdue, OVERDUE_MOST),
        empty_looks=polling.empty_looks + 1 if idle and not begins_anew else int(idle_now),
        idle_hints=polling.idle_hints if goes_on else 0,
        expecting_until=now.clock + EXPECTED if change.charge_ended and before.fast else polling.expecting_until,
        active=polling.active or observed.driving or observed.charging,
        visited=polling.visited or bool(observed.reasons) or observed.open,
        charge_starts_at=now.clock + min(starts - now.wall, 86_400.0) if starts is not None else None,
        data_backoff=polling.data_backoff.succeeded(),
    )


def _left_at(polling: PollingState, now: Moment) -> float:
    """Return when the drive probably began that this look is the first to see."""
    looked = polling.data_at if polling.data_at is not None else now.clock
    return (looked + now.clock) / 2


def _is_elsewhere(place: tuple[float, float] | None, now: tuple[float, float] | None) -> bool:
    return place is not None and now is not None and Place(*place).distance(now) > 2 * PLACE_RADIUS


def _expected_end_is_over(polling: PollingState, observed: Observation, now: Moment) -> bool:
    """Tell whether the last look expected an end before now, and what it saw still goes on."""
    before = polling.observed
    left = before.arrival if before.driving else before.charge_left
    if left is None or polling.data_at is None:
        return False
    goes_on = (before.driving and observed.driving) or (before.charging and observed.charging)
    return goes_on and polling.data_at + left <= now.clock


def _since(polling: PollingState, observed: Observation, now: Moment) -> float | None:
    if not (observed.reasons or observed.open):
        return None
    same = observed.reasons == polling.observed.reasons and observed.open == polling.observed.open
    return polling.reasons_since if same and polling.reasons_since is not None else now.clock


def state_failed(
    polling: PollingState, trouble: Trouble, now: Moment, *, retry_after: float | None = None, jitter: float = 0.0
) -> PollingState:
    """Take in that a state request brought no answer about the car."""
    backoff = polling.state_backoff.failed(trouble, now.clock, retry_after=retry_after, jitter=jitter)
    return changed(polling, state_backoff=backoff, crowded_at=_crowded_at(polling, trouble, now))


def data_failed(
    polling: PollingState, trouble: Trouble, now: Moment, *, retry_after: float | None = None, jitter: float = 0.0
) -> PollingState:
    """Take in that a look brought no answer. After 408 the state is asked at once: the car may be asleep or gone."""
    backoff = polling.data_backoff.failed(trouble, now.clock, retry_after=retry_after, jitter=jitter)
    wanted = polling.wanted or trouble is Trouble.UNANSWERED
    return changed(polling, data_backoff=backoff, crowded_at=_crowded_at(polling, trouble, now), wanted=wanted)


def _crowded_at(polling: PollingState, trouble: Trouble, now: Moment) -> float | None:
    return now.clock if trouble is Trouble.RATE_LIMITED else polling.crowded_at


def without_habits(polling: PollingState) -> PollingState:
    """Forget the times and places of stops and departures."""
    learnt = polling.learnt.without_habits()
    return polling if learnt == polling.learnt else changed(polling, learnt=learnt)


def look_wanted(polling: PollingState, now: Moment) -> PollingState:
    """Take in that somebody asks for a look now. It never wakes the car, and what Tesla told us to wait for stays."""
    known_online = polling.online and _fresh(polling, now.clock)
    return changed(polling, wanted=polling.wanted or not known_online, hint_at=now.clock)


def hinted(polling: PollingState, now: Moment) -> PollingState:
    """Take in a sign that a drive or charge begins or ends about now: a look at once, and a few after it.

    A sign that again and again brings nothing is listened to less and less often, and waited on for a shorter time, so
    that it cannot spend the month.
    """
    deaf = min(EXPECTED * 2**polling.idle_hints, DEAF_MOST)
    if polling.hinted_at is not None and now.clock - polling.hinted_at < deaf:
        return polling
    awaited = EXPECTED / (1 + polling.idle_hints)
    hinted = changed(
        polling,
        hinted_at=now.clock,
        idle_hints=min(polling.idle_hints + 1, COUNTED_MOST),
        expecting_until=now.clock + awaited,
    )
    return look_wanted(hinted, now)
