"""Retry-After in all its shapes."""

from email.utils import formatdate

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.tesla.retry_after import LONGEST, seconds_to_wait

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("60", 60),
        (" 60 ", 60),
        ("0", 0),
        ("37829", 37829),
        ("1.5", 1.5),
        (90, 90),
        ("Retry in 37829 seconds", 37829),
        ("retry after 5 s", 5),
        ("Retry in 49200 seconds\n", 49200),
        (formatdate(NOW + 120, usegmt=True), 120),
        (formatdate(NOW - 120, usegmt=True), 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", LONGEST),
        ("9" * 100, LONGEST),
        (None, None),
        ("", None),
        ("-5", None),
        (-5, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("²", None),
        ("٣٠", None),
        (True, None),
        (["60"], None),
        ("Thu, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_shapes(value: object, seconds: float | None) -> None:
    """Seconds, a date, Tesla's sentence; all else says nothing."""
    assert seconds_to_wait(value, NOW) == seconds


@given(value=st.text() | st.integers() | st.floats() | st.binary() | st.none())
def test_anything_may_come(value: object) -> None:
    """No exception, and never a wait over the longest."""
    seconds = seconds_to_wait(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST
