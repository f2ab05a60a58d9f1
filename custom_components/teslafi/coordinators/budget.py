"""What this month's requests about all cars of an account come to, held against the owner's limit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import time

from homeassistant.config_entries import ConfigEntry

from ..const import CONF_MONTHLY_BUDGET, CONF_POLLING_MODE
from ..polling.budget import Spending, for_looks, steps
from ..polling.ledger import Ledger, month_of
from ..polling.month import BillingMonth
from ..polling.pace import Mode, Step
from ..tesla.requests import PRICES_USD, Category


class Budget:
    """The ledgers of an account's cars. A car that goes leaves its ledger: the month's money is spent."""

    def __init__(self, entry: ConfigEntry) -> None:
        """Read mode and limit, in US dollars a month, from the entry's options whenever they are asked for."""
        self._entry = entry
        self._ledgers: dict[str, Ledger] = {}
        self._under_way = 0.0
        self._month: BillingMonth | None = None

    def restore(self, ledgers: Mapping[str, Ledger], month: str | None = None) -> None:
        """Go on with what was counted before a restart, also about cars that are gone, and the month shown then."""
        self._ledgers = {**ledgers, **self._ledgers}
        self._month = BillingMonth(month) if month else None

    @property
    def shown_month(self) -> BillingMonth:
        """The month whose requests are shown."""
        told = month_of(time.time())
        self._month = (self._month or BillingMonth(told)).told(told, time.monotonic())
        return self._month

    @property
    def mode(self) -> Mode:
        """The owner's choice between detail and cost."""
        chosen = self._entry.options.get(CONF_POLLING_MODE)
        return next((mode for mode in Mode if mode == chosen), Mode.BALANCED)

    @property
    def limit(self) -> float | None:
        """US dollars a month; None without a limit."""
        limit = self._entry.options.get(CONF_MONTHLY_BUDGET)
        return None if limit is None else float(limit)

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """All ledgers by VIN, to be kept over a restart, whatever the month: clocks go back too."""
        return dict(self._ledgers)

    def ledger(self, vin: str) -> Ledger:
        """Return what was counted about a car."""
        return self._ledgers.get(vin, Ledger())

    def count(self, vin: str, category: Category) -> None:
        """Count a request about a car."""
        self._ledgers[vin] = self.ledger(vin).counted(category, time.time())

    @contextmanager
    def under_way(self, price: float) -> Iterator[None]:
        """Hold money for a request from before it is sent until it is counted: others may ask at the same time."""
        self._under_way += price
        try:
            yield
        finally:
            self._under_way -= price

    def step(self, vin: str) -> Step:
        """Return how much of the mode the limit leaves to a car."""
        if self.limit is None:
            return Step.FULL
        now = time.time()
        price = PRICES_USD[Category.DATA]
        cars = {
            known: Spending(
                ledger.cost(now), None if (usual := ledger.usual_day(now)) is None else usual * price, price
            )
            for known, ledger in {vin: Ledger(), **self._ledgers}.items()
        }
        cars[vin] = Spending(cars[vin].spent + self._under_way, cars[vin].usual_day, price)
        return steps(self.limit, cars, now)[vin]

    @property
    def cost_usd(self) -> float:
        """What this month's requests come to."""
        now = time.time()
        return sum(ledger.cost(now) for ledger in self._ledgers.values())

    @property
    def usual_month_usd(self) -> float | None:
        """What the looks of thirty days like the last ones come to; None before a whole day is known."""
        now = time.time()
        usual = [day for ledger in self._ledgers.values() if (day := ledger.usual_day(now)) is not None]
        return sum(usual) * 30 * PRICES_USD[Category.DATA] if usual else None

    @property
    def may_look(self) -> bool:
        """Whether the limit leaves room for another look, beyond the reserve for commands and wakes."""
        return self.limit is None or for_looks(self.limit, self.cost_usd) >= PRICES_USD[Category.DATA]

    def may_spend_on(self, price: float) -> bool:
        """Whether the limit leaves room for something of this price in US dollars."""
        return self.limit is None or self.cost_usd + self._under_way + price <= self.limit
