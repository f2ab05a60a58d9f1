"""What energy sites and wall connectors say.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from collections.abc import Mapping
from typing import Final

GRID_STATUSES: Final[Mapping[str | None, bool]] = {"Active": True, "Inactive": False}
"""Whether the grid is there."""
ISLAND_STATUSES: Final = {
    "on_grid": "on_grid",
    "off_grid": "off_grid",
    "off_grid_intentional": "off_grid_intentional",
    "off_grid_unintentional": "off_grid_unintentional",
}
OPERATION_MODES: Final = {"self_consumption": "self_consumption", "autonomous": "autonomous", "backup": "backup"}
EXPORT_RULES: Final = {"never": "never", "pv_only": "pv_only", "battery_ok": "battery_ok"}
WALL_CONNECTOR_STATES: Final[Mapping[int | None, str]] = {
    0: "booting",
    1: "charging",
    2: "disconnected",
    4: "connected",
    5: "scheduled",
    6: "negotiating",
    7: "error",
    8: "charging_finished",
    9: "waiting_for_car",
    10: "charging_reduced",
}
