"""Retry-After in all its shapes."""

from datetime import UTC, datetime
from email.utils import formatdate

from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.tesla.body import limited
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
        ("Retry in 5s.", 5),
        ("60s", 60),
        ("60 seconds", 60),
        ("2 min", 120),
        ("1h", 3600),
        ("Retry in 10 minutes", 600),
        ("Retry in 1 hour", 3600),
        ("Too many requests. Retry after 2 hours, please.", 7200),
        ("retry in 1 day", 86_400),
        ("Retry in 37,829 seconds", 37829),
        ("Retry in 37829, 4 of 5 used", 37829),
        ("Retry in 1.5 minutes", 90),
        ('{"error": "Retry in 60 seconds"}', 60),
        (datetime.fromtimestamp(NOW + 120, UTC).isoformat(), 120),
        (datetime.fromtimestamp(NOW - 120, UTC).isoformat(), 0),
        (formatdate(NOW + 120), 120),
        (datetime.fromtimestamp(NOW + 120, UTC).strftime("%Y-%m-%dT%H:%M:%S"), 120),
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
        ("Retry in 5 fortnights", None),
        ("Retry in 2m30s", None),
        ("Retry after 2026-11-27", None),
        ("Retry in a moment", None),
        ("5 apples", None),
        ("60; 60", None),
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


@pytest.mark.parametrize("wrong", [0.0, -366 * 86_400.0, 366 * 86_400.0, -NOW])
@pytest.mark.parametrize("name", ["Retry-After", "RateLimit-Reset"])
def test_a_date_is_told_by_the_clock_of_who_answered(freezer: FrozenDateTimeFactory, wrong: float, name: str) -> None:
    """Ours may be wrong: a wait of two minutes is no wait of a day, and none at all neither."""
    freezer.move_to(datetime.fromtimestamp(NOW + wrong, UTC))
    headers = {name: formatdate(NOW + 120, usegmt=True), "Date": formatdate(NOW, usegmt=True)}
    assert limited(headers, b"").retry_after == 120


@pytest.mark.parametrize("date", [None, "", "soon", "0", "Thu, 99 Foo 2026 99:99:99 GMT"])
def test_without_that_clock_ours_has_to_do(freezer: FrozenDateTimeFactory, date: str | None) -> None:
    freezer.move_to(datetime.fromtimestamp(NOW, UTC))
    headers = {"Retry-After": formatdate(NOW + 120, usegmt=True), **({} if date is None else {"Date": date})}
    assert limited(headers, b"").retry_after == 120


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7", "RateLimit-Reset": "8"}, b"Retry in 9 seconds", 7),
        ({"Retry-After": "soon", "RateLimit-Reset": "8"}, b"Retry in 9 seconds", 8),
        ({"RateLimit-Reset": ""}, b" Retry in 9 seconds\n", 9),
        ({}, b"\xff Retry in 9 seconds", 9),
        ({}, b"\xff\x00", None),
        ({}, b"", None),
    ],
)
def test_the_first_that_says_something_counts(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    assert limited(headers, body).retry_after == seconds
