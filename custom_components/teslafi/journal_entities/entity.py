"""What entities of a car's journal share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.core import callback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from ..coordinators.journal_summary import JournalCoordinator, JournalData
from ..coordinators.vehicle import VehicleCoordinator
from ..entity import ShownDescription
from ..runtime import TeslaFiConfigEntry


@dataclass(frozen=True, kw_only=True)
class JournalDescription(ShownDescription[Any]):
    """An entity of the journal; `value_fn` takes `JournalData` and never raises."""

    value_fn: Callable[[JournalData], Any] = lambda _: None
    entity_registry_enabled_default: bool = False


def journal_of(vehicle: VehicleCoordinator) -> JournalCoordinator:
    """Return what follows the journal of a car."""
    entry: TeslaFiConfigEntry = vehicle.config_entry
    return entry.runtime_data.journal_of(vehicle.vin)


class JournalEntity(CoordinatorEntity[JournalCoordinator]):
    """An entity of a car's journal. It is there whatever Tesla answers: what is kept stays true."""

    _attr_has_entity_name = True

    def __init__(self, vehicle: VehicleCoordinator, description: JournalDescription) -> None:
        """Show what `description` says; the platform's set-up gives the device."""
        super().__init__(journal_of(vehicle))
        self.entity_description = description
        self._attr_unique_id = description.unique_id(vehicle.vin)
        self._attr_translation_key = description.translation_key or description.key
        self._value_fn = description.value_fn
        self._value = self._value_fn(self.coordinator.data)
        self._readable = self.coordinator.readable

    @property
    @override
    def available(self) -> bool:
        return self.coordinator.readable

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        value, readable = self._value_fn(self.coordinator.data), self.coordinator.readable
        if (value, readable) != (self._value, self._readable):
            self._value, self._readable = value, readable
            super()._handle_coordinator_update()
