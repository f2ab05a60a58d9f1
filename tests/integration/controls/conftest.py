"""A linked Home Assistant with two simulated cars awake, and its owner in front of a browser."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
import pytest

import custom_components.teslafi
from custom_components.teslafi.compat import listen_to_entries
from custom_components.teslafi.const import DOMAIN
from teslafi_companion.http.services import Services
from teslafi_companion.settings import Settings
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y
from tests.companion.web.person import Person
from tests.integration.owner import Owner
from tests.integration.test_link import Link, companion, link, settings, stack  # noqa: F401 - fixtures

from .keeper import Keeper, Steps

IN_REAL_ORDER: Final = frozenset({"test_enabling", "test_lapse", "test_twins"})
"""Modules whose entities are there before the controls are, as an owner's: what becomes of them is their subject."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a command wait for the companion's answer, however slow the machine: its permit would count without it."""
    monkeypatch.setattr("custom_components.teslafi.controls.gate.PATIENCE", 3600.0)


@pytest.fixture
async def olga(companion: Services, settings: Settings, stack: AsyncExitStack) -> Person:  # noqa: F811
    """Return the owner of an account at the companion, with an app whose clock goes in steps."""
    jar = aiohttp.CookieJar(unsafe=True)
    browser = await stack.enter_async_context(aiohttp.ClientSession(settings.base_url, cookie_jar=jar))
    return await Person(browser, companion.store, Steps()).has_account()  # type: ignore[arg-type] # as a TestClient


@pytest.fixture
def platforms(
    request: pytest.FixtureRequest, hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Return what has the next set-up bring the entities, which wait for the controls where only those are the subject.

    To sign in, to link and to enable are a reload each, and most of a reload is 300 entities that come and go again.
    """
    if "keeper" not in request.fixturenames or request.path.stem in IN_REAL_ORDER:
        return lambda: None
    all_of_them = custom_components.teslafi.PLATFORMS
    monkeypatch.setattr(custom_components.teslafi, "PLATFORMS", [])

    @callback
    def changed(entry: ConfigEntry) -> None:
        if entry.domain == DOMAIN and entry.state is ConfigEntryState.SETUP_IN_PROGRESS:
            monkeypatch.setattr(custom_components.teslafi, "PLATFORMS", all_of_them)

    def come() -> None:
        listen_to_entries(hass, changed)

    return come


@pytest.fixture
async def entry(owner: Owner, tesla: TeslaSimulator, platforms: object) -> ConfigEntry:
    """Return Anna's account, whose cars stand awake."""
    for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y):
        tesla.control.car(vin).park()
        tesla.control.car(vin).unplug()
        tesla.control.wake(vin)
    # The application for controls comes later: with one alone, Home Assistant does not ask which
    found = await owner.sign_in()
    await owner.bring_application("teslafi-controls")
    return found


@pytest.fixture
def keeper_without_link(
    hass: HomeAssistant,
    owner: Owner,
    olga: Person,
    entry: ConfigEntry,
    companion: Services,  # noqa: F811
    settings: Settings,  # noqa: F811
) -> Keeper:
    """Return an owner who has linked nothing."""
    return Keeper(hass, owner, olga, entry, companion, settings)


@pytest.fixture
async def linked(keeper_without_link: Keeper, link: Link) -> Keeper:  # noqa: F811
    """Return the owner of a linked Home Assistant, with an authenticator app."""
    await link()
    await keeper_without_link.set_up_app()
    return keeper_without_link


@pytest.fixture
async def keeper(linked: Keeper, platforms: Callable[[], None]) -> Keeper:
    """Return an owner who has enabled every group of controls for both cars."""
    platforms()
    assert (await linked.enable())["reason"] == "controls_enabled"
    return linked


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Let Home Assistant's registries put off a write while it stops, as they do where many entities come and go.

    On a slow machine that timer outlives the test. Timers of ours would be found by the tests of every other folder.
    """
    return True
