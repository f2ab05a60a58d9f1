"""An owner who has linked, or enabled every control, kept on disk and in the simulator: tests begin with copies.

To sign in, to link and to enable takes longer than what most tests then do. Here it is gone through once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
import shutil
import time
from typing import Final

import aiohttp
from homeassistant import bootstrap, loader
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
import pytest
from pytest_homeassistant_custom_component.common import async_test_home_assistant  # type: ignore[import-untyped]
from yarl import URL

import custom_components.teslafi
from custom_components.teslafi.compat import listen_to_entries
from custom_components.teslafi.const import DOMAIN
from teslafi_companion.http.services import Services
from teslafi_companion.server import started
from teslafi_companion.settings import Settings
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.companion.prepared import prepare_sqlite
from tests.companion.web.person import Person
from tests.integration.conftest import simulator_of_test
from tests.integration.owner import Owner
from tests.integration.test_link import companion_at, link_companion
from tests.live.ports import are_free, free_ports
from tests.live.simulated_tesla import use_simulator

from .keeper import Keeper, Steps

FRESH: Final = 120.0
"""Seconds for which a copy is as good as the real thing: the companion asks for another proof after five minutes."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is left: Home Assistant's and the companion's files, Tesla as it was stopped, and what the owner has.

    Tesla has the first port, the companion the second. The owner has a browser's cookies, and an app: its secret, and
    by how much its clock is ahead.
    """

    folder: Path
    enabled: bool
    ports: range
    cookies: dict[str, str]
    secret: str
    offset: timedelta
    made_at: float
    _tesla: TeslaSimulator

    @property
    def is_good(self) -> bool:
        """Whether it is fresh, and its ports are nobody else's by now."""
        return time.monotonic() < self.made_at + FRESH and are_free(self.ports, again=True)

    def copy_into(self, folder: Path) -> None:
        """Give a test files of its own."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    def tesla(self) -> TeslaSimulator:
        """Return a Tesla that knows what was granted and paired; where the first one was, it is still known to be."""
        return deepcopy(self._tesla)

    def olga(self, browser: aiohttp.ClientSession, companion: Services) -> Person:
        """Return the owner of the account at the companion, still signed in there."""
        browser.cookie_jar.update_cookies(self.cookies, URL(companion.store.settings.base_url))
        steps = Steps()
        steps.offset = self.offset
        olga = Person(browser, companion.store, steps)  # type: ignore[arg-type] # as a TestClient
        olga.secret = self.secret
        return olga


async def keep(folder: Path, *, enabled: bool) -> Kept:
    """Go the way to the link, or to controls, with files in this folder, and stop everything."""
    ports = free_ports(2)
    settings = companion_at(ports + 1, folder)
    prepare_sqlite(settings)
    async with AsyncExitStack() as stack:
        tesla = simulator_of_test()
        await tesla.start(port=ports)
        stack.push_async_callback(tesla.stop)
        use_simulator(tesla.url)
        companion = await started(stack, settings)
        browser = await stack.enter_async_context(browser_at(settings))
        steps = Steps()
        olga = await Person(browser, companion.store, steps).has_account()  # type: ignore[arg-type] # as a TestClient
        hass = await stack.enter_async_context(_home_assistant(folder))
        keeper = partial(_link, hass, Owner(hass, tesla), olga, companion, settings)
        await (_enable(hass, keeper) if enabled else keeper())
    return Kept(
        folder=folder,
        enabled=enabled,
        ports=range(ports, ports + 2),
        cookies={cookie.key: cookie.value for cookie in browser.cookie_jar},
        secret=olga.secret,
        offset=steps.offset,
        made_at=time.monotonic(),
        _tesla=tesla,
    )


def browser_at(settings: Settings) -> aiohttp.ClientSession:
    """Return an empty browser in front of a companion."""
    return aiohttp.ClientSession(settings.base_url, cookie_jar=aiohttp.CookieJar(unsafe=True))


@asynccontextmanager
async def _home_assistant(folder: Path) -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant that writes everything in the end."""
    async with async_test_home_assistant(load_registries=False, config_dir=str(folder)) as hass:
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        assert await bootstrap.async_load_base_functionality(hass)
        yield hass
        await hass.async_block_till_done()
        await hass.async_stop(force=True)


async def _enable(hass: HomeAssistant, link: Callable[[], Awaitable[Keeper]]) -> None:
    """Enable every control for both cars; entities come with the controls.

    To sign in, to link and to enable are a reload each, and most of a reload is 300 entities that come and go again.
    """
    all_of_them = custom_components.teslafi.PLATFORMS
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(custom_components.teslafi, "PLATFORMS", [])

        @callback
        def changed(entry: ConfigEntry) -> None:
            if entry.domain == DOMAIN and entry.state is ConfigEntryState.SETUP_IN_PROGRESS:
                patched.setattr(custom_components.teslafi, "PLATFORMS", all_of_them)

        keeper = await link()
        listen_to_entries(hass, changed)
        assert (await keeper.enable())["reason"] == "controls_enabled"


async def _link(hass: HomeAssistant, owner: Owner, olga: Person, companion: Services, settings: Settings) -> Keeper:
    """Sign in at Tesla, link, and set up an authenticator app."""
    await owner.bring_application("teslafi-monitoring")
    keeper = Keeper(hass, owner, olga, await watched(owner), companion, settings)
    assert (await link_companion(hass, owner, olga, keeper.entry, settings))["reason"] == "companion_linked"
    await keeper.set_up_app()
    return keeper


async def watched(owner: Owner) -> ConfigEntry:
    """Sign in as Anna, whose cars stand awake."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        owner.tesla.control.car(vin).park()
        owner.tesla.control.car(vin).unplug()
        owner.tesla.control.wake(vin)
    # The application for controls comes later: with one alone, Home Assistant does not ask which
    entry = await owner.sign_in()
    await owner.bring_application("teslafi-controls")
    return entry
