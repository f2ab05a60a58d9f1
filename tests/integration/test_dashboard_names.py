"""The dashboard: a car's name is text in it, whatever Tesla says that it is; and when it is made anew."""

import asyncio
from http import HTTPStatus
import json
from pathlib import Path
import re
import shutil
from typing import Any, Final

from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL, UrlManager
from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
from playwright._impl._driver import compute_driver_executable
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator  # type: ignore[import-untyped]

from custom_components.teslafi.dashboard import FILES, MODULE, async_serve_dashboard
from tests.translations import LANGUAGES

LOADED: Final = """
globalThis.HTMLElement = class {};
globalThis.window = globalThis;
globalThis.customElements = {
  get: () => undefined,
  whenDefined: async () => undefined,
  define: (_, kind) => { globalThis.kind = kind; },
};
await import("file://" + process.argv[1]);
"""
SCRIPT: Final = f"""{LOADED}
console.log(JSON.stringify(await globalThis.kind.generate({{}}, JSON.parse(process.argv[2]))));
"""
CHANGED: Final = f"""{LOADED}
const [before, changes] = JSON.parse(process.argv[2]);
for (const one of [before, ...changes].filter((one) => one.states)) {{
  one.states = Object.fromEntries(Object.entries(one.states).filter(([, state]) => state !== null));
}}
// As long as there are no entities at all, nothing of ours changes
const NOTHING = {{entities: {{}}, devices: {{}}, states: {{}}}};
const quiet = () => globalThis.kind.shouldRegenerate({{}}, NOTHING, {{...NOTHING, states: {{}}}});
const made = [quiet()];
for (const hass of [NOTHING, {{}}, NOTHING]) {{
  await globalThis.kind.generate({{}}, hass).catch(() => undefined);
  made.push(quiet());
}}
console.log(JSON.stringify(made));
console.log(JSON.stringify(changes.map((c) => globalThis.kind.shouldRegenerate({{}}, before, {{...before, ...c}}))));
"""

REPLACED: Final = """
const defined = [];
let start;
const whenDefined = () => new Promise((resolve) => { start = resolve; });
globalThis.HTMLElement = class {};
globalThis.window = globalThis;
globalThis.customElements = { get: () => undefined, whenDefined, define: () => process.exit(1) };
const loading = import("file://" + process.argv[1]);
while (start === undefined) await new Promise(setImmediate);
globalThis.customElements = { get: () => undefined, define: (name) => defined.push(name) };
start();
await loading;
console.log(JSON.stringify(defined));
"""


async def told(script: str, argument: object) -> list[Any]:
    """Return the lines of JSON that a script prints that has loaded the dashboard's module."""
    node, _ = compute_driver_executable()
    arguments = ("--input-type=module", "-e", script, str(FILES / MODULE), json.dumps(argument))
    process = await asyncio.create_subprocess_exec(node, *arguments, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return [json.loads(line) for line in printed.splitlines()]


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
    views: list[dict[str, Any]] = (await told(SCRIPT, hass))[0]["views"]
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


async def test_the_element_is_known_to_the_registry_that_home_assistant_puts_in_place_of_the_browsers() -> None:
    """A module that the browser has kept runs before Home Assistant's: what it defined would be forgotten."""
    assert await told(REPLACED, None) == [["ll-strategy-dashboard-teslafi"]]


CHANGES: Final[list[tuple[str, dict[str, Any], bool]]] = [
    ("a value of ours", {"states": {"sensor.ours": {"state": 2}, "sensor.waits": None, "sensor.other": {}}}, False),
    ("ours comes to life", {"states": {"sensor.ours": {}, "sensor.waits": {}, "sensor.other": {}}}, True),
    ("ours goes", {"states": {"sensor.waits": None, "sensor.other": {}}}, True),
    ("somebody else's goes", {"states": {"sensor.ours": {}, "sensor.waits": None}}, False),
    ("an entity is registered", {"entities": {"sensor.ours": {"platform": "teslafi"}}}, True),
    ("a device is named", {"devices": {"car": {"name": "Anna"}}}, True),
    ("a theme", {"themes": {}}, False),
]


async def test_the_dashboard_is_made_anew_when_it_would_be_another_one(subtests: pytest.Subtests) -> None:
    """Also when an entity that was registered before comes to life: a page that is open then has no car yet."""
    before = {
        "entities": {name: {"platform": "teslafi"} for name in ("sensor.ours", "sensor.waits")}
        | {"sensor.other": {"platform": "sun"}},
        "devices": {"car": {}},
        "states": {"sensor.ours": {}, "sensor.waits": None, "sensor.other": {}},
    }
    changes = [change for _, change, _ in CHANGES]
    errors, answers = await told(CHANGED, [before, changes])
    with subtests.test("Home Assistant shows an error instead: it did not wait, or making the dashboard failed"):
        assert errors == [True, False, True, False]
    for (what, _, wanted), found in zip(CHANGES, answers, strict=True):
        with subtests.test(what):
            assert found is wanted


def test_what_every_page_loads_waits_for_nothing_else() -> None:
    """Home Assistant waits five seconds for the element: each module imported first is one more round trip."""
    module = (FILES / MODULE).read_text("utf-8")
    assert re.findall(r"^\s*(?:import\b|export\b.*\bfrom\b)(?!\().*", module, re.MULTILINE) == []
    assert len(module) < 4096


async def test_browsers_keep_the_files_until_one_of_them_changes(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await async_setup_component(hass, "http", {})
    hass.config.components.add("frontend")
    loaded = hass.data[DATA_EXTRA_MODULE_URL] = UrlManager(lambda *_: None, [])
    await async_serve_dashboard(hass)
    (module,) = loaded.urls
    changed = tmp_path / "files"
    shutil.copytree(FILES, changed)
    with (changed / "texts.js").open("a") as texts:
        texts.write("\n")
    monkeypatch.setattr("custom_components.teslafi.dashboard.FILES", changed)
    await async_serve_dashboard(hass)
    assert len(loaded.urls) == 2
    answer = await (await hass_client()).get(module)
    assert answer.status == HTTPStatus.OK
    assert "max-age" in answer.headers["Cache-Control"]


def test_each_language_has_every_text_and_nobody_has_more() -> None:
    """What the module asks for by `text.…`, in a table of its own or out of it."""
    texts = (FILES / "texts.js").read_text("utf-8")
    languages = re.findall(r"^  (\w\w): \{\n(.*?)^  \},$", texts, re.DOTALL | re.MULTILINE)
    assert {language for language, _ in languages} == {*LANGUAGES}
    module = (FILES / "views.js").read_text("utf-8")
    said = set(re.findall(r"(?<!\")\btext\.(\w+)", module))
    for table in re.findall(r"^const (?:TODAY|BUTTONS) = \{\n(.*?)^\};$", module, re.DOTALL | re.MULTILINE):
        said |= set(re.findall(r': "(\w+)",$', table, re.MULTILINE))
    for language, rows in languages:
        keys = re.findall(r"^    (\w+): ", rows, re.MULTILINE)
        assert keys == sorted(keys), language
        assert set(keys) == said, language
