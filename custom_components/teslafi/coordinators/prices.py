"""What a price entity of Home Assistant's told over time: the recorder's states, before them its hourly means, and now.

Prices are per kWh, in the entity's currency. A price that isn't told for a while holds for an hour at most.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
import math
import re
from typing import Final
import unicodedata

from homeassistant.components.recorder import history, statistics
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util
from sqlalchemy.exc import SQLAlchemyError

from ..const import LOGGER
from ..journal.sample import Moment
from ..journal.tariff import Prices

HOUR: Final = 3600
HELD_MOST: Final = HOUR
"""Seconds for which the last price holds while the entity tells none: it was unavailable, or restarted."""
ASK_SECONDS: Final = 60.0
ENERGIES: Final = {"wh": 0.001, "kwh": 1.0, "mwh": 1000.0}
"""Unit in lower case -> kWh."""
HUNDREDTHS: Final = frozenset({"c", "ct", "cent", "cents", "¢", "p", "pence", "öre", "øre", "ore", "rp", "gr"})
"""What a hundredth of a currency is called."""
NAMES: Final = frozenset({"kr", "zł", "kč", "ft", "lei", "fr", "r"})
"""What currencies are called that have neither a sign of their own nor their code there, in lower case."""
_UNIT: Final = re.compile(r"\s*([^/\s]+)\s*(?:/\s*(\w+)\s*)?")
_CODE: Final = re.compile(r"[A-Z]{3}")

MOST: Final = 1_000_000.0
"""Money for a kWh from which on nobody sells it, in any currency."""

type Point = tuple[Moment, float | None]
"""From when on, and which price; None where none is known."""


@dataclass(frozen=True, slots=True)
class Told:
    """A price per kWh from a moment on, None where none is told, and the currency that its unit names."""

    at: Moment
    price: float | None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class PriceUnit:
    """What a price is told in: its currency where the unit names one, and what turns it into one per kWh."""

    currency: str | None
    factor: float


def unit_of(unit: str | None) -> PriceUnit | None:
    """Return what a unit such as `EUR/kWh`, `ct/kWh`, or `€/MWh` means, None when it is no price of energy.

    Without a unit, or without the energy, a price is per kWh in Home Assistant's currency.
    """
    if not unit or not unit.strip():
        return PriceUnit(None, 1.0)
    if (found := _UNIT.fullmatch(unit)) is None:
        return None
    money, energy = found[1], (found[2] or "kWh").lower()
    if energy not in ENERGIES or not _is_money(money):
        return None
    share = 0.01 if money.lower() in HUNDREDTHS else 1.0
    return PriceUnit(money if _CODE.fullmatch(money) else None, share / ENERGIES[energy])


def _is_money(text: str) -> bool:
    return (
        _CODE.fullmatch(text) is not None
        or text.lower() in NAMES | HUNDREDTHS
        or any(unicodedata.category(letter) == "Sc" for letter in text)
    )


async def async_prices(hass: HomeAssistant, entity_id: str, start: Moment, end: Moment) -> tuple[Prices, str]:
    """Return an entity's prices between two moments, as far as they are known, and their currency.

    The currency is that of the newest price, not that of the entity now: it may be gone. Prices in others don't count.
    """
    told: list[Told] = []
    if "recorder" in hass.config.components:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                told = await get_instance(hass).async_add_executor_job(_recorded, hass, entity_id, start, end)
        except (SQLAlchemyError, RuntimeError, TimeoutError) as error:
            # Full, or closed since Home Assistant stops: charges without a price are told as such
            LOGGER.debug("No history of %s (%s)", entity_id, type(error).__name__)
    now = hass.states.get(entity_id)
    if now is not None and now.last_changed.timestamp() <= end:
        # What the recorder has not written yet
        told = [one for one in told if one.at < now.last_changed.timestamp()]
        told.append(_told(now))
    home = hass.config.currency
    currency = next((one.currency or home for one in reversed(told) if one.price is not None), home)
    points = [(one.at, one.price if (one.currency or home) == currency else None) for one in told]
    return prices_of(points, end), currency


def prices_of(points: Sequence[Point], end: Moment) -> Prices:
    """Return prices out of points in order of time, of which the last one holds until `end`."""
    kept = list(_held([*points, (end + 1, 0.0)]))
    return Prices([at for at, _ in kept], [price for _, price in kept], end + 1)


def _held(points: Sequence[Point]) -> Iterator[Point]:
    """Yield the points without those that tell nothing for a short while."""
    unknown_since: Moment | None = None
    for (at, price), (after, _) in pairwise(points):
        if price is not None:
            unknown_since = None
            yield at, price
            continue
        unknown_since = at if unknown_since is None else unknown_since
        if after - unknown_since > HELD_MOST:
            yield unknown_since, None


def _recorded(hass: HomeAssistant, entity_id: str, start: Moment, end: Moment) -> list[Told]:
    """Return what the recorder has of an entity. Blocks."""
    begin, until = _utc(start), _utc(end + 1)
    states = history.state_changes_during_period(hass, begin, until, entity_id).get(entity_id, [])
    told = [_told(state) for state in states]
    first = told[0].at if told else end + 1
    return [*_means(hass, entity_id, start, first), *told] if first > start else told


def _means(hass: HomeAssistant, entity_id: str, start: Moment, end: Moment) -> Iterator[Told]:
    """Yield the hourly means, which the recorder keeps forever, of the time before its states begin."""
    known = statistics.get_metadata(hass, statistic_ids={entity_id}).get(entity_id)
    unit = None if known is None else unit_of(known[1]["unit_of_measurement"])
    if unit is None:
        return
    begin = _utc(start // HOUR * HOUR)
    rows = statistics.statistics_during_period(
        hass, begin, _utc(end), {entity_id}, "hour", None, {"mean", "state"}
    ).get(entity_id, [])
    for row in rows:
        mean = row.get("mean") if row.get("mean") is not None else row.get("state")
        yield Told(int(row["start"]), _price(mean, unit), unit.currency)
        yield Told(int(row["end"]), None)


def _told(state: State) -> Told:
    unit = unit_of(state.attributes.get(ATTR_UNIT_OF_MEASUREMENT))
    try:
        price = float(state.state)
    except ValueError:
        price = math.nan
    at = int(state.last_changed.timestamp())
    return Told(at, None) if unit is None else Told(at, _price(price, unit), unit.currency)


def _price(told: float | None, unit: PriceUnit) -> float | None:
    price = math.nan if told is None else told * unit.factor
    return price if abs(price) < MOST else None


def _utc(at: Moment) -> datetime:
    return dt_util.utc_from_timestamp(at)
