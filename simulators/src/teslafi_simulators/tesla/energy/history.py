"""What a site remembers: energy of each five minutes, and how Tesla sums it up by period, dates and time zone.

Shapes: recorded answers of `calendar_history` (samples/ORIGIN.md: kind `energy`, period `day`, five minutes each) and
developer.tesla.com, "Energy endpoints". How Tesla cuts the other periods is not written there; the pieces here are
those that clients' charts show: days for a week and a month, months for a year, years for all time. Weeks end with the
day that is asked for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

type Period = Literal["day", "week", "month", "year", "lifetime"]

PERIODS: Final[frozenset[str]] = frozenset(get_args(Period.__value__))

CHANNELS: Final = (
    "solar_energy_exported",
    "generator_energy_exported",
    "grid_energy_imported",
    "grid_services_energy_imported",
    "grid_services_energy_exported",
    "grid_energy_exported_from_solar",
    "grid_energy_exported_from_generator",
    "grid_energy_exported_from_battery",
    "battery_energy_exported",
    "battery_energy_imported_from_grid",
    "battery_energy_imported_from_solar",
    "battery_energy_imported_from_generator",
    "consumer_energy_imported_from_grid",
    "consumer_energy_imported_from_solar",
    "consumer_energy_imported_from_battery",
    "consumer_energy_imported_from_generator",
)
TOTALS: Final = {
    "total_home_usage": (
        "consumer_energy_imported_from_grid",
        "consumer_energy_imported_from_solar",
        "consumer_energy_imported_from_battery",
    ),
    "total_battery_charge": ("battery_energy_imported_from_grid", "battery_energy_imported_from_solar"),
    "total_battery_discharge": ("battery_energy_exported",),
    "total_solar_generation": ("solar_energy_exported",),
    "total_grid_energy_exported": ("grid_energy_exported_from_solar", "grid_energy_exported_from_battery"),
}
"""Sums that Tesla sends along, and leaves out where they are zero (recorded at night)."""


@dataclass(frozen=True)
class Stretch:
    """Five minutes from `start` (epoch seconds): mean powers in W, and energies in Wh."""

    start: float
    powers: dict[str, float]
    energies: dict[str, float]

    @cached_property
    def told(self) -> dict[str, int]:
        """What Tesla tells of it alone; a day's are asked for again and again."""
        return _told([self])


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for: from, to, in which pieces, in which time zone."""

    begins: datetime
    ends: datetime
    period: Period
    zone: ZoneInfo


def window(period: Period, zone: ZoneInfo, now: float, begins: datetime | None, ends: datetime | None) -> Window:
    """Return the time that a request means; without dates it is the period that holds `now` (epoch seconds)."""
    end = (ends or datetime.fromtimestamp(now, zone)).astimezone(zone)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    first = {
        "day": midnight,
        "week": midnight - timedelta(days=6),
        "month": midnight.replace(day=1),
        "year": midnight.replace(month=1, day=1),
        "lifetime": midnight.replace(year=2000, month=1, day=1),
    }[period]
    begun = begins.astimezone(zone) if begins is not None else first
    if ends is None:
        end = datetime.fromtimestamp(now, zone)
    return Window(begun, end, period, zone)


def energy_series(stretches: Iterable[Stretch], asked: Window) -> list[dict[str, Any]]:
    """Return `time_series` of kind `energy`, in whole Wh."""
    # By text: of the hour that comes twice when summer time ends, Python takes the second for the first
    pieces: dict[str, list[Stretch]] = {}
    for stretch in _inside(stretches, asked):
        pieces.setdefault(_piece(stretch.start, asked.period, asked.zone), []).append(stretch)
    return [
        {"timestamp": start, **(of_it[0].told if len(of_it) == 1 else _told(of_it))} for start, of_it in pieces.items()
    ]


def power_series(stretches: Iterable[Stretch], asked: Window) -> list[dict[str, Any]]:
    """Return `time_series` of kind `power`, in W."""
    return [
        {
            "timestamp": datetime.fromtimestamp(stretch.start, asked.zone).isoformat(),
            "solar_power": round(stretch.powers["solar"]),
            "battery_power": round(stretch.powers["battery"]),
            "grid_power": round(stretch.powers["grid"]),
            "grid_services_power": 0,
            "generator_power": 0,
        }
        for stretch in _inside(stretches, asked)
    ]


def _inside(stretches: Iterable[Stretch], asked: Window) -> Iterator[Stretch]:
    begins, ends = asked.begins.timestamp(), asked.ends.timestamp()
    return (stretch for stretch in stretches if begins <= stretch.start < ends)


@lru_cache(maxsize=4096)
def _piece(start: float, period: Period, zone: ZoneInfo) -> str:
    """Return where the piece begins that a stretch belongs to."""
    moment = datetime.fromtimestamp(start, zone)
    if period == "day":
        return moment.isoformat()
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "year":
        midnight = midnight.replace(day=1)
    elif period == "lifetime":
        midnight = midnight.replace(month=1, day=1)
    return midnight.isoformat()


def _told(stretches: Iterable[Stretch]) -> dict[str, int]:
    """Add up and round; of most pieces most channels are 0."""
    piece = dict.fromkeys(CHANNELS, 0.0)
    for stretch in stretches:
        for name, energy in stretch.energies.items():
            piece[name] += energy
    told = {name: round(value) if value else 0 for name, value in piece.items()}
    for name, parts in TOTALS.items():
        if total := round(sum([piece[part] for part in parts])):
            told[name] = total
    return told
