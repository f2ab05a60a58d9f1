"""Energy sites: decoding, and their entities in a real Home Assistant."""

from copy import deepcopy
from datetime import datetime
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.json import json_bytes
from hypothesis import given, settings, strategies as st
import pytest
from syrupy.assertion import SnapshotAssertion

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.tesla.energy_site import (
    CHANNELS,
    PATHS,
    EnergyToday,
    SiteInfo,
    SiteLive,
    decode_info,
    decode_live,
    decode_today,
    encode_info,
    encode_live,
    encode_today,
)
from tests.integration.recorded import (
    ENERGY_TODAY,
    POWERWALL,
    SITE_ID,
    SITE_INFO,
    RecordedReader,
    look_again,
    recorded,
    watch,
)
from tests.integration.test_decode import anything, scalars

names = st.sampled_from(sorted({part for path in PATHS for part in path.split(".")} | {"time_series", "timestamp"}))
resembling = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8),
    max_leaves=30,
)


def test_live_status_is_read() -> None:
    """A recorded Powerwall with a wall connector."""
    decoded = decode_live({"response": recorded(POWERWALL)})
    assert decoded.malformed == ()
    live = decoded.snapshot
    assert live.solar_power == 16176
    assert live.battery_power == -13950
    assert live.island_status == "on_grid"
    connector = live.wall_connector("5432")
    assert connector is not None
    assert connector.vin == "1234"
    assert connector.wall_connector_state == 4
    assert live.wall_connector("none such") is None
    assert "live.generator_power" in live.reported


def test_site_info_is_read() -> None:
    """Settings and parts."""
    decoded = decode_info(SITE_INFO)
    assert decoded.malformed == ()
    info = decoded.snapshot
    assert info.backup_reserve_percent == 20
    assert info.user_settings.storm_mode_enabled is True
    assert info.components.wall_connectors[0].part_name == "Gen 3 Wall Connector"
    assert "info.components.grid_services_enabled" in info.reported
    assert "info.utility" not in info.reported


def test_energy_of_the_day_is_summed() -> None:
    """Over the stretches of the day, from where the day began."""
    decoded = decode_today(ENERGY_TODAY)
    assert decoded.malformed == ()
    today = decoded.snapshot
    assert today.period_start == datetime.fromisoformat("2024-09-18T00:00:00+10:00")
    assert today.solar_energy_exported == 724.5
    assert today.grid_energy_imported == 12
    assert today.consumer_energy_imported_from_solar == 38
    assert today.total_home_usage == 86


def test_a_total_that_is_not_sent_is_the_sum_of_its_channels() -> None:
    """Some sites send channels alone."""
    today = decode_today(ENERGY_TODAY).snapshot
    assert today.total_battery_discharge == 36
    assert today.total_grid_energy_exported == 3
    assert "today.total_grid_energy_exported" in today.reported


def test_channels_the_site_does_not_have_stay_unknown() -> None:
    """No generator, no zero for one."""
    today = decode_today(ENERGY_TODAY).snapshot
    assert today.generator_energy_exported is None
    assert today.total_battery_charge is None
    assert "today.total_battery_charge" not in today.reported


@pytest.mark.parametrize("answer", [{"time_series": []}, {}, None, {"response": {}}])
def test_without_a_reading_nothing_is_claimed(answer: object) -> None:
    """An empty day is not a day of zeros."""
    decoded = decode_today(answer)
    assert decoded.snapshot == EnergyToday()
    assert decoded.malformed == ()


def test_bad_entries_of_a_day_are_named_and_the_rest_counts() -> None:
    """One bad stretch does not lose the day."""
    answer: dict[str, Any] = deepcopy(ENERGY_TODAY)
    answer["time_series"][0]["timestamp"] = "yesterday"
    answer["time_series"][1]["grid_energy_imported"] = "lots"
    answer["time_series"].append(7)
    decoded = decode_today(answer)
    assert set(decoded.malformed) == {"today", "today.grid_energy_imported", "today.period_start"}
    assert decoded.snapshot.grid_energy_imported == 12
    assert decoded.snapshot.period_start == datetime.fromisoformat("2024-09-18T00:00:00+10:00")


def test_what_was_written_reads_the_same() -> None:
    """As the cars' do, sites' answers survive being kept."""
    live = decode_live(recorded(POWERWALL)).snapshot
    info = decode_info(SITE_INFO).snapshot
    today = decode_today(ENERGY_TODAY).snapshot
    assert decode_live(json.loads(json_bytes(encode_live(live)))).snapshot == live
    assert decode_info(json.loads(json_bytes(encode_info(info)))).snapshot == info
    assert decode_today(json.loads(json_bytes(encode_today(today)))).snapshot == today
    assert decode_today(encode_today(EnergyToday())).snapshot == EnergyToday()


@pytest.mark.parametrize("moment", ["2022-01-01T00:00:00", "0001-01-01T00:00:00+00:00", "last year", 2022])
def test_a_moment_without_a_zone_or_out_of_time_is_named(moment: object) -> None:
    """Home Assistant could not move it to the owner's zone."""
    decoded = decode_info({"installation_date": moment})
    assert decoded.snapshot.installation_date is None
    assert decoded.malformed == ("info.installation_date",)


