"""The catalogue as a whole: nothing left out unsaid, every text and icon there, no value that is refused."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
import json
from pathlib import Path
from typing import Any

import hass_frontend
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
    STATE_CLASS_UNITS,
)
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.teslafi import (
    binary_sensor,
    button,
    calendar,
    climate,
    cover,
    device_tracker,
    event,
    lock,
    media_player,
    number,
    select,
    sensor,
    switch,
    text,
    update,
)
from custom_components.teslafi.coordinators.site import SiteData
from custom_components.teslafi.coordinators.vehicle import VehicleData
from custom_components.teslafi.entity import ShownDescription
from custom_components.teslafi.journal_entities import (
    calendars as journal_calendars,
    events as journal_events,
    sensors as journal_sensors,
)
from custom_components.teslafi.tesla import decode, energy_site
from custom_components.teslafi.tesla.snapshot import CarState
from custom_components.teslafi.tesla.tariff import Side
from tests.integration.recorded import CARS, ENERGY_TODAY, POWERWALL, SITE_INFO, recorded
from tests.integration.test_decode import PLACES, anything, put, resembling
from tests.integration.test_energy_site import resembling as resembling_sites
from tests.translations import translations

COMPONENT = Path(sensor.__file__).parent
TEXTS: dict[str, Any] = translations()["entity"]
ICONS: dict[str, Any] = json.loads((COMPONENT / "icons.json").read_text("utf-8"))["entity"]

ICON_LIST = Path(hass_frontend.__file__).parent / "static" / "mdi" / "iconList.json"
STATES: Mapping[str, tuple[str, ...]] = {
    "binary_sensor": ("on", "off"),
    "calendar": ("on", "off"),
    "climate": ("off", "heat_cool", "cool", "fan_only"),
    "cover": ("open", "closed"),
    "device_tracker": ("home", "not_home"),
    "lock": ("locked", "unlocked", "open"),
    "switch": ("on", "off"),
}
"""States that Home Assistant's platforms have of themselves."""

type Rows = Sequence[ShownDescription[Any]]

VEHICLE_ROWS: Mapping[str, Rows] = {
    "sensor": sensor.VEHICLE_SENSORS,
    "binary_sensor": binary_sensor.VEHICLE_BINARY_SENSORS,
    "device_tracker": device_tracker.VEHICLE_TRACKERS,
    "update": update.VEHICLE_UPDATES,
}
SITE_ROWS: Mapping[str, Rows] = {
    "sensor": (*sensor.SITE_SENSORS, *sensor.CHARGES_SENSORS, *sensor.PRICE_SENSORS),
    "binary_sensor": binary_sensor.SITE_BINARY_SENSORS,
    "calendar": calendar.SITE_CALENDARS,
}
WALL_CONNECTOR_ROWS: Mapping[str, Rows] = {"sensor": sensor.WALL_CONNECTOR_SENSORS}
LINK_ROWS: Mapping[str, Rows] = {"sensor": sensor.LINK_SENSORS, "binary_sensor": binary_sensor.LINK_BINARY_SENSORS}
PART_ROWS: Mapping[str, Rows] = {"sensor": sensor.PART_SENSORS}
DETAIL_ROWS: Mapping[str, Rows] = {"sensor": sensor.DETAIL_SENSORS, "event": event.DETAIL_EVENTS}
JOURNAL_ROWS: Mapping[str, Rows] = {
    "sensor": journal_sensors.SENSORS,
    "calendar": journal_calendars.CALENDARS,
    "event": journal_events.EVENTS,
}
TABLES = {
    "car": VEHICLE_ROWS,
    "site": SITE_ROWS,
    "wall connector": WALL_CONNECTOR_ROWS,
    "link": LINK_ROWS,
    "details of a car": DETAIL_ROWS,
    "parts of a site": PART_ROWS,
    "journal of a car": JOURNAL_ROWS,
}

