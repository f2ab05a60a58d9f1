"""The companion in a real browser: every page, passkeys, and linking from Home Assistant's own pages."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
import re

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page, Route, expect
import pyotp
import pytest
import pytest_asyncio

from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.tesla import TeslaSimulator
from tests.live import companion as live
from tests.live.check import states
from tests.live.companion import LiveCompanion
from tests.live.home_assistant import LiveHomeAssistant

from .layout import apart, fits
from .person import Person, picture_of
from .test_browser import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AXE = Axe().axe_script
BAD = """async () => (await axe.run({resultTypes: ["violations"]})).violations
  .filter(one => ["serious", "critical"].includes(one.impact)).map(one => [one.id, one.nodes[0].html])"""
MARKUP = """() => {
  const page = document.documentElement.cloneNode(true);
  page.querySelectorAll("input[type=hidden]").forEach(one => one.remove());
  return page.outerHTML;
}"""
"""A page as axe-core has it: what it sends unseen is another each time."""
FIT: set[str] = set()
"""Markup that was found fit for everybody: it is again."""
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1000, "height": 900}
NEW = "nora@example.org"
NEW_PASSWORD = "seven orange ladders by the sea"


class Clock:
    """The machine's clock, with a hand that a test can push: a used code is followed by the next at once."""

    def __init__(self) -> None:
        """Go with the machine's clock."""
        self.ahead = 0.0

    def __call__(self) -> datetime:
        """Return the present moment."""
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.ahead, UTC)


@pytest.fixture
def clock() -> Clock:
    """Give the companion's clock."""
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def chargebee(socket_enabled: None) -> AsyncIterator[ChargebeeSimulator]:
    """Be Chargebee, and send webhooks by itself."""
    simulator = ChargebeeSimulator()
    await simulator.start(sends=True)
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def companion(
    chargebee: ChargebeeSimulator, tmp_path: Path, home_port: int, spare_port: int, clock: Clock
) -> AsyncIterator[LiveCompanion]:
    """Run a companion that lives on subscriptions, with its ready-made account."""
    redirect = f"http://127.0.0.1:{home_port}/auth/external/callback"
    async with AsyncExitStack() as stack:
        yield await LiveCompanion.start(
            stack,
            tmp_path / "companion",
            port=spare_port,
            redirect_uri=redirect,
            clock=clock,
            chargebee=chargebee,
        )


class Visitor:
    """Somebody in front of the companion's pages, who looks whether each is fit for everybody."""

    def __init__(self, page: Page, companion: LiveCompanion, clock: Clock) -> None:
        """Sit down in front of a page."""
        self.page = page
        self.companion = companion
        self.clock = clock
        self.seen: dict[str, str] = {}
        self.secret = ""

    async def open(self, path: str) -> None:
        """Open a page of the companion."""
        await self.page.goto(f"{self.companion.url}{path}")

    async def shows(self, heading: str | re.Pattern[str], picture: str = "") -> None:
        """Wait for a page by its heading, and hold it against axe-core, in light and dark, wide and narrow."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        self.seen[str(heading)] = self.page.url
        markup = await self.page.evaluate(MARKUP)
        if markup in FIT and not picture:
            return
        await self.page.evaluate(AXE)
        for scheme, size in (("light", DESK), ("dark", PHONE)):
            await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
            await self.page.set_viewport_size(size)  # type: ignore[arg-type] # width and height
            bad = await self.page.evaluate(BAD)
            assert not bad, f"{heading}: {bad}"
            await fits(self.page)
            await apart(self.page)
            if picture:
                name = f"companion-{picture}" if scheme == "light" else f"companion-{picture}-dark"
                await picture_of(self.page, name)
        FIT.add(markup)

    async def fill(self, label: str, text: str) -> None:
        """Type into the field of this label."""
        await self.page.get_by_label(label, exact=True).fill(text)

    async def press(self, name: str) -> None:
        """Press a button."""
        await self.page.get_by_role("button", name=name, exact=True).first.click()

    async def follow(self, name: str) -> None:
        """Follow a link."""
        await self.page.get_by_role("link", name=name, exact=True).first.click()

    def code(self) -> str:
        """Read the app after the code before is over."""
        self.clock.ahead += 30
        return pyotp.TOTP(self.secret).at(self.clock())

    async def confirm(self, *, password: str = "") -> None:
        """Prove once more to be the owner."""
        await self.shows("Confirm that it's you")
        if password:
            await self.fill("Password", password)
        else:
            await self.fill("Code from your authenticator app", self.code())
        await self.press("Continue")

    async def link_of(self, subject: str) -> str:
        """Return the link in the mail about something."""
        mail = await self.companion.mails.next_to(NEW)
        while subject not in mail.subject:
            mail = await self.companion.mails.next_to(NEW, after=len(self.companion.mails.to(NEW)))
        found = re.search(r"https?://\S+\?token=\S+", mail.text)
        assert found is not None
        return found[0]


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: BrowserContext, companion: LiveCompanion, clock: Clock) -> Visitor:
    """Return somebody with an empty browser."""
    return Visitor(await browser.new_page(), companion, clock)


async def test_every_page_from_signing_up_to_deleting(visitor: Visitor) -> None:
    """A person's whole way, each page fit for a screen reader, a phone, and the dark."""
    await signs_up(visitor)
    codes = await sets_up_two_factor(visitor)
    await looks_around(visitor)
    await comes_back_and_leaves(visitor, codes[1])


