"""A year of a car's life before now, for the demo's journal: work and back, charges at home, trips to Superchargers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
import math
from pathlib import Path
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from custom_components.teslafi.journal.sample import KM_PER_MILE, Sample, Wake
from custom_components.teslafi.journal.store import Store

ZONE: Final = ZoneInfo("America/Los_Angeles")
HOME: Final = (37.4, -122.1, "Demo home")
OFFICE: Final = (37.55, -122.0, "Office")
AWAY: Final = (37.9, -121.3, "")
CAPACITY_KWH: Final = 75.0
KM_AT_100: Final = 500.0
KWH_PER_KM: Final = 0.155
SOFTWARE: Final = ("2025.44.1", "2026.2.8", "2026.14.3", "2026.26.5", "2026.38.7")

type Place = tuple[float, float, str]


class Year:
    """One car, lived from `days` ago until a day ago."""

    def __init__(self, odometer_km: float, days: int, seed: int = 1) -> None:
        """End with this odometer."""
        self._random = Random(seed)  # noqa: S311 - a simulated life
        self._days = days
        self._odometer = self._ends_with = odometer_km
        self._kwh = 0.8 * CAPACITY_KWH
        self._added = 0.0
        self._place = HOME

    def samples(self, now: datetime) -> list[Sample]:
        """Return what would have been seen; the year ends with the odometer of the simulated car."""
        seen = [sample for day in range(self._days, 0, -1) for sample in self._day(now - timedelta(days=day), day)]
        driven = self._odometer - self._ends_with
        return [_earlier(sample, driven) for sample in seen]

    def _day(self, day: datetime, ago: int) -> Iterator[Sample]:
        software = SOFTWARE[min((self._days - ago) * len(SOFTWARE) // self._days, len(SOFTWARE) - 1)]
        outside = 15 + 9 * math.sin((day.timetuple().tm_yday - 100) / 58)
        morning = day.astimezone(ZONE).replace(hour=7, minute=self._random.randrange(20, 55), second=0, microsecond=0)
        if morning.weekday() < 5:
            yield from self._drive(morning, OFFICE, 26 + self._random.random(), outside, software)
            evening = morning.replace(hour=17, minute=self._random.randrange(5, 50))
            yield from self._drive(evening, HOME, 26 + self._random.random(), outside, software)
        elif morning.weekday() == 5 and self._random.random() < 0.5:
            yield from self._drive(morning.replace(hour=10), AWAY, 118.0, outside, software)
            yield from self._charge(morning.replace(hour=12), AWAY, 0.8, 110.0, outside, software, dc=True)
            yield from self._drive(morning.replace(hour=16), HOME, 118.0, outside, software)
        if self._kwh < 0.6 * CAPACITY_KWH:
            yield from self._charge(morning.replace(hour=20), HOME, 0.8, 7.2, outside, software, dc=False)

    def _drive(self, start: datetime, to: Place, km: float, outside: float, software: str) -> Iterator[Sample]:
        begin, speed = self._place, 50.0 if km < 60 else 95.0
        minutes = round(km / speed * 60)
        yield self._sample(start - timedelta(minutes=1), begin, outside, software)
        rate = KWH_PER_KM * (1 + max(15 - outside, 0) * 0.02 + self._random.uniform(-0.08, 0.12))
        for minute in range(minutes + 1):
            share = minute / minutes
            where = (begin[0] + (to[0] - begin[0]) * share, begin[1] + (to[1] - begin[1]) * share, "")
            yield self._sample(start + timedelta(minutes=minute), where, outside, software, speed=speed)
            if minute < minutes:
                self._odometer += km / minutes
                self._kwh -= km / minutes * rate
        self._place = to
        yield self._sample(start + timedelta(minutes=minutes + 1), to, outside, software)
        yield Sample(at=int((start + timedelta(minutes=minutes + 25)).timestamp()), state=Wake.ASLEEP)

    def _charge(
        self, start: datetime, at: Place, until: float, power: float, outside: float, software: str, *, dc: bool
    ) -> Iterator[Sample]:
        yield self._sample(start - timedelta(minutes=1), at, outside, software)
        self._added, minute = 0.0, 0
        step = 2 if dc else 10
        while self._kwh < until * CAPACITY_KWH:
            taper = max(1.15 - self._kwh / CAPACITY_KWH, 0.3) if dc else 1.0
            yield self._sample(start + timedelta(minutes=minute), at, outside, software, charging=power * taper, dc=dc)
            energy = power * taper * step / 60
            self._kwh, self._added, minute = self._kwh + energy, self._added + energy, minute + step
        yield self._sample(start + timedelta(minutes=minute), at, outside, software, complete=True, dc=dc)
        self._added = 0.0
        yield self._sample(start + timedelta(minutes=minute + 20), at, outside, software)

    def _sample(
        self,
        at: datetime,
        where: Place,
        outside: float,
        software: str,
        *,
        speed: float | None = None,
        charging: float | None = None,
        complete: bool = False,
        dc: bool = False,
    ) -> Sample:
        soc = self._kwh / CAPACITY_KWH * 100
        plugged = charging is not None or complete
        return Sample(
            at=int(at.timestamp()),
            state=Wake.ONLINE,
            odometer_km=self._odometer,
            soc=round(soc),
            usable_soc=round(soc),
            range_km=soc / 100 * KM_AT_100,
            driving=speed is not None,
            speed_kmh=speed,
            latitude=where[0],
            longitude=where[1],
            zone=where[2] or None,
            charging_state="Charging" if charging is not None else "Complete" if complete else "Disconnected",
            charger_power_kw=charging,
            charger_volts=(400.0 if dc else 240.0) if plugged else None,
            charger_amps=charging * 1000 / 240 if charging is not None and not dc else None,
            charger_phases=1 if plugged and not dc else None,
            energy_added_kwh=round(self._added, 2),
            charge_limit=80,
            fast_charger=dc and plugged,
            fast_charger_brand="Tesla" if dc and plugged else None,
            inside_c=20.0,
            outside_c=round(outside, 1),
            software=software,
            wheels="Pinwheel18CapKit",
        )


def _earlier(sample: Sample, km: float) -> Sample:
    return sample if sample.odometer_km is None else replace(sample, odometer_km=sample.odometer_km - km)


def write_year(path: Path, vin: str, miles: float, now: datetime, days: int) -> None:
    """Write a year, or its last days, into a new journal at `path`, whole or not at all; the odometer is in miles then.

    Blocks.
    """
    unfinished = path.with_name("unfinished.db")
    for left in path.parent.glob(f"{unfinished.name}*"):
        left.unlink()
    store = Store(unfinished)
    store.open()
    try:
        store.bring_in(vin, Year(miles * KM_PER_MILE, days).samples(now))
    finally:
        store.close()
    unfinished.rename(path)
