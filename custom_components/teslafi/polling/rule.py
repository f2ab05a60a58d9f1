"""The polling rule: what is known of one car, and the moment, come to the next request.

A pure function of its arguments. The state request is free and is asked all the time; a look (`vehicle_data`) costs
money and keeps an idle car awake, so there is one only when it buys something: a car that has just woken, a drive or a
charge and their ends, a stop that will probably be short, a silence that brought no sleep. docs/polling.md tells it in
words.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from .backoff import Backoff, Trouble
from .learnt import PLACE_RADIUS, SHORT_STOP, Kind, Learnt, Place, is_night
from .pace import Mode, Pace, Step, pace_of
from .sight import Reason, Sight

FRESH: Final = 30.0
"""Seconds for which an answer still says that the car is online, so that it may be looked at."""
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
UNEXPLAINED: Final = 2
"""Silences without sleep or reason after which something unseen keeps the car awake."""
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
    UNEXPLAINED = "unexplained"
    """We were silent, and it stayed awake: another app, another Home Assistant, an accessory, a fault."""
    NOT_AWAKE = "not_awake"


type AwakeBecause = Reason | Unforced


@dataclass(frozen=True, slots=True)
class Moment:
    """Now. `clock` is monotonic and decides alone when to ask; the others serve calendars and habits."""

    clock: float
    wall: float
    """Epoch seconds."""
    minute: int = 0
    """Local minutes since Monday, January 5, 1970."""
    day: str = ""
    """The local date."""


@dataclass(frozen=True, slots=True)
class Request:
    """The next request, when it is due (monotonic), and why."""

    ask: Ask
    at: float
    why: Why


@dataclass(frozen=True, slots=True)
class Watch:
    """All that the rule knows of one car. Moments are monotonic seconds. A new car has been asked nothing."""

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
    sight: Sight = field(default_factory=Sight)
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
    charge_starts_at: float | None = None
    expecting_until: float | None = None
    """Something was hinted at: a start is waited for until then."""
    hint_at: float | None = None
    """When a look was asked for that has not gone out."""
    hinted_at: float | None = None
    idle_hints: int = 0
    """Hints in a row after which neither a drive nor a charge began or ended."""
    wanted: bool = False
    """Somebody asked for a look; the state is asked first."""
    states_asked: tuple[float, ...] = ()
    looks_asked: tuple[float, ...] = ()
    """When the last requests of each kind went out."""
    state_backoff: Backoff = field(default_factory=Backoff)
    data_backoff: Backoff = field(default_factory=Backoff)
    kind: Kind = Kind.CURRENT
    learnt: Learnt = field(default_factory=Learnt)


# --- the next request -----------------------------------------------------------------------------------------------


def next_request(watch: Watch, now: Moment, mode: Mode = Mode.BALANCED, step: Step = Step.FULL) -> Request:
    """Return the next request: free ones always, looks as mode and budget allow.

    It is never due later than the state's interval or the state's back-off says, and a look never without an answer of
    the last half minute that the car is online.
    """
    pace = pace_of(mode, step)
    state = Request(Ask.STATE, _state_due(watch, pace), Why.STATE)
    if not watch.online or step is Step.STATE_ONLY:
        return state
    at, why = _look(watch, now, pace)
    at = max(at, watch.data_backoff.not_before, _free_at(watch.looks_asked, LOOKS_A_MINUTE), _rate_limited_until(watch))
    if at > now.clock:
        return state if state.at <= at else Request(Ask.DATA if _fresh(watch, at) else Ask.STATE, at, why)
    if _fresh(watch, now.clock):
        return Request(Ask.DATA, at, why)
    soonest = max(watch.state_backoff.not_before, _free_at(watch.states_asked, STATES_A_MINUTE))
    return Request(Ask.STATE, max(soonest, min(state.at, now.clock)), why)


def _rate_limited_until(watch: Watch) -> float:
    """Return the end of the wait that Tesla asked for at the state: a 429 means the car, not the endpoint."""
    limited = watch.state_backoff.trouble is Trouble.RATE_LIMITED
    return watch.state_backoff.not_before if limited else float("-inf")


def _state_due(watch: Watch, pace: Pace) -> float:
    interval = pace.state_awake if watch.online else pace.state_resting
    due = _after(watch.state_at, interval)
    if watch.wanted:
        due = float("-inf")
    return max(due, watch.state_backoff.not_before, _free_at(watch.states_asked, STATES_A_MINUTE))


def _after(moment: float | None, seconds: float) -> float:
    """Return the moment so much later; without a moment, one that is over."""
    return float("-inf") if moment is None else moment + seconds


def _free_at(asked_at: tuple[float, ...], most: int) -> float:
    """Return when the minute has room for one more request."""
    return asked_at[-most] + MINUTE if len(asked_at) >= most else float("-inf")


def _fresh(watch: Watch, at: float) -> bool:
    return watch.state_at is not None and at - watch.state_at <= FRESH


def _look(watch: Watch, now: Moment, pace: Pace) -> tuple[float, Why]:
    """Return when the next look buys something."""
    at, why = _planned(watch, now, pace)
    starts = watch.charge_starts_at
    if starts is not None and watch.data_at is not None and watch.data_at < starts + ARRIVED < at:
        at, why = starts + ARRIVED, Why.CHARGING
    if watch.hint_at is not None and watch.hint_at < at:
        return watch.hint_at, Why.HINT
    return at, why


def _planned(watch: Watch, now: Moment, pace: Pace) -> tuple[float, Why]:
    """Return when the next look is due by what the last one saw."""
    if watch.data_at is None:
        return _after(watch.turned_at, CHECK_HOLD if _probably_a_check(watch) else 0.0), Why.WOKEN
    for applies, interval, why in _CASES:
        if applies(watch, now, pace):
            return watch.data_at + interval(watch, now, pace), why
    return watch.data_at + silence_of(watch), Why.NO_SLEEP


def _probably_a_check(watch: Watch) -> bool:
    expected = watch.expecting_until is not None and (watch.turned_at or 0.0) < watch.expecting_until
    if watch.check_at is None or watch.turned_at is None or expected:
        return False
    return watch.learnt.looks_like_a_check(watch.turned_at - watch.check_at)


def silence_of(watch: Watch) -> float:
    """Return the seconds for which an idle car is left alone; longer each time that this brought no sleep."""
    learnt = watch.learnt.silence(watch.kind)
    return max(min(learnt * SILENCE_GROWS**watch.silences, SILENCE_MOST), learnt)


def _driving(watch: Watch, now: Moment, pace: Pace) -> float:
    arrival = watch.sight.arrival
    if arrival is None:
        return pace.driving_far if _surely_driving_for(watch, now) > pace.driving_far else pace.driving
    if arrival > pace.driving_far:
        return pace.driving_far
    return min(max(arrival + ARRIVED, pace.near_end * OVERDUE_GROWS**watch.overdue), pace.driving)


def _surely_driving_for(watch: Watch, now: Moment) -> float:
    """Return the seconds that the drive goes on at least, by the last drives from where it began."""
    if watch.departed_at is None:
        return 0.0
    return watch.learnt.drives_at_least(watch.parked_place) - (now.clock - watch.departed_at)


def _charging(watch: Watch, now: Moment, pace: Pace) -> float:
    most = pace.fast_charging if watch.sight.fast else pace.charging
    if not watch.sight.fast and watch.learnt.leaves(now.minute):
        most = min(most, pace.lingering)
    left = watch.sight.charge_left
    if left is None:
        return min(most, pace.lingering)
    return min(max(left + ARRIVED, pace.near_end * OVERDUE_GROWS**watch.overdue), most)


def _attended(watch: Watch, now: Moment, pace: Pace) -> float:
    since = now.clock - watch.reasons_since if watch.reasons_since is not None else 0.0
    if since <= ATTENDED_SOON:
        return pace.stop if _just_arrived(watch) else pace.follow_up
    return pace.preparing if since <= ATTENDED_LONG else pace.lingering


def _preparing(watch: Watch, now: Moment, pace: Pace) -> float:
    since = now.clock - watch.reasons_since if watch.reasons_since is not None else 0.0
    return pace.preparing if since <= PREPARING_LONG else pace.lingering


def _lingering(watch: Watch, now: Moment, pace: Pace) -> float:
    if watch.learnt.leaves(now.minute):
        return pace.departing
    if watch.learnt.may_leave(now.minute):
        return pace.lingering
    return pace.lingering_night if is_night(now.minute) else pace.lingering_rest


def stop_watched(watch: Watch, pace: Pace) -> float:
    """Return for how long after an arrival the next departure is looked out for; 0 where stops are long."""
    if watch.learnt.short_stops(watch.parked_place) < pace.short_stops:
        return 0.0
    return min(watch.learnt.stop_watch(silence_of(watch)), pace.stop_longest)


def _just_arrived(watch: Watch) -> bool:
    """Tell whether the last drive or charge ended since the car woke."""
    return watch.parked_at is not None and watch.parked_at >= (watch.turned_at or 0.0)


def _may_be_plugged_in(watch: Watch, _now: Moment, pace: Pace) -> bool:
    """Tell whether a charge may begin now: the driver has just left the car where it is sometimes charged."""
    if not _just_arrived(watch):
        return False
    if watch.sight.plugged:
        return watch.empty_looks == 1 and watch.charge_starts_at is None and not watch.stop_charged
    looks = pace.plug_in_looks if watch.learnt.charges_at(watch.parked_place) else pace.plug_in_elsewhere
    return 1 <= watch.empty_looks <= looks


def _in_short_stop(watch: Watch, _now: Moment, pace: Pace) -> bool:
    if watch.parked_at is None or watch.data_at is None or watch.sight.plugged:
        return False
    return watch.data_at - watch.parked_at < stop_watched(watch, pace)


def _expects(watch: Watch, _now: Moment, _pace: Pace) -> bool:
    if watch.data_at is None:
        return False
    starts = watch.charge_starts_at
    charge = starts is not None and 0 <= watch.data_at - starts <= EXPECTED
    return charge or (watch.expecting_until is not None and watch.data_at < watch.expecting_until)


type _Applies = Callable[[Watch, Moment, Pace], bool]
type _Interval = Callable[[Watch, Moment, Pace], float]

_PREPARING: Final = frozenset({Reason.PRECONDITIONING, Reason.CLIMATE})

_CASES: Final[tuple[tuple[_Applies, _Interval, Why], ...]] = (
    (lambda w, _n, _p: w.sight.driving, _driving, Why.DRIVING),
    (lambda w, _n, _p: w.sight.charging, _charging, Why.CHARGING),
    (lambda w, _n, _p: w.sight.attended, _attended, Why.ATTENDED),
    (_expects, lambda _w, _n, p: p.follow_up, Why.HINT),
    (
        lambda w, _n, _p: bool(w.sight.reasons & _PREPARING) and Reason.CLIMATE_KEEPER not in w.sight.reasons,
        _preparing,
        Why.PREPARING,
    ),
    (_may_be_plugged_in, lambda _w, _n, _p: PLUGGED_IN, Why.SHORT_STOP),
    (_in_short_stop, lambda _w, _n, p: p.stop, Why.SHORT_STOP),
    (lambda w, _n, _p: bool(w.sight.reasons), _lingering, Why.LINGERING),
    (lambda w, _n, _p: w.looks == 1 and not w.active, lambda _w, _n, p: p.follow_up, Why.FOLLOW_UP),
)
"""The first case that applies says how long after the last look the next one is due; none means silence."""


def awake_because(watch: Watch, now: Moment, mode: Mode = Mode.BALANCED, step: Step = Step.FULL) -> AwakeBecause | None:
    """Return why the car is awake; None while it is not known whether it is."""
    if watch.online is None:
        return None
    if not watch.online:
        return Unforced.NOT_AWAKE
    if watch.data_at is None:
        return Unforced.JUST_WOKEN
    shown = next((reason for reason in Reason if reason in watch.sight.reasons), None)
    if shown is not None or watch.sight.open:
        return shown or Reason.USER_PRESENT
    if watch.silences >= UNEXPLAINED:
        return Unforced.UNEXPLAINED
    why = _planned(watch, now, pace_of(mode, step))[1]
    return Unforced.FALLING_ASLEEP if why is Why.NO_SLEEP else Unforced.WATCHED


# --- answers --------------------------------------------------------------------------------------------------------


def asked(watch: Watch, ask: Ask, now: Moment) -> Watch:
    """Take in that a request goes out."""
    if ask is Ask.STATE:
        return replace(watch, states_asked=(*watch.states_asked, now.clock)[-STATES_A_MINUTE:], wanted=False)
    return replace(watch, looks_asked=(*watch.looks_asked, now.clock)[-LOOKS_A_MINUTE:], hint_at=None)


def state_answered(watch: Watch, *, online: bool, asleep: bool, now: Moment) -> Watch:
    """Take in the answer of a state request."""
    if watch.state_backoff.trouble is not None:
        watch = replace(watch, state_backoff=watch.state_backoff.succeeded())
    return state_told(watch, online=online, asleep=asleep, now=now)


def state_told(watch: Watch, *, online: bool, asleep: bool, now: Moment) -> Watch:
    """Take in the car's state from whoever tells it, such as the list of products."""
    if online == watch.online:
        hint_at = watch.hint_at if online else None
        return replace(watch, state_at=now.clock, asleep=asleep and not online, hint_at=hint_at)
    if online:
        return _woken(watch, now)
    return _gone(watch, asleep=asleep, now=now)


