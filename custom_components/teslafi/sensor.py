"""Sensors: every measured, worded or timed value of a car, an energy site and a wall connector."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    DEGREE,
    MAX_LENGTH_STATE_STATE,
    PERCENTAGE,
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfLength,
    UnitOfPower,
    UnitOfPressure,
    UnitOfSpeed,
    UnitOfTemperature,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity
from homeassistant.util import dt as dt_util
from homeassistant.util.location import distance

from .catalogue.body import (
    ACCESS_TYPES,
    AUTOPARK_STATES,
    AUTOPARK_STYLES,
    CAR_STATES,
    CENTER_DISPLAYS,
    COMMAND_SIGNINGS,
    DASHCAM_STATES,
    OUTLET_STATES,
    POWER_FEED_STATES,
    SHIFT_STATES,
    SUN_ROOF_STATES,
    WAKING,
)
from .catalogue.charging import (
    CHARGE_CABLES,
    CHARGE_LIMIT_REASONS,
    CHARGE_PORT_COLORS,
    CHARGE_PORT_LATCHES,
    CHARGE_PORT_TYPES,
    CHARGE_RATE_UNITS,
    CHARGING_STATES,
    DISTANCE_UNITS,
    FAST_CHARGERS,
    PHASES,
    POWERSHARE_STATUSES,
    POWERSHARE_STOPS,
    POWERSHARE_TYPES,
    SCHEDULED_CHARGING_MODES,
    WEEKLY_TIMES,
)
from .catalogue.climate import (
    CABIN_OVERHEAT_PROTECTIONS,
    CLIMATE_KEEPER_MODES,
    COP_REASONS,
    COP_TEMPERATURES,
    DEFROST_MODES,
    HVAC_AUTO_REQUESTS,
    SEAT_LEVELS,
    STEERING_WHEEL_LEVELS,
    level,
)
from .catalogue.display import PRESSURE_UNITS, RANGE_DISPLAYS, TEMPERATURE_UNITS
from .catalogue.energy import EXPORT_RULES, ISLAND_STATUSES, OPERATION_MODES, WALL_CONNECTOR_STATES
from .catalogue.fitted import SEATS
from .catalogue.grouped import COUNTED
from .catalogue.media import MEDIA_SOURCES, PLAYBACK_STATES
from .catalogue.models import CAR_TYPES, trim_of, version_of
from .catalogue.software import UPDATE_STATUSES
from .coordinators.site import SiteData
from .coordinators.vehicle import VehicleCoordinator, VehicleData
from .detail_entity import DetailDescription, DetailEntity
from .entity import (
    PLACE,
    LinkEntity,
    PartDescription,
    PartEntity,
    SensedVehicleEntity,
    ShownDescription,
    SiteEntity,
    WallConnectorEntity,
    async_setup_part_platform,
    async_setup_site_platform,
    async_setup_vehicle_platform,
    async_setup_wall_connector_platform,
    grouped,
)
from .journal_entities.sensors import SENSORS as JOURNAL_SENSORS, JournalSensor
from .link.coordinator import LinkState, LinkStatus
from .link.words import SubscriptionReason
from .meters import (
    Charge,
    ChargesMeter,
    ChargeSomewhere,
    DayMeter,
    HomeMeter,
    Meter,
    OdometerMeter,
    SessionMeter,
)
from .polling.observation import Reason
from .polling.pace import Step
from .polling.rule import AwakeBecause, Unforced
from .runtime import TeslaFiConfigEntry
from .tesla.energy_site import CHANNELS, WallConnector
from .tesla.next_event import Place, car_zone, next_charge, next_preconditioning
from .tesla.requests import Category
from .tesla.tariff import Side, rates
from .tesla.vehicle_details import Alert, newest_first

PARALLEL_UPDATES = 0

DIAGNOSTIC: Final = EntityCategory.DIAGNOSTIC
STATE: Final = "state"
COST: Final = "cost"
DATA_AT: Final = "data_at"
DAY_AHEAD_MOST: Final = timedelta(days=1)
"""By how much a site's day may begin later than now: clocks differ, days do not."""

_MOMENTS: Final = range(946_684_800, 32_503_680_000)
"""Epoch seconds from 2000 to 3000: anything else is no moment, and some of it no calendar can hold."""


@dataclass(frozen=True, kw_only=True)
class TeslaFiSensorDescription[SourceT](SensorEntityDescription, ShownDescription[SourceT]):
    """A sensor and where its value comes from.

    With `resets`, `value_fn` returns the value and the moment at which its sum began; with `meter`, what that meter
    takes. A moment that moves by no more than `tolerance` is the same moment computed anew.
    """

    resets: bool = False
    meter: Callable[[], Meter] | None = None
    tolerance: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class VehicleSensorDescription(TeslaFiSensorDescription[VehicleData]):
    """A sensor of a car; enabled by default is what nearly every owner looks at."""

    entity_registry_enabled_default: bool = False
    expected: bool | None = None
    in_account_currency: bool = False
    """Money, in what Tesla bills the developer account in."""


type SiteSensorDescription = TeslaFiSensorDescription[SiteData]
type LinkSensorDescription = TeslaFiSensorDescription[LinkStatus]
type WallConnectorSensorDescription = TeslaFiSensorDescription[WallConnector]


# Rows of the tables: one function per kind of value. `path` is the value's path in the snapshot, and makes the key;
# `also` names paths whose report shows that the value can come.


def _key(path: str) -> str:
    return path.replace(".", "_")


def _in(path: str) -> Callable[[Any], Any]:
    return attrgetter(f"snapshot.{path}")


def _epoch(seconds: float | None) -> datetime | None:
    """Return the moment of epoch seconds, or None where they are no moment."""
    return None if seconds is None or int(seconds) not in _MOMENTS else datetime.fromtimestamp(seconds, UTC)


