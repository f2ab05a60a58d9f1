"""Where the simulator takes its time from."""

from collections.abc import Callable
import time
from typing import Final

type Clock = Callable[[], float]
"""Returns epoch seconds."""

real_clock: Final[Clock] = time.time


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        """Stand at `start` (epoch seconds)."""
        self._now = start

    def __call__(self) -> float:
        """Return epoch seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward; time never runs backwards here."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        self._now += seconds
