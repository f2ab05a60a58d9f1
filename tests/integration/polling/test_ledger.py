"""What a month came to: counted as Tesla counts, through restarts, other versions and clocks that jump."""

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.polling.budget import Spending, days_left, for_looks, steps
from custom_components.teslafi.polling.ledger import DAYS_KEPT, MONTHS_KEPT, Ledger, month_of
from custom_components.teslafi.polling.pace import Step
from custom_components.teslafi.tesla.requests import PRICES_USD, Category, Currency, cost_of

START = 1_790_000_000.0
DAY = 86_400.0
END_OF_MONTH = 1_796_083_199.0
"""2026-11-30 23:59:59 UTC."""
COUNTS = st.dictionaries(st.sampled_from(Category), st.integers(1, 10**9), min_size=1)
MONTHS = st.from_regex(r"\A20\d\d-(0[1-9]|1[0-2])\Z")


def cost(ledger: Ledger, now: float, currency: Currency = Currency.USD, *, discounted: bool = False) -> float:
    """Return what the month of `now` costs."""
    return cost_of(ledger.counts(now), currency, discounted=discounted)


def test_prices() -> None:
    """A hundred looks, a wake and a command come to what Tesla's price list says; a discount is on looks alone."""
    ledger = Ledger()
    for _ in range(100):
        ledger = ledger.counted(Category.DATA, START)
    for category in (Category.WAKE, Category.COMMAND, Category.STATE):
        ledger = ledger.counted(category, START)
    assert cost(ledger, START) == pytest.approx(0.2 + 0.02 + 0.001)
    assert cost(ledger, START, Currency.EUR) == cost(ledger, START)
    assert cost(ledger, START, Currency.GBP) == pytest.approx(100 / 650 + 1 / 65 + 1 / 1300)
    assert cost(ledger, START, discounted=True) == pytest.approx(0.02 + 0.02 + 0.001)


def test_the_turn_of_the_month_forward_and_back() -> None:
    """Tesla bills from the 1st (UTC); a clock that goes back counts on where the month stood."""
    ledger = Ledger().counted(Category.DATA, END_OF_MONTH)
    assert cost(ledger, END_OF_MONTH) == PRICES_USD[Category.DATA]
    assert cost(ledger, END_OF_MONTH + 1) == 0
    ledger = ledger.counted(Category.DATA, END_OF_MONTH + 1)
    assert ledger.counts(END_OF_MONTH + 1) == {Category.DATA: 1}
    assert ledger.counted(Category.DATA, END_OF_MONTH).counts(END_OF_MONTH) == {Category.DATA: 2}


@given(jumps=st.lists(st.sampled_from([0, 3600, -3600, 40 * DAY, -40 * DAY, 365 * DAY, -365 * DAY]), max_size=40))
def test_nothing_is_lost_when_the_clock_jumps(jumps: list[float]) -> None:
    """Every request stands on some page, and pages and days stay bounded."""
    ledger, now = Ledger(), START
    for count, jump in enumerate(jumps, 1):
        now = min(max(now + jump, 0), 4e9)
        ledger = ledger.counted(Category.DATA, now)
        assert len(ledger.pages) <= MONTHS_KEPT
        assert len(ledger.days) <= DAYS_KEPT
        if len(ledger.pages) < MONTHS_KEPT:
            assert sum(page[Category.DATA] for page in ledger.pages.values()) == count


@given(pages=st.dictionaries(MONTHS, COUNTS, max_size=MONTHS_KEPT), days=st.integers(0, 40))
def test_a_ledger_survives_a_restart(pages: dict[str, dict[Category, int]], days: int) -> None:
    """What is written is read."""
    ledger = Ledger(pages)
    for day in range(days):
        ledger = ledger.counted(Category.DATA, START + day * DAY)
    assert Ledger.from_json(ledger.to_json()) == ledger


@given(counts=COUNTS, month=MONTHS)
def test_version_0_1_0_is_read_and_reads(counts: dict[Category, int], month: str) -> None:
    """It kept one month; what is written today holds that month in its form too."""
    old = {"month": month, "counts": {category.value: count for category, count in counts.items()}}
    ledger = Ledger.from_json(old)
    assert ledger.pages == {month: counts}
    assert {key: ledger.to_json()[key] for key in old} == old


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.sampled_from(["month", "counts", "data", "pages", "days"]), inner)
    ),
)


@given(data=JSON)
def test_a_damaged_ledger_is_an_empty_one(data: object) -> None:
    """Whatever the file holds, counting goes on."""
    assert Ledger.from_json(data).counted(Category.DATA, START).counts(START)[Category.DATA] >= 1


