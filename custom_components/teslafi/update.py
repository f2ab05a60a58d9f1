"""Update: the software a car has, and the software Tesla offers it; installed from here while controls allow it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, override

from homeassistant.components.update import (
    UpdateDeviceClass,
    UpdateEntity,
    UpdateEntityDescription,
    UpdateEntityFeature,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.models import version_of
from .catalogue.software import INSTALLING, OFFERED
from .compat import calling_context
from .controls.groups import ControlGroup
from .coordinators.details import BudgetUsedUp, refusal
from .coordinators.vehicle import VehicleData
from .entity import ShownDescription, VehicleEntity, async_setup_vehicle_platform, grouped
from .runtime import TeslaFiConfigEntry, enabled_controls
from .tesla.errors import TeslaError
from .tesla.vehicle_details import ReleaseNote

PARALLEL_UPDATES = 0


class Software(NamedTuple):
    """What an update entity shows. `progress` is in percent, while it is being installed."""

    installed: str | None
    latest: str | None
    installing: bool
    progress: float | None


@dataclass(frozen=True, kw_only=True)
class VehicleUpdateDescription(UpdateEntityDescription, ShownDescription[VehicleData]):
    """An update, whose `value_fn` returns a Software."""

    expected: bool | None = None


def _software(data: VehicleData) -> Software:
    state = data.snapshot.vehicle_state
    update = state.software_update
    installed = version_of(state.car_version)
    installing = update.status == INSTALLING
    return Software(
        installed=installed,
        latest=version_of(update.version) if update.status in OFFERED else installed,
        installing=installing,
        progress=update.install_perc if installing else None,
    )


VEHICLE_UPDATES: Final = grouped(
    "update",
    (
        VehicleUpdateDescription(
            key="software_update",
            paths=("vehicle_state.car_version", "vehicle_state.software_update"),
            value_fn=_software,
            device_class=UpdateDeviceClass.FIRMWARE,
        ),
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the update of each of the account's cars."""
    async_setup_vehicle_platform(entry, async_add_entities, VEHICLE_UPDATES, VehicleUpdate)


class VehicleUpdateBase(UpdateEntity):
    """How an update takes what is known of the software."""

    _attr_supported_features = UpdateEntityFeature.PROGRESS
    _installing = False

    def _show(self, value: Software) -> None:
        self._installing = value.installing
        self._attr_installed_version = value.installed
        self._attr_latest_version = value.latest
        self._attr_update_percentage = value.progress

    @property
    @override
    def in_progress(self) -> bool:
        """Whether the car installs: its own word. Home Assistant forgets an attribute when the call is over."""
        return self._installing

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Take what Tesla offers for newer: versions of maps and of cars do not compare."""
        return latest_version != installed_version


class ReleaseNotes(NamedTuple):
    """What is new in a version; None where Tesla has no notes for it."""

    version: str
    text: str | None


def as_markdown(notes: Iterable[ReleaseNote]) -> str | None:
    """Write release notes with a heading for each part; None when there is nothing to write."""
    parts = (
        "\n\n".join(
            text
            for text in (
                note.title and f"## {note.title}",
                note.subtitle and f"**{note.subtitle}**",
                note.description,
            )
            if text
        )
        for note in notes
    )
    return "\n\n".join(part for part in parts if part) or None


class VehicleUpdate(VehicleUpdateBase, VehicleEntity):
    """The software of a car."""

    _notes: ReleaseNotes | None = None

    @property
    @override
    def supported_features(self) -> UpdateEntityFeature:
        """Offer to install while the owner allows it, and release notes where the car has them."""
        features = UpdateEntityFeature.PROGRESS
        supported = self.coordinator.data.snapshot.vehicle.release_notes_supported
        if supported is not False and self.coordinator.details.offered:
            features |= UpdateEntityFeature.RELEASE_NOTES
        controls = self.coordinator.config_entry.runtime_data.controls
        if controls is None or not controls.is_open or not controls.covers(self.coordinator.vin, ControlGroup.SOFTWARE):
            return features
        return features | UpdateEntityFeature.INSTALL

    @override
    async def async_release_notes(self) -> str | None:
        """Return the notes of the offered version, else of the installed one, as Markdown.

        Home Assistant asks when somebody opens the update. Tesla bills the question, so each version is asked for once.
        """
        latest, installed = self.latest_version, self.installed_version
        version = latest or installed
        if version is None:
            return None
        if self._notes is None or self._notes.version != version:
            try:
                notes = await self.coordinator.details.release_notes(version, staged=latest != installed)
            except (TeslaError, BudgetUsedUp) as error:
                raise refusal(error, self.coordinator.vehicle_name) from error
            self._notes = ReleaseNotes(version, as_markdown(notes))
        return self._notes.text

    @property
    @override
    def entity_category(self) -> EntityCategory:
        """Where nothing can be installed, there is nothing to configure."""
        controls = self.coordinator.config_entry.runtime_data.controls
        covered = controls is not None and controls.covers(self.coordinator.vin, ControlGroup.SOFTWARE)
        return EntityCategory.CONFIG if covered else EntityCategory.DIAGNOSTIC

    @override
    async def async_install(self, version: str | None, backup: bool, **kwargs: Any) -> None:
        """Have the car install what it downloaded, at once."""
        controls = enabled_controls(self.coordinator.config_entry)
        assumed = {"vehicle_state.software_update.status": INSTALLING}
        await controls.sender.async_command(
            self.coordinator.vin,
            "schedule_software_update",
            {"offset_sec": 0},
            context=calling_context(self),
            entity_id=self.entity_id,
            assumed=assumed,
        )

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the gate, where there is one: it decides whether *Install* is offered."""
        await super().async_added_to_hass()
        if (controls := self.coordinator.config_entry.runtime_data.controls) is not None:
            self.async_on_remove(controls.coordinator.async_add_listener(self.async_write_ha_state))

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        before = self._attr_installed_version
        super()._handle_coordinator_update()
        installed = self._attr_installed_version
        if installed != before and installed is not None and self.device_entry is not None:
            dr.async_get(self.hass).async_update_device(self.device_entry.id, sw_version=installed)
