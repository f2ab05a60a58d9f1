"""Binary sensors: every yes or no of a car and of an energy site."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Any, Final, NamedTuple

from homeassistant.components.binary_sensor import BinarySensorEntity, BinarySensorEntityDescription
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.body import DOORS, IS_DASHCAM_RECORDING, TIRE_ALARMS, TIRE_WARNINGS, WINDOWS
from .catalogue.charging import IS_CHARGING, IS_PLUGGED_IN
from .catalogue.energy import GRID_STATUSES
from .coordinators.site import SiteData
from .coordinators.vehicle import VehicleData
from .entity import (
    LinkEntity,
    SensedVehicleEntity,
    ShownDescription,
    SiteEntity,
    async_setup_site_platform,
    async_setup_vehicle_platform,
    grouped,
)
from .link.coordinator import LinkStatus
from .runtime import TeslaFiConfigEntry
from .tesla.snapshot import CarState

PARALLEL_UPDATES = 0

DIAGNOSTIC: Final = EntityCategory.DIAGNOSTIC


@dataclass(frozen=True, kw_only=True)
class TeslaFiBinarySensorDescription[SourceT](BinarySensorEntityDescription, ShownDescription[SourceT]):
    """A binary sensor and where its value comes from; `listed_as` is the attribute that lists the parts of Several."""

    listed_as: str = ""


@dataclass(frozen=True, kw_only=True)
class VehicleBinarySensorDescription(TeslaFiBinarySensorDescription[VehicleData]):
    """A binary sensor of a car; enabled by default is what nearly every owner looks at."""

    entity_registry_enabled_default: bool = False
    expected: bool | None = None


class Several(NamedTuple):
    """Whether any of several parts is open or warns, and the names of those that are."""

    any: bool | None
    which: tuple[str, ...]


type SiteBinarySensorDescription = TeslaFiBinarySensorDescription[SiteData]


def _in(path: str) -> Callable[[Any], Any]:
    return attrgetter(f"snapshot.{path}")


def _flag(
    path: str,
    device_class: BinarySensorDeviceClass | None = None,
    *,
    category: EntityCategory | None = DIAGNOSTIC,
    enabled: bool = False,
    value_fn: Callable[[VehicleData], bool | None] | None = None,
    key: str | None = None,
) -> VehicleBinarySensorDescription:
    """Describe a yes or no of a car."""
    return VehicleBinarySensorDescription(
        key=key or path.replace(".", "_"),
        paths=(path,),
        value_fn=value_fn or _in(path),
        device_class=device_class,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _opening(
    path: str, device_class: BinarySensorDeviceClass, *, enabled: bool = False
) -> VehicleBinarySensorDescription:
    """Describe a door, a boot or a window: 0 is closed, anything else open."""
    value = _in(path)

    def is_open(data: VehicleData) -> bool | None:
        position = value(data)
        return None if position is None else position != 0

    return _flag(path, device_class, category=None, enabled=enabled, value_fn=is_open)


def _any(
    key: str,
    device_class: BinarySensorDeviceClass,
    parts: Mapping[str, str],
    *,
    listed_as: str = "open",
    enabled: bool = True,
) -> VehicleBinarySensorDescription:
    """Describe one for several: on while any of `parts` (field of `vehicle_state` -> name) is other than 0 or false.

    The attribute `listed_as` has the names of those that are.
    """
    read, names = attrgetter(*parts), tuple(parts.values())

    def any_of(data: VehicleData) -> Several:
        values = read(data.snapshot.vehicle_state)
        if any(values):
            return Several(True, tuple(dict.fromkeys(compress(names, values))))  # noqa: FBT003 - what a sensor shows
        return Several(None if values.count(None) == len(values) else False, ())

    return VehicleBinarySensorDescription(
        key=key,
        paths=tuple(f"vehicle_state.{field}" for field in parts),
        value_fn=any_of,
        listed_as=listed_as,
        device_class=device_class,
        entity_registry_enabled_default=enabled,
    )


def _tabled(path: str, states: Mapping[Any, bool]) -> Callable[[VehicleData], bool | None]:
    """Return how to read a yes or no from a text or a code; what is not listed is unknown."""
    value = _in(path)
    return lambda data: states.get(value(data))


NO_CABLE: Final = (None, "", "SNA", "<invalid>")
"""What the car writes for the kind of cable when there is none ("signal not available") or it does not know."""


def _cable(data: VehicleData) -> bool | None:
    """Return whether a cable is plugged in: the car names its kind, or says that it is disconnected."""
    charge = data.snapshot.charge_state
    named = charge.conn_charge_cable not in NO_CABLE
    return True if named else IS_PLUGGED_IN.get(charge.charging_state)


def _unlocked(data: VehicleData) -> bool | None:
    """Return whether the car is unlocked, which is what Home Assistant's class `lock` calls on."""
    locked = data.snapshot.vehicle_state.locked
    return None if locked is None else not locked


