"""Time on a test site: it can be moved forward, as the time machine of test sites does."""

from collections.abc import Callable

type Clock = Callable[[], float]
"""Returns epoch seconds."""


class TravellingClock:
    """A clock that a time machine has moved ahead of the one below it."""

    def __init__(self, below: Clock) -> None:
        """Go with `below`."""
        self._below = below
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return epoch seconds."""
        return self._below() + self.ahead

    def travel(self, to: float) -> None:
        """Move to a moment; raise ValueError for one that has passed."""
        if to < self():
            raise ValueError("a time machine of Chargebee's travels forward only")
        self.ahead += to - self()
