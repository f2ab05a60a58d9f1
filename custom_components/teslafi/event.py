"""Events: each command that was sent to a car, or was not."""

from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .control_entity import ControlDescription, VehicleControl, async_setup_vehicle_controls
from .controls.groups import VEHICLE_GROUPS
from .controls.record import CommandRecord, Result
from .coordinators.vehicle import VehicleData
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class VehicleEventDescription(EventEntityDescription, ControlDescription[VehicleData]):
    """The commands of a car."""


EVENTS: Final = (
    VehicleEventDescription(
        key="commands",
        groups=VEHICLE_GROUPS,
        entity_category=EntityCategory.DIAGNOSTIC,
        # Each command is a line in words of the car's activity already (`logbook.py`)
        entity_registry_enabled_default=False,
        event_types=[result.value for result in Result],
        value_fn=lambda _: None,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the event of each car that may be controlled, by whatever group."""
    async_setup_vehicle_controls(hass, entry, Platform.EVENT, async_add_entities, EVENTS, CommandEvent)


class CommandEvent(VehicleControl, EventEntity):
    """The commands of a car. It tells of refused ones as well, so it is there while controls are locked."""

    @property
    @override
    def available(self) -> bool:
        """Whether it can tell anything."""
        return True

    def _show(self, value: None) -> None:
        """An event has no value."""

    @override
    async def async_added_to_hass(self) -> None:
        """Hear of each command."""
        await super().async_added_to_hass()
        self.async_on_remove(self._controls.sender.async_on_command(self.coordinator.vin, self._told))

    @callback
    def _told(self, record: CommandRecord) -> None:
        attributes: dict[str, Any] = record.attributes()
        self._trigger_event(record.result.value, attributes)
        self.async_write_ha_state()
