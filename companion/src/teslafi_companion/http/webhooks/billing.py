"""The address that Chargebee calls. Nothing signs a webhook: it is a hint, kept by one insert and worked off later."""

import hmac
from ipaddress import ip_address, ip_network
from typing import Final

from aiohttp import encode_basic_auth, web

from teslafi_companion.domain.accounts.throttle import WEBHOOK_NETWORK, Attempt, network_key, reserve
from teslafi_companion.domain.billing.inbox import NotAnEvent, parse_event, take
from teslafi_companion.http.received import document, header
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.settings import Settings

PATH: Final = "/webhooks/chargebee"
LARGEST_BODY: Final = 1024 * 1024
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="webhooks", charset="UTF-8"'}


async def receive(request: web.Request) -> web.Response:
    """Take an event: 200 when it is kept, also if it was kept before."""
    parts = services(request)
    settings, address = parts.settings, visitor_of(request).address
    if not parts.billing.required or not settings.chargebee_webhook_credentials:
        raise web.HTTPNotFound
    if not _may_come_from(settings, address):
        raise web.HTTPForbidden
    if not _knows_password(settings, header(request, "Authorization") or ""):
        return await _refuse(request, address)
    try:
        event = parse_event(await document(request, LARGEST_BODY))
    except NotAnEvent as fault:
        raise web.HTTPBadRequest from fault
    async with parts.store.transaction() as transaction:
        new = await take(transaction, event, "webhook")
    parts.metrics.webhook("new" if new else "again")
    return web.json_response({"status": "kept" if new else "known"})


def _may_come_from(settings: Settings, address: str) -> bool:
    networks = settings.chargebee_webhook_networks
    return not networks or any(ip_address(address) in ip_network(text) for text in networks)


def _knows_password(settings: Settings, header: str) -> bool:
    pairs = (pair.partition(":") for pair in settings.chargebee_webhook_credentials)
    expected = (encode_basic_auth(user, password) for user, _, password in pairs)
    return any(hmac.compare_digest(header.encode(), known.encode()) for known in expected)


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
