"""An owned wall connector hints by itself: cable in or out, power on or off, at the car that it names."""

from copy import deepcopy
from datetime import timedelta
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.coordinators.plugs import plugs_changed
from custom_components.teslafi.tesla.energy_site import SiteLive, WallConnector, decode_live
from tests.integration.recorded import MODEL_3, SITE_ID, VIN, RecordedReader, begin, recorded, watch

OTHER: Final = "5YJ3E1EA7KF000002"
STRANGER: Final = "5YJ3E1EA7KF999999"
IDLE: Final[dict[str, Any]] = {
    "din": "1529455-02-D--TG123456789012",
    "vin": VIN,
    "wall_connector_state": 2,
    "wall_connector_fault_state": 2,
    "wall_connector_power": 3,
}


@pytest.mark.parametrize(
    ("change", "hinted"),
    [
        ({"wall_connector_power": 90.5}, set()),
        ({"wall_connector_fault_state": 4}, set()),
        ({"wall_connector_power": 7200.0}, {VIN}),
        ({"wall_connector_state": 4}, {VIN}),
        ({"wall_connector_power": None}, set()),
        ({"wall_connector_power": "7200 W"}, set()),
        ({"vin": OTHER}, {VIN, OTHER}),
        ({"vin": None}, {VIN}),
        ({"vin": STRANGER}, {VIN}),
        ({"vin": f" {VIN.lower()} ", "wall_connector_power": 7200}, {VIN}),
        ({"din": "another"}, set()),
    ],
)
async def test_what_a_wall_connector_tells(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, change: dict[str, Any], hinted: set[str]
) -> None:
    """The car that it names is looked at, no other; what is missing, odd or new says nothing."""
    freezer.move_to("2026-11-16 12:00:00")
    car = recorded(MODEL_3)
    reader = RecordedReader({vin: car | {"vin": vin} for vin in (VIN, OTHER)}, {SITE_ID: "Home"})
    reader.live = reader.live | {"wall_connectors": [deepcopy(IDLE)]}
    entry = await watch(hass, reader)
    cars = entry.runtime_data.vehicles

    async def minute() -> None:
        freezer.tick(timedelta(seconds=61))
        await entry.runtime_data.sites[SITE_ID].async_refresh()
        await hass.async_block_till_done(wait_background_tasks=True)

    await minute()
    assert {vin for vin in cars if cars[vin].polling.hinted_at is not None} == set()
    reader.live = reader.live | {"wall_connectors": [IDLE | change]}
    await minute()
    assert {vin for vin in cars if cars[vin].polling.hinted_at is not None} == hinted
    for vin in hinted:
        assert cars[vin].polling.data_at == pytest.approx(cars[vin].polling.hinted_at, abs=5)


async def test_a_wall_connector_that_names_no_car_is_about_all(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Tesla leaves the VIN out for some; who is not plugged in is looked at a few times, then less and less."""
    freezer.move_to("2026-11-16 12:00:00")
    car = recorded(MODEL_3)
    reader = RecordedReader({vin: car | {"vin": vin} for vin in (VIN, OTHER)}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    site = entry.runtime_data.sites[SITE_ID]
    for minute in range(6 * 60):
        power = 7200 if minute % 2 else 0
        reader.live = reader.live | {"wall_connectors": [IDLE | {"vin": None, "wall_connector_power": power}]}
        freezer.tick(timedelta(seconds=61))
        await site.async_refresh()
        await hass.async_block_till_done(wait_background_tasks=True)
    for vin in (VIN, OTHER):
        assert entry.runtime_data.vehicles[vin].polling.idle_hints >= 4
        assert reader.asked[f"data {vin}"] <= 40


async def test_a_restart_is_no_change(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """What was read before it is too old to tell that something changes now."""
    freezer.move_to("2026-11-16 12:00:00")
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {SITE_ID: "Home"})
    reader.live = reader.live | {"wall_connectors": [IDLE]}
    entry = await watch(hass, reader)
    reader.live = reader.live | {"wall_connectors": [IDLE | {"wall_connector_power": 7200}]}
    assert await hass.config_entries.async_unload(entry.entry_id)
    await begin(hass, entry, reader)
    site = entry.runtime_data.sites[SITE_ID]
    assert site.data.live.wall_connectors[0].wall_connector_power == 7200
    assert entry.runtime_data.vehicles[VIN].polling.hinted_at is None


VALUES = st.none() | st.integers(-5, 20_000) | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=1)
CONNECTORS = st.lists(
    st.dictionaries(st.sampled_from(sorted(IDLE)), VALUES | st.sampled_from([VIN, OTHER, IDLE["din"]])), max_size=3
)


@given(before=CONNECTORS, after=CONNECTORS)
def test_any_two_answers_are_compared(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Whatever Tesla sends: nothing is raised, and what is the same says nothing."""
    one, other = (decode_live({"wall_connectors": connectors}).snapshot for connectors in (before, after))
    plugs_changed(one, other)
    assert plugs_changed(SiteLive(wall_connectors=(WallConnector(din="a"),)), one) is None
