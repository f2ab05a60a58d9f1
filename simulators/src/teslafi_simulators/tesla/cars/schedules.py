"""What a car does by its own schedules: begins to charge, makes itself comfortable, installs software."""

from collections.abc import Iterator
from typing import Any, Final

from .car import Car

DAY: Final = 86_400
THURSDAY: Final = 4
"""Day of the week of the first of January 1970, Sunday being 0."""


def run_due(car: Car, before: float) -> None:
    """Do what became due after `before` (epoch seconds) and not later than the car's own time."""
    now = car.now
    if any(_became_due(car, before, now, minutes, days) for minutes, days in _charge_starts(car)):
        car.start_charging()
    if any(_became_due(car, before, now, minutes, days) for minutes, days in _ready_times(car)):
        car.data["climate_state"] |= {"is_climate_on": True, "is_preconditioning": True}
    _install(car, now)
    if car.remote_start_ends is not None and now >= car.remote_start_ends:
        car.remote_start_ends = None
        car.data["vehicle_state"]["remote_start"] = False


def _charge_starts(car: Car) -> Iterator[tuple[int, int]]:
    """Yield minutes after midnight and the bits of the days."""
    charge = car.data["charge_state"]
    if charge.get("scheduled_charging_mode") == "StartAt":
        yield int(charge["scheduled_charging_start_time_minutes"]), 127
    for schedule in _schedules(car, "charge_schedule_data", "charge_schedules"):
        if schedule.get("start_enabled"):
            yield int(schedule["start_time"]), int(schedule["days_of_week"])


def _ready_times(car: Car) -> Iterator[tuple[int, int]]:
    charge = car.data["charge_state"]
    if charge.get("scheduled_charging_mode") == "DepartBy" and charge.get("preconditioning_enabled"):
        yield int(charge["scheduled_departure_time_minutes"]), _days(charge.get("preconditioning_times"))
    for schedule in _schedules(car, "preconditioning_schedule_data", "precondition_schedules"):
        yield int(schedule["precondition_time"]), int(schedule["days_of_week"])


def _schedules(car: Car, block: str, name: str) -> list[dict[str, Any]]:
    return [schedule for schedule in car.data.get(block, {}).get(name, ()) if schedule["enabled"]]


def _days(word: object) -> int:
    return 62 if word == "weekdays" else 127


def _became_due(car: Car, before: float, now: float, minutes: int, days: int) -> bool:
    """Tell whether the car's clock came past a time of day on one of these days."""
    begun, local = before + car.utc_offset, now + car.utc_offset
    due = local - local % DAY + minutes * 60
    due = due if due <= local else due - DAY
    return begun < due <= local and bool(days >> ((int(due // DAY) + THURSDAY) % 7) & 1)


def _install(car: Car, now: float) -> None:
    """Begin the installation at its time, and end it when its duration is over."""
    update = car.data["vehicle_state"].get("software_update") or {}
    begins = update.get("scheduled_time_ms", 0) / 1000
    if update.get("status") == "scheduled" and now >= begins:
        update |= {"status": "installing", "install_perc": 1}
    if update.get("status") == "installing" and begins:
        share = (now - begins) / float(update.get("expected_duration_sec") or 1)
        update["install_perc"] = min(max(int(share * 100), 1), 100)
        if share >= 1:
            car.data["vehicle_state"]["car_version"] = f"{update['version']} 0123456789ab"
            update |= {"status": "", "version": " ", "install_perc": 1}
            update.pop("scheduled_time_ms", None)
