"""Groups of commands that an owner allows by themselves, and the scopes of Tesla's that each needs."""

from collections.abc import Collection, Mapping
from typing import Final

from ..link.words import Group as ControlGroup

__all__ = [
    "DEFAULT_GROUPS",
    "VEHICLE_GROUPS",
    "ControlGroup",
    "accepted_scopes",
    "missing_groups",
    "wanted_scopes",
]

VEHICLE_GROUPS: Final = tuple(group for group in ControlGroup if group is not ControlGroup.ENERGY)
"""The groups that command cars; the other one commands energy sites."""

SCOPE_COMMANDS: Final = "vehicle_cmds"
SCOPE_CHARGING: Final = "vehicle_charging_cmds"
SCOPE_ENERGY: Final = "energy_cmds"


DEFAULT_GROUPS: Final = (
    ControlGroup.CHARGING,
    ControlGroup.CLIMATE,
    ControlGroup.MEDIA,
    ControlGroup.SOFTWARE,
    ControlGroup.SCHEDULES,
)
"""What is ticked at first: nothing that opens the car, starts it or takes its guard away."""

_CHARGING: Final = (SCOPE_CHARGING, SCOPE_COMMANDS)
SCOPES: Final[Mapping[ControlGroup, tuple[str, ...]]] = {
    ControlGroup.CHARGING: _CHARGING,
    ControlGroup.SCHEDULES: _CHARGING,
    ControlGroup.ENERGY: (SCOPE_ENERGY,),
}
"""Scopes of which one suffices, the one to ask for first; any other group needs `vehicle_cmds`."""


def accepted_scopes(group: ControlGroup) -> tuple[str, ...]:
    """Return the scopes of which one suffices for a group."""
    return SCOPES.get(group, (SCOPE_COMMANDS,))


def wanted_scopes(groups: Collection[ControlGroup]) -> tuple[str, ...]:
    """Return the scopes to ask Tesla for, no more than the groups need."""
    return tuple(sorted({accepted_scopes(group)[0] for group in groups}))


def missing_groups(groups: Collection[ControlGroup], granted: Collection[str]) -> list[ControlGroup]:
    """Return the groups for which none of their scopes was granted."""
    return [group for group in groups if not set(accepted_scopes(group)) & set(granted)]
