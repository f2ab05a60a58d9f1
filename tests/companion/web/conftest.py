"""The companion's pages, on both databases, by the clock that the test moves."""

from collections.abc import AsyncIterator

import pytest

from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .person import Companion, Person


@pytest.fixture
async def companion(store: Store, clock: ManualClock, socket_enabled: None) -> AsyncIterator[Companion]:
    """Serve the companion."""
    async with Companion(store, clock) as companion:
        yield companion


@pytest.fixture
async def olga(companion: Companion) -> Person:
    """Return somebody who has no account yet."""
    return companion.person()