CONTROL_ROWS: dict[str, Rows] = {
    "button": button.BUTTONS,
    "calendar": calendar.CALENDARS,
    "climate": climate.CLIMATES,
    "cover": cover.COVERS,
    "event": event.EVENTS,
    "lock": lock.LOCKS,
    "media_player": media_player.PLAYERS,
    "number": number.NUMBERS,
    "select": select.SELECTS,
    "switch": switch.SWITCHES,
    "text": text.TEXTS,
}
SITE_CONTROL_ROWS: dict[str, Rows] = {
    "number": number.SITE_NUMBERS,
    "select": select.SITE_SELECTS,
    "switch": switch.SITE_SWITCHES,
}
TABLES_OF_CONTROLS = {"car": CONTROL_ROWS, "site": SITE_CONTROL_ROWS}
SHOWN_ROWS = [(platform, row) for tables in TABLES.values() for platform, rows in tables.items() for row in rows]
ROWS = SHOWN_ROWS + [
    (platform, row) for tables in TABLES_OF_CONTROLS.values() for platform, rows in tables.items() for row in rows
]


def options_of(row: object) -> list[str]:
    """Return the states that have words: options of a sensor, or the choices of a select."""
    return list(getattr(row, "options", None) or getattr(row, "values", None) or [])


NOT_SHOWN = {
    # Numbers and texts that identify the car or the account, and mean nothing to its owner
    "vehicle.id": "identifies",
    "vehicle.id_s": "identifies",
    "vehicle.user_id": "identifies",
    "vehicle.vehicle_id": "identifies",
    "vehicle.vin": "the device's serial number",
    "vehicle.display_name": "the device's name",
    "vehicle_state.vehicle_name": "the device's name",
    # Said elsewhere
    "vehicle.state": "VehicleData.state has it, from every kind of answer",
    "vehicle.api_version": "vehicle_state.api_version is the same",
    "drive_state.location": "the journal's: no answer of Tesla's has it",
    "charge_state.timestamp": "drive_state.timestamp stands for the moment of recording",
    "climate_state.timestamp": "drive_state.timestamp stands for the moment of recording",
    "vehicle_state.timestamp": "drive_state.timestamp stands for the moment of recording",
    "charge_schedule_data.timestamp": "drive_state.timestamp stands for the moment of recording",
    "preconditioning_schedule_data.timestamp": "drive_state.timestamp stands for the moment of recording",
    "drive_state.native_latitude": "the place again, in China by another datum that maps do not use",
    "drive_state.native_longitude": "the place again, in China by another datum that maps do not use",
    "drive_state.native_type": "the datum of the place that is not shown",
    "drive_state.native_location_supported": "of the place that is not shown",
    # Of no meaning outside Tesla
    "vehicle.device_type": "always vehicle",
    "vehicle.option_codes": "often missing, often wrong, and longer than a state",
    "vehicle.color": "always null; vehicle_config.exterior_color is shown",
    "vehicle.release_notes_supported": "about Tesla's app",
    "climate_state.left_temp_direction": "internal to the car",
    "climate_state.right_temp_direction": "internal to the car",
    "vehicle_config.badge_version": "a code without a known meaning",
    "vehicle_config.key_version": "a code without a known meaning",
    "vehicle_config.rear_seat_heaters": "a code without a known meaning; the heaters themselves are shown",
    "vehicle_config.rear_seat_type": "a code without a known meaning",
    "vehicle_config.seat_type": "a code without a known meaning",
    "vehicle_config.exterior_trim_override": "numbers for drawing the car",
    "vehicle_config.paint_color_override": "numbers for drawing the car",
    "vehicle_state.feature_bitmask": "a code without a known meaning",
    "vehicle_state.media_info.audio_volume_increment": "the step of a control that is not there yet",
    "vehicle_state.media_info.audio_volume_max": "the end of a control that is not there yet",
    "charge_state.outlet_time_remaining": "of unknown unit",
    "charge_state.power_feed_time_remaining": "of unknown unit",
    "charge_schedule_data.charge_buffer": "of unknown meaning",
    "charge_schedule_data.max_num_charge_schedules": "about Tesla's app",
    "charge_schedule_data.next_schedule": "of unknown meaning; the next start is computed",
    "charge_schedule_data.show_schedule_complete_state": "about Tesla's app",
    "preconditioning_schedule_data.max_num_precondition_schedules": "about Tesla's app",
    "preconditioning_schedule_data.next_schedule": "of unknown meaning; the next time is computed",
}
"""Values of a car that make no entity, and why."""

