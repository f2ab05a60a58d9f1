"""What the requests of a month cost: counts by category, with Tesla's prices.

Prices and the rule of what counts: Tesla's developer documents, "Billing and limits" (pay per use since 2025-01-01).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from ..tesla.requests import PRICES_USD, Category


def month_of(now: float) -> str:
    """Return the billing month (UTC, "2026-11") of an epoch time."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Requests of one billing month; a request of a later month begins a new page."""

    month: str = ""
    counts: Mapping[Category, int] = field(default_factory=dict)

    def counted(self, category: Category, now: float) -> Self:
        """Return the ledger with one more request."""
        page = self.page(now)
        return replace(page, counts={**page.counts, category: page.counts.get(category, 0) + 1})

    def page(self, now: float) -> Self:
        """Return the ledger of the month of `now`, empty when this one is of another month."""
        month = month_of(now)
        return self if self.month == month else replace(self, month=month, counts={})

    def cost(self, now: float) -> float:
        """Return the month's cost in US dollars."""
        return sum(PRICES_USD[category] * count for category, count in self.page(now).counts.items())

    def to_json(self) -> dict[str, Any]:
        """Return what is kept between restarts."""
        return {"month": self.month, "counts": {category.value: count for category, count in self.counts.items()}}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`; anything else is an empty ledger."""
        if not isinstance(data, dict) or not isinstance(counts := data.get("counts"), dict):
            return cls()
        return cls(
            month=str(data.get("month", "")),
            counts={
                Category(name): count
                for name, count in counts.items()
                if name in set(Category) and isinstance(count, int) and not isinstance(count, bool) and count >= 0
            },
        )
