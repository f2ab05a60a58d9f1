"""The polling rule: examples of what it does, and what it never does, whatever car, clock and Tesla do."""

from collections.abc import Callable
from copy import replace
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.teslafi.polling import rule
from custom_components.teslafi.polling.backoff import Trouble
from custom_components.teslafi.polling.learnt import WEEK, Kind, Learnt
from custom_components.teslafi.polling.observation import Observation, Reason
from custom_components.teslafi.polling.pace import PACES, Mode, Step, pace_of
from custom_components.teslafi.polling.rule import Ask, Moment, PollingState, Unforced, Why
from custom_components.teslafi.record import changed
from custom_components.teslafi.tesla.requests import PRICES_USD, Category
from tests.bench.policy.car import DAY, EPOCH, HOUR, Car, Charge, Drive, Life, Span, Spell
from tests.bench.policy.lives import LIVES, life_of

from .world import Fault, Storm, Suspension, World

HOME, SHOP = (50.0, 8.0), (50.1, 8.1)
SOME = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def still(*spells: Spell, doors: tuple[Span, ...] = (), drives: tuple[Drive, ...] = ()) -> Life:
    """Return a life of these few things."""
    return Life("still", drives=list(drives), spells=list(spells), doors=list(doors))


def test_an_idle_car_is_left_alone_until_it_sleeps() -> None:
    """Two looks after waking, then silence; asleep, only the free question remains."""
    world = World(still(doors=(Span(0, 5),))).run(8 * HOUR)
    assert len(world.times(Ask.DATA)) == 2
    assert not world.car.awake(world.now)
    assert {later - earlier for earlier, later in pairwise(world.times(Ask.STATE)[-100:])} == {30.0}


def test_a_wake_up_is_looked_at_within_half_a_minute() -> None:
    """And the drive that follows is seen within another."""
    drive = Drive(5 * HOUR, 5.5 * HOUR, 15, HOME, SHOP)
    life = still(
        Spell(5 * HOUR - 50, 5.5 * HOUR + 40, Reason.USER_PRESENT), doors=(Span(5 * HOUR - 60, 5 * HOUR - 50),)
    )
    life.drives.append(drive)
    world = World(life).run(5 * HOUR + 60)
    seen = next(look.at for look in world.car.looks if look.driving)
    assert seen - drive.start <= 30
    assert world.times(Ask.DATA)[0] <= 5 * HOUR - 60 + 30


@pytest.mark.parametrize("mode", Mode)
def test_a_drive_is_followed_at_the_modes_pace(mode: Mode) -> None:
    """Looks come as far apart as the mode says."""
    world = World(still(drives=(Drive(0, 2 * HOUR, 60, HOME, SHOP),)), mode=mode).run(HOUR)
    assert {later - earlier for earlier, later in pairwise(world.times(Ask.DATA))} == {PACES[mode].driving}


@pytest.mark.parametrize("mode", Mode)
def test_a_look_at_a_car_on_the_move_needs_no_state_request(mode: Mode) -> None:
    """Its last answer is young enough, and it does not fall asleep; each minute it tells its state all the same."""
    life = still(drives=(Drive(300, 4000, 40, HOME, SHOP),))
    sent = [one for one in World(life, mode=mode).run(4000).sent if one.on_the_move]
    assert len([one for one in sent if one.ask is Ask.DATA]) >= 10
    assert all(later.at - earlier.at >= 1 for earlier, later in pairwise(sent) if later.ask is Ask.DATA)
    assert all(later.at - earlier.at <= 61 for earlier, later in pairwise(sent))


def test_the_end_of_a_route_is_looked_at_when_it_is_due() -> None:
    """Far away seldom, then just after the arrival."""
    world = World(still(drives=(Drive(0, 3000, 60, HOME, SHOP, routed=True),))).run(4000)
    ended = next(look.at for look in world.car.looks if not look.driving)
    assert ended - 3000 <= 60


def test_a_charge_is_looked_at_seldom_and_at_its_end() -> None:
    """Eight hours cost about twenty looks, and the end is seen within a minute or so."""
    life = Life("charge", charges=[Charge(0, 8 * HOUR, 60, 8 * HOUR)], plugged=[Span(0, 9 * HOUR)])
    world = World(life).run(8.5 * HOUR)
    assert len(world.times(Ask.DATA)) <= 22
    assert next(look.at for look in world.car.looks if not look.charging) - 8 * HOUR <= 75