@settings(deadline=None, max_examples=200)
@given(anything | resembling)
def test_no_json_raises_and_all_of_it_can_be_kept(answer: object) -> None:
    """Any JSON, with Tesla's keys or without."""
    live = decode_live(answer).snapshot
    info = decode_info(answer).snapshot
    today = decode_today(answer).snapshot
    assert decode_live(json.loads(json_bytes(encode_live(live)))).snapshot == live
    assert decode_info(json.loads(json_bytes(encode_info(info)))).snapshot == info
    assert decode_today(json.loads(json_bytes(encode_today(today)))).snapshot == today


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(CHANNELS), st.integers(0, 10**6), max_size=6), max_size=5))
def test_no_energy_is_lost_or_made(stretches: list[dict[str, int]]) -> None:
    """Sums are exact for whole watt-hours."""
    today = decode_today({"time_series": stretches}).snapshot
    for channel in CHANNELS:
        sent = [stretch[channel] for stretch in stretches if channel in stretch]
        if sent:
            assert getattr(today, channel) == sum(sent)


def test_empty_answers_are_empty_sites() -> None:
    """Tesla answers null for sites it has lost."""
    assert decode_live({"response": None}).snapshot == SiteLive()
    assert decode_info({"response": {}}).snapshot == SiteInfo()


async def test_entities_of_a_site(hass: HomeAssistant, snapshot: SnapshotAssertion) -> None:
    """Every entity, those that are off by default too."""
    await watch(hass, RecordedReader({}, {SITE_ID: "Home"}), every_entity=True)
    states = {state.entity_id: state.state for state in hass.states.async_all(["sensor", "binary_sensor"])}
    assert states == snapshot
    assert states["sensor.home_solar_power"] == "16.176"
    assert states["sensor.home_battery_power"] == "-13.95"
    assert states["sensor.home_powerwall_charge"] == "90.2133386614592"
    assert states["sensor.home_grid_connection"] == "on_grid"
    assert states["binary_sensor.home_grid"] == "on"
    assert states["binary_sensor.home_charging_from_grid_allowed"] == "off"
    assert states["sensor.home_solar_generated_today"] == "0.7245"
    assert states["sensor.wall_connector_state"] == "connected"
    assert states["sensor.wall_connector_power"] == "0.0"
    assert states["sensor.wall_connector_vehicle"] == "1234"


async def test_energy_today_tells_when_its_day_began(hass: HomeAssistant) -> None:
    """The same sum on the next day is a new sum."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    state = hass.states.get("sensor.home_home_usage_today")
    assert state is not None
    assert state.attributes["last_reset"] == "2024-09-18T00:00:00+10:00"
    assert state.attributes["state_class"] == "total"
    site = entry.runtime_data.sites[SITE_ID]
    tomorrow = decode_today(
        {"time_series": [{"timestamp": "2024-09-19T00:00:00+10:00", "total_home_usage": 86}]}
    ).snapshot
    site.async_set_updated_data(type(site.data)(site.data.live, site.data.info, tomorrow))
    state = hass.states.get("sensor.home_home_usage_today")
    assert state is not None
    assert state.state == "0.086"
    assert state.attributes["last_reset"] == "2024-09-19T00:00:00+10:00"


async def test_wall_connectors_are_devices_behind_their_site(
    hass: HomeAssistant, device_registry: dr.DeviceRegistry
) -> None:
    """With the model that the site's list of parts tells."""
    entry = await watch(hass, RecordedReader({}, {SITE_ID: "Home"}))
    site = device_registry.async_get_device_by_identifier((DOMAIN, str(SITE_ID)), entry.entry_id)
    connector = device_registry.async_get_device_by_identifier((DOMAIN, "5432"), entry.entry_id)
    assert site is not None
    assert connector is not None
    assert (site.name, site.model, site.sw_version) == ("Home", "Powerwall, Solar", "23.44.0")
    assert (connector.name, connector.model) == ("Wall Connector", "Gen 3 Wall Connector")
    assert connector.via_device_id == site.id


async def test_a_wall_connector_that_turns_up_later_gets_its_entities(
    hass: HomeAssistant, entity_registry: er.EntityRegistry
) -> None:
    """And one that went has nothing to show; a state nobody listed is unknown."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    assert entity_registry.async_get_entity_id("sensor", DOMAIN, "6543-wall_connector_power") is None
    reader.live["wall_connectors"].append({"din": "6543", "wall_connector_power": 3700, "wall_connector_state": 99})
    await look_again(hass, entry)
    power = entity_registry.async_get_entity_id("sensor", DOMAIN, "6543-wall_connector_power")
    kind = entity_registry.async_get_entity_id("sensor", DOMAIN, "6543-wall_connector_state")
    assert power is not None
    assert kind is not None
    assert hass.states.get(power).state == "3.7"  # type: ignore[union-attr]
    assert hass.states.get(kind).state == "unknown"  # type: ignore[union-attr]
    reader.live["wall_connectors"].pop()
    await look_again(hass, entry)
    assert hass.states.get(power).state == "unknown"  # type: ignore[union-attr]


async def test_a_site_without_a_battery_gets_no_battery(hass: HomeAssistant) -> None:
    """Only what is reported is created."""
    reader = RecordedReader({}, {SITE_ID: "Roof"})
    reader.live = {"solar_power": 2320}
    reader.info = {"components": {"solar": True, "battery": False}}
    reader.today = {}
    await watch(hass, reader)
    assert set(hass.states.async_entity_ids(["sensor", "binary_sensor"])) == {
        "sensor.roof_solar_power",
        "sensor.roof_solar_generated_today",
    }