def test_an_ordinary_day() -> None:
    """Today does not count: it is not over."""
    ledger = Ledger()
    assert ledger.usual_day(START) is None
    for day, looks in enumerate((10, 20, 99)):
        for _ in range(looks):
            ledger = ledger.counted(Category.DATA, START + day * DAY)
    assert ledger.usual_day(START + 2 * DAY) == 15


def car(spent: float = 0.0, usual_day: float | None = 0.1) -> Spending:
    """Return what a car came to."""
    return Spending(spent, usual_day, PRICES_USD[Category.DATA])


MID_MONTH = END_OF_MONTH - 15 * DAY


@pytest.mark.parametrize(
    ("limit", "spent", "usual_day", "step"),
    [
        (None, 99.0, 0.1, Step.FULL),
        (10.0, 1.0, 0.1, Step.FULL),
        (10.0, 8.1, 0.1, Step.REDUCED),
        (10.0, 8.7, 0.1, Step.STARTS_AND_ENDS),
        (10.0, 9.0, 0.1, Step.STATE_ONLY),
        (10.0, 9.9, 0.0, Step.STATE_ONLY),
        (0.0, 0.0, None, Step.STATE_ONLY),
        (10.0, 8.0, 0.0, Step.FULL),
        (2.5, 0.0, None, Step.FULL),
    ],
)
def test_the_limit_bites_in_steps(limit: float | None, spent: float, usual_day: float | None, step: Step) -> None:
    """By what is left for the days left; a tenth, at most a dollar, stays for commands and wakes."""
    assert steps(limit, {"car": car(spent, usual_day)}, MID_MONTH)["car"] is step


def test_a_limit_is_shared_fairly() -> None:
    """The car that drives all day is slowed down; the one that asks little has all it needs."""
    shared = steps(4.0, {"taxi": car(1.0, 0.5), "second": car(0.1, 0.05)}, MID_MONTH)
    assert shared == {"taxi": Step.STARTS_AND_ENDS, "second": Step.FULL}


ORDER = list(Step)


@given(
    limit=st.floats(0, 100),
    cars=st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.builds(car, st.floats(0, 50), st.none() | st.floats(0, 5)),
        min_size=1,
        max_size=6,
    ),
    now=st.floats(0, 4e9),
    more=st.floats(0, 50),
)
def test_more_money_is_never_a_worse_step(limit: float, cars: dict[str, Spending], now: float, more: float) -> None:
    """And nobody looks when nothing is left."""
    poor, rich = steps(limit, cars, now), steps(limit + more, cars, now)
    for vin in cars:
        assert ORDER.index(rich[vin]) <= ORDER.index(poor[vin])
    if for_looks(limit, sum(each.spent for each in cars.values())) < PRICES_USD[Category.DATA]:
        assert set(poor.values()) == {Step.STATE_ONLY}


@given(now=st.floats(0, 4e9))
def test_a_month_is_never_over(now: float) -> None:
    """There is always a little of it left, and never more than all."""
    assert 1 / 24 <= days_left(now) <= 31
    assert month_of(now)


@pytest.mark.parametrize(
    ("looks", "month"),
    [
        ({}, None),
        ({0: 50}, None),
        ({1: 20}, 600),
        ({1: 20, 2: 10}, 450),
        ({10: 30}, 90),  # a car that has slept since
        ({30: 30}, 30),
        ({31: 300}, None),
        ({31: 300, 5: 10}, 60),
    ],
)
def test_a_month_like_the_last_thirty_days(looks: dict[int, int], month: float | None) -> None:
    """Days without a look count as well; today, which is not over, and what is older do not."""
    ledger = Ledger()
    for ago in sorted(looks, reverse=True):
        for _ in range(looks[ago]):
            ledger = ledger.counted(Category.DATA, START - ago * DAY)
    assert ledger.usual_month(START) == (None if month is None else pytest.approx(month))
    gone = 0.0 if 31 in looks else None
    assert ledger.usual_day(START) == (gone if month is None else pytest.approx(month / 30))


def test_a_car_that_was_driven_long_ago_is_no_reason_to_save() -> None:
    """Many looks in summer, then one each third day: the limit is far away. So it is beside a car that is gone."""
    now, price = END_OF_MONTH - 29 * DAY, PRICES_USD[Category.DATA]
    gone = Ledger()
    for ago in range(70, 40, -1):
        for _ in range(100):
            gone = gone.counted(Category.DATA, now - ago * DAY)
    here = gone
    for ago in range(30, 0, -3):
        here = here.counted(Category.DATA, now - ago * DAY)
    cars = {name: Spending(0.0, _usual(one, now) * price, price) for name, one in (("here", here), ("gone", gone))}
    assert steps(1.5, cars, now)["here"] is Step.FULL


def _usual(ledger: Ledger, now: float) -> float:
    """Return the looks of an ordinary day, which are known."""
    usual = ledger.usual_day(now)
    assert usual is not None
    return usual
