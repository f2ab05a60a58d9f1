"""A home with solar panels, a Powerwall and a wall connector, by the clock. Powers in W, energies in Wh.

Shapes: recorded answers (samples/ORIGIN.md) and the keys that tesla-fleet-api's clients read.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import math
from typing import Any

STRETCH = 300.0


@dataclass(slots=True, kw_only=True)
class Site:
    """One site of an account; its day runs in UTC."""

    number: int
    owner: str
    region: str
    name: str = "Home"
    pack: float = 13_500.0
    energy: float = 6_000.0
    wall_connectors: tuple[str, ...] = ("1529455-02-D--TG123456789012",)
    reserve: int = 20
    off_grid_reserve: int = 65
    mode: str = "self_consumption"
    storm_mode: bool = True
    no_grid_charging: bool = True
    export_rule: str = "pv_only"
    tariff: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    now: float = 0.0

    def powers(self, now: float) -> dict[str, float]:
        """Return solar, load, battery and grid power at a moment: they add up."""
        hour = (now % 86_400) / 3600
        solar = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * 5200
        load = 450 + 350 * (1 + math.sin(hour / 24 * 4 * math.pi))
        surplus = solar - load
        battery = -min(surplus, 5000.0) if surplus > 0 else min(-surplus, 5000.0)
        full, empty = self.energy >= self.pack, self.energy <= self.pack * self.reserve / 100
        if (battery < 0 and full) or (battery > 0 and empty):
            battery = 0.0
        return {"solar": solar, "load": load, "battery": battery, "grid": load - solar - battery}

    def advance(self, now: float) -> None:
        """Live up to `now`; totals begin anew at midnight."""
        if self.now == 0.0:
            self.now = now - now % 86_400
        while self.now < now:
            seconds = min(STRETCH, now - self.now)
            if int(self.now // 86_400) != int((self.now + seconds) // 86_400):
                self.totals = {}
            self._step(seconds)
            self.now += seconds

    def _step(self, seconds: float) -> None:
        powers = self.powers(self.now)
        hours = seconds / 3600
        self.energy = min(max(self.energy - powers["battery"] * hours, 0.0), self.pack)
        solar_home = min(powers["solar"], powers["load"])
        charged = max(-powers["battery"], 0.0)
        discharged = max(powers["battery"], 0.0)
        flows = {
            "solar_energy_exported": powers["solar"],
            "grid_energy_imported": max(powers["grid"], 0.0),
            "grid_energy_exported_from_solar": max(-powers["grid"], 0.0),
            "battery_energy_exported": discharged,
            "battery_energy_imported_from_solar": charged,
            "consumer_energy_imported_from_grid": max(powers["grid"], 0.0),
            "consumer_energy_imported_from_solar": solar_home,
            "consumer_energy_imported_from_battery": discharged,
        }
        for name, power in flows.items():
            self.totals[name] = self.totals.get(name, 0.0) + power * hours

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
            "battery_type": "ac_powerwall",
            "configurable": True,
            "grid_services_enabled": False,
            "disallow_charge_from_grid_with_solar_installed": self.no_grid_charging,
            "customer_preferred_export_rule": self.export_rule,
            "wall_connectors": [
                {"device_id": f"device-{din}", "din": din, "part_name": "Gen 3 Wall Connector", "is_active": True}
                for din in self.wall_connectors
            ],
        }

    def live_status(self) -> dict[str, Any]:
        """Return the answer of `live_status`."""
        powers = self.powers(self.now)
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
            "timestamp": datetime.fromtimestamp(self.now, UTC).isoformat(),
            "wall_connectors": [
                {
                    "din": din,
                    "wall_connector_state": 2,
                    "wall_connector_fault_state": 2,
                    "wall_connector_power": 0,
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
            "installation_date": "2022-07-15T02:54:30+00:00",
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
            "installation_time_zone": "UTC",
            "off_grid_vehicle_charging_reserve_percent": self.off_grid_reserve,
            "max_site_meter_power_ac": 1_000_000_000,
            "min_site_meter_power_ac": -1_000_000_000,
            "vpp_backup_reserve_percent": 0,
        }

    def calendar_history(self, kind: str) -> dict[str, Any]:
        """Return the day so far as one stretch (kind `energy`), the power now (kind `power`), or the grid's failures.

        Failures (kind `backup`) are none here; their form is that of developer.tesla.com, "Energy endpoints".
        """
        if kind == "backup":
            return {"events": [], "total_events": 0}
        day = datetime.fromtimestamp(self.now - self.now % 86_400, UTC)
        if kind == "power":
            powers = self.powers(self.now)
            stretch: dict[str, Any] = {f"{name}_power": round(value) for name, value in powers.items()}
        else:
            stretch = {name: round(value) for name, value in self.totals.items() if value}
        stamp = (day + timedelta(0)).isoformat()
        return {"period": "day", "time_series": [{"timestamp": stamp, **stretch}]}
