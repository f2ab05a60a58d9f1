"""What a car says of its software.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from typing import Final

INSTALLING: Final = "installing"
OFFERED: Final = frozenset({"available", "downloading", "downloading_wifi_wait", "scheduled", INSTALLING})
"""Values of `software_update.status` under which `software_update.version` is a version to come."""
UPDATE_STATUSES: Final = {
    None: "none",
    "available": "available",
    "downloading": "downloading",
    "downloading_wifi_wait": "downloading_wifi_wait",
    "scheduled": "scheduled",
    "installing": "installing",
}
