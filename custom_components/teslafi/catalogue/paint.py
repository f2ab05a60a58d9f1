"""Which color a car is painted in, as a color of the web.

Cars name their paint (`vehicle_config.exterior_color`); newer ones also tell it as numbers
(`vehicle_config.paint_color_override`: red, green and blue up to 255, then how it shines).
"""

from collections.abc import Mapping
import re
from typing import Final

from ..tesla.snapshot import Snapshot

UNKNOWN: Final = "8a9097"
"""The paint of a car that never told it."""

PAINTS: Final[Mapping[str, str]] = {
    "anzablack": "1d1d1f",
    "black": "16171a",
    "cosmicsilver": "9a9ca0",
    "deepblue": "1f3f77",
    "diamondblack": "1b1c1f",
    "dolphingrey": "6d7276",
    "frostblue": "8fa9bd",
    "glacierblue": "a9bccb",
    "green": "31473a",
    "lunarsilver": "b9bcc0",
    "marineblue": "1d3a63",
    "metallicblack": "1f2023",
    "metallicblue": "23497f",
    "midnightcherryred": "4d0f1a",
    "midnightsilver": "42474d",
    "obsidianblack": "1a1b1e",
    "pearl": "eceae4",
    "pearlwhite": "eeeeec",
    "quicksilver": "a7a9ab",
    "red": "9c1b22",
    "redmulticoat": "a01c25",
    "sigred": "7d141c",
    "signaturered": "7d141c",
    "silver": "adb1b5",
    "silvermetallic": "adb1b5",
    "solidblack": "16171a",
    "stealthgrey": "55595d",
    "steelgrey": "6a7076",
    "titaniumcopper": "8a6a55",
    "ultrared": "a5161e",
    "white": "f2f2f0",
}
"""Tesla's name of a paint, in small letters -> red, green and blue in hexadecimal."""

_NUMBERS: Final = re.compile(r"(\d{1,3}),(\d{1,3}),(\d{1,3})(?![\d.])", re.ASCII)
_BYTE: Final = 255

BARE: Final[Mapping[str, str]] = {"Cybertruck": "b4b8bb"}
"""Models that are not painted."""


def paint_of(snapshot: Snapshot, model: str | None) -> str:
    """Return the color of a car: six hexadecimal digits."""
    config = snapshot.vehicle_config
    name = (config.exterior_color or "").lower().replace(" ", "")
    return PAINTS.get(name) or _told(config.paint_color_override) or BARE.get(model or "", UNKNOWN)


def _told(numbers: str | None) -> str | None:
    """Return the color that a car tells in numbers; all zeros are what it writes for none."""
    if (found := _NUMBERS.match(numbers or "")) is None:
        return None
    levels = [int(level) for level in found.groups()]
    return "".join(f"{level:02x}" for level in levels) if 0 < max(levels) <= _BYTE else None
