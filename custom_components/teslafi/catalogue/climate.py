"""What a car says of its climate, seats and overheat protection.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from collections.abc import Mapping
from typing import Final

from .prefixes import prefixed

HVAC_AUTO_REQUESTS: Final = {"On": "on", "Override": "override"}
CLIMATE_KEEPER_MODES: Final = {
    "off": "off",
    "on": "keep",
    "keep": "keep",
    "dog": "dog",
    "camp": "camp",
    "party": "camp",
}
KEEPER_WORDS: Final = {"off": "off", "keep": "on", "dog": "dog", "camp": "camp"}
"""Our climate keeper mode -> the car's word, in the order of the numbers that the command has for them."""
DEFROST_MODES: Final = {0: "off", 1: "normal", 2: "max"}
SEAT_LEVELS: Final = {0: "off", 1: "low", 2: "medium", 3: "high"}
STEERING_WHEEL_LEVELS: Final = {0: "off", 1: "low", 3: "high"}


def level(levels: Mapping[int, str], value: object) -> int | None:
    """Return the level of a table that a number means: one above the highest is the highest, True is 1."""
    if not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return None
    highest = max(levels)
    return highest if value > highest else next((known for known in levels if known == value), None)


CABIN_OVERHEAT_PROTECTIONS: Final = {"Off": "off", "On": "on", "FanOnly": "fan_only"}
COP_TEMPERATURES: Final = {"Low": "low", "Medium": "medium", "High": "high"}
COP_LEVELS_C: Final = {"Low": 30.0, "Medium": 35.0, "High": 40.0}
"""Degrees Celsius from which overheat protection cools, in the order of the command's numbers."""
COP_REASONS: Final = prefixed(
    "COPNotRunningReason",
    {
        "NoReason": "none",
        "UserInteraction": "user_interaction",
        "EnergyConsumptionReached": "energy_limit_reached",
        "Timeout": "timeout",
        "LowSolarLoad": "low_solar_load",
        "Fault": "fault",
        "CabinBelowThreshold": "cabin_below_threshold",
    },
)
