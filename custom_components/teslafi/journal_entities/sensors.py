"""Sensors of a car's journal. What they show survives unplugging and restarts: it is in the journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity, SensorEntityDescription
from homeassistant.components.sensor.const import SensorDeviceClass, SensorStateClass
from homeassistant.const import (
    PERCENTAGE,
    EntityCategory,
    UnitOfEnergy,
    UnitOfEnergyDistance,
    UnitOfLength,
    UnitOfPower,
    UnitOfTime,
)

from ..coordinators.journal_summary import JournalData
from ..journal.addresses import place_name
from ..journal.sessions import Charge, Drive, Parking
from .entity import JournalDescription, JournalEntity

MEASUREMENT: Final = SensorStateClass.MEASUREMENT


@dataclass(frozen=True, kw_only=True)
class JournalSensorDescription(SensorEntityDescription, JournalDescription):
    """A sensor of the journal. `currency_fn` tells the unit of money; `attributes_fn` what belongs to the value.

    `costs_fn`: its value is the amount in Home Assistant's currency, and those in others are said beside it.
    """

    currency_fn: Callable[[JournalData], str | None] | None = None
    costs_fn: Callable[[JournalData], Mapping[str, float]] | None = None
    attributes_fn: Callable[[JournalData], dict[str, Any] | None] | None = None


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _drive(value: Callable[[Drive], Any]) -> Callable[[JournalData], Any]:
    return lambda data: None if data.last_drive is None else value(data.last_drive)


def _charge(value: Callable[[Charge], Any]) -> Callable[[JournalData], Any]:
    return lambda data: None if data.charge is None else value(data.charge)


def _parked(value: Callable[[Parking], Any]) -> Callable[[JournalData], Any]:
    return lambda data: None if data.parked is None else value(data.parked)


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


def _drive_attributes(data: JournalData) -> dict[str, Any] | None:
    drive = data.last_drive
    if drive is None:
        return None
    return {
        "start_place": place_name(drive.start_place, drive.start_position),
        "end_place": place_name(drive.end_place, drive.end_position),
        "reconstructed": drive.reconstructed,
    }


def _charge_attributes(data: JournalData) -> dict[str, Any] | None:
    charge = data.charge
    if charge is None:
        return None
    return {
        "place": place_name(charge.place, charge.position),
        "type": "DC" if charge.dc else "AC",
        "reconstructed": charge.reconstructed,
    }


SENSORS: Final = (
    # The last drive
    JournalSensorDescription(
        key="journal_drive_distance",
        value_fn=_drive(lambda drive: drive.distance_km),
        attributes_fn=_drive_attributes,
        device_class=SensorDeviceClass.DISTANCE,
        native_unit_of_measurement=UnitOfLength.KILOMETERS,
        suggested_display_precision=1,
        entity_registry_enabled_default=True,
    ),
    JournalSensorDescription(
        key="journal_drive_duration",
        value_fn=_drive(lambda drive: drive.duration_s),
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MINUTES,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_drive_energy",
        value_fn=_drive(lambda drive: drive.energy_kwh),
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
    ),
    JournalSensorDescription(
        key="journal_drive_consumption",
        value_fn=_drive(lambda drive: drive.wh_per_km),
        device_class=SensorDeviceClass.ENERGY_DISTANCE,
        native_unit_of_measurement=UnitOfEnergyDistance.WATT_HOUR_PER_KM,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_drive_efficiency",
        value_fn=_drive(lambda drive: _percent(drive.range_efficiency)),
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_drive_end",
        value_fn=_drive(lambda drive: _moment(drive.end)),
        device_class=SensorDeviceClass.TIMESTAMP,
    ),
    # The charge that goes on, or the last one
    JournalSensorDescription(
        key="journal_charge_added",
        value_fn=_charge(lambda charge: charge.added_kwh),
        attributes_fn=_charge_attributes,
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        entity_registry_enabled_default=True,
    ),
    JournalSensorDescription(
        key="journal_charge_used",
        value_fn=_charge(lambda charge: charge.used_kwh),
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
    ),
    JournalSensorDescription(
        key="journal_charge_cost",
        value_fn=_charge(lambda charge: charge.cost),
        currency_fn=_charge(lambda charge: charge.currency),
        device_class=SensorDeviceClass.MONETARY,
        suggested_display_precision=2,
    ),
    JournalSensorDescription(
        key="journal_charge_duration",
        value_fn=_charge(lambda charge: charge.duration_s),
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MINUTES,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_charge_power",
        value_fn=_charge(lambda charge: charge.power_max_kw),
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.KILO_WATT,
        suggested_display_precision=1,
    ),
    JournalSensorDescription(
        key="journal_charge_efficiency",
        value_fn=_charge(lambda charge: _percent(charge.efficiency)),
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_charge_end",
        value_fn=lambda data: None if data.last_charge is None else _moment(data.last_charge.end),
        device_class=SensorDeviceClass.TIMESTAMP,
    ),
    # Since it was parked
    JournalSensorDescription(
        key="journal_drain_range",
        value_fn=_parked(lambda parked: parked.drain_km),
        device_class=SensorDeviceClass.DISTANCE,
        native_unit_of_measurement=UnitOfLength.KILOMETERS,
        suggested_display_precision=1,
    ),
    JournalSensorDescription(
        key="journal_drain_soc",
        value_fn=_parked(lambda parked: parked.drain_soc),
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_parked_asleep",
        value_fn=_parked(lambda parked: _percent(parked.asleep_share)),
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    # This month
    JournalSensorDescription(
        key="journal_month_distance",
        value_fn=lambda data: data.month.distance_km,
        device_class=SensorDeviceClass.DISTANCE,
        native_unit_of_measurement=UnitOfLength.KILOMETERS,
        suggested_display_precision=0,
    ),
    JournalSensorDescription(
        key="journal_month_energy",
        value_fn=lambda data: data.month.energy_kwh,
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=1,
    ),
    JournalSensorDescription(
        key="journal_month_cost",
        value_fn=lambda data: data.month.costs,
        currency_fn=lambda _: None,
        costs_fn=lambda data: data.month.costs,
        device_class=SensorDeviceClass.MONETARY,
        suggested_display_precision=2,
    ),
    # The battery
    JournalSensorDescription(
        key="journal_battery_capacity",
        value_fn=lambda data: None if data.health.capacity is None else data.health.capacity.value,
        attributes_fn=lambda data: (
            None
            if data.health.capacity is None
            else {
                "low": round(data.health.capacity.low, 1),
                "high": round(data.health.capacity.high, 1),
                "charges": data.health.capacity.count,
            }
        ),
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        state_class=MEASUREMENT,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    JournalSensorDescription(
        key="journal_battery_range",
        value_fn=lambda data: None if data.health.range_km is None else data.health.range_km.value,
        device_class=SensorDeviceClass.DISTANCE,
        state_class=MEASUREMENT,
        native_unit_of_measurement=UnitOfLength.KILOMETERS,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    JournalSensorDescription(
        key="journal_battery_health",
        value_fn=lambda data: _percent(data.health.share),
        state_class=MEASUREMENT,
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    JournalSensorDescription(
        key="journal_logged_share",
        value_fn=lambda data: _percent(data.logged_share),
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
)


class JournalSensor(JournalEntity, SensorEntity):
    """A sensor of the journal."""

    entity_description: JournalSensorDescription

    @property
    @override
    def native_value(self) -> Any:  # a number, or a moment
        return self._value if self.entity_description.costs_fn is None else self._value.get(self._home_currency)

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        currency = self.entity_description.currency_fn
        if currency is None:
            return super().native_unit_of_measurement
        return currency(self.coordinator.data) or self._home_currency

    @property
    def _home_currency(self) -> str:
        return self.hass.config.currency

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        if (costs := self.entity_description.costs_fn) is not None:
            others = {name: round(cost, 2) for name, cost in costs(self.coordinator.data).items()}
            others.pop(self._home_currency, None)
            return {"other_currencies": others} if others else None
        attributes = self.entity_description.attributes_fn
        return None if attributes is None else attributes(self.coordinator.data)
