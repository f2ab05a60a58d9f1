"""The simple polling rule: often while something happens, seldom while nothing does, silent so that the car can sleep.

The state request is free and neither wakes a car nor keeps it awake; `vehicle_data` costs money and keeps the car awake
(Tesla's developer documents, "Billing and limits"; behaviour of cars as recorded by their owners). Times are epoch
seconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

STATE_AWAKE: Final = 60.0
STATE_RESTING: Final = 300.0
DATA_BUSY: Final = 60.0
DATA_AWAKE: Final = 300.0
IDLE_BEFORE_SILENCE: Final = 600.0
"""An idle car is watched this long before the silence begins."""
SILENCE: Final = 1200.0
"""Longer than the quarter of an hour without questions after which a car falls asleep."""
FRESH: Final = 30.0
"""A state answer this old still says that the car may be asked for data."""
SERVICE_PAUSE: Final = 1800.0
LIMIT_PAUSE: Final = 900.0
"""Tesla names no time after which a reached spending limit is worth another question."""
BACKOFF_FIRST: Final = 60.0
BACKOFF_MOST: Final = 900.0


class Ask(StrEnum):
    """What a request asks for."""

    STATE = "state"
    DATA = "data"


class Activity(StrEnum):
    """What the car does, as far as it decides how often to look."""

    DRIVING = "driving"
    FAST_CHARGING = "fast_charging"
    ACTIVE = "active"
    IDLE = "idle"


class Failure(StrEnum):
    """Why a request brought no answer about the car."""

    TROUBLE = "trouble"
    RATE_LIMITED = "rate_limited"
    SPENDING_LIMIT = "spending_limit"
    IN_SERVICE = "in_service"


@dataclass(frozen=True, slots=True)
class Watch:
    """All that the rule knows of one car. A new car has been asked nothing."""

    awake: bool | None = None
    state_at: float | None = None
    data_at: float | None = None
    activity: Activity = Activity.ACTIVE
    idle_since: float | None = None
    failures: int = 0
    not_before: float = 0.0
    data_not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """The next request and when it is due."""

    ask: Ask
    at: float


def next_request(watch: Watch, now: float, *, may_spend: bool = True) -> Request:
    """Return the next request. With `may_spend` false (budget used up) only the free one is ever due."""
    state = Request(Ask.STATE, max(_state_due(watch), watch.not_before))
    if not watch.awake or not may_spend:
        return state
    data_at = max(_data_due(watch), watch.data_not_before, watch.not_before)
    if data_at > now:
        return state if state.at <= data_at else Request(Ask.STATE, data_at)
    if watch.state_at is not None and now - watch.state_at <= FRESH:
        return Request(Ask.DATA, data_at)
    return Request(Ask.STATE, max(watch.not_before, min(state.at, now)))


def _state_due(watch: Watch) -> float:
    if watch.state_at is None:
        return 0.0
    return watch.state_at + (STATE_RESTING if watch.awake is False else STATE_AWAKE)


def _data_due(watch: Watch) -> float:
    if watch.data_at is None:
        return 0.0
    return watch.data_at + _data_interval(watch)


def _data_interval(watch: Watch) -> float:
    if watch.activity in (Activity.DRIVING, Activity.FAST_CHARGING):
        return DATA_BUSY
    silent = (
        watch.activity is Activity.IDLE
        and watch.idle_since is not None
        and watch.data_at is not None
        and watch.data_at - watch.idle_since >= IDLE_BEFORE_SILENCE
    )
    return SILENCE if silent else DATA_AWAKE


def state_answered(watch: Watch, *, awake: bool, now: float) -> Watch:
    """Take in the answer of a state request. A car that has just woken is looked at once, from the beginning."""
    woke = awake and watch.awake is not True
    return replace(
        watch,
        awake=awake,
        state_at=now,
        data_at=None if woke else watch.data_at,
        activity=Activity.ACTIVE if woke else watch.activity,
        idle_since=None if woke else watch.idle_since,
        failures=0,
        not_before=0.0,
    )


def data_answered(watch: Watch, *, activity: Activity, now: float) -> Watch:
    """Take in an answer of `vehicle_data`."""
    idle_since = None
    if activity is Activity.IDLE:
        idle_since = watch.idle_since if watch.idle_since is not None else now
    return replace(watch, awake=True, data_at=now, activity=activity, idle_since=idle_since, failures=0, not_before=0.0)


def wanted(watch: Watch) -> Watch:
    """Make everything due: somebody asks for a fresh look. What Tesla told us to wait for stays waited for."""
    return replace(watch, state_at=None, data_at=None)


def went_quiet(watch: Watch, now: float) -> Watch:
    """Take in 408 to `vehicle_data`: fallen asleep, or awake and too slow. The next state request tells which."""
    return replace(watch, awake=None, state_at=now, data_not_before=now + DATA_AWAKE)


def failed(watch: Watch, failure: Failure, now: float, *, retry_after: float | None = None) -> Watch:
    """Take in a failure: wait as long as Tesla says, else longer from time to time."""
    if failure is Failure.IN_SERVICE:
        return replace(watch, data_not_before=now + SERVICE_PAUSE)
    if failure is Failure.SPENDING_LIMIT:
        return replace(watch, not_before=now + LIMIT_PAUSE, failures=watch.failures + 1)
    pause = min(BACKOFF_FIRST * 2**watch.failures, BACKOFF_MOST)
    if failure is Failure.RATE_LIMITED and retry_after is not None:
        pause = max(retry_after, 1.0)
    return replace(watch, failures=min(watch.failures + 1, 10), not_before=now + pause)
