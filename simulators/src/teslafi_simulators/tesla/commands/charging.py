"""Commands of charging: start, stop, limit, current, port, and the one schedule of older cars."""

from ..cars.car import Car
from .outcome import DONE, Outcome, refused
from .parameters import Parameters


def start(car: Car, _: Parameters) -> Outcome:
    """Begin to charge."""
    reason = car.start_charging()
    return refused(reason) if reason else DONE


def stop(car: Car, _: Parameters) -> Outcome:
    """Stop charging."""
    if car.charge is None:
        return refused("not_charging")
    car.stop_charging()
    return DONE


def _limit(car: Car, percent: float, already: str) -> Outcome:
    """Set the limit within the car's own bounds: out of range is no error (recorded: 1 became 50)."""
    block = car.data["charge_state"]
    kept = min(max(round(percent), block["charge_limit_soc_min"]), block["charge_limit_soc_max"])
    if kept == block["charge_limit_soc"]:
        return refused(already)
    block["charge_limit_soc"] = kept
    return DONE


def set_limit(car: Car, sent: Parameters) -> Outcome:
    """Set the limit in percent."""
    return _limit(car, sent.integer("percent"), "already_set")


def standard(car: Car, _: Parameters) -> Outcome:
    """Charge to the usual limit."""
    return _limit(car, car.data["charge_state"]["charge_limit_soc_std"], "already_standard")


def max_range(car: Car, _: Parameters) -> Outcome:
    """Charge to the highest limit."""
    return _limit(car, car.data["charge_state"]["charge_limit_soc_max"], "already_max_range")


def set_amps(car: Car, sent: Parameters) -> Outcome:
    """Set the current in A, no higher than the cable and the car allow."""
    block = car.data["charge_state"]
    amps = min(max(sent.integer("charging_amps"), 0), int(block.get("charge_current_request_max") or 32))
    block |= {"charge_current_request": amps, "charge_amps": amps}
    return DONE


def open_port(car: Car, _: Parameters) -> Outcome:
    """Open the charge port, or let go of the cable in it."""
    block = car.data["charge_state"]
    if car.cable is not None:
        car.stop_charging()
    block |= {"charge_port_door_open": True, "charge_port_latch": "Disengaged"}
    return DONE


def close_port(car: Car, _: Parameters) -> Outcome:
    """Close the charge port, unless a cable is in it."""
    if car.cable is not None:
        return refused("cable connected")
    car.data["charge_state"] |= {"charge_port_door_open": False, "charge_port_latch": "Engaged"}
    return DONE


def scheduled_charging(car: Car, sent: Parameters) -> Outcome:
    """Set the start of charging of older cars; it shares one mode with the departure."""
    enable, minutes = sent.boolean("enable"), sent.integer("time")
    if not 0 <= minutes < 24 * 60:
        return refused("invalid_value")
    block = car.data["charge_state"]
    block |= {
        "scheduled_charging_mode": "StartAt" if enable else "Off",
        "scheduled_charging_start_time_app": minutes,
        "scheduled_charging_start_time_minutes": minutes if enable else None,
        "scheduled_charging_start_time": car.next_time(minutes) if enable else None,
        "scheduled_charging_pending": enable and car.cable is not None,
    }
    return DONE


def scheduled_departure(car: Car, sent: Parameters) -> Outcome:
    """Set the departure of older cars; it shares one mode with the start of charging."""
    enable = sent.boolean("enable", default=True)
    minutes, end = sent.integer("departure_time", 0), sent.integer("end_off_peak_time", 0)
    if not (0 <= minutes < 24 * 60 and 0 <= end < 24 * 60):
        return refused("invalid_value")
    car.data["charge_state"] |= {
        "scheduled_charging_mode": "DepartBy" if enable else "Off",
        "scheduled_charging_pending": enable and car.cable is not None,
        "scheduled_departure_time_minutes": minutes,
        "scheduled_departure_time": car.next_time(minutes),
        "preconditioning_enabled": sent.boolean("preconditioning_enabled", default=False),
        "preconditioning_times": _days(sent, "preconditioning_weekdays_only"),
        "off_peak_charging_enabled": sent.boolean("off_peak_charging_enabled", default=False),
        "off_peak_charging_times": _days(sent, "off_peak_charging_weekdays_only"),
        "off_peak_hours_end_time": end,
    }
    return DONE


def _days(sent: Parameters, name: str) -> str:
    return "weekdays" if sent.boolean(name, default=False) else "all_week"
