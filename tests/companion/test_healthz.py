"""The companion says that it is alive."""

from aiohttp.test_utils import TestClient, TestServer
import pytest

from teslafi_companion.app import create_app


@pytest.mark.usefixtures("socket_enabled")
async def test_healthz() -> None:
    """What a container or a proxy asks."""
    async with TestClient(TestServer(create_app())) as client:
        response = await client.get("/healthz")
        assert response.status == 200
        assert await response.json() == {"status": "ok"}
