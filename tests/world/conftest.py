"""One world: a real Home Assistant and a simulated Tesla in one process, on clocks that the test moves."""

from collections.abc import AsyncIterator, Iterator

from freezegun import api as freezegun_api
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from tests.integration.conftest import (  # noqa: F401 - fixtures
    _custom_components,
    _teslas_addresses,
    hass_config_dir,
    hass_storage,
    owner,
    storage,
)
from tests.integration.owner import Owner
from tests.live.simulated_tesla import use_simulator

from .world import Clocks, World


@pytest.fixture
def clocks(freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Stand in the middle of a month. A step of the wall clock moves neither Tesla's time nor the monotonic one."""
    freezer.move_to("2026-11-16 12:00:00")
    made = Clocks(freezer)
    monkeypatch.setattr(freezegun_api, "_get_fake_monotonic", made.monotonic)
    monkeypatch.setattr(freezegun_api, "_get_fake_monotonic_ns", lambda: int(made.monotonic() * 1e9))
    return made


@pytest.fixture
async def tesla(
    socket_enabled: None,
    _teslas_addresses: None,  # noqa: F811 - fixture
    clocks: Clocks,
    _connections_rest: None,
) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla, by true time."""
    async with TeslaSimulator(clock=clocks.true, redirect_uris=(Owner.REDIRECT,)) as simulator:
        use_simulator(simulator.url)
        yield simulator


@pytest.fixture
def world(hass: HomeAssistant, owner: Owner, clocks: Clocks) -> Iterator[World]:  # noqa: F811 - fixture
    """Give a world with nobody signed in yet."""
    with World(hass, owner, clocks) as made:
        yield made
