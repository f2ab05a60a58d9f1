"""Which billing month is shown: a clock that is wrong for some minutes begins no month and brings none back.

Home Assistant's recorder adds the whole first value of a new beginning, so a month that comes back would count twice.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Self

BELIEVED_AFTER: Final = 3600.0
"""Seconds for which the wall clock must have told another month."""


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """The month shown ("2026-11", UTC), and since when (monotonic seconds) the wall clock has told another one."""

    month: str
    other: str | None = None
    since: float = 0.0

    def told(self, month: str, clock: float) -> Self:
        """Return the month to show when the wall clock tells `month` at the monotonic moment `clock`."""
        if month == self.month:
            return self if self.other is None else replace(self, other=None)
        if month != self.other:
            return replace(self, other=month, since=clock)
        return type(self)(month) if clock - self.since >= BELIEVED_AFTER else self

    @property
    def began(self) -> datetime:
        """When the month began."""
        return _beginning(self.month)


@lru_cache(maxsize=4)
def _beginning(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)


def is_month(text: object) -> bool:
    """Say whether a text names a month as the ledger does."""
    try:
        return isinstance(text, str) and f"{datetime.strptime(text, '%Y-%m').replace(tzinfo=UTC):%Y-%m}" == text
    except ValueError:
        return False
