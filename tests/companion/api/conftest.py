"""The companion over HTTP."""

from collections.abc import AsyncIterator

import pytest

from teslafi_companion.store.database import Store

from ..oauth.linking import Http, served


@pytest.fixture
async def http(store: Store, socket_enabled: None) -> AsyncIterator[Http]:
    """Give a client of the served companion."""
    async with served(store) as client:
        yield client
