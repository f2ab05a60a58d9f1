"""How often somebody may be wrong, and how often an application may ask."""

from collections import defaultdict, deque
from typing import Final

from ..clock import Clock

ATTEMPTS: Final = 10
"""Wrong answers before the sign-in is throttled; a recorded answer counted attempts down from ten."""
PAUSE: Final = 900.0
"""Seconds until a wrong answer is forgotten; Tesla's figure is not known."""

TOKEN_REQUESTS: Final = 20
"""Token requests per second and application (developer.tesla.com, "Rate limits")."""


class Window:
    """Counts events of the last `span` seconds, per key."""

    def __init__(self, clock: Clock, limit: int, span: float) -> None:
        """Allow `limit` events within `span` seconds."""
        self._clock = clock
        self._limit = limit
        self._span = span
        self._events: defaultdict[str, deque[float]] = defaultdict(deque)

    def note(self, key: str) -> None:
        """Count one event."""
        self._events[key].append(self._clock())

    def forget(self, key: str) -> None:
        """Begin again."""
        self._events.pop(key, None)

    def remaining(self, key: str) -> int:
        """Return how many more events are allowed now."""
        events = self._events[key]
        horizon = self._clock() - self._span
        while events and events[0] <= horizon:
            events.popleft()
        return max(0, self._limit - len(events))
