"""The polling rule as a pure function: whole days pass in milliseconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.polling import policy
from custom_components.teslafi.polling.activity import activity_of
from custom_components.teslafi.polling.policy import Activity, Ask, Failure, Request, Watch, next_request
from custom_components.teslafi.tesla.snapshot import (
    ChargeState,
    ClimateState,
    DriveState,
    Snapshot,
    SoftwareUpdate,
    VehicleState,
)

START = 1_790_000_000.0
SLEEPY_AFTER = 900.0
"""A car falls asleep a quarter of an hour after the last look at its data, if nothing happens."""


@dataclass
class Car:
    """A car as far as polling matters: looking at its data keeps it awake."""

    activity: Activity = Activity.IDLE
    asleep: bool = False
    quiet_since: float = START

    def awake_at(self, now: float) -> bool:
        """Tell whether the car is awake; an idle one may just have fallen asleep."""
        if self.activity is Activity.IDLE and now - self.quiet_since >= SLEEPY_AFTER:
            self.asleep = True
        return not self.asleep


@dataclass
class Day:
    """Polls a car by the rule and writes down every request."""

    car: Car
    watch: Watch = field(default_factory=Watch)
    now: float = START
    requests: list[Request] = field(default_factory=list)
    may_spend: bool = True

    def run(self, seconds: float) -> list[Request]:
        """Poll for so long; return the requests with the times at which they were sent."""
        first = len(self.requests)
        until = self.now + seconds
        while (request := next_request(self.watch, self.now, may_spend=self.may_spend)).at < until:
            self.now = max(self.now, request.at)
            self.requests.append(Request(request.ask, self.now))
            self.answer(request.ask)
        self.now = until
        return self.requests[first:]

    def answer(self, ask: Ask) -> None:
        """Let the car answer, and the rule take it in."""
        awake = self.car.awake_at(self.now)
        if ask is Ask.STATE:
            self.watch = policy.state_answered(self.watch, awake=awake, now=self.now)
        elif awake:
            self.car.quiet_since = self.now
            self.watch = policy.data_answered(self.watch, activity=self.car.activity, now=self.now)
        else:
            self.watch = policy.went_quiet(self.watch, self.now)


def times(requests: list[Request], ask: Ask) -> list[float]:
    """Return when the requests of one kind were sent."""
    return [request.at for request in requests if request.ask is ask]


def gaps(requests: list[Request], ask: Ask) -> set[float]:
    """Return the times between requests of one kind."""
    return {later - earlier for earlier, later in pairwise(times(requests, ask))}


def test_a_new_car_is_asked_for_its_state_then_its_data() -> None:
    """The free question comes first; the data of a car that is online follows at once."""
    requests = Day(Car()).run(1)
    assert [request.ask for request in requests] == [Ask.STATE, Ask.DATA]


@pytest.mark.parametrize("activity", [Activity.DRIVING, Activity.FAST_CHARGING])
def test_a_busy_car_is_looked_at_each_minute(activity: Activity) -> None:
    """Driving and fast charging: data and state each 60 s."""
    requests = Day(Car(activity)).run(3600)
    assert gaps(requests, Ask.DATA) == {60.0}
    assert gaps(requests, Ask.STATE) == {60.0}


def test_an_awake_car_is_looked_at_each_five_minutes() -> None:
    """Something keeps it awake: data each 5 min, state each 60 s."""
    requests = Day(Car(Activity.ACTIVE)).run(6 * 3600)
    assert gaps(requests, Ask.DATA) == {300.0}
    assert gaps(requests, Ask.STATE) == {60.0}


def test_an_idle_car_falls_asleep_and_is_left_alone() -> None:
    """The silence is long enough; afterwards only the free question remains, each 5 min."""
    day = Day(Car())
    day.run(3600)
    assert day.car.asleep
    night = day.run(8 * 3600)
    assert times(night, Ask.DATA) == []
    assert gaps(night, Ask.STATE) == {300.0}


def test_a_car_that_stays_awake_is_looked_at_now_and_then() -> None:
    """An idle car that does not fall asleep costs a look each twenty minutes, no more."""
    day = Day(Car())
    day.run(1200)
    for _ in range(50):
        day.car.quiet_since = day.now
        day.run(600)
    assert gaps([request for request in day.requests if request.at > START + 1200], Ask.DATA) == {1200.0}


def test_a_car_that_wakes_is_looked_at_at_once() -> None:
    """The first state that says online is followed by a look, and the watch begins anew."""
    day = Day(Car())
    day.run(7200)
    assert day.car.asleep
    day.car.asleep, day.car.activity, woken = False, Activity.DRIVING, day.now
    later = day.run(600)
    first_state = times(later, Ask.STATE)[0]
    assert times(later, Ask.DATA)[0] == first_state
    assert first_state - woken <= 300


def test_the_budget_ends_paid_requests_only() -> None:
    """With nothing left to spend, the state goes on and the data stops."""
    requests = Day(Car(Activity.DRIVING), may_spend=False).run(3600)
    assert times(requests, Ask.DATA) == []
    assert gaps(requests, Ask.STATE) == {60.0}


def test_tesla_is_taken_at_its_word() -> None:
    """Retry-After decides when the next request goes out, of either kind."""
    watch = policy.failed(Watch(awake=True), Failure.RATE_LIMITED, START, retry_after=37829)
    assert next_request(watch, START).at == START + 37829


def test_trouble_is_met_with_patience() -> None:
    """The waits double up to a quarter of an hour; the first good answer ends them."""
    watch, waits = Watch(), []
    for _ in range(8):
        watch = policy.failed(watch, Failure.TROUBLE, START)
        waits.append(next_request(watch, START).at - START)
    assert waits == [60, 120, 240, 480, 900, 900, 900, 900]
    watch = policy.state_answered(watch, awake=False, now=START)
    assert next_request(watch, START).at == START + 300


def test_a_car_in_service_is_not_pestered() -> None:
    """It refuses data: the state goes on each minute, data waits half an hour."""
    day = Day(Car(Activity.ACTIVE))
    day.run(1)
    day.watch = policy.failed(day.watch, Failure.IN_SERVICE, day.now)
    requests = day.run(1700)
    assert times(requests, Ask.DATA) == []
    assert times(requests, Ask.STATE)


def test_a_car_too_slow_to_answer_does_not_cost_each_minute() -> None:
    """408 although online is billed: the next attempt waits five minutes, the free question one."""
    day = Day(Car(Activity.ACTIVE))
    day.run(1)
    day.watch = policy.went_quiet(day.watch, day.now)
    requests = day.run(290)
    assert times(requests, Ask.DATA) == []
    assert len(times(requests, Ask.STATE)) >= 4


def test_a_wanted_look_comes_at_once_but_not_against_tesla() -> None:
    """The owner's wish makes everything due; a wait that Tesla asked for stays."""
    day = Day(Car())
    day.run(7200)
    assert next_request(policy.wanted(day.watch), day.now).at <= day.now
    limited = policy.failed(day.watch, Failure.RATE_LIMITED, day.now, retry_after=500)
    assert next_request(policy.wanted(limited), day.now).at == day.now + 500


