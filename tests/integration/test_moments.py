"""Moments as text: whatever is kept or sent, it is a moment with its zone, or none."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.moments import aware_moment

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=st.just(UTC) | ZONES))
def test_what_we_write_is_read(moment: datetime) -> None:
    assert aware_moment(moment.isoformat()) == moment
    assert aware_moment(moment.replace(tzinfo=None).isoformat()) is None


@given(st.text(max_size=40) | st.none() | st.integers() | st.floats() | st.lists(st.text()))
def test_anything_else_is_none_or_a_moment(text: object) -> None:
    moment = aware_moment(text)
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00+01:00", "2026-01-01 10:00:00+25:00"])
def test_a_moment_that_cannot_be_is_none(text: str) -> None:
    assert aware_moment(text) is None
