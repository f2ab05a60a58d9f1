"""Commands of the schedules that cars keep since firmware 2024.26: charging and preconditioning by place and day."""

from typing import Any, Final

from ..cars.car import Car
from .outcome import DONE, Outcome, refused
from .parameters import BadParameter, Parameters

DAYS: Final = {
    name: bit
    for bit, names in (
        (1, ("SUN", "SUNDAY")),
        (2, ("MON", "MONDAY")),
        (4, ("TUES", "TUESDAY")),
        (8, ("WED", "WEDNESDAY")),
        (16, ("THURS", "THURSDAY")),
        (32, ("FRI", "FRIDAY")),
        (64, ("SAT", "SATURDAY")),
        (127, ("ALL",)),
        (62, ("WEEKDAYS",)),
    )
    for name in names
}
"""Names of days in commands -> bits in data. There is no TUE and no THU."""
SINCE: Final = (2024, 26)
MOST: Final = 20
PLACE: Final = 0.01


def days(sent: Parameters) -> int:
    """Return the bits of `days_of_week`: names by commas over REST, bits in the signed form."""
    value = sent.sent().get("days_of_week")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAYS["ALL"]:
        return value
    if not isinstance(value, str):
        raise BadParameter("days_of_week")
    found = 0
    for name in value.split(","):
        if name.strip().upper() not in DAYS:
            raise BadParameter("days_of_week")
        found |= DAYS[name.strip().upper()]
    return found


def _minutes(sent: Parameters, name: str) -> int:
    minutes = sent.integer(name)
    if not 0 <= minutes < 24 * 60:
        raise BadParameter(name)
    return minutes


def _common(car: Car, sent: Parameters) -> dict[str, Any]:
    identifier = sent.integer("id", 0) or int(car.now)
    return {
        "id": identifier,
        "name": sent.text("name", ""),
        "days_of_week": days(sent),
        "one_time": sent.boolean("one_time", default=False),
        "enabled": sent.boolean("enabled"),
        "latitude": round(sent.number("lat"), 5),
        "longitude": round(sent.number("lon"), 5),
    }


def knows_schedules(car: Car) -> bool:
    """Tell whether the car's firmware has these schedules."""
    version = str(car.data["vehicle_state"]["car_version"]).split(" ", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in version[:2]) >= SINCE


def _block(car: Car, kind: str) -> dict[str, Any]:
    names = {
        "charge": ("charge_schedule_data", "charge_schedules"),
        "precondition": ("preconditioning_schedule_data", "precondition_schedules"),
    }
    block, name = names[kind]
    found: dict[str, Any] = car.data.setdefault(block, {name: []})
    found.setdefault(name, [])
    return found


def _list(car: Car, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _block(car, kind)[f"{kind}_schedules"]
    return found


def _put(car: Car, kind: str, schedule: dict[str, Any]) -> Outcome:
    if not knows_schedules(car):
        return refused("not_supported")
    kept = [known for known in _list(car, kind) if known["id"] != schedule["id"]]
    if len(kept) >= MOST:
        return refused("too_many_schedules")
    _block(car, kind)[f"{kind}_schedules"] = [*kept, schedule]
    return DONE


def add_charge(car: Car, sent: Parameters) -> Outcome:
    """Add a charge schedule, or change the one of this id."""
    start, end = sent.boolean("start_enabled"), sent.boolean("end_enabled")
    if not start and not end:
        raise BadParameter("start_enabled")
    times: dict[str, int | bool] = {"start_enabled": start, "end_enabled": end}
    times |= {name: _minutes(sent, name) for name, on in (("start_time", start), ("end_time", end)) if on}
    return _put(car, "charge", _common(car, sent) | times)


def add_precondition(car: Car, sent: Parameters) -> Outcome:
    """Add a preconditioning schedule, or change the one of this id."""
    return _put(car, "precondition", _common(car, sent) | {"precondition_time": _minutes(sent, "precondition_time")})


def remove_charge(car: Car, sent: Parameters) -> Outcome:
    """Remove a charge schedule."""
    return _remove(car, "charge", sent)


def remove_precondition(car: Car, sent: Parameters) -> Outcome:
    """Remove a preconditioning schedule."""
    return _remove(car, "precondition", sent)


def _remove(car: Car, kind: str, sent: Parameters) -> Outcome:
    identifier = sent.integer("id")
    kept = [known for known in _list(car, kind) if known["id"] != identifier]
    if len(kept) == len(_list(car, kind)):
        return refused("not_found")
    _block(car, kind)[f"{kind}_schedules"] = kept
    return DONE


def clear_charge(car: Car, sent: Parameters) -> Outcome:
    """Remove the charge schedules of home, work or elsewhere."""
    return _clear(car, "charge", sent)


def clear_precondition(car: Car, sent: Parameters) -> Outcome:
    """Remove the preconditioning schedules of home, work or elsewhere."""
    return _clear(car, "precondition", sent)


def _clear(car: Car, kind: str, sent: Parameters) -> Outcome:
    """Home is where the car was first seen; work is nowhere here."""
    goes = {"home": sent.boolean("home", default=False), "other": sent.boolean("other", default=False)}
    sent.boolean("work", default=False)
    _block(car, kind)[f"{kind}_schedules"] = [
        known for known in _list(car, kind) if not goes["home" if _is_home(car, known) else "other"]
    ]
    return DONE


def _is_home(car: Car, schedule: dict[str, Any]) -> bool:
    latitude, longitude = car.home
    return bool(abs(schedule["latitude"] - latitude) < PLACE and abs(schedule["longitude"] - longitude) < PLACE)
