"""A record of TeslaFi.com's feed as an answer of Tesla's `vehicle_data`, which the rest of the integration knows.

Names, types and traps: recorded feeds of 2020 and 2024, and clients of TeslaFi's. Nearly every value is a text;
"nothing" has five spellings; some columns are used for something else than their name says.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, tzinfo
import math
import re
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from ..tesla.snapshot import ChargeState, ClimateState, DriveState, GuiSettings, VehicleConfig, VehicleState

NOTHING: Final = frozenset({"", "none", "null", "<invalid>"})
TRUE: Final = frozenset({"1", "true"})
FALSE: Final = frozenset({"0", "false"})
BAR: Final[Mapping[str, float]] = {"psi": 0.0689475729, "kpa": 0.01, "bar": 1.0}
"""Unit of tire pressures in the account -> bar. Without one they are in psi."""
PRESSURES: Final[Mapping[str, str]] = {
    "tpms_front_left": "tpms_pressure_fl",
    "tpms_front_right": "tpms_pressure_fr",
    "tpms_rear_left": "tpms_pressure_rl",
    "tpms_rear_right": "tpms_pressure_rr",
}
STATES: Final[Mapping[str, str]] = {
    "online": "online",
    "waking": "online",
    "shutdown": "online",
    "asleep": "asleep",
    "offline": "offline",
}
CLIMATE_ON: Final = "2"
"""`is_climate_on` counts up to this; 1 is not known to mean that it runs."""

AHEAD_MOST: Final = 120.0
"""Seconds by which TeslaFi's clock may be ahead of Home Assistant's."""

_VIN: Final = re.compile(r"[A-HJ-NPR-Z0-9]{17}")

type Read = Callable[[str], Any]


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool | None:
    return True if text.lower() in TRUE else False if text.lower() in FALSE else None


def _number(text: str) -> float | int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _reader(hint: object) -> Read | None:
    """Return how a field of this type is read; None for one that the flat record cannot hold."""
    kinds = set(get_args(hint)) - {type(None)} if isinstance(hint, UnionType) else {hint}
    if bool in kinds:
        return _flag
    if kinds & {int, float}:
        return _number
    return _text if str in kinds else None


def _fields_of(block: type) -> dict[str, Read]:
    hints = get_type_hints(block)
    found = {field.name: _reader(hints[field.name]) for field in fields(block)}
    return {name: read for name, read in found.items() if read is not None and name != "timestamp"}


BLOCKS: Final[Mapping[str, Mapping[str, Read]]] = {
    "charge_state": _fields_of(ChargeState),
    "climate_state": _fields_of(ClimateState),
    "drive_state": _fields_of(DriveState),
    "gui_settings": _fields_of(GuiSettings),
    "vehicle_config": _fields_of(VehicleConfig),
    "vehicle_state": _fields_of(VehicleState),
}
"""Block -> its fields, and how each is read from a text. Names are the same in the record."""


def said(record: Mapping[str, object], name: str) -> str | None:
    """Return a value as text; None when the record says nothing."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return None if text.lower() in NOTHING else text


def vin_of(record: Mapping[str, object]) -> str | None:
    """Return the VIN of the car that a record is about; None when it says none, as while the car sleeps."""
    vin = (said(record, "vin") or "").upper()
    return vin if _VIN.fullmatch(vin) else None


def identity_of(record: Mapping[str, object]) -> tuple[str | None, str | None]:
    """Return what is another with each look of TeslaFi's at the car: its number and its time."""
    return said(record, "data_id"), said(record, "Date")


def age_of(record: Mapping[str, object], now: float, zone: tzinfo) -> float:
    """Return how old a record is, in seconds, infinite where that can't be told.

    Its date is local time of the account, whose zone the record doesn't name: `zone` is the likeliest one. A date that
    lies ahead of `now` (epoch seconds) is of another zone, or one of the clocks is wrong.
    """
    try:
        local = datetime.fromisoformat(said(record, "Date") or "")
    except ValueError:
        return math.inf
    ages = [now - local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)]
    return min((max(age, 0.0) for age in ages if age >= -AHEAD_MOST), default=math.inf)


def answer_of(record: Mapping[str, object]) -> dict[str, Any]:
    """Return the answer that Tesla would have given. Of a car that is not online, its state alone."""
    state = STATES.get((said(record, "state") or "").lower())
    answer: dict[str, Any] = {"vin": vin_of(record), "state": state, "display_name": said(record, "display_name")}
    if state != "online":
        return answer
    answer["in_service"] = _flag(said(record, "in_service") or "")
    for block, readers in BLOCKS.items():
        answer[block] = {name: _value(record, name, read) for name, read in readers.items() if name in record}
    answer["climate_state"]["is_climate_on"] = said(record, "is_climate_on") in {CLIMATE_ON, "True", "true"}
    answer["vehicle_state"] |= {"vehicle_name": answer["display_name"], **_pressures(record), **_update(record)}
    if "fast_charger_brand" not in record and "backseat_token" in record:
        answer["charge_state"]["fast_charger_brand"] = said(record, "backseat_token")
    return answer


def _value(record: Mapping[str, object], name: str, read: Read) -> object:
    text = said(record, name)
    return None if text is None else read(text)


def _pressures(record: Mapping[str, object]) -> dict[str, float | None]:
    bar = BAR.get((said(record, "pressure") or "psi").lower())
    if bar is None:
        return {}
    read = {ours: _value(record, theirs, _number) for theirs, ours in PRESSURES.items() if theirs in record}
    return {name: round(value * bar, 3) for name, value in read.items() if isinstance(value, int | float)}


def _update(record: Mapping[str, object]) -> dict[str, Any]:
    version, status = said(record, "newVersion"), said(record, "newVersionStatus")
    return {"software_update": {"version": version, "status": status}} if version or status else {}