def _measured(
    path: str,
    device_class: SensorDeviceClass | None,
    unit: str | None,
    *,
    also: tuple[str, ...] = (),
    precision: int | None = None,
    state_class: SensorStateClass | None = SensorStateClass.MEASUREMENT,
    category: EntityCategory | None = None,
    enabled: bool = False,
) -> VehicleSensorDescription:
    """Describe a number."""
    return VehicleSensorDescription(
        key=_key(path),
        paths=(path, *also),
        value_fn=_in(path),
        device_class=device_class,
        native_unit_of_measurement=unit,
        suggested_display_precision=precision,
        state_class=state_class,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _listed(
    path: str,
    states: Mapping[Any, str],
    *,
    category: EntityCategory | None = None,
    enabled: bool = False,
) -> VehicleSensorDescription:
    """Describe a text or a code that means one of several states."""
    value = _in(path)
    return VehicleSensorDescription(
        key=_key(path),
        paths=(path,),
        fitted=SEATS.get(path.removeprefix("climate_state.")),
        value_fn=lambda data: states.get(value(data)),
        device_class=SensorDeviceClass.ENUM,
        options=list(dict.fromkeys(states.values())),
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _leveled(path: str, levels: Mapping[int, str], *, enabled: bool = False) -> VehicleSensorDescription:
    """Describe one of several levels; cars have had more of them than were known."""
    value = _in(path)

    def named(data: VehicleData) -> str | None:
        found = level(levels, value(data))
        return None if found is None else levels[found]

    return VehicleSensorDescription(
        key=_key(path),
        paths=(path,),
        fitted=SEATS.get(path.removeprefix("climate_state.")),
        value_fn=named,
        device_class=SensorDeviceClass.ENUM,
        options=list(levels.values()),
        entity_registry_enabled_default=enabled,
    )


def _worded(
    path: str,
    *,
    also: tuple[str, ...] = (),
    category: EntityCategory | None = DIAGNOSTIC,
    enabled: bool = False,
) -> VehicleSensorDescription:
    """Describe a text that is shown as it was sent."""
    return VehicleSensorDescription(
        key=_key(path),
        paths=(path, *also),
        value_fn=_in(path),
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _dated(
    path: str, *, per_second: int = 1, category: EntityCategory | None = DIAGNOSTIC, enabled: bool = False
) -> VehicleSensorDescription:
    """Describe a moment in epoch seconds, or in parts of seconds of which `per_second` make one."""
    value = _in(path)

    def moment(data: VehicleData) -> datetime | None:
        epoch = value(data)
        return None if epoch is None else _epoch(epoch / per_second)

    return VehicleSensorDescription(
        key=_key(path),
        paths=(path,),
        value_fn=moment,
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _ahead(
    path: str,
    as_of: str,
    tolerance: timedelta,
    *,
    also: tuple[str, ...] = (),
    category: EntityCategory | None = None,
    enabled: bool = False,
) -> VehicleSensorDescription:
    """Describe the moment that is so many minutes ahead of the moment at which its block was recorded."""
    minutes, recorded = _in(path), _in(as_of)

    def moment(data: VehicleData) -> datetime | None:
        ahead, milliseconds = minutes(data), recorded(data)
        if ahead is None or milliseconds is None or ahead <= 0:
            return None
        return _epoch(milliseconds / 1000 + ahead * 60)

    return VehicleSensorDescription(
        key=_key(path),
        paths=(path, *also),
        value_fn=moment,
        device_class=SensorDeviceClass.TIMESTAMP,
        tolerance=tolerance,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _time_of_day(path: str) -> VehicleSensorDescription:
    """Describe a time of day in minutes after midnight, shown as `HH:MM` of the car's clock."""
    value = _in(path)

    def clock(data: VehicleData) -> str | None:
        minutes = value(data)
        return f"{minutes // 60:02}:{minutes % 60:02}" if minutes is not None and 0 <= minutes < 24 * 60 else None

    return VehicleSensorDescription(
        key=_key(path),
        paths=(path,),
        value_fn=clock,
        entity_category=DIAGNOSTIC,
    )


def _charge(path: str) -> Callable[[VehicleData], Charge]:
    """Return how to look at what a charging session has added."""
    value = _in(path)

    def charge(data: VehicleData) -> Charge:
        snapshot = data.snapshot
        return Charge(value(data), snapshot.charge_state.charging_state, snapshot.vehicle_state.odometer, data.data_at)

    return charge


def _session(
    path: str,
    device_class: SensorDeviceClass,
    unit: str,
    *,
    category: EntityCategory | None = DIAGNOSTIC,
    enabled: bool = False,
) -> VehicleSensorDescription:
    """Describe what a charging session has added so far, as the car counts and corrects it."""
    return VehicleSensorDescription(
        key=_key(path),
        paths=(path,),
        value_fn=_charge(path),
        meter=SessionMeter,
        device_class=device_class,
        native_unit_of_measurement=unit,
        suggested_display_precision=1,
        state_class=SensorStateClass.TOTAL,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _percentage(
    path: str, *, category: EntityCategory | None = None, enabled: bool = False
) -> VehicleSensorDescription:
    """Describe a share that is no battery's."""
    return _measured(path, None, PERCENTAGE, category=category, enabled=enabled)


def _battery(path: str, *, category: EntityCategory | None = None, enabled: bool = False) -> VehicleSensorDescription:
    """Describe how full the battery is or will be."""
    return _measured(path, SensorDeviceClass.BATTERY, PERCENTAGE, category=category, enabled=enabled)


def _miles(
    path: str,
    *,
    state_class: SensorStateClass = SensorStateClass.MEASUREMENT,
    category: EntityCategory | None = None,
    enabled: bool = False,
) -> VehicleSensorDescription:
    """Describe a distance."""
    return _measured(
        path,
        SensorDeviceClass.DISTANCE,
        UnitOfLength.MILES,
        precision=1,
        state_class=state_class,
        category=category,
        enabled=enabled,
    )


def _amperes(path: str, *, enabled: bool = False) -> VehicleSensorDescription:
    """Describe a current."""
    return _measured(
        path, SensorDeviceClass.CURRENT, UnitOfElectricCurrent.AMPERE, category=DIAGNOSTIC, enabled=enabled
    )


def _celsius(path: str, *, category: EntityCategory | None = None, enabled: bool = False) -> VehicleSensorDescription:
    """Describe a temperature."""
    return _measured(
        path,
        SensorDeviceClass.TEMPERATURE,
        UnitOfTemperature.CELSIUS,
        precision=1,
        category=category,
        enabled=enabled,
    )


def _bar(path: str, *, category: EntityCategory | None = DIAGNOSTIC, enabled: bool = False) -> VehicleSensorDescription:
    """Describe a tyre pressure."""
    return _measured(
        path, SensorDeviceClass.PRESSURE, UnitOfPressure.BAR, precision=2, category=category, enabled=enabled
    )


def _speed(path: str, *, category: EntityCategory | None = None, enabled: bool = False) -> VehicleSensorDescription:
    """Describe a speed."""
    return _measured(
        path,
        SensorDeviceClass.SPEED,
        UnitOfSpeed.MILES_PER_HOUR,
        precision=0,
        category=category,
        enabled=enabled,
    )


def _duration(path: str, unit: UnitOfTime, *, enabled: bool = False) -> VehicleSensorDescription:
    """Describe a length of time."""
    return _measured(path, SensorDeviceClass.DURATION, unit, category=DIAGNOSTIC, enabled=enabled)


def _requests(category: Category, *, enabled: bool = False) -> VehicleSensorDescription:
    """Describe how many requests of a category this month has seen; the ledger begins anew each month."""
    return VehicleSensorDescription(
        key=f"requests_{category}",
        value_fn=lambda data: data.requests.get(category, 0),
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=enabled,
    )


DRIVE: Final = "drive_state"
"""The block in which nothing stands for parked, once the car has sent it."""


def _speed_now(data: VehicleData) -> float | None:
    """Return the speed; the car sends null while it is parked."""
    return (data.snapshot.drive_state.speed or 0) if DRIVE in data.snapshot.reported else None


def _shift_state(data: VehicleData) -> str | None:
    """Return the gear; the car sends null while it is parked."""
    return SHIFT_STATES.get(data.snapshot.drive_state.shift_state) if DRIVE in data.snapshot.reported else None


def _phases(data: VehicleData) -> int | None:
    """Return the number of phases."""
    phases = data.snapshot.charge_state.charger_phases
    return None if phases is None else PHASES.get(phases)


def _departure(data: VehicleData) -> datetime | None:
    """Return the next scheduled departure; the car goes on telling one that has passed."""
    charge = data.snapshot.charge_state
    departure = _epoch(charge.scheduled_departure_time)
    recorded = _epoch(None if charge.timestamp is None else charge.timestamp / 1000)
    return None if departure is None or (recorded is not None and departure < recorded) else departure


def _media_source(data: VehicleData) -> str | None:
    """Return the name of the media source, which some cars send as a number."""
    source = data.snapshot.vehicle_state.media_info.now_playing_source
    return None if source is None else MEDIA_SOURCES.get(source, source)


def _cost(data: VehicleData) -> tuple[float, datetime | None]:
    """Return the month's cost in the account's currency, and the beginning of Tesla's billing month."""
    return round(data.cost, 4), data.month_began


AWAKE_BECAUSE: Final[Mapping[AwakeBecause | None, str]] = {
    **{reason: reason.value for reason in Reason},
    **{unforced: unforced.value for unforced in Unforced},
    Unforced.FALLING_ASLEEP: "nothing",
    Unforced.NOT_AWAKE: "nothing",
}
"""Why the car is awake -> the state that says so. Sleep begins no new one: the car's state tells of it, once."""


def _place(data: VehicleData) -> Place | None:
    """Return where the car is, as far as it tells."""
    drive = data.snapshot.drive_state
    return None if drive.latitude is None or drive.longitude is None else (drive.latitude, drive.longitude)


def _next_charge(data: VehicleData) -> datetime | None:
    """Return when the car begins to charge by its schedules."""
    after = data.contact_at or data.data_at
    if after is None:
        return None
    snapshot = data.snapshot
    zone = car_zone(snapshot.vehicle_config.utc_offset, after, dt_util.get_default_time_zone())
    return next_charge(snapshot.charge_schedule_data, after, zone, _place(data))


def _next_preconditioning(data: VehicleData) -> datetime | None:
    """Return when the car is to be ready by its schedules."""
    after = data.contact_at or data.data_at
    if after is None:
        return None
    snapshot = data.snapshot
    zone = car_zone(snapshot.vehicle_config.utc_offset, after, dt_util.get_default_time_zone())
    return next_preconditioning(snapshot.preconditioning_schedule_data, after, zone, _place(data))


def _autopark_state(data: VehicleData) -> str | None:
    """Return the state of autopark under whichever of its names this firmware sends."""
    state = data.snapshot.vehicle_state
    return AUTOPARK_STATES.get(state.autopark_state_v3 or state.autopark_state_v2 or "")


_added: Final = _charge("charge_state.charge_energy_added")


def _charge_somewhere(data: VehicleData) -> ChargeSomewhere:
    """Return what the session has added and by which kind of charger; where that is, the sensor finds out."""
    return ChargeSomewhere(_added(data), None, data.snapshot.charge_state.fast_charger_present)


_ROWS: Final[tuple[VehicleSensorDescription, ...]] = (
    # What the integration knows of its own work
    VehicleSensorDescription(
        key=STATE,
        value_fn=lambda data: WAKING if data.waking else CAR_STATES.get(data.state),
        device_class=SensorDeviceClass.ENUM,
        options=[*CAR_STATES.values(), WAKING],
        entity_registry_enabled_default=True,
    ),
    VehicleSensorDescription(
        key=DATA_AT,
        value_fn=attrgetter(DATA_AT),
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
    ),
    VehicleSensorDescription(
        key="contact_at",
        value_fn=attrgetter("contact_at"),
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
    ),
    VehicleSensorDescription(
        key="polling",
        value_fn=lambda data: data.polling.value,
        device_class=SensorDeviceClass.ENUM,
        options=[step.value for step in Step],
        entity_category=DIAGNOSTIC,
    ),
    VehicleSensorDescription(
        key="awake_because",
        value_fn=lambda data: AWAKE_BECAUSE.get(data.awake_because),
        device_class=SensorDeviceClass.ENUM,
        options=list(dict.fromkeys(AWAKE_BECAUSE.values())),
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=True,
    ),
    VehicleSensorDescription(
        key="asleep_today",
        value_fn=attrgetter("asleep_today"),
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        entity_category=DIAGNOSTIC,
    ),
    *(_requests(category) for category in COUNTED),
    VehicleSensorDescription(
        key=COST,
        value_fn=_cost,
        resets=True,
        device_class=SensorDeviceClass.MONETARY,
        in_account_currency=True,
        suggested_display_precision=2,
        state_class=SensorStateClass.TOTAL,
        entity_category=DIAGNOSTIC,
    ),
    # The vehicle object
    _listed("vehicle.access_type", ACCESS_TYPES, category=DIAGNOSTIC),
    _listed("vehicle.command_signing", COMMAND_SIGNINGS, category=DIAGNOSTIC),
    # Battery and charging
    _battery("charge_state.battery_level", enabled=True),
    _percentage("charge_state.usable_battery_level"),
    _miles("charge_state.battery_range", enabled=True),
    _miles("charge_state.est_battery_range"),
    _miles("charge_state.ideal_battery_range"),
    _listed("charge_state.charging_state", CHARGING_STATES, enabled=True),
    _percentage("charge_state.charge_limit_soc", enabled=True),
    _percentage("charge_state.charge_limit_soc_min", category=DIAGNOSTIC),
    _percentage("charge_state.charge_limit_soc_max", category=DIAGNOSTIC),
    _percentage("charge_state.charge_limit_soc_std", category=DIAGNOSTIC),
    _percentage("charge_state.one_time_soc_limit", category=DIAGNOSTIC),
    _listed("charge_state.charge_limit_reason", CHARGE_LIMIT_REASONS, category=DIAGNOSTIC),
    _session(
        "charge_state.charge_energy_added",
        SensorDeviceClass.ENERGY,
        UnitOfEnergy.KILO_WATT_HOUR,
        category=None,
        enabled=True,
    ),
    VehicleSensorDescription(
        key="home_charging_energy",
        paths=("charge_state.charge_energy_added",),
        value_fn=_charge_somewhere,
        meter=HomeMeter,
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=1,
        state_class=SensorStateClass.TOTAL,
        entity_registry_enabled_default=True,
    ),
    _session("charge_state.charge_miles_added_rated", SensorDeviceClass.DISTANCE, UnitOfLength.MILES),
    _session("charge_state.charge_miles_added_ideal", SensorDeviceClass.DISTANCE, UnitOfLength.MILES),
    _measured("charge_state.charger_power", SensorDeviceClass.POWER, UnitOfPower.KILO_WATT, enabled=True),
    _speed("charge_state.charge_rate", category=DIAGNOSTIC),
    _measured(
        "charge_state.charger_voltage",
        SensorDeviceClass.VOLTAGE,
        UnitOfElectricPotential.VOLT,
        category=DIAGNOSTIC,
    ),
    _amperes("charge_state.charger_actual_current"),
    _amperes("charge_state.charger_pilot_current"),
    _amperes("charge_state.charge_current_request"),
    _amperes("charge_state.charge_current_request_max"),
    _amperes("charge_state.charge_amps"),
    VehicleSensorDescription(
        key="charge_state_charger_phases",
        paths=("charge_state.charger_phases",),
        value_fn=_phases,
        entity_category=DIAGNOSTIC,
    ),
    _ahead(
        "charge_state.minutes_to_full_charge",
        "charge_state.timestamp",
        timedelta(minutes=4),
        enabled=True,
    ),
    _duration("charge_state.time_to_full_charge", UnitOfTime.HOURS),
    _duration("charge_state.minutes_to_charge_limit", UnitOfTime.MINUTES),
    _listed("charge_state.charge_port_latch", CHARGE_PORT_LATCHES, category=DIAGNOSTIC),
    _listed("charge_state.charge_port_color", CHARGE_PORT_COLORS, category=DIAGNOSTIC),
    _listed("charge_state.conn_charge_cable", CHARGE_CABLES, category=DIAGNOSTIC),
    _listed("charge_state.fast_charger_type", FAST_CHARGERS, category=DIAGNOSTIC),
    _worded("charge_state.fast_charger_brand"),
    _measured("charge_state.max_range_charge_counter", None, None, category=DIAGNOSTIC),
    _listed("charge_state.scheduled_charging_mode", SCHEDULED_CHARGING_MODES, category=DIAGNOSTIC),
    _dated("charge_state.scheduled_charging_start_time"),
    _time_of_day("charge_state.scheduled_charging_start_time_app"),
    _time_of_day("charge_state.scheduled_charging_start_time_minutes"),
    VehicleSensorDescription(
        key="charge_state_scheduled_departure_time",
        paths=("charge_state.scheduled_departure_time",),
        value_fn=_departure,
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
    ),
    _time_of_day("charge_state.scheduled_departure_time_minutes"),
    _listed("charge_state.preconditioning_times", WEEKLY_TIMES, category=DIAGNOSTIC),
    _listed("charge_state.off_peak_charging_times", WEEKLY_TIMES, category=DIAGNOSTIC),
    _time_of_day("charge_state.off_peak_hours_end_time"),
    _dated("charge_state.managed_charging_start_time"),
    _listed("charge_state.outlet_state", OUTLET_STATES, category=DIAGNOSTIC),
    _percentage("charge_state.outlet_soc_limit", category=DIAGNOSTIC),
    _listed("charge_state.power_feed_state", POWER_FEED_STATES, category=DIAGNOSTIC),
    _percentage("charge_state.power_feed_soc_limit", category=DIAGNOSTIC),
    _listed("charge_state.powershare_status", POWERSHARE_STATUSES),
    _listed("charge_state.powershare_type", POWERSHARE_TYPES, category=DIAGNOSTIC),
    _listed("charge_state.powershare_stop_reason", POWERSHARE_STOPS, category=DIAGNOSTIC),
    _measured(
        "charge_state.powershare_instantaneous_load_kw",
        SensorDeviceClass.POWER,
        UnitOfPower.KILO_WATT,
    ),
    _duration("charge_state.powershare_vehicle_energy_left_hr", UnitOfTime.HOURS),
    _percentage("charge_state.powershare_soc_limit", category=DIAGNOSTIC),
    # The car's own schedules
    VehicleSensorDescription(
        key="charge_schedule_data_next",
        paths=("charge_schedule_data.charge_schedules",),
        value_fn=_next_charge,
        device_class=SensorDeviceClass.TIMESTAMP,
    ),
    VehicleSensorDescription(
        key="charge_schedule_data_charge_schedules",
        paths=("charge_schedule_data.charge_schedules",),
        value_fn=lambda data: len(data.snapshot.charge_schedule_data.charge_schedules),
        entity_category=DIAGNOSTIC,
    ),
    VehicleSensorDescription(
        key="preconditioning_schedule_data_next",
        paths=("preconditioning_schedule_data.precondition_schedules",),
        value_fn=_next_preconditioning,
        device_class=SensorDeviceClass.TIMESTAMP,
    ),
    VehicleSensorDescription(
        key="preconditioning_schedule_data_precondition_schedules",
        paths=("preconditioning_schedule_data.precondition_schedules",),
        value_fn=lambda data: len(data.snapshot.preconditioning_schedule_data.precondition_schedules),
        entity_category=DIAGNOSTIC,
    ),
    # Climate
    _celsius("climate_state.inside_temp", enabled=True),
    _celsius("climate_state.outside_temp", enabled=True),
    _celsius("climate_state.driver_temp_setting", category=DIAGNOSTIC),
    _celsius("climate_state.passenger_temp_setting", category=DIAGNOSTIC),
    _celsius("climate_state.min_avail_temp", category=DIAGNOSTIC),
    _celsius("climate_state.max_avail_temp", category=DIAGNOSTIC),
    _measured("climate_state.fan_status", None, None, category=DIAGNOSTIC),
    _listed("climate_state.hvac_auto_request", HVAC_AUTO_REQUESTS, category=DIAGNOSTIC),
    _listed("climate_state.climate_keeper_mode", CLIMATE_KEEPER_MODES),
    _listed("climate_state.defrost_mode", DEFROST_MODES),
    _leveled("climate_state.seat_heater_left", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_right", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_rear_left", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_rear_center", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_rear_right", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_rear_left_back", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_rear_right_back", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_third_row_left", SEAT_LEVELS),
    _leveled("climate_state.seat_heater_third_row_right", SEAT_LEVELS),
    _leveled("climate_state.seat_fan_front_left", SEAT_LEVELS),
    _leveled("climate_state.seat_fan_front_right", SEAT_LEVELS),
    _leveled("climate_state.steering_wheel_heat_level", STEERING_WHEEL_LEVELS),
    _listed("climate_state.cabin_overheat_protection", CABIN_OVERHEAT_PROTECTIONS),
    _listed("climate_state.cop_activation_temperature", COP_TEMPERATURES, category=DIAGNOSTIC),
    _listed("climate_state.cop_not_running_reason", COP_REASONS, category=DIAGNOSTIC),
    # Driving and the active route
    VehicleSensorDescription(
        key="drive_state_shift_state",
        paths=("drive_state.shift_state",),
        value_fn=_shift_state,
        device_class=SensorDeviceClass.ENUM,
        options=list(dict.fromkeys(SHIFT_STATES.values())),
        entity_registry_enabled_default=True,
    ),
    VehicleSensorDescription(
        key="drive_state_speed",
        paths=("drive_state.speed",),
        value_fn=_speed_now,
        entity_registry_enabled_default=True,
        device_class=SensorDeviceClass.SPEED,
        native_unit_of_measurement=UnitOfSpeed.MILES_PER_HOUR,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
    ),
    _measured("drive_state.power", SensorDeviceClass.POWER, UnitOfPower.KILO_WATT, category=DIAGNOSTIC),
    _measured(
        "drive_state.heading",
        None,
        DEGREE,
        state_class=SensorStateClass.MEASUREMENT_ANGLE,
        category=DIAGNOSTIC,
    ),
    _dated("drive_state.gps_as_of"),
    _dated("drive_state.timestamp", per_second=1000),
    _worded("drive_state.active_route_destination", also=(PLACE,), category=None, enabled=True),
    _measured("drive_state.active_route_energy_at_arrival", None, PERCENTAGE, also=(PLACE,), enabled=True),
    _miles("drive_state.active_route_miles_to_arrival"),
    _ahead(
        "drive_state.active_route_minutes_to_arrival",
        "drive_state.timestamp",
        timedelta(minutes=1),
        also=(PLACE,),
        enabled=True,
    ),
    _measured(
        "drive_state.active_route_traffic_minutes_delay",
        SensorDeviceClass.DURATION,
        UnitOfTime.MINUTES,
        precision=0,
    ),
    # What the screen shows
    _listed("gui_settings.gui_charge_rate_units", CHARGE_RATE_UNITS, category=DIAGNOSTIC),
    _listed("gui_settings.gui_distance_units", DISTANCE_UNITS, category=DIAGNOSTIC),
    _listed("gui_settings.gui_range_display", RANGE_DISPLAYS, category=DIAGNOSTIC),
    _listed("gui_settings.gui_temperature_units", TEMPERATURE_UNITS, category=DIAGNOSTIC),
    _listed("gui_settings.gui_tirepressure_units", PRESSURE_UNITS, category=DIAGNOSTIC),
    # How the car was built
    _listed("vehicle_config.car_type", CAR_TYPES, category=DIAGNOSTIC),
    VehicleSensorDescription(
        key="vehicle_config_trim_badging",
        paths=("vehicle_config.trim_badging",),
        value_fn=lambda data: trim_of(data.snapshot),
        entity_category=DIAGNOSTIC,
    ),
    _worded("vehicle_config.car_special_type"),
    _worded("vehicle_config.efficiency_package"),
    _worded("vehicle_config.performance_package"),
    _worded("vehicle_config.perf_config"),
    _worded("vehicle_config.exterior_color"),
    _worded("vehicle_config.exterior_trim"),
    _worded("vehicle_config.wheel_type"),
    _worded("vehicle_config.roof_color"),
    _worded("vehicle_config.spoiler_type"),
    _worded("vehicle_config.third_row_seats"),
    _worded("vehicle_config.interior_trim_type"),
    _worded("vehicle_config.headlamp_type"),
    _worded("vehicle_config.aux_park_lamps"),
    _listed("vehicle_config.charge_port_type", CHARGE_PORT_TYPES, category=DIAGNOSTIC),
    _worded("vehicle_config.driver_assist"),
    _worded("vehicle_config.front_drive_unit"),
    _worded("vehicle_config.rear_drive_unit"),
    _duration("vehicle_config.utc_offset", UnitOfTime.SECONDS),
    # Body, software, tyres
    VehicleSensorDescription(
        key="vehicle_state_odometer",
        paths=("vehicle_state.odometer",),
        value_fn=attrgetter("snapshot.vehicle_state.odometer", "data_at"),
        meter=OdometerMeter,
        entity_registry_enabled_default=True,
        device_class=SensorDeviceClass.DISTANCE,
        native_unit_of_measurement=UnitOfLength.MILES,
        suggested_display_precision=1,
        state_class=SensorStateClass.TOTAL,
        entity_category=DIAGNOSTIC,
    ),
    VehicleSensorDescription(
        key="vehicle_state_car_version",
        paths=("vehicle_state.car_version",),
        value_fn=lambda data: version_of(data.snapshot.vehicle_state.car_version),
        entity_category=DIAGNOSTIC,
    ),
    _measured("vehicle_state.api_version", None, None, state_class=None, category=DIAGNOSTIC),
    _listed("vehicle_state.sun_roof_state", SUN_ROOF_STATES),
    _percentage("vehicle_state.sun_roof_percent_open"),
    _listed("vehicle_state.center_display_state", CENTER_DISPLAYS, category=DIAGNOSTIC),
    _listed("vehicle_state.dashcam_state", DASHCAM_STATES, category=DIAGNOSTIC),
    _measured("vehicle_state.homelink_device_count", None, None, category=DIAGNOSTIC),
    VehicleSensorDescription(
        key="vehicle_state_autopark_state",
        paths=("vehicle_state.autopark_state_v2", "vehicle_state.autopark_state_v3"),
        value_fn=_autopark_state,
        device_class=SensorDeviceClass.ENUM,
        options=list(AUTOPARK_STATES.values()),
        entity_category=DIAGNOSTIC,
    ),
    _listed("vehicle_state.autopark_style", AUTOPARK_STYLES, category=DIAGNOSTIC),
    _worded("vehicle_state.last_autopark_error"),
    _percentage("vehicle_state.vehicle_self_test_progress", category=DIAGNOSTIC),
    _listed("vehicle_state.software_update.status", UPDATE_STATUSES, category=DIAGNOSTIC),
    _worded("vehicle_state.software_update.version"),
    _percentage("vehicle_state.software_update.download_perc", category=DIAGNOSTIC),
    _percentage("vehicle_state.software_update.install_perc", category=DIAGNOSTIC),
    _duration("vehicle_state.software_update.expected_duration_sec", UnitOfTime.SECONDS),
    _dated("vehicle_state.software_update.scheduled_time_ms", per_second=1000),
    _duration("vehicle_state.software_update.warning_time_remaining_ms", UnitOfTime.MILLISECONDS),
    _speed("vehicle_state.speed_limit_mode.current_limit_mph", category=DIAGNOSTIC),
    _speed("vehicle_state.speed_limit_mode.max_limit_mph", category=DIAGNOSTIC),
    _speed("vehicle_state.speed_limit_mode.min_limit_mph", category=DIAGNOSTIC),
    _bar("vehicle_state.tpms_pressure_fl", category=None, enabled=True),
    _bar("vehicle_state.tpms_pressure_fr", category=None, enabled=True),
    _bar("vehicle_state.tpms_pressure_rl", category=None, enabled=True),
    _bar("vehicle_state.tpms_pressure_rr", category=None, enabled=True),
    _dated("vehicle_state.tpms_last_seen_pressure_time_fl"),
    _dated("vehicle_state.tpms_last_seen_pressure_time_fr"),
    _dated("vehicle_state.tpms_last_seen_pressure_time_rl"),
    _dated("vehicle_state.tpms_last_seen_pressure_time_rr"),
    _bar("vehicle_state.tpms_rcp_front_value"),
    _bar("vehicle_state.tpms_rcp_rear_value"),
    # Media
    _listed("vehicle_state.media_info.media_playback_status", PLAYBACK_STATES),
    _worded("vehicle_state.media_info.now_playing_title", category=None),
    _worded("vehicle_state.media_info.now_playing_artist", category=None),
    _worded("vehicle_state.media_info.now_playing_album", category=None),
    _worded("vehicle_state.media_info.now_playing_station", category=None),
    VehicleSensorDescription(
        key="vehicle_state_media_info_now_playing_source",
        paths=("vehicle_state.media_info.now_playing_source",),
        value_fn=_media_source,
    ),
    _duration("vehicle_state.media_info.now_playing_duration", UnitOfTime.MILLISECONDS),
    _duration("vehicle_state.media_info.now_playing_elapsed", UnitOfTime.MILLISECONDS),
    _measured("vehicle_state.media_info.audio_volume", None, None, precision=1),
    _worded("vehicle_state.media_info.a2dp_source_name"),
)

VEHICLE_SENSORS: Final = grouped("sensor", _ROWS)


def _site_measured(
    path: str,
    device_class: SensorDeviceClass | None,
    unit: str,
    *,
    kilo: str | None = None,
    precision: int | None = None,
    category: EntityCategory | None = None,
    enabled: bool = True,
) -> SiteSensorDescription:
    """Describe a number of an energy site, shown in the unit `kilo` where one is given."""
    return TeslaFiSensorDescription(
        key=path.rpartition(".")[2],
        paths=(path,),
        value_fn=attrgetter(path),
        device_class=device_class,
        native_unit_of_measurement=unit,
        suggested_unit_of_measurement=kilo,
        suggested_display_precision=precision,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _watts(path: str, *, category: EntityCategory | None = None, enabled: bool = True) -> SiteSensorDescription:
    """Describe a power of an energy site."""
    return _site_measured(
        path,
        SensorDeviceClass.POWER,
        UnitOfPower.WATT,
        kilo=UnitOfPower.KILO_WATT,
        precision=2,
        category=category,
        enabled=enabled,
    )


def _stored(path: str, *, enabled: bool = True) -> SiteSensorDescription:
    """Describe an energy that a battery holds or can hold."""
    return _site_measured(
        path,
        SensorDeviceClass.ENERGY_STORAGE,
        UnitOfEnergy.WATT_HOUR,
        kilo=UnitOfEnergy.KILO_WATT_HOUR,
        precision=2,
        category=DIAGNOSTIC,
        enabled=enabled,
    )


def _site_listed(
    path: str, states: Mapping[Any, str], *, category: EntityCategory | None = None, enabled: bool = True
) -> SiteSensorDescription:
    """Describe a text of an energy site that means one of several states."""
    value = attrgetter(path)
    return TeslaFiSensorDescription(
        key=path.rpartition(".")[2],
        paths=(path,),
        value_fn=lambda data: states.get(value(data)),
        device_class=SensorDeviceClass.ENUM,
        options=list(dict.fromkeys(states.values())),
        entity_category=category,
        entity_registry_enabled_default=enabled,
    )


def _site_worded(path: str) -> SiteSensorDescription:
    """Describe a text of an energy site that is shown as it was sent."""
    return TeslaFiSensorDescription(
        key=path.rpartition(".")[2],
        paths=(path,),
        value_fn=attrgetter(path),
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=False,
    )


def _energy_today(channel: str) -> SiteSensorDescription:
    """Describe the energy of the running day in one channel; Tesla leaves one out while it is 0."""
    value = attrgetter(f"today.{channel}")

    def energy(data: SiteData) -> tuple[float | None, datetime | None]:
        left_out = data.today.reported and f"today.{channel}" not in data.today.reported
        day = data.today.period_start
        if day is not None and day - dt_util.utcnow() > DAY_AHEAD_MOST:
            # Every day to come would be taken for an earlier one
            day = None
        return 0.0 if left_out else value(data), day

    return TeslaFiSensorDescription(
        key=channel,
        paths=(f"today.{channel}",),
        value_fn=energy,
        meter=DayMeter,
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        state_class=SensorStateClass.TOTAL,
        entity_registry_enabled_default=channel.startswith("total_") or channel == "grid_energy_imported",
    )


SITE_SENSORS: Final[tuple[SiteSensorDescription, ...]] = (
    _watts("live.solar_power"),
    _watts("live.battery_power"),
    _watts("live.load_power"),
    _watts("live.grid_power"),
    _watts("live.grid_services_power", enabled=False),
    _watts("live.generator_power", enabled=False),
    _site_measured("live.percentage_charged", SensorDeviceClass.BATTERY, PERCENTAGE, precision=1),
    _stored("live.energy_left", enabled=False),
    _stored("live.total_pack_energy", enabled=False),
    # Whether there is a grid says the binary sensor, which is enabled
    _site_listed("live.island_status", ISLAND_STATUSES, enabled=False),
    _site_measured("info.backup_reserve_percent", None, PERCENTAGE),
    _site_measured("info.off_grid_vehicle_charging_reserve_percent", None, PERCENTAGE, enabled=False),
    _site_measured("info.vpp_backup_reserve_percent", None, PERCENTAGE, category=DIAGNOSTIC, enabled=False),
    _site_listed("info.default_real_mode", OPERATION_MODES),
    _site_listed("info.components.customer_preferred_export_rule", EXPORT_RULES, enabled=False),
    TeslaFiSensorDescription(
        key="version",
        paths=("info.version",),
        value_fn=lambda data: version_of(data.info.version),
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    TeslaFiSensorDescription(
        key="installation_date",
        paths=("info.installation_date",),
        value_fn=attrgetter("info.installation_date"),
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    TeslaFiSensorDescription(
        key="battery_count",
        paths=("info.battery_count",),
        value_fn=attrgetter("info.battery_count"),
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    _watts("info.nameplate_power", category=DIAGNOSTIC, enabled=False),
    _stored("info.nameplate_energy", enabled=False),
    _site_worded("info.utility"),
    _site_worded("info.components.solar_type"),
    _site_worded("info.components.battery_type"),
    _site_worded("info.components.net_meter_mode"),
    *(_energy_today(channel) for channel in CHANNELS),
)

WALL_CONNECTOR_SENSORS: Final[tuple[WallConnectorSensorDescription, ...]] = (
    TeslaFiSensorDescription(
        key="wall_connector_state",
        value_fn=lambda connector: WALL_CONNECTOR_STATES.get(connector.wall_connector_state),
        device_class=SensorDeviceClass.ENUM,
        options=list(WALL_CONNECTOR_STATES.values()),
    ),
    TeslaFiSensorDescription(
        key="wall_connector_fault_state",
        value_fn=attrgetter("wall_connector_fault_state"),
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    TeslaFiSensorDescription(
        key="wall_connector_power",
        value_fn=attrgetter("wall_connector_power"),
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_unit_of_measurement=UnitOfPower.KILO_WATT,
        suggested_display_precision=2,
        state_class=SensorStateClass.MEASUREMENT,
    ),
    TeslaFiSensorDescription(key="vin", value_fn=attrgetter("vin")),
)


def _wall_charges(data: SiteData) -> tuple[list[tuple[int, float]], datetime] | None:
    """Return the charges at wall connectors, and when they were read."""
    if data.charges is None or data.charges_at is None:
        return None
    return [(charge.begun, charge.energy) for charge in data.charges], data.charges_at


CHARGES_SENSORS: Final[tuple[SiteSensorDescription, ...]] = (
    TeslaFiSensorDescription(
        key="wall_connector_energy",
        paths=("charges.energy",),
        value_fn=_wall_charges,
        meter=ChargesMeter,
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        state_class=SensorStateClass.TOTAL,
    ),
)


def _price_now(side: Callable[[SiteData], Side | None]) -> Callable[[SiteData], float | None]:
    """Return what tells the price of a kWh at this moment, by the site's own clock."""

    def price(data: SiteData) -> float | None:
        if (told := side(data)) is None:
            return None
        now = dt_util.utcnow()
        zone = data.zone or dt_util.get_default_time_zone()
        found = rates(told, now, now + timedelta(minutes=1), zone)
        return next((rate.price for rate in found if rate.begin <= now < rate.end), None)

    return price


PRICE_SENSORS: Final[tuple[SiteSensorDescription, ...]] = tuple(
    TeslaFiSensorDescription(
        key=key,
        paths=(path,),
        value_fn=_price_now(attrgetter(path)),
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=3,
    )
    for key, path in (("import_price", "info.tariff.buy"), ("export_price", "info.tariff.sell"))
)


@dataclass(frozen=True, kw_only=True)
class PartSensorDescription(TeslaFiSensorDescription[Any], PartDescription):
    """A sensor of a gateway or battery."""

    entity_category: EntityCategory | None = DIAGNOSTIC
    entity_registry_enabled_default: bool = False


def _built_for(key: str, device_class: SensorDeviceClass, unit: str, kilo: str) -> PartSensorDescription:
    """Describe what a battery is built for."""
    return PartSensorDescription(
        key=key,
        parts=attrgetter("info.components.batteries"),
        part_name="Powerwall",
        value_fn=attrgetter(key),
        device_class=device_class,
        native_unit_of_measurement=unit,
        suggested_unit_of_measurement=kilo,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
    )


PART_SENSORS: Final[tuple[PartSensorDescription, ...]] = (
    PartSensorDescription(
        key="firmware_version",
        parts=attrgetter("info.components.gateways"),
        part_name="Gateway",
        value_fn=lambda part: version_of(part.firmware_version),
    ),
    _built_for(
        "nameplate_energy", SensorDeviceClass.ENERGY_STORAGE, UnitOfEnergy.WATT_HOUR, UnitOfEnergy.KILO_WATT_HOUR
    ),
    _built_for("nameplate_max_charge_power", SensorDeviceClass.POWER, UnitOfPower.WATT, UnitOfPower.KILO_WATT),
    _built_for("nameplate_max_discharge_power", SensorDeviceClass.POWER, UnitOfPower.WATT, UnitOfPower.KILO_WATT),
)

LINK_SENSORS: Final[tuple[LinkSensorDescription, ...]] = (
    TeslaFiSensorDescription(
        key="link_state",
        value_fn=attrgetter("state"),
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in LinkState],
        entity_category=DIAGNOSTIC,
    ),
    TeslaFiSensorDescription(
        key="subscription",
        value_fn=attrgetter("subscription"),
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in SubscriptionReason],
        entity_category=DIAGNOSTIC,
    ),
    TeslaFiSensorDescription(
        key="subscription_until",
        value_fn=attrgetter("subscription_until"),
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
    ),
    TeslaFiSensorDescription(
        key="link_contact",
        value_fn=attrgetter("contact_at"),
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
)


def _newest_alert(alerts: Sequence[Alert]) -> str | None:
    """Return what the newest alert told the driver, else its name."""
    newest = newest_first(alerts)
    return (newest[0].user_text or newest[0].name) if newest else None


@dataclass(frozen=True, kw_only=True)
class DetailSensorDescription(TeslaFiSensorDescription[Any], DetailDescription):
    """A sensor of a detail that Tesla bills."""

    entity_registry_enabled_default: bool = False


DETAIL_SENSORS: Final = (
    DetailSensorDescription(
        key="last_alert", detail=attrgetter("alerts"), value_fn=_newest_alert, entity_category=DIAGNOSTIC
    ),
    DetailSensorDescription(
        key="service_status",
        detail=attrgetter("service"),
        value_fn=attrgetter("service_status"),
        entity_category=DIAGNOSTIC,
    ),
    DetailSensorDescription(
        key="service_expected_ready",
        detail=attrgetter("service"),
        value_fn=attrgetter("service_etc"),
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=DIAGNOSTIC,
    ),
    DetailSensorDescription(
        key="service_visit_number",
        detail=attrgetter("service"),
        value_fn=attrgetter("service_visit_number"),
        entity_category=DIAGNOSTIC,
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of the account's cars, energy sites and wall connectors."""
    async_setup_vehicle_platform(entry, async_add_entities, VEHICLE_SENSORS, _vehicle_sensor)
    async_setup_vehicle_platform(entry, async_add_entities, DETAIL_SENSORS, DetailSensor)
    async_setup_vehicle_platform(entry, async_add_entities, JOURNAL_SENSORS, JournalSensor)
    async_setup_site_platform(entry, async_add_entities, SITE_SENSORS, SiteSensor)
    async_setup_site_platform(entry, async_add_entities, CHARGES_SENSORS, ChargesSensor)
    async_setup_site_platform(entry, async_add_entities, PRICE_SENSORS, PriceSensor)
    async_setup_wall_connector_platform(entry, async_add_entities, WALL_CONNECTOR_SENSORS, WallConnectorSensor)
    async_setup_part_platform(entry, async_add_entities, PART_SENSORS, PartSensor)
    if (link := entry.runtime_data.link) is not None:
        async_add_entities(LinkSensor(link, description) for description in LINK_SENSORS)


class TeslaFiSensor(SensorEntity):
    """How a sensor takes its value."""

    entity_description: TeslaFiSensorDescription[Any]
    _meter: Meter | None = None

    def _metered(self, reading: Any) -> Any:  # noqa: ANN401 - numbers, texts, moments, or what a meter takes
        """Return what is shown of a reading: for a meter, its value and the beginning of its sum."""
        make = self.entity_description.meter
        if make is None:
            return reading
        self._meter = (self._meter or make()).take(reading)
        return self._meter.value, self._meter.began

    def _show(self, value: Any) -> None:  # noqa: ANN401 - numbers, texts, moments, or one with the start of its sum
        if self.entity_description.resets or self.entity_description.meter:
            value, self._attr_last_reset = value
        if type(value) is str:
            value = value[:MAX_LENGTH_STATE_STATE]
        self._attr_native_value = value

    def _is_worth_writing(self, value: Any) -> bool:  # noqa: ANN401 - as the base class
        tolerance = self.entity_description.tolerance
        shown = self._attr_native_value
        if tolerance is None or not isinstance(value, datetime) or not isinstance(shown, datetime):
            return True
        return abs(value - shown) > tolerance


class VehicleSensor(TeslaFiSensor, SensedVehicleEntity):
    """A sensor of a car."""

    entity_description: VehicleSensorDescription

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        """Return the description's unit; of money, the account's currency."""
        if self.entity_description.in_account_currency:
            return self.coordinator.data.currency
        return self.entity_description.native_unit_of_measurement


class MeteredSensor(VehicleSensor):
    """A sensor of a car whose readings go through a meter."""

    @override
    def _current_value(self) -> Any:
        return self._metered(super()._current_value())


class StateSensor(VehicleSensor):
    """The car's state, which also tells how old the car's data are without a row in the recorder for each look.

    Data that come while the state stays what it is write it again: Home Assistant keeps that moment as `last_reported`
    alone. The attribute has the moment of the data that were the newest when the state itself was last written, and
    none while the car was never read.
    """

    _unrecorded_attributes = frozenset({DATA_AT})

    def __init__(self, coordinator: VehicleCoordinator, description: VehicleSensorDescription) -> None:
        """Show what `description` says."""
        self._data_at = coordinator.data.data_at
        super().__init__(coordinator, description)

    @override
    def _show(self, value: Any) -> None:
        super()._show(value)
        self._show_data_at()

    def _show_data_at(self) -> None:
        self._data_at = self.coordinator.data.data_at
        self._attr_extra_state_attributes = {DATA_AT: self._data_at}

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        if self._is_shown() is not self._shown:
            self._show_data_at()
        super()._handle_coordinator_update()
        if self.coordinator.data.data_at != self._data_at:
            if self._attr_extra_state_attributes[DATA_AT] is None:
                self._show_data_at()
            self._data_at = self.coordinator.data.data_at
            self.async_write_ha_state()

    @callback
    @override
    def async_registry_entry_updated(self) -> None:
        """Have the write that follows a new label differ from the last one: the same again would count as data."""
        before = self._attr_extra_state_attributes[DATA_AT]
        self._show_data_at()
        if before is not None and before == self._data_at:
            self._attr_extra_state_attributes = {DATA_AT: before - datetime.resolution}

    @override
    async def async_update_ha_state(self, force_refresh: bool = False) -> None:
        """Ask for a refresh; what comes of it is written when it comes. A write of nothing new would count as data."""
        await self.async_device_update()


class CostSensor(VehicleSensor):
    """What the month's requests cost, with how many they were.

    They are those of the moment at which the cost last changed: requests that Tesla does not bill write no state.
    """

    @override
    def _show(self, value: Any) -> None:
        super()._show(value)
        requests = self.coordinator.data.requests
        self._attr_extra_state_attributes = {f"requests_{name}": requests.get(name, 0) for name in COUNTED}


class RestoredSensor[MeterT: (SessionMeter, HomeMeter)](MeteredSensor, RestoreEntity):
    """A sensor whose meter is kept over a restart, so that nothing counts twice."""

    _kind: type[MeterT]

    @override
    async def async_added_to_hass(self) -> None:
        """Go on where the last run ended."""
        await super().async_added_to_hass()
        if (kept := await self.async_get_last_extra_data()) is not None:
            self._meter = self._kind.from_json(kept.as_dict())
            self._value = self._current_value()
            self._show(self._value)

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData | None:
        return RestoredExtraData(self._meter.to_json()) if isinstance(self._meter, self._kind) else None


class SessionSensor(RestoredSensor[SessionMeter]):
    """A sensor of charging sessions."""

    _kind = SessionMeter


class HomeSensor(RestoredSensor[HomeMeter]):
    """The energy charged at home, which is Home Assistant's own place."""

    _kind = HomeMeter

    @override
    def _metered(self, reading: Any) -> Any:
        if isinstance(self._meter, HomeMeter) and self._meter.session.last == reading.charge.value:
            return super()._metered(reading)  # nothing was added, wherever that is
        drive = self.coordinator.data.snapshot.drive_state
        at_home = is_home(self.coordinator.hass, drive.latitude, drive.longitude)
        return super()._metered(replace(reading, at_home=at_home))


NEAR_METERS: Final = 50.0
"""How far outside the home zone a car may be seen that stands in it."""


def is_home(hass: HomeAssistant, latitude: float | None, longitude: float | None) -> bool | None:
    """Return whether a place lies in Home Assistant's home zone; None where the place is not known."""
    away = distance(latitude, longitude, hass.config.latitude, hass.config.longitude)
    return None if away is None else away <= hass.config.radius + NEAR_METERS


_KEPT: Final[Mapping[Callable[[], Meter] | None, type[VehicleSensor]]] = {
    SessionMeter: SessionSensor,
    HomeMeter: HomeSensor,
}


_KINDS: Final[Mapping[str, type[VehicleSensor]]] = {STATE: StateSensor, COST: CostSensor}
"""Key of a row -> its class, where that tells more than its value."""


def _vehicle_sensor(coordinator: VehicleCoordinator, description: VehicleSensorDescription) -> VehicleSensor:
    """Return the sensor of a row."""
    kind = _KINDS.get(description.key)
    if kind is None:
        kind = VehicleSensor if description.meter is None else _KEPT.get(description.meter, MeteredSensor)
    return kind(coordinator, description)


class SiteSensor(TeslaFiSensor, SiteEntity):
    """A sensor of an energy site."""

    @override
    def _current_value(self) -> Any:
        return self._metered(super()._current_value())


class ChargesSensor(SiteSensor, RestoreEntity):
    """A sum over charges. What was counted is kept over a restart, so that it counts once."""

    @override
    async def async_added_to_hass(self) -> None:
        """Go on with the sum of the last run."""
        await super().async_added_to_hass()
        if (kept := await self.async_get_last_extra_data()) is not None:
            meter = ChargesMeter.from_json(kept.as_dict())
            if meter.began is not None:
                self._meter = meter
                self._value = self._current_value()
                self._show(self._value)

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData | None:
        return RestoredExtraData(self._meter.to_json()) if isinstance(self._meter, ChargesMeter) else None


class PriceSensor(SiteSensor):
    """The price of a kWh, in the tariff's currency; each look at the site's powers tells it anew."""

    @property
    @override
    def native_unit_of_measurement(self) -> str:
        """The unit that Home Assistant's energy dashboard takes for a price."""
        tariff = self.coordinator.data.info.tariff
        currencies = (side.currency for side in (tariff.buy, tariff.sell) if side is not None)
        return f"{next((name for name in currencies if name), self.hass.config.currency)}/{UnitOfEnergy.KILO_WATT_HOUR}"


class PartSensor(TeslaFiSensor, PartEntity):
    """A sensor of a gateway or battery."""


class WallConnectorSensor(TeslaFiSensor, WallConnectorEntity):
    """A sensor of a wall connector."""


class DetailSensor(TeslaFiSensor, DetailEntity):
    """A sensor of a detail that Tesla bills."""


class LinkSensor(TeslaFiSensor, LinkEntity):
    """A sensor of the link to a companion."""
