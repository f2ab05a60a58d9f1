"""What entities share that show details of a car which Tesla bills: they are off until their owner enables them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from .coordinators.polled_details import DetailCoordinator
from .coordinators.vehicle import VehicleCoordinator
from .entity import ShownDescription, TeslaFiEntity


@dataclass(frozen=True, kw_only=True)
class DetailDescription(ShownDescription[Any]):
    """An entity about a detail, and which one; `value_fn` takes what is known of it."""

    detail: Callable[[VehicleCoordinator], DetailCoordinator[Any]]
    entity_registry_enabled_default: bool = False


class DetailEntity(TeslaFiEntity[DetailCoordinator[Any]]):
    """An entity that has its car's details asked for by being there."""

    def __init__(self, vehicle: VehicleCoordinator, description: DetailDescription) -> None:
        """Show what `description` says."""
        self._value_fn = description.value_fn
        super().__init__(description.detail(vehicle), description, vehicle.vin)

    @override
    def _current_value(self) -> Any:
        known = self.coordinator.data
        return None if known is None else self._value_fn(known)

    @override
    async def async_added_to_hass(self) -> None:
        """Look at once, in the background: Home Assistant's timer begins with the first who listens."""
        await super().async_added_to_hass()
        if self.coordinator.data is None:
            self.coordinator.config_entry.async_create_background_task(
                self.hass, self.coordinator.async_request_refresh(), "teslafi details"
            )
