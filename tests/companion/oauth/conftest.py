"""The authorization server and the API over HTTP."""

from collections.abc import AsyncIterator

from aiohttp.test_utils import TestClient
import pytest

from teslafi_companion.store.database import Store

from .linking import Http, serving


@pytest.fixture
async def http(store: Store, socket_enabled: None) -> AsyncIterator[Http]:
    """Give a client of the served application."""
    async with TestClient(serving(store)) as client:
        yield client
