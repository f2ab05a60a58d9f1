"""What Tesla bills a developer account for: every answer below 500 to a billable request ("Billing and limits").

A bill is the developer's, over all of their applications and all owners who let these in; 401, 408 and 429 are on it.
What nobody can be found for, as a token that Tesla never issued, is on none. Tesla does not say whether its limit also
stops what is free, nor whether an answer "account disabled: EXCEEDED_LIMIT" is billed: here the first is not stopped,
and the second counts, for it is below 500.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

type Category = Literal["data", "command", "wake", "free"]

PRICES_USD: Final[dict[Category, float]] = {"data": 1 / 500, "command": 1 / 1000, "wake": 1 / 50, "free": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request as it was answered: when (epoch seconds), what, about which car ("" for none), at what price (USD).

    An answer that a fault lost on its way stands here with the status that it had.
    """

    at: float
    method: str
    path: str
    status: int
    category: Category = "free"
    vin: str = ""
    usd: float = 0.0


@dataclass(slots=True)
class Billing:
    """Answered requests by category, and how much a developer may spend (USD; no entry: no limit).

    `by_owner` has them by the account that was asked about, `by_developer` by the account that pays. `exchanges` are
    all requests in their order, sign-in's included.
    """

    by_owner: dict[str, Counter[Category]] = field(default_factory=dict)
    by_developer: dict[str, Counter[Category]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)

    def count(self, owner: str, developer: str | None, category: Category) -> None:
        """Note an answered request; Tesla's own app has no developer, and nobody pays for it."""
        self.by_owner.setdefault(owner, Counter())[category] += 1
        if developer is not None:
            self.by_developer.setdefault(developer, Counter())[category] += 1

    def cost(self, developer: str) -> float:
        """Return what the developer owes, in USD."""
        counts = self.by_developer.get(developer, Counter())
        return sum(PRICES_USD[category] * count for category, count in counts.items())

    def exceeded(self, developer: str | None) -> bool:
        """Tell whether the developer's limit is reached."""
        limit = None if developer is None else self.limits.get(developer)
        return developer is not None and limit is not None and self.cost(developer) >= limit

    def reset(self) -> None:
        """Begin a new month."""
        self.by_owner.clear()
        self.by_developer.clear()
        self.exchanges.clear()
