"""What a car says of itself: state, gear, roof, displays, outlets, who has access.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from collections.abc import Mapping
from typing import Final

from ..tesla.snapshot import CarState
from .prefixes import prefixed

WAKING: Final = "waking"
"""The state of a car while a command wakes it, besides Tesla's own."""
CAR_STATES: Final[Mapping[CarState | None, str]] = {state: state.value for state in CarState}
SHIFT_STATES: Final = {"P": "p", "R": "r", "N": "n", "D": "d", None: "p"}
SUN_ROOF_STATES: Final = {
    "closed": "closed",
    "open": "open",
    "vent": "vent",
    "moving": "moving",
    "calibrating": "calibrating",
}
CENTER_DISPLAYS: Final = {
    0: "off",
    1: "dim",
    2: "accessory",
    3: "on",
    4: "driving",
    5: "charging",
    6: "lock",
    7: "sentry",
    8: "dog",
    9: "entertainment",
}
DASHCAM_STATES: Final = {
    "Unavailable": "unavailable",
    "Available": "available",
    "Recording": "recording",
    "Saved": "saved",
    "Saving": "saving",
    "Streaming": "streaming",
    "NoSpace": "no_space",
    "Paused": "paused",
}
IS_DASHCAM_RECORDING: Final[Mapping[str | None, bool]] = {
    "Recording": True,
    "Unavailable": False,
    "Available": False,
    "Saved": False,
    "Saving": True,
    "Streaming": False,
    "NoSpace": False,
    "Paused": False,
}
"""Whether the dashcam records, by its state."""
DOORS: Final[Mapping[str, str]] = {
    "df": "driver_front",
    "pf": "passenger_front",
    "dr": "driver_rear",
    "pr": "passenger_rear",
}
"""The fields of `vehicle_state` that tell of doors, and what Home Assistant calls each; 0 is closed."""
WINDOWS: Final[Mapping[str, str]] = {
    "fd_window": "driver_front",
    "fp_window": "passenger_front",
    "rd_window": "driver_rear",
    "rp_window": "passenger_rear",
}
"""The fields of `vehicle_state` that tell of windows; 0 is closed."""
TIRES: Final[Mapping[str, str]] = {"fl": "front_left", "fr": "front_right", "rl": "rear_left", "rr": "rear_right"}
TIRE_ALARMS: Final[Mapping[str, str]] = {f"tpms_hard_warning_{wheel}": name for wheel, name in TIRES.items()}
"""The fields of `vehicle_state` that warn of very low pressure, and which tire each is about."""
TIRE_WARNINGS: Final[Mapping[str, str]] = {
    **{f"tpms_soft_warning_{wheel}": name for wheel, name in TIRES.items()},
    **TIRE_ALARMS,
}
"""The fields of `vehicle_state` that warn of low pressure, and which tire each is about."""
AUTOPARK_STATES: Final = {
    "ready": "ready",
    "standby": "standby",
    "disabled": "disabled",
    "unavailable": "unavailable",
}
AUTOPARK_STYLES: Final = {"dead_man": "dead_man", "standard": "standard"}
OUTLET_STATES: Final = prefixed("OutletState", {"Off": "off", "CabinAndBed": "cabin_and_bed", "Cabin": "cabin"})
POWER_FEED_STATES: Final = prefixed("PowerFeedState", {"Off": "off", "CabinAndBed": "cabin_and_bed", "Cabin": "cabin"})
ACCESS_TYPES: Final = {"OWNER": "owner", "DRIVER": "driver"}
COMMAND_SIGNINGS: Final = {"off": "off", "allowed": "allowed", "required": "required"}
