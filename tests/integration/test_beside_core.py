"""What core's `tesla_fleet` and `tessie` read from recorded cars we read alike, or the difference has its reason."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from homeassistant.components.tesla_fleet import binary_sensor as core_binary_sensor, sensor as core_sensor
from homeassistant.components.tesla_fleet.coordinator import flatten
from homeassistant.components.tessie import binary_sensor as tessie_binary_sensor, sensor as tessie_sensor
import pytest

from custom_components.teslafi.binary_sensor import VEHICLE_BINARY_SENSORS
from custom_components.teslafi.coordinators.site import SiteData
from custom_components.teslafi.coordinators.vehicle import VehicleData
from custom_components.teslafi.meters import Charge
from custom_components.teslafi.sensor import SITE_SENSORS, VEHICLE_SENSORS
from custom_components.teslafi.tesla.decode import decode_vehicle
from custom_components.teslafi.tesla.energy_site import EnergyToday, SiteInfo, decode_live
from custom_components.teslafi.tesla.snapshot import CarState

from .recorded import CARS, SAMPLES, recorded

NOW: Final = datetime(2026, 11, 26, tzinfo=UTC)
type Same = Callable[[Any, Any], bool]


def in_our_words(core: object, ours: object) -> bool:
    """An enum has words of Home Assistant's form; what Tesla calls invalid is unknown."""
    if core in (None, "", "<invalid>", "SNA"):
        return ours is None
    return isinstance(ours, str) and ours.replace("_", "") == str(core).lower()


def invalid_cable_of_a_plugged_car(core: object, ours: object) -> bool:
    """Core goes by the cable's kind alone; a car that is not disconnected has a cable of whatever kind."""
    return (core, ours) == (False, True)


def no_dashcam_recording(core: object, ours: object) -> bool:
    """Core tells "unavailable" and "not recording" as one; a dashcam that is not there does not record or pause."""
    return core is False and ours is None


DIFFERENT: Final[dict[tuple[str, str], Same]] = {
    ("sensor", "charge_state_conn_charge_cable"): in_our_words,
    ("sensor", "charge_state_fast_charger_type"): in_our_words,
    ("binary_sensor", "charge_state_conn_charge_cable"): invalid_cable_of_a_plugged_car,
    ("binary_sensor", "vehicle_state_dashcam_state"): no_dashcam_recording,
}
"""Platform and key -> how a value that differs has to differ; the docstring is the reason."""


def counted_from_the_answer(theirs: object, ours: object) -> bool:
    """Tessie adds minutes to the present moment; an answer that is read later has not moved the end of a charge."""
    return ours is None if theirs is None else isinstance(theirs, datetime) and isinstance(ours, datetime)


def parked_is_no_speed(theirs: object, ours: object) -> bool:
    """Tesla leaves the speed of a parked car out; it is 0."""
    return (theirs, ours) == (None, 0)


TESSIE_DIFFERENT: Final[dict[tuple[str, str], Same]] = DIFFERENT | {
    ("sensor", "charge_state_minutes_to_full_charge"): counted_from_the_answer,
    ("sensor", "drive_state_active_route_minutes_to_arrival"): counted_from_the_answer,
    ("sensor", "drive_state_speed"): parked_is_no_speed,
}
TESSIE_ALONE: Final = frozenset(
    {
        # Only Tessie's server tells these; Tesla's interface does not
        "charge_state_energy_remaining",
        "lifetime_energy_used",
        "module_temp_max",
        "module_temp_min",
        "pack_current",
        "pack_voltage",
        "phantom_drain_percent",
        # On, off and fan alone are three: a sensor here
        "climate_state_cabin_overheat_protection",
    }
)
"""What Tessie shows and we do not."""

SITES_DIFFERENT: Final[dict[str, Same]] = {"island_status": in_our_words}
"""The same for sites."""
SITES: Final = sorted(path.stem for path in SAMPLES.glob("*live_status*.json"))


