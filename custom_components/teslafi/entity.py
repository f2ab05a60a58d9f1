"""What all entities share: where a value comes from, when it is written, and when an entity comes to be.

An entity that is enabled by default exists from the first minute, whether its car was ever awake or not, unless the car
turns out not to report it. Any other exists from the moment its car or site first reports one of its paths. Both go on
existing: what was once reported is kept with the last values. An entity writes its state only when its value or its
availability changed, so that a refresh in which nothing happened costs one look per entity.
"""

from abc import abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any, Final, override

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback, async_get_current_platform
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .catalogue.fitted import Fitted, energy_paths
from .catalogue.grouped import ATTRIBUTES, rule_of, shown_by
from .catalogue.models import model_of, trim_of, version_of
from .const import DOMAIN
from .coordinators.polled_details import DetailCoordinator
from .coordinators.site import INFO, LIVE, SiteCoordinator, SiteData
from .coordinators.vehicle import VehicleCoordinator, VehicleData
from .disabled_entities import DisabledEntities
from .link.coordinator import LinkCoordinator, LinkStatus
from .link.session import companion_identifier
from .runtime import TeslaFiConfigEntry
from .tesla.energy_site import BatteryPart, GatewayPart, WallConnector
from .tesla.snapshot import Snapshot

type SitePart = GatewayPart | BatteryPart

MANUFACTURER: Final = "Tesla"
PLACE: Final = "drive_state.latitude"
"""Among the paths of whatever the car tells with its place alone."""


@dataclass(frozen=True, kw_only=True)
class ShownDescription[SourceT](EntityDescription):
    """An entity and where its value comes from.

    `value_fn` never raises, whatever the source holds. `paths` are the reported paths of which one suffices for the
    entity to exist; an entity with none always exists. One that is `expected` (None: if it is enabled by default)
    exists as long as the block of its paths never came. `fitted` tells whether the car has what the entity is about;
    `keep_registered` keeps one that an earlier version made. `attributes` are the paths of values of a car that the
    entity shows as its attributes.
    """

    value_fn: Callable[[SourceT], Any]
    paths: tuple[str, ...] = ()
    fitted: Fitted | None = None
    keep_registered: bool = False
    attributes: tuple[str, ...] = ()
    expected: bool | None = False

    def unique_id(self, owner: str) -> str:
        """Return the unique id of the entity of a VIN, a site's number or another owner."""
        return f"{owner}-{self.key}"

    def is_due(self, reported: frozenset[str]) -> bool:
        """Whether the entity exists, by the paths and blocks that were reported so far."""
        if not self.paths or not reported.isdisjoint(self.paths):
            return True
        expected = self.entity_registry_enabled_default if self.expected is None else self.expected
        return expected and self.paths[0].partition(".")[0] not in reported


def grouped[RowT: ShownDescription[VehicleData]](platform: str, rows: Iterable[RowT]) -> tuple[RowT, ...]:
    """Return the rows of a platform with their attributes; a new car gets none for what another entity of it shows."""
    return tuple(_grouped(platform, row) for row in rows)


def _grouped[RowT: ShownDescription[VehicleData]](platform: str, row: RowT) -> RowT:
    changes: Mapping[str, Any] = {"attributes": ATTRIBUTES.get(f"{platform}.{row.key}", ())}
    if (shown := shown_by(platform, row.key)) is not None:
        changes = {"fitted": rule_of(shown), "keep_registered": True}
    return replace(row, **changes)


class TeslaFiEntity[CoordinatorT: VehicleCoordinator | SiteCoordinator | LinkCoordinator | DetailCoordinator[Any]](
    CoordinatorEntity[CoordinatorT]
):
    """An entity whose value is computed from its coordinator's data, and written when it changed."""

    _attr_has_entity_name = True
    _attribute_values: tuple[tuple[str, Callable[[Any], Any]], ...] = ()
    """Names of the attributes, and how to read each."""

    def __init__(
        self,
        coordinator: CoordinatorT,
        description: ShownDescription[Any],
        owner: str,
        device_info: DeviceInfo | None = None,
    ) -> None:
        """Take the value of the moment. `owner` begins the unique id; whose device exists gives no `device_info`."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = description.unique_id(owner)
        if device_info is not None:
            self._attr_device_info = device_info
        self._shown = self._is_shown()
        self._value = self._current_value()
        self._show(self._value)

    @property
    @override
    def translation_key(self) -> str:
        return self.entity_description.translation_key or self.entity_description.key

    @abstractmethod
    def _current_value(self) -> Any:  # noqa: ANN401 - each platform has its own kind of value
        """Compute the value from the coordinator's data."""

    @abstractmethod
    def _show(self, value: Any) -> None:  # noqa: ANN401 - the same
        """Set the attributes that Home Assistant reads."""

    def _is_worth_writing(self, _value: Any) -> bool:  # noqa: ANN401 - the same
        """Whether a value that differs from the one shown differs by enough to be written."""
        return True

    def _attributes_changed(self) -> bool:
        """Take the attributes of the moment; return whether they differ from those shown."""
        return False

    def _is_shown(self) -> bool:
        """Whether the value is new enough to be shown."""
        return self.coordinator.reachable

    @property
    @override
    def available(self) -> bool:
        return self._is_shown()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        value = self._current_value()
        shown = self._is_shown()
        changed = value != self._value and self._is_worth_writing(value)
        attributes_changed = bool(self._attribute_values) and self._attributes_changed()
        if not (attributes_changed or changed) and shown == self._shown:
            return
        self._shown = shown
        if changed:
            self._value = value
            self._show(value)
        self.async_write_ha_state()


