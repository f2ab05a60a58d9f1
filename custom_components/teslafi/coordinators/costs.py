"""What charges cost by the owner's tariffs: reckoned as each charge ends, and anew when the owner asks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..const import (
    CONF_FREE_SUPERCHARGING,
    CONF_PER_KWH,
    CONF_PER_MINUTE,
    CONF_SESSION_FEE,
    CONF_WINDOW_END,
    CONF_WINDOW_PER_KWH,
    CONF_WINDOW_START,
    CONF_ZONE,
    CONF_ZONE_NAME,
    TARIFF,
)
from ..journal.file import JournalUnusable
from ..journal.sessions import Charge, CostSource
from ..journal.store import Store
from ..journal.tariff import Tariff, Window, cost_of, is_supercharger


@dataclass(frozen=True, slots=True)
class Pricing:
    """An account's tariffs by the names of their zones."""

    tariffs: Mapping[str, Tariff]
    free_supercharging: bool
    currency: str
    zone: tzinfo

    def __bool__(self) -> bool:
        """Say whether anything has a price."""
        return bool(self.tariffs) or self.free_supercharging


def pricing_of(hass: HomeAssistant, entry: ConfigEntry) -> Pricing:
    """Read an account's tariffs."""
    tariffs: dict[str, Tariff] = {}
    for subentry in entry.subentries.values():
        if subentry.subentry_type == TARIFF:
            tariff = _tariff(subentry.data, hass.config.currency)
            state = hass.states.get(subentry.data[CONF_ZONE])
            tariffs[subentry.data[CONF_ZONE_NAME]] = tariff
            if state is not None:
                tariffs[state.name] = tariff
    free = bool(entry.options.get(CONF_FREE_SUPERCHARGING))
    return Pricing(tariffs, free, hass.config.currency, dt_util.get_default_time_zone())


def _tariff(data: Mapping[str, Any], currency: str) -> Tariff:
    windows: tuple[Window, ...] = ()
    if CONF_WINDOW_START in data:
        windows = (
            Window(
                start=_minutes(data[CONF_WINDOW_START]),
                end=_minutes(data[CONF_WINDOW_END]),
                per_kwh=data[CONF_WINDOW_PER_KWH],
            ),
        )
    return Tariff(
        currency=currency,
        per_kwh=data[CONF_PER_KWH],
        per_minute=data[CONF_PER_MINUTE],
        session_fee=data[CONF_SESSION_FEE],
        windows=windows,
    )


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")[:2]
    return int(hours) * 60 + int(minutes)


def priced(store: Store, vin: str, charge: Charge, pricing: Pricing) -> Charge:
    """Return a charge with its cost by the tariffs, and keep that; as it is, when there is none. Blocks."""
    if charge.cost_source is CostSource.OWNER:
        return charge
    if pricing.free_supercharging and is_supercharger(charge):
        cost, source = 0.0, CostSource.FREE
    elif (tariff := pricing.tariffs.get(charge.place or "")) is not None:
        known = cost_of(charge, tariff, pricing.zone, store.curve(vin, charge))
        if known is None:
            return charge
        cost, source = known, CostSource.TARIFF
    else:
        return charge
    store.set_cost(vin, charge.start, cost, pricing.currency, source)
    return replace(charge, cost=cost, currency=pricing.currency, cost_source=source)


def priced_if_possible(store: Store, vin: str, charge: Charge, pricing: Pricing) -> Charge:
    """Do the same; when the store refuses, the charge has no cost until it is reckoned anew. Blocks."""
    try:
        return priced(store, vin, charge, pricing)
    except JournalUnusable:
        return charge


def reprice(store: Store, vin: str, pricing: Pricing) -> int:
    """Reckon the cost of all charges anew, but for what the owner or Tesla said; return how many have one. Blocks."""
    reckoned = 0
    for charge in store.charges(vin):
        if charge.cost_source in _SAID:
            continue
        if charge.cost is not None:
            store.set_cost(vin, charge.start, None, "", CostSource.TARIFF)
        reckoned += priced(store, vin, replace(charge, cost=None, cost_source=None), pricing).cost is not None
    return reckoned


_SAID: Final = (CostSource.OWNER, CostSource.TESLA)
