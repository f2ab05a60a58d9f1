"""All addresses of the authorization server."""

from aiohttp import web

from .endpoints import endpoints
from .pages import pages


def routes() -> list[web.RouteDef]:
    """Return the endpoints for programs and the pages for people."""
    return [*endpoints(), *pages()]