def _woken(watch: Watch, now: Moment) -> Watch:
    return replace(
        watch,
        online=True,
        asleep=False,
        state_at=now.clock,
        turned_at=now.clock,
        data_at=None,
        looks=0,
        sight=Sight(),
        reasons_since=None,
        active=False,
        visited=False,
        silences=0,
    )


def _gone(watch: Watch, *, asleep: bool, now: Moment) -> Watch:
    """Take in that the car fell asleep or out of reach, and learn from it."""
    learnt, check_at = watch.learnt, watch.check_at
    continuous = watch.state_at is not None and now.clock - watch.state_at <= CONTINUOUS
    if asleep and watch.online and continuous:
        if watch.data_at is not None and not watch.sight.reasons and not watch.sight.open:
            learnt = learnt.slept(now.clock - watch.data_at)
        if watch.turned_at is not None and not watch.visited:
            learnt = learnt.checked(watch.turned_at - check_at) if check_at is not None else learnt
            check_at = watch.turned_at
    counted = watch.stop_counted or (watch.parked_at is not None and asleep)
    if counted and not watch.stop_counted:
        learnt = learnt.stopped(watch.parked_place, None, charged=watch.stop_charged)
    return replace(
        watch,
        online=False,
        asleep=asleep,
        state_at=now.clock,
        turned_at=now.clock,
        check_at=check_at,
        stop_counted=counted,
        expecting_until=None,
        silences=0,
        learnt=learnt,
    )


