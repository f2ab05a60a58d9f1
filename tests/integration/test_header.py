"""The words above a car on the dashboard: what it does, and how old that is, in every set-up."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
import json
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from playwright._impl._driver import compute_driver_executable
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.coordinators.base import UNREACHABLE_AFTER
from custom_components.teslafi.dashboard import FILES, MODULE
from custom_components.teslafi.tesla.errors import Unreachable

from .recorded import MODEL_3, MODEL_S_OF_2018, VIN, RecordedReader, begin, look_again, recorded, watch, watch_car

STATE: Final = "sensor.test_car_state"
SCRIPT: Final = """
globalThis.HTMLElement = class {};
globalThis.window = globalThis;
globalThis.customElements = {
  get: () => undefined,
  whenDefined: async () => undefined,
  define: (_, kind) => { globalThis.kind = kind; },
};
await import("file://" + process.argv[1]);
const dashboard = await globalThis.kind.generate({}, JSON.parse(process.argv[2]));
console.log(JSON.stringify(dashboard.views));
"""


async def views_of(hass: HomeAssistant, language: str) -> list[dict[str, Any]]:
    """Return the dashboard's views for these registries and states."""
    entities = {
        one.entity_id: {
            "platform": one.platform,
            "device_id": one.device_id,
            "entity_id": one.entity_id,
            "translation_key": one.translation_key,
        }
        for one in er.async_get(hass).entities.values()
        if one.disabled_by is None
    }
    devices = {
        one.id: {"id": one.id, "name": one.name, "identifiers": [list(pair) for pair in one.identifiers]}
        for one in dr.async_get(hass).devices
    }
    states: dict[str, dict[str, Any]] = {state.entity_id: {} for state in hass.states.async_all()}
    seen = {"devices": devices, "entities": entities, "states": states, "language": language}
    node, _ = compute_driver_executable()
    arguments = ("--input-type=module", "-e", SCRIPT, str(FILES / MODULE), json.dumps(seen))
    process = await asyncio.create_subprocess_exec(node, *arguments, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    views: list[dict[str, Any]] = json.loads(told)
    return views


async def header_of(hass: HomeAssistant, language: str = "en") -> Callable[[], str]:
    """Return how to render the first car's header as the dashboard has it."""
    view, *_ = await views_of(hass, language)
    template = Template(view["header"]["card"]["content"], hass)

    def render() -> str:
        return str(template.async_render(parse_result=False)).split("\n", 1)[1].strip()

    return render


@pytest.fixture
def changes(hass: HomeAssistant) -> list[str]:
    """Return the entities whose state changed: each is a row in the recorder."""
    changed: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        changed.append(event.data["entity_id"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    return changed


async def test_the_header_tells_how_old_its_data_are(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, changes: list[str]
) -> None:
    """In a set-up as it comes, whatever of looks and states came in between, and also after a restart."""
    entry, reader = await watch_car(hass, MODEL_3)
    data_at = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{VIN}-data_at")
    assert data_at is not None
    assert hass.states.get(data_at) is None, "disabled, as it comes"
    header = await header_of(hass)
    parked = "**Parked**"
    assert header() == f"{parked} · just now"
    freezer.tick(timedelta(minutes=5))
    assert header() == f"{parked} · 5 min ago"
    # A look that leaves the state as it was is no row, and yet new
    changes.clear()
    await look_again(hass, entry)
    assert STATE not in changes
    assert header() == f"{parked} · just now"
    freezer.tick(timedelta(minutes=3))
    assert header() == f"{parked} · 3 min ago"
    # A refresh that was asked for and brought no data is none
    assert await async_setup_component(hass, "homeassistant", {})
    reader.troubles["data"] = Unreachable("no answer")
    asked = reader.asked["data"]
    await hass.services.async_call("homeassistant", "update_entity", {"entity_id": STATE}, blocking=True)
    await hass.async_block_till_done()
    assert reader.asked["data"] == asked + 1
    assert header() == f"{parked} · 3 min ago"
    reader.troubles.clear()
    # A state without data says nothing of their age
    reader.cars[VIN]["state"] = "asleep"
    freezer.tick(timedelta(minutes=20))
    await look_again(hass, entry)
    assert header().rpartition(" · ")[2] == "23 min ago"
    freezer.tick(timedelta(hours=5))
    await hass.config_entries.async_unload(entry.entry_id)
    await begin(hass, entry, reader)
    assert header().rpartition(" · ")[2] == "5 h ago"
    reader.cars[VIN]["state"] = "online"
    await look_again(hass, entry)
    assert header() == f"{parked} · just now"


async def test_a_new_area_or_label_is_no_data(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Whether data came since the state was last written, or none."""
    entry, _ = await watch_car(hass, MODEL_3)
    header = await header_of(hass)
    registry = er.async_get(hass)

    async def label(names: set[str]) -> None:
        registry.async_update_entity(STATE, labels=names)
        await hass.async_block_till_done()

    freezer.tick(timedelta(minutes=5))
    for names in ({"wall"}, set[str](), {"wall", "car"}):
        await label(names)
        assert header().endswith("5 min ago")
    freezer.tick(timedelta(seconds=1))
    await look_again(hass, entry)
    assert header().endswith("just now")
    freezer.tick(timedelta(minutes=3))
    for names in ({"wall"}, set[str]()):
        await label(names)
        assert header().endswith("3 min ago")


async def test_the_moment_is_in_no_row_of_the_recorder(hass: HomeAssistant) -> None:
    await watch_car(hass, MODEL_3)
    state = hass.states.get(STATE)
    assert state is not None
    assert state.state_info is not None
    assert "data_at" in state.attributes
    assert "data_at" in state.state_info["unrecorded_attributes"]


AGES: Final[list[tuple[timedelta, str, str]]] = [
    (timedelta(seconds=59), "just now", "gerade eben"),
    (timedelta(minutes=1), "1 min ago", "vor 1 Min."),
    (timedelta(minutes=119), "119 min ago", "vor 119 Min."),
    (timedelta(hours=2), "2 h ago", "vor 2 Std."),
    (timedelta(hours=47, minutes=59), "47 h ago", "vor 47 Std."),
    (timedelta(days=2), "2 days ago", "vor 2 Tagen"),
    (timedelta(days=400), "400 days ago", "vor 400 Tagen"),
    (timedelta(hours=-1), "just now", "gerade eben"),
]


async def test_ages_in_words(hass: HomeAssistant, freezer: FrozenDateTimeFactory, subtests: pytest.Subtests) -> None:
    """Also where the clock was set back since."""
    await watch_car(hass, MODEL_3)
    headers = [await header_of(hass, language) for language in ("en", "de")]
    begun = dt_util.utcnow()
    for age, *words in AGES:
        with subtests.test(words[0]):
            freezer.move_to(begun + age)
            assert [header().rpartition(" · ")[2] for header in headers] == words


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("No data yet", "Asleep", "values appear when it wakes up")),
        ("de", ("Noch keine Daten", "Schläft", "Werte erscheinen, sobald es aufwacht")),
    ],
)
async def test_a_car_of_which_nothing_is_known_is_not_said_to_be_parked(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, language: str, words: tuple[str, str, str]
) -> None:
    reader = RecordedReader({VIN: {"vin": VIN, "state": "new words", "display_name": "Test"}}, {})
    entry = await watch(hass, reader)
    header = await header_of(hass, language)
    assert header() == f"**{words[0]}**"
    reader.cars[VIN]["state"] = "asleep"
    # A word that says nothing is trouble, which is asked about again in a while
    freezer.tick(3600)
    await look_again(hass, entry)
    assert header() == f"**{words[1]}** · {words[2]}"


async def test_the_tabs_have_the_names_of_the_cars(hass: HomeAssistant) -> None:
    """A view with an icon shows that alone, and two cars have the same."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars["5YJSA1E4XGF000003"] = recorded(MODEL_S_OF_2018)
    await entry.runtime_data.account.async_refresh()
    await hass.async_block_till_done()
    views = await views_of(hass, "en")
    assert [(view["title"], view.get("icon")) for view in views] == [("Nikola 2.0", None), ("Test", None)]


async def test_what_was_never_read_is_not_new(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """However often the state of such a car is written; and what comes at last is new."""
    reader = RecordedReader({VIN: {"vin": VIN, "state": "asleep", "display_name": "Test"}}, {})
    entry = await watch(hass, reader)
    header = await header_of(hass)
    registry = er.async_get(hass)
    for names in ({"wall"}, set[str]()):
        registry.async_update_entity(STATE, labels=names)
        await hass.async_block_till_done()
        assert header() == "**Asleep** · values appear when it wakes up"
    reader.cars[VIN] |= {"state": "online"}
    reader.troubles["data"] = Unreachable("no answer")
    await look_again(hass, entry)
    assert header() == "**Online**", "it answers, and told nothing yet"
    reader.troubles.clear()
    reader.cars[VIN] = recorded(MODEL_3) | {"vin": VIN, "state": "online"}
    freezer.tick(timedelta(hours=1))
    await look_again(hass, entry)
    assert header() == "**Parked** · just now"


async def test_the_destination_is_told_while_a_control_replaces_its_sensor(hass: HomeAssistant) -> None:
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    reader.cars[VIN]["drive_state"] |= {"shift_state": "D", "active_route_destination": "Office"}
    entry = await watch(hass, reader)
    assert (await header_of(hass))().startswith("**Driving** to Office")
    registry = er.async_get(hass)
    sensor = registry.async_get_entity_id("sensor", DOMAIN, f"{VIN}-drive_state_active_route_destination")
    assert sensor is not None
    registered = registry.async_get(sensor)
    assert registered is not None
    registry.async_remove(sensor)
    registry.async_get_or_create(
        "text",
        DOMAIN,
        f"{VIN}-navigation_destination",
        config_entry=entry,
        device_id=registered.device_id,
        suggested_object_id="control",
        translation_key="navigation_destination",
    )
    hass.states.async_set("text.control", "Office")
    assert (await header_of(hass))().startswith("**Driving** to Office")


async def test_an_outage_makes_data_neither_newer_nor_older(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """Unavailable and back without data: the age is that of the newest look, which no written state knew of."""
    entry, _ = await watch_car(hass, MODEL_3)
    header = await header_of(hass)
    vehicle = entry.runtime_data.vehicles[VIN]
    freezer.tick(timedelta(minutes=30))
    await look_again(hass, entry)
    assert header() == "**Parked** · just now"
    freezer.tick(timedelta(minutes=10))
    for _ in range(UNREACHABLE_AFTER):
        vehicle.note(Unreachable("no answer"))
    assert header() == "**Unavailable**"
    vehicle._failures = 0  # noqa: SLF001 - as after an answer about the car's state
    vehicle.async_update_listeners()
    assert header() == "**Parked** · 10 min ago"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Office", "Office"),
        ("![x](http://evil.example/a.png)", "x (http://evil.example/a.png)"),
        ("<img src=x>", "img src=x"),
        ("a\n\n# b", "a    b"),
        ("**x** {{ 7 * 7 }} {% for one in states %}", "x   {{ 7   7 }} {% for one in states %}"),
        ("Caf\u00e9 \u202elive", "Caf\u00e9 \u202elive"),
    ],
)
async def test_a_destination_is_text(hass: HomeAssistant, sent: str, shown: str) -> None:
    """Anybody to whom the car is shared can send one."""
    entry, reader = await watch_car(hass, MODEL_3)
    reader.cars[VIN]["drive_state"] |= {"shift_state": "D", "speed": 30, "active_route_destination": sent}
    await look_again(hass, entry)
    header = await header_of(hass)
    assert header().partition(" · ")[0] == f"**Driving** to {shown}"