async def signs_up(visitor: Visitor) -> None:
    """From the front door to the first sign-in."""
    page = visitor.page
    await visitor.open("/")
    await visitor.shows(re.compile("Control it only if you want to"), "welcome")
    await visitor.follow("Create account")
    await visitor.shows("Create account", "sign-up")
    await visitor.fill("Email address", NEW)
    await visitor.press("Continue")
    await visitor.shows("Check your email")
    await page.goto(await visitor.link_of("Confirm your address"))
    await visitor.shows("Choose your password", "choose-password")
    await visitor.fill("Password", "aaaaaaaaaaaaaaaaaaaa")
    await visitor.press("Create account")
    await expect(page.get_by_role("alert")).to_contain_text("too easy to guess")
    await visitor.fill("Password", NEW_PASSWORD)
    await visitor.press("Create account")
    await visitor.shows("Your account is ready")
    await visitor.follow("Sign in")
    await visitor.shows("Sign in", "sign-in")
    await visitor.fill("Email address", NEW)
    await visitor.fill("Password", NEW_PASSWORD)
    await visitor.press("Show password")
    await expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    await visitor.press("Sign in")
    await visitor.shows("Your account")
    # Moments are shown in the browser's own time zone
    await expect(page.locator("time").first).not_to_contain_text("UTC")
    await expect(page.locator("time").first).to_have_attribute("title", re.compile("UTC$"))


async def sets_up_two_factor(visitor: Visitor) -> list[str]:
    """The app, and the recovery codes."""
    page = visitor.page
    await visitor.follow("Set up an authenticator app")
    await visitor.confirm(password=NEW_PASSWORD)
    await visitor.shows("Set up an authenticator app", "authenticator")
    visitor.secret = (await page.locator(".secret").inner_text()).replace(" ", "")
    await visitor.fill("Code that the app shows now", visitor.code())
    await visitor.press("Turn on")
    await visitor.shows("Your recovery codes", "recovery-codes")
    codes = await page.locator(".codes li").all_inner_texts()
    assert len(codes) == 8
    async with page.expect_download() as downloading:
        await visitor.follow("Download")
    saved = Path(await (await downloading.value).path()).read_text(encoding="utf-8").splitlines()
    assert saved[1:] == codes
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visitor.press("Copy")
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert (await page.evaluate("navigator.clipboard.readText()")).splitlines() == codes
    await expect(page.get_by_role("button", name="Print")).to_be_visible()
    await visitor.fill("Enter one code to confirm", "nonsense")
    await visitor.press("I saved them")
    await visitor.shows("Confirm that you saved your recovery codes")
    await visitor.fill("Enter one code to confirm", codes[0])
    await visitor.press("I saved them")
    await visitor.shows("Security", "security")
    return codes


async def looks_around(visitor: Visitor) -> None:
    """Every page of somebody who is signed in."""
    await visitor.follow("Overview")
    await visitor.shows("Your account", "account")
    for link, heading, picture in (
        ("Sessions", "Where you're signed in", "sessions"),
        ("Activity", "Account activity", "activity"),
        ("Home Assistants", "Linked Home Assistants", "links"),
    ):
        await visitor.follow(link)
        await visitor.shows(heading, picture)
    await reads_days_of_its_own(visitor)
    await visitor.open("/device")
    await visitor.shows("Enter the code")
    await visitor.open("/account/email")
    await visitor.confirm()
    await visitor.shows("Change your address")
    await visitor.open("/account/password")
    await visitor.confirm()
    await visitor.shows("Change your password")
    await visitor.open("/account/export")
    await visitor.confirm()
    await visitor.shows("Download your data")
    await visitor.open("/account/security/app/remove")
    await visitor.confirm()
    await visitor.shows("Remove the authenticator app?")


