"""What a person does in the browser: logs in, adds the integration, signs in at Tesla, looks at a page."""

import io
import os
from pathlib import Path
import re
import time
from typing import Any, Final

from PIL import Image
from playwright.async_api import BrowserContext, Locator, Page, expect

from teslafi_simulators.tesla import TeslaSimulator
from tests.live.home_assistant import ROOT, LiveHomeAssistant

IMAGES: Final = ROOT / "docs" / "images"
TOO_LATE: Final = "Timeout waiting for strategy element"
"""Home Assistant's own error, when the dashboard's module took over five seconds: a slow machine's, not a fault."""
FOREVER: Final = 4_102_444_800_000
"""The year 2100, in JavaScript's milliseconds."""
ELEMENT: Final = "ll-strategy-dashboard-teslafi"
READY: Final = """() => {
  const home = document.querySelector('home-assistant');
  return home?.hass?.connected && home.shadowRoot?.querySelector('home-assistant-main');
}"""


async def picture_of(page: Page, name: str) -> None:
    """Take a picture for the documents, small enough for a repository, when TESLAFI_PICTURES is set."""
    if not os.environ.get("TESLAFI_PICTURES"):
        return
    await page.wait_for_timeout(700)  # the end of a dialog's fading in cannot be waited for
    raw = await page.screenshot()
    IMAGES.mkdir(parents=True, exist_ok=True)
    image = Image.open(io.BytesIO(raw)).convert("RGB").quantize(200)
    image.save(Path(IMAGES / f"{name}.png"), optimize=True)


async def appears_nevertheless(page: Page, home: LiveHomeAssistant) -> None:
    """Wait for the dashboard's element after Home Assistant gave up on it, and let some state change, as they do."""
    await page.wait_for_function("name => customElements.get(name) !== undefined", arg=ELEMENT)
    await home.api("POST", "states/sensor.anything", {"state": str(time.monotonic())})


class Person:
    """One person with one browser."""

    def __init__(self, browser: BrowserContext, home: LiveHomeAssistant, tesla: TeslaSimulator) -> None:
        """Sit down in front of it."""
        self.browser = browser
        self.home = home
        self.tesla = tesla
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        """The page of Home Assistant."""
        assert self._page is not None
        return self._page

    @property
    def dialog(self) -> Locator:
        """The dialog of a config flow. It has no box of its own: look at what is in it."""
        return self.page.locator("dialog-data-entry-flow")

    async def window(self) -> Page:
        """Open an empty page, of somebody whose machine may be slow."""
        page = await self.browser.new_page()

        async def nevertheless() -> None:
            await appears_nevertheless(page, self.home)

        await page.add_locator_handler(page.get_by_text(TOO_LATE), nevertheless)
        return page

    async def log_in(self) -> None:
        """Be logged in, as if by Home Assistant's form, which is two more pages to load for each test."""
        self._page = await self.window()
        await self.page.goto(f"{self.home.url}/robots.txt")
        tokens = {
            "hassUrl": self.home.url,
            "clientId": f"{self.home.url}/",
            "access_token": self.home.access_token,
            "token_type": "Bearer",
            "refresh_token": "",
            "expires": FOREVER,
        }
        await self.page.evaluate("tokens => localStorage.setItem('hassTokens', JSON.stringify(tokens))", tokens)

    async def open(self, path: str) -> None:
        """Open a page of Home Assistant."""
        await self.page.goto(f"{self.home.url}{path}")
        await self.page.wait_for_function(READY)

    async def picture(self, name: str, page: Page | None = None) -> None:
        """Take a picture for the documents."""
        await picture_of(page or self.page, name)

    async def add_integration(self) -> None:
        """Find TeslaFi among the integrations; ends at its first step."""
        await self.open("/config/integrations/dashboard")
        await self.page.get_by_role("button", name=re.compile("Add integration", re.IGNORECASE)).first.click()
        search = self.page.locator("dialog-add-integration input").first
        await search.wait_for()
        await search.fill("TeslaFi")
        found = self.page.get_by_text("TeslaFi", exact=True).first
        await found.wait_for()
        await self.picture("add-integration")
        await found.click()
        await self.dialog.locator("step-flow-menu").wait_for()

    async def reconfigure(self) -> None:
        """Open the reconfigure menu of the integration's only entry, from its own page."""
        row = self.page.locator("ha-config-entry-row").first
        await row.wait_for()
        await row.get_by_role("button", name=re.compile("menu|more", re.IGNORECASE)).first.click()
        await self.page.get_by_text("Reconfigure", exact=True).first.click()
        await self.dialog.locator("step-flow-menu").wait_for()

    async def choose(self, option: str) -> None:
        """Choose from the flow's menu."""
        await self.dialog.get_by_text(option, exact=True).first.click()

    async def submit(self) -> None:
        """Submit the flow's form."""
        await self.dialog.get_by_role("button", name="Submit").click()

    async def fill(self, field: str, text: str) -> None:
        """Type into a field of the flow's form."""
        await self.dialog.locator(f"input[name={field}]").fill(text)

    async def sign_in_at_tesla(self, email: str, *, pictures: bool = False) -> None:
        """Submit the form, go through Tesla's pages in the window that opens, and come back."""
        async with self.page.expect_popup() as opened:
            await self.submit()
        await self.at_tesla(await opened.value, email, pictures=pictures)

    async def at_tesla(self, window: Page, email: str, *, pictures: bool = False) -> None:
        """Type e-mail, password and the passcode; allow what is asked for, unless it was allowed before."""
        account = self.tesla.accounts.by_email(email)
        assert account is not None
        await window.locator("input[name=identity]").fill(email)
        if pictures:
            await self.picture("tesla-sign-in", window)
        await window.get_by_role("button", name="Next").click()
        await window.locator("input[name=credential]").fill(account.password)
        await window.get_by_role("button", name="Sign In").click()
        if account.devices:
            await window.locator("input[name=passcode]").fill(self.tesla.accounts.current_passcode(email) or "")
            if pictures:
                await self.picture("tesla-two-factor", window)
        consented = "teslafi-monitoring" in account.consents
        if account.devices and not consented:
            await window.get_by_role("button", name="Submit").click()
        if not consented:
            await window.get_by_role("button", name="Allow").wait_for()
        if pictures:
            await self.picture("tesla-consent", window)
        async with window.expect_event("close"):
            await window.get_by_role("button", name="Submit" if consented else "Allow").click()

    async def finish(self) -> None:
        """See that the entry was created, and close the dialog."""
        await self.dialog.locator("step-flow-create-entry").wait_for()
        await self.dialog.get_by_role("button", name=re.compile("finish", re.IGNORECASE)).first.click()

    async def call(self, message: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON of any shape
        """Send a WebSocket command as the page does."""
        return await self.page.evaluate(
            "message => document.querySelector('home-assistant').hass.callWS(message)", message
        )

    async def sees(self, text: str) -> None:
        """See a text on the page."""
        await expect(self.page.get_by_text(text).first).to_be_visible()
