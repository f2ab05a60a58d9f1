"""What came of a request, for the log and the metrics."""

from collections.abc import Callable
import time

from aiohttp import web
from aiohttp.typedefs import Handler

type Tell = Callable[[str | None, int, float], None]
"""Takes the route (None where there is none), the status, and the seconds that it took."""


async def handle(request: web.Request, handler: Handler, tell: Tell) -> web.StreamResponse:
    """Handle a request, and tell what came of it, also when it raised."""
    begun = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as refusal:
        status = refusal.status
        raise
    finally:
        resource = request.match_info.route.resource
        tell(resource.canonical if resource else None, status, time.perf_counter() - begun)
    return response
