"""What an owner chooses for the Energy dashboard, for the cars and the house of the simulated Anna."""

from typing import Any, Final

SITE: Final = "sensor.anna_s_home"

PREFERENCES: Final[dict[str, Any]] = {
    "energy_sources": [
        {
            "type": "grid",
            "stat_energy_from": f"{SITE}_grid_imported_today",
            "stat_energy_to": f"{SITE}_grid_exported_today",
            "stat_cost": None,
            "stat_compensation": None,
            "entity_energy_price": None,
            "number_energy_price": None,
            "entity_energy_price_export": None,
            "number_energy_price_export": None,
            "cost_adjustment_day": 0.0,
        },
        {
            "type": "solar",
            "stat_energy_from": f"{SITE}_solar_generated_today",
            "config_entry_solar_forecast": None,
        },
        {
            "type": "battery",
            "stat_energy_from": f"{SITE}_battery_discharged_today",
            "stat_energy_to": f"{SITE}_battery_charged_today",
        },
    ],
    "device_consumption": [
        {"stat_consumption": f"sensor.{car}_home_charging_energy"} for car in ("roadrunner", "snowball")
    ],
}
