"""Home Assistant's own pages with a new owner's cars on them: a map, Security, Climate, Maintenance."""

import re
from typing import Final

from playwright.async_api import ViewportSize, expect
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from tests.live.home_assistant import LiveHomeAssistant

from .person import Person

pytestmark = pytest.mark.browser

DESKTOP: Final[ViewportSize] = {"width": 1400, "height": 1000}


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

    await person.call(
        {
            "type": "lovelace/dashboards/create",
            "url_path": "our-map",
            "title": "Map",
            "mode": "storage",
            "show_in_sidebar": True,
            "require_admin": False,
        }
    )
    card = {"type": "map", "entities": ["device_tracker.roadrunner"], "hours_to_show": 24}
    config = {"views": [{"title": "Map", "type": "panel", "cards": [card]}]}
    await person.call({"type": "lovelace/config/save", "url_path": "our-map", "config": config})
    await person.open("/our-map/0")
    marker = person.page.locator("ha-entity-marker").first
    await expect(marker.locator(".entity-picture")).to_have_attribute("style", re.compile("/api/teslafi/car/model_3/"))
    await person.picture("own-map")

    await person.open("/security")
    await expect(person.page.locator("hui-tile-card", has_text="Roadrunner")).to_have_count(6)
    single = person.page.locator(
        "hui-tile-card", has_text=re.compile(r"(driver|passenger) (door|window)", re.IGNORECASE)
    )
    assert await single.count() == 0
    await person.picture("own-security")

    await person.open("/climate")
    windows = person.page.locator("hui-tile-card", has_text=re.compile("window", re.IGNORECASE))
    await expect(windows).to_have_count(2)
    await person.picture("own-climate")

    await person.open("/maintenance")
    await expect(person.page.locator("hui-tile-card", has_text="Roadrunner").first).to_be_visible()
    assert await person.page.locator("hui-tile-card", has_text="at arrival").count() == 0
    await person.picture("own-maintenance")
