"""Text: the navigation's destination, by name or address."""

from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.text import TextEntity, TextEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .control_entity import ControlDescription, Order, VehicleControl, async_setup_vehicle_controls
from .controls.groups import ControlGroup
from .coordinators.vehicle import VehicleData
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0
LONGEST: Final = 255


@dataclass(frozen=True, kw_only=True)
class VehicleTextDescription(TextEntityDescription, ControlDescription[VehicleData]):
    """A text of a car."""


def _destination(data: VehicleData) -> str | None:
    """Return where the car goes, "" for nowhere; None while it was never read."""
    snapshot = data.snapshot
    return (snapshot.drive_state.active_route_destination or "") if "drive_state" in snapshot.reported else None


TEXTS: Final = (
    VehicleTextDescription(
        key="navigation_destination",
        groups=(ControlGroup.MEDIA,),
        native_min=0,  # while the car goes nowhere
        native_max=LONGEST,
        value_fn=_destination,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the texts of the cars that may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.TEXT, async_add_entities, TEXTS, VehicleText)


class VehicleText(VehicleControl, TextEntity):
    """The destination of a car."""

    def _show(self, value: str | None) -> None:
        self._attr_native_value = value if value is None else value[:LONGEST]

    @override
    async def async_set_value(self, value: str) -> None:
        """Send the car there."""
        if not value.strip():
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="destination_needed")
        assumed = {"drive_state.active_route_destination": value}
        await self._send(Order("navigation_request", {"value": value}, assumed))