NOT_SHOWN_IN_BLOCKS = {
    "charge_schedule_data.charge_schedule_window": "Tesla's choice among the schedules; the next start is computed",
    "preconditioning_schedule_data.preconditioning_schedule_window": "likewise",
    "charge_schedule_data.charge_schedules": "entries of a list: their number and the next start are shown",
    "preconditioning_schedule_data.precondition_schedules": "entries of a list: their number and next time are shown",
}
"""Blocks whose values make no entities of their own, and why."""

SITE_NOT_SHOWN = {
    "live.timestamp": "the answer is a minute old at most",
    "live.wall_connectors": "devices of their own",
    "info.site_name": "the device's name",
    "info.installation_time_zone": "often empty; the day's start carries the offset",
    "info.components.solar": "the device's model",
    "info.components.battery": "the device's model",
    "info.components.grid": "always true where there is something to show",
    "info.components.backup": "live.backup_capable says it",
    "info.components.load_meter": "live.load_power is there or not",
    "info.components.gateway": "a code without a known meaning",
    "info.components.wall_connectors": "the model of devices of their own",
    "info.components.gateways": "devices of their own",
    "info.components.batteries": "devices of their own",
    "info.components.car_charging_data_supported": "whether there are charges to show",
}
"""Values of an energy site that make no entity, and why."""


def of_block(path: str, blocks: Mapping[str, str]) -> bool:
    """Whether a path lies in one of the blocks."""
    return any(path.startswith(f"{block}.") for block in blocks)


def test_every_value_of_a_car_is_shown_or_left_out_for_a_reason() -> None:
    """A field added to the snapshot must be shown, or be named above."""
    used = {path for rows in VEHICLE_ROWS.values() for row in rows for path in row.paths}
    assert used - decode.PATHS == {"vehicle_state.software_update"}
    unsaid = {path for path in decode.PATHS - used if not of_block(path, NOT_SHOWN_IN_BLOCKS)}
    assert unsaid == set(NOT_SHOWN)


def test_every_value_of_a_site_is_shown_or_left_out_for_a_reason() -> None:
    """The same for sites."""
    used = {path for rows in SITE_ROWS.values() for row in rows for path in row.paths}
    assert used <= energy_site.PATHS
    assert energy_site.PATHS - used == set(SITE_NOT_SHOWN)


@pytest.mark.parametrize(
    "tables", [*TABLES.values(), *TABLES_OF_CONTROLS.values()], ids=[*TABLES, "controls of a car", "controls of a site"]
)
def test_keys_and_names_are_unique_on_a_device(tables: Mapping[str, Rows]) -> None:
    """Two entities of one name would get entity ids that differ by a number only."""
    for platform, rows in tables.items():
        keys = [row.key for row in rows]
        assert len(keys) == len(set(keys))
        names = [TEXTS[platform][row.key]["name"] for row in rows if row.name is not None]
        assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def test_every_entity_has_its_texts() -> None:
    """A name, and a text for each state it can have, and for no other. One without a name is named as its device.

    The platform's own states may have texts as well.
    """
    for platform, row in ROWS:
        texts = TEXTS[platform].get(row.key, {})
        options = options_of(row)
        assert bool(texts.get("name")) is (row.name is not None), row.key
        own = {*STATES.get(platform, ())} - {*options}
        assert set(texts.get("state", {})) - own == {*options}, row.key
        assert all(option == option.lower() and " " not in option for option in options), row.key


