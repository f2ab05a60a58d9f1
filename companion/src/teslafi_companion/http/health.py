"""What a load balancer and an operator ask: is it alive, is it ready, does all of it work."""

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from teslafi_companion.store.database import StoreUnreachable

from .services import services

DEGRADED: Final[web.AppKey[Callable[[], Mapping[str, str]]]] = web.AppKey("degraded")
"""Returns the loops that fail at present, each with the kind of its fault."""


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process serves."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer whether requests can be served: 503 when the database cannot be read and written.

    A loop that fails makes the service `degraded`, and still ready (200): pages and permits work without mails, and
    a load balancer that took every process away would make it worse.
    """
    try:
        await services(request).probe()
    except StoreUnreachable as fault:
        body = {"status": "database unreachable", "fault": str(fault)}
        return web.json_response(body, status=503, headers={"Retry-After": "5"})
    degraded = request.app[DEGRADED]()
    if degraded:
        return web.json_response({"status": "degraded", "loops": dict(degraded)})
    return web.json_response({"status": "ok"})


def routes() -> list[web.RouteDef]:
    """Return the routes of health."""
    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]
