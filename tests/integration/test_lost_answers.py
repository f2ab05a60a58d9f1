"""Answers of the companion that never arrive: the link outlives them, and is seen to be well again within seconds."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

import aiohttp
from aiohttp import web
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from multidict import CIMultiDict
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]
from sqlalchemy import delete

from custom_components.teslafi.const import LINK
from custom_components.teslafi.link.coordinator import SOON
from custom_components.teslafi.storage.vault import async_get_vault
from teslafi_companion.http.services import Services
from teslafi_companion.settings import Settings
from teslafi_companion.store.tables import access_token
from tests.live.ports import free_port

from .test_link import (  # noqa: F401 - fixtures
    Link,
    companion,
    entry,
    issues,
    later,
    link,
    olga,
    settings as free_settings,
    shown,
    stack,
)


@dataclass
class Line:
    """What lies between Home Assistant and the companion: carries everything, or loses the answers to renewals."""

    port: int
    behind: int
    answers: list[str] = field(default_factory=list)
    """What happens to the answers of the next renewals: `lost` on the way, `garbled`, or from a `wall` in between."""

    async def carry(self, request: web.Request) -> web.StreamResponse:
        """Carry a request, and its answer if that is not to be lost."""
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name != "Content-Length"}
        async with (
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                request.method,
                f"http://127.0.0.1:{self.behind}{request.raw_path}",
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer,
        ):
            content = await answer.read()
            if b"grant_type=refresh_token" in body and self.answers:
                return self._spoilt(request, self.answers.pop(0))
            kept = CIMultiDict((name, value) for name, value in answer.headers.items() if name != "Content-Length")
            return web.Response(status=answer.status, body=content, headers=kept)

    @staticmethod
    def _spoilt(request: web.Request, how: str) -> web.StreamResponse:
        if how == "lost":
            assert request.transport is not None
            request.transport.close()
        if how == "wall":
            return web.Response(status=401, text="<h1>Authorization required</h1>", content_type="text/html")
        return web.Response(text='{"access_token": "x', content_type="application/json")


@pytest.fixture
async def line(free_settings: Settings, stack: AsyncExitStack) -> Line:  # noqa: F811
    """Be the line to the companion."""
    line = Line(free_port(), free_settings.listen_port)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", line.carry)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", line.port).start()
    return line


@pytest.fixture
def settings(free_settings: Settings, line: Line) -> Settings:  # noqa: F811
    """Return the settings of a companion at the far end of the line."""
    return replace(free_settings, base_url=f"http://127.0.0.1:{line.port}", trusted_proxies=("127.0.0.0/8",))


async def in_a_moment(hass: HomeAssistant, moment: timedelta) -> None:
    """Let the time come when a companion that did not answer is asked again."""
    async_fire_time_changed(hass, dt_util.utcnow() + moment + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("how", ["lost", "garbled", "wall"])
async def test_a_lost_answer_to_a_renewal_is_asked_for_again_within_seconds(
    hass: HomeAssistant,
    link: Link,  # noqa: F811
    entry: ConfigEntry,  # noqa: F811
    companion: Services,  # noqa: F811
    line: Line,
    how: str,
) -> None:
    await link()
    vault = await async_get_vault(hass)
    before = vault.get_text(entry.entry_id, LINK)
    async with companion.store.transaction() as transaction:
        await transaction.execute(delete(access_token))
    line.answers = [how] * 3
    await later(hass)
    for moment in SOON[:2]:
        assert shown(hass)[0] == "unreachable"
        assert vault.get_text(entry.entry_id, LINK) == before
        await in_a_moment(hass, moment)
    assert line.answers == []
    await in_a_moment(hass, SOON[2])
    assert shown(hass)[0] == "linked"
    assert vault.get_text(entry.entry_id, LINK) not in {None, before}
    assert issues(hass) == set()