def data_answered(watch: Watch, sight: Sight, now: Moment) -> Watch:
    """Take in an answer of `vehicle_data`."""
    before = watch.sight
    departed = sight.driving and not before.driving
    arrived = watch.data_at is not None and before.driving and not sight.driving
    charge_ended = watch.data_at is not None and before.charging and not (sight.charging or sight.driving)
    learnt, parked_at, place, charged = watch.learnt, watch.parked_at, watch.parked_place, watch.stop_charged
    departed_at, counted = watch.departed_at, watch.stop_counted
    if departed:
        learnt = learnt.departed(now.minute - round((now.clock - _left_at(watch, now)) / MINUTE))
        if parked_at is not None:
            lasted = _left_at(watch, now) - parked_at
            learnt = learnt.stop_lasted(lasted)
            learnt = learnt if counted else learnt.stopped(place, lasted, charged=charged)
        parked_at, departed_at, charged, counted = None, now.clock, False, False
    elif arrived or (charge_ended and parked_at is None):
        if arrived and departed_at is not None:
            learnt = learnt.drove(place, now.clock - departed_at)
        parked_at, place, departed_at, counted = now.clock, sight.place, None, False
    elif parked_at is not None and not sight.driving and _is_elsewhere(place, sight.place):
        # A whole drive went by unseen: the stop before it ended in the silence
        lasted = _left_at(watch, now) - parked_at
        learnt = learnt.stop_lasted(lasted)
        learnt = learnt if counted else learnt.stopped(place, lasted, charged=charged)
        parked_at, place, charged, counted = now.clock, sight.place, False, False
    if parked_at is not None and not counted and now.clock - parked_at > SHORT_STOP:
        learnt, counted = learnt.stopped(place, None, charged=charged or sight.charging), True
    silent = watch.data_at is not None and now.clock - watch.data_at >= silence_of(watch)
    idle_now = not (sight.reasons or sight.open)
    idle = idle_now and not (before.reasons or before.open)
    plugged_in = sight.plugged and not before.plugged
    unexplained = silent and idle
    starts = sight.charge_starts_at
    overdue = watch.overdue + 1 if _expected_end_is_over(watch, sight, now) else 0
    fast_charged = charge_ended and before.fast
    return replace(
        watch,
        online=True,
        asleep=False,
        state_at=now.clock,
        turned_at=watch.turned_at if watch.online else now.clock,
        data_at=now.clock,
        looks=watch.looks + 1,
        sight=sight,
        reasons_since=_since(watch, sight, now),
        overdue=min(overdue, OVERDUE_MOST),
        empty_looks=watch.empty_looks + 1 if idle and not (arrived or charge_ended or plugged_in) else int(idle_now),
        departed_at=departed_at,
        idle_hints=watch.idle_hints if before.driving == sight.driving and before.charging == sight.charging else 0,
        expecting_until=now.clock + EXPECTED if fast_charged else watch.expecting_until,
        active=watch.active or sight.driving or sight.charging,
        visited=watch.visited or bool(sight.reasons) or sight.open,
        parked_at=parked_at,
        parked_place=place,
        stop_charged=charged or sight.charging,
        stop_counted=counted,
        silences=watch.silences + unexplained if idle else 0,
        charge_starts_at=now.clock + min(starts - now.wall, 86_400.0) if starts is not None else None,
        data_backoff=watch.data_backoff.succeeded(),
        learnt=learnt,
    )