def test_an_end_that_does_not_come_is_not_asked_for_each_minute() -> None:
    """A charger that never finishes says one minute left for hours."""
    life = Life("stuck", charges=[Charge(0, 20 * HOUR, 60, HOUR)], plugged=[Span(0, 20 * HOUR)])
    world = World(life).run(10 * HOUR)
    assert len([at for at in world.times(Ask.DATA) if at > HOUR]) <= 30


def test_silence_is_learnt() -> None:
    """A car that needs nine minutes is given twelve, one that needs twenty is given what it needs."""
    for quiet, most in ((540, 800), (1200, 1700)):
        doors = tuple(Span(start, start + 5) for start in range(0, int(5 * DAY), int(5 * HOUR)))
        world = World(still(doors=doors), quiet=quiet).run(5 * DAY)
        assert quiet < world.polling.learnt.silence(Kind.CURRENT) <= most
        # Once learnt, two looks a wake-up are all that it costs
        assert len([at for at in world.times(Ask.DATA) if at > 4 * DAY]) <= 2 * 5


def test_a_car_that_never_sleeps_costs_a_look_an_hour() -> None:
    """Something unseen keeps it awake: silences grow, and the reason is named."""
    world = World(still(doors=tuple(Span(start, start + 300) for start in range(0, int(2 * DAY), 300))))
    world.car.observed = lambda now: Observation()  # type: ignore[method-assign]  # noqa: ARG005
    world.run(2 * DAY)
    assert len([at for at in world.times(Ask.DATA) if at > DAY]) <= 25
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.UNEXPLAINED


WEEKDAYS: Final = tuple(week * WEEK + day * 1440 + 450 for week in range(5) for day in range(5))
"""Half past seven on each working day of five weeks, in local minutes."""


def test_departures_to_expect_add_up_to_those_that_were() -> None:
    """One each working day at half past seven: one is expected on a Monday, around then, and hardly one on a Sunday."""
    learnt = Learnt(departures=WEEKDAYS, since=WEEKDAYS[0])
    week = 5 * WEEK
    monday = [learnt.departures_a_minute(week + minute) for minute in range(1440)]
    sunday = [learnt.departures_a_minute(week + 6 * 1440 + minute) for minute in range(1440)]
    assert sum(monday) == pytest.approx(1.02, abs=0.05)
    assert sum(monday[405:495]) == pytest.approx(1.0, abs=0.05)
    assert max(monday) == monday[450]
    assert sum(sunday) == pytest.approx(0.02, abs=0.01)


def test_other_days_alike_tell_something_too() -> None:
    """Who has left on five Mondays may leave on a Tuesday at that time, though less surely."""
    mondays = WEEKDAYS[::5]
    learnt = Learnt(departures=mondays, since=mondays[0])
    monday, tuesday = (learnt.departures_a_minute(5 * WEEK + day * 1440 + 450) for day in range(2))
    assert monday / 50 < tuesday < monday / 10


@pytest.mark.parametrize(("silence", "others"), [(749.0, False), (751.0, True)])
def test_a_silence_a_quarter_longer_than_ever_needed_is_a_sign(silence: float, others: bool) -> None:
    """Not one that the car has once needed."""
    learnt = Learnt(sleeps=(560.0, 580.0, 600.0))
    polling = PollingState(learnt=learnt, longest_silence=silence, silences=2)
    assert rule.asked_by_others(polling, Moment(0.0, EPOCH)) is others


@given(
    departures=st.lists(st.integers(0, 10 * WEEK), max_size=40).map(sorted),
    minute=st.integers(0, 20 * WEEK),
    mode=st.sampled_from(Mode),
    step=st.sampled_from([Step.FULL, Step.REDUCED, Step.STARTS_AND_ENDS]),
)
def test_a_car_that_is_kept_awake_is_looked_at_within_bounds(
    departures: list[int], minute: int, mode: Mode, step: Step
) -> None:
    """Whatever was learnt: never oftener than where it nearly always leaves, never seldomer than at night."""
    learnt = Learnt(departures=tuple(departures), since=departures[0] if departures else None)
    assert learnt.departures_a_minute(minute) > 0
    moment = Moment(0.0, EPOCH, minute)
    polling = PollingState(online=True, state_at=0.0, turned_at=-9000.0, learnt=learnt)
    for at in (-60.0, 0.0):
        kept = Observation(reasons=frozenset({Reason.SENTRY}))
        polling = rule.data_answered(polling, kept, replace(moment, clock=at))
    pace = pace_of(mode, step)
    at, why = rule._look(polling, moment, pace)  # noqa: SLF001 - the state's requests come between
    assert why is Why.LINGERING
    assert pace.departing <= at <= max(pace.lingering, pace.lingering_rest, pace.lingering_night)


