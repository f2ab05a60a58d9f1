"""What charges cost by the owner's tariffs: reckoned as each charge ends, and anew when the owner asks."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import tzinfo
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..const import (
    CONF_FREE_SUPERCHARGING,
    CONF_PER_KWH,
    CONF_PER_MINUTE,
    CONF_PRICE_ENTITY,
    CONF_SESSION_FEE,
    CONF_WINDOWS,
    CONF_ZONE,
    CONF_ZONE_NAME,
    TARIFF,
)
from ..journal.file import JournalUnusable
from ..journal.sample import Moment
from ..journal.sessions import Charge, CostSource
from ..journal.store import Store
from ..journal.tariff import EVERY_DAY, Tariff, Window, cost_of, is_supercharger
from .prices import async_prices

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Pricing:
    """An account's tariffs by the names of their zones, and the price entities of those that have one."""

    tariffs: Mapping[str, Tariff]
    entities: Mapping[str, str]
    free_supercharging: bool
    currency: str
    zone: tzinfo

    def __bool__(self) -> bool:
        """Say whether anything has a price."""
        return bool(self.tariffs) or self.free_supercharging


@dataclass(frozen=True, slots=True)
class Cost:
    """What a charge costs; no amount when a price isn't known for all of it."""

    amount: float | None
    currency: str
    source: CostSource


@dataclass(frozen=True, slots=True)
class Repriced:
    """How many charges have a cost, and which began while their price entity told no price."""

    costed: int
    without_price: Sequence[Moment]


def pricing_of(hass: HomeAssistant, entry: ConfigEntry) -> Pricing:
    """Read an account's tariffs, without the prices of entities."""
    tariffs: dict[str, Tariff] = {}
    entities: dict[str, str] = {}
    for subentry in entry.subentries.values():
        if subentry.subentry_type == TARIFF:
            tariff = _tariff(subentry.data, hass.config.currency)
            state = hass.states.get(subentry.data[CONF_ZONE])
            for name in {subentry.data[CONF_ZONE_NAME]} | ({state.name} if state is not None else set()):
                tariffs[name] = tariff
                if CONF_PRICE_ENTITY in subentry.data:
                    entities[name] = subentry.data[CONF_PRICE_ENTITY]
    free = bool(entry.options.get(CONF_FREE_SUPERCHARGING))
    return Pricing(tariffs, entities, free, hass.config.currency, dt_util.get_default_time_zone())


async def async_with_prices(hass: HomeAssistant, pricing: Pricing, charges: Sequence[Charge]) -> Pricing:
    """Return the tariffs with what their price entities told while these charges went on."""
    tariffs = dict(pricing.tariffs)
    for name, entity_id in pricing.entities.items():
        there = [charge for charge in charges if charge.place == name]
        if there:
            start, end = min(charge.start for charge in there), max(charge.end for charge in there)
            prices, currency = await async_prices(hass, entity_id, start, end)
            tariffs[name] = replace(tariffs[name], prices=prices, currency=currency)
    return replace(pricing, tariffs=tariffs)


def _tariff(data: Mapping[str, Any], currency: str) -> Tariff:
    return Tariff(
        currency=currency,
        per_kwh=data[CONF_PER_KWH],
        per_minute=data[CONF_PER_MINUTE],
        session_fee=data[CONF_SESSION_FEE],
        windows=tuple(_window(one) for one in windows_of(data)),
    )


def windows_of(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the windows of a stored tariff; those of before 2026-11-26 have one, in keys of its own."""
    if CONF_WINDOWS in data or "window_start" not in data:
        return data.get(CONF_WINDOWS) or ()
    return [{"start": data["window_start"], "end": data["window_end"], "per_kwh": data["window_per_kwh"]}]


def _window(data: Mapping[str, Any]) -> Window:
    days = frozenset(WEEKDAYS.index(day) for day in data.get("days", ())) or EVERY_DAY
    return Window(
        start=minutes_of(data["start"]),
        end=minutes_of(data["end"]),
        days=days,
        per_kwh=data.get("per_kwh"),
        per_minute=data.get("per_minute"),
    )


def minutes_of(time: str) -> int:
    """Return the minutes after midnight of a time that a form tells: seconds don't count, and zeros may be missing."""
    hours, minutes = time.split(":")[:2]
    return int(hours) * 60 + int(minutes)


def cost_by(pricing: Pricing, store: Store, vin: str, charge: Charge) -> Cost | None:
    """Return what a charge costs by the tariffs, None when there is none for its place. Blocks."""
    if pricing.free_supercharging and is_supercharger(charge):
        return Cost(0.0, pricing.currency, CostSource.FREE)
    if (tariff := pricing.tariffs.get(charge.place or "")) is None:
        return None
    amount = cost_of(charge, tariff, pricing.zone, store.curve(vin, charge))
    return Cost(amount, tariff.currency, CostSource.TARIFF)


def priced(store: Store, vin: str, charge: Charge, pricing: Pricing) -> Charge:
    """Return a charge with its cost by the tariffs, and keep that; as it is, when there is none. Blocks.

    When the store refuses, the charge has no cost until it is reckoned anew.
    """
    if charge.cost_source in SAID:
        return charge
    try:
        cost = cost_by(pricing, store, vin, charge)
        if cost is None or cost.amount is None:
            return charge
        return store.set_cost(vin, charge.start, cost.amount, cost.currency, cost.source) or charge
    except JournalUnusable:
        return charge


def reprice(store: Store, vin: str, pricing: Pricing) -> Repriced:
    """Reckon the cost of all charges anew, but for what the owner or Tesla said. Blocks.

    A cost stays when its price is not known any more: the recorder keeps its states for days.
    """
    costed = 0
    without: list[Moment] = []
    for charge in store.charges(vin, addresses=False):
        if charge.cost_source in SAID:
            continue
        cost = cost_by(pricing, store, vin, charge)
        if cost is not None and cost.amount is None:
            without.append(charge.start)
            continue
        if cost is not None or charge.cost is not None:
            amount, currency, source = (None, "", CostSource.TARIFF) if cost is None else astuple(cost)
            store.set_cost(vin, charge.start, amount, currency, source)
        costed += cost is not None
    return Repriced(costed, without)


SAID: Final = (CostSource.OWNER, CostSource.TESLA)
"""Whose word on a cost no tariff changes."""