class VehicleEntity(TeslaFiEntity[VehicleCoordinator]):
    """An entity of a car."""

    def __init__(self, coordinator: VehicleCoordinator, description: ShownDescription[VehicleData]) -> None:
        """Show what `description` says."""
        self._value_fn = description.value_fn
        if description.attributes:
            self._attribute_values = _attribute_values(description.attributes)
        super().__init__(coordinator, description, coordinator.vin)
        controls = coordinator.config_entry.runtime_data.controls
        if controls and (default := controls.enabled_by_default(coordinator.vin, description.key)) is not None:
            self._attr_entity_registry_enabled_default = default
        if self._attribute_values:
            self._attributes_changed()

    @override
    def _current_value(self) -> Any:
        return self._value_fn(self.coordinator.data)

    @override
    def _attributes_changed(self) -> bool:
        before, snapshot = getattr(self, "_attr_extra_state_attributes", None), self.coordinator.data.snapshot
        values = {name: value for name, read in self._attribute_values if (value := read(snapshot)) is not None}
        if values == before:
            return False
        self._attr_extra_state_attributes = values
        return True


class SensedVehicleEntity(VehicleEntity):
    """A sensor or binary sensor of a car: of these each car has dozens.

    What is the same of all of them is the class's: Home Assistant's cached properties would keep it in each entity, and
    one with more than 42 attributes takes twice the memory.
    """

    assumed_state = False
    attribution = None
    device_info = None
    entity_picture = None
    entity_registry_visible_default = True
    force_update = False
    has_entity_name = True
    icon = None
    should_poll = False
    supported_features = None