def test_a_car_that_is_kept_awake_is_watched_when_it_usually_leaves() -> None:
    """Each minute about half past seven, each quarter of an hour or seldomer else."""
    life = still(Spell(0, 2 * DAY, Reason.SENTRY))
    learnt = Learnt(departures=WEEKDAYS, since=WEEKDAYS[0])
    world = World(life, wall=lambda clock: EPOCH + 5 * WEEK * 60 + clock)
    world.polling = replace(world.polling, learnt=learnt)
    looks = world.run(DAY).times(Ask.DATA)
    about = [at for at in looks if 7.4 * HOUR <= at <= 7.6 * HOUR]
    night = [at for at in looks if HOUR <= at <= 5 * HOUR]
    day = [at for at in looks if 9 * HOUR <= at <= 17 * HOUR]
    assert 9 <= len(about) <= 13
    assert len(night) <= 5
    assert len(day) <= 16


def read_by_another(start: float, end: float) -> Callable[[World], None]:
    """Return what somebody else does meanwhile: reads the car each five minutes."""
    read_at = [start]

    def read(world: World) -> None:
        if start <= world.now < end and world.now - read_at[0] >= 300:
            read_at[0] = world.now
            world.car.look(world.now)

    return read


def test_another_app_is_told_from_an_unknown_reason() -> None:
    """A car that is known to sleep no longer does: somebody else reads it. It is told while it lasts.

    Meanwhile its starts are seen like those of a car that has a reason to be awake, not an hour late.
    """
    doors = tuple(Span(start, start + 5) for start in range(0, int(4 * DAY), int(5 * HOUR)))
    other = read_by_another(2 * DAY, 3 * DAY)
    world = World(still(doors=doors)).run(2 * DAY, between=other)
    assert len(world.polling.learnt.sleeps) >= rule.SLEEPS_KNOWN
    world.run(4 * HOUR, between=other)
    world.run(8 * HOUR, between=other)
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.ANOTHER_APP
    looked = len(world.times(Ask.DATA))
    world.run(8 * HOUR, between=other)
    assert len(world.times(Ask.DATA)) - looked <= 40
    by_day = [at for at in world.times(Ask.DATA)[looked:] if 7 * HOUR <= at % DAY <= 21 * HOUR]
    assert max(later - earlier for earlier, later in pairwise(by_day)) <= PACES[Mode.BALANCED].lingering + 60
    world.run(8 * HOUR)
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.NOT_AWAKE
    assert not rule.asked_by_others(world.polling, world.moment(world.now))


@pytest.mark.parametrize(("quiet", "kind"), [(540.0, Kind.CURRENT), (780.0, Kind.CURRENT), (1500.0, Kind.OLDER)])
@pytest.mark.parametrize("mode", Mode)
def test_a_car_sleeps_by_day_when_the_other_app_is_gone(quiet: float, kind: Kind, mode: Mode) -> None:
    """Looking at a car that others keep awake never becomes what keeps it awake, however long it needs."""
    doors = tuple(Span(start, start + 5) for start in range(0, int(2.2 * DAY), int(5 * HOUR)))
    world = World(still(doors=doors), quiet=quiet, mode=mode)
    world.polling = replace(world.polling, kind=kind)
    world.run(2.5 * DAY, between=read_by_another(2 * DAY, 2.5 * DAY))
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.ANOTHER_APP
    world.run(2 * HOUR)
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.NOT_AWAKE


def test_a_car_that_was_never_seen_to_sleep_has_an_unknown_reason() -> None:
    """It may be one that cannot sleep."""
    world = World(still(doors=(Span(0, 5),))).run(9 * HOUR, between=read_by_another(0, DAY))
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.UNEXPLAINED


