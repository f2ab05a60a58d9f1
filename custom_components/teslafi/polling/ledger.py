"""What the requests about one car came to: counts by category and month, and the looks of the last days.

What counts: Tesla's developer documents, "Billing and limits" (every answer with a status below 500; months begin on
the 1st, UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self

from ..tesla.requests import Category

DAY: Final = 86_400
MONTHS_KEPT: Final = 13
DAYS_KEPT: Final = 31


def month_of(now: float) -> str:
    """Return the billing month (UTC, "2026-11") of an epoch time."""
    return _names(int(now // DAY))[0]


def day_of(now: float) -> str:
    """Return the day (UTC, "2026-11-26") of an epoch time."""
    return _names(int(now // DAY))[1]


@lru_cache(maxsize=64)
def _names(day: int) -> tuple[str, str]:
    """Return the month and the date of a day since 1970; asked many times for each request."""
    date = datetime.fromtimestamp(day * DAY, UTC)
    return date.strftime("%Y-%m"), date.strftime("%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Requests about one car, a page for each billing month.

    A page that was begun stays when the clock goes back or jumps ahead and returns: counting goes on where it stood.
    """

    pages: Mapping[str, Mapping[Category, int]] = field(default_factory=dict)
    """Month -> requests by category; the page last written is last."""
    days: Mapping[str, int] = field(default_factory=dict)
    """Day -> looks, the last weeks."""

    def counted(self, category: Category, now: float) -> Self:
        """Return the ledger with one more request."""
        month, page = month_of(now), self.counts(now)
        others = {name: counts for name, counts in self.pages.items() if name != month}
        pages = {**others, month: {**page, category: page.get(category, 0) + 1}}
        days = self.days
        if category is Category.DATA:
            day = day_of(now)
            days = _last({**days, day: days.get(day, 0) + 1}, DAYS_KEPT)
        return type(self)(_last(pages, MONTHS_KEPT), days)

    def counts(self, now: float) -> Mapping[Category, int]:
        """Return the requests of the month of `now`."""
        return self.page(month_of(now))

    def page(self, month: str) -> Mapping[Category, int]:
        """Return the requests of a month."""
        return self.pages.get(month, {})

    def usual_day(self, now: float) -> float | None:
        """Return the looks of an ordinary day of the last thirty, those without any included; None before one is over.

        None for thirty days is none a day: the car is gone, or Home Assistant was off.
        """
        month = self.usual_month(now)
        if month is None and any(day < day_of(now) for day in self.days):
            return 0.0
        return None if month is None else month / 30

    def usual_month(self, now: float) -> float | None:
        """Return the looks of thirty days like the last thirty, days without any included; None while none is known."""
        looks = [self.days.get(day_of(now - ago * DAY)) for ago in range(1, 31)]
        known = max((ago for ago, count in enumerate(looks, 1) if count is not None), default=None)
        return None if known is None else 30 * sum(count or 0 for count in looks) / known

    def to_json(self) -> dict[str, Any]:
        """Return what is kept between restarts; `month` and `counts` are what version 0.1.0 reads."""
        month = ["", *self.pages][-1]
        return {
            "month": month,
            "counts": {kind.value: count for kind, count in self.pages.get(month, {}).items()},
            "pages": {month: {kind.value: count for kind, count in page.items()} for month, page in self.pages.items()},
            "days": dict(self.days),
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`, of version 0.1.0 too, which kept one month; anything else is an empty ledger."""
        if not isinstance(data, dict):
            return cls()
        pages = data.get("pages")
        if not isinstance(pages, dict):
            pages = {str(data.get("month")): data.get("counts")}
        read = {
            month: {category: page[category.value] for category in Category if _is_count(page.get(category.value))}
            for month, page in pages.items()
            if isinstance(month, str) and isinstance(page, dict)
        }
        days = data.get("days")
        return cls(
            pages=_last({month: page for month, page in read.items() if page}, MONTHS_KEPT),
            days=_last(
                {day: count for day, count in days.items() if isinstance(day, str) and _is_count(count)}, DAYS_KEPT
            )
            if isinstance(days, dict)
            else {},
        )


def _last[T](entries: Mapping[str, T], most: int) -> Mapping[str, T]:
    return entries if len(entries) <= most else dict(list(entries.items())[-most:])


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
