"""A real Home Assistant for each test: its own folder on disk, real files, sockets on loopback only."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
import time

from homeassistant.components.recorder.core import COMMIT_TASK, Recorder
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.amber import AmberSnapshotExtension

import custom_components.teslafi  # noqa: F401 - before PHACC's own package of custom components shadows ours
from custom_components.teslafi.tesla import pairing
from custom_components.teslafi.tesla.servers import OWNER_API, SERVERS
from teslafi_simulators.tesla import TeslaSimulator
from tests.live.simulated_tesla import use_simulator

from .owner import Owner


@pytest.fixture(autouse=True)
def _custom_components(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant find the component of this working tree; a test of a rule alone starts none."""
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")


@pytest.fixture(autouse=True)
def _deprecated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use nothing that Home Assistant is about to remove: it would tell every user's log, and walk the stack for it."""
    told: list[str] = []

    def tell(_hass: HomeAssistant | None, what: str, *_rest: object, **_more: object) -> None:
        told.append(what)

    monkeypatch.setattr(frame, "_report_usage_integration_frame", tell)
    yield
    assert told == []


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give each Home Assistant a configuration folder of its own."""
    return str(tmp_path)


@pytest.fixture
def hass_storage() -> dict[str, object]:
    """Write .storage for real: what is kept at rest is part of what is tested."""
    return {}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Return the folder of Home Assistant's stores."""
    return tmp_path / ".storage"


@pytest.fixture
def recorder_config(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Commit when a test waits for what is recorded; PHACC's recorder would after each event.

    After all that stands in the recorder's queue then: it would queue nothing while its thread has written nothing yet.
    """
    monkeypatch.setattr(Recorder, "_async_commit", lambda recorder, _now: recorder.queue_task(COMMIT_TASK))
    return {"commit_interval": 1}


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Keep snapshots as syrupy does: PHACC has a fixture of this name as well, and either may be loaded last."""
    return snapshot.use_extension(AmberSnapshotExtension)


@pytest.fixture
def _teslas_addresses() -> Iterator[None]:
    """Put Tesla's own addresses back after a test that replaced them."""
    kept = dict(SERVERS), dict(OWNER_API)
    yield
    SERVERS.update(kept[0])
    OWNER_API.update(kept[1])


@pytest.fixture
async def tesla(
    socket_enabled: None, _teslas_addresses: None, _connections_rest: None
) -> AsyncIterator[TeslaSimulator]:
    """Be Tesla, by the clock that the test moves."""
    async with simulator_of_test() as simulator:
        use_simulator(simulator.url)
        yield simulator


def simulator_of_test() -> TeslaSimulator:
    """Return a Tesla by the clock that a test moves."""
    return TeslaSimulator(clock=lambda: time.time(), redirect_uris=(Owner.REDIRECT,))  # noqa: PLW0108 - frozen later


@pytest.fixture(autouse=True)
def _domains_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Home Assistant find nothing at the domains of tests, as in a network that cannot see itself from outside."""
    monkeypatch.setattr(pairing, "key_address", lambda domain: f"http://127.0.0.1:9/{domain}")


@pytest.fixture
async def owner(hass: HomeAssistant, tesla: TeslaSimulator, current_request_with_host: None) -> Owner:
    """Return a person in front of Home Assistant and Tesla's pages, with a developer application set up."""
    person = Owner(hass, tesla)
    await person.bring_application("teslafi-monitoring")
    return person
