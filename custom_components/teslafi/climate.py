"""Climate: the cabin with its keeper modes, and the overheat protection."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, override

from homeassistant.components.climate import ClimateEntity, ClimateEntityDescription
from homeassistant.components.climate.const import ATTR_HVAC_MODE, PRESET_NONE, ClimateEntityFeature, HVACMode
from homeassistant.const import ATTR_TEMPERATURE, PRECISION_HALVES, Platform, UnitOfTemperature
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.climate import CLIMATE_KEEPER_MODES, COP_LEVELS_C, KEEPER_WORDS
from .control_entity import ControlDescription, Order, VehicleControl, async_setup_vehicle_controls
from .controls.groups import ControlGroup
from .coordinators.vehicle import VehicleCoordinator, VehicleData
from .finite import ensure_finite
from .runtime import TeslaFiConfigEntry

PARALLEL_UPDATES = 0

PRESETS: Final = {PRESET_NONE if mode == "off" else mode: mode for mode in KEEPER_WORDS}
"""Preset -> climate keeper mode, in the order of the command's numbers. Off is no preset."""
OVERHEAT_MODES: Final = {"Off": HVACMode.OFF, "On": HVACMode.COOL, "FanOnly": HVACMode.FAN_ONLY}
COLDEST: Final = 15.0
WARMEST: Final = 28.0


class Cabin(NamedTuple):
    """What a climate entity shows; temperatures in °C."""

    mode: HVACMode | None
    inside: float | None
    target: float | None
    preset: str | None = None


@dataclass(frozen=True, kw_only=True)
class VehicleClimateDescription(ClimateEntityDescription, ControlDescription[VehicleData]):
    """A climate, whose `value_fn` returns a Cabin."""


def _cabin(data: VehicleData) -> Cabin:
    climate = data.snapshot.climate_state
    mode = None if climate.is_climate_on is None else HVACMode.HEAT_COOL if climate.is_climate_on else HVACMode.OFF
    keeper = CLIMATE_KEEPER_MODES.get(climate.climate_keeper_mode or "")
    preset = PRESET_NONE if keeper == "off" else keeper
    return Cabin(mode, climate.inside_temp, climate.driver_temp_setting, preset)


def _overheat(data: VehicleData) -> Cabin:
    climate = data.snapshot.climate_state
    return Cabin(
        OVERHEAT_MODES.get(climate.cabin_overheat_protection or ""),
        climate.inside_temp,
        COP_LEVELS_C.get(climate.cop_activation_temperature or ""),
    )


