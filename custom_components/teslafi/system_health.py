"""What the system information page tells of TeslaFi: counts and reachability, nothing personal."""

from collections.abc import Iterable
from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinators.budget import Budget
from .runtime import TeslaFiConfigEntry
from .tesla.requests import Currency
from .tesla.servers import SERVERS


@callback
def async_register(_hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register the callback."""
    register.async_register_info(_info)


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    entries: list[TeslaFiConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    accounts = [entry.runtime_data for entry in entries]
    return {
        "accounts": len(hass.config_entries.async_entries(DOMAIN)),
        "vehicles": sum(len(account.vehicles) for account in accounts),
        "energy_sites": sum(len(account.sites) for account in accounts),
        "reachable": all(account.account.reachable for account in accounts),
        "cost": _cost(account.budget for account in accounts),
        "reach_tesla": system_health.async_check_can_reach_url(hass, f"{SERVERS['na'].api}/status"),
    }


def _cost(budgets: Iterable[Budget]) -> str:
    """Return what the month costs, each currency on its own."""
    costs: dict[Currency, float] = {}
    for budget in budgets:
        costs[budget.currency] = costs.get(budget.currency, 0.0) + budget.cost
    return ", ".join(f"{cost:.2f} {currency}" for currency, cost in costs.items()) or "-"
