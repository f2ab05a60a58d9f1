"""Commands of locks, openings and security: doors, boots, windows, sentry, PINs, horn and lights."""

from typing import Final

from ..cars.car import Car
from .outcome import DONE, Outcome, refused
from .parameters import Parameters

NEAR: Final = 0.01
"""Degrees within which somebody counts as standing at the car."""
REMOTE_START_SECONDS: Final = 120.0
WINDOWS: Final = ("fd_window", "fp_window", "rd_window", "rp_window")


def _near(car: Car, sent: Parameters) -> bool:
    drive = car.data["drive_state"]
    return (
        "lat" in sent
        and "lon" in sent
        and abs(sent.number("lat") - drive["latitude"]) < NEAR
        and abs(sent.number("lon") - drive["longitude"]) < NEAR
    )


def lock(car: Car, _: Parameters) -> Outcome:
    """Lock the doors."""
    car.data["vehicle_state"]["locked"] = True
    return DONE


def unlock(car: Car, _: Parameters) -> Outcome:
    """Unlock the doors."""
    car.data["vehicle_state"]["locked"] = False
    return DONE


def trunk(car: Car, sent: Parameters) -> Outcome:
    """Open the front trunk; open the rear one, or close it where it has a motor."""
    which = sent.one_of("which_trunk", ("front", "rear"))
    if car.drive is not None:
        return refused("vehicle_not_in_park")
    block = car.data["vehicle_state"]
    if which == "front":
        block["ft"] = 1
    else:
        powered = bool(car.data["vehicle_config"].get("plg"))
        block["rt"] = 0 if powered and block["rt"] else 1
    return DONE


def windows(car: Car, sent: Parameters) -> Outcome:
    """Vent the windows, or close them when whoever asks stands near."""
    command = sent.one_of("command", ("vent", "close"))
    if command == "close" and not _near(car, sent):
        return refused("invalid_value")
    return _windows(car, opened=command == "vent")


def signed_windows(car: Car, sent: Parameters) -> Outcome:
    """Vent or close the windows; a signed command carries no place."""
    return _windows(car, opened=sent.one_of("command", ("vent", "close")) == "vent")


def _windows(car: Car, *, opened: bool) -> Outcome:
    car.data["vehicle_state"] |= dict.fromkeys(WINDOWS, 1 if opened else 0)
    return DONE


def sun_roof(car: Car, sent: Parameters) -> Outcome:
    """Move the sunroof, where there is one."""
    state = sent.one_of("state", ("vent", "close", "stop", "open"))
    if not car.data["vehicle_config"].get("sun_roof_installed"):
        return refused("not_supported")
    if state != "stop":
        shown, percent = {"vent": ("vent", 15), "open": ("open", 100), "close": ("closed", 0)}[state]
        car.data["vehicle_state"] |= {"sun_roof_state": shown, "sun_roof_percent_open": percent}
    return DONE


def sentry(car: Car, sent: Parameters) -> Outcome:
    """Watch the surroundings."""
    on = sent.boolean("on")
    if not car.data["vehicle_state"].get("sentry_mode_available"):
        return refused("not_supported")
    car.data["vehicle_state"]["sentry_mode"] = on
    return DONE


def remote_start(car: Car, _: Parameters) -> Outcome:
    """Let somebody drive off without a key, within two minutes."""
    if not car.data["vehicle_state"].get("remote_start_enabled"):
        return refused("not_supported")
    car.data["vehicle_state"]["remote_start"] = True
    car.remote_start_ends = car.now + REMOTE_START_SECONDS
    return DONE


def valet(car: Car, sent: Parameters) -> Outcome:
    """Limit the car for a valet; leaving needs the PIN that was set."""
    on = sent.boolean("on")
    block = car.data["vehicle_state"]
    if on:
        if "password" in sent:
            car.pins["valet"] = sent.pin("password")
        elif "valet" not in car.pins:
            return refused("invalid_value")
    elif "valet" in car.pins and (sent.text("password", "") or car.pins["valet"]) != car.pins["valet"]:
        return refused("invalid_pin")
    block |= {"valet_mode": on, "valet_pin_needed": "valet" not in car.pins}
    return DONE


def reset_valet_pin(car: Car, _: Parameters) -> Outcome:
    """Forget the valet's PIN, outside valet mode."""
    if car.data["vehicle_state"]["valet_mode"]:
        return refused("valet_mode_active")
    car.pins.pop("valet", None)
    car.data["vehicle_state"]["valet_pin_needed"] = True
    return DONE


