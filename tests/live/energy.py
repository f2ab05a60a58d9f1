"""The Energy dashboard of the simulated Anna: what she chose for her cars and house, and what a month came to."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
import math
from typing import Any, Final

SITE: Final = "sensor.anna_s_home"
CARS: Final = ("roadrunner", "snowball")

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
    "device_consumption": [{"stat_consumption": f"sensor.{car}_home_charging_energy"} for car in CARS],
}

DAYS: Final = 30
HOURS: Final = 24
SUNRISE: Final = 7
SUNSET: Final = 18
CHARGED_AT: Final = range(1, 5)
"""The hours of the night in which a car charges at home."""


def month_before(now: datetime) -> Iterator[dict[str, Any]]:
    """Yield commands that give the recorder statistics by the hour of a month before today, of the zone of `now`.

    What today came to is told by the entities themselves.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    hours = [(midnight - timedelta(hours=ago)).astimezone(now.tzinfo) for ago in range(DAYS * HOURS, 0, -1)]
    totals: dict[str, float] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    for hour in hours:
        for entity, added in _hour(hour).items():
            totals[entity] = totals.get(entity, 0.0) + added
            row = {"start": hour.isoformat(), "state": totals[entity], "sum": totals[entity], "last_reset": None}
            rows.setdefault(entity, []).append(row)
    for entity, of_entity in rows.items():
        yield {"type": "recorder/import_statistics", "metadata": metadata(entity), "stats": of_entity}


def _hour(hour: datetime) -> Mapping[str, float]:
    """Return what an hour brings, Wh of the house and kWh of the cars: sun by day, a car now and then by night."""
    weather = 0.55 + 0.4 * math.sin(hour.toordinal() * 1.7)
    height = math.sin(math.pi * (hour.hour - SUNRISE) / (SUNSET - SUNRISE)) if SUNRISE < hour.hour < SUNSET else 0.0
    solar = 4800 * weather * height
    charges = hour.hour in CHARGED_AT and hour.toordinal() % 3 != 0
    home = 380 + 320 * (hour.hour in range(17, 23)) + (7200 if charges else 0)
    charged = min(max(solar - home, 0.0), 2200.0)
    discharged = min(max(home - solar, 0.0), 900.0) if hour.hour >= SUNSET else 0.0
    balance = solar - home - charged + discharged
    car = "roadrunner" if hour.toordinal() % 3 == 1 else "snowball"
    return {
        f"{SITE}_solar_generated_today": solar,
        f"{SITE}_battery_charged_today": charged,
        f"{SITE}_battery_discharged_today": discharged,
        f"{SITE}_grid_imported_today": max(-balance, 0.0),
        f"{SITE}_grid_exported_today": max(balance, 0.0),
        **{f"sensor.{name}_home_charging_energy": 7.2 if charges and name == car else 0.0 for name in CARS},
    }


def metadata(entity: str) -> Mapping[str, Any]:
    """Return what the recorder is told of the statistics of a site's or a car's energy."""
    return {
        "has_mean": False,
        "mean_type": 0,
        "has_sum": True,
        "name": None,
        "source": "recorder",
        "statistic_id": entity,
        "unit_class": "energy",
        "unit_of_measurement": "Wh" if entity.startswith(SITE) else "kWh",
    }
