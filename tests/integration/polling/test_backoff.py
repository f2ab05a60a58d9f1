"""The memory of failures: how often a refusal is asked again, whatever Tesla says and the clocks do."""

import math

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.polling.backoff import DAY, SPREAD, WAITS, Backoff, Trouble

BILLED = (Trouble.REFUSED, Trouble.RATE_LIMITED, Trouble.SPENDING_LIMIT, Trouble.IN_SERVICE, Trouble.UNANSWERED)
JITTER = st.floats(0, 1)


def attempts(trouble: Trouble, jitter: float, until: float) -> list[float]:
    """Ask as soon as it may be asked, and fail each time; return when it was asked."""
    backoff, now, asked = Backoff(), 1000.0, []
    while now < 1000.0 + until:
        assert backoff.due(now)
        asked.append(now - 1000.0)
        backoff = backoff.failed(trouble, now, jitter=jitter)
        assert not backoff.due(now)
        now = backoff.not_before
    return asked


@pytest.mark.parametrize("trouble", BILLED)
@given(jitter=JITTER)
def test_what_tesla_bills_is_asked_seldom(trouble: Trouble, jitter: float) -> None:
    """At most eight times in the first hour, then hourly, from the second day on daily or a few times a day."""
    asked = attempts(trouble, jitter, 10 * DAY)
    assert len([at for at in asked if at < 3600]) <= 8
    assert len([at for at in asked if 3600 <= at < DAY]) <= 24
    assert len([at for at in asked if at >= 2 * DAY]) <= 8 * 24


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.RATE_LIMITED])
def test_a_lasting_refusal_is_asked_once_a_day(trouble: Trouble) -> None:
    """60, 120, 240, 480, 900 s, then hours, then days."""
    asked = attempts(trouble, 0, 10 * DAY)
    assert asked[:7] == [0, 60, 180, 420, 900, 1800, 2700]
    assert len([at for at in asked if at >= 2 * DAY]) <= 8


@given(trouble=st.sampled_from(Trouble), jitter=st.floats(), failures=st.integers(1, 200))
def test_waits_are_bounded(trouble: Trouble, jitter: float, failures: int) -> None:
    """However long it goes on, and whatever the random number: never at once, never over a day and its jitter."""
    backoff = Backoff()
    for _ in range(failures):
        backoff = backoff.failed(trouble, 50.0, jitter=jitter)
    assert WAITS[trouble][0] <= backoff.wait(50.0) <= DAY * (1 + SPREAD)


@given(retry_after=st.floats() | st.none(), jitter=JITTER, trouble=st.sampled_from(Trouble))
def test_tesla_is_taken_at_its_word_within_reason(retry_after: float | None, jitter: float, trouble: Trouble) -> None:
    """Seconds as told; less than this side's own wait, nothing, nonsense and absurd numbers do not hurry it."""
    backoff = Backoff().failed(trouble, 7.0, retry_after=retry_after, jitter=jitter)
    wait = backoff.wait(7.0)
    assert WAITS[trouble][0] <= wait + 1e-6
    if retry_after is not None and retry_after > WAITS[trouble][0]:
        assert min(retry_after, DAY) <= wait + 1e-6
        assert wait <= min(retry_after, DAY) + 60.001
    assert wait <= DAY * (1 + SPREAD)


def test_another_kind_of_trouble_begins_anew() -> None:
    """A lost network after refusals is over in half a minute; what is billed stays seldom until a success."""
    backoff = Backoff()
    for _ in range(40):
        backoff = backoff.failed(Trouble.REFUSED, 0.0)
    lost = backoff.failed(Trouble.NETWORK, 0.0)
    assert lost.wait(0.0) == 30
    assert lost.failed(Trouble.REFUSED, 0.0).wait(0.0) == DAY
    assert lost.succeeded() == Backoff()
    assert lost.succeeded().due(-math.inf)


@given(kinds=st.lists(st.sampled_from(Trouble), min_size=200, max_size=200))
def test_kinds_that_take_turns_are_no_way_round(kinds: list[Trouble]) -> None:
    """At most eight billed questions an hour, whatever the refusals are called and however often the network goes."""
    backoff, now, billed = Backoff(), 0.0, 0
    for trouble in kinds:
        if now >= 3600:
            break
        billed += trouble in BILLED
        backoff = backoff.failed(trouble, now)
        now = backoff.not_before
    assert billed <= 8


def test_two_cars_do_not_come_back_in_step() -> None:
    """The random number parts them, after a wait of Tesla's as after one of this side's."""
    for retry_after in (None, 600.0):
        one, two = (
            Backoff().failed(Trouble.SERVER, 0.0, retry_after=retry_after, jitter=jitter).not_before
            for jitter in (0.1, 0.9)
        )
        assert two - one >= 10


@given(trouble=st.sampled_from(Trouble), failures=st.integers(1, 60), passed=st.floats(-1e9, 1e9))
def test_a_restart_is_no_reason_to_ask_again(trouble: Trouble, failures: int, passed: float) -> None:
    """What is left of a wait is waited for; a clock that went back does not make it longer."""
    before = Backoff()
    for _ in range(failures):
        before = before.failed(trouble, 100.0)
    after = Backoff.from_json(before.to_json(100.0), 5.0, passed=passed)
    assert (after.failures, after.trouble) == (before.failures, before.trouble)
    assert after.wait(5.0) == pytest.approx(max(before.wait(100.0) - max(passed, 0), 0))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(Trouble),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["failures", "billed", "wait", "trouble"]), inner)
    ),
)


@given(data=JSON)
def test_a_damaged_memory_never_stops_the_watching(data: object) -> None:
    """Whatever the file holds: no wait over a day and its jitter."""
    assert Backoff.from_json(data, 0.0, passed=0.0).wait(0.0) <= DAY * (1 + SPREAD)
