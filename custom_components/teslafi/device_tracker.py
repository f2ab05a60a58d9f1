"""Device trackers: where a car is, and where its active route leads."""

from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.device_tracker.entity import TrackerEntity, TrackerEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.models import model_of
from .catalogue.paint import paint_of
from .coordinators.vehicle import VehicleData
from .entity import PLACE, ShownDescription, VehicleEntity, async_setup_vehicle_platform
from .picture import picture_path
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0

_MOST_LATITUDE: Final = 90
_MOST_LONGITUDE: Final = 180

type Place = tuple[float | None, float | None]
"""Latitude and longitude in degrees, or nothing known of either."""

CAR: Final = "location"
NOWHERE: Final[Place] = (None, None)


@dataclass(frozen=True, kw_only=True)
class VehicleTrackerDescription(TrackerEntityDescription, ShownDescription[VehicleData]):
    """A tracker, whose `value_fn` returns a Place."""

    expected: bool | None = None


def _place(latitude: float | None, longitude: float | None) -> Place:
    """Return the place if it lies on the earth."""
    if latitude is None or longitude is None or abs(latitude) > _MOST_LATITUDE or abs(longitude) > _MOST_LONGITUDE:
        return NOWHERE
    return latitude, longitude


def _car(data: VehicleData) -> Place:
    drive = data.snapshot.drive_state
    return _place(drive.latitude, drive.longitude)


def _route(data: VehicleData) -> Place:
    drive = data.snapshot.drive_state
    return _place(drive.active_route_latitude, drive.active_route_longitude)


VEHICLE_TRACKERS: Final = (
    VehicleTrackerDescription(
        key=CAR,
        name=None,  # the car itself: named as its device
        paths=(PLACE, "drive_state.longitude"),
        value_fn=_car,
    ),
    VehicleTrackerDescription(
        key="route",
        entity_registry_enabled_default=False,
        paths=("drive_state.active_route_latitude", "drive_state.active_route_longitude"),
        value_fn=_route,
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the trackers of the account's cars."""
    async_setup_vehicle_platform(entry, async_add_entities, VEHICLE_TRACKERS, VehicleTracker)


class VehicleTrackerBase(TrackerEntity):
    """How a tracker takes its place."""

    def _show(self, value: Place) -> None:
        self._attr_latitude, self._attr_longitude = value


class VehicleTracker(VehicleTrackerBase, VehicleEntity):
    """A place of a car."""

    @property
    @override
    def entity_picture(self) -> str | None:
        """The car itself in the color of its paint; where its route leads has no picture."""
        if self.entity_description.key != CAR:
            return None
        snapshot = self.coordinator.data.snapshot
        model = model_of(snapshot, self.coordinator.vin)
        return picture_path(model, paint_of(snapshot, model))
