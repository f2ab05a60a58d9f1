"""A session in one line of words, in this Home Assistant's language and units."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homeassistant.const import UnitOfEnergyDistance, UnitOfLength
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.unit_conversion import DistanceConverter, EnergyDistanceConverter
from homeassistant.util.unit_system import METRIC_SYSTEM

from ..const import DOMAIN
from ..journal.addresses import place_name
from ..journal.sessions import Charge, Drive
from ..written import texts_of, written

MINUTES_MOST: Final = 90
"""From here on, a duration is told in hours and minutes."""


@dataclass(frozen=True, slots=True)
class Words:
    """Texts by key, and whether distances are metric."""

    texts: Mapping[str, str]
    metric: bool

    def of(self, key: str, **values: object) -> str:
        """Return a text with its values."""
        return self.texts.get(f"component.{DOMAIN}.selector.journal.options.{key}", key).format_map(values)

    def number(self, value: float, digits: int) -> str:
        """Return a number with so many digits after the decimal mark."""
        return written(self.texts, value, digits)

    def distance(self, km: float) -> str:
        """Return a distance."""
        if self.metric:
            return f"{self.number(km, 1)} km"
        return f"{self.number(DistanceConverter.convert(km, UnitOfLength.KILOMETERS, UnitOfLength.MILES), 1)} mi"

    def consumption(self, wh_per_km: float) -> str:
        """Return a consumption, as the unit system has it."""
        if self.metric:
            return f"{wh_per_km:.0f} Wh/km"
        source, target = UnitOfEnergyDistance.WATT_HOUR_PER_KM, UnitOfEnergyDistance.MILES_PER_KILO_WATT_HOUR
        return f"{self.number(EnergyDistanceConverter.convert(wh_per_km, source, target), 1)} mi/kWh"

    def duration(self, seconds: float) -> str:
        """Return a duration in minutes, or hours and minutes."""
        minutes = max(round(seconds / 60), 1)
        if minutes < MINUTES_MOST:
            return self.of("minutes", minutes=minutes)
        return self.of("hours", hours=minutes // 60, minutes=minutes % 60)


@callback
def words_of(hass: HomeAssistant) -> Words:
    """Return the words of this Home Assistant."""
    return Words(texts_of(hass), hass.config.units is METRIC_SYSTEM)


def drive_line(words: Words, drive: Drive) -> str:
    """Say where and how far, in what time, with how much: "Drove 12.4 km from Home to Office in 21 min, 148 Wh/km"."""
    distance = words.distance(drive.distance_km)
    start = place_name(drive.start_place, drive.start_position)
    end = place_name(drive.end_place, drive.end_position)
    if start and end:
        line = words.of("drove_from_to", distance=distance, start=start, end=end)
    elif end:
        line = words.of("drove_to", distance=distance, end=end)
    elif start:
        line = words.of("drove_from", distance=distance, start=start)
    else:
        line = words.of("drove", distance=distance)
    if drive.duration_s is not None:
        line = words.of("in_time", line=line, time=words.duration(drive.duration_s))
    return line if drive.wh_per_km is None else f"{line}, {words.consumption(drive.wh_per_km)}"


def charge_line(words: Words, charge: Charge) -> str:
    """Say how much and where, in what time, for how much: "Charged 31.2 kWh at Home in 4 h 10 min, 6.24 EUR"."""
    energy = f"{words.number(charge.added_kwh, 1)} kWh"
    place = place_name(charge.place, charge.position)
    line = words.of("charged_at" if place else "charged", energy=energy, place=place)
    if charge.duration_s is not None:
        line = words.of("in_time", line=line, time=words.duration(charge.duration_s))
    return line if charge.cost is None else f"{line}, {words.number(charge.cost, 2)} {charge.currency or ''}".rstrip()
