"""Switches of cars and energy sites."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.charging import IS_CHARGING, START_AT
from .catalogue.fitted import unless_reported
from .const import DOMAIN
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


@dataclass(frozen=True, kw_only=True)
class VehicleSwitchDescription(SwitchEntityDescription, ControlDescription[VehicleData]):
    """A switch; orders may depend on what the car reports. `assumed_state`: the car never tells."""

    on: Callable[[VehicleData], Order]
    off: Callable[[VehicleData], Order]
    assumed_state: bool = False


@dataclass(frozen=True, kw_only=True)
class SiteSwitchDescription(SwitchEntityDescription, ControlDescription[SiteData]):
    """A switch of an energy site: a command and its one parameter, turned round where Tesla's word is a "not"."""

    command: str
    parameter: str
    inverted: bool = False
    groups: tuple[ControlGroup, ...] = (ControlGroup.ENERGY,)


def _switch(
    key: str,
    group: ControlGroup,
    name: str,
    path: str,
    parameter: str = "on",
    *,
    expected: bool = False,
    **more: bool | int,
) -> VehicleSwitchDescription:
    """Return a switch whose command takes true or false, and whose value the car reports as such."""
    block, field = path.split(".")

    def order(*, on: bool) -> Callable[[VehicleData], Order]:
        return lambda _: Order(name, {**more, parameter: on}, {path: on})

    return VehicleSwitchDescription(
        key=key,
        groups=(group,),
        paths=(path,),
        expected=expected,
        value_fn=lambda data: getattr(getattr(data.snapshot, block), field),
        on=order(on=True),
        off=order(on=False),
    )


def _unreported(key: str, group: ControlGroup, name: str, parameter: str = "on") -> VehicleSwitchDescription:
    """Return a switch for what `vehicle_data` does not tell."""
    return VehicleSwitchDescription(
        key=key,
        groups=(group,),
        value_fn=lambda _: None,
        assumed_state=True,
        entity_registry_enabled_default=False,
        on=lambda _: Order(name, {parameter: True}),
        off=lambda _: Order(name, {parameter: False}),
    )


def _charging(data: VehicleData) -> bool | None:
    return IS_CHARGING.get(data.snapshot.charge_state.charging_state)


def _defrosting(data: VehicleData) -> bool | None:
    mode = data.snapshot.climate_state.defrost_mode
    return None if mode is None else mode > 0


def _scheduled_order(data: VehicleData, *, enable: bool) -> Order:
    charge = data.snapshot.charge_state
    minutes = charge.scheduled_charging_start_time_minutes
    minutes = charge.scheduled_charging_start_time_app if minutes is None else minutes
    mode = START_AT if enable else "Off"
    return Order(
        "set_scheduled_charging",
        {"enable": enable, "time": minutes or 0},
        {"charge_state.scheduled_charging_mode": mode},
    )


