"""What this month's requests about all cars of an account come to, held against the owner's limit."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
import time
from typing import Final

from homeassistant.config_entries import ConfigEntry

from ..const import CONF_CURRENCY, CONF_HABITS, CONF_MONTHLY_BUDGET, CONF_POLLING_MODE
from ..polling.budget import Spending, for_looks, steps
from ..polling.ledger import Ledger, month_of
from ..polling.month import BillingMonth
from ..polling.pace import USUAL_MONTH, Mode, Step
from ..tesla.requests import Category, Currency, cost_of, price_of

_MODES: Final[Mapping[object, Mode]] = {mode.value: mode for mode in Mode}
_NOTHING_COUNTED: Final = Ledger()
_CURRENCIES: Final[Mapping[object, Currency]] = {currency.value: currency for currency in Currency}


class Budget:
    """The ledgers of an account's cars. A car that goes leaves its ledger: the month's money is spent."""

    def __init__(self, entry: ConfigEntry) -> None:
        """Read mode, limit and currency from the entry's options whenever they are asked for."""
        self._entry = entry
        self.discounted: frozenset[str] = frozenset()
        """Cars whose live data Tesla sells at a tenth, since they cannot send it by themselves."""
        self._ledgers: dict[str, Ledger] = {}
        self._under_way = 0.0
        self._month: BillingMonth | None = None
        self._short: tuple[str, float | None] | None = None
        """Month and limit in which a car last got less than all of its mode."""

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
        return _MODES.get(self._entry.options.get(CONF_POLLING_MODE), Mode.BALANCED)

    @property
    def currency(self) -> Currency:
        """What Tesla bills the developer account in, as far as the owner said it."""
        return _CURRENCIES.get(self._entry.options.get(CONF_CURRENCY), Currency.USD)

    @property
    def learns_habits(self) -> bool:
        """Whether times and places of departures are learned."""
        return self._entry.options.get(CONF_HABITS) is not False

    @property
    def limit(self) -> float | None:
        """What a month may cost, in the account's currency; None without a limit."""
        limit = self._entry.options.get(CONF_MONTHLY_BUDGET)
        return None if limit is None else float(limit)

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """All ledgers by VIN, to be kept over a restart, whatever the month: clocks go back too."""
        return dict(self._ledgers)

    def ledger(self, vin: str) -> Ledger:
        """Return what was counted about a car."""
        return self._ledgers.get(vin, _NOTHING_COUNTED)

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

    def price(self, category: Category, vin: str = "") -> float:
        """Return the price of one request, about this car if it is of one."""
        return price_of(category, self.currency, discounted=vin in self.discounted)

    def step(self, vin: str) -> Step:
        """Return how much of the mode the limit leaves to a car."""
        return Step.FULL if self.limit is None else self._steps([vin])[vin]

    def _steps(self, vins: Iterable[str]) -> Mapping[str, Step]:
        """Return how much of the mode the limit leaves to each car; what is under way counts, whoever asked for it."""
        if self.limit is None:
            return dict.fromkeys(vins, Step.FULL)
        now = time.time()
        cars = {vin: self._spending(vin, now) for vin in {*vins, *self._ledgers}}
        return steps(self.limit, cars, now, under_way=self._under_way)

    def runs_short(self, vins: Iterable[str]) -> bool:
        """Whether a car gets less than all of its mode.

        Reading less makes the budget last again, so that the steps come and go: once short, it stays so until the month
        or the limit is another and every car has all of its mode.
        """
        now = (month_of(time.time()), self.limit)
        if self.limit is not None and any(step is not Step.FULL for step in self._steps(vins).values()):
            self._short = now
        elif now != self._short:
            self._short = None
        return self._short is not None

    def _spending(self, vin: str, now: float) -> Spending:
        ledger, look = self.ledger(vin), self.price(Category.DATA, vin)
        usual = ledger.usual_day(now)
        return Spending(self._cost(vin, now), None if usual is None else usual * look, look)

    def _cost(self, vin: str, now: float) -> float:
        return cost_of(self.ledger(vin).counts(now), self.currency, discounted=vin in self.discounted)

    @property
    def cost(self) -> float:
        """What this month's requests come to, in the account's currency."""
        now = time.time()
        return sum(self._cost(vin, now) for vin in self._ledgers)

    def cost_of_month(self, vin: str, month: str) -> float:
        """Return what a month's requests about a car come to, in the account's currency."""
        return cost_of(self.ledger(vin).page(month), self.currency, discounted=vin in self.discounted)

    def usual_month(self, mode: Mode) -> float | None:
        """What thirty days like the last would cost in a mode; None before a whole day is known.

        What the looks of the mode used so far came to, times what the modes cost beside each other.
        """
        now = time.time()
        looks = {vin: ledger.usual_month(now) for vin, ledger in self._ledgers.items()}
        usual = [count * self.price(Category.DATA, vin) for vin, count in looks.items() if count is not None]
        return sum(usual) * USUAL_MONTH[mode] / USUAL_MONTH[self.mode] if usual else None

    @property
    def may_look(self) -> bool:
        """Whether the limit leaves room for another look, beyond the reserve for commands and wakes."""
        return self.limit is None or for_looks(self.limit, self.cost) >= self.price(Category.DATA)

    def may_spend_on(self, price: float) -> bool:
        """Whether the limit leaves room for something of this price."""
        return self.limit is None or self.cost + self._under_way + price <= self.limit