def _online(data: VehicleData) -> bool | None:
    """Return whether the car can answer."""
    return None if data.state is None else data.state is CarState.ONLINE


_ROWS: Final[tuple[VehicleBinarySensorDescription, ...]] = (
    # The vehicle object
    VehicleBinarySensorDescription(key="state", value_fn=_online, device_class=BinarySensorDeviceClass.CONNECTIVITY),
    _flag("vehicle.in_service"),
    _flag("vehicle.mobile_access_disabled"),
    _flag("vehicle.calendar_enabled"),
    _flag("vehicle.ble_autopair_enrolled"),
    _flag("vehicle.granular_access.hide_private"),
    # Battery and charging
    _flag(
        "charge_state.charging_state",
        BinarySensorDeviceClass.BATTERY_CHARGING,
        category=None,
        value_fn=_tabled("charge_state.charging_state", IS_CHARGING),
    ),
    VehicleBinarySensorDescription(
        key="charge_state_conn_charge_cable",
        paths=("charge_state.conn_charge_cable", "charge_state.charging_state"),
        value_fn=_cable,
        device_class=BinarySensorDeviceClass.PLUG,
        entity_registry_enabled_default=True,
    ),
    _flag("charge_state.charge_port_door_open", BinarySensorDeviceClass.DOOR, category=None, enabled=True),
    _flag("charge_state.charge_enable_request"),
    _flag("charge_state.user_charge_enable_request"),
    _flag("charge_state.charge_cable_unlatched"),
    _flag("charge_state.charge_port_cold_weather_mode"),
    _flag("charge_state.charge_to_max_range"),
    _flag(
        "charge_state.charger_phases",
        value_fn=_tabled("charge_state.charger_phases", {1: False, 2: True, 3: True}),
    ),
    _flag("charge_state.fast_charger_present", BinarySensorDeviceClass.PLUG),
    _flag("charge_state.battery_heater_on", BinarySensorDeviceClass.HEAT),
    _flag("charge_state.not_enough_power_to_heat", BinarySensorDeviceClass.PROBLEM),
    _flag("charge_state.managed_charging_active"),
    _flag("charge_state.managed_charging_user_canceled"),
    _flag("charge_state.off_peak_charging_enabled"),
    _flag("charge_state.preconditioning_enabled"),
    _flag("charge_state.scheduled_charging_pending"),
    _flag("charge_state.supercharger_session_trip_planner"),
    _flag("charge_state.trip_charging"),
    _flag("charge_state.powershare_feature_allowed"),
    _flag("charge_state.powershare_feature_enabled"),
    _flag("charge_state.powershare_request"),
    # Climate
    _flag("climate_state.is_climate_on", BinarySensorDeviceClass.RUNNING, category=None, enabled=True),
    _flag("climate_state.is_auto_conditioning_on"),
    _flag("climate_state.is_preconditioning"),
    _flag("climate_state.smart_preconditioning"),
    _flag("climate_state.is_front_defroster_on"),
    _flag("climate_state.is_rear_defroster_on"),
    _flag("climate_state.auto_seat_climate_left"),
    _flag("climate_state.auto_seat_climate_right"),
    _flag("climate_state.auto_steering_wheel_heat"),
    _flag("climate_state.steering_wheel_heater", BinarySensorDeviceClass.HEAT),
    _flag("climate_state.side_mirror_heaters", BinarySensorDeviceClass.HEAT),
    _flag("climate_state.wiper_blade_heater", BinarySensorDeviceClass.HEAT),
    _flag("climate_state.battery_heater", BinarySensorDeviceClass.HEAT),
    _flag("climate_state.battery_heater_no_power", BinarySensorDeviceClass.PROBLEM),
    _flag("climate_state.bioweapon_mode"),
    _flag("climate_state.allow_cabin_overheat_protection"),
    _flag("climate_state.supports_fan_only_cabin_overheat_protection"),
    _flag("climate_state.cabin_overheat_protection_actively_cooling", BinarySensorDeviceClass.RUNNING),
    _flag("climate_state.remote_heater_control_enabled"),
    # What the screen shows
    _flag("gui_settings.gui_24_hour_time"),
    _flag("gui_settings.show_range_units"),
    # How the car was built
    _flag(
        "vehicle_config.sun_roof_installed",
        value_fn=_tabled("vehicle_config.sun_roof_installed", {0: False, 1: True, 2: True}),
    ),
    _flag("vehicle_config.can_accept_navigation_requests"),
    _flag("vehicle_config.can_actuate_trunks"),
    _flag("vehicle_config.cop_user_set_temp_supported"),
    _flag("vehicle_config.dashcam_clip_save_supported"),
    _flag("vehicle_config.default_charge_to_max"),
    _flag("vehicle_config.ece_restrictions"),
    _flag("vehicle_config.eu_vehicle"),
    _flag("vehicle_config.has_air_suspension"),
    _flag("vehicle_config.has_ludicrous_mode"),
    _flag("vehicle_config.has_seat_cooling"),
    _flag("vehicle_config.motorized_charge_port"),
    _flag("vehicle_config.plg"),
    _flag("vehicle_config.pws"),
    _flag("vehicle_config.rhd"),
    _flag("vehicle_config.supports_qr_pairing"),
    _flag("vehicle_config.use_range_badging"),
    _flag("vehicle_config.webcam_supported"),
    _flag("vehicle_config.webcam_selfie_supported"),
    _flag("vehicle_config.sentry_preview_supported"),
    # Body
    _flag("vehicle_state.locked", BinarySensorDeviceClass.LOCK, category=None, enabled=True, value_fn=_unlocked),
    _flag("vehicle_state.is_user_present", BinarySensorDeviceClass.OCCUPANCY, category=None, enabled=True),
    _any("doors", BinarySensorDeviceClass.DOOR, DOORS),
    _any("windows", BinarySensorDeviceClass.WINDOW, WINDOWS),
    _opening("vehicle_state.df", BinarySensorDeviceClass.DOOR),
    _opening("vehicle_state.pf", BinarySensorDeviceClass.DOOR),
    _opening("vehicle_state.dr", BinarySensorDeviceClass.DOOR),
    _opening("vehicle_state.pr", BinarySensorDeviceClass.DOOR),
    _opening("vehicle_state.ft", BinarySensorDeviceClass.OPENING, enabled=True),
    _opening("vehicle_state.rt", BinarySensorDeviceClass.OPENING, enabled=True),
    _opening("vehicle_state.fd_window", BinarySensorDeviceClass.WINDOW),
    _opening("vehicle_state.fp_window", BinarySensorDeviceClass.WINDOW),
    _opening("vehicle_state.rd_window", BinarySensorDeviceClass.WINDOW),
    _opening("vehicle_state.rp_window", BinarySensorDeviceClass.WINDOW),
    # Security and modes
    _flag("vehicle_state.sentry_mode", category=None, enabled=True),
    _flag("vehicle_state.sentry_mode_available"),
    _flag("vehicle_state.valet_mode", category=None),
    _flag("vehicle_state.valet_pin_needed"),
    _flag("vehicle_state.service_mode"),
    _flag("vehicle_state.service_mode_plus"),
    _flag("vehicle_state.speed_limit_mode.active"),
    _flag("vehicle_state.speed_limit_mode.pin_code_set"),
    _flag("vehicle_state.remote_start"),
    _flag("vehicle_state.remote_start_enabled"),
    _flag("vehicle_state.remote_start_supported"),
    _flag("vehicle_state.homelink_nearby"),
    _flag(
        "vehicle_state.dashcam_state",
        BinarySensorDeviceClass.RUNNING,
        value_fn=_tabled("vehicle_state.dashcam_state", IS_DASHCAM_RECORDING),
    ),
    _flag("vehicle_state.dashcam_clip_save_available"),
    _flag("vehicle_state.webcam_available"),
    _flag("vehicle_state.smart_summon_available"),
    _flag("vehicle_state.summon_standby_mode_enabled"),
    _flag("vehicle_state.calendar_supported"),
    _flag("vehicle_state.parsed_calendar_supported"),
    _flag("vehicle_state.notifications_supported"),
    _flag(
        "vehicle_state.santa_mode",
        value_fn=_tabled("vehicle_state.santa_mode", {0: False, 1: True}),
    ),
    _flag("vehicle_state.vehicle_self_test_requested"),
    _flag("vehicle_state.media_state.remote_control_enabled"),
    # Tyres
    _any("tire_warning", BinarySensorDeviceClass.PROBLEM, TIRE_WARNINGS, listed_as="tires"),
    _any("tire_alarm", BinarySensorDeviceClass.PROBLEM, TIRE_ALARMS, listed_as="tires", enabled=False),
    _flag("vehicle_state.tpms_soft_warning_fl", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_soft_warning_fr", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_soft_warning_rl", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_soft_warning_rr", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_hard_warning_fl", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_hard_warning_fr", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_hard_warning_rl", BinarySensorDeviceClass.PROBLEM),
    _flag("vehicle_state.tpms_hard_warning_rr", BinarySensorDeviceClass.PROBLEM),
)

