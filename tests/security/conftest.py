"""The companion among strangers: both databases, the moved clock, and a mail server that answers as a test says."""

from collections.abc import AsyncIterator

import pytest

from teslafi_companion.store.database import Store

from ..companion.clock import ManualClock
from ..companion.conftest import (
    clock,
    database,
    engine,
    postgresql,
    postgresql_database,
    settings,
    store,
    verify_cleanup,
)
from ..companion.web.person import Companion, Person

__all__ = [
    "clock",
    "database",
    "engine",
    "postgresql",
    "postgresql_database",
    "settings",
    "store",
    "verify_cleanup",
]
"""Fixtures of the companion's own tests, which count here as well."""


@pytest.fixture
async def companion(store: Store, clock: ManualClock, socket_enabled: None) -> AsyncIterator[Companion]:
    """Serve the companion."""
    async with Companion(store, clock) as companion:
        yield companion


@pytest.fixture
async def olga(companion: Companion) -> Person:
    """Return somebody who has no account yet."""
    return companion.person()
