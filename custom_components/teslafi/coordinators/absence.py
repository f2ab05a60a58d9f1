"""How long Tesla has not listed a car or site: "not listed", "could not ask" and "gone" are three things.

Only answered lists count, and of the time between two of them no more than `LONGEST_STEP`, whatever clocks say, so that
an outage, a suspended machine or a wrong clock makes nobody gone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_STEP: Final = 1200.0
GONE_AFTER: Final = 7 * 86_400.0
"""Seconds of absence from lists that held something else, after which a device goes by itself."""
HANDED_OVER_AFTER: Final = 3600.0
"""Seconds of absence from any list, after which another account that lists the car or site takes it over."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Seconds of absence: `unlisted` counts every answered list, `proven` only those that are not empty."""

    unlisted: float = 0.0
    proven: float = 0.0

    @property
    def gone(self) -> bool:
        """Whether the device may be removed without asking the owner."""
        return self.proven >= GONE_AFTER

    @property
    def free(self) -> bool:
        """Whether another account may take the car or site over."""
        return self.unlisted >= HANDED_OVER_AFTER


def absences(
    before: Mapping[str, Absence], known: Collection[str], listed: Collection[str], elapsed: float
) -> dict[str, Absence]:
    """Return the absences after one more answered list, `elapsed` monotonic seconds after the last one.

    The first list without a car begins the count: nothing is known of the time before it.
    """
    step = min(max(elapsed, 0.0), LONGEST_STEP)
    proven = step if listed else 0.0
    return {
        key: Absence(before[key].unlisted + step, before[key].proven + proven) if key in before else Absence()
        for key in known
        if key not in listed
    }
