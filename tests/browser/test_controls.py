"""The whole way to controls in a real browser: companion, checkout, Tesla, pairing; unlock the car; lock all again."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
import re
from typing import Final

import aiohttp
from playwright.async_api import Page, ViewportSize, expect
import pytest
import pytest_asyncio

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.live import companion as live
from tests.live.check import states
from tests.live.companion import LiveCompanion
from tests.live.home_assistant import DASHBOARD, LiveHomeAssistant

from .layout import fits_uncut
from .person import Person
from .test_browser import device_of, state_of, until
from .test_companion import Clock, Visitor, chargebee, clock, companion, shows_the_link  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
CONTROLS = "teslafi-controls"
TALL: Final[ViewportSize] = {"width": 1280, "height": 1250}


@pytest_asyncio.fixture(loop_scope="session")
async def tesla(socket_enabled: None, home_port: int, clock: Clock) -> AsyncIterator[TeslaSimulator]:  # noqa: F811
    """Be Tesla, by the companion's clock: the sign-in there has to be newer than the proof here."""
    redirect = f"http://127.0.0.1:{home_port}/auth/external/callback"
    async with TeslaSimulator(clock=lambda: clock().timestamp(), redirect_uris=(redirect,)) as simulator:
        yield simulator


async def link(person: Person, visitor_of: Page, companion: LiveCompanion, clock: Clock) -> Visitor:  # noqa: F811
    """Sign in at the companion in the window that opened, and allow the link."""
    visitor = Visitor(visitor_of, companion, clock)
    visitor.secret = (companion.folder / "authenticator.txt").read_text()
    await visitor.shows("Sign in")
    await visitor.fill("Email address", live.EMAIL)
    await visitor.fill("Password", live.PASSWORD)
    await visitor.press("Sign in")
    await visitor.fill("Code from your authenticator app", visitor.code())
    await visitor.press("Continue")
    await visitor.confirm()
    await visitor.press("Allow")
    await person.sees("Step 2 of 5")
    return visitor


async def test_the_whole_way(
    person: Person,
    home: LiveHomeAssistant,
    tesla: TeslaSimulator,
    companion: LiveCompanion,  # noqa: F811
    clock: Clock,  # noqa: F811
) -> None:
    """Enable, subscribe on the way, sign in at Tesla, pair, press Unlock, see the car unlock; disable, see it gone."""
    await begins(person, home, tesla, companion, clock)
    await consents(person, companion, clock)
    await grants(person, home, tesla)
    await unlocks(person, home, tesla)
    await reads_the_activity(person, home, tesla)
    await sees_the_link(person, companion, clock)
    await disables(person, home)


