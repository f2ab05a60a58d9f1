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


PRICES_USD: Final[Mapping[Category, float]] = {
    Category.DATA: 1 / 500,
    Category.COMMAND: 1 / 1000,
    Category.WAKE: 1 / 50,
    Category.STATE: 0.0,
    Category.ENERGY: 0.0,
    Category.DETAILS: 1 / 500,
    Category.FEED: 0.0,
}
"""US dollars for one request."""
