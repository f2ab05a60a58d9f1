"""Home Assistant's own pages with a new owner's cars and house on them, light, dark, and on a phone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
import re
from typing import Any, Final

from playwright.async_api import Locator, ViewportSize, expect
import pytest
import pytest_asyncio

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.live.energy import SITE, metadata
from tests.live.home_assistant import LiveHomeAssistant

from .layout import fits
from .person import Person
from .test_browser import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DESKTOP: Final[ViewportSize] = {"width": 1400, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
HOURS: Final = 10
"""How many hours of today the Energy page has in its picture."""
ENERGY: Final[dict[str, tuple[float, ...]]] = {
    f"{SITE}_grid_imported_today": (300.0, 280, 260, 250, 240, 60, 0, 0, 0, 0),
    f"{SITE}_grid_exported_today": (0.0, 0, 0, 0, 0, 0, 0, 150, 900, 1600),
    f"{SITE}_solar_generated_today": (0.0, 0, 0, 0, 0, 90, 640, 1500, 2400, 3100),
    f"{SITE}_battery_charged_today": (0.0, 0, 0, 0, 0, 0, 200, 900, 900, 800),
    f"{SITE}_battery_discharged_today": (150.0, 140, 140, 130, 120, 200, 0, 0, 0, 0),
    "sensor.roadrunner_home_charging_energy": (0.1, 0.1, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0),
    "sensor.snowball_home_charging_energy": (0.0,) * HOURS,
}
"""What the recorder would have of the morning: what was added in each hour."""


@pytest_asyncio.fixture(loop_scope="session")
async def tesla(socket_enabled: None, home_port: int) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla with cars as people know them."""
    redirect = f"http://127.0.0.1:{home_port}/auth/external/callback"
    async with TeslaSimulator(scenario="showroom", redirect_uris=(redirect,)) as simulator:
        simulator.control.park(ANNAS_MODEL_3)
        simulator.control.wake(ANNAS_MODEL_Y)
        for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
            simulator.control.set_values(vin, {"vehicle_state.locked": True})
        yield simulator


async def pictures(person: Person, name: str, shown: Locator) -> None:
    """Take the page as it is: light, dark, on a phone; `shown` is what has to be seen on each, nothing wider."""
    page = person.page
    await page.set_viewport_size(DESKTOP)
    await expect(shown).to_be_visible()
    await person.picture(name)
    await page.emulate_media(color_scheme="dark")
    await person.picture(f"{name}-dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)
    await expect(shown).to_be_visible()
    await fits(page)
    await person.picture(f"{name}-phone")
    await page.set_viewport_size(DESKTOP)


def tiles(person: Person, text: str) -> Locator:
    """Return the tiles of a page whose text has these words."""
    return person.page.locator("hui-tile-card", has_text=re.compile(text, re.IGNORECASE))


async def test_home_assistants_pages_show_cars_as_cars(
    person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator
) -> None:
    """A picture in the car's color on the map; one tile for all doors, one for all windows, one battery a car."""
    await person.add_integration()
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.sign_in_at_tesla("anna@example.com")
    await person.finish()
    await person.page.set_viewport_size(DESKTOP)
    await _security(person)
    await _climate(person)
    await _maintenance(person)
    await _map(person, home)
    await _energy(person, home)
    await _activity(person, home, tesla)


async def _security(person: Person) -> None:
    await person.open("/security")
    for car in ("Roadrunner", "Snowball"):
        await expect(tiles(person, car)).to_have_count(6)
    assert await tiles(person, "(driver|passenger) (door|window)").count() == 0
    await pictures(person, "own-security", tiles(person, "Roadrunner").first)


async def _climate(person: Person) -> None:
    await person.open("/climate")
    await expect(tiles(person, "window")).to_have_count(2)
    await pictures(person, "own-climate", tiles(person, "window").first)


async def _maintenance(person: Person) -> None:
    await person.open("/maintenance")
    await expect(tiles(person, "Roadrunner")).to_have_count(1)
    await expect(tiles(person, "Snowball")).to_have_count(1)
    assert await tiles(person, "at arrival").count() == 0
    await pictures(person, "own-maintenance", tiles(person, "Roadrunner").first)


async def _map(person: Person, home: LiveHomeAssistant) -> None:
    """Home Assistant's own map, which onboarding makes: the cars, and nothing else of ours."""
    await home.add_map()
    await person.open("/map")
    markers = person.page.locator("ha-entity-marker")
    car = markers.locator(".entity-picture").first
    await expect(car).to_have_attribute("style", re.compile("/api/teslafi/car/model_"))
    await expect(markers).to_have_count(2)
    await pictures(person, "own-map", car)


async def _energy(person: Person, home: LiveHomeAssistant) -> None:
    """With what the README says to choose there."""
    begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    for entity, hours in ENERGY.items():
        statistics = {"metadata": metadata(entity), "stats": _sums(begun, hours)}
        await home.call({"type": "recorder/import_statistics", **statistics})
    await home.add_energy()
    await until(partial(_nothing_wrong, home))
    await person.open("/energy/electricity")
    flow = person.page.locator("hui-energy-distribution-card").filter(visible=True).first
    for part in ("solar", "grid", "battery", "home"):
        await expect(flow.locator(f".circle-container.{part}").first).to_be_visible()
    await expect(person.page.get_by_text("Roadrunner Home charging energy").first).to_be_visible()
    await pictures(person, "own-energy", flow)


async def _nothing_wrong(home: LiveHomeAssistant) -> bool:
    """Say whether the page has no complaint about what was chosen, now that the recorder has written."""
    wrong = await home.call({"type": "energy/validate"})
    return not any(found for kind in wrong.values() for found in kind)


def _sums(begun: datetime, hours: tuple[float, ...]) -> list[dict[str, Any]]:
    total, rows = 0.0, []
    for number, added in enumerate(hours):
        total += added
        start = (begun + timedelta(hours=number)).isoformat()
        rows.append({"start": start, "state": total, "sum": total, "last_reset": None})
    return rows


async def _activity(person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:
    """What happened to the cars, in words; nothing of how often they were asked."""
    tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.locked": False, "vehicle_state.df": 1})
    tesla.control.sleep(ANNAS_MODEL_Y)
    for entity in ("sensor.roadrunner_car_state", "sensor.snowball_car_state"):
        await home.api("POST", "services/homeassistant/update_entity", {"entity_id": entity})
    await person.open("/logbook")
    lines = person.page.locator("ha-logbook-entry")
    for told in ("Doors.*Open.*Roadrunner", "Lock.*Unlocked.*Roadrunner", "Car state.*Asleep.*Snowball"):
        await expect(lines.filter(has_text=re.compile(told, re.DOTALL)).first).to_be_visible()
    assert await lines.filter(has_text=re.compile("Last contact|Data as of|requests|cost", re.IGNORECASE)).count() == 0
    await pictures(person, "own-activity", lines.first)