async def reads_days_of_its_own(visitor: Visitor) -> None:
    """What happened on an evening in Los Angeles is under that evening's date, though it was the next day in UTC."""

    async def on_both_sides_of_midnight(route: Route) -> None:
        answer = await route.fetch()
        first, *others = re.split(r'(?<=datetime=")[^"]*', await answer.text())
        moments = ["2026-11-27T09:00:00+00:00", *["2026-11-27T04:58:00+00:00"] * (len(others) - 1)]
        body = first + "".join(moment + other for moment, other in zip(moments, others, strict=True))
        await route.fulfill(response=answer, body=body)

    path = "**/account/activity"
    await visitor.page.route(path, on_both_sides_of_midnight)
    await visitor.open("/account/activity")
    await expect(visitor.page.get_by_role("heading", level=2)).to_have_text(
        ["Friday, November 27, 2026", "Thursday, November 26, 2026"]
    )
    await expect(visitor.page.locator("ul.rows").first.locator("li")).to_have_count(1)
    await visitor.page.unroute(path)


async def comes_back_and_leaves(visitor: Visitor, code: str) -> None:
    """By a recovery code, and for good."""
    page = visitor.page
    await visitor.press("Sign out")
    await visitor.shows(re.compile("Control it only if you want to"))
    await visitor.follow("Sign in")
    await visitor.fill("Email address", NEW)
    await visitor.fill("Password", NEW_PASSWORD)
    await visitor.press("Sign in")
    await visitor.shows("Your second factor", "second-factor")
    await page.get_by_text("Use a recovery code instead").click()
    await visitor.fill("Recovery code", code)
    await page.get_by_role("button", name="Continue").last.click()
    await visitor.shows("Your account")

    await visitor.follow("Delete account")
    await visitor.confirm()
    await visitor.shows("Delete account?")
    await visitor.press("Delete account")
    await visitor.shows("Your account was deleted")
    await visitor.open("/forgotten-password")
    await visitor.shows("Forgot password?")
    await visitor.open("/nothing")
    await visitor.shows("Page not found")
    await visitor.open("/sign-up/confirm?token=used")
    await visitor.shows("This link no longer works")


async def test_the_keyboard_is_enough(visitor: Visitor) -> None:
    """The first stop is the way past the header; the form is filled in and sent without a mouse."""
    await visitor.open("/sign-in")
    await visitor.page.keyboard.press("Tab")
    assert await visitor.page.evaluate("document.activeElement.textContent") == "Skip to content"
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page).to_have_url(re.compile("#main$"))
    await visitor.page.keyboard.press("Tab")
    await expect(visitor.page.get_by_label("Email address", exact=True)).to_be_focused()
    await visitor.page.keyboard.type(live.EMAIL)
    await visitor.page.keyboard.press("Tab")
    await visitor.page.keyboard.type(live.PASSWORD)
    await visitor.page.keyboard.press("Enter")
    await visitor.shows("Your second factor")


