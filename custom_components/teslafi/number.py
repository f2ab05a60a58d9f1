"""Numbers of cars and energy sites, within the bounds that car and site tell themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import PERCENTAGE, Platform, UnitOfElectricCurrent, UnitOfSpeed
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .control_entity import (
    ControlDescription,
    Order,
    SiteControl,
    VehicleControl,
    async_setup_site_controls,
    async_setup_vehicle_controls,
)
from .controls.groups import ControlGroup
from .coordinators.site import SiteData
from .coordinators.vehicle import VehicleData
from .finite import ensure_finite
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0
type Bound = Callable[[VehicleData], float | None]


@dataclass(frozen=True, kw_only=True)
class VehicleNumberDescription(NumberEntityDescription, ControlDescription[VehicleData]):
    """A number; `low` and `high` come from the car, and from the row where the car does not tell."""

    order: Callable[[float], Order]
    low: Bound = lambda _: None
    high: Bound = lambda _: None


@dataclass(frozen=True, kw_only=True)
class SiteNumberDescription(NumberEntityDescription, ControlDescription[SiteData]):
    """A percentage of an energy site."""

    command: str
    parameter: str
    groups: tuple[ControlGroup, ...] = (ControlGroup.ENERGY,)
    native_min_value: float = 0
    native_max_value: float = 100
    native_step: float = 1
    native_unit_of_measurement: str = PERCENTAGE
    device_class: NumberDeviceClass = NumberDeviceClass.BATTERY


NUMBERS: Final = (
    VehicleNumberDescription(
        key="charge_limit",
        groups=(ControlGroup.CHARGING,),
        paths=("charge_state.charge_limit_soc",),
        expected=True,
        device_class=NumberDeviceClass.BATTERY,
        native_unit_of_measurement=PERCENTAGE,
        native_min_value=50,
        native_max_value=100,
        native_step=1,
        value_fn=lambda data: data.snapshot.charge_state.charge_limit_soc,
        low=lambda data: data.snapshot.charge_state.charge_limit_soc_min,
        high=lambda data: data.snapshot.charge_state.charge_limit_soc_max,
        order=lambda value: Order(
            "set_charge_limit", {"percent": int(value)}, {"charge_state.charge_limit_soc": int(value)}
        ),
    ),
    VehicleNumberDescription(
        key="charge_current",
        groups=(ControlGroup.CHARGING,),
        paths=("charge_state.charge_current_request",),
        device_class=NumberDeviceClass.CURRENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        native_min_value=0,
        native_max_value=32,
        native_step=1,
        value_fn=lambda data: data.snapshot.charge_state.charge_current_request,
        high=lambda data: data.snapshot.charge_state.charge_current_request_max,
        order=lambda value: Order(
            "set_charging_amps", {"charging_amps": int(value)}, {"charge_state.charge_current_request": int(value)}
        ),
    ),
    VehicleNumberDescription(
        key="speed_limit",
        groups=(ControlGroup.SECURITY,),
        paths=("vehicle_state.speed_limit_mode",),
        device_class=NumberDeviceClass.SPEED,
        native_unit_of_measurement=UnitOfSpeed.MILES_PER_HOUR,
        native_min_value=50,
        native_max_value=120,
        native_step=1,
        mode=NumberMode.BOX,
        value_fn=lambda data: data.snapshot.vehicle_state.speed_limit_mode.current_limit_mph,
        low=lambda data: data.snapshot.vehicle_state.speed_limit_mode.min_limit_mph,
        high=lambda data: data.snapshot.vehicle_state.speed_limit_mode.max_limit_mph,
        order=lambda value: Order(
            "speed_limit_set_limit",
            {"limit_mph": round(value)},
            {"vehicle_state.speed_limit_mode.current_limit_mph": round(value)},
        ),
    ),
    VehicleNumberDescription(
        key="volume",
        groups=(ControlGroup.MEDIA,),
        paths=("vehicle_state.media_info.audio_volume",),
        native_min_value=0,
        native_max_value=11,
        native_step=0.1,
        mode=NumberMode.SLIDER,
        entity_registry_enabled_default=False,
        value_fn=lambda data: data.snapshot.vehicle_state.media_info.audio_volume,
        high=lambda data: data.snapshot.vehicle_state.media_info.audio_volume_max,
        order=lambda value: Order("adjust_volume", {"volume": value}, {"vehicle_state.media_info.audio_volume": value}),
    ),
)

SITE_NUMBERS: Final = (
    SiteNumberDescription(
        key="backup_reserve",
        paths=("info.backup_reserve_percent",),
        value_fn=lambda data: data.info.backup_reserve_percent,
        command="backup",
        parameter="backup_reserve_percent",
    ),
    SiteNumberDescription(
        key="off_grid_reserve",
        paths=("info.off_grid_vehicle_charging_reserve_percent",),
        value_fn=lambda data: data.info.off_grid_vehicle_charging_reserve_percent,
        command="off_grid_vehicle_charging_reserve",
        parameter="off_grid_vehicle_charging_reserve_percent",
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the numbers of what may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.NUMBER, async_add_entities, NUMBERS, VehicleNumber)
    async_setup_site_controls(hass, entry, Platform.NUMBER, async_add_entities, SITE_NUMBERS, SiteNumber)


class VehicleNumber(VehicleControl, NumberEntity):
    """A number of a car."""

    entity_description: VehicleNumberDescription

    def _show(self, value: float | None) -> None:
        self._attr_native_value = value

    @property
    @override
    def native_min_value(self) -> float:
        """The car's own bound."""
        low = self.entity_description.low(self.coordinator.data)
        return super().native_min_value if low is None else low

    @property
    @override
    def native_max_value(self) -> float:
        """The car's own bound."""
        high = self.entity_description.high(self.coordinator.data)
        return super().native_max_value if high is None else high

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Set the number."""
        ensure_finite(value)
        await self._send(self.entity_description.order(value))


class SiteNumber(SiteControl, NumberEntity):
    """A percentage of an energy site."""

    entity_description: SiteNumberDescription

    def _show(self, value: float | None) -> None:
        self._attr_native_value = value

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Set the percentage."""
        ensure_finite(value)
        row = self.entity_description
        await self._send(row.command, int(value), **{row.parameter: int(value)})
