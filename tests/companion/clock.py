"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


class ManualClock:
    """Stands still until it is told to move on."""

    def __init__(self, now: datetime = START) -> None:
        """Start at a moment."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the present moment."""
        return self.now

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move on."""
        self.now += timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