CABIN: Final = VehicleClimateDescription(
    key="climate",
    groups=(ControlGroup.CLIMATE,),
    paths=("climate_state.is_climate_on",),
    expected=True,
    value_fn=_cabin,
)
OVERHEAT: Final = VehicleClimateDescription(
    key="overheat_protection",
    groups=(ControlGroup.CLIMATE,),
    paths=("climate_state.cabin_overheat_protection",),
    value_fn=_overheat,
)
CLIMATES: Final = (CABIN, OVERHEAT)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the climates of the cars that may be controlled."""

    def make(coordinator: VehicleCoordinator, row: VehicleClimateDescription) -> _Climate:
        return (CabinClimate if row is CABIN else OverheatProtection)(coordinator, row)

    async_setup_vehicle_controls(hass, entry, Platform.CLIMATE, async_add_entities, CLIMATES, make)


class _Climate(VehicleControl, ClimateEntity):
    """What both climates share."""

    _attr_temperature_unit = UnitOfTemperature.CELSIUS

    def _show(self, value: Cabin) -> None:
        self._attr_hvac_mode = value.mode
        self._attr_current_temperature = value.inside
        self._attr_target_temperature = value.target
        self._attr_preset_mode = value.preset

    @override
    async def async_turn_off(self) -> None:
        """Switch off."""
        await self.async_set_hvac_mode(HVACMode.OFF)


class CabinClimate(_Climate):
    """The cabin's climate."""

    _attr_hvac_modes = [HVACMode.HEAT_COOL, HVACMode.OFF]  # noqa: RUF012 - as Home Assistant types it
    _attr_preset_modes = list(PRESETS)  # noqa: RUF012 - as Home Assistant types it
    _attr_target_temperature_step = PRECISION_HALVES
    _attr_supported_features = (
        ClimateEntityFeature.TARGET_TEMPERATURE
        | ClimateEntityFeature.PRESET_MODE
        | ClimateEntityFeature.TURN_ON
        | ClimateEntityFeature.TURN_OFF
    )

    @property
    @override
    def min_temp(self) -> float:
        """The car's own bound."""
        return self.coordinator.data.snapshot.climate_state.min_avail_temp or COLDEST

    @property
    @override
    def max_temp(self) -> float:
        """The car's own bound."""
        return self.coordinator.data.snapshot.climate_state.max_avail_temp or WARMEST

    @override
    async def async_turn_on(self) -> None:
        """Switch on."""
        await self.async_set_hvac_mode(HVACMode.HEAT_COOL)

    @override
    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Switch on or off."""
        on = hvac_mode is not HVACMode.OFF
        assumed: dict[str, object] = {"climate_state.is_climate_on": on}
        if not on:
            assumed["climate_state.climate_keeper_mode"] = "off"
        await self._send(Order("auto_conditioning_start" if on else "auto_conditioning_stop", {}, assumed))

    @override
    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Set the same temperature on both sides; an action sets them apart."""
        if (temperature := kwargs.get(ATTR_TEMPERATURE)) is not None:
            await self._send(
                Order(
                    "set_temps",
                    {"driver_temp": temperature, "passenger_temp": temperature},
                    {
                        "climate_state.driver_temp_setting": temperature,
                        "climate_state.passenger_temp_setting": temperature,
                    },
                )
            )
        if (mode := kwargs.get(ATTR_HVAC_MODE)) is not None:
            await self.async_set_hvac_mode(mode)

    @override
    async def async_set_preset_mode(self, preset_mode: str) -> None:
        """Keep the climate on when the driver leaves, or not."""
        assumed: dict[str, object] = {"climate_state.climate_keeper_mode": KEEPER_WORDS[PRESETS[preset_mode]]}
        if preset_mode != PRESET_NONE:
            assumed["climate_state.is_climate_on"] = True
        await self._send(
            Order("set_climate_keeper_mode", {"climate_keeper_mode": list(PRESETS).index(preset_mode)}, assumed)
        )


class OverheatProtection(_Climate):
    """What keeps the parked cabin from overheating."""

    _attr_hvac_modes = [HVACMode.COOL, HVACMode.FAN_ONLY, HVACMode.OFF]  # noqa: RUF012 - as Home Assistant types it
    _attr_min_temp = COP_LEVELS_C["Low"]
    _attr_max_temp = COP_LEVELS_C["High"]
    _attr_target_temperature_step = 5.0

    def __init__(self, coordinator: VehicleCoordinator, description: VehicleClimateDescription) -> None:
        """Offer what this car can."""
        super().__init__(coordinator, description)
        features = ClimateEntityFeature.TURN_ON | ClimateEntityFeature.TURN_OFF
        snapshot = coordinator.data.snapshot
        if snapshot.vehicle_config.cop_user_set_temp_supported:
            features |= ClimateEntityFeature.TARGET_TEMPERATURE
        if not snapshot.climate_state.supports_fan_only_cabin_overheat_protection:
            self._attr_hvac_modes = [HVACMode.COOL, HVACMode.OFF]
        self._attr_supported_features = features

    @override
    async def async_turn_on(self) -> None:
        """Switch on."""
        await self.async_set_hvac_mode(HVACMode.COOL)

    @override
    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Cool, blow, or leave it."""
        on, fan_only = hvac_mode is not HVACMode.OFF, hvac_mode is HVACMode.FAN_ONLY
        word = next(word for word, mode in OVERHEAT_MODES.items() if mode is hvac_mode)
        await self._send(
            Order(
                "set_cabin_overheat_protection",
                {"on": on, "fan_only": fan_only},
                {"climate_state.cabin_overheat_protection": word},
            )
        )

    @override
    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Set the nearest of the three temperatures that the car knows."""
        wanted = kwargs.get(ATTR_TEMPERATURE)
        ensure_finite(wanted)
        if wanted is not None:
            word = min(COP_LEVELS_C, key=lambda level: abs(COP_LEVELS_C[level] - wanted))
            await self._send(
                Order(
                    "set_cop_temp",
                    {"cop_temp": list(COP_LEVELS_C).index(word)},
                    {"climate_state.cop_activation_temperature": word},
                )
            )
        if (mode := kwargs.get(ATTR_HVAC_MODE)) is not None:
            await self.async_set_hvac_mode(mode)