VEHICLE_BINARY_SENSORS: Final = grouped("binary_sensor", _ROWS)


def _site_flag(
    path: str,
    device_class: BinarySensorDeviceClass | None = None,
    *,
    category: EntityCategory | None = None,
    enabled: bool = True,
    value_fn: Callable[[SiteData], bool | None] | None = None,
) -> SiteBinarySensorDescription:
    """Describe a yes or no of an energy site."""
    return TeslaFiBinarySensorDescription(
        key=path.rpartition(".")[2],
        paths=(path,),
        value_fn=value_fn or attrgetter(path),
        device_class=device_class,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _charges_from_grid(data: SiteData) -> bool | None:
    """Return whether the battery may charge from the grid; Tesla tells whether it may not."""
    disallowed = data.info.components.disallow_charge_from_grid_with_solar_installed
    return None if disallowed is None else not disallowed


SITE_BINARY_SENSORS: Final[tuple[SiteBinarySensorDescription, ...]] = (
    _site_flag("live.backup_capable", enabled=False),
    _site_flag("live.grid_services_active", enabled=False),
    _site_flag("live.storm_mode_active"),
    _site_flag(
        "live.grid_status",
        BinarySensorDeviceClass.POWER,
        value_fn=lambda data: GRID_STATUSES.get(data.live.grid_status),
    ),
    _site_flag("info.user_settings.storm_mode_enabled"),
    _site_flag("info.user_settings.sync_grid_alert_enabled", category=DIAGNOSTIC, enabled=False),
    _site_flag("info.user_settings.breaker_alert_enabled", category=DIAGNOSTIC, enabled=False),
    _site_flag("info.components.grid_services_enabled", enabled=False),
    _site_flag(
        "info.components.disallow_charge_from_grid_with_solar_installed", enabled=False, value_fn=_charges_from_grid
    ),
    _site_flag("info.components.tou_capable", category=DIAGNOSTIC, enabled=False),
    _site_flag("info.components.storm_mode_capable", category=DIAGNOSTIC, enabled=False),
    _site_flag("info.components.off_grid_vehicle_charging_reserve_supported", category=DIAGNOSTIC, enabled=False),
)

LINK_BINARY_SENSORS: Final[tuple[TeslaFiBinarySensorDescription[LinkStatus], ...]] = (
    TeslaFiBinarySensorDescription(
        key="link_two_factor", value_fn=attrgetter("two_factor"), entity_category=DIAGNOSTIC
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of the account's cars and energy sites."""
    async_setup_vehicle_platform(entry, async_add_entities, VEHICLE_BINARY_SENSORS, VehicleBinarySensor)
    async_setup_site_platform(entry, async_add_entities, SITE_BINARY_SENSORS, SiteBinarySensor)
    if (link := entry.runtime_data.link) is not None:
        async_add_entities(LinkBinarySensor(link, description) for description in LINK_BINARY_SENSORS)


class TeslaFiBinarySensor(BinarySensorEntity):
    """How a binary sensor takes its value."""

    entity_description: TeslaFiBinarySensorDescription[Any]

    def _show(self, value: bool | Several | None) -> None:  # noqa: FBT001 - the value itself
        if isinstance(value, Several):
            self._attr_extra_state_attributes = {self.entity_description.listed_as: list(value.which)}
            value = value.any
        self._attr_is_on = value


class VehicleBinarySensor(TeslaFiBinarySensor, SensedVehicleEntity):
    """A binary sensor of a car."""


class SiteBinarySensor(TeslaFiBinarySensor, SiteEntity):
    """A binary sensor of an energy site."""


class LinkBinarySensor(TeslaFiBinarySensor, LinkEntity):
    """A binary sensor of the link to a companion."""