def _drive(day: Day) -> None:
    day.car.activity, day.car.asleep = Activity.DRIVING, False


def _charge(day: Day) -> None:
    day.car.activity, day.car.asleep = Activity.FAST_CHARGING, False


def _park(day: Day) -> None:
    day.car.activity, day.car.quiet_since = Activity.IDLE, day.now


def _wake(day: Day) -> None:
    day.car.asleep, day.car.quiet_since = False, day.now


def _trouble(day: Day) -> None:
    day.watch = policy.failed(day.watch, Failure.TROUBLE, day.now)


def _limit(day: Day) -> None:
    day.watch = policy.failed(day.watch, Failure.RATE_LIMITED, day.now, retry_after=90)


def _service(day: Day) -> None:
    day.watch = policy.failed(day.watch, Failure.IN_SERVICE, day.now)


def _want(day: Day) -> None:
    day.watch = policy.wanted(day.watch)


HAPPENINGS: Final[Mapping[str, Callable[[Day], None]]] = {
    "drive": _drive,
    "charge": _charge,
    "park": _park,
    "wake": _wake,
    "trouble": _trouble,
    "limit": _limit,
    "service": _service,
    "want": _want,
}


@given(history=st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.floats(1, 5000)), max_size=30))
def test_rules_that_hold_always(history: list[tuple[str, float]]) -> None:
    """Whatever happens: data is asked only of a car that has just said it is online, and time goes forward."""
    day = Day(Car())
    for happening, seconds in history:
        HAPPENINGS[happening](day)
        day.run(seconds)
    sent = [request.at for request in day.requests]
    assert sent == sorted(sent)
    for before, request in pairwise(day.requests):
        if request.ask is Ask.DATA:
            assert before.ask is Ask.STATE
            assert request.at - before.at <= policy.FRESH


BASE = Snapshot()


@pytest.mark.parametrize(
    ("snapshot", "activity"),
    [
        (BASE, Activity.IDLE),
        (replace(BASE, drive_state=DriveState(shift_state="P", speed=0)), Activity.IDLE),
        (replace(BASE, drive_state=DriveState(shift_state="D")), Activity.DRIVING),
        (replace(BASE, drive_state=DriveState(shift_state="R")), Activity.DRIVING),
        (replace(BASE, drive_state=DriveState(speed=3)), Activity.DRIVING),
        (replace(BASE, charge_state=ChargeState(charging_state="Charging")), Activity.ACTIVE),
        (
            replace(BASE, charge_state=ChargeState(charging_state="Charging", fast_charger_present=True)),
            Activity.FAST_CHARGING,
        ),
        (
            replace(BASE, charge_state=ChargeState(charging_state="Complete", fast_charger_present=True)),
            Activity.IDLE,
        ),
        (replace(BASE, climate_state=ClimateState(is_climate_on=True)), Activity.ACTIVE),
        (replace(BASE, climate_state=ClimateState(is_preconditioning=True)), Activity.ACTIVE),
        (replace(BASE, vehicle_state=VehicleState(sentry_mode=True)), Activity.ACTIVE),
        (replace(BASE, vehicle_state=VehicleState(is_user_present=True)), Activity.ACTIVE),
        (
            replace(BASE, vehicle_state=VehicleState(software_update=SoftwareUpdate(status="installing"))),
            Activity.ACTIVE,
        ),
    ],
)
def test_what_a_car_does(snapshot: Snapshot, activity: Activity) -> None:
    """The liveliest thing counts; what is not said counts as nothing done."""
    assert activity_of(snapshot) is activity
