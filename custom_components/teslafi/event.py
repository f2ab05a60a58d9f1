"""Events: each command that was sent to a car, or was not; each alert of a car."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription, EventExtraStoredData
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .control_entity import ControlDescription, VehicleControl, async_setup_vehicle_controls
from .controls.groups import VEHICLE_GROUPS
from .controls.record import CommandRecord, Result
from .coordinators.vehicle import VehicleCoordinator, VehicleData
from .detail_entity import DetailDescription, DetailEntity
from .entity import async_setup_vehicle_platform
from .journal_entities.events import EVENTS as JOURNAL_EVENTS, JournalEvent
from .moments import aware_moment
from .runtime import TeslaFiConfigEntry
from .tesla.vehicle_details import CUSTOMER, Alert, newest_first

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


FOR_DRIVER: Final = "customer"
FOR_SERVICE: Final = "service"


@dataclass(frozen=True, kw_only=True)
class DetailEventDescription(EventEntityDescription, DetailDescription):
    """Something that happens, as a detail that Tesla bills tells it."""

    entity_registry_enabled_default: bool = False


DETAIL_EVENTS: Final = (
    DetailEventDescription(
        key="alert",
        detail=attrgetter("alerts"),
        value_fn=newest_first,
        event_types=[FOR_DRIVER, FOR_SERVICE],
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the alerts of each car, and the commands of each that may be controlled, by whatever group."""
    async_setup_vehicle_controls(hass, entry, Platform.EVENT, async_add_entities, EVENTS, CommandEvent)
    async_setup_vehicle_platform(entry, async_add_entities, DETAIL_EVENTS, AlertEvent)
    async_setup_vehicle_platform(entry, async_add_entities, JOURNAL_EVENTS, JournalEvent)


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


@dataclass
class SeenAlerts(EventExtraStoredData):
    """What is kept of alerts across a restart: the last event, and the moment of the newest alert that is no news."""

    seen_until: str | None


class AlertEvent(DetailEntity, EventEntity):
    """The alerts of a car. Those of before it was enabled are no events; those missed in a restart or reload are."""

    _seen_until: datetime | None = None

    def __init__(self, vehicle: VehicleCoordinator, description: DetailEventDescription) -> None:
        """Go on after what was seen before a reload: an answer may come when no entity is there to hear of it."""
        self._memory = vehicle.details.memory
        super().__init__(vehicle, description)

    def _show(self, value: Sequence[Alert] | None) -> None:
        """What is new becomes an event once it is known what was there before."""

    @property
    @override
    def extra_restore_state_data(self) -> SeenAlerts:
        """What is to be known when it is back; of what came before it was disabled, nothing that makes news later."""
        told = super().extra_restore_state_data
        seen = self._seen_until.isoformat() if self._seen_until and self.enabled else None
        return SeenAlerts(told.last_event_type, told.last_event_attributes, seen)

    @override
    async def async_added_to_hass(self) -> None:
        """Go on after the last alert of before a restart."""
        extra = await self.async_get_last_extra_data()
        kept = extra.as_dict() if extra else {}
        attributes = kept.get("last_event_attributes") or {}
        # Before there was `seen_until`, what was kept began with the last event
        self._seen_until = aware_moment(kept.get("seen_until", attributes.get("time")))
        await super().async_added_to_hass()
        self._tell(self._value)

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Begin anew when it is disabled: what comes meanwhile is none of it."""
        await super().async_will_remove_from_hass()
        if not self.enabled:
            self._memory.alerts_seen = None

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._tell(self._current_value())
        super()._handle_coordinator_update()

    def _tell(self, alerts: Sequence[Alert] | None) -> None:
        """Make an event of each alert that is new, the oldest first."""
        if alerts is None:
            return
        for alert in reversed(alerts):
            if self._is_new(alert):
                kind = FOR_DRIVER if CUSTOMER in alert.audience else FOR_SERVICE
                self._trigger_event(kind, _attributes(alert))
                self.async_write_ha_state()
        self._memory.alerts_seen = (self._memory.alerts_seen or frozenset()) | frozenset(alerts)
        moments = (self._seen_until, *(alert.time for alert in alerts))
        self._seen_until = max((moment for moment in moments if moment is not None), default=None)

    def _is_new(self, alert: Alert) -> bool:
        if self._memory.alerts_seen is not None:
            return alert not in self._memory.alerts_seen
        return self._seen_until is not None and alert.time is not None and alert.time > self._seen_until


def _attributes(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "text": alert.user_text,
        "audience": list(alert.audience),
        "time": alert.time.isoformat() if alert.time else None,
    }