async def begins(
    person: Person,
    home: LiveHomeAssistant,
    tesla: TeslaSimulator,
    companion: LiveCompanion,  # noqa: F811
    clock: Clock,  # noqa: F811
) -> None:
    """Watch Anna's cars, enter the application for controls, link the companion."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        tesla.control.car(vin).park()
        tesla.control.wake(vin)
    await person.add_integration()
    await person.choose("Use a token I generated")
    await person.dialog.locator("step-flow-form").wait_for()
    pair = tesla.control.mint(
        "anna@example.com", "teslafi-monitoring", {"openid", "offline_access", "vehicle_device_data"}
    )
    await person.fill("access_token", pair.access_token)
    await person.fill("refresh_token", pair.refresh_token or "")
    await person.submit()
    await person.finish()
    application = tesla.applications.by_client_id(CONTROLS)
    assert application is not None
    await person.call(
        {
            "type": "application_credentials/create",
            "domain": "teslafi",
            "client_id": CONTROLS,
            "client_secret": application.client_secret,
            "name": "Controls",
        }
    )

    await person.open("/config/integrations/integration/teslafi")
    await person.reconfigure()
    await person.choose("Turn on controls")
    await person.sees("Step 1 of 5")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.fill("address", companion.url.removeprefix("http://"))
    await person.picture("controls-link")
    async with person.page.expect_popup() as opened:
        await person.submit()
    await link(person, await opened.value, companion, clock)
    await until(lambda: shows_the_link(home))


async def consents(person: Person, companion: LiveCompanion, clock: Clock) -> None:  # noqa: F811
    """Choose, confirm with the second factor, subscribe on the way, allow."""
    await person.dialog.get_by_text("Locks and openings", exact=True).first.wait_for()
    await person.picture("enable-controls")
    await person.dialog.get_by_text("Locks and openings", exact=True).first.click()
    async with person.page.expect_popup() as opened:
        await person.submit()
    visitor = Visitor(await opened.value, companion, clock)
    visitor.secret = (companion.folder / "authenticator.txt").read_text()
    await visitor.confirm()
    await visitor.shows(re.compile("control your car"), "controls-no-subscription")
    async with visitor.page.expect_popup() as shop:
        await visitor.follow("Go to your subscription")
    till = Visitor(await shop.value, companion, clock)
    await till.shows("Your account")
    await till.press("Subscribe")
    await expect(till.page.get_by_role("heading", level=1)).to_have_text("Checkout")
    await till.press("Subscribe")
    await till.shows("Your account")
    await expect(till.page.get_by_role("link", name="Manage subscription", exact=True)).to_be_visible()
    await till.page.close()
    await visitor.follow("I've subscribed \N{EN DASH} check again")
    await visitor.shows(re.compile("control your car"), "controls-consent")
    await visitor.press("Allow controls")


async def grants(person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:
    """Sign in at Tesla with the other application; have it fetch the key from Home Assistant; pair it."""
    await person.dialog.locator("step-flow-menu").wait_for()
    await person.picture("controls-grant")
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.picture("controls-application")
    async with person.page.expect_popup() as opened:
        await person.submit()
    window = await opened.value
    await at_tesla(person, window)
    await person.dialog.locator("input[name=domain]").wait_for()
    await person.picture("controls-key")
    shown = await person.dialog.locator("textarea").first.input_value()
    file = await person.dialog.get_by_role("link", name="com.tesla.3p.public-key.pem", exact=True).get_attribute("href")
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{home.url}{file}") as sent:
        assert await sent.text() == shown
        assert "attachment" in sent.headers["Content-Disposition"]
    tesla.control.serve_domain("controls.example", home.url)
    await person.fill("domain", "controls.example")
    await person.submit()
    await person.sees("Step 5 of 5: Pair the key with your car")
    await person.picture("controls-pair")
    tesla.control.pair(ANNAS_MODEL_3, CONTROLS)
    tesla.control.pair(ANNAS_MODEL_Y, CONTROLS)
    await person.submit()
    await person.sees("Controls are on.")
    await person.picture("controls-enabled")
    await person.dialog.get_by_role("button", name=re.compile("finish|close", re.IGNORECASE)).first.click()


async def unlocks(person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:
    """Press *Unlock* on the dashboard TeslaFi and see the simulated car unlock."""

    async def locked() -> bool:
        rows = {row["entity_id"]: row["state"] for row in await states(home)}
        return rows.get("lock.roadrunner_door_lock") == "locked"

    await until(locked)
    assert tesla.control.car(ANNAS_MODEL_3).data["vehicle_state"]["locked"] is True
    await home.add_dashboard()
    await person.page.set_viewport_size(TALL)
    await person.open(f"/{DASHBOARD}/0")
    body = person.page.locator("hui-tile-card")
    await expect(body.filter(has_text="Door lock").last).to_contain_text("Locked")
    await expect(person.page.get_by_text("Controls are off.")).to_have_count(0)
    await fits_uncut(person.page)
    await person.picture("controls-dashboard")
    await person.page.get_by_role("button", name="Unlock", exact=True).first.click()

    async def unlocked() -> bool:
        return bool((await state_of(home, "lock.roadrunner_door_lock"))["state"] == "unlocked")

    await until(unlocked)
    assert tesla.control.car(ANNAS_MODEL_3).data["vehicle_state"]["locked"] is False
    assert tesla.control.executed(ANNAS_MODEL_3) == ["door_unlock"]
    await person.picture("controls-unlocked")


async def reads_the_activity(person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:
    """Have the car refuse, and read of both on the activity page of that car alone: what, why, and who pressed it."""
    tesla.control.unpair(ANNAS_MODEL_3)
    await person.page.get_by_role("button", name="Lock", exact=True).first.click()
    car = await device_of(home, "Roadrunner")
    of_the_car = {"start_time": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "device_ids": [car]}

    async def refused() -> bool:
        told = await home.call({"type": "logbook/get_events", **of_the_car})
        return any("refused" in line.get("message", "") for line in told)

    await until(refused)
    tesla.control.pair(ANNAS_MODEL_3, CONTROLS)
    await person.open(f"/logbook?device_id={car}")
    lines = person.page.locator("ha-logbook-entry")
    for told in ("Unlock doors", "Lock doors \N{EN DASH} refused: not paired"):
        await expect(lines.filter(has_text=told).first).to_be_visible()
        await expect(lines.filter(has_text=told).first).to_contain_text("Demo")
    await person.picture("controls-activity")


async def sees_the_link(person: Person, companion: LiveCompanion, clock: Clock) -> None:  # noqa: F811
    """Look at what is linked, at the companion, while controls are on: they can be locked, and the link ended."""
    visitor = Visitor(await person.browser.new_page(), companion, clock)
    await visitor.open("/links")
    await visitor.shows("Linked Home Assistants", "links-controls")
    await expect(visitor.page.get_by_text("Cars: Roadrunner, Snowball")).to_be_visible()
    for name in ("Lock controls", "End the link"):
        await expect(visitor.page.get_by_role("button", name=re.compile(name))).to_be_visible()
    await visitor.page.close()


async def disables(person: Person, home: LiveHomeAssistant) -> None:
    """Switch controls off and see the entities gone."""
    await person.open("/config/integrations/integration/teslafi")
    await person.reconfigure()
    await person.choose("Turn off controls")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.submit()
    await person.sees("Controls are off. Everything they used was deleted.")

    async def gone() -> bool:
        return not any(row["entity_id"].startswith("lock.") for row in await states(home))

    await until(gone)
    await person.open(f"/{DASHBOARD}/0")
    await expect(person.page.get_by_text("Controls are off.").first).to_be_visible()
    await expect(person.page.locator("hui-tile-card", has_text="Locked").first).to_be_visible()
    assert await person.page.get_by_text("Entity not found").count() == 0
    await person.picture("controls-gone")


async def at_tesla(person: Person, window: Page) -> None:
    """Sign in once more and allow what the application for controls asks."""
    account = person.tesla.accounts.by_email("anna@example.com")
    assert account is not None
    await window.locator("input[name=identity]").fill("anna@example.com")
    await window.get_by_role("button", name="Next").click()
    await window.locator("input[name=credential]").fill(account.password)
    await window.get_by_role("button", name="Sign In").click()
    await window.locator("input[name=passcode]").fill(person.tesla.accounts.current_passcode("anna@example.com") or "")
    await window.get_by_role("button", name="Submit").click()
    await window.get_by_role("button", name="Allow").wait_for()
    await person.picture("controls-tesla-consent", window)
    async with window.expect_event("close"):
        await window.get_by_role("button", name="Allow").click()
