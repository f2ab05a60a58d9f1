"""What a car says of charging, its port and its cable, and what each word counts as.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from collections.abc import Mapping
from typing import Final

from .prefixes import prefixed

CHARGING_STATES: Final = {
    "Disconnected": "disconnected",
    "NoPower": "no_power",
    "Starting": "starting",
    "Charging": "charging",
    "Complete": "complete",
    "Stopped": "stopped",
    "Calibrating": "calibrating",
}
IS_CHARGING: Final[Mapping[str | None, bool]] = {
    "Disconnected": False,
    "NoPower": False,
    "Starting": True,
    "Charging": True,
    "Complete": False,
    "Stopped": False,
    "Calibrating": False,
}
"""Whether energy flows into the battery, by the charging state."""
IS_PLUGGED_IN: Final[Mapping[str | None, bool]] = {state: state != "Disconnected" for state in IS_CHARGING}
"""Whether a cable is plugged in, by the charging state."""
PHASES: Final = {1: 1, 2: 3, 3: 3}
"""Number of phases; Tesla's 2 means three-phase."""
CHARGE_PORT_COLORS: Final = {
    "Off": "off",
    "Red": "red",
    "Green": "green",
    "Blue": "blue",
    "White": "white",
    "Amber": "amber",
    "FlashingGreen": "flashing_green",
    "FlashingAmber": "flashing_amber",
    "FlashingBlue": "flashing_blue",
}
CHARGE_PORT_LATCHES: Final = {"Engaged": "engaged", "Disengaged": "disengaged", "Blocking": "blocking"}
IS_LATCHED: Final[Mapping[str | None, bool]] = {"Engaged": True, "Disengaged": False, "Blocking": False}
"""Whether the port holds the cable, by its latch."""
CHARGE_CABLES: Final = {"IEC": "iec", "SAE": "sae", "GB_AC": "gb_ac", "GB_DC": "gb_dc"}
FAST_CHARGERS: Final = {
    "ACSingleWireCAN": "ac_single_wire_can",
    "MCSingleWireCAN": "mc_single_wire_can",
    "Supercharger": "supercharger",
    "Tesla": "tesla",
    "Combo": "combo",
    "Chademo": "chademo",
    "Gb": "gb",
    "Other": "other",
}
CHARGE_LIMIT_REASONS: Final = prefixed(
    "ChargeLimitReason",
    {
        "None": "none",
        "Evse": "charger",
        "BattTempLow": "cold_battery",
        "HighSoc": "high_battery_level",
        "Cabin": "cabin",
        "EvseRelocationRecommended": "relocation_recommended",
    },
)
SCHEDULED_CHARGING_MODES: Final = {"Off": "off", "StartAt": "start_at", "DepartBy": "depart_by"}
START_AT: Final = "StartAt"
"""The scheduled charging mode in which charging begins at a time of day."""
WEEKLY_TIMES: Final = {"all_week": "all_week", "weekdays": "weekdays"}
CHARGE_PORT_TYPES: Final = {"US": "us", "EU": "eu", "CCS": "ccs", "GB": "gb"}
CHARGE_RATE_UNITS: Final = {"mi/hr": "miles_per_hour", "km/hr": "kilometers_per_hour", "kW": "kilowatts"}
DISTANCE_UNITS: Final = {"mi/hr": "miles", "km/hr": "kilometers"}
POWERSHARE_TYPES: Final = prefixed(
    "PowershareType",
    {"None": "none", "Load": "load", "Home": "home", "Grid": "grid", "Powerwall": "powerwall"},
)
POWERSHARE_STATUSES: Final = prefixed(
    "PowershareStatus",
    {
        "Inactive": "inactive",
        "Init": "starting",
        "Handshaking": "handshaking",
        "Active": "active",
        "ActiveReconnectingSoon": "reconnecting",
        "Stopped": "stopped",
    },
)
POWERSHARE_STOPS: Final = prefixed(
    "PowershareStopReason",
    {
        "None": "none",
        "SOCTooLow": "battery_too_low",
        "Retry": "retry",
        "Fault": "fault",
        "User": "user",
        "Reconnecting": "reconnecting",
        "Authentication": "authentication",
        "AdapterUpdating": "adapter_updating",
        "AdapterInitializationFailed": "adapter_failed",
    },
)
