"""The dashboard TeslaFi: offered by Home Assistant, made of what exists, in words, on desktop and phone."""

import asyncio
import re
from typing import Final

from playwright.async_api import Page, Route, ViewportSize, expect
import pytest

from custom_components.teslafi.dashboard import MODULE
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.live.home_assistant import DASHBOARD, LiveHomeAssistant

from .layout import fits_uncut
from .person import READY, TOO_LATE, Person, appears_nevertheless

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESKTOP: Final[ViewportSize] = {"width": 1400, "height": 1000}


async def test_the_dashboard_is_offered_and_shows_the_car(
    person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator
) -> None:
    tesla.control.park(ANNAS_MODEL_3)
    await person.add_integration()
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.sign_in_at_tesla("anna@example.com")
    await person.finish()

    await person.open("/config/lovelace/dashboards")
    await person.page.get_by_role("button", name="Add dashboard").first.click()
    offered = person.page.locator("ha-dialog").get_by_text("Your Tesla cars and energy sites").first
    await expect(offered).to_be_visible()
    await person.picture("dashboard-offered")

    await home.add_dashboard()
    await set_disabled(home, True)
    wall = await on_a_slow_wall(person, home)
    # A page that is open before there is a car finds it by itself
    await expect(wall.get_by_text("No Tesla cars or energy sites yet.")).to_be_visible()
    await set_disabled(home, False)
    header = wall.locator(
        "hui-markdown-card", has_text=re.compile(r"Roadrunner.*Parked.* · (just now|\d+ min ago)", re.DOTALL)
    )
    await expect(header).to_be_visible()
    await expect(wall.locator("hui-tile-card", has_text="Battery level").first).to_contain_text("%")
    await expect(wall.locator("hui-picture-elements-card").first).to_contain_text("bar")
    await expect(wall.get_by_text("Controls are off.").first).to_be_visible()
    await expect(wall.locator("ha-entity-marker .entity-picture").first).to_be_visible()
    await fits_uncut(wall)
    await person.picture("teslafi-dashboard", wall)
    await wall.emulate_media(color_scheme="dark")
    await person.picture("teslafi-dashboard-dark", wall)
    await wall.emulate_media(color_scheme="light")
    await wall.set_viewport_size(PHONE)
    await fits_uncut(wall)
    await person.picture("teslafi-dashboard-phone", wall)

    await first_of_all(wall)
    await wall.goto(f"{home.url}/{DASHBOARD}/2")
    await expect(wall.locator("hui-tile-card", has_text="From grid")).to_contain_text("kWh")
    await fits_uncut(wall)
    await wall.set_viewport_size(DESKTOP)
    await fits_uncut(wall)
    await person.picture("teslafi-dashboard-site", wall)


async def set_disabled(home: LiveHomeAssistant, disabled: bool) -> None:
    """Disable the integration's only entry, or enable it again."""
    (entry,) = await home.call({"type": "config_entries/get", "domain": "teslafi"})
    by = "user" if disabled else None
    await home.call({"type": "config_entries/disable", "entry_id": entry["entry_id"], "disabled_by": by})


async def on_a_slow_wall(person: Person, home: LiveHomeAssistant) -> Page:
    """Open the dashboard on a tablet that is too slow for Home Assistant: once the module is there, all is well."""
    page = await person.browser.new_page()
    await page.set_viewport_size(DESKTOP)
    given_up = asyncio.Event()

    async def late(route: Route) -> None:
        await given_up.wait()
        await route.continue_()

    await page.route(f"**/{MODULE}*", late)
    await page.goto(f"{home.url}/{DASHBOARD}/0")
    await page.wait_for_function(READY)
    error = page.get_by_text(TOO_LATE)
    await expect(error).to_be_visible()
    given_up.set()
    await appears_nevertheless(page, home)
    await expect(error).to_have_count(0)
    await page.unroute_all()
    return page


async def first_of_all(page: Page) -> None:
    """Have the module run before anything of Home Assistant's, as it does when the browser has kept it."""

    async def last(route: Route) -> None:
        await page.wait_for_function("() => window.customStrategies?.some(one => one.type === 'teslafi')")
        await route.continue_()

    await page.route("**/frontend_latest/app.*", last)
