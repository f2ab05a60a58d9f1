"""The subscription on the account page: what it is, where to get one, where to change it. No card data comes here."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
import re
import secrets
from typing import Final

from aiohttp import web

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts import throttle
from teslafi_companion.domain.accounts.step_up import Purpose
from teslafi_companion.domain.accounts.throttle import Attempt, Rule
from teslafi_companion.domain.billing import mirror, portals
from teslafi_companion.domain.billing.access import Access, Use
from teslafi_companion.domain.billing.port import BillingUnavailable, Checkout
from teslafi_companion.domain.billing.refresh import refresh
from teslafi_companion.http.answers import FORMS_TO
from teslafi_companion.http.guard import Visit, fresh, signed_in
from teslafi_companion.http.page import render, see
from teslafi_companion.http.received import query, typed
from teslafi_companion.http.services import Services, services
from teslafi_companion.store.database import Store

LIVING: Final = frozenset({"future", "in_trial", "active", "non_renewing", "paused"})
"""Statuses beside which a second subscription would only cost money."""
PAGE_SECONDS: Final = 20
"""How long a page waits for Chargebee, all questions together."""
_PATIENCE_SECONDS: Final = 60
_ASKED: Final = Rule("billing-page", 10, timedelta(minutes=10))
_NONCE: Final = 16
_PAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class Shown:
    """What the account page says about the subscription."""

    access: Access
    plan: str | None
    prices: dict[str, str]
    can_subscribe: bool
    can_manage: bool


async def shown(request: web.Request, visit: Visit) -> Shown | None:
    """Return what is known of the subscription, and have it asked for again if old; None when none is needed."""
    parts = services(request)
    if not parts.billing.required:
        return None
    async with parts.store.reading() as transaction:
        known = await mirror.known_of(transaction, visit.owner.id)
        access = await mirror.access_of(transaction, visit.owner.id, Use.READING)
        old, customer = mirror.is_old(known, transaction), await mirror.is_customer(transaction, visit.owner.id)
    if old and customer:
        async with parts.store.transaction() as transaction:
            await mirror.want_if_old(transaction, visit.owner.id)
    prices = mirror.item_prices(parts.settings)
    held = access.subscription
    plan = next((prices[one] for one in held.item_prices if one in prices), None) if held else None
    living = any(one.status in LIVING and not one.deleted for one in known.subscriptions)
    return Shown(access, plan, prices, can_subscribe=not living, can_manage=bool(known.subscriptions))


def lead_to_checkout(request: web.Request, response: web.StreamResponse) -> None:
    """Let the forms of a page end at the hosted pages."""
    if (origin := services(request).billing.pages_origin) is not None:
        response[FORMS_TO] = origin


async def _unreachable(request: web.Request, visit: Visit) -> web.Response:
    answer = await render(request, "billing_down.html", status=503, visit=visit)
    answer.headers["Retry-After"] = str(_PATIENCE_SECONDS)
    return answer


@signed_in
async def checkout(request: web.Request, visit: Visit) -> web.Response:
    """Go to the hosted checkout, unless a subscription that was made elsewhere shows up at the last moment."""
    parts = services(request)
    wanted = await typed(request, "price")
    if not parts.billing.required or wanted not in mirror.item_prices(parts.settings):
        raise web.HTTPNotFound
    await _may_ask(parts.store, visit)
    try:
        async with asyncio.timeout(PAGE_SECONDS):
            return await _checked_out(parts, visit, wanted)
    except BillingUnavailable, TimeoutError:
        return await _unreachable(request, visit)


async def _may_ask(store: Store, visit: Visit) -> None:
    """Refuse who has Chargebee asked again and again; raises HTTPTooManyRequests."""
    reservation = await throttle.reserve(store, [Attempt(_ASKED, visit.owner.id.bytes)])
    if not reservation.admitted:
        raise web.HTTPTooManyRequests


async def _checked_out(parts: Services, visit: Visit, wanted: str) -> web.Response:
    """Return the way to the checkout; raises BillingUnavailable."""
    owner, customer = visit.owner, mirror.customer_id(visit.owner.id)
    await parts.billing.ensure_customer(customer, owner.email)
    async with parts.store.transaction() as transaction:
        await mirror.note_customer(transaction, owner.id, owner.email)
    await refresh(parts.store, parts.billing, owner.id)
    if await _has_living(parts.store, visit):
        return see("/account")
    asked = Checkout(
        item_price=wanted,
        back=f"{parts.settings.origin}/account/subscription/return",
        back_unpaid=f"{parts.settings.origin}/account?done=not-subscribed",
        pass_thru=secrets.token_hex(_NONCE),
    )
    address = await parts.billing.checkout_url(customer, asked)
    async with parts.store.transaction() as transaction:
        record(transaction, "checkout_begun", account_id=owner.id, detail={"item_price": wanted})
    return see(address)


async def _has_living(store: Store, visit: Visit) -> bool:
    async with store.reading() as transaction:
        known = await mirror.known_of(transaction, visit.owner.id)
    return any(one.status in LIVING and not one.deleted for one in known.subscriptions)


@signed_in
async def back(request: web.Request, visit: Visit) -> web.Response:
    """Come back from a paid checkout. The page asks nobody: the worker does, once however often this is reloaded."""
    parts, page_id = services(request), query(request).get("id", "")
    if not parts.billing.required:
        raise web.HTTPNotFound
    async with parts.store.transaction() as transaction:
        await mirror.want_soon(transaction, visit.owner.id, page_id if _PAGE_ID.fullmatch(page_id) else None)
    return see("/account?done=checkout")


@signed_in
@fresh(Purpose.BILLING)
async def portal_form(request: web.Request, visit: Visit) -> web.Response:
    """Say what the portal is, and offer it."""
    if not services(request).billing.required:
        raise web.HTTPNotFound
    response = await render(request, "portal.html", visit=visit)
    lead_to_checkout(request, response)
    return response


@signed_in
@fresh(Purpose.BILLING)
async def portal(request: web.Request, visit: Visit) -> web.Response:
    """Go to the self-serve portal, whose address is a key: it is neither kept nor written anywhere."""
    parts = services(request)
    if not parts.billing.required:
        raise web.HTTPNotFound
    async with parts.store.reading() as transaction:
        if not await mirror.is_customer(transaction, visit.owner.id):
            return see("/account")
    await _may_ask(parts.store, visit)
    try:
        async with asyncio.timeout(PAGE_SECONDS):
            opened = await parts.billing.open_portal(
                mirror.customer_id(visit.owner.id), f"{parts.settings.origin}/account/subscription/portal/return"
            )
    except BillingUnavailable, TimeoutError:
        return await _unreachable(request, visit)
    async with parts.store.transaction() as transaction:
        await portals.note(transaction, opened.id, visit.session.id)
        record(transaction, "portal_opened", account_id=visit.owner.id)
    return see(opened.url)


@signed_in
async def portal_back(request: web.Request, visit: Visit) -> web.Response:
    """Come back from the portal: whatever was changed there is asked for at once."""
    parts = services(request)
    if not parts.billing.required:
        raise web.HTTPNotFound
    async with parts.store.transaction() as transaction:
        await mirror.want_soon(transaction, visit.owner.id)
    return see("/account?done=portal")


def routes() -> list[web.RouteDef]:
    """Return the subscription's pages."""
    return [
        web.post("/account/subscription/checkout", checkout),
        web.get("/account/subscription/return", back),
        web.get("/account/subscription/portal", portal_form),
        web.post("/account/subscription/portal", portal),
        web.get("/account/subscription/portal/return", portal_back),
    ]