async def test_pages_work_without_javascript(browser: BrowserContext, companion: LiveCompanion) -> None:
    """Signing in with a code needs no script."""
    page = await browser.new_page()
    devtools = await browser.new_cdp_session(page)
    await devtools.send("Emulation.setScriptExecutionDisabled", {"value": True})
    await page.goto("data:text/html,<script>document.title = 'runs'</script>")
    assert await page.title() == ""
    await page.goto(f"{companion.url}/sign-in")
    await page.get_by_label("Email address").fill(live.EMAIL)
    await page.get_by_label("Password").fill(live.PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Code from your authenticator app").fill(companion.unused_code())
    await page.get_by_role("button", name="Continue").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


async def test_a_passkey_is_added_and_signs_in(visitor: Visitor, browser: BrowserContext) -> None:
    """Chromium's virtual authenticator makes a passkey, proves it at the sign-in, and is removed."""
    page = visitor.page
    devtools = await browser.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    visitor.secret = (visitor.companion.folder / "authenticator.txt").read_text()
    await visitor.open("/account/security/passkeys/new")
    await visitor.fill("Email address", live.EMAIL)
    await visitor.fill("Password", live.PASSWORD)
    await visitor.press("Sign in")
    await visitor.fill("Code from your authenticator app", visitor.code())
    await visitor.press("Continue")
    await visitor.confirm()
    await visitor.shows("Add a passkey", "passkey")
    await visitor.fill("Name", "This laptop")
    await visitor.press("Add a passkey")
    await visitor.shows("Your recovery codes")
    await visitor.open("/account/security")
    await expect(page.get_by_text("This laptop").first).to_be_visible()

    await visitor.press("Sign out")
    await visitor.open("/sign-in")
    await visitor.fill("Email address", live.EMAIL)
    await visitor.fill("Password", live.PASSWORD)
    await visitor.press("Sign in")
    await visitor.shows("Your second factor")
    await visitor.press("Use a passkey")
    await visitor.shows("Your account")

    await visitor.open("/account/security")
    await visitor.follow("Remove This laptop")
    await visitor.shows("Confirm that it's you")
    await visitor.press("Use a passkey")
    await visitor.shows("Remove the passkey “This laptop”?")
    await visitor.press("Remove")
    await visitor.shows("Security")
    await expect(page.get_by_text("This laptop")).to_have_count(0)


async def test_linking_from_home_assistant(
    person: Person, home: LiveHomeAssistant, tesla: TeslaSimulator, companion: LiveCompanion, clock: Clock
) -> None:
    """Reconfigure, the address, the companion's pages, and the entities that show it; its end is seen."""
    await person.add_integration()
    await person.choose("Use a token I generated")
    await person.dialog.locator("step-flow-form").wait_for()
    scopes = {"openid", "offline_access", "vehicle_device_data"}
    pair = tesla.control.mint("erik@example.com", "teslafi-monitoring", scopes)
    await person.fill("access_token", pair.access_token)
    await person.fill("refresh_token", pair.refresh_token or "")
    await person.submit()
    await person.finish()

    await person.open("/config/integrations/integration/teslafi")
    await person.reconfigure()
    await person.picture("reconfigure")
    await person.choose("Link a companion")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.fill("address", "http://127.0.0.1:1")
    await person.submit()
    await person.sees("Can't reach http://127.0.0.1:1")
    await person.fill("address", companion.url)
    await person.picture("link-companion")
    async with person.page.expect_popup() as opened:
        await person.submit()
    visitor = Visitor(await opened.value, companion, clock)
    visitor.secret = (companion.folder / "authenticator.txt").read_text()
    await visitor.shows("Sign in")
    await visitor.fill("Email address", live.EMAIL)
    await visitor.fill("Password", live.PASSWORD)
    await visitor.press("Sign in")
    await visitor.fill("Code from your authenticator app", visitor.code())
    await visitor.press("Continue")
    await visitor.confirm()
    await visitor.shows("Link “Demo home”?", "consent")
    await visitor.press("Allow")
    await person.dialog.locator("step-flow-abort").wait_for()
    await person.sees("This Home Assistant is now linked to the companion.")
    await person.picture("linked")

    await until(lambda: shows_the_link(home))

    # In a window of its own, as the popup has closed
    visitor.page = await person.page.context.new_page()
    await subscribes_and_cancels(visitor, person, home)


async def subscribes_and_cancels(visitor: Visitor, person: Person, home: LiveHomeAssistant) -> None:
    """Each change at Chargebee's pages is seen in Home Assistant; the end as a repair with the way out."""
    await visitor.open("/account")
    await visitor.shows("Your account", "no-subscription")
    await visitor.press("Subscribe")
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Checkout")
    await visitor.press("Subscribe")
    await expect(visitor.page.get_by_role("link", name="Manage subscription", exact=True)).to_be_visible()
    await visitor.shows("Your account", "subscribed")
    await until(lambda: shows_the_subscription(home, "active"))

    await visitor.follow("Manage subscription")
    await visitor.confirm()
    await visitor.shows("Manage subscription", "portal")
    await visitor.press("Go to Chargebee")
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your subscriptions")
    await visitor.press("Cancel at once")
    await visitor.press("Back")
    await visitor.shows("Your account")
    await until(lambda: shows_the_subscription(home, "cancelled"))
    await visitor.open("/account")
    await expect(visitor.page.get_by_text("Your subscription has ended.")).to_be_visible()
    await visitor.shows("Your account")
    await person.open("/config/repairs")
    await person.sees("Subscription no longer includes controls")
    await person.picture("subscription-lapsed")


async def shows_the_subscription(home: LiveHomeAssistant, state: str) -> bool:
    """Have the companion asked, and say whether the entity tells this state."""
    entity = "sensor.teslafi_companion_subscription"
    await home.api("POST", "services/homeassistant/update_entity", {"entity_id": entity})
    return {row["entity_id"]: row["state"] for row in await states(home)}.get(entity) == state


async def shows_the_link(home: LiveHomeAssistant) -> bool:
    """Say whether the entities tell that the link stands; the integration is loaded anew after linking."""
    shown = {row["entity_id"]: row["state"] for row in await states(home)}
    return (
        shown.get("sensor.teslafi_companion_link") == "linked"
        and shown.get("binary_sensor.teslafi_companion_two_factor_authentication") == "on"
    )