def shown(value: object) -> object:
    """Return the number of a reading that a meter takes."""
    if isinstance(value, Charge):
        return value.value
    return value[0] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", CARS)
def test_a_recorded_car_is_read_as_core_reads_it(name: str) -> None:
    answer = recorded(name)
    flat = flatten(answer)
    data = VehicleData(CarState.ONLINE, decode_vehicle(answer).snapshot, NOW, NOW, {}, 0.0)
    ours: dict[tuple[str, str], Any] = {("sensor", row.key): row for row in VEHICLE_SENSORS}
    ours |= {("binary_sensor", row.key): row for row in VEHICLE_BINARY_SENSORS}
    core: list[tuple[tuple[str, str], Callable[[Any], object]]] = [
        *((("sensor", row.key), row.value_fn) for row in core_sensor.VEHICLE_DESCRIPTIONS),
        *((("binary_sensor", row.key), row.is_on) for row in core_binary_sensor.VEHICLE_DESCRIPTIONS),
    ]
    assert [place for place, _ in core if place not in ours] == [], "core shows something that we do not"
    wrong = {}
    for place, read in core:
        value = flat.get(place[1], None if place[1] != "state" else "online")
        theirs = None if value is None and place[0] == "binary_sensor" else read(value)
        mine = shown(ours[place].value_fn(data))
        if mine != theirs and not DIFFERENT.get(place, lambda *_: False)(theirs, mine):
            wrong[place] = (theirs, mine)
    assert wrong == {}


@pytest.mark.parametrize("name", CARS)
def test_a_recorded_car_is_read_as_tessie_reads_it(name: str) -> None:
    """Where Tessie's code fails, as at an invalid latch, nothing is known."""
    answer = recorded(name)
    flat = flatten(answer)
    data = VehicleData(CarState.ONLINE, decode_vehicle(answer).snapshot, NOW, NOW, {}, 0.0)
    ours: dict[tuple[str, str], Any] = {("sensor", row.key): row for row in VEHICLE_SENSORS}
    ours |= {("binary_sensor", row.key): row for row in VEHICLE_BINARY_SENSORS}
    rows: list[tuple[tuple[str, str], str, Callable[[Any], object]]] = [
        *((("sensor", row.key), row.data_key or row.key, row.value_fn) for row in tessie_sensor.DESCRIPTIONS),
        *((("binary_sensor", row.key), row.key, row.is_on) for row in tessie_binary_sensor.VEHICLE_DESCRIPTIONS),
    ]
    assert {key for (platform, key), _, _ in rows if (platform, key) not in ours} == TESSIE_ALONE
    wrong = {}
    for place, source, read in rows:
        if place[1] in TESSIE_ALONE:
            continue
        value = flat.get(source, "online" if source == "state" else None)
        try:
            theirs = None if value is None and place[0] == "binary_sensor" else read(value)
        except KeyError, TypeError:
            theirs = None
        mine = shown(ours[place].value_fn(data))
        if mine != theirs and not TESSIE_DIFFERENT.get(place, lambda *_: False)(theirs, mine):
            wrong[place] = (theirs, mine)
    assert wrong == {}


@pytest.mark.parametrize("name", SITES)
def test_a_recorded_site_is_read_as_core_reads_it(name: str) -> None:
    answer = recorded(name)
    data = SiteData(decode_live(answer).snapshot, SiteInfo(), EnergyToday())
    ours = {row.key: row for row in SITE_SENSORS}
    wrong = {}
    for row in core_sensor.ENERGY_LIVE_DESCRIPTIONS:
        theirs, mine = row.value_fn(answer.get(row.key)), ours[row.key].value_fn(data)
        if mine != theirs and not SITES_DIFFERENT.get(row.key, lambda *_: False)(theirs, mine):
            wrong[row.key] = (theirs, mine)
    assert wrong == {}
