"""Commands of media, navigation and software."""

from typing import Final

from ..cars.car import Car
from .outcome import DONE, Outcome, refused
from .parameters import Parameters

QUEUED: Final = Outcome(extra={"queued": True})
LOUDEST: Final = 11
MOST_LATITUDE: Final = 90
MOST_LONGITUDE: Final = 180


def _info(car: Car) -> dict[str, object]:
    info = car.data["vehicle_state"].get("media_info")
    if info is None:
        info = car.data["vehicle_state"]["media_info"] = {"audio_volume": 2.0}
    found: dict[str, object] = info
    return found


def _remote(car: Car) -> bool:
    return bool(car.data["vehicle_state"]["media_state"].get("remote_control_enabled"))


def toggle(car: Car, _: Parameters) -> Outcome:
    """Play or pause."""
    if not _remote(car):
        return refused("not_supported")
    info = _info(car)
    info["media_playback_status"] = "Paused" if info.get("media_playback_status") == "Playing" else "Playing"
    return DONE


def skip(car: Car, _: Parameters) -> Outcome:
    """Go to another track or favourite."""
    if not _remote(car):
        return refused("not_supported")
    car.track += 1
    _info(car)["now_playing_title"] = f"Track {car.track}"
    return DONE


def volume(car: Car, sent: Parameters) -> Outcome:
    """Set the volume, 0 to 11, within what the car goes up to."""
    wanted = sent.number("volume")
    if not 0 <= wanted <= LOUDEST:
        return refused("invalid_value")
    return _set_volume(car, wanted)


def louder(car: Car, _: Parameters) -> Outcome:
    """Turn the volume up one step; signed alone."""
    return _step(car, 1)


def quieter(car: Car, _: Parameters) -> Outcome:
    """Turn the volume down one step."""
    return _step(car, -1)


def _step(car: Car, steps: int) -> Outcome:
    info = _info(car)
    now, step = float(str(info["audio_volume"])), float(str(info.get("audio_volume_increment", 1 / 3)))
    return _set_volume(car, now + steps * step)


def _set_volume(car: Car, wanted: float) -> Outcome:
    if not _remote(car):
        return refused("not_supported")
    info = _info(car)
    info["audio_volume"] = min(max(wanted, 0.0), float(str(info.get("audio_volume_max", LOUDEST))))
    return DONE


def navigate(car: Car, sent: Parameters) -> Outcome:
    """Take a place as a phone shares it; the car works it out later."""
    shared = sent.sent().get("value")
    if not isinstance(shared, dict) or not isinstance(shared.get("android.intent.extra.TEXT"), str):
        return refused("invalid_value")
    sent.text("type")
    sent.text("locale", "en-US")
    _check_timestamp(sent)
    car.route_to(shared["android.intent.extra.TEXT"])
    return QUEUED


def _check_timestamp(sent: Parameters) -> None:
    """Refuse a `timestamp_ms` that is no whole number; digits in quotes, as Tesla's own example has them, are one."""
    value = sent.sent().get("timestamp_ms")
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        sent.integer("timestamp_ms", 0)


def signed_navigate(car: Car, sent: Parameters) -> Outcome:
    """Take a destination by name."""
    car.route_to(sent.text("destination"))
    return DONE


def navigate_gps(car: Car, sent: Parameters) -> Outcome:
    """Take a destination by its place; order 1 replaces the trip, 2 goes there first, 3 last."""
    latitude, longitude = sent.number("lat"), sent.number("lon")
    if abs(latitude) > MOST_LATITUDE or abs(longitude) > MOST_LONGITUDE or sent.integer("order", 0) not in range(4):
        return refused("invalid_value")
    car.route_to(f"{latitude:.5f}, {longitude:.5f}", latitude, longitude)
    return DONE


def navigate_supercharger(car: Car, sent: Parameters) -> Outcome:
    """Go to a Supercharger."""
    sent.integer("id", 0)
    sent.integer("order", 0)
    car.route_to("Supercharger")
    return DONE


def navigate_waypoints(car: Car, sent: Parameters) -> Outcome:
    """Go along several places: `refId:<place id>,refId:…`."""
    places = sent.text("waypoints").split(",")
    if not all(place.strip().startswith("refId:") for place in places):
        return refused("invalid_value")
    car.route_to(places[-1].strip())
    return DONE


def note(_car: Car, sent: Parameters) -> Outcome:
    """Take a note about the drive."""
    sent.text("note")
    return DONE


def calendar(_car: Car, sent: Parameters) -> Outcome:
    """Take the owner's appointments."""
    sent.text("calendar_data")
    return DONE


def schedule_update(car: Car, sent: Parameters) -> Outcome:
    """Install the update that waits, after so many seconds."""
    offset = sent.integer("offset_sec")
    if offset < 0:
        return refused("invalid_value")
    update = car.data["vehicle_state"]["software_update"]
    if update["status"] != "available":
        return refused("not_supported")
    begins = car.now + offset
    update |= {
        "status": "scheduled",
        "scheduled_time_ms": int(begins * 1000),
        "warning_time_remaining_ms": int(offset * 1000),
    }
    shown = {name: update[name] for name in ("expected_duration_sec", "scheduled_time_ms", "warning_time_remaining_ms")}
    return Outcome(extra={"status": "scheduled", **shown})


def cancel_update(car: Car, _: Parameters) -> Outcome:
    """Call an installation off before it begins."""
    update = car.data["vehicle_state"]["software_update"]
    if update["status"] != "scheduled":
        return refused("not_supported")
    update["status"] = "available"
    for name in ("scheduled_time_ms", "warning_time_remaining_ms"):
        update.pop(name, None)
    return DONE
