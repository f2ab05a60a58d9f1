"""A server on loopback that answers what a test tells it to, for answers that a faithful simulator does not give."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from custom_components.teslafi.tesla.servers import OWNER_API, SERVERS, Server

type Answer = web.Response | Callable[[web.Request], Any]


@dataclass
class ScriptedServer:
    """Answers requests in the order of `answers` and keeps what was asked."""

    base: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    forms: list[Mapping[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Give the next answer; the last one stays for all further requests."""
        self.requests.append(request)
        self.forms.append(dict(await request.post()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            response: web.StreamResponse = await answer(request)
            return response
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """Serve on a free port, and be every server of Tesla's meanwhile."""
    scripted = ScriptedServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    server = TestServer(app)
    await server.start_server()
    scripted.base = str(server.make_url("")).rstrip("/")
    kept = (dict(SERVERS), dict(OWNER_API))
    for region in SERVERS:
        SERVERS[region] = Server(
            api=f"{scripted.base}/{region}", authorize=f"{scripted.base}/authorize", token=f"{scripted.base}/token"
        )
    for part in OWNER_API:
        OWNER_API[part] = Server(
            api=f"{scripted.base}/owner", authorize=f"{scripted.base}/authorize", token=f"{scripted.base}/owner-token"
        )
    try:
        yield scripted
    finally:
        SERVERS.update(kept[0])
        OWNER_API.update(kept[1])
        await server.close()