@pytest.mark.parametrize("ask", Ask)
def test_too_many_requests_are_not_ours(ask: Ask) -> None:
    """We never ask so often that Tesla says so: with a car that does not sleep, that is another app, for some hours."""
    fault = Fault(4 * HOUR, 120 if ask is Ask.STATE else 3 * HOUR, ask, Trouble.RATE_LIMITED)
    world = World(still(doors=(Span(0, 5),)), faults=[fault]).run(9 * HOUR, between=read_by_another(0, DAY))
    assert world.polling.crowded_at is not None
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.ANOTHER_APP
    world.run(8 * HOUR, between=read_by_another(0, DAY))
    assert rule.awake_because(world.polling, world.moment(world.now)) is Unforced.UNEXPLAINED


@pytest.mark.parametrize("name", ["checks", "cold garage", "errands", "older", "shared"])
def test_nobody_else_is_blamed_for_what_a_car_does(name: str) -> None:
    """In no life in which nobody else asks is another app the reason."""

    def looked(world: World) -> None:
        assert rule.awake_because(world.polling, world.moment(world.now)) is not Unforced.ANOTHER_APP

    world = World(life_of(name, 7), quiet=780).run(3 * DAY, between=looked)
    assert len(world.polling.learnt.sleeps) >= rule.SLEEPS_KNOWN


def test_checks_of_its_own_are_recognized() -> None:
    """A car online a minute each hour is looked at once or twice, not each time, and sleeps on."""
    life = Life("checks", checks=[Span(hour * HOUR, hour * HOUR + 60) for hour in range(1, 49)])
    world = World(life).run(2 * DAY)
    assert len(world.times(Ask.DATA)) <= 6
    assert world.car.awake_beyond_natural() < 1


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in (Reason.DRIVING, Reason.CHARGING)])
def test_a_reason_ends_the_silence_and_is_shown(reason: Reason) -> None:
    """Each reason is named, and looked after no more than the pace says."""
    world = World(still(Spell(0, DAY, reason))).run(6 * HOUR)
    assert rule.awake_because(world.polling, world.moment(world.now)) == reason.value
    assert 4 <= len(world.times(Ask.DATA)) <= 130


def test_why_a_car_is_awake_or_not() -> None:
    """Unknown, just woken, falling asleep, not awake."""
    now = Moment(0, EPOCH)
    polling = PollingState()
    assert rule.awake_because(polling, now) is None
    polling = rule.state_answered(polling, online=True, asleep=False, now=now)
    assert rule.awake_because(polling, now) is Unforced.JUST_WOKEN
    for at in (0.0, 30.0):
        polling = rule.data_answered(polling, Observation(), Moment(at, EPOCH + at))
    assert rule.awake_because(polling, Moment(60, EPOCH + 60)) is Unforced.FALLING_ASLEEP
    polling = rule.state_answered(polling, online=False, asleep=True, now=Moment(700, EPOCH + 700))
    assert rule.awake_because(polling, Moment(700, EPOCH + 700)) is Unforced.NOT_AWAKE


def test_a_hint_brings_a_look_at_once_and_a_few_after_it() -> None:
    """A car in its silence is looked at; one that sleeps is not woken."""
    world = World(still(doors=(Span(0, 5),))).run(400)
    looked = len(world.times(Ask.DATA))
    world.polling = rule.hinted(world.polling, world.moment(world.now))
    world.run(30)
    assert len(world.times(Ask.DATA)) == looked + 1
    world.run(300)
    assert looked + 3 <= len(world.times(Ask.DATA)) <= looked + 12
    world.run(4 * HOUR)
    looked = len(world.times(Ask.DATA))
    world.polling = rule.hinted(world.polling, world.moment(world.now))
    world.run(HOUR)
    assert len(world.times(Ask.DATA)) == looked
    assert world.polling.online is False


def test_a_sign_that_flaps_for_days_costs_little() -> None:
    """An automation gone wild, a charger about the hundred watts: some looks a day once that is known."""
    world = World(still(Spell(0, 3 * DAY, Reason.SENTRY)))
    quiet = World(still(Spell(0, 3 * DAY, Reason.SENTRY))).run(3 * DAY)

    def flap(here: World) -> None:
        here.polling = rule.hinted(here.polling, here.moment(here.now))

    world.run(3 * DAY, between=flap)
    flapped, alone = (len([at for at in one.times(Ask.DATA) if at > DAY]) for one in (world, quiet))
    assert flapped - alone <= 2 * 15


