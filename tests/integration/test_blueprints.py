"""The blueprints work as they are imported: each makes an automation, and runs its actions at its moment."""

from pathlib import Path
import re
import shutil
from typing import Any, Final
from urllib.parse import unquote

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.teslafi.const import DOMAIN, EVENT_JOURNAL

from .recorded import MODEL_3, VIN, watch_car

ROOT: Final = Path(__file__).parents[2]
BLUEPRINTS: Final = sorted((ROOT / "blueprints" / "automation" / "teslafi").glob("*.yaml"))
TRACKER, BATTERY = "device_tracker.location", "sensor.charge_state_battery_level"
CABLE, CHARGING = "binary_sensor.charge_state_conn_charge_cable", "sensor.charge_state_charging_state"
MOMENTS: Final[dict[str, tuple[dict[str, str], dict[str, str]]]] = {
    "charging_stopped_early": ({CHARGING: "charging"}, {CHARGING: "stopped"}),
    "left_home_with_low_battery": ({TRACKER: "home", BATTERY: "20"}, {TRACKER: "not_home"}),
    "left_open": ({"binary_sensor.doors": "off"}, {"binary_sensor.doors": "on"}),
    "not_plugged_in_at_night": ({TRACKER: "home", BATTERY: "20", CABLE: "off"}, {}),
    "tire_warning": ({"binary_sensor.tire_warning": "off"}, {"binary_sensor.tire_warning": "on"}),
    "charging_ended": ({}, {}),
    "software_installed": ({}, {}),
    "unusual_drain": ({BATTERY: "1"}, {BATTERY: "9"}),
    "update_available": ({"update.software_update": "off"}, {"update.software_update": "on"}),
}
"""Blueprint -> states before, and those that follow."""
ENTITY_INPUTS: Final = {"tracker": TRACKER, "battery": BATTERY, "cable": CABLE, "drain": BATTERY}
"""Input -> the entity that stands for it here."""
JOURNAL: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "charging_ended": {"drive_ended": {}, "charge_ended": {"added_kwh": 20.0, "cost": 6.5, "currency": "EUR"}},
    "software_installed": {"software_installed": {"version": "2026.38.7"}},
}
"""Blueprint -> what the journal tells, of which one thing is its moment."""


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
async def test_it_runs_at_its_moment(
    hass: HomeAssistant, tmp_path: Path, freezer: FrozenDateTimeFactory, path: Path
) -> None:
    freezer.move_to("2026-11-16 20:00:00")
    await hass.config.async_set_time_zone("UTC")
    entry, _ = await watch_car(hass, MODEL_3)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    entities = {
        f"{one.domain}.{one.translation_key}": one.entity_id
        for one in er.async_entries_for_device(er.async_get(hass), device.id)
    }
    hass.config.config_dir = str(tmp_path)
    folder = tmp_path / "blueprints" / "automation" / "teslafi"
    await hass.async_add_executor_job(shutil.copytree, path.parent, folder)
    named = set(re.findall(r"!input (\w+)", path.read_text()))
    inputs: dict[str, Any] = {"actions": [{"action": "test.ran"}]}
    inputs |= {"car": device.id} if "input:\n    car:" in path.read_text() else {}
    inputs |= {name: entities[key] for name, key in ENTITY_INPUTS.items() if name in named}
    before, after = MOMENTS[path.stem]
    for key, state in before.items():
        hass.states.async_set(entities[key], state)
    runs = async_mock_service(hass, "test", "ran")
    used = {"use_blueprint": {"path": f"teslafi/{path.name}", "input": inputs}}
    assert await async_setup_component(hass, "automation", {"automation": used})
    await hass.async_block_till_done()
    for key, state in after.items():
        hass.states.async_set(entities[key], state)
    for kind, figures in JOURNAL.get(path.stem, {}).items():
        hass.bus.async_fire(EVENT_JOURNAL, {"device_id": device.id, "type": kind, **figures})
    await hass.async_block_till_done()
    freezer.move_to("2026-11-16 21:00:01")
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert len(runs) == 1
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


def test_every_blueprint_has_its_import_link() -> None:
    document = (ROOT / "docs" / "automations.md").read_text()
    linked = [unquote(url) for url in re.findall(r"blueprint_url=([^)]+)\)", document)]
    assert linked == [re.findall(r"source_url: (\S+)", path.read_text())[0] for path in BLUEPRINTS]
    assert [Path(url).name for url in linked] == [path.name for path in BLUEPRINTS]
