"""The one clock: every rule takes its moment from here, so that a test can pass a month in a second."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]
"""Gives the present moment, aware of its zone (UTC)."""


def system_clock() -> datetime:
    """Return the machine's own time in UTC."""
    return datetime.now(UTC)
