"""Selects: seats, steering wheel, overheat level, an energy site's mode and export."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.climate import COP_TEMPERATURES, SEAT_LEVELS, STEERING_WHEEL_LEVELS, level
from .catalogue.energy import EXPORT_RULES, OPERATION_MODES
from .catalogue.fitted import SEATS, overheat_level
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
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0


def _by_option[ValueT](reported: Mapping[ValueT, str]) -> dict[str, ValueT]:
    """Return a table of the catalogue the other way round: the option -> what the car reports."""
    return {option: value for value, option in reported.items()}


LEVELS: Final = _by_option(SEAT_LEVELS)
WHEEL_LEVELS: Final = _by_option(STEERING_WHEEL_LEVELS)
OVERHEAT: Final = _by_option(COP_TEMPERATURES)
MODES: Final = _by_option(OPERATION_MODES)
EXPORTS: Final = _by_option(EXPORT_RULES)


@dataclass(frozen=True, kw_only=True)
class VehicleSelectDescription(SelectEntityDescription, ControlDescription[VehicleData]):
    """A select; `values` by option are what the car reports. `warms`: the climate has to run for it."""

    values: Mapping[str, object]
    order: Callable[[str], Order]
    warms: bool = False
    groups: tuple[ControlGroup, ...] = (ControlGroup.CLIMATE,)


@dataclass(frozen=True, kw_only=True)
class SiteSelectDescription(SelectEntityDescription, ControlDescription[SiteData]):
    """A select of an energy site."""

    values: Mapping[str, object]
    command: str
    parameter: str
    groups: tuple[ControlGroup, ...] = (ControlGroup.ENERGY,)


def _level(field: str) -> Callable[[VehicleData], object]:
    return lambda data: getattr(data.snapshot.climate_state, field)


def _heater(number: int, field: str) -> VehicleSelectDescription:
    """Return the heater of a seat, by the number that the wire has for it."""
    return VehicleSelectDescription(
        key=field,
        paths=(f"climate_state.{field}",),
        fitted=SEATS.get(field),
        value_fn=_level(field),
        values=LEVELS,
        warms=True,
        order=lambda option: Order(
            "remote_seat_heater_request",
            {"seat_position": number, "seat_heater_level": LEVELS[option]},
            {f"climate_state.{field}": LEVELS[option]},
        ),
    )


def _cooler(number: int, field: str) -> VehicleSelectDescription:
    return VehicleSelectDescription(
        key=field,
        paths=(f"climate_state.{field}",),
        fitted=SEATS.get(field),
        value_fn=_level(field),
        values=LEVELS,
        warms=True,
        order=lambda option: Order(
            "remote_seat_cooler_request",
            {"seat_position": number, "seat_cooler_level": LEVELS[option]},
            {f"climate_state.{field}": LEVELS[option]},
        ),
    )


SELECTS: Final = (
    _heater(0, "seat_heater_left"),
    _heater(1, "seat_heater_right"),
    _heater(2, "seat_heater_rear_left"),
    _heater(3, "seat_heater_rear_left_back"),
    _heater(4, "seat_heater_rear_center"),
    _heater(5, "seat_heater_rear_right"),
    _heater(6, "seat_heater_rear_right_back"),
    _heater(7, "seat_heater_third_row_left"),
    _heater(8, "seat_heater_third_row_right"),
    _cooler(1, "seat_fan_front_left"),
    _cooler(2, "seat_fan_front_right"),
    VehicleSelectDescription(
        key="steering_wheel_heat_level",
        paths=("climate_state.steering_wheel_heat_level",),
        value_fn=_level("steering_wheel_heat_level"),
        values=WHEEL_LEVELS,
        warms=True,
        order=lambda option: Order(
            "remote_steering_wheel_heat_level_request",
            {"level": WHEEL_LEVELS[option]},
            {"climate_state.steering_wheel_heat_level": WHEEL_LEVELS[option]},
        ),
    ),
    VehicleSelectDescription(
        key="overheat_level",
        paths=("climate_state.cop_activation_temperature",),
        fitted=overheat_level,
        keep_registered=True,
        value_fn=_level("cop_activation_temperature"),
        values=OVERHEAT,
        order=lambda option: Order(
            "set_cop_temp",
            {"cop_temp": list(OVERHEAT).index(option)},
            {"climate_state.cop_activation_temperature": OVERHEAT[option]},
        ),
    ),
)

SITE_SELECTS: Final = (
    SiteSelectDescription(
        key="operation_mode",
        paths=("info.default_real_mode",),
        value_fn=lambda data: data.info.default_real_mode,
        values=MODES,
        command="operation",
        parameter="default_real_mode",
    ),
    SiteSelectDescription(
        key="export_rule",
        paths=("info.components.customer_preferred_export_rule",),
        value_fn=lambda data: data.info.components.customer_preferred_export_rule,
        values=EXPORTS,
        command="grid_import_export",
        parameter="customer_preferred_export_rule",
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the selects of what may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.SELECT, async_add_entities, SELECTS, VehicleSelect)
    async_setup_site_controls(hass, entry, Platform.SELECT, async_add_entities, SITE_SELECTS, SiteSelect)


def _option(values: Mapping[str, object], value: object) -> str | None:
    """Return the option of a value; a level above the highest is the highest, True of old firmware is 1."""
    if values is LEVELS:
        value = level(SEAT_LEVELS, value)
    elif values is WHEEL_LEVELS:
        value = level(STEERING_WHEEL_LEVELS, value)
    return next((option for option, known in values.items() if value is not None and known == value), None)


class _TabledSelect(SelectEntity):
    """A select whose options stand in a table, with the value of each."""

    entity_description: VehicleSelectDescription | SiteSelectDescription

    @property
    @override
    def options(self) -> list[str]:
        """What can be chosen."""
        return list(self.entity_description.values)

    def _show(self, value: object) -> None:
        self._attr_current_option = _option(self.entity_description.values, value)


class VehicleSelect(_TabledSelect, VehicleControl):
    """A select of a car."""

    entity_description: VehicleSelectDescription

    @override
    async def async_select_option(self, option: str) -> None:
        """Choose; where the climate has to run for it, have it run first."""
        row = self.entity_description
        order = row.order(option)
        climate = self.coordinator.data.snapshot.climate_state
        with self.coordinator.expecting(order.assumed):
            if row.warms and row.values[option] and not climate.is_climate_on:
                await self._send(Order("auto_conditioning_start", {}, {"climate_state.is_climate_on": True}))
            await self._send(order)


class SiteSelect(_TabledSelect, SiteControl):
    """A select of an energy site."""

    entity_description: SiteSelectDescription

    @override
    async def async_select_option(self, option: str) -> None:
        """Choose."""
        row = self.entity_description
        await self._send(row.command, row.values[option], **{row.parameter: row.values[option]})