def test_every_entity_has_an_icon_or_a_device_class() -> None:
    """An entity without either shows as an eye."""
    for platform, row in ROWS:
        icons = ICONS.get(platform, {}).get(row.key)
        assert icons or getattr(row, "device_class", None), row.key
        if icons:
            assert set(icons) <= {"default", "state"}, row.key
            assert set(icons.get("state", {})) <= {*options_of(row), *STATES.get(platform, ())}, row.key


def test_icons_exist_and_a_car_has_none_of_a_house() -> None:
    """Home Assistant's own icons of doors, windows and locks are those of a house, so a car's entities have theirs."""
    known = {icon["name"] for icon in json.loads(ICON_LIST.read_text("utf-8"))}
    for platform, icons in ICONS.items():
        for key, icon in icons.items():
            names = {icon["default"], *icon.get("state", {}).values()}
            assert {name.removeprefix("mdi:") for name in names} <= known, (platform, key)
    rows = [
        (platform, row) for tables in (VEHICLE_ROWS, CONTROL_ROWS) for platform, rows in tables.items() for row in rows
    ]
    houses = ("binary_sensor", "cover", "lock", "switch", "device_tracker")
    assert [row.key for platform, row in rows if platform in houses and row.key not in ICONS[platform]] == []


def test_no_text_and_no_icon_is_without_an_entity() -> None:
    """What is left over belongs to an entity that was renamed."""
    keys = {(platform, row.key) for platform, row in ROWS}
    named = {(platform, row.key) for platform, row in ROWS if row.name is not None}
    said = {(platform, key) for platform, texts in TEXTS.items() for key in texts}
    assert named <= said <= keys
    assert {(platform, key) for platform, icons in ICONS.items() for key in icons} <= keys


SENSORS: list[sensor.TeslaFiSensorDescription[Any]] = [
    *sensor.VEHICLE_SENSORS,
    *sensor.SITE_SENSORS,
    *sensor.WALL_CONNECTOR_SENSORS,
    *sensor.LINK_SENSORS,
    *sensor.DETAIL_SENSORS,
    *sensor.CHARGES_SENSORS,
    *sensor.PRICE_SENSORS,
    *sensor.PART_SENSORS,
]


def test_classes_and_units_go_together() -> None:
    """Home Assistant refuses or complains about units and state classes that do not fit the device class."""
    for row in SENSORS:
        device_class, state_class, unit = row.device_class, row.state_class, row.native_unit_of_measurement
        if device_class in DEVICE_CLASS_UNITS:
            assert unit in DEVICE_CLASS_UNITS[device_class], row.key
        if state_class is not None:
            assert device_class is None or state_class in DEVICE_CLASS_STATE_CLASSES[device_class], row.key
            assert state_class not in STATE_CLASS_UNITS or unit in STATE_CLASS_UNITS[state_class], row.key
        if device_class in (SensorDeviceClass.ENUM, SensorDeviceClass.TIMESTAMP):
            assert unit is None, row.key


TYPES: Mapping[str, type | tuple[type, ...]] = {
    "calendar": (Side, type(None)),
    "update": update.Software,
}


def hold(platform: str, row: ShownDescription[Any], source: object) -> None:
    """Fail if Home Assistant would refuse the value."""
    value = row.value_fn(source)
    if isinstance(row, sensor.TeslaFiSensorDescription):
        if row.meter is not None:
            meter = row.meter().take(value)
            value, began = meter.value, meter.began
            assert began is None or began.tzinfo is not None
        elif row.resets:
            value, began = value
            assert began is None or began.tzinfo is not None
        if value is None:
            return
        if row.device_class is SensorDeviceClass.ENUM:
            assert value in (row.options or [])
        elif row.device_class is SensorDeviceClass.TIMESTAMP:
            assert value.astimezone(UTC).isoformat()
        elif row.device_class or row.state_class or row.native_unit_of_measurement:
            assert type(value) in (int, float)
            assert abs(value) < 2**63
        else:
            assert type(value) in (int, str)
    elif platform == "binary_sensor":
        value = value.any if isinstance(value, binary_sensor.Several) else value
        assert value is None or type(value) is bool
    elif platform == "device_tracker":
        assert value == (None, None) or (abs(value[0]) <= 90 and abs(value[1]) <= 180)
    else:
        assert isinstance(value, TYPES[platform])


