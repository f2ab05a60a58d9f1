"""Which entities controls replace: one thing is one entity, the one that can do more."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from ..const import CONF_GROUPS, CONF_VEHICLES
from .groups import ControlGroup

REPLACED: Final[Mapping[str, ControlGroup]] = {
    "charge_state_charge_limit_soc": ControlGroup.CHARGING,
    "charge_state_charge_port_door_open": ControlGroup.CHARGING,
    "climate_state_is_climate_on": ControlGroup.CLIMATE,
    "drive_state_active_route_destination": ControlGroup.MEDIA,
    "vehicle_state_ft": ControlGroup.OPENINGS,
    "vehicle_state_locked": ControlGroup.OPENINGS,
    "vehicle_state_rt": ControlGroup.OPENINGS,
    "vehicle_state_sentry_mode": ControlGroup.SECURITY,
    "windows": ControlGroup.OPENINGS,
}
"""Key of an entity that is enabled by default while it only reads -> the group that brings a control of the same."""

REPLACED_AT_SITES: Final = frozenset({"backup_reserve_percent", "default_real_mode", "storm_mode_enabled"})
"""Keys of an energy site's entities that are enabled by default, of which its group brings a control: for all sites."""

BROUGHT: Final[Mapping[str, ControlGroup]] = {
    "charge_schedules": ControlGroup.SCHEDULES,
    "precondition_schedules": ControlGroup.SCHEDULES,
}
"""Key of an entity that earlier versions disabled by default -> the group with which it can be changed: it is enabled
then."""


def enabled_by_default(key: str, groups: frozenset[ControlGroup]) -> bool | None:
    """Return whether an entity of a car with these groups is enabled by default; None where groups change nothing."""
    if key in REPLACED:
        return REPLACED[key] not in groups
    return True if key in BROUGHT else None


def enabled_by_default_at_sites(key: str, groups: frozenset[ControlGroup]) -> bool | None:
    """Return whether an entity of a site with these groups is enabled by default; None where groups change nothing."""
    return False if key in REPLACED_AT_SITES and ControlGroup.ENERGY in groups else None


@callback
def follow_controls(
    hass: HomeAssistant, entry: ConfigEntry, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Enable and disable what controls bring and replace, where they came or went (the entry's `controls`, or empty).

    What a user disabled stays so. What is enabled when controls come counts as enabled by default; what a user enables
    again while they are there stays.
    """
    known = {one.unique_id: one for one in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)}
    for vin in {*before.get(CONF_VEHICLES, ()), *after.get(CONF_VEHICLES, ())}:
        had, has = _groups(before, vin), _groups(after, vin)
        for key, group in {**REPLACED, **BROUGHT}.items():
            entity = known.get(f"{vin}-{key}")
            if entity is None or (group in had) is (group in has):
                continue
            if enabled_by_default(key, has):
                _enable(hass, entry, entity)
            elif key in REPLACED:
                _disable(hass, entity)
    had, has = _all_groups(before), _all_groups(after)
    if (ControlGroup.ENERGY in had) is not (ControlGroup.ENERGY in has):
        for unique_id, entity in known.items():
            owner, _, key = unique_id.partition("-")
            if not owner.isdecimal() or key not in REPLACED_AT_SITES:
                continue
            if ControlGroup.ENERGY in has:
                _disable(hass, entity)
            else:
                _enable(hass, entry, entity)


def _enable(hass: HomeAssistant, entry: ConfigEntry, entity: er.RegistryEntry) -> None:
    if entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION and not entry.pref_disable_new_entities:
        er.async_get(hass).async_update_entity(entity.entity_id, disabled_by=None)


def _disable(hass: HomeAssistant, entity: er.RegistryEntry) -> None:
    if entity.disabled_by is None:
        er.async_get(hass).async_update_entity(entity.entity_id, disabled_by=er.RegistryEntryDisabler.INTEGRATION)


def _groups(controls: Mapping[str, Any], vin: str) -> frozenset[ControlGroup]:
    """Return the groups that the entry's `controls` have for a car."""
    return _all_groups(controls) if vin in controls.get(CONF_VEHICLES, ()) else frozenset()


def _all_groups(controls: Mapping[str, Any]) -> frozenset[ControlGroup]:
    return frozenset(group for group in ControlGroup if group in controls.get(CONF_GROUPS, ()))
