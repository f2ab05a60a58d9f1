"""What entities are called: no two that a new set-up enables share a name on a car, in whichever language."""

from collections.abc import Iterator
from typing import Any, Final

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
from custom_components.teslafi.controls.groups import ControlGroup
from custom_components.teslafi.controls.twins import enabled_by_default
from custom_components.teslafi.entity import ShownDescription
from custom_components.teslafi.journal_entities import calendars as journal_calendars, sensors as journal_sensors
from tests.translations import LANGUAGES, translations

NOTHING: Final = frozenset[ControlGroup]()
EVERYTHING: Final = frozenset(ControlGroup)

READS: Final[dict[str, tuple[tuple[ShownDescription[Any], ...], ...]]] = {
    "binary_sensor": (binary_sensor.VEHICLE_BINARY_SENSORS,),
    "calendar": (calendar.CALENDARS, journal_calendars.CALENDARS),
    "device_tracker": (device_tracker.VEHICLE_TRACKERS,),
    "event": (event.DETAIL_EVENTS,),
    "sensor": (sensor.VEHICLE_SENSORS, sensor.DETAIL_SENSORS, journal_sensors.SENSORS),
    "update": (update.VEHICLE_UPDATES,),
}
COMMANDS: Final[dict[str, tuple[tuple[ShownDescription[Any], ...], ...]]] = {
    "button": (button.BUTTONS,),
    "climate": (climate.CLIMATES,),
    "cover": (cover.COVERS,),
    "event": (event.EVENTS,),
    "lock": (lock.LOCKS,),
    "media_player": (media_player.PLAYERS,),
    "number": (number.NUMBERS,),
    "select": (select.SELECTS,),
    "switch": (switch.SWITCHES,),
    "text": (text.TEXTS,),
}
"""Every table of a car's entities, by platform."""


def enabled(tables: dict[str, Any], groups: frozenset[ControlGroup]) -> Iterator[tuple[str, str]]:
    """Yield platform and translation key of what a new set-up enables when a car has these groups."""
    for platform, rows in ((platform, row) for platform, found in tables.items() for table in found for row in table):
        default = enabled_by_default(rows.key, groups)
        if rows.entity_registry_enabled_default if default is None else default:
            yield platform, rows.translation_key or rows.key


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_merely_on_or_off_that_is_no_switch(language: str) -> None:
    """Calendars, whose state says whether an event goes on, and the grid, which no power switch is."""
    texts = translations(language)["entity"]
    rows = [*texts["calendar"].values(), texts["binary_sensor"]["grid_status"]]
    assert len(rows) > 6
    for row in rows:
        assert set(row["state"]) == {"on", "off"}
        assert not {*row["state"].values()} & {"On", "Off", "Ein", "An", "Aus"}


@pytest.mark.parametrize("groups", [NOTHING, EVERYTHING], ids=["reading", "commanding"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_enabled_entities_of_a_car_share_a_name(language: str, groups: frozenset[ControlGroup]) -> None:
    texts = translations(language)["entity"]
    shown = [*enabled(READS, groups), *(enabled(COMMANDS, groups) if groups else ())]
    assert len(shown) > 30
    by_name: dict[str, list[str]] = {}
    for platform, key in shown:
        if name := texts[platform][key].get("name"):
            by_name.setdefault(name.casefold(), []).append(f"{platform}.{key}")
    assert {name: keys for name, keys in by_name.items() if len(keys) > 1} == {}
