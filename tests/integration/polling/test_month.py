"""Which billing month is shown while clocks are wrong, and over a restart."""

from datetime import UTC, datetime

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.polling.month import BELIEVED_AFTER, BillingMonth, is_month

OCTOBER, NOVEMBER, DECEMBER = "2026-10", "2026-11", "2026-12"


@pytest.mark.parametrize("other", [OCTOBER, DECEMBER])
def test_another_month_is_believed_after_an_hour(other: str) -> None:
    shown = BillingMonth(NOVEMBER).told(other, 100.0)
    assert shown.month == NOVEMBER
    assert shown.told(other, 100.0 + BELIEVED_AFTER - 1).month == NOVEMBER
    assert shown.told(other, 100.0 + BELIEVED_AFTER) == BillingMonth(other)


def test_months_that_change_are_not_added_up() -> None:
    """Each begins its own hour, and the month shown ends it."""
    shown = BillingMonth(NOVEMBER)
    for clock, told in ((0, DECEMBER), (1800, OCTOBER), (4000, DECEMBER), (7000, NOVEMBER), (8000, DECEMBER)):
        shown = shown.told(told, clock)
        assert shown.month == NOVEMBER
    assert shown.told(DECEMBER, 8000 + BELIEVED_AFTER).month == DECEMBER


def test_a_month_begins_with_its_first_second() -> None:
    assert BillingMonth(NOVEMBER).began == datetime(2026, 11, 1, tzinfo=UTC)


@given(st.text() | st.none() | st.integers() | st.dates().map(lambda day: f"{day:%Y-%m}"))
def test_only_months_are_taken_from_a_file(kept: object) -> None:
    """Whatever stands there: what is taken begins somewhere."""
    if is_month(kept):
        assert isinstance(kept, str)
        assert f"{BillingMonth(kept).began:%Y-%m}" == kept
    assert not any(is_month(text) for text in ("2026", "2026-13", "2026-1", " 2026-11", "November"))