def _left_at(watch: Watch, now: Moment) -> float:
    """Return when the drive probably began that this look is the first to see."""
    looked = watch.data_at if watch.data_at is not None else now.clock
    return (looked + now.clock) / 2


def _is_elsewhere(place: tuple[float, float] | None, now: tuple[float, float] | None) -> bool:
    return place is not None and now is not None and Place(*place).distance(now) > 2 * PLACE_RADIUS


def _expected_end_is_over(watch: Watch, sight: Sight, now: Moment) -> bool:
    """Tell whether the last look expected an end before now, and what it saw still goes on."""
    before = watch.sight
    left = before.arrival if before.driving else before.charge_left
    if left is None or watch.data_at is None:
        return False
    goes_on = (before.driving and sight.driving) or (before.charging and sight.charging)
    return goes_on and watch.data_at + left <= now.clock


def _since(watch: Watch, sight: Sight, now: Moment) -> float | None:
    if not (sight.reasons or sight.open):
        return None
    same = sight.reasons == watch.sight.reasons and sight.open == watch.sight.open
    return watch.reasons_since if same and watch.reasons_since is not None else now.clock


def state_failed(
    watch: Watch, trouble: Trouble, now: Moment, *, retry_after: float | None = None, jitter: float = 0.0
) -> Watch:
    """Take in that a state request brought no answer about the car."""
    backoff = watch.state_backoff.failed(trouble, now.clock, retry_after=retry_after, jitter=jitter)
    return replace(watch, state_backoff=backoff)


