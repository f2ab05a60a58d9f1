"""Buttons: what a car does once."""

from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .control_entity import ControlDescription, Order, VehicleControl, async_setup_vehicle_controls
from .controls.commands import WAKE
from .controls.groups import VEHICLE_GROUPS, ControlGroup
from .coordinators.vehicle import VehicleData
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0

MEDIA: Final = (ControlGroup.MEDIA,)
SECURITY: Final = (ControlGroup.SECURITY,)
SOFTWARE: Final = (ControlGroup.SOFTWARE,)


@dataclass(frozen=True, kw_only=True)
class VehicleButtonDescription(ButtonEntityDescription, ControlDescription[VehicleData]):
    """A button; one that `needs_place` tells the car where it stands."""

    order: Order
    needs_place: bool = False


def _button(
    key: str, groups: tuple[ControlGroup, ...], order: Order, *paths: str, place: bool = False
) -> VehicleButtonDescription:
    return VehicleButtonDescription(
        key=key, groups=groups, order=order, paths=paths, needs_place=place, value_fn=lambda _: None
    )


BUTTONS: Final = (
    _button("flash_lights", MEDIA, Order("flash_lights")),
    _button("honk_horn", MEDIA, Order("honk_horn")),
    _button("boombox", MEDIA, Order("remote_boombox", {"sound": 0})),
    _button("locate", MEDIA, Order("remote_boombox", {"sound": 2000})),
    _button("remote_start", SECURITY, Order("remote_start_drive"), "vehicle_state.remote_start_supported"),
    _button(
        "homelink",
        SECURITY,
        Order("trigger_homelink"),
        "vehicle_state.homelink_device_count",
        place=True,
    ),
    _button("cancel_update", SOFTWARE, Order("cancel_software_update"), "vehicle_state.software_update"),
    # Whoever may do anything to the car may wake it
    _button("wake", VEHICLE_GROUPS, Order(WAKE)),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the buttons of the cars that may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.BUTTON, async_add_entities, BUTTONS, VehicleButton)


class VehicleButton(VehicleControl, ButtonEntity):
    """A button of a car."""

    entity_description: VehicleButtonDescription

    def _show(self, value: None) -> None:
        """A button has no value."""

    @override
    async def async_press(self) -> None:
        """Do it."""
        row = self.entity_description
        if not row.needs_place:
            await self._send(row.order)
            return
        drive = self.coordinator.data.snapshot.drive_state
        if drive.latitude is None or drive.longitude is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="place_unknown")
        await self._send(Order(row.order.name, {"lat": drive.latitude, "lon": drive.longitude}))
