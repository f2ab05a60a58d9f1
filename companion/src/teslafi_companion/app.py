"""The companion's HTTP application. So far it says that it is alive; accounts and links are being built."""

from aiohttp import web


def create_app() -> web.Application:
    """Return the application."""
    app = web.Application()
    app.add_routes([web.get("/healthz", healthz)])
    return app


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process serves."""
    return web.json_response({"status": "ok"})