@dataclass
class Flapping(World):
    """The car's connection comes and goes: `online` seconds of each `period`; nothing goes on but what is `seen`."""

    period: float = 120.0
    online: float = 60.0
    seen: Callable[[float], Observation] = lambda _now: Observation()

    def __post_init__(self) -> None:
        """Give the car its bad connection."""
        super().__post_init__()
        self.car.state = lambda now: now % self.period < self.online  # type: ignore[method-assign]
        self.car.look = (  # type: ignore[method-assign]
            lambda now: self.seen(now) if now % self.period < self.online else None
        )


@pytest.mark.parametrize(("period", "online"), [(120, 60), (150, 130), (300, 60), (600, 300)])
def test_a_connection_that_comes_and_goes_costs_no_look_each_time(period: float, online: float) -> None:
    """A garage with a bad signal: two looks each time were 1,440 a day, 86 dollars a month."""
    world = Flapping(still(), period=period, online=online).run(DAY)
    assert len(world.times(Ask.DATA)) <= 24 * 60 / 15 + 12
    assert world.most_ahead <= 120


@pytest.mark.parametrize(("period", "online"), [(120, 60), (300, 60), (600, 300)])
def test_a_connection_that_comes_and_goes_hides_no_drive(period: float, online: float) -> None:
    """Once something goes on, each time is looked at again; a hint is looked at whenever."""
    begins, drives = 12 * HOUR, Observation(frozenset({Reason.DRIVING}))
    world = Flapping(still(), period=period, online=online, seen=lambda now: drives if now >= begins else Observation())
    world.run(DAY)
    looks = [at - begins for at in world.times(Ask.DATA) if at >= begins]
    assert looks[0] <= 900 + period
    assert looks[2] - looks[1] <= period + 60
    world = Flapping(still(), period=period, online=online)
    world.run(12 * HOUR)
    world.polling = rule.hinted(world.polling, world.moment(world.now))
    asked = len(world.times(Ask.DATA))
    world.run(period + 60)
    assert len(world.times(Ask.DATA)) > asked


@pytest.mark.parametrize("hole", [60, 100])
def test_a_tunnel_holds_back_no_look_beyond_it(hole: int) -> None:
    """A look that falls into it is not answered: the state tells why, and when the drive can be seen again."""
    drives = Observation(frozenset({Reason.DRIVING}))
    world = Flapping(still(), period=300, online=300 - hole, seen=lambda _now: drives).run(6 * HOUR)
    unanswered = [one for one in world.sent if one.trouble is Trouble.UNANSWERED]
    seen = [one.at for one in world.sent if one.ask is Ask.DATA and one.trouble is None]
    assert unanswered
    assert max(later - earlier for earlier, later in pairwise(seen)) <= PACES[Mode.BALANCED].driving + hole + 30


@pytest.mark.parametrize("mode", Mode)
def test_a_car_that_stands_for_half_a_year_is_watched_on(mode: Mode) -> None:
    """Awake without a reason, with a door sensor that tells of every passer-by: what is counted has an end."""
    polling, at = PollingState(), 0.0
    for _ in range(3000):
        here = Moment(at, EPOCH + at)
        polling = rule.state_answered(polling, online=True, asleep=False, now=here)
        polling = rule.data_answered(polling, Observation(), here)
        polling = rule.hinted(polling, here)
        request = rule.next_request(polling, here, mode)
        assert request.at - at <= 120.0
        at += 14_400.0


@pytest.mark.parametrize(
    ("online", "seconds", "first"),
    [(True, 10, Ask.DATA), (True, 31, Ask.STATE), (False, 10, Ask.STATE), (None, 10, Ask.STATE)],
)
def test_a_wish_asks_for_the_state_first_unless_the_car_is_known_to_be_online(
    online: bool | None, seconds: float, first: Ask
) -> None:
    """What an answer told within the last half minute is not asked again; what follows a look is asked as planned."""
    polling = PollingState()
    if online is not None:
        polling = rule.state_answered(polling, online=online, asleep=not online, now=Moment(0, EPOCH))
    if online:
        polling = rule.data_answered(polling, Observation(), Moment(0, EPOCH))
    now = Moment(seconds, EPOCH + seconds)
    polling = rule.look_wanted(polling, now)
    request = rule.next_request(polling, now)
    assert (request.ask, request.at <= now.clock) == (first, True)
    if first is Ask.DATA:
        answered = rule.data_answered(rule.asked(polling, first, now), Observation(), now)
        assert rule.next_request(answered, now).at > seconds + 20


