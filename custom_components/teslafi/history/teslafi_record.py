"""TeslaFi.com's record of one moment of one car, as its monthly files and its feed have it, to a sample.

Names and traps: reference "TeslaFi (teslafi.com): public API, feed record, export". Both are flat; distances are miles
and temperatures °C whatever the account shows. The files kept the names of columns that were later used for something
else: `CSV_NAMES` says which.
"""

from collections.abc import Callable, Mapping
import math
from typing import Any, Final

from ..journal.sample import KM_PER_MILE, Wake

NOTHING: Final = frozenset({"", "none", "null", "<invalid>", "nan"})
"""How "not said" is written, in lower case and without blanks around it."""
CSV_NAMES: Final[Mapping[str, str]] = {"fast_charger_brand": "backseat_token"}
"""Name in the feed -> name of the column in the files."""
WAKES: Final[Mapping[str, Wake]] = {
    "online": Wake.ONLINE,
    "waking": Wake.ONLINE,
    "shutdown": Wake.ONLINE,
    "asleep": Wake.ASLEEP,
    "offline": Wake.OFFLINE,
}
_TRUE: Final = frozenset({"1", "true"})
_FALSE: Final = frozenset({"0", "false"})
_GEARS: Final = frozenset({"d", "r", "n"})
_HIGHEST: Final = 1e7


def text_of(value: str) -> str | None:
    """Return a text, None when it says nothing."""
    stripped = value.strip()
    return None if stripped.lower() in NOTHING else stripped


def number_of(value: str) -> float | None:
    """Return a number, None when nothing is said; raise ValueError when it is none."""
    if (text := text_of(value)) is None:
        return None
    number = float(text)
    if not math.isfinite(number) or abs(number) > _HIGHEST:
        raise ValueError(value)
    return number


def _within(least: float, most: float) -> Callable[[str], float | None]:
    """Return how a number is read that means something within bounds alone; beyond them, nothing is said."""

    def read(value: str) -> float | None:
        number = number_of(value)
        return number if number is not None and least <= number <= most else None

    return read


_share = _within(0.0, 100.0)
_positive = _within(0.0, _HIGHEST)


def _kilometers(value: str) -> float | None:
    miles = _positive(value)
    return None if miles is None else miles * KM_PER_MILE


def _flag(value: str) -> bool | None:
    if (text := text_of(value)) is None:
        return None
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(value)


def _whole(value: str) -> int | None:
    number = number_of(value)
    return None if number is None else int(number)


def _version(value: str) -> str | None:
    text = text_of(value)
    return None if text is None else text.split(" ", maxsplit=1)[0]


def _driving(value: str) -> bool:
    return value.strip().lower() in _GEARS


def _wake(value: str) -> Wake | None:
    return WAKES.get(value.strip().lower())


FIELDS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "state": ("state", _wake),
    "odometer_km": ("odometer", _kilometers),
    "soc": ("battery_level", _share),
    "usable_soc": ("usable_battery_level", _share),
    "range_km": ("battery_range", _kilometers),
    "driving": ("shift_state", _driving),
    "speed_kmh": ("speed", _kilometers),
    "power_kw": ("power", number_of),
    "latitude": ("latitude", _within(-90.0, 90.0)),
    "longitude": ("longitude", _within(-180.0, 180.0)),
    "elevation_m": ("elevation", number_of),
    "address": ("location", text_of),
    "charging_state": ("charging_state", text_of),
    "charger_power_kw": ("charger_power", _positive),
    "charger_volts": ("charger_voltage", _positive),
    "charger_amps": ("charger_actual_current", _positive),
    "charger_phases": ("charger_phases", _whole),
    "energy_added_kwh": ("charge_energy_added", _positive),
    "charge_limit": ("charge_limit_soc", _share),
    "fast_charger": ("fast_charger_present", _flag),
    "fast_charger_type": ("fast_charger_type", text_of),
    "fast_charger_brand": ("fast_charger_brand", text_of),
    "inside_c": ("inside_temp", number_of),
    "outside_c": ("outside_temp", number_of),
    "software": ("car_version", _version),
    "wheels": ("wheel_type", text_of),
}
"""Field of a sample -> name in the record, and how it is read."""

_ASLEEP: Final = (Wake.ASLEEP, Wake.OFFLINE)


class FieldUnreadable(ValueError):
    """A field of a record is not what it has to be."""

    def __init__(self, name: str, found: str) -> None:
        """Name the field, and keep what was found in it."""
        super().__init__(name)
        self.name = name
        self.found = found


def values_of(record: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a sample, but for its moment; raise FieldUnreadable. A car that sleeps says nothing else."""
    values: dict[str, Any] = {}
    for field, (name, read) in FIELDS.items():
        if (text := record.get(name)) is not None:
            try:
                values[field] = read(text)
            except ValueError:
                raise FieldUnreadable(name, text) from None
    if (values.get("speed_kmh") or 0.0) > 0:
        values["driving"] = True
    state = values.get("state")
    said_nothing = values.get("odometer_km") is None and values.get("soc") is None
    return {"state": state} if state in _ASLEEP or said_nothing else values | {"state": Wake.ONLINE}
