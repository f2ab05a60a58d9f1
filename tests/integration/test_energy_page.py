"""The Energy dashboard of the first day: what it asks for is there, and Home Assistant finds nothing wrong with it."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (  # type: ignore[import-untyped]
    async_wait_recording_done,
    do_adhoc_statistics,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN

from .recorded import MODEL_3, SITE_ID, VIN, RecordedReader, recorded, watch
from .test_statistics import START, hass_begins_recording, recorder_db_url  # noqa: F401 - fixtures

SITE: Final = str(SITE_ID)
NOBODY_YET: Final[Mapping[str, Any]] = {"time_series": []}
"""The energy of a day that has just begun."""


def named(hass: HomeAssistant, owner: str, key: str) -> str:
    """Return the id of an enabled sensor."""
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id("sensor", DOMAIN, f"{owner}-{key}")
    assert entity_id is not None, key
    entity = registry.async_get(entity_id)
    assert entity is not None
    assert entity.disabled_by is None, key
    return entity_id


@pytest.mark.usefixtures("hass_begins_recording")
async def test_everything_is_there_and_valid(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> None:
    """Grid in and out, solar, Powerwall in and out, and the car at home as a device; also before anything happened."""
    assert await async_setup_component(hass, "energy", {})
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {SITE_ID: "Home"})
    reader.info["components"] |= {"load_meter": True}
    reader.today = dict(NOBODY_YET)
    await watch(hass, reader)
    names = {
        key: named(hass, SITE, key)
        for key in (
            "grid_energy_imported",
            "total_grid_energy_exported",
            "total_solar_generation",
            "total_battery_charge",
            "total_battery_discharge",
            "total_home_usage",
        )
    }
    reader.today = {"time_series": [{"timestamp": "2026-11-16T12:00:00+00:00", "grid_energy_imported": 5}]}
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    site = entry.runtime_data.sites[SITE_ID]
    site.want_look()
    await site.async_refresh()
    await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    do_adhoc_statistics(hass, start=START)
    await async_wait_recording_done(hass)
    client = await hass_ws_client(hass)
    grid = {
        "type": "grid",
        "stat_energy_from": names["grid_energy_imported"],
        "stat_energy_to": names["total_grid_energy_exported"],
        "number_energy_price": 0.3,
        "number_energy_price_export": 0.1,
        "cost_adjustment_day": 0,
    }
    battery = {
        "type": "battery",
        "stat_energy_from": names["total_battery_discharge"],
        "stat_energy_to": names["total_battery_charge"],
    }
    solar = {"type": "solar", "stat_energy_from": names["total_solar_generation"], "config_entry_solar_forecast": None}
    await client.send_json_auto_id(
        {
            "type": "energy/save_prefs",
            "energy_sources": [grid, battery, solar],
            "device_consumption": [{"stat_consumption": named(hass, VIN, "home_charging_energy")}],
        }
    )
    answer = await client.receive_json()
    assert answer["success"], answer
    await client.send_json_auto_id({"type": "energy/validate"})
    found = (await client.receive_json())["result"]
    assert [issue for source in found["energy_sources"] for issue in source] == []
    assert [issue for device in found["device_consumption"] for issue in device] == []
