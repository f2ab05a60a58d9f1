"""The memory of failures of one endpoint: how long to leave it alone.

Each endpoint of each car, each site and the account has a `Backoff` of its own, so that the success of one never
clears another's. Times are monotonic seconds; nothing here knows the wall clock. Tesla bills every answer with a
status below 500 (developer documents, "Billing and limits"): what is billed is asked seldom.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
import math
from typing import Any, Final, Self, cast

DAY: Final = 86_400.0
SPREAD: Final = 0.25
"""The most that jitter adds to a wait, as a share of it: cars and homes do not come back from an outage in step."""
SPREAD_MOST: Final = 60.0
"""The most that jitter adds to a wait that Tesla named, in seconds."""


class Trouble(StrEnum):
    """Kinds of failure by what they mean for the next attempt."""

    NETWORK = "network"
    """No connection or no answer in time. Not billed, and over the moment the network is back."""
    SERVER = "server"
    """5xx, or an answer that cannot be read. Not billed."""
    RATE_LIMITED = "rate_limited"
    """429. Billed. Tesla usually says how long to wait."""
    REFUSED = "refused"
    """Any other status below 500: mobile access off, scope missing, not found, not registered. Billed."""
    SPENDING_LIMIT = "spending_limit"
    """402, or 403 EXCEEDED_LIMIT. Tesla names no end; the first of a month is one."""
    IN_SERVICE = "in_service"
    """405: at a service center, usually for hours or days. Billed."""
    UNANSWERED = "unanswered"
    """408 for a car that says it is online. Billed."""


_SELDOM: Final = (60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0, *(3600.0,) * 20, DAY)
"""At most eight attempts in the first hour, then one an hour, after a day one a day."""

WAITS: Final[Mapping[Trouble, tuple[float, ...]]] = {
    Trouble.NETWORK: (30.0, 60.0, 120.0, 240.0, 300.0),
    Trouble.SERVER: (60.0, 120.0, 240.0, 480.0, 900.0),
    Trouble.RATE_LIMITED: _SELDOM,
    Trouble.REFUSED: _SELDOM,
    Trouble.SPENDING_LIMIT: (900.0, 1800.0, 3600.0, 7200.0, 21_600.0),
    Trouble.IN_SERVICE: (1800.0, 3600.0, 3600.0, 7200.0, 14_400.0),
    Trouble.UNANSWERED: (300.0, 600.0, 1200.0, 3600.0),
}
"""Seconds to wait after the first, second, … failure without a success between; the last one repeats."""

UNBILLED: Final = frozenset({Trouble.NETWORK, Trouble.SERVER})


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row of one endpoint and the monotonic moment before which it is not asked. New: all is well."""

    failures: int = 0
    billed: int = 0
    """How many of the failures Tesla billed; kinds that take turns do not begin anew."""
    not_before: float = -math.inf
    trouble: Trouble | None = None
    """The kind of the last failure; None after a success."""

    def failed(self, trouble: Trouble, now: float, *, retry_after: float | None = None, jitter: float = 0.0) -> Self:
        """Return the memory after one more failure.

        `retry_after`: seconds that Tesla asked to wait, if it did; a longer wait of this side's own stays, since Tesla
        bills each 429, and nothing is waited for longer than a day. `jitter`: a random number from 0 to 1; waits only
        ever get longer by it.
        """
        failures, billed = self.failures + 1, self.billed + (trouble not in UNBILLED)
        steps = WAITS[trouble]
        wait = steps[min(failures - billed if trouble in UNBILLED else billed, len(steps)) - 1]
        spread = wait * SPREAD
        if retry_after is not None and retry_after > wait:  # NaN compares false
            wait = min(retry_after, DAY)
            spread = min(wait * SPREAD, SPREAD_MOST)
        return type(self)(failures, billed, now + wait + spread * _unit(jitter), trouble)

    def succeeded(self) -> Self:
        """Return the memory after a success: empty."""
        return type(self)() if self.failures else self

    def due(self, now: float) -> bool:
        """Tell whether the endpoint may be asked."""
        return now >= self.not_before

    def wait(self, now: float) -> float:
        """Return the seconds to wait from `now` on, 0 when it may be asked."""
        return max(self.not_before - now, 0.0)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return what is kept over a restart: a restart is no reason to ask again."""
        return {"failures": self.failures, "billed": self.billed, "wait": self.wait(now), "trouble": self.trouble}

    @classmethod
    def from_json(cls, data: object, now: float, *, passed: float) -> Self:
        """Undo `to_json`, `passed` seconds of wall time later; anything else is an empty memory.

        A wall clock that went back counts as no time passed, so that a wait is never longer than it was.
        """
        if not isinstance(data, dict):
            return cls()
        failures, billed, wait = (cast("object", data.get(key)) for key in ("failures", "billed", "wait"))
        trouble = next((trouble for trouble in Trouble if trouble == data.get("trouble")), None)
        if trouble is None or type(failures) is not int or type(billed) is not int:
            return cls()
        if not 0 <= billed <= failures < 10**6:
            return cls()
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= DAY * (1 + SPREAD):
            return cls()
        return cls(failures, billed, now + max(wait - max(passed, 0.0), 0.0), trouble)


def _unit(jitter: float) -> float:
    """Return a number from 0 to 1 whatever came in."""
    return min(max(jitter, 0.0), 1.0) if jitter == jitter else 0.0  # noqa: PLR0124 - NaN alone differs from itself