@cache
def _attribute_values(paths: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return names of attributes and how to read them from a snapshot, made once for all cars."""
    return tuple((path.rpartition(".")[2], attrgetter(path)) for path in paths)


class SiteEntity(TeslaFiEntity[SiteCoordinator]):
    """An entity of an energy site."""

    def __init__(self, coordinator: SiteCoordinator, description: ShownDescription[SiteData]) -> None:
        """Show what `description` says."""
        self._value_fn = description.value_fn
        self._block = site_block(description)
        super().__init__(coordinator, description, str(coordinator.site_id), site_device_info(coordinator))
        controls = coordinator.config_entry.runtime_data.controls
        if controls and (default := controls.enabled_by_default_at_sites(description.key)) is not None:
            self._attr_entity_registry_enabled_default = default

    @override
    def _is_shown(self) -> bool:
        return self.coordinator.shows(self._block)

    @override
    def _current_value(self) -> Any:
        return self._value_fn(self.coordinator.data)


class WallConnectorEntity(TeslaFiEntity[SiteCoordinator]):
    """An entity of a wall connector, a device of its own behind the energy site."""

    def __init__(self, coordinator: SiteCoordinator, description: ShownDescription[WallConnector], din: str) -> None:
        """Show what `description` says."""
        self._din = din
        self._value_fn = description.value_fn
        super().__init__(coordinator, description, din, wall_connector_device_info(coordinator, din))

    @override
    def _is_shown(self) -> bool:
        return self.coordinator.shows(LIVE)

    @override
    def _current_value(self) -> Any:
        connector = self.coordinator.data.live.wall_connector(self._din)
        return None if connector is None else self._value_fn(connector)


@dataclass(frozen=True, kw_only=True)
class PartDescription(ShownDescription[Any]):
    """An entity of a gateway or battery; `parts` finds them, `part_name` names one without a name of its own."""

    parts: Callable[[SiteData], tuple[SitePart, ...]]
    part_name: str


class PartEntity(TeslaFiEntity[SiteCoordinator]):
    """An entity of a gateway or battery, a device of its own behind the energy site."""

    def __init__(self, coordinator: SiteCoordinator, description: PartDescription, part: SitePart) -> None:
        """Show what `description` says."""
        self._din = part.din
        self._parts = description.parts
        self._value_fn = description.value_fn
        device_info = part_device_info(coordinator, description.part_name, part)
        super().__init__(coordinator, description, str(part.din), device_info)

    @override
    def _is_shown(self) -> bool:
        return self.coordinator.shows(INFO)

    @override
    def _current_value(self) -> Any:
        part = next((part for part in self._parts(self.coordinator.data) if part.din == self._din), None)
        return None if part is None else self._value_fn(part)


class LinkEntity(TeslaFiEntity[LinkCoordinator]):
    """An entity of the link to a companion."""

    def __init__(self, coordinator: LinkCoordinator, description: ShownDescription[LinkStatus]) -> None:
        """Show what `description` says."""
        self._value_fn = description.value_fn
        identifier = companion_identifier(coordinator.config_entry)
        device_info = DeviceInfo(
            identifiers={(DOMAIN, identifier)},
            entry_type=DeviceEntryType.SERVICE,
            translation_key="companion",
            configuration_url=f"{coordinator.origin}/links",
        )
        super().__init__(coordinator, description, identifier, device_info)

    @override
    def _current_value(self) -> Any:
        return self._value_fn(self.coordinator.data)


def site_block(description: ShownDescription[SiteData]) -> str:
    """Return the block of an energy site that the entity's value comes from: the first part of its paths."""
    return description.paths[0].partition(".")[0] if description.paths else LIVE


def _vehicle_device(coordinator: VehicleCoordinator) -> dr.DeviceEntry:
    """Make the device of a car, or bring it up to date: once for all entities of a platform."""
    vin = coordinator.vin
    snapshot = coordinator.data.snapshot
    return dr.async_get(coordinator.hass).async_get_or_create(
        config_entry_id=coordinator.config_entry.entry_id,
        identifiers={(DOMAIN, vin)},
        manufacturer=MANUFACTURER,
        model=" ".join(filter(None, (model_of(snapshot, vin), trim_of(snapshot)))) or None,
        model_id=None,  # an earlier version wrote Tesla's abbreviation, which the model says in words
        name=coordinator.vehicle_name,
        serial_number=vin,
        sw_version=version_of(snapshot.vehicle_state.car_version),
    )


def site_name(coordinator: SiteCoordinator) -> str:
    """Return the name the owner gave to an energy site, or ours."""
    return coordinator.data.info.site_name or coordinator.site_name or f"Energy site {coordinator.site_id}"


def site_device_info(coordinator: SiteCoordinator) -> DeviceInfo:
    """Describe an energy site."""
    info = coordinator.data.info
    parts = (("Powerwall", info.components.battery), ("Solar", info.components.solar))
    return DeviceInfo(
        identifiers={(DOMAIN, str(coordinator.site_id))},
        manufacturer=MANUFACTURER,
        model=", ".join(part for part, there in parts if there) or None,
        name=site_name(coordinator),
        serial_number=str(coordinator.site_id),
        sw_version=version_of(info.version),
    )


def wall_connector_device_info(coordinator: SiteCoordinator, din: str) -> DeviceInfo:
    """Describe a wall connector; its site's device must exist already."""
    parts = coordinator.data.info.components.wall_connectors
    part = next((part for part in parts if part.din == din), None)
    return DeviceInfo(
        identifiers={(DOMAIN, din)},
        manufacturer=MANUFACTURER,
        model=part.part_name if part else None,
        name="Wall Connector",
        serial_number=(part.serial_number if part else None) or din.rsplit("-", maxsplit=1)[-1],
        via_device_id=_site_device_id(coordinator),
    )


def part_device_info(coordinator: SiteCoordinator, name: str, part: SitePart) -> DeviceInfo:
    """Describe a gateway or battery, a device behind its site's, which must exist already."""
    din = part.din or ""
    return DeviceInfo(
        identifiers={(DOMAIN, din)},
        manufacturer=MANUFACTURER,
        model=part.part_name,
        model_id=part.part_number,
        name=part.part_name or name,
        serial_number=part.serial_number or din.rsplit("-", maxsplit=1)[-1],
        sw_version=version_of(part.firmware_version) if isinstance(part, GatewayPart) else None,
        via_device_id=_site_device_id(coordinator),
    )


def _site_device_id(coordinator: SiteCoordinator) -> str:
    return dr.async_get_device_id_by_identifier(
        coordinator.hass, (DOMAIN, str(coordinator.site_id)), config_entry_id=coordinator.config_entry.entry_id
    )


@callback
def async_setup_vehicle_platform[DescriptionT: ShownDescription[VehicleData]](
    entry: TeslaFiConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Sequence[DescriptionT],
    entity_class: Callable[[VehicleCoordinator, DescriptionT], Entity],
    *,
    vins: Container[str] | None = None,
) -> None:
    """Add the entities of every car (or of those of `vins`), and of cars and values that turn up later.

    One that is known to be disabled is not made at all; Home Assistant sets up anew what is enabled.
    """
    if not descriptions:
        return
    platform = async_get_current_platform()
    domain = platform.domain
    disabled = DisabledEntities(platform.hass, entry, domain)

    def begin(coordinator: VehicleCoordinator) -> CALLBACK_TYPE:
        if vins is not None and coordinator.vin not in vins:
            return _add_nothing
        pending = _Pending(descriptions)
        missing = _MissingEquipment[DescriptionT](
            lambda row: _is_known(coordinator.hass, domain, row.unique_id(coordinator.vin))
        )

        def due() -> list[DescriptionT]:
            snapshot = coordinator.data.snapshot
            due = pending.take(snapshot.reported)
            if not coordinator.reads_location:
                due = [row for row in due if PLACE not in row.paths or not snapshot.reported.isdisjoint(row.paths)]
            due = missing.fitted(due, snapshot)
            return [row for row in due if not _is_disabled(coordinator.hass, domain, row.unique_id(coordinator.vin))]

        def add(rows: list[DescriptionT]) -> None:
            device = _vehicle_device(coordinator)
            entities: list[Entity] = []
            for row in rows:
                if not disabled.register(row, row.unique_id(coordinator.vin), device):
                    entity = entity_class(coordinator, row)
                    entity.device_entry = device
                    entities.append(entity)
            async_add_entities(entities)
            disabled.learn(entities)

        def listen(look: CALLBACK_TYPE) -> CALLBACK_TYPE:
            return coordinator.listen_to_news(look) if pending.more or missing.more else _add_nothing

        return _add_when_due(due, add, listen)

    _follow(entry, entry.runtime_data.vehicles, begin)


@callback
def async_setup_site_platform[DescriptionT: ShownDescription[SiteData]](
    entry: TeslaFiConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Sequence[DescriptionT],
    entity_class: Callable[[SiteCoordinator, DescriptionT], Entity],
) -> None:
    """Add the entities of every energy site, and of sites and values that turn up later."""

    def begin(coordinator: SiteCoordinator) -> CALLBACK_TYPE:
        pending = _Pending(descriptions)

        def due() -> list[Entity]:
            data = coordinator.data
            reported = data.reported | energy_paths(data.info)
            return [entity_class(coordinator, description) for description in pending.take(reported)]

        return _add_when_due(due, async_add_entities, coordinator.async_add_listener)

    _follow(entry, entry.runtime_data.sites, begin)


@callback
def async_setup_wall_connector_platform[DescriptionT: ShownDescription[WallConnector]](
    entry: TeslaFiConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Sequence[DescriptionT],
    entity_class: Callable[[SiteCoordinator, DescriptionT, str], Entity],
) -> None:
    """Add the entities of every wall connector of every energy site, and of those that turn up later."""

    def begin(coordinator: SiteCoordinator) -> CALLBACK_TYPE:
        made: set[str] = set()

        def due() -> list[Entity]:
            connectors = coordinator.data.live.wall_connectors
            new = {connector.din for connector in connectors if connector.din is not None} - made
            if not new:
                return []
            made.update(new)
            _make_site_device(entry, coordinator)
            return [entity_class(coordinator, description, din) for din in sorted(new) for description in descriptions]

        return _add_when_due(due, async_add_entities, coordinator.async_add_listener)

    _follow(entry, entry.runtime_data.sites, begin)


def _is_known(hass: HomeAssistant, domain: str, unique_id: str) -> bool:
    return er.async_get(hass).async_get_entity_id(domain, DOMAIN, unique_id) is not None


def _is_disabled(hass: HomeAssistant, domain: str, unique_id: str) -> bool:
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id(domain, DOMAIN, unique_id)
    known = registry.async_get(entity_id) if entity_id else None
    return known is not None and known.disabled


@callback
def async_setup_part_platform[DescriptionT: PartDescription](
    entry: TeslaFiConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Sequence[DescriptionT],
    entity_class: Callable[[SiteCoordinator, DescriptionT, SitePart], Entity],
) -> None:
    """Add the entities of every gateway and battery of every energy site, and of those that turn up later."""

    def begin(coordinator: SiteCoordinator) -> CALLBACK_TYPE:
        made: set[tuple[str, str]] = set()

        def due() -> list[Entity]:
            new = {
                key: (row, part)
                for row in descriptions
                for part in row.parts(coordinator.data)
                if part.din and (key := (row.key, part.din)) not in made
            }
            if not new:
                return []
            made.update(new)
            _make_site_device(entry, coordinator)
            return [entity_class(coordinator, row, part) for row, part in new.values()]

        return _add_when_due(due, async_add_entities, coordinator.async_add_listener)

    _follow(entry, entry.runtime_data.sites, begin)


class _Pending[DescriptionT: ShownDescription[Any]]:
    """The rows of a table whose entity does not exist yet."""

    def __init__(self, descriptions: Sequence[DescriptionT]) -> None:
        self._descriptions = list(descriptions)
        self._seen: frozenset[str] | None = None

    @property
    def more(self) -> bool:
        """Whether there are any."""
        return bool(self._descriptions)

    def take(self, reported: frozenset[str]) -> list[DescriptionT]:
        """Take out the rows that `reported` makes exist; the same set again costs next to nothing."""
        if reported is self._seen or reported == self._seen:
            return []
        self._seen = reported
        due: list[DescriptionT] = []
        later: list[DescriptionT] = []
        for row in self._descriptions:
            (due if row.is_due(reported) else later).append(row)
        self._descriptions = later
        return due


class _MissingEquipment[DescriptionT: ShownDescription[Any]]:
    """The rows of what a car is not fitted with; another firmware may bring it."""

    def __init__(self, is_known: Callable[[DescriptionT], bool]) -> None:
        self._is_known = is_known
        self._rows: list[DescriptionT] = []
        self._version: str | None = None

    @property
    def more(self) -> bool:
        """Whether there are any."""
        return bool(self._rows)

    def fitted(self, due: list[DescriptionT], snapshot: Snapshot) -> list[DescriptionT]:
        """Return the rows of what the car is fitted with; keep the others until its firmware changes."""
        version = snapshot.vehicle_state.car_version
        if version != self._version:
            due, self._rows, self._version = [*due, *self._rows], [], version
        fitted: list[DescriptionT] = []
        for row in due:
            (fitted if self._is_fitted(row, snapshot) else self._rows).append(row)
        return fitted

    def _is_fitted(self, row: DescriptionT, snapshot: Snapshot) -> bool:
        return row.fitted is None or row.fitted(snapshot) or (row.keep_registered and self._is_known(row))


def _add_nothing() -> None:
    """End the following of a car that gets no entities, or no more."""


def _add_when_due[DueT](
    due: Callable[[], list[DueT]],
    add: Callable[[list[DueT]], None],
    listen: Callable[[CALLBACK_TYPE], CALLBACK_TYPE],
) -> CALLBACK_TYPE:
    """Add what is due now and whenever `listen` says that more may be; return how to stop."""

    @callback
    def look() -> None:
        if found := due():
            add(found)

    look()
    return listen(look)


@callback
def _follow[KeyT, CoordinatorT: VehicleCoordinator | SiteCoordinator](
    entry: TeslaFiConfigEntry,
    members: Mapping[KeyT, CoordinatorT],
    begin: Callable[[CoordinatorT], CALLBACK_TYPE],
) -> None:
    """Begin with each car or site of the account, also with those that come later, and stop with those that went."""
    followed: dict[KeyT, tuple[CoordinatorT, CALLBACK_TYPE]] = {}

    def stop(keys: Iterable[KeyT]) -> None:
        for key in list(keys):
            followed.pop(key)[1]()

    @callback
    def look() -> None:
        stop([key for key, (coordinator, _) in followed.items() if members.get(key) is not coordinator])
        for key, coordinator in members.items():
            if key not in followed:
                followed[key] = (coordinator, begin(coordinator))

    look()
    entry.async_on_unload(entry.runtime_data.account.async_add_listener(look))
    entry.async_on_unload(lambda: stop(followed))


def _make_site_device(entry: TeslaFiConfigEntry, coordinator: SiteCoordinator) -> None:
    """Make the energy site's device, since the wall connectors' devices point to it; its entities say the rest."""
    dr.async_get(coordinator.hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(DOMAIN, str(coordinator.site_id))},
        manufacturer=MANUFACTURER,
        name=site_name(coordinator),
    )
