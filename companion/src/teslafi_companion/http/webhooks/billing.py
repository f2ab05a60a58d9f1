"""The address that a keeper of subscriptions calls: each event is kept by one insert and worked off later."""

from typing import Final

from aiohttp import web

from teslafi_companion.domain.accounts.throttle import WEBHOOK_NETWORK, Attempt, network_key, reserve
from teslafi_companion.domain.billing.inbox import take
from teslafi_companion.domain.billing.port import NotAnEvent
from teslafi_companion.http.received import document, header
from teslafi_companion.http.services import services, visitor_of

PATH: Final = "/webhooks/{keeper}"
LARGEST_BODY: Final = 1024 * 1024
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="webhooks", charset="UTF-8"'}


async def receive(request: web.Request) -> web.Response:
    """Take an event: 200 when it is kept, also if it was kept before."""
    parts = services(request)
    webhooks, address = parts.billing.webhooks, visitor_of(request).address
    if webhooks is None or request.match_info["keeper"] != parts.settings.billing:
        raise web.HTTPNotFound
    if not webhooks.may_come_from(address):
        raise web.HTTPForbidden
    if not webhooks.knows_password(header(request, "Authorization") or ""):
        return await _refuse(request, address)
    try:
        event = webhooks.parse(await document(request, LARGEST_BODY))
    except NotAnEvent as fault:
        raise web.HTTPBadRequest from fault
    async with parts.store.transaction() as transaction:
        new = await take(transaction, event, "webhook")
    parts.metrics.webhook("new" if new else "again")
    return web.json_response({"status": "kept" if new else "known"})


async def _refuse(request: web.Request, address: str) -> web.Response:
    """Count a wrong password; a network that guesses is told to wait."""
    parts = services(request)
    parts.metrics.webhook("refused")
    reservation = await reserve(parts.store, [Attempt(WEBHOOK_NETWORK, network_key(address))])
    if not reservation.admitted:
        raise web.HTTPTooManyRequests
    return web.Response(status=401, headers=_CHALLENGE)


def routes() -> list[web.RouteDef]:
    """Return the webhook's route."""
    return [web.post(PATH, receive)]
