"""Kinds of requests to Tesla and what Tesla bills for each ("Billing and limits", pay per use since 2025-01-01)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Category(StrEnum):
    """Kinds of requests by how Tesla bills them."""

    DATA = "data"
    COMMAND = "command"
    WAKE = "wake"
    STATE = "state"
    ENERGY = "energy"
    DETAILS = "details"
    """What is asked about a car beside its live data: billed like it, and no look of the polling rule."""
    FEED = "feed"
    """What is asked of TeslaFi.com instead of Tesla."""


class Currency(StrEnum):
    """Currencies in which Tesla's prices of requests are known, by the developer account's country."""

    USD = "USD"
    EUR = "EUR"
    GBP = "GBP"


def _prices(data: int, commands: int, wakes: int) -> Mapping[Category, float]:
    """Return prices by how many requests of a kind Tesla sells for one."""
    return {
        Category.DATA: 1 / data,
        Category.COMMAND: 1 / commands,
        Category.WAKE: 1 / wakes,
        Category.STATE: 0.0,
        Category.ENERGY: 0.0,
        Category.DETAILS: 1 / data,
        Category.FEED: 0.0,
    }


PRICES: Final[Mapping[Currency, Mapping[Category, float]]] = {
    Currency.USD: _prices(500, 1000, 50),
    Currency.EUR: _prices(500, 1000, 50),
    Currency.GBP: _prices(650, 1300, 65),
}
"""Price of one request, by the currency that Tesla bills the developer account in."""
PRICES_USD: Final = PRICES[Currency.USD]
CREDIT: Final[Mapping[Currency, int]] = {Currency.USD: 10, Currency.EUR: 10, Currency.GBP: 8}
"""What Tesla gives to a developer account each month."""
DISCOUNT: Final = 0.1
"""What data of a car with `discounted_device_data` cost, as a share of the ordinary price."""


def price_of(category: Category, currency: Currency, *, discounted: bool = False) -> float:
    """Return the price of one request."""
    return PRICES[currency][category] * (DISCOUNT if discounted and category is Category.DATA else 1)


def cost_of(requests: Mapping[Category, int], currency: Currency, *, discounted: bool = False) -> float:
    """Return what requests cost."""
    return sum(price_of(category, currency, discounted=discounted) * count for category, count in requests.items())
