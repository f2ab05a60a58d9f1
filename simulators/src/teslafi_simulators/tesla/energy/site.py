"""A home with solar panels, a Powerwall and a wall connector, by the clock. Powers in W, energies in Wh.

Shapes: recorded answers (samples/ORIGIN.md) and the keys that tesla-fleet-api's clients read.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import math
from typing import Any, Final
from zoneinfo import ZoneInfo

from .history import Stretch, Window, energy_series, power_series

STRETCH: Final = 300.0
DAY: Final = 86_400.0
KEPT: Final = 62 * 288
"""Stretches of five minutes that are remembered: two months."""
REACHES_BACK: Final = 40 * DAY
"""Seconds before its first moment for which a site makes up a history when somebody asks for one."""

CHARGES_AT: Final = 22.0
"""Hour (local) at which a car begins to charge at the wall connector, each day."""
CHARGING_POWER: Final = 7_000.0
CHARGING_SECONDS: Final = 5_400.0
WALL_CONNECTOR_CHARGES: Final = 1
WALL_CONNECTOR_FREE: Final = 2
"""Wall connector states, of which recorded answers have the second (`teslatte_…_unplugged`)."""

INSTALLED: Final = "2022-07-15T02:54:30+00:00"

TARIFF: Final[dict[str, Any]] = {
    "version": 1,
    "utility": "Example Power",
    "code": "EP-TOU-1",
    "name": "Time of use",
    "currency": "USD",
    "daily_charges": [{"name": "Charge"}],
    "demand_charges": {"ALL": {"rates": {"ALL": 0}}, "Summer": {}, "Winter": {}},
    "energy_charges": {
        "ALL": {"rates": {"ALL": 0}},
        "Summer": {"rates": {"ON_PEAK": 0.58, "OFF_PEAK": 0.21}},
        "Winter": {"rates": {"ON_PEAK": 0.44, "OFF_PEAK": 0.19}},
    },
    "seasons": {
        "Summer": {
            "fromMonth": 6,
            "fromDay": 1,
            "toMonth": 9,
            "toDay": 30,
            "tou_periods": {
                "ON_PEAK": {"periods": [{"toDayOfWeek": 4, "fromHour": 16, "toHour": 21}]},
                "OFF_PEAK": {
                    "periods": [
                        {"toDayOfWeek": 6, "fromHour": 21, "toHour": 16},
                        {"fromDayOfWeek": 5, "toDayOfWeek": 6, "fromHour": 16, "toHour": 21},
                    ]
                },
            },
        },
        "Winter": {
            "fromMonth": 10,
            "fromDay": 1,
            "toMonth": 5,
            "toDay": 31,
            "tou_periods": {
                "ON_PEAK": {"periods": [{"toDayOfWeek": 6, "fromHour": 16, "toHour": 21}]},
                "OFF_PEAK": {"periods": [{"toDayOfWeek": 6, "fromHour": 21, "toHour": 16}]},
            },
        },
    },
    "sell_tariff": {
        "name": "Net metering",
        "utility": "Example Power",
        "currency": "USD",
        "daily_charges": [{"name": "Charge"}],
        "demand_charges": {"ALL": {"rates": {"ALL": 0}}, "Year": {}},
        "energy_charges": {"ALL": {"rates": {"ALL": 0}}, "Year": {"rates": {"ALL": 0.08}}},
        "seasons": {
            "Year": {
                "fromMonth": 1,
                "fromDay": 1,
                "toMonth": 12,
                "toDay": 31,
                "tou_periods": {"ALL": {"periods": [{"toDayOfWeek": 6}]}},
            }
        },
    },
}
"""A tariff in the form of `tariff_content_v2`. Tesla leaves out zeros; days of the week count from Monday, 0."""


@dataclass(slots=True, kw_only=True)
class Site:
    """One site of an account; its days begin at midnight of `time_zone`.

    `outages`: failures of the grid as start (epoch seconds) and duration (seconds).
    """

    number: int
    owner: str
    region: str
    name: str = "Home"
    time_zone: str = "UTC"
    pack: float = 13_500.0
    energy: float = 6_000.0
    wall_connectors: tuple[str, ...] = ("1529455-02-D--TG123456789012",)
    reserve: int = 20
    off_grid_reserve: int = 65
    mode: str = "self_consumption"
    storm_mode: bool = True
    no_grid_charging: bool = True
    export_rule: str = "pv_only"
    tariff: dict[str, Any] = field(default_factory=lambda: dict(TARIFF))
    outages: list[tuple[float, float]] = field(default_factory=list)
    begun: float = 0.0
    now: float = 0.0
    log: deque[Stretch] = field(default_factory=lambda: deque(maxlen=KEPT))
    before: list[Stretch] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """Where it stands."""
        return ZoneInfo(self.time_zone)

    def powers(self, now: float) -> dict[str, float]:
        """Return solar, load, battery and grid power at a moment: they add up. The load has the wall connector's."""
        local = datetime.fromtimestamp(now, self.zone)
        hour = local.hour + local.minute / 60 + local.second / 3600
        solar = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * 5200
        load = 450 + 350 * (1 + math.sin(hour / 24 * 4 * math.pi)) + self.wall_connector_power(now)
        surplus = solar - load
        battery = -min(surplus, 5000.0) if surplus > 0 else min(-surplus, 5000.0)
        full, empty = self.energy >= self.pack, self.energy <= self.pack * self.reserve / 100
        if (battery < 0 and full) or (battery > 0 and empty):
            battery = 0.0
        return {"solar": solar, "load": load, "battery": battery, "grid": load - solar - battery}

    def wall_connector_power(self, now: float) -> float:
        """Return what the wall connectors give at a moment."""
        begins = self._charge_of(datetime.fromtimestamp(now, self.zone))
        return CHARGING_POWER if self.wall_connectors and begins <= now < begins + CHARGING_SECONDS else 0.0

    def _charge_of(self, day: datetime) -> float:
        """Return when the charge of a day begins (epoch seconds)."""
        return day.replace(hour=int(CHARGES_AT), minute=0, second=0, microsecond=0).timestamp()

    def advance(self, now: float) -> None:
        """Live up to `now`; a site begins with the day on which it is first looked at."""
        if self.now == 0.0:
            self.begun = self.now = self._midnight(now)
        while self.now < now:
            self._step(min(STRETCH - self.now % STRETCH, now - self.now))

    def _midnight(self, now: float) -> float:
        local = datetime.fromtimestamp(now, self.zone)
        return local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()

    def _step(self, seconds: float) -> None:
        powers = self.powers(self.now)
        hours = seconds / 3600
        self.energy = min(max(self.energy - powers["battery"] * hours, 0.0), self.pack)
        charged, discharged = max(-powers["battery"], 0.0), max(powers["battery"], 0.0)
        flows = {
            "solar_energy_exported": powers["solar"],
            "grid_energy_imported": max(powers["grid"], 0.0),
            "grid_energy_exported_from_solar": max(-powers["grid"], 0.0),
            "battery_energy_exported": discharged,
            "battery_energy_imported_from_solar": charged,
            "consumer_energy_imported_from_grid": max(powers["grid"], 0.0),
            "consumer_energy_imported_from_solar": min(powers["solar"], powers["load"]),
            "consumer_energy_imported_from_battery": discharged,
        }
        self._remember(powers, {name: power * hours for name, power in flows.items()})
        self.now += seconds

    def _remember(self, powers: dict[str, float], energies: dict[str, float]) -> None:
        """Add to the five minutes under way, or begin the next."""
        start = self.now - self.now % STRETCH
        if self.log and self.log[-1].start == start:
            last = self.log[-1]
            summed = {name: last.energies[name] + energy for name, energy in energies.items()}
            self.log[-1] = Stretch(start, last.powers, summed)
        else:
            self.log.append(Stretch(start, powers, energies))

    def stretches(self, begins: float) -> Iterator[Stretch]:
        """Return the five minutes from `begins` on; what lies before the site's first moment is made up once."""
        first = max(begins, self.begun - REACHES_BACK)
        if first < self.begun and not self.before:
            earlier = Site(number=self.number, owner=self.owner, region=self.region, time_zone=self.time_zone)
            earlier.wall_connectors = self.wall_connectors
            earlier.advance(self._midnight(self.begun - REACHES_BACK))
            earlier.advance(self.begun)
            self.before.extend(earlier.log)
        if first < self.begun:
            yield from self.before
        yield from self.log

    def product(self) -> dict[str, Any]:
        """Return the entry of `products`."""
        return {
            "energy_site_id": self.number,
            "device_type": "energy",
            "resource_type": "battery",
            "site_name": self.name,
            "id": f"STE{self.number}",
            "gateway_id": "1152100-14-J--TG0000000001",
            "asset_site_id": "00000000-0000-0000-0000-000000000001",
            "warp_site_number": f"STE{self.number}",
            "energy_left": self.energy,
            "total_pack_energy": self.pack,
            "percentage_charged": self.energy / self.pack * 100,
            "battery_type": "ac_powerwall",
            "backup_capable": True,
            "battery_power": round(self.powers(self.now)["battery"]),
            "storm_mode_enabled": self.storm_mode,
            "components": self._components(),
        }

    def _components(self) -> dict[str, Any]:
        return {
            "solar": True,
            "solar_type": "pv_panel",
            "battery": True,
            "grid": True,
            "backup": True,
            "gateway": "teg",
            "load_meter": True,
            "tou_capable": True,
            "storm_mode_capable": True,
            "off_grid_vehicle_charging_reserve_supported": True,
            "car_charging_data_supported": bool(self.wall_connectors),
            "battery_type": "ac_powerwall",
            "configurable": True,
            "grid_services_enabled": False,
            "gateways": [
                {
                    "device_id": "gateway-1",
                    "din": "1152100-14-J--TG0000000001",
                    "serial_number": "TG0000000001",
                    "part_number": "1152100-14-J",
                    "part_type": 10,
                    "part_name": "Tesla Backup Gateway 2",
                    "is_active": True,
                    "site_id": "00000000-0000-0000-0000-000000000001",
                    "firmware_version": "24.4.0 0fe780c9",
                    "updated_datetime": "2024-05-14T00:00:00.000Z",
                }
            ],
            "batteries": [
                {
                    "device_id": "battery-1",
                    "din": "3012170-10-B--TG0000000002",
                    "serial_number": "TG0000000002",
                    "part_number": "3012170-10-B",
                    "part_type": 2,
                    "part_name": "Powerwall 2",
                    "nameplate_max_charge_power": 5000,
                    "nameplate_max_discharge_power": 5000,
                    "nameplate_energy": round(self.pack),
                }
            ],
            "wall_connectors": [
                {"device_id": f"device-{din}", "din": din, "part_name": "Gen 3 Wall Connector", "is_active": True}
                for din in self.wall_connectors
            ],
            "disallow_charge_from_grid_with_solar_installed": self.no_grid_charging,
            "customer_preferred_export_rule": self.export_rule,
        }

    def live_status(self) -> dict[str, Any]:
        """Return the answer of `live_status`."""
        powers = self.powers(self.now)
        power = self.wall_connector_power(self.now)
        return {
            "solar_power": round(powers["solar"]),
            "energy_left": round(self.energy, 1),
            "total_pack_energy": round(self.pack),
            "percentage_charged": self.energy / self.pack * 100,
            "backup_capable": True,
            "battery_power": round(powers["battery"]),
            "load_power": round(powers["load"]),
            "grid_status": "Active",
            "grid_services_active": False,
            "grid_power": round(powers["grid"]),
            "grid_services_power": 0,
            "generator_power": 0,
            "island_status": "on_grid",
            "storm_mode_active": False,
            "timestamp": datetime.fromtimestamp(self.now, self.zone).isoformat(),
            "wall_connectors": [
                {
                    "din": din,
                    "wall_connector_state": WALL_CONNECTOR_CHARGES if power else WALL_CONNECTOR_FREE,
                    "wall_connector_fault_state": 2,
                    "wall_connector_power": round(power),
                }
                for din in self.wall_connectors
            ],
        }

    def site_info(self) -> dict[str, Any]:
        """Return the answer of `site_info`."""
        return {
            "id": f"STE{self.number}",
            "site_name": self.name,
            "backup_reserve_percent": self.reserve,
            "default_real_mode": self.mode,
            "installation_date": INSTALLED,
            "user_settings": {
                "storm_mode_enabled": self.storm_mode,
                "sync_grid_alert_enabled": True,
                "breaker_alert_enabled": True,
            },
            "components": self._components(),
            "version": "23.44.0 eb113390",
            "battery_count": 1,
            "nameplate_power": 5000,
            "nameplate_energy": round(self.pack),
            "installation_time_zone": self.time_zone,
            "tou_settings": {
                "optimization_strategy": "economics",
                "schedule": [
                    {"target": "peak", "week_days": [1, 2, 3, 4, 5], "start_seconds": 57_600, "end_seconds": 75_600},
                    {
                        "target": "off_peak",
                        "week_days": [1, 2, 3, 4, 5],
                        "start_seconds": 75_600,
                        "end_seconds": 57_600,
                    },
                ],
            },
            # Where clients of the Fleet API find it; tesla-fleet-api's own resolver looks within tou_settings
            "tariff_content_v2": self.tariff,
            "off_grid_vehicle_charging_reserve_percent": self.off_grid_reserve,
            "max_site_meter_power_ac": 1_000_000_000,
            "min_site_meter_power_ac": -1_000_000_000,
            "vpp_backup_reserve_percent": 0,
        }

    def energy_history(self, asked: Window) -> dict[str, Any]:
        """Return the answer of `calendar_history` for kind `energy`."""
        return self._history(asked, energy_series(self.stretches(asked.begins.timestamp()), asked))

    def power_history(self, asked: Window) -> dict[str, Any]:
        """Return the answer of `calendar_history` for kind `power`."""
        return self._history(asked, power_series(self.stretches(asked.begins.timestamp()), asked))

    def _history(self, asked: Window, series: list[dict[str, Any]]) -> dict[str, Any]:
        return {"period": asked.period, "installation_time_zone": self.time_zone, "time_series": series}

    def backup_history(self, asked: Window) -> dict[str, Any]:
        """Return the answer of `calendar_history` for kind `backup`: when the grid failed, and how long."""
        begins, ends = asked.begins.timestamp(), asked.ends.timestamp()
        events = [
            {"timestamp": datetime.fromtimestamp(start, asked.zone).isoformat(), "duration": round(seconds)}
            for start, seconds in self.outages
            if begins <= start < ends
        ]
        return {"events": events, "total_events": len(events)}

    def charge_history(self, asked: Window) -> dict[str, Any]:
        """Return the answer of `telemetry_history`: the wall connectors' charges that are over."""
        found = []
        day = max(asked.begins.astimezone(self.zone), datetime.fromisoformat(INSTALLED).astimezone(self.zone))
        while self.wall_connectors and day <= asked.ends + timedelta(days=1) and day.timestamp() <= self.now:
            start = self._charge_of(day)
            within = asked.begins.timestamp() <= start < asked.ends.timestamp()
            if within and start + CHARGING_SECONDS <= self.now:
                found.append(
                    {
                        "charge_start_time": {"seconds": int(start)},
                        "charge_duration": {"seconds": int(CHARGING_SECONDS)},
                        "energy_added_wh": round(CHARGING_POWER * CHARGING_SECONDS / 3600),
                    }
                )
            day += timedelta(days=1)
        return {"charge_history": found}
