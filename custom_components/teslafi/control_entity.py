"""What entities that command share: they exist with their group, are available while controls are open, and send.

A command's way: entity -> sender -> gate -> commander -> Tesla -> the car is looked at again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, override

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .compat import calling_context
from .controls.enabled import EnabledControls
from .controls.groups import ControlGroup
from .coordinators.site import SiteCoordinator, SiteData
from .coordinators.vehicle import VehicleCoordinator, VehicleData
from .entity import (
    ShownDescription,
    TeslaFiEntity,
    async_setup_site_platform,
    async_setup_vehicle_platform,
    site_block,
    site_device_info,
)
from .runtime import TeslaFiConfigEntry, enabled_controls

CONTROL: Final = "control"
"""Part of the unique ids of entities that command, so that they are found when they have to go."""
_IN_UNIQUE_ID: Final = f"-{CONTROL}-"


@dataclass(frozen=True, slots=True)
class Order:
    """A command with its parameters, and what the car reports once it is carried out (dotted paths)."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ControlDescription[SourceT](ShownDescription[SourceT]):
    """An entity that commands, and the groups of which any one brings it."""

    groups: tuple[ControlGroup, ...]

    @override
    def unique_id(self, owner: str) -> str:
        return super().unique_id(f"{owner}-{CONTROL}")


class _ControlEntity[CoordinatorT: VehicleCoordinator | SiteCoordinator](TeslaFiEntity[CoordinatorT]):
    """An entity that is there to command."""

    @property
    def _controls(self) -> EnabledControls:
        return enabled_controls(self.coordinator.config_entry)

    @property
    @override
    def available(self) -> bool:
        controls = self.coordinator.config_entry.runtime_data.controls
        return super().available and controls is not None and controls.is_open

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the gate as well: what it opens and shuts is shown at once."""
        await super().async_added_to_hass()
        self.async_on_remove(self._controls.coordinator.async_add_listener(self._handle_gate_update))

    @callback
    def _handle_gate_update(self) -> None:
        self.async_write_ha_state()


class VehicleControl(_ControlEntity[VehicleCoordinator]):
    """An entity that commands a car.

    What a command will set is shown from the press on; an entity that shows the way there (`under_way`: locking,
    opening, …) shows the end only once the car has answered.
    """

    _under_way: tuple[str, ...] = ()

    def __init__(self, coordinator: VehicleCoordinator, description: ControlDescription[VehicleData]) -> None:
        """Show what `description` says."""
        self._value_fn = description.value_fn
        super().__init__(coordinator, description, coordinator.vin)

    @override
    def _current_value(self) -> Any:
        return self._value_fn(self.coordinator.data)

    async def _send(self, order: Order, *, code: str | None = None, under_way: str | None = None) -> Mapping[str, Any]:
        """Send a command for whoever called; show what is `under_way` until it is known how it ended."""
        with self._showing(under_way):
            return await self._controls.sender.async_command(
                self.coordinator.vin,
                order.name,
                order.parameters,
                context=calling_context(self),
                entity_id=self.entity_id,
                code=code,
                assumed=order.assumed,
                shown_before=under_way is None,
            )

    @contextmanager
    def _showing(self, under_way: str | None) -> Iterator[None]:
        if under_way is None:
            yield
            return
        self._under_way = (*self._under_way, under_way)
        self.async_write_ha_state()
        try:
            yield
        finally:
            left = list(self._under_way)
            left.remove(under_way)
            self._under_way = tuple(left)
            self.async_write_ha_state()


class SiteControl(_ControlEntity[SiteCoordinator]):
    """An entity that commands an energy site."""

    _sending = 0

    def __init__(self, coordinator: SiteCoordinator, description: ControlDescription[SiteData]) -> None:
        """Show what `description` says."""
        self._value_fn = description.value_fn
        self._block = site_block(description)
        super().__init__(coordinator, description, str(coordinator.site_id), site_device_info(coordinator))

    @override
    def _is_shown(self) -> bool:
        return self.coordinator.shows(self._block)

    @override
    def _current_value(self) -> Any:
        return self._value_fn(self.coordinator.data)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave what is shown while a command is under way."""
        if not self._sending:
            super()._handle_coordinator_update()

    async def _send(self, name: str, value: Any, **parameters: Any) -> None:  # noqa: ANN401 - JSON
        """Send a command for whoever called; show the `value` that it sets from now on, unless it fails."""
        before = self._value
        self._sending += 1
        self._show_now(value)
        try:
            await self._controls.sender.async_command_site(
                self.coordinator.site_id, name, parameters, context=calling_context(self), entity_id=self.entity_id
            )
        except BaseException:
            self._show_now(before)
            raise
        finally:
            self._sending -= 1

    @callback
    def _show_now(self, value: Any) -> None:  # noqa: ANN401 - each platform has its own kind of value
        self._value = value
        self._show(value)
        self.async_write_ha_state()


