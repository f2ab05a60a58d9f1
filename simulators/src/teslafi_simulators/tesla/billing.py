"""What Tesla bills an account for: every answer below 500 to a billable request ("Billing and limits")."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

type Category = Literal["data", "command", "wake", "free"]

PRICES_USD: Final[dict[Category, float]] = {"data": 1 / 500, "command": 1 / 1000, "wake": 1 / 50, "free": 0.0}


@dataclass(slots=True)
class Billing:
    """Requests by account and category, and how much an account may spend (USD; None: no limit)."""

    counts: dict[str, Counter[Category]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    def count(self, account: str, category: Category) -> None:
        """Note an answered request."""
        self.counts.setdefault(account, Counter())[category] += 1

    def cost(self, account: str) -> float:
        """Return what the account owes, in USD."""
        return sum(PRICES_USD[category] * count for category, count in self.counts.get(account, Counter()).items())

    def exceeded(self, account: str) -> bool:
        """Tell whether the account's limit is reached."""
        limit = self.limits.get(account)
        return limit is not None and self.cost(account) >= limit

    def reset(self) -> None:
        """Begin a new month."""
        self.counts.clear()
