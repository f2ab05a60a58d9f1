"""A browser in front of a real Home Assistant, in front of a simulated Tesla."""

from collections.abc import AsyncIterator
from pathlib import Path
import shutil
from typing import Final

from playwright.async_api import BrowserContext, Page, async_playwright, expect
import pytest
import pytest_asyncio
from yarl import URL

from teslafi_simulators.tesla import TeslaSimulator
from tests.live.demo import credential
from tests.live.home_assistant import LiveHomeAssistant
from tests.live.ports import free_port
from tests.live.processes import HOME_ASSISTANTS

from .person import Person

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
"""The system's; without one, the one that Playwright brings. The others draw a window, and its tabs, for nobody."""
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
PATIENCE: Final = 120_000
"""Milliseconds after which a page counts as never coming: no measure of how quick it is."""


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Do without PHACC's search for tasks left behind: Playwright's own are none of ours."""


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Leave the event loop as it is: that of all these tests, as Chromium is."""


@pytest.fixture(scope="session")
def home_port() -> int:
    """Return a port that nobody uses, for Home Assistant: always the same, as browsers keep pages by address."""
    return free_port()


@pytest.fixture
def spare_port(home_port: int) -> int:
    """Return another one, for a companion."""
    while (port := free_port()) == home_port:
        continue
    return port


@pytest_asyncio.fixture(loop_scope="session")
async def tesla(socket_enabled: None, home_port: int) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla."""
    redirect = f"http://127.0.0.1:{home_port}/auth/external/callback"
    async with TeslaSimulator(redirect_uris=(redirect,)) as simulator:
        yield simulator


@pytest_asyncio.fixture(loop_scope="session")
async def home(tesla: TeslaSimulator, tmp_path: Path, home_port: int) -> AsyncIterator[LiveHomeAssistant]:
    """Run Home Assistant, onboarding done, the developer application entered."""
    instance = LiveHomeAssistant(
        folder=tmp_path / "config", port=home_port, simulator_url=tesla.url, starts=HOME_ASSISTANTS
    )
    instance.prepare(credential(tesla))
    try:
        await instance.start()
        yield instance
    finally:
        # Nobody looks at what it leaves, and stopping in order costs half as much as starting
        await instance.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """Start a browser that reaches loopback only, once: it takes two seconds, and has compiled the frontend by then."""
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        context = await playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            viewport={"width": 1280, "height": 900},
            locale="en-GB",
            timezone_id="America/Los_Angeles",
            reduced_motion="reduce",
            service_workers="block",
        )
        context.set_default_timeout(PATIENCE)
        yield context
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(socket_enabled: None, chromium: BrowserContext) -> AsyncIterator[BrowserContext]:
    """Return an empty browser: it has what tests before loaded and compiled, and nothing that pages can ask for."""
    blank, *others = chromium.pages
    assert not others
    origins: set[str] = set()

    def follow(page: Page) -> None:
        page.on("framenavigated", lambda frame: origins.add(frame.url))

    chromium.on("page", follow)
    yield chromium
    chromium.remove_listener("page", follow)
    for page in chromium.pages[1:]:
        await page.close()
    await chromium.clear_cookies()
    await chromium.clear_permissions()
    devtools = await chromium.new_cdp_session(blank)
    for origin in {str(URL(url).origin()) for url in origins if url.startswith("http")}:
        await devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    await devtools.detach()


@pytest_asyncio.fixture(loop_scope="session")
async def person(browser: BrowserContext, home: LiveHomeAssistant, tesla: TeslaSimulator) -> Person:
    """Return somebody who has logged in to Home Assistant."""
    someone = Person(browser, home, tesla)
    await someone.log_in()
    return someone
