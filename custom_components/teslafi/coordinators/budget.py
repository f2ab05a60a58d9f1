"""What this month's requests about all cars of an account come to, held against the owner's limit."""

from collections.abc import Mapping
import time

from homeassistant.config_entries import ConfigEntry

from ..const import CONF_MONTHLY_BUDGET
from ..polling.ledger import Ledger
from ..tesla.requests import PRICES_USD, Category


class Budget:
    """The ledgers of an account's cars. A car that goes leaves its ledger: the month's money is spent."""

    def __init__(self, entry: ConfigEntry) -> None:
        """Read the limit, in US dollars a month, from the entry's options whenever it is asked for."""
        self._entry = entry
        self._ledgers: dict[str, Ledger] = {}

    def take_up(self, ledgers: Mapping[str, Ledger]) -> None:
        """Go on with what was counted before a restart, also about cars that are gone."""
        self._ledgers = {**ledgers, **self._ledgers}

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

    @property
    def cost_usd(self) -> float:
        """What this month's requests come to."""
        now = time.time()
        return sum(ledger.cost(now) for ledger in self._ledgers.values())

    @property
    def may_spend(self) -> bool:
        """Whether the limit leaves room for another request for data."""
        return self.may_spend_on(PRICES_USD[Category.DATA])

    def may_spend_on(self, price: float) -> bool:
        """Whether the limit leaves room for something of this price in US dollars."""
        limit = self._entry.options.get(CONF_MONTHLY_BUDGET)
        return limit is None or bool(self.cost_usd + price <= limit)
