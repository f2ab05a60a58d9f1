"""The companion in front of a simulated Chargebee, both on the clock that the test moves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from teslafi_companion.adapters.chargebee.billing import ChargebeeBilling, open_chargebee
from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store
from teslafi_companion.work.billing import BillingWorker
from teslafi_simulators.chargebee import ChargebeeSimulator

from ..clock import ManualClock
from ..conftest import CHEAP
from ..web.person import Companion, Person

PRICE = "controls-USD-monthly"
WEBHOOK_PASSWORD = "marker-webhook-password"
FORMER_PASSWORD = "marker-former-webhook-password"


@pytest.fixture
async def chargebee(clock: ManualClock, socket_enabled: None) -> AsyncIterator[ChargebeeSimulator]:
    """Be Chargebee."""
    async with ChargebeeSimulator(clock=lambda: clock().timestamp()) as simulator:
        simulator.gate.limit = 1_000_000
        yield simulator


@pytest.fixture
def settings(tmp_path: Path, database: str, chargebee: ChargebeeSimulator) -> Settings:
    """Give settings of a companion that lives on subscriptions."""
    return Settings(
        database=database,
        key_file=tmp_path / "keys" / "companion.key",
        policy=CHEAP,
        metrics_port=-1,
        billing="chargebee",
        keeper=ChargebeeSettings(
            site="acme-test",
            api_key="test_simulated",
            item_prices=(f"{PRICE}=Controls, monthly", "controls-trial-USD-monthly=Controls with a trial"),
            webhook_credentials=(f"chargebee:{WEBHOOK_PASSWORD}", f"chargebee:{FORMER_PASSWORD}"),
            base_url=chargebee.url,
        ),
    )


async def _no_pause(_seconds: float) -> None:
    """Try again at once."""


@pytest.fixture
async def billing(settings: Settings) -> ChargebeeBilling:
    """Give the adapter."""
    return await open_chargebee(settings, _no_pause)


@pytest.fixture
def worker(store: Store, billing: ChargebeeBilling) -> BillingWorker:
    """Give the worker, which works when it is told to."""
    return BillingWorker(store, billing)


@pytest.fixture
async def companion(
    store: Store, clock: ManualClock, billing: ChargebeeBilling, chargebee: ChargebeeSimulator
) -> AsyncIterator[Companion]:
    """Serve the companion; webhooks are sent to it when the test has them delivered."""
    async with Companion(store, clock, billing) as companion:
        chargebee.sender.url = str(companion.server.make_url("/webhooks/chargebee"))
        chargebee.sender.password = WEBHOOK_PASSWORD
        yield companion


@pytest.fixture
async def olga(companion: Companion) -> Person:
    """Return somebody with an account, signed in."""
    olga = await companion.person().has_account()
    await olga.signs_in()
    return olga


def with_feature(settings: Settings, feature: str) -> Settings:
    """Return the settings with a feature that a subscription must carry."""
    keeper = settings.keeper
    assert keeper is not None
    return replace(settings, keeper=replace(keeper, feature=feature))
