"""A served companion with a Home Assistant that was allowed controls."""

from collections.abc import AsyncIterator

import pytest

from teslafi_companion.store.database import Store

from ..oauth.linking import Http, served
from .holder import Holder, link_with_controls


@pytest.fixture
async def http(store: Store, socket_enabled: None) -> AsyncIterator[Http]:
    """Serve the companion."""
    async with served(store) as client:
        yield client


@pytest.fixture
async def holder(store: Store, http: Http) -> Holder:
    """Be a Home Assistant that was allowed controls."""
    return await link_with_controls(store, http)
