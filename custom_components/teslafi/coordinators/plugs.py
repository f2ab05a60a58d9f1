"""What wall connectors say about the beginning and end of a charge. They are read each minute, which costs nothing."""

from typing import Final

from ..tesla.energy_site import SiteLive, WallConnector
from ..tesla.vin import vin_of

DRAWS: Final = 100.0
"""Watts from which on a plug or wall connector charges something."""


def plugs_changed(before: SiteLive, after: SiteLive) -> frozenset[str] | None:
    """Return the cars at which a cable was plugged in or out, or a charge begins or ends; None when nothing changed.

    Empty when something changed and the wall connector names no car. A wall connector that is new, or missing, and a
    value that is not told say nothing.
    """
    pairs = [(earlier, now) for now in after.wall_connectors if now.din and (earlier := before.wall_connector(now.din))]
    changed = [(earlier, now) for earlier, now in pairs if _differ(earlier, now)]
    if not changed:
        return None
    return frozenset(vin for pair in changed for one in pair if (vin := vin_of(one.vin or "")))


def _differ(earlier: WallConnector, now: WallConnector) -> bool:
    told = zip(_says(earlier), _says(now), strict=True)
    return earlier.vin != now.vin or any(None not in pair and pair[0] != pair[1] for pair in told)


def _says(connector: WallConnector) -> tuple[bool | None, int | None]:
    power = connector.wall_connector_power
    return None if power is None else power >= DRAWS, connector.wall_connector_state
