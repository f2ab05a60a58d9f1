"""The companion's HTTP application: pages, OAuth and API, with what runs beside them."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from teslafi_companion.adapters.smtp.server import open_mail_server
from teslafi_companion.http import answers, door, guard, health, received, security_txt
from teslafi_companion.http.api.routes import routes as api_routes
from teslafi_companion.http.oauth.routes import routes as oauth_routes
from teslafi_companion.http.pages.routes import page_routes
from teslafi_companion.http.services import SERVICES, Services
from teslafi_companion.http.webhooks.billing import routes as webhook_routes
from teslafi_companion.work.billing import BillingWorker
from teslafi_companion.work.housekeeping import Housekeeping
from teslafi_companion.work.outbox import RESOLVERS, OutboxWorker
from teslafi_companion.work.supervisor import Loop, Rest, Supervisor, rest

SUPERVISOR: Final = web.AppKey("supervisor", Supervisor)


def create_app(parts: Services, *, works: bool = True, rest: Rest = rest) -> web.Application:
    """Return the application; it closes neither the store nor the password threads.

    Without `works` nothing runs beside it: another process, or a test, does that work.
    """
    app = web.Application(
        middlewares=[
            parts.metrics.middleware(),
            answers.logged,
            door.in_time,
            answers.explained,
            received.plain,
            guard.same_origin,
        ],
        client_max_size=received.LARGEST_BODY,
    )
    app[SERVICES] = parts
    app[door.DOORKEEPER] = door.Doorkeeper(parts.settings)
    app[SUPERVISOR] = supervisor = Supervisor(*(loops_of(parts) if works else ()), rest=rest)
    app[health.DEGRADED] = lambda: supervisor.degraded
    app.on_response_prepare.append(answers.harden)
    plain = (*health.routes(), *security_txt.routes())
    app.add_routes([*plain, *page_routes(), *oauth_routes(), *api_routes(), *webhook_routes()])
    app.cleanup_ctx.append(_beside)
    return app


def loops_of(parts: Services) -> list[Loop]:
    """Return everything that runs beside the requests."""
    loops = [
        OutboxWorker(parts.store, RESOLVERS, open_mail_server(parts.settings)).loop(),
        Housekeeping(parts.store).loop(),
    ]
    if parts.billing.required:
        loops.append(BillingWorker(parts.store, parts.billing).loop())
    return loops


async def _beside(app: web.Application) -> AsyncIterator[None]:
    """Work as long as the application serves."""
    async with app[SUPERVISOR]:
        yield