def data_failed(
    watch: Watch, trouble: Trouble, now: Moment, *, retry_after: float | None = None, jitter: float = 0.0
) -> Watch:
    """Take in that a look brought no answer. After 408 the next state request tells whether the car fell asleep."""
    backoff = watch.data_backoff.failed(trouble, now.clock, retry_after=retry_after, jitter=jitter)
    return replace(watch, data_backoff=backoff)


def without_habits(watch: Watch) -> Watch:
    """Forget the times and places of stops and departures."""
    learnt = watch.learnt.without_habits()
    return watch if learnt == watch.learnt else replace(watch, learnt=learnt)


def look_wanted(watch: Watch, now: Moment) -> Watch:
    """Take in that somebody asks for a look now. It never wakes the car, and what Tesla told us to wait for stays."""
    return replace(watch, wanted=True, hint_at=now.clock)


def hinted(watch: Watch, now: Moment) -> Watch:
    """Take in a sign that a drive or charge begins or ends about now: a look at once, and a few after it.

    A sign that again and again brings nothing is listened to less and less often, so that it cannot spend the month.
    """
    deaf = min(EXPECTED * 2**watch.idle_hints, DEAF_MOST)
    if watch.hinted_at is not None and now.clock - watch.hinted_at < deaf:
        return watch
    hinted = replace(watch, hinted_at=now.clock, idle_hints=watch.idle_hints + 1, expecting_until=now.clock + EXPECTED)
    return look_wanted(hinted, now)