def test_wishes_without_end_stay_far_inside_teslas_limits() -> None:
    """Wishes without end make six looks a minute, and none against a wait of Tesla's."""
    world = World(still(Spell(0, DAY, Reason.SENTRY))).run(HOUR)
    before = len(world.sent)

    def wish(_: World) -> None:
        world.polling = rule.look_wanted(world.polling, world.moment(world.now))

    world.run(60, between=wish)
    assert len(world.sent) - before <= 20
    world.polling = rule.data_failed(world.polling, Trouble.RATE_LIMITED, world.moment(world.now), retry_after=3000)
    before = len(world.times(Ask.DATA))
    world.run(2900, between=wish)
    assert len(world.times(Ask.DATA)) == before


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.RATE_LIMITED, Trouble.UNANSWERED, Trouble.IN_SERVICE])
def test_a_refused_look_is_asked_seldom_while_the_state_answers(trouble: Trouble) -> None:
    """The state's success clears nothing: at most eight looks in the first hour, then fewer; the state goes on."""
    life = still(Spell(0, 10 * DAY, Reason.SENTRY))
    world = World(life, faults=[Fault(0, 10 * DAY, Ask.DATA, trouble)]).run(2.5 * DAY)
    looks = world.times(Ask.DATA)
    assert 1 <= len([at for at in looks if at < HOUR]) <= 8
    assert len([at for at in looks if at >= 1.5 * DAY]) <= 25
    assert len(world.times(Ask.STATE)) >= 2.5 * DAY / 65


def test_an_outage_of_the_state_says_nothing_about_data() -> None:
    """Each endpoint has its own memory; without a state nobody looks."""
    polling = rule.state_failed(PollingState(), Trouble.SERVER, Moment(0, EPOCH))
    polling = rule.data_answered(polling, Observation(), Moment(1, EPOCH))
    assert polling.state_backoff.failures == 1
    polling = rule.state_answered(
        rule.data_failed(polling, Trouble.REFUSED, Moment(2, EPOCH)), online=True, asleep=False, now=Moment(3, EPOCH)
    )
    assert (polling.state_backoff.failures, polling.data_backoff.failures) == (0, 1)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 365 * DAY, -365 * DAY, 60 * DAY, -40 * 365 * DAY])
def test_a_wall_clock_that_jumps_neither_stops_the_watching_nor_makes_a_burst(jump: float) -> None:
    """The requests are those of a clock that does not jump, but for what calendars say."""
    life = life_of("commuter", 1)
    jumped = World(life, wall=lambda clock: EPOCH + clock + (jump if 20 * HOUR < clock < 20 * HOUR + 120 else 0)).run(
        2 * DAY
    )
    straight = World(life).run(2 * DAY)
    assert abs(len(jumped.sent) - len(straight.sent)) <= 0.02 * len(straight.sent)
    assert jumped.most_ahead <= 60


def test_a_suspended_night_is_one_long_wait() -> None:
    """After it the state is asked at once, and once."""
    world = World(still(doors=(Span(0, 5),))).run(2 * HOUR)
    world.now += 9 * HOUR
    before = len(world.sent)
    world.run(61)
    assert 1 <= len(world.sent) - before <= 3


def test_steps_only_ever_ask_less() -> None:
    """Each step looks at most as often as the one before."""
    for mode in Mode:
        counts = []
        for step in Step:
            world = World(life_of("commuter", 0), mode=mode)
            world.step = lambda _, step=step: step  # type: ignore[method-assign, misc]
            counts.append(len(world.run(DAY).times(Ask.DATA)))
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] == 0
        assert counts[-2] >= 2  # starts and ends are still seen
        assert pace_of(mode, Step.FULL) == PACES[mode]


FAULTS = st.builds(
    Fault,
    start=st.floats(0, 0.8 * DAY),
    seconds=st.floats(60, 10 * HOUR),
    ask=st.sampled_from(Ask),
    trouble=st.sampled_from(Trouble),
    retry_after=st.none() | st.floats(0, 40_000),
)

SUSPENSIONS = st.builds(Suspension, at=st.floats(0, 0.8 * DAY), seconds=st.floats(60, 9 * HOUR))
STORMS = st.builds(Storm, start=st.floats(0, 0.8 * DAY), sign=st.sampled_from([rule.hinted, rule.look_wanted]))


