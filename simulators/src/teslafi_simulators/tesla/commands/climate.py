"""Commands of climate: cabin, seats, steering wheel, defrost, keeper, overheat protection."""

from typing import Final

from ..cars.car import Car
from .outcome import DONE, Outcome, refused
from .parameters import Parameters

COMFORT_OFF: Final = "cabin comfort remote settings not enabled"
KEEPER: Final = ("off", "on", "dog", "camp")
COP_LEVELS: Final = ("Low", "Medium", "High")
HEATERS: Final = (
    "seat_heater_left",
    "seat_heater_right",
    "seat_heater_rear_left",
    "seat_heater_rear_left_back",
    "seat_heater_rear_center",
    "seat_heater_rear_right",
    "seat_heater_rear_right_back",
    "seat_heater_third_row_left",
    "seat_heater_third_row_right",
)
"""By the number that the wire has for a seat."""
HIGHEST: Final = 3
"""Level of seats."""
COOLERS: Final = {1: "seat_fan_front_left", 2: "seat_fan_front_right"}
AUTO_SEATS: Final = {1: "auto_seat_climate_left", 2: "auto_seat_climate_right"}


def _switch(car: Car, *, on: bool) -> None:
    car.data["climate_state"] |= {"is_climate_on": on, "is_auto_conditioning_on": on, "fan_status": 3 if on else 0}
    if not on:
        car.data["climate_state"] |= {
            "climate_keeper_mode": "off",
            "defrost_mode": 0,
            "is_front_defroster_on": False,
            "is_rear_defroster_on": False,
            "is_preconditioning": False,
        }


def start(car: Car, _: Parameters) -> Outcome:
    """Switch the climate on."""
    _switch(car, on=True)
    return DONE


def stop(car: Car, _: Parameters) -> Outcome:
    """Switch the climate off, and with it what needs it."""
    _switch(car, on=False)
    return DONE


def temperatures(car: Car, sent: Parameters) -> Outcome:
    """Set both temperatures in °C, within the car's bounds."""
    block = car.data["climate_state"]
    low, high = float(block["min_avail_temp"]), float(block["max_avail_temp"])
    block |= {
        f"{side}_temp_setting": min(max(sent.number(f"{side}_temp"), low), high) for side in ("driver", "passenger")
    }
    return DONE


def defrost(car: Car, sent: Parameters) -> Outcome:
    """Defrost at full power; the climate runs for it."""
    on = sent.boolean("on")
    sent.boolean("manual_override", default=False)
    if on:
        _switch(car, on=True)
    car.data["climate_state"] |= {
        "defrost_mode": 2 if on else 0,
        "is_front_defroster_on": on,
        "is_rear_defroster_on": on,
    }
    return DONE


def keeper(car: Car, sent: Parameters) -> Outcome:
    """Keep the climate when the driver leaves: 0 off, 1 keep, 2 dog, 3 camp."""
    mode = sent.integer("climate_keeper_mode")
    if not 0 <= mode < len(KEEPER):
        return refused("invalid_value")
    if mode:
        _switch(car, on=True)
    car.data["climate_state"]["climate_keeper_mode"] = KEEPER[mode]
    return DONE


def bioweapon(car: Car, sent: Parameters) -> Outcome:
    """Filter the air at full power, in cars that can."""
    on = sent.boolean("on")
    sent.boolean("manual_override", default=False)
    if car.data["climate_state"].get("bioweapon_mode") is None:
        return refused("not_supported")
    car.data["climate_state"]["bioweapon_mode"] = on
    return DONE


def overheat_protection(car: Car, sent: Parameters) -> Outcome:
    """Keep the parked cabin from overheating."""
    on, fan_only = sent.boolean("on"), sent.boolean("fan_only")
    block = car.data["climate_state"]
    if not block.get("allow_cabin_overheat_protection") and on:
        return refused("not_supported")
    block["cabin_overheat_protection"] = ("FanOnly" if fan_only else "On") if on else "Off"
    return DONE


def overheat_level(car: Car, sent: Parameters) -> Outcome:
    """Set from which temperature: 0 30 °C, 1 35 °C, 2 40 °C."""
    level = sent.integer("cop_temp")
    if not 0 <= level < len(COP_LEVELS):
        return refused("invalid_value")
    if not car.data["vehicle_config"].get("cop_user_set_temp_supported"):
        return refused("not_supported")
    car.data["climate_state"]["cop_activation_temperature"] = COP_LEVELS[level]
    return DONE


def seat_heater(car: Car, sent: Parameters) -> Outcome:
    """Heat a seat; the documents call it `seat_position` and `level`, cars take `heater` and `level`."""
    seat = sent.integer("heater" if "heater" in sent else "seat_position")
    level = sent.integer("level")
    if not 0 <= seat < len(HEATERS) or not 0 <= level <= HIGHEST:
        return refused("invalid_value")
    return _comfort(car, HEATERS[seat], level)


def seat_cooler(car: Car, sent: Parameters) -> Outcome:
    """Cool a front seat."""
    seat, level = sent.integer("seat_position"), sent.integer("seat_cooler_level")
    if seat not in COOLERS or not 0 <= level <= HIGHEST:
        return refused("invalid_value")
    if not car.data["vehicle_config"].get("has_seat_cooling"):
        return refused("not_supported")
    return _comfort(car, COOLERS[seat], level)


def auto_seat(car: Car, sent: Parameters) -> Outcome:
    """Let the car heat and cool a front seat by itself."""
    seat, on = sent.integer("auto_seat_position"), sent.boolean("auto_climate_on")
    return _comfort(car, AUTO_SEATS[seat], on) if seat in AUTO_SEATS else refused("invalid_value")


def wheel_heater(car: Car, sent: Parameters) -> Outcome:
    """Heat the steering wheel."""
    on = sent.boolean("on")
    if car.data["climate_state"].get("steering_wheel_heat_level") is not None:
        car.data["climate_state"]["steering_wheel_heat_level"] = 3 if on else 0
    return _comfort(car, "steering_wheel_heater", on)


def wheel_level(car: Car, sent: Parameters) -> Outcome:
    """Heat the steering wheel by level: 0, 1 or 3."""
    level = sent.integer("level")
    if level not in (0, 1, 3):
        return refused("invalid_value")
    outcome = _comfort(car, "steering_wheel_heat_level", level)
    if outcome.result:
        car.data["climate_state"]["steering_wheel_heater"] = level > 0
    return outcome


def auto_wheel(car: Car, sent: Parameters) -> Outcome:
    """Let the car heat the steering wheel by itself."""
    return _comfort(car, "auto_steering_wheel_heat", sent.boolean("on"))


def _comfort(car: Car, name: str, value: object) -> Outcome:
    """Set what the car lets others set only while its own setting allows it (`remote_heater_control_enabled`)."""
    block = car.data["climate_state"]
    if not block.get("remote_heater_control_enabled"):
        return refused(COMFORT_OFF)
    block[name] = value
    return DONE