moments = st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds it


@pytest.mark.parametrize("extreme", [-1, 0, 1, 2**62, -(2**62), 9e11, -9e11, 0.5, "None", "x" * 300])
def test_no_extreme_makes_a_value_that_is_refused(extreme: object) -> None:
    """The same value everywhere: where its type fits, it is as far out as it may be."""
    answer: dict[str, Any] = {}
    for path in decode.PATHS:
        *blocks, key = path.removeprefix("vehicle.").split(".")
        inner = answer
        for block in blocks:
            inner = inner.setdefault(block, {})
        inner[key] = [] if path.endswith("schedules") else extreme
    snapshot = decode.decode_vehicle(answer).snapshot
    assert snapshot.reported >= decode.PATHS
    data = VehicleData(None, snapshot, None, datetime(2026, 11, 23, tzinfo=UTC), {}, 0.0)
    for platform, rows in VEHICLE_ROWS.items():
        for row in rows:
            hold(platform, row, data)


@settings(deadline=None, max_examples=200)
@given(resembling, st.none() | st.sampled_from(CarState), moments, moments)
def test_no_json_makes_a_value_that_is_refused(
    answer: object, state: CarState | None, data_at: datetime | None, contact_at: datetime | None
) -> None:
    """Whatever Tesla sends, every value is one that the entity may have."""
    data = VehicleData(state, decode.decode_vehicle(answer).snapshot, data_at, contact_at, {}, 0.0)
    for platform, rows in VEHICLE_ROWS.items():
        for row in rows:
            hold(platform, row, data)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(CARS), st.sampled_from(PLACES), anything)
def test_no_change_of_a_recorded_answer_makes_a_value_that_is_refused(
    name: str, place: tuple[str, ...], value: object
) -> None:
    """The same with one thing wrong in an answer that is right otherwise."""
    answer = recorded(name)
    for block in (place[:end] for end in range(1, len(place))):
        inner = answer
        for key in block:
            inner = inner.setdefault(key, {})
    put(answer, place, value)
    data = VehicleData(None, decode.decode_vehicle(answer).snapshot, None, datetime.now(UTC), {}, 0.0)
    for platform, rows in VEHICLE_ROWS.items():
        for row in rows:
            hold(platform, row, data)


@settings(deadline=None, max_examples=200)
@given(resembling_sites, resembling_sites, resembling_sites)
def test_no_json_of_a_site_makes_a_value_that_is_refused(live: object, info: object, today: object) -> None:
    """The same for sites and their wall connectors."""
    data = SiteData(
        energy_site.decode_live(live).snapshot,
        energy_site.decode_info(info).snapshot,
        energy_site.decode_today(today).snapshot,
    )
    for platform, rows in SITE_ROWS.items():
        for row in rows:
            hold(platform, row, data)
    for row in sensor.WALL_CONNECTOR_SENSORS:
        for connector in data.live.wall_connectors:
            hold("sensor", row, connector)


def test_recorded_answers_exercise_the_tables() -> None:
    """The properties above would hold for tables that show nothing."""
    known = set()
    for name in CARS:
        data = VehicleData(None, decode.decode_vehicle(recorded(name)).snapshot, None, None, {}, 0.0)
        known |= {row.key for rows in VEHICLE_ROWS.values() for row in rows if row.value_fn(data) is not None}
    site = SiteData(
        energy_site.decode_live(recorded(POWERWALL)).snapshot,
        energy_site.decode_info(SITE_INFO).snapshot,
        energy_site.decode_today(ENERGY_TODAY).snapshot,
    )
    known_of_site = {row.key for rows in SITE_ROWS.values() for row in rows if row.value_fn(site) is not None}
    assert len(known) > 180
    assert len(known_of_site) > 40