@SOME
@given(
    name=st.sampled_from(sorted(LIVES)),
    seed=st.integers(0, 50),
    quiet=st.sampled_from([540.0, 780.0, 1500.0]),
    mode=st.sampled_from(Mode),
    faults=st.lists(FAULTS, max_size=4),
    limit=st.none() | st.floats(0, 0.5),
    jumps=st.lists(st.tuples(st.floats(0, 0.8 * DAY), st.sampled_from([HOUR, -HOUR, 3 * DAY, -DAY, 0.0])), max_size=3),
    disturbances=st.lists(SUSPENSIONS | STORMS, max_size=4),
)
def test_what_it_never_does(
    name: str,
    seed: int,
    quiet: float,
    mode: Mode,
    faults: list[Fault],
    limit: float | None,
    jumps: list[tuple[float, float]],
    disturbances: list[Suspension | Storm],
) -> None:
    """No look at a car that may sleep, nothing over a limit of money or rate, never stuck, everything counted.

    Whatever Tesla answers, the clocks jump, the machine is suspended, and hints and wishes come after each request.
    """

    def wall(clock: float) -> float:
        passed = [jump for at, jump in sorted(jumps) if at <= clock]
        return EPOCH + clock + (passed[-1] if passed else 0.0)

    world = World(life_of(name, seed), quiet, mode, limit, faults, wall, disturbances).run(DAY)
    known: dict[str, float] = {}
    for sent in world.sent:
        if sent.ask is Ask.DATA:
            assert sent.online
            assert sent.at - known["online"] <= (rule.FRESH_ON_THE_MOVE if sent.on_the_move else rule.FRESH)
        if sent.trouble is None:
            known["online"] = sent.at
    times = [sent.at for sent in world.sent]
    assert all(later - earlier > 60 - 1e-6 for earlier, later in zip(times, times[20:], strict=False))
    longest = max(
        [60.0, *(min(fault.retry_after or 0, DAY) + 61 for fault in faults), 21_600 * 1.25 if faults else 0.0]
    )
    assert world.most_ahead <= longest + 1e-6
    counted = sum(page.get(Category.DATA, 0) for page in world.ledger.pages.values())
    assert counted == world.billed
    if limit is not None:
        for page in world.ledger.pages.values():
            assert page.get(Category.DATA, 0) * PRICES_USD[Category.DATA] <= limit + 1e-9


@pytest.mark.slow
@SOME
@given(name=st.sampled_from(sorted(LIVES)), seed=st.integers(0, 20))
def test_what_is_learnt_survives_a_restart(name: str, seed: int) -> None:
    """What is written is read, and nothing of it grows without bound."""
    learnt = World(life_of(name, seed)).run(DAY).polling.learnt
    assert Learnt.from_json(learnt.to_json()) == learnt
    assert len(str(learnt.to_json())) < 6000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(Learnt().to_json())), inner),
)


@given(data=JSON)
def test_damaged_memories_do_no_harm(data: object) -> None:
    """Whatever the file holds: the rule goes on, and looks within bounds."""
    learnt = Learnt.from_json(data)
    polling = PollingState(learnt=learnt)
    for at in (0.0, 30.0):
        moment = Moment(at, EPOCH + at)
        polling = rule.data_answered(
            rule.state_answered(polling, online=True, asleep=False, now=moment), Observation(), moment
        )
    request = rule.next_request(polling, Moment(31.0, EPOCH + 31))
    assert request.at <= 31 + rule.SILENCE_MOST
    assert request.why in Why
    assert Learnt.from_json(learnt.to_json()) == learnt


def test_cars_of_the_bench_sleep_by_themselves() -> None:
    """A check on the bench: nobody looks, nothing is added; each look adds what it should."""
    car = Car(life_of("commuter", 0), 540)
    assert car.awake_beyond_natural() == 0
    car.looks.clear()
    assert car.look(9 * DAY + 3 * HOUR) is None


def test_a_changed_copy_of_a_tuple_is_what_replace_makes() -> None:
    polling = PollingState(online=True, looks=3)
    copy = changed(polling, looks=4, observed=Observation(plugged=True))
    assert type(copy) is PollingState
    assert copy == replace(polling, looks=4, observed=Observation(plugged=True))
    assert polling.looks == 3
    with pytest.raises(KeyError):
        changed(polling, glances=1)
