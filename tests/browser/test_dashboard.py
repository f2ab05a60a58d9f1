"""The dashboard TeslaFi: offered by Home Assistant, made of what exists, in words, on desktop and phone."""

from typing import Final

from playwright.async_api import ViewportSize, expect
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from tests.live.home_assistant import DASHBOARD, LiveHomeAssistant

from .person import Person

pytestmark = pytest.mark.browser

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESKTOP: Final[ViewportSize] = {"width": 1400, "height": 1000}


async def test_the_dashboard_is_offered_and_shows_the_car(
    person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator
) -> None:
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
    await person.page.set_viewport_size(DESKTOP)
    await person.open("/")
    await person.page.wait_for_url(f"**/{DASHBOARD}/**")
    await expect(person.page.locator("hui-markdown-card").first).to_contain_text("Roadrunner")
    await expect(person.page.locator("hui-tile-card", has_text="Battery level").first).to_contain_text("%")
    await expect(person.page.locator("hui-picture-elements-card").first).to_contain_text("bar")
    await expect(person.page.get_by_text("Controls are off.").first).to_be_visible()
    await person.picture("teslafi-dashboard")
    await person.page.emulate_media(color_scheme="dark")
    await person.picture("teslafi-dashboard-dark")
    await person.page.set_viewport_size(PHONE)
    await person.picture("teslafi-dashboard-phone")
