"""Registers what is disabled by default without making an entity for each car: most entities of most cars are."""

from collections.abc import Iterable
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.entity import Entity, EntityDescription

from .const import DOMAIN


class DisabledEntities:
    """The entities of one table that were registered as disabled, as patterns of those of other cars.

    Home Assistant's platform registers the first car's, and works out its name, unit and options. The same holds for
    every other car's, which is registered like it at half the cost. What may differ from car to car, as the currency of
    a cost, Home Assistant brings up to date once somebody enables the entity.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, domain: str) -> None:
        """Register entities of an account for a platform."""
        self._registry = er.async_get(hass)
        self._entry = entry
        self._domain = domain
        self._patterns: dict[str, er.RegistryEntry] = {}

    @callback
    def learn(self, entities: Iterable[Entity]) -> None:
        """Take those of a car that Home Assistant has just registered, and did not add, as patterns."""
        for entity in entities:
            registered = entity.registry_entry
            if registered is not None and registered.disabled_by is er.RegistryEntryDisabler.INTEGRATION:
                self._patterns[entity.entity_description.key] = registered

    @callback
    def register(self, row: EntityDescription, unique_id: str, device: DeviceEntry) -> bool:
        """Register a row's entity like another car's; return False when it has to be made.

        It is made where there is no pattern yet, where it is registered already, and where it is found enabled: Home
        Assistant remembers what an owner enabled who removed the account and comes back.
        """
        pattern = self._patterns.get(row.key)
        if pattern is None or row.entity_registry_enabled_default:
            return False
        if self._registry.async_get_entity_id(self._domain, DOMAIN, unique_id) is not None:
            return False
        registered = self._registry.async_get_or_create(
            self._domain,
            DOMAIN,
            unique_id,
            capabilities=pattern.capabilities,
            config_entry=self._entry,
            device_id=device.id,
            disabled_by=er.RegistryEntryDisabler.INTEGRATION,
            entity_category=pattern.entity_category,
            get_initial_options=lambda: _initial_options(pattern),
            has_entity_name=pattern.has_entity_name,
            object_id_base=pattern.object_id_base,
            original_device_class=pattern.original_device_class,
            original_icon=pattern.original_icon,
            original_name=pattern.original_name,
            supported_features=pattern.supported_features,
            translation_key=pattern.translation_key,
            unit_of_measurement=pattern.unit_of_measurement,
        )
        return registered.disabled


def _initial_options(pattern: er.RegistryEntry) -> dict[str, Any]:
    """Return what Home Assistant itself noted when the entity was first registered; the rest is the owner's choice."""
    return {name: options for name, options in pattern.options.items() if name.endswith(".private")}
