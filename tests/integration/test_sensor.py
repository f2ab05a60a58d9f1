"""Sensors of recorded cars, in a real Home Assistant."""

from datetime import UTC, datetime
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.util.unit_system import METRIC_SYSTEM, US_CUSTOMARY_SYSTEM
import pytest
from syrupy.assertion import SnapshotAssertion

from custom_components.teslafi import async_remove_config_entry_device
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.base import UNREACHABLE_AFTER
from custom_components.teslafi.tesla.errors import TeslaError
from tests.integration.recorded import (
    CARS,
    MODEL_3,
    MODEL_3_WITHOUT_PLACE,
    MODEL_S_CHARGING,
    MODEL_S_OF_2018,
    VIN,
    RecordedReader,
    begin,
    look_again,
    recorded,
    watch,
    watch_car,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def shown(hass: HomeAssistant, key: str, platform: str = "sensor", vin: str = VIN) -> str | None:
    """Return the state of a car's entity by its key; None where the entity does not exist or is disabled."""
    entity_id = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{vin}-{key}")
    state = hass.states.get(entity_id) if entity_id else None
    return state.state if state else None


def attributes(hass: HomeAssistant, key: str) -> dict[str, Any]:
    """Return the attributes of a car's sensor by its key."""
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{VIN}-{key}")
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    return dict(state.attributes)


@pytest.mark.parametrize("name", CARS)
async def test_every_entity_of_a_recorded_car(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, snapshot: SnapshotAssertion, name: str
) -> None:
    """Every entity of each recorded car, those that are off by default too."""
    freezer.move_to(NOW)
    await watch_car(hass, name, every_entity=True)
    registry = er.async_get(hass)
    states = {
        f"{state.domain}.{entity.unique_id.removeprefix(f'{VIN}-')}": state.state
        for state in hass.states.async_all()
        if (entity := registry.async_get(state.entity_id)) is not None
    }
    assert states == snapshot


async def test_values_are_teslas_in_teslas_units_for_an_american(hass: HomeAssistant) -> None:
    """Miles stay miles."""
    hass.config.units = US_CUSTOMARY_SYSTEM
    await watch_car(hass, MODEL_S_CHARGING, every_entity=True)
    assert shown(hass, "charge_state_battery_range") == "169.08"
    assert shown(hass, "charge_state_charge_rate") == "23.2"
    assert attributes(hass, "charge_state_charge_rate")["unit_of_measurement"] == "mph"
    assert shown(hass, "climate_state_inside_temp") == "95.9"
    assert float(shown(hass, "vehicle_state_tpms_pressure_fl") or 0) == pytest.approx(34.81, abs=0.01)
    assert attributes(hass, "vehicle_state_tpms_pressure_fl")["unit_of_measurement"] == "psi"


async def test_home_assistant_converts_for_everybody_else(hass: HomeAssistant) -> None:
    """By the unit, nothing else."""
    hass.config.units = METRIC_SYSTEM
    await watch_car(hass, MODEL_S_CHARGING)
    assert float(shown(hass, "charge_state_battery_range") or 0) == pytest.approx(169.08 * 1.609344)
    assert attributes(hass, "charge_state_battery_range")["unit_of_measurement"] == "km"
    assert shown(hass, "climate_state_inside_temp") == "35.5"


async def test_a_parked_car_stands_still_in_park(hass: HomeAssistant) -> None:
    """Tesla sends null for both."""
    await watch_car(hass, MODEL_3)
    assert shown(hass, "drive_state_shift_state") == "p"
    assert shown(hass, "drive_state_speed") == "0.0"


async def test_words_become_states(hass: HomeAssistant) -> None:
    """Texts and codes become states that can be translated."""
    await watch_car(hass, MODEL_S_CHARGING, every_entity=True)
    assert shown(hass, "charge_state_charging_state") == "charging"
    assert shown(hass, "charge_state_charge_port_color") == "flashing_green"
    assert shown(hass, "charge_state_scheduled_charging_mode") == "depart_by"
    assert shown(hass, "climate_state_seat_fan_front_left") == "high"
    assert shown(hass, "climate_state_seat_fan_front_right") == "low"
    assert shown(hass, "vehicle_config_car_type") == "model_s"
    assert shown(hass, "charge_state_off_peak_hours_end_time") == "06:00"


async def test_a_word_nobody_listed_is_unknown(hass: HomeAssistant) -> None:
    """And does not raise."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["charge_state"]["charging_state"] = "Levitating"
    await look_again(hass, entry)
    assert shown(hass, "charge_state_charging_state") == STATE_UNKNOWN


async def test_a_value_of_another_type_is_unknown_and_no_other_entity_minds(hass: HomeAssistant) -> None:
    """One bad value, one unknown entity."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["charge_state"]["battery_level"] = {"percent": 77}
    reader.cars[VIN]["charge_state"]["charge_limit_soc"] = 85
    await look_again(hass, entry)
    assert shown(hass, "charge_state_battery_level") == STATE_UNKNOWN
    assert shown(hass, "charge_state_charge_limit_soc") == "85"


async def test_nothing_is_created_that_the_car_does_not_report(hass: HomeAssistant) -> None:
    """Firmware of 2018 has no tyre pressures."""
    await watch_car(hass, MODEL_S_OF_2018, every_entity=True)
    assert shown(hass, "climate_state_seat_heater_left") == "off"
    assert shown(hass, "vehicle_state_tpms_pressure_fl") is None
    assert shown(hass, "climate_state_seat_fan_front_left") is None
    assert shown(hass, "charge_schedule_data_next") is None


async def test_null_is_reported_and_unknown(hass: HomeAssistant) -> None:
    """The key was there."""
    await watch_car(hass, MODEL_3, every_entity=True)
    assert shown(hass, "charge_state_scheduled_charging_start_time") == STATE_UNKNOWN


async def test_an_entity_comes_when_its_value_is_first_reported_and_stays(hass: HomeAssistant) -> None:
    """Without a restart; when the key goes again, the value is unknown."""
    entry, reader = await watch_car(hass, MODEL_3_WITHOUT_PLACE)
    assert shown(hass, "drive_state_active_route_destination") is None
    reader.cars[VIN]["drive_state"]["active_route_destination"] = "Work"
    await look_again(hass, entry)
    assert shown(hass, "drive_state_active_route_destination") == "Work"
    del reader.cars[VIN]["drive_state"]["active_route_destination"]
    await look_again(hass, entry)
    assert shown(hass, "drive_state_active_route_destination") == STATE_UNKNOWN


async def test_what_was_once_reported_comes_back_after_a_restart(hass: HomeAssistant) -> None:
    """From the last values, without a word from Tesla."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    assert shown(hass, "drive_state_active_route_destination") == "Home"
    await entry.runtime_data.account.async_save()
    assert await hass.config_entries.async_unload(entry.entry_id)
    reader.trouble = TeslaError()
    await begin(hass, entry, reader)
    assert shown(hass, "drive_state_active_route_destination") == "Home"
    assert shown(hass, "charge_state_scheduled_charging_start_time") == STATE_UNKNOWN


async def test_a_car_that_is_bought_later_appears_and_one_that_is_sold_goes(
    hass: HomeAssistant, device_registry: dr.DeviceRegistry
) -> None:
    """And comes again when it is bought back; all without a restart."""
    entry, reader = await watch_car(hass, MODEL_3)
    other = "5YJSA1E4XGF000003"
    reader.cars[other] = recorded(MODEL_S_OF_2018)
    await entry.runtime_data.account.async_refresh()
    await hass.async_block_till_done()
    assert shown(hass, "charge_state_battery_level", vin=other) == "73"
    device = device_registry.async_get_device_by_identifier((DOMAIN, other), entry.entry_id)
    assert device is not None
    assert (device.name, device.model, device.model_id) == ("Nikola 2.0", "Model S P90D", None)
    del reader.cars[other]
    await entry.runtime_data.account.async_refresh()
    assert shown(hass, "charge_state_battery_level", vin=other) == "73"
    assert await async_remove_config_entry_device(hass, entry, device)
    await hass.async_block_till_done()
    assert shown(hass, "charge_state_battery_level", vin=other) is None
    assert shown(hass, "charge_state_battery_level") == "77"
    reader.cars[other] = recorded(MODEL_S_OF_2018)
    await entry.runtime_data.account.async_refresh()
    await hass.async_block_till_done()
    assert shown(hass, "charge_state_battery_level", vin=other) == "73"


async def test_an_update_without_news_writes_only_what_changed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Not even `last_reported` moves elsewhere, but for the car's state, which tells the dashboard the age by it."""
    freezer.move_to(NOW)
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    written: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        written.append(event.data["entity_id"])

    stop = async_track_state_change_event(hass, hass.states.async_entity_ids(), note)
    reported = {state.entity_id: state.last_reported for state in hass.states.async_all()}
    reader.cars[VIN]["charge_state"]["battery_level"] = 78
    freezer.tick(60)
    await look_again(hass, entry)
    stop()
    again = {entity_id for entity_id, when in reported.items() if hass.states.get(entity_id).last_reported != when}  # type: ignore[union-attr]
    assert "sensor.test_car_state" not in written
    again.remove("sensor.test_car_state")
    assert again == set(written)
    assert again == {
        "sensor.test_asleep_today",
        "sensor.test_battery_level",
        "sensor.test_data_as_of",
        "sensor.test_data_requests_this_month",
        "sensor.test_state_requests_this_month",
        "sensor.test_estimated_cost_this_month",
        "sensor.test_last_contact",
    }


async def test_an_entity_is_available_while_its_car_is_reachable(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """The value comes back as it was."""
    freezer.move_to(NOW)
    entry, reader = await watch_car(hass, MODEL_3)
    reader.trouble = TeslaError()
    coordinator = entry.runtime_data.vehicles[VIN]
    for _ in range(4):
        freezer.tick(3600)
        await coordinator.async_refresh()
    coordinator.async_update_listeners()
    assert shown(hass, "charge_state_battery_level") == STATE_UNAVAILABLE
    reader.trouble = None
    freezer.tick(3600)
    await look_again(hass, entry)
    assert shown(hass, "charge_state_battery_level") == "77"


async def test_lost_contact_makes_entities_unavailable_and_its_return_brings_them_back(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """After several failures in a row, not after one."""
    freezer.move_to(NOW)
    entry, reader = await watch_car(hass, MODEL_3)
    reader.trouble = TeslaError()
    coordinator = entry.runtime_data.vehicles[VIN]
    for _ in range(UNREACHABLE_AFTER):
        assert shown(hass, "charge_state_battery_level") == "77"
        freezer.tick(3600)
        await coordinator.async_refresh()
    assert shown(hass, "charge_state_battery_level") == STATE_UNAVAILABLE
    reader.trouble = None
    freezer.tick(3600)
    await look_again(hass, entry)
    assert shown(hass, "charge_state_battery_level") == "77"


async def test_requests_and_cost_of_the_month(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """One question for data is 0.2 cents."""
    freezer.move_to(NOW)
    await watch_car(hass, MODEL_3, every_entity=True)
    assert shown(hass, "requests_data") == "1"
    assert shown(hass, "requests_wake") == "0"
    assert attributes(hass, "requests_data")["state_class"] == "total_increasing"
    assert shown(hass, "cost") == "0.002"
    assert attributes(hass, "cost")["unit_of_measurement"] == "USD"
    assert attributes(hass, "cost")["last_reset"] == "2026-11-01T00:00:00+00:00"
    assert attributes(hass, "cost")["requests_data"] == 1
    assert attributes(hass, "cost")["requests_wake"] == 0


async def test_the_time_of_a_full_charge_does_not_jitter(hass: HomeAssistant) -> None:
    """Computed anew each minute, it moves only when the estimate does."""
    entry, reader = await watch_car(hass, MODEL_S_CHARGING)
    charge = reader.cars[VIN]["charge_state"]
    full = shown(hass, "charge_state_minutes_to_full_charge")
    assert full == "2022-08-27T23:14:35+00:00"
    charge["timestamp"] += 60_000
    await look_again(hass, entry)
    assert shown(hass, "charge_state_minutes_to_full_charge") == full
    charge["minutes_to_full_charge"] = 30
    await look_again(hass, entry)
    assert shown(hass, "charge_state_minutes_to_full_charge") == "2022-08-27T23:30:35+00:00"
    charge["minutes_to_full_charge"] = 0
    await look_again(hass, entry)
    assert shown(hass, "charge_state_minutes_to_full_charge") == STATE_UNKNOWN


async def test_schedules_of_the_car(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """By the car's clock."""
    freezer.move_to(NOW)
    answer = recorded(MODEL_3) | {
        "charge_schedule_data": {
            "charge_schedules": [{"days_of_week": 127, "start_enabled": True, "start_time": 1380, "enabled": True}]
        },
        "preconditioning_schedule_data": {"precondition_schedules": []},
    }
    await watch(hass, RecordedReader({VIN: answer | {"vin": VIN}}, {}), every_entity=True)
    # 12:00 UTC is 22:00 on the car's clock, ten hours ahead.
    assert shown(hass, "charge_schedule_data_next") == "2026-11-23T13:00:00+00:00"
    assert shown(hass, "charge_schedule_data_charge_schedules") == "1"
    assert shown(hass, "preconditioning_schedule_data_next") == STATE_UNKNOWN
    assert shown(hass, "preconditioning_schedule_data_precondition_schedules") == "0"


async def test_a_departure_that_has_passed_is_none(hass: HomeAssistant) -> None:
    """The car goes on telling it."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    assert shown(hass, "charge_state_scheduled_departure_time") == STATE_UNKNOWN
    reader.cars[VIN]["charge_state"]["scheduled_departure_time"] = 1705710000
    await look_again(hass, entry)
    assert shown(hass, "charge_state_scheduled_departure_time") == "2024-01-20T00:20:00+00:00"


async def test_a_long_title_is_cut_to_what_a_state_holds(hass: HomeAssistant) -> None:
    """Home Assistant refuses longer states."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    reader.cars[VIN]["vehicle_state"]["media_info"]["now_playing_title"] = "la" * 200
    await look_again(hass, entry)
    assert shown(hass, "vehicle_state_media_info_now_playing_title") == ("la" * 200)[:255]


async def test_a_media_source_sent_as_a_number_gets_its_name(hass: HomeAssistant) -> None:
    """Some cars send names, some numbers."""
    entry, reader = await watch_car(hass, MODEL_3, every_entity=True)
    assert shown(hass, "vehicle_state_media_info_now_playing_source") == "Audible"
    reader.cars[VIN]["vehicle_state"]["media_info"]["now_playing_source"] = "12"
    await look_again(hass, entry)
    assert shown(hass, "vehicle_state_media_info_now_playing_source") == "Spotify"


async def test_two_phases_mean_three(hass: HomeAssistant) -> None:
    """Recorded: 4 kW at 5 A."""
    await watch_car(hass, MODEL_3_WITHOUT_PLACE, every_entity=True)
    assert shown(hass, "charge_state_charger_phases") == "3"
    assert shown(hass, "charge_state_charger_phases", "binary_sensor") == "on"


async def test_the_device_of_a_car(hass: HomeAssistant, device_registry: dr.DeviceRegistry) -> None:
    """From its configuration and its software."""
    entry, _ = await watch_car(hass, MODEL_3)
    device = device_registry.async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    assert (device.manufacturer, device.name, device.model, device.model_id) == (
        "Tesla",
        "Test",
        "Model 3 Long Range AWD",
        None,
    )
    assert (device.serial_number, device.sw_version) == (VIN, "2023.44.30.8")


async def test_a_car_that_never_answered_is_known_by_its_vin(
    hass: HomeAssistant, device_registry: dr.DeviceRegistry
) -> None:
    """It is asleep and stays so; the VIN tells the model."""
    vin = "LRW3F7EK4NC700000"
    entry = await watch(hass, RecordedReader({vin: {"vin": vin, "state": "asleep"}}, {}), every_entity=True)
    device = device_registry.async_get_device_by_identifier((DOMAIN, vin), entry.entry_id)
    assert device is not None
    assert (device.name, device.model, device.sw_version) == ("Tesla 700000", "Model 3", None)
    assert shown(hass, "state", vin=vin) == "asleep"
    assert shown(hass, "state", "binary_sensor", vin=vin) == "off"
    assert shown(hass, "data_at", vin=vin) == STATE_UNKNOWN
