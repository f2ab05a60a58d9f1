"""What the system information page tells of TeslaFi: counts and reachability, nothing personal."""

from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .runtime import TeslaFiConfigEntry
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
        "cost_usd": round(sum(account.budget.cost_usd for account in accounts), 2),
        "reach_tesla": system_health.async_check_can_reach_url(hass, f"{SERVERS['na'].api}/status"),
    }
