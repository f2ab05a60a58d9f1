"""All pages. A new one is a handler in the module of its subject, a template, and a line in that module's `routes`."""

from aiohttp import web

from teslafi_companion.http.services import STATIC, services

from . import account, forgotten_password, security, sign_in, sign_up, step_up, subscription

_WEEK = 7 * 24 * 3600


async def static(request: web.Request) -> web.Response:
    """Serve a file that belongs to the pages; its address changes with its content."""
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    return web.Response(
        body=services(request).static[name],
        content_type=STATIC[name],
        charset="utf-8",
        headers={"Cache-Control": f"public, max-age={_WEEK}, immutable"},
    )


def page_routes() -> list[web.RouteDef]:
    """Return the routes of all pages."""
    subjects = (account, security, sign_up, sign_in, forgotten_password, step_up, subscription)
    return [web.get("/static/{name}", static), *(route for subject in subjects for route in subject.routes())]