def pin_to_drive(car: Car, sent: Parameters) -> Outcome:
    """Ask for a PIN before driving off."""
    on, password = sent.boolean("on"), sent.pin("password")
    if not on and car.pins.get("drive", password) != password:
        return refused("invalid_pin")
    if on:
        car.pins["drive"] = password
    car.settings["pin_to_drive"] = on
    return DONE


def clear_pin_to_drive(car: Car, _: Parameters) -> Outcome:
    """Forget the PIN to drive."""
    car.pins.pop("drive", None)
    car.settings["pin_to_drive"] = False
    return DONE


def guest_mode(car: Car, sent: Parameters) -> Outcome:
    """Open the car for a guest."""
    car.settings["guest_mode"] = sent.boolean("enable")
    return DONE


def erase_user_data(car: Car, _: Parameters) -> Outcome:
    """Forget a guest's data."""
    return DONE if car.settings.get("guest_mode") else refused("not_supported")


def limit_activate(car: Car, sent: Parameters) -> Outcome:
    """Begin to limit the speed; the first PIN is remembered."""
    pin = sent.pin("pin")
    if car.pins.setdefault("speed_limit", pin) != pin:
        return refused("invalid_pin")
    car.data["vehicle_state"]["speed_limit_mode"] |= {"active": True, "pin_code_set": True}
    return DONE


def limit_deactivate(car: Car, sent: Parameters) -> Outcome:
    """End limiting the speed."""
    pin = sent.pin("pin")
    if car.pins.get("speed_limit", pin) != pin:
        return refused("invalid_pin")
    car.data["vehicle_state"]["speed_limit_mode"]["active"] = False
    return DONE


def limit_clear(car: Car, sent: Parameters) -> Outcome:
    """Forget the PIN of the speed limit, while it is not active."""
    pin = sent.pin("pin")
    if car.data["vehicle_state"]["speed_limit_mode"]["active"]:
        return refused("speed_limit_mode_active")
    if car.pins.get("speed_limit", pin) != pin:
        return refused("invalid_pin")
    return limit_clear_admin(car, sent)


def limit_clear_admin(car: Car, _: Parameters) -> Outcome:
    """Forget the PIN of the speed limit, and the limit with it."""
    car.pins.pop("speed_limit", None)
    car.data["vehicle_state"]["speed_limit_mode"] |= {"active": False, "pin_code_set": False}
    return DONE


def limit_set(car: Car, sent: Parameters) -> Outcome:
    """Set the limit in mph."""
    limit = sent.number("limit_mph")
    mode = car.data["vehicle_state"]["speed_limit_mode"]
    if mode["active"]:
        return refused("speed_limit_mode_active")
    if not mode["min_limit_mph"] <= limit <= mode["max_limit_mph"]:
        return refused("invalid_value")
    mode["current_limit_mph"] = limit
    return DONE


def homelink(car: Car, sent: Parameters) -> Outcome:
    """Open a garage door, from near it."""
    if not car.data["vehicle_state"].get("homelink_device_count"):
        return refused("not_supported")
    if not car.data["vehicle_state"].get("homelink_nearby") or not _near(car, sent):
        return refused("not_near")
    return DONE


def honk_or_flash(_car: Car, _: Parameters) -> Outcome:
    """Be seen or heard: horn, lights."""
    return DONE


def boombox(car: Car, sent: Parameters) -> Outcome:
    """Make a noise outside, parked: 0 at random, 2000 to be found."""
    if sent.integer("sound", 0) not in (0, 2000):
        return refused("invalid_value")
    return refused("vehicle_not_in_park") if car.drive is not None else DONE


def rename(car: Car, sent: Parameters) -> Outcome:
    """Give the car a name."""
    car.data["vehicle_state"]["vehicle_name"] = sent.text("vehicle_name")[:25]
    return DONE


def low_power(car: Car, sent: Parameters) -> Outcome:
    """Save energy while parked."""
    car.settings["low_power"] = sent.boolean("on")
    return DONE


def accessory_power(car: Car, sent: Parameters) -> Outcome:
    """Keep the sockets alive while parked."""
    car.settings["accessory_power"] = sent.boolean("on")
    return DONE
