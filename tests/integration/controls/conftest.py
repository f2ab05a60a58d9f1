"""A linked Home Assistant with two simulated cars awake, and its owner in front of a browser."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from homeassistant import bootstrap
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from custom_components.teslafi.const import DOMAIN
from teslafi_companion.http.services import Services
from teslafi_companion.server import started
from teslafi_companion.settings import Settings
from teslafi_simulators.tesla import TeslaSimulator
from tests.companion.prepared import prepare_sqlite
from tests.companion.web.person import Person
from tests.integration.conftest import simulator_of_test
from tests.integration.owner import Owner
from tests.integration.test_link import Link, companion_at, link, stack  # noqa: F401 - fixtures
from tests.live.ports import free_port
from tests.live.simulated_tesla import use_simulator

from .keeper import Keeper, Steps
from .kept import Kept, browser_at, keep, watched

IN_REAL_ORDER: Final = frozenset({"test_enabling", "test_lapse", "test_twins"})
"""Modules whose entities are there before the controls are, as an owner's: what becomes of them is their subject."""

FROM_THE_START: Final = frozenset({"test_lapse", "test_twins"})
"""Those of them whose companion or cars are of another kind before anybody signs in."""

_kept: dict[bool, Kept] = {}
"""Those of this process: with controls, and without."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a command wait for the companion's answer, however slow the machine: its permit would count without it."""
    monkeypatch.setattr("custom_components.teslafi.controls.gate.PATIENCE", 3600.0)


@pytest.fixture
async def kept_owner(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    socket_enabled: None,
    _teslas_addresses: None,
    _domains_lead_nowhere: None,
    _patient: None,
    current_request_with_host: None,
) -> Kept | None:
    """Return what an owner left who had linked, or enabled everything, its files copied; None where nobody has."""
    if "linked" not in request.fixturenames or request.path.stem in FROM_THE_START:
        return None
    enabled = "keeper" in request.fixturenames and request.path.stem not in IN_REAL_ORDER
    kept = _kept.get(enabled)
    if kept is None or not kept.is_good:
        kept = _kept[enabled] = await keep(tmp_path_factory.mktemp("kept"), enabled=enabled)
    kept.copy_into(tmp_path)
    return kept


@pytest.fixture
def hass_config_dir(tmp_path: Path, kept_owner: Kept | None) -> str:
    """Give each Home Assistant a configuration folder of its own."""
    return str(tmp_path)


@pytest.fixture
def load_registries(kept_owner: Kept | None) -> bool:
    """Leave registries that were kept to Home Assistant's own start: PHACC's do not read their files."""
    return kept_owner is None


@pytest.fixture
async def hass(hass: HomeAssistant, kept_owner: Kept | None) -> HomeAssistant:
    """Load what was kept, as Home Assistant's start does."""
    assert kept_owner is None or await bootstrap.async_load_base_functionality(hass)
    return hass


@pytest.fixture
async def tesla(
    socket_enabled: None, _teslas_addresses: None, kept_owner: Kept | None
) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla."""
    simulator = simulator_of_test() if kept_owner is None else kept_owner.tesla()
    await simulator.start(port=0 if kept_owner is None else kept_owner.ports[0])
    use_simulator(simulator.url)
    yield simulator
    await simulator.stop()


@pytest.fixture
def settings(tmp_path: Path, socket_enabled: None, kept_owner: Kept | None) -> Settings:
    """Return the settings of a companion on this machine."""
    return companion_at(free_port() if kept_owner is None else kept_owner.ports[1], tmp_path)


@pytest.fixture
async def companion(settings: Settings, stack: AsyncExitStack, kept_owner: Kept | None) -> Services:  # noqa: F811
    """Run a companion."""
    if kept_owner is None:
        prepare_sqlite(settings)
    return await started(stack, settings)


@pytest.fixture
async def olga(companion: Services, settings: Settings, stack: AsyncExitStack, kept_owner: Kept | None) -> Person:  # noqa: F811
    """Return the owner of an account at the companion, with an app whose clock goes in steps."""
    browser = await stack.enter_async_context(browser_at(settings))
    if kept_owner is not None:
        return kept_owner.olga(browser, companion)
    return await Person(browser, companion.store, Steps()).has_account()  # type: ignore[arg-type] # as a TestClient


@pytest.fixture
async def entry(hass: HomeAssistant, owner: Owner, olga: Person, kept_owner: Kept | None) -> ConfigEntry:
    """Return Anna's account, whose cars stand awake."""
    if kept_owner is None:
        return await watched(owner)
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED
    return entry


@pytest.fixture
def keeper_without_link(
    hass: HomeAssistant,
    owner: Owner,
    olga: Person,
    entry: ConfigEntry,
    companion: Services,
    settings: Settings,
) -> Keeper:
    """Return an owner who has linked nothing."""
    return Keeper(hass, owner, olga, entry, companion, settings)


@pytest.fixture
async def linked(keeper_without_link: Keeper, link: Link, kept_owner: Kept | None) -> Keeper:  # noqa: F811
    """Return the owner of a linked Home Assistant, with an authenticator app."""
    if kept_owner is None:
        await link()
        await keeper_without_link.set_up_app()
    return keeper_without_link


@pytest.fixture
async def keeper(linked: Keeper, kept_owner: Kept | None) -> Keeper:
    """Return an owner who has enabled every group of controls for both cars."""
    if kept_owner is None or not kept_owner.enabled:
        assert (await linked.enable())["reason"] == "controls_enabled"
    return linked


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Let Home Assistant's registries put off a write while it stops, as they do where many entities come and go.

    On a slow machine that timer outlives the test. Timers of ours would be found by the tests of every other folder.
    """
    return True