CLIMATE: Final = ControlGroup.CLIMATE
SWITCHES: Final = (
    VehicleSwitchDescription(
        key="charge",
        groups=(ControlGroup.CHARGING,),
        paths=("charge_state.charging_state",),
        value_fn=_charging,
        on=lambda _: Order("charge_start", {}, {"charge_state.charging_state": "Charging"}),
        off=lambda _: Order("charge_stop", {}, {"charge_state.charging_state": "Stopped"}),
    ),
    VehicleSwitchDescription(
        key="scheduled_charging",
        groups=(ControlGroup.SCHEDULES,),
        paths=("charge_state.scheduled_charging_start_time_minutes", "charge_state.scheduled_charging_start_time_app"),
        value_fn=lambda data: data.snapshot.charge_state.scheduled_charging_mode == START_AT,
        on=lambda data: _scheduled_order(data, enable=True),
        off=lambda data: _scheduled_order(data, enable=False),
    ),
    VehicleSwitchDescription(
        key="defrost",
        groups=(CLIMATE,),
        paths=("climate_state.defrost_mode",),
        value_fn=_defrosting,
        on=lambda _: Order(
            "set_preconditioning_max", {"on": True, "manual_override": False}, {"climate_state.defrost_mode": 2}
        ),
        off=lambda _: Order(
            "set_preconditioning_max", {"on": False, "manual_override": False}, {"climate_state.defrost_mode": 0}
        ),
    ),
    replace(
        _switch(
            "steering_wheel_heater",
            CLIMATE,
            "remote_steering_wheel_heater_request",
            "climate_state.steering_wheel_heater",
        ),
        # Where the wheel has levels, one of them turns it off
        fitted=unless_reported("climate_state.steering_wheel_heat_level"),
        keep_registered=True,
    ),
    _switch(
        "auto_steering_wheel_heat",
        CLIMATE,
        "remote_auto_steering_wheel_heat_climate_request",
        "climate_state.auto_steering_wheel_heat",
    ),
    _switch(
        "auto_seat_climate_left",
        CLIMATE,
        "remote_auto_seat_climate_request",
        "climate_state.auto_seat_climate_left",
        "auto_climate_on",
        auto_seat_position=1,
    ),
    _switch(
        "auto_seat_climate_right",
        CLIMATE,
        "remote_auto_seat_climate_request",
        "climate_state.auto_seat_climate_right",
        "auto_climate_on",
        auto_seat_position=2,
    ),
    _switch("bioweapon_mode", CLIMATE, "set_bioweapon_mode", "climate_state.bioweapon_mode", manual_override=False),
    _switch("sentry_mode", ControlGroup.SECURITY, "set_sentry_mode", "vehicle_state.sentry_mode", expected=True),
    _switch("valet_mode", ControlGroup.SECURITY, "set_valet_mode", "vehicle_state.valet_mode"),
    _unreported("guest_mode", ControlGroup.SECURITY, "guest_mode", "enable"),
    _unreported("low_power_mode", ControlGroup.SECURITY, "set_low_power_mode"),
    _unreported("keep_accessory_power", ControlGroup.SECURITY, "set_keep_accessory_power_mode"),
)

SITE_SWITCHES: Final = (
    SiteSwitchDescription(
        key="storm_watch",
        paths=("info.user_settings.storm_mode_enabled",),
        value_fn=lambda data: data.info.user_settings.storm_mode_enabled,
        command="storm_mode",
        parameter="enabled",
    ),
    SiteSwitchDescription(
        key="grid_charging",
        paths=("info.components.disallow_charge_from_grid_with_solar_installed",),
        value_fn=lambda data: _not(data.info.components.disallow_charge_from_grid_with_solar_installed),
        command="grid_import_export",
        parameter="disallow_charge_from_grid_with_solar_installed",
        inverted=True,
    ),
)


def _not(value: bool | None) -> bool | None:  # noqa: FBT001 - a value
    return None if value is None else not value


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the switches of what may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.SWITCH, async_add_entities, SWITCHES, VehicleSwitch)
    async_setup_site_controls(hass, entry, Platform.SWITCH, async_add_entities, SITE_SWITCHES, SiteSwitch)


class VehicleSwitch(VehicleControl, SwitchEntity):
    """A switch of a car."""

    entity_description: VehicleSwitchDescription

    @property
    @override
    def assumed_state(self) -> bool:
        """Whether the car never tells, so that both ways are offered."""
        return self.entity_description.assumed_state

    def _show(self, value: bool | None) -> None:  # noqa: FBT001 - a value
        self._attr_is_on = value

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch on."""
        await self._order(self.entity_description.on)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch off."""
        await self._order(self.entity_description.off)

    async def _order(self, order_of: Callable[[VehicleData], Order]) -> None:
        order = order_of(self.coordinator.data)
        pin_missing = self.coordinator.data.snapshot.vehicle_state.valet_pin_needed
        if order.name == "set_valet_mode" and order.parameters["on"] and pin_missing:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="valet_pin_needed")
        if not self.entity_description.assumed_state:
            await self._send(order)
            return
        before = self._attr_is_on
        self._show_now(bool(next(iter(order.parameters.values()))))
        try:
            await self._send(order)
        except BaseException:
            self._show_now(before)
            raise

    def _show_now(self, on: bool | None) -> None:  # noqa: FBT001 - a value
        self._attr_is_on = on
        self.async_write_ha_state()


class SiteSwitch(SiteControl, SwitchEntity):
    """A switch of an energy site."""

    entity_description: SiteSwitchDescription

    def _show(self, value: bool | None) -> None:  # noqa: FBT001 - a value
        self._attr_is_on = value

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch on."""
        await self._turn(on=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch off."""
        await self._turn(on=False)

    async def _turn(self, *, on: bool) -> None:
        row = self.entity_description
        await self._send(row.command, on, **{row.parameter: on != row.inverted})
