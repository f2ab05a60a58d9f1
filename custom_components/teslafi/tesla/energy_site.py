"""Energy sites: what flows now, how the site is set up, and the energy of today.

Units are Tesla's: powers in W (positive out of battery, grid, generator and sun, into the load), energies in Wh, shares
in percent. The rules of decoding are those of cars (`decode.py`).

Source of names: recorded answers of `live_status`, `site_info` and `calendar_history`, and the fields that
tesla-fleet-api's users read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Final

from .decode import MALFORMED, Block, Decoded, Json, instant, number, unwrapped
from .tariff import Tariff, decode_tariff, encode_tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class WallConnector:
    """A wall connector as `live_status` tells of it."""

    din: str | None = None
    vin: str | None = None  # of the car that is plugged in, where Tesla knows it
    wall_connector_state: int | None = None
    wall_connector_fault_state: int | None = None
    wall_connector_power: float | None = None  # W


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLive:
    """Answer of `live_status`."""

    solar_power: float | None = None  # W
    battery_power: float | None = None  # W, negative while charging
    load_power: float | None = None  # W
    grid_power: float | None = None  # W, negative while exporting
    grid_services_power: float | None = None  # W
    generator_power: float | None = None  # W
    energy_left: float | None = None  # Wh
    total_pack_energy: float | None = None  # Wh
    percentage_charged: float | None = None  # %
    backup_capable: bool | None = None
    grid_services_active: bool | None = None
    grid_status: str | None = None
    island_status: str | None = None
    storm_mode_active: bool | None = None
    timestamp: datetime | None = None
    wall_connectors: tuple[WallConnector, ...] = ()
    reported: frozenset[str] = frozenset()
    """Dotted paths (`live.solar_power`) whose key was in the answer."""

    def wall_connector(self, din: str) -> WallConnector | None:
        """Return the wall connector with this device number, if the site has it now."""
        return next((connector for connector in self.wall_connectors if connector.din == din), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """What the owner switched on."""

    storm_mode_enabled: bool | None = None
    sync_grid_alert_enabled: bool | None = None
    breaker_alert_enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WallConnectorPart:
    """A wall connector as `site_info` lists it among the site's parts."""

    din: str | None = None
    part_name: str | None = None
    serial_number: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPart:
    """A gateway as `site_info` lists it among the site's parts."""

    din: str | None = None
    part_name: str | None = None
    part_number: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryPart:
    """A battery as `site_info` lists it among the site's parts."""

    din: str | None = None
    part_name: str | None = None
    part_number: str | None = None
    serial_number: str | None = None
    is_active: bool | None = None
    nameplate_energy: float | None = None  # Wh
    nameplate_max_charge_power: float | None = None  # W
    nameplate_max_discharge_power: float | None = None  # W


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """What the site consists of and what it may do."""

    solar: bool | None = None
    solar_type: str | None = None
    battery: bool | None = None
    battery_type: str | None = None
    grid: bool | None = None
    backup: bool | None = None
    load_meter: bool | None = None
    gateway: str | None = None
    tou_capable: bool | None = None
    storm_mode_capable: bool | None = None
    grid_services_enabled: bool | None = None
    off_grid_vehicle_charging_reserve_supported: bool | None = None
    disallow_charge_from_grid_with_solar_installed: bool | None = None
    customer_preferred_export_rule: str | None = None
    net_meter_mode: str | None = None
    car_charging_data_supported: bool | None = None
    wall_connectors: tuple[WallConnectorPart, ...] = ()
    gateways: tuple[GatewayPart, ...] = ()
    batteries: tuple[BatteryPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInfo:
    """Answer of `site_info`, or the entry of the site in `/products`."""

    site_name: str | None = None
    version: str | None = None  # version, blank, build
    installation_date: datetime | None = None
    installation_time_zone: str | None = None
    backup_reserve_percent: float | None = None  # %
    off_grid_vehicle_charging_reserve_percent: float | None = None  # %
    vpp_backup_reserve_percent: float | None = None  # %
    default_real_mode: str | None = None
    battery_count: int | None = None
    nameplate_power: float | None = None  # W
    nameplate_energy: float | None = None  # Wh
    utility: str | None = None
    user_settings: UserSettings = UserSettings()
    components: Components = Components()
    tariff: Tariff = field(default_factory=Tariff)
    reported: frozenset[str] = frozenset()
    """Dotted paths (`info.components.solar`) whose key was in the answer."""


@dataclass(frozen=True, slots=True)
class WallCharge:
    """A charge at the site's wall connectors, which Tesla does not tell apart: since when, and its energy in Wh."""

    begun: int  # epoch seconds
    energy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyToday:
    """Energy of the running day in Wh per channel: the sum of `calendar_history` with kind `energy`, period `day`.

    Tesla leaves a channel out of the stretches of the day in which it was zero.
    """

    period_start: datetime | None = None
    solar_energy_exported: float | None = None
    generator_energy_exported: float | None = None
    grid_energy_imported: float | None = None
    grid_services_energy_imported: float | None = None
    grid_services_energy_exported: float | None = None
    grid_energy_exported_from_solar: float | None = None
    grid_energy_exported_from_generator: float | None = None
    grid_energy_exported_from_battery: float | None = None
    battery_energy_exported: float | None = None
    battery_energy_imported_from_grid: float | None = None
    battery_energy_imported_from_solar: float | None = None
    battery_energy_imported_from_generator: float | None = None
    consumer_energy_imported_from_grid: float | None = None
    consumer_energy_imported_from_solar: float | None = None
    consumer_energy_imported_from_battery: float | None = None
    consumer_energy_imported_from_generator: float | None = None
    total_home_usage: float | None = None
    total_battery_charge: float | None = None
    total_battery_discharge: float | None = None
    total_solar_generation: float | None = None
    total_grid_energy_exported: float | None = None
    reported: frozenset[str] = frozenset()
    """Dotted paths (`today.grid_energy_imported`) of the channels that the day has."""


CHANNELS: Final = tuple(known.name for known in fields(EnergyToday) if known.name not in ("period_start", "reported"))

_TOTALS: Final[Mapping[str, tuple[str, ...]]] = {
    "total_home_usage": tuple(name for name in CHANNELS if name.startswith("consumer_energy_imported_from_")),
    "total_battery_charge": tuple(name for name in CHANNELS if name.startswith("battery_energy_imported_from_")),
    "total_battery_discharge": ("battery_energy_exported",),
    "total_solar_generation": ("solar_energy_exported",),
    "total_grid_energy_exported": tuple(name for name in CHANNELS if name.startswith("grid_energy_exported_from_")),
}
"""Channels whose sum a total is, for sites that do not send the total."""

_LIVE: Final = Block(SiteLive, "live")
_INFO: Final = Block(SiteInfo, "info", ours=frozenset({"tariff", "reported"}))
_TARIFF: Final = "tariff_content_v2"
_TARIFF_SIDES: Final = ("info.tariff.buy", "info.tariff.sell")
_TODAY: Final = Block(EnergyToday, "today", ours=frozenset({"period_start", "reported"}))

PATHS: Final = frozenset((*_LIVE.paths(), *_INFO.paths(), *_TARIFF_SIDES, *_TODAY.paths(), "charges.energy"))
"""Path of every value of a site."""


def decode_live(answer: object) -> Decoded[SiteLive]:
    """Decode an answer of `live_status`."""
    live, reported, malformed = _read(_LIVE, unwrapped(answer))
    return Decoded(replace(live, reported=reported), malformed)


def decode_info(answer: object) -> Decoded[SiteInfo]:
    """Decode an answer of `site_info`. Some clients find the tariff within `tou_settings`."""
    raw = unwrapped(answer)
    info, reported, malformed = _read(_INFO, raw)
    places = (raw, raw.get("tou_settings")) if type(raw) is dict else ()
    told = next((place[_TARIFF] for place in places if type(place) is dict and place.get(_TARIFF) is not None), None)
    tariff = decode_tariff(told) or Tariff()
    sides = {path for path, side in zip(_TARIFF_SIDES, (tariff.buy, tariff.sell), strict=True) if side is not None}
    return Decoded(replace(info, tariff=tariff, reported=reported | sides), malformed)


def _read[T](block: Block[T], raw: object) -> tuple[T, frozenset[str], tuple[str, ...]]:
    """Read a whole answer; the path of one that is no object is that of its block."""
    reported: list[str] = []
    malformed: list[str] = []
    read = block.read_own(raw, reported, malformed)
    return read, frozenset(reported) - {block.path}, tuple(malformed)


def decode_today(answer: object) -> Decoded[EnergyToday]:
    """Decode an answer of `calendar_history` with kind `energy` and period `day`, summing up its stretches.

    A total that the site does not send is the sum of its channels. With no stretch there is no reading at all, and
    every channel is None: zero would be a claim.
    """
    raw = unwrapped(answer)
    stretches = raw.get("time_series") if type(raw) is dict else None
    if type(stretches) is not list:
        return Decoded(EnergyToday(), () if raw is None or raw == {} else ("today",))
    reported: list[str] = []
    malformed: list[str] = []
    read = [_TODAY.read_own(stretch, reported, malformed) for stretch in stretches]
    seen = set(reported)
    sums: dict[str, float] = {}
    for channel in CHANNELS:
        if f"today.{channel}" in seen:
            sums[channel] = sum(filter(None, map(attrgetter(channel), read)))
        elif (parts := [sums[part] for part in _TOTALS.get(channel, ()) if part in sums]) != []:
            sums[channel] = sum(parts)
    channels = {channel: total for channel, total in sums.items() if number(total) is not MALFORMED}
    malformed += [f"today.{channel}" for channel in sums.keys() - channels.keys()]
    start, all_dated = _day_of(stretches)
    malformed += [] if all_dated else ["today.period_start"]
    today = EnergyToday(period_start=start, reported=frozenset(f"today.{channel}" for channel in sums), **channels)
    return Decoded(today, tuple(dict.fromkeys(malformed)))


def _day_of(stretches: list[object]) -> tuple[datetime | None, bool]:
    """Return the midnight of the earliest stretch, by its own clock, and whether every stretch tells its moment.

    The order of stretches, gaps, and stretches that are filled in later do not move it.
    """
    moments = [instant(stretch.get("timestamp")) if type(stretch) is dict else None for stretch in stretches]
    dated = [moment for moment in moments if isinstance(moment, datetime)]
    start = min(dated).replace(hour=0, minute=0, second=0, microsecond=0) if dated else None
    return start, len(dated) == len(moments)


def encode_live(live: SiteLive) -> dict[str, Json]:
    """Write the answer of which `decode_live` makes the same."""
    return _LIVE.write(live, live.reported)


def encode_info(info: SiteInfo) -> dict[str, Json]:
    """Write the answer of which `decode_info` makes the same."""
    tariff = encode_tariff(info.tariff)
    return _INFO.write(info, info.reported) | ({_TARIFF: tariff} if tariff else {})


def encode_today(today: EnergyToday) -> dict[str, Json]:
    """Write an answer of one stretch, of which `decode_today` makes the same."""
    if today.period_start is None and not today.reported:
        return {}
    stretch = _TODAY.write(today, today.reported)
    if today.period_start is not None:
        stretch["timestamp"] = today.period_start.isoformat()
    return {"time_series": [stretch]}


def decode_wall_charges(answer: object) -> Decoded[tuple[WallCharge, ...]]:
    """Decode an answer of `telemetry_history` with kind `charge`; charges that begin in one second are one."""
    raw = unwrapped(answer)
    entries = raw.get("charge_history") if type(raw) is dict else raw
    if type(entries) is not list:
        return Decoded((), () if entries is None else ("charges",))
    energies: dict[int, float] = {}
    for entry in entries:
        begun = entry.get("charge_start_time") if type(entry) is dict else None
        seconds = begun.get("seconds") if type(begun) is dict else None
        energy = number(entry.get("energy_added_wh", 0)) if type(entry) is dict else MALFORMED
        if type(seconds) is int and seconds in _SECONDS and isinstance(energy, int | float) and energy >= 0:
            energies[seconds] = energies.get(seconds, 0.0) + float(energy)
    charges = tuple(WallCharge(begun, energy) for begun, energy in sorted(energies.items()))
    return Decoded(charges, () if len(charges) == len(entries) else ("charges",))


_SECONDS: Final = range(946_684_800, 32_503_680_000)
"""Epoch seconds from 2000 to 3000."""