@callback
def async_setup_vehicle_controls[DescriptionT: ControlDescription[VehicleData]](
    hass: HomeAssistant,
    entry: TeslaFiConfigEntry,
    platform: str,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Sequence[DescriptionT],
    entity_class: Callable[[VehicleCoordinator, DescriptionT], Entity],
) -> None:
    """Add the entities of the groups and cars that were enabled; remove the others."""
    controls = entry.runtime_data.controls
    groups = controls.groups if controls else frozenset()
    vins = controls.vehicles if controls else frozenset()
    enabled = [row for row in descriptions if not groups.isdisjoint(row.groups)]
    still_enabled = {f"{vin}-{CONTROL}-{row.key}" for vin in vins for row in enabled}
    _remove_from_registry(hass, entry, platform, {row.key for row in descriptions}, still_enabled.__contains__)
    async_setup_vehicle_platform(entry, async_add_entities, enabled, entity_class, vins=vins)


@callback
def async_setup_site_controls[DescriptionT: ControlDescription[SiteData]](
    hass: HomeAssistant,
    entry: TeslaFiConfigEntry,
    platform: str,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Sequence[DescriptionT],
    entity_class: Callable[[SiteCoordinator, DescriptionT], Entity],
) -> None:
    """Add the entities of energy sites, when their group was enabled; remove them otherwise.

    Which sites there are does not matter: one that is not listed now may only have been out of reach.
    """
    controls = entry.runtime_data.controls
    enabled = list(descriptions) if controls and ControlGroup.ENERGY in controls.groups else []
    still_enabled = tuple(f"-{CONTROL}-{row.key}" for row in enabled)
    _remove_from_registry(
        hass, entry, platform, {row.key for row in descriptions}, lambda unique_id: unique_id.endswith(still_enabled)
    )
    async_setup_site_platform(entry, async_add_entities, enabled, entity_class)


@callback
def remove_controls(hass: HomeAssistant, entry: TeslaFiConfigEntry) -> None:
    """Remove the registry's entries of all that commands: no controls are enabled."""
    registry = er.async_get(hass)
    for known in _registered(registry, entry):
        registry.async_remove(known.entity_id)


def _remove_from_registry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, platform: str, ours: set[str], still_enabled: Callable[[str], bool]
) -> None:
    """Remove the registry's entries of these rows that are not enabled any more."""
    registry = er.async_get(hass)
    for known in _registered(registry, entry):
        key = known.unique_id.rpartition(_IN_UNIQUE_ID)[2]
        if known.domain == platform and key in ours and not still_enabled(known.unique_id):
            registry.async_remove(known.entity_id)


def _registered(registry: er.EntityRegistry, entry: TeslaFiConfigEntry) -> Sequence[er.RegistryEntry]:
    """Return the entities that command as they were registered before this set-up: looked for once in it."""
    data = entry.runtime_data
    if data.registered_controls is None:
        known = er.async_entries_for_config_entry(registry, entry.entry_id)
        data.registered_controls = [one for one in known if _IN_UNIQUE_ID in one.unique_id]
    return data.registered_controls
