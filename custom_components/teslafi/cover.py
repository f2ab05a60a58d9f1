"""Covers: trunks, charge port, windows, sunroof."""

from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.cover import (
    CoverDeviceClass,
    CoverEntity,
    CoverEntityDescription,
    CoverEntityFeature,
)
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue import fitted
from .catalogue.body import WINDOWS
from .const import DOMAIN
from .control_entity import ControlDescription, Order, VehicleControl, async_setup_vehicle_controls
from .controls.groups import ControlGroup
from .coordinators.vehicle import VehicleCoordinator, VehicleData
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0
OPENING: Final = "opening"
CLOSING: Final = "closing"
WINDOW_PATHS: Final = tuple(f"vehicle_state.{name}" for name in WINDOWS)


@dataclass(frozen=True, kw_only=True)
class VehicleCoverDescription(CoverEntityDescription, ControlDescription[VehicleData]):
    """A cover, whose `value_fn` tells whether it is closed; `close` or `stop` is None where the car cannot."""

    open: Order
    close: Order | None = None
    stop: Order | None = None
    needs_place: bool = False
    """Whether closing tells the car that somebody stands by it: the place is the car's own."""
    powered: bool = False
    """Whether closing needs a motor (`vehicle_config.plg`)."""


def _closed(name: str) -> Any:  # noqa: ANN401 - a value_fn
    def value(data: VehicleData) -> bool | None:
        position = getattr(data.snapshot.vehicle_state, name)
        return None if position is None else position == 0

    return value


def _windows_closed(data: VehicleData) -> bool | None:
    positions = [getattr(data.snapshot.vehicle_state, name) for name in WINDOWS]
    known = [position for position in positions if position is not None]
    return all(position == 0 for position in known) if known else None


def _port_closed(data: VehicleData) -> bool | None:
    opened = data.snapshot.charge_state.charge_port_door_open
    return None if opened is None else not opened


def _roof_closed(data: VehicleData) -> bool | None:
    state = data.snapshot.vehicle_state.sun_roof_state
    return None if state is None else state == "closed"


COVERS: Final = (
    VehicleCoverDescription(
        key="frunk",
        groups=(ControlGroup.OPENINGS,),
        device_class=CoverDeviceClass.DOOR,
        paths=("vehicle_state.ft",),
        expected=True,
        value_fn=_closed("ft"),
        open=Order("actuate_trunk", {"which_trunk": "front"}, {"vehicle_state.ft": 1}),
    ),
    VehicleCoverDescription(
        key="trunk",
        groups=(ControlGroup.OPENINGS,),
        device_class=CoverDeviceClass.DOOR,
        paths=("vehicle_state.rt",),
        expected=True,
        value_fn=_closed("rt"),
        open=Order("actuate_trunk", {"which_trunk": "rear"}, {"vehicle_state.rt": 1}),
        close=Order("actuate_trunk", {"which_trunk": "rear"}, {"vehicle_state.rt": 0}),
        powered=True,
    ),
    VehicleCoverDescription(
        key="charge_port",
        groups=(ControlGroup.CHARGING,),
        device_class=CoverDeviceClass.DOOR,
        paths=("charge_state.charge_port_door_open",),
        expected=True,
        value_fn=_port_closed,
        open=Order("charge_port_door_open", {}, {"charge_state.charge_port_door_open": True}),
        close=Order("charge_port_door_close", {}, {"charge_state.charge_port_door_open": False}),
    ),
    VehicleCoverDescription(
        key="windows",
        groups=(ControlGroup.OPENINGS,),
        device_class=CoverDeviceClass.WINDOW,
        paths=WINDOW_PATHS,
        expected=True,
        value_fn=_windows_closed,
        open=Order(
            "window_control", {"command": "vent", "lat": 0, "lon": 0}, {f"vehicle_state.{w}": 1 for w in WINDOWS}
        ),
        close=Order("window_control", {"command": "close"}, {f"vehicle_state.{w}": 0 for w in WINDOWS}),
        needs_place=True,
    ),
    VehicleCoverDescription(
        key="sunroof",
        groups=(ControlGroup.OPENINGS,),
        device_class=CoverDeviceClass.WINDOW,
        paths=("vehicle_config.sun_roof_installed",),
        fitted=fitted.sunroof,
        value_fn=_roof_closed,
        open=Order("sun_roof_control", {"state": "vent"}, {"vehicle_state.sun_roof_state": "vent"}),
        close=Order("sun_roof_control", {"state": "close"}, {"vehicle_state.sun_roof_state": "closed"}),
        stop=Order("sun_roof_control", {"state": "stop"}),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the covers of the cars that may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.COVER, async_add_entities, COVERS, VehicleCover)


class VehicleCover(VehicleControl, CoverEntity):
    """Something of a car that opens."""

    entity_description: VehicleCoverDescription

    def __init__(self, coordinator: VehicleCoordinator, description: VehicleCoverDescription) -> None:
        """Offer what this car can."""
        super().__init__(coordinator, description)
        features = CoverEntityFeature.OPEN
        motor = coordinator.data.snapshot.vehicle_config.plg or not description.powered
        if description.close is not None and motor:
            features |= CoverEntityFeature.CLOSE
        if description.stop is not None and not coordinator.signs:
            # The signed form of the protocol has no word for it
            features |= CoverEntityFeature.STOP
        self._attr_supported_features = features

    @property
    @override
    def is_opening(self) -> bool:
        """Whether it is just being opened."""
        return OPENING in self._under_way

    @property
    @override
    def is_closing(self) -> bool:
        """Whether it is just being closed."""
        return CLOSING in self._under_way

    def _show(self, value: bool | None) -> None:  # noqa: FBT001 - a value
        self._attr_is_closed = value

    @override
    async def async_open_cover(self, **kwargs: Any) -> None:
        """Open, or vent; what is open already stays so, since the rear trunk's command would close it."""
        if not (self.entity_description.powered and self.is_closed is False):
            await self._send(self.entity_description.open, under_way=OPENING)

    @override
    async def async_close_cover(self, **kwargs: Any) -> None:
        """Close."""
        order = self.entity_description.close
        if order is None or (self.entity_description.powered and self.is_closed):
            return
        if self.entity_description.needs_place:
            drive = self.coordinator.data.snapshot.drive_state
            if drive.latitude is None or drive.longitude is None:
                raise ServiceValidationError(
                    translation_domain=DOMAIN,
                    translation_key="place_needed",
                    translation_placeholders={"name": self.coordinator.vehicle_name},
                )
            place = {"lat": drive.latitude, "lon": drive.longitude}
            order = Order(order.name, {**order.parameters, **place}, order.assumed)
        await self._send(order, under_way=CLOSING)

    @override
    async def async_stop_cover(self, **kwargs: Any) -> None:
        """Stop moving."""
        if self.entity_description.stop is not None:
            await self._send(self.entity_description.stop)
