"""What the automation editor offers for a car by name: each trigger is a change of one of the car's entities."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from homeassistant.components.device_automation import DEVICE_TRIGGER_BASE_SCHEMA
from homeassistant.components.homeassistant.triggers import state as state_trigger
from homeassistant.const import (
    CONF_DEVICE_ID,
    CONF_DOMAIN,
    CONF_ENTITY_ID,
    CONF_FOR,
    CONF_PLATFORM,
    CONF_TYPE,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import CALLBACK_TYPE, HomeAssistant
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.trigger import TriggerActionType, TriggerInfo
from homeassistant.helpers.typing import ConfigType
import probatio

from .const import DOMAIN

CHARGING: Final = ("starting", "charging")
GEARS: Final = ("d", "r", "n")
LEFT_OPEN_MINUTES: Final = 5


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the entities with these translation keys, each with its domain, from some states to others.

    `minutes`: how long the new state has to last, unless the owner says otherwise; 0 when it need not.
    """

    entities: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    minutes: int = 0


_CHARGE: Final = ("sensor.charge_state_charging_state",)
_GEAR: Final = ("sensor.drive_state_shift_state",)
_CABLE: Final = ("binary_sensor.charge_state_conn_charge_cable",)
_PLACE: Final = ("device_tracker.location",)
_OPENINGS: Final = (
    "binary_sensor.doors",
    "binary_sensor.windows",
    "binary_sensor.vehicle_state_ft",
    "binary_sensor.vehicle_state_rt",
    "cover.frunk",
    "cover.trunk",
    "cover.windows",
)

CHANGES: Final = {
    "charging_started": Change(_CHARGE, ("disconnected", "no_power", "stopped", "complete", "calibrating"), CHARGING),
    "charging_complete": Change(_CHARGE, CHARGING, ("complete",)),
    "charging_stopped_early": Change(_CHARGE, CHARGING, ("stopped", "no_power", "disconnected")),
    "plugged_in": Change(_CABLE, ("off",), ("on",)),
    "unplugged": Change(_CABLE, ("on",), ("off",)),
    "drive_started": Change(_GEAR, ("p",), GEARS),
    "drive_ended": Change(_GEAR, GEARS, ("p",)),
    "left_open": Change(_OPENINGS, ("off", "closed", "opening"), ("on", "open"), LEFT_OPEN_MINUTES),
    "tire_warning": Change(("binary_sensor.tire_warning",), ("off",), ("on",)),
    "update_available": Change(("update.software_update",), ("off",), ("on",)),
    "arrived_home": Change(_PLACE, (), ("home",)),
    "left_home": Change(_PLACE, ("home",), ()),
}
"""Trigger type -> what happens. No states means any other."""

TRIGGER_SCHEMA: Final = DEVICE_TRIGGER_BASE_SCHEMA.extend(
    {
        probatio.Required(CONF_TYPE): probatio.In(CHANGES),
        probatio.Optional(CONF_FOR): cv.positive_time_period_dict,
    }
)


async def async_get_triggers(hass: HomeAssistant, device_id: str) -> list[dict[str, str]]:
    """Return the triggers of a car, those alone whose entity is enabled."""
    return [
        {CONF_PLATFORM: "device", CONF_DOMAIN: DOMAIN, CONF_DEVICE_ID: device_id, CONF_TYPE: name}
        for name, change in CHANGES.items()
        if any(_entities(hass, device_id, change.entities))
    ]


async def async_get_trigger_capabilities(_hass: HomeAssistant, config: ConfigType) -> dict[str, probatio.Schema]:
    """Let the owner say how long something has to be left open."""
    if not (minutes := CHANGES[config[CONF_TYPE]].minutes):
        return {}
    suggested = {"suggested_value": {"minutes": minutes}}
    field = probatio.Optional(CONF_FOR, description=suggested)
    return {"extra_fields": probatio.Schema({field: cv.positive_time_period_dict})}


async def async_attach_trigger(
    hass: HomeAssistant, config: ConfigType, action: TriggerActionType, trigger_info: TriggerInfo
) -> CALLBACK_TYPE:
    """Run `action` at the change that the trigger names, by Home Assistant's own trigger for states."""
    change = CHANGES[config[CONF_TYPE]]
    lasting = config.get(CONF_FOR) or ({"minutes": change.minutes} if change.minutes else None)
    wanted: ConfigType = {
        CONF_PLATFORM: "state",
        CONF_ENTITY_ID: list(_entities(hass, config[CONF_DEVICE_ID], change.entities)),
        **(_only(state_trigger.CONF_FROM, change.before) if change.before else _but(state_trigger.CONF_NOT_FROM)),
        **(_only(state_trigger.CONF_TO, change.after) if change.after else _but(state_trigger.CONF_NOT_TO)),
        CONF_FOR: lasting,
    }
    state_config = await state_trigger.async_validate_trigger_config(
        hass, {key: value for key, value in wanted.items() if value is not None}
    )
    return await state_trigger.async_attach_trigger(hass, state_config, action, trigger_info, platform_type="device")


def _only(key: str, states: Iterable[str]) -> ConfigType:
    return {key: list(states)}


def _but(key: str) -> ConfigType:
    """Exclude what is no state: an outage that ends is no arrival."""
    return {key: [STATE_UNAVAILABLE, STATE_UNKNOWN]}


def _entities(hass: HomeAssistant, device_id: str, keys: Iterable[str]) -> Iterator[str]:
    """Return the ids of a device's enabled entities with these keys."""
    wanted = set(keys)
    for entry in er.async_entries_for_device(er.async_get(hass), device_id):
        if entry.platform == DOMAIN and f"{entry.domain}.{entry.translation_key}" in wanted:
            yield entry.entity_id
