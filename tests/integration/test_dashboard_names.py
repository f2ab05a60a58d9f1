"""The dashboard's headers: a car's name is text in them, whatever Tesla says that it is."""

import asyncio
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
from playwright._impl._driver import compute_driver_executable
import pytest

from custom_components.teslafi.dashboard import FILES, MODULE

SCRIPT = """
globalThis.HTMLElement = class {};
globalThis.window = globalThis;
globalThis.customElements = { get: () => undefined, define: (_, kind) => { globalThis.kind = kind; } };
await import("file://" + process.argv[1]);
console.log(JSON.stringify(await globalThis.kind.generate({}, JSON.parse(process.argv[2]))));
"""


async def headers_of(name: str) -> list[str]:
    """Return the templates of the headers of a car and a site with this name."""
    keys = {"car": ("state", "charge_state_battery_level"), "site": ("grid_power",)}
    entities = {
        f"sensor.{key}": {
            "platform": "teslafi",
            "device_id": device,
            "entity_id": f"sensor.{key}",
            "translation_key": key,
        }
        for device, found in keys.items()
        for key in found
    }
    devices = {key: {"id": key, "name": name, "identifiers": [["teslafi", key]]} for key in keys}
    hass = {"devices": devices, "entities": entities, "states": {key: {} for key in entities}, "language": "en"}
    node, _ = compute_driver_executable()
    arguments = ("--input-type=module", "-e", SCRIPT, str(FILES / MODULE), json.dumps(hass))
    process = await asyncio.create_subprocess_exec(node, *arguments, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    views: list[dict[str, Any]] = json.loads(told)["views"]
    return [view["header"]["card"]["content"] for view in views]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Roadrunner", "# Roadrunner"),
        ("{{ states.zone.home.name }}", "# {{ states.zone.home.name }}"),
        ("{% for one in states %}", "# {% for one in states %}"),
        ("{# gone", "# {# gone"),
        ('" }} {{ 7 * 7 }} {{ "', '# " }} {{ 7   7 }} {{ "'),
        ("l'\u00e9clair \U0001f697", "# l'\u00e9clair \U0001f697"),
        ("![x](http://evil.example/a.png)", "#   x (http://evil.example/a.png)"),
    ],
)
async def test_a_name_is_text(hass: HomeAssistant, name: str, shown: str) -> None:
    found = await headers_of(name)
    assert len(found) == 2
    for header in found:
        assert Template(header, hass).async_render(parse_result=False).splitlines()[0] == shown
