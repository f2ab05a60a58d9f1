"""The pages on which an owner allows, sees and ends links."""

from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from yarl import URL

from teslafi_companion.audit import record
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.step_up import Purpose, is_fresh
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.billing.access import NOT_REQUIRED, Use
from teslafi_companion.domain.billing.mirror import access_of
from teslafi_companion.domain.links import consent, suspicion
from teslafi_companion.domain.links.clients import CLIENTS
from teslafi_companion.domain.links.codes import issue_code
from teslafi_companion.domain.links.devices import Claim, DeviceRequest, approve, claim, deny, find_claimed
from teslafi_companion.domain.links.faults import (
    ACCESS_DENIED,
    INVALID_SCOPE,
    SUBSCRIPTION_REQUIRED,
    UNMET_AUTHENTICATION,
    OAuthFault,
)
from teslafi_companion.domain.links.lifetimes import REFRESH_ABSOLUTE
from teslafi_companion.domain.links.links import Approval, end_own, find_of_instance, links_of, proof_of
from teslafi_companion.domain.links.scopes import WORDS, Acr, Scope, written
from teslafi_companion.http.answers import FORMS_TO
from teslafi_companion.http.guard import Visit, fresh, signed_in
from teslafi_companion.http.page import render, see
from teslafi_companion.http.received import path_and_query, query, typed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.language import N_
from teslafi_companion.settings import Policy
from teslafi_companion.store.database import Transaction

from .authorize import (
    AuthorizationRequest,
    RequestFault,
    RequestRefused,
    answer_address,
    fault_address,
    parse_request,
)

ALLOW: Final = "allow"
_WRONG_CODE: Final = N_(
    "No Home Assistant is waiting for this code. Enter the eight letters as your Home Assistant shows them now. "
    "After ten minutes it shows new ones."
)
_TOO_MANY: Final = N_("There were too many wrong codes. Wait ten minutes, then start again in your Home Assistant.")


def _words(scopes: frozenset[Scope]) -> list[str]:
    return [words for scope, words in WORDS.items() if scope in scopes]


def _elsewhere(address: URL) -> web.Response:
    """Send the browser back to the client, at an address that was found on the list."""
    return web.Response(status=303, headers={"Location": str(address), "Cache-Control": "no-store"})


async def authorize(request: web.Request) -> web.StreamResponse:
    """Read a client's request before anybody has to sign in for it."""
    try:
        parse_request(query(request), services(request).settings)
    except RequestRefused as refusal:
        return await render(request, "oauth/refused.html", status=400, why=str(refusal))
    except RequestFault as fault:
        return _elsewhere(fault.address)
    return await (_ask_owner(request) if request.method == "GET" else _answer(request))


def _purpose(asked: AuthorizationRequest) -> Purpose:
    return Purpose.CONTROLS if asked.wants_controls else Purpose.LINK


def _lacks_factor(asked: AuthorizationRequest, owner: Account) -> bool:
    return asked.acr is Acr.SECOND_FACTOR and not owner.has_second_factor


def _is_proved(visit: Visit, asked: AuthorizationRequest, transaction: Transaction) -> bool:
    policy: Policy = transaction.policy
    session, now = visit.session, transaction.now
    recent = session.step_up_at is not None and now - session.step_up_at <= asked.freshness(policy)
    strong = asked.acr is Acr.PASSWORD or proof_of(session, visit.owner).acr is Acr.SECOND_FACTOR
    return recent and strong and is_fresh(session, visit.owner, _purpose(asked), now, policy)


def _step_up(purpose: Purpose, back: str) -> web.Response:
    return see(f"/step-up?{urlencode({'purpose': purpose.value, 'next': back})}")


def _fault(request: web.Request, asked: AuthorizationRequest, fault: OAuthFault) -> web.Response:
    return _elsewhere(fault_address(services(request).settings, asked.redirect_uri, asked.state, fault))


def _not_linked(request: web.Request, asked: AuthorizationRequest) -> web.Response:
    return _fault(request, asked, OAuthFault(INVALID_SCOPE, "controls is asked for by a Home Assistant that is linked"))


async def _is_out_of_order(transaction: Transaction, owner: Account, asked: AuthorizationRequest) -> bool:
    """Say whether controls are asked for by a Home Assistant that this account has not linked."""
    return asked.wants_controls and await find_of_instance(transaction, owner.id, asked.instance) is None


@signed_in
async def _ask_owner(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Show who asks for what, to an owner who has just proved to be it."""
    store = services(request).store
    asked = parse_request(query(request), store.settings)
    async with store.reading() as transaction:
        proved = _is_proved(visit, asked, transaction)
        out_of_order = await _is_out_of_order(transaction, visit.owner, asked)
        renews = await find_of_instance(transaction, visit.owner.id, asked.instance) is not None
        access = await access_of(transaction, visit.owner.id, Use.CONTROLS) if asked.wants_controls else NOT_REQUIRED
    if out_of_order:
        return _not_linked(request, asked)
    lacks_factor = _lacks_factor(asked, visit.owner)
    if not lacks_factor and not proved:
        return _step_up(_purpose(asked), path_and_query(request))
    page = await render(
        request,
        "oauth/controls.html" if asked.wants_controls else "oauth/consent.html",
        visit=visit,
        action=path_and_query(request),
        client=asked.client,
        instance=asked.instance,
        permissions=_words(asked.scopes),
        controls=asked.controls,
        days=REFRESH_ABSOLUTE.days,
        renews=renews,
        lacks_factor=lacks_factor,
        access=access,
        visitor=visitor_of(request),
        returns_to=URL(asked.redirect_uri).host,
    )
    page[FORMS_TO] = str(URL(asked.redirect_uri).origin())
    return page


@signed_in
async def _answer(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Take the owner's answer back to the client."""
    store, visitor = services(request).store, visitor_of(request)
    asked = parse_request(query(request), store.settings)
    allowed = await typed(request, "answer") == ALLOW
    lacks_factor = _lacks_factor(asked, visit.owner)
    async with store.transaction() as transaction:
        if not allowed or lacks_factor:
            _record_denial(transaction, visit.owner, asked, visitor)
            return _denied(request, asked, lacks_factor=lacks_factor)
        if await _is_out_of_order(transaction, visit.owner, asked):
            return _not_linked(request, asked)
        if not _is_proved(visit, asked, transaction):
            return _step_up(_purpose(asked), path_and_query(request))
        if asked.wants_controls and not (await access_of(transaction, visit.owner.id, Use.CONTROLS)).granted:
            _record_denial(transaction, visit.owner, asked, visitor)
            return _fault(request, asked, OAuthFault(SUBSCRIPTION_REQUIRED, "the subscription gives no access"))
        approval = Approval(
            visit.owner.id,
            asked.client.id,
            asked.scopes,
            asked.instance,
            proof_of(visit.session, visit.owner),
            visitor.address,
            visitor.agent,
            asked.controls,
        )
        code = await issue_code(transaction, approval, asked.redirect_uri, asked.challenge)
    return _elsewhere(answer_address(store.settings, asked.redirect_uri, asked.state, code=code))


def _denied(request: web.Request, asked: AuthorizationRequest, *, lacks_factor: bool) -> web.Response:
    if lacks_factor:
        return _fault(request, asked, OAuthFault(UNMET_AUTHENTICATION, "the account has no second factor"))
    return _fault(request, asked, OAuthFault(ACCESS_DENIED, "the owner has refused"))


def _record_denial(transaction: Transaction, owner: Account, asked: AuthorizationRequest, visitor: Visitor) -> None:
    detail = visitor.detail() | {"instance": asked.instance.name, "scopes": written(asked.scopes)}
    record(transaction, "link_denied", account_id=owner.id, detail=detail)


@signed_in
async def device(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Ask for the code that a Home Assistant shows."""
    return await render(request, "oauth/device.html", visit=visit)


@signed_in
async def enter_code(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Take a typed code; from then on the request is this account's."""
    code = await typed(request, "user_code")
    claimed = await claim(services(request).store, visit.owner.id, visit.session.id, code, visitor_of(request))
    if isinstance(claimed, UUID):
        return see(f"/device/{claimed}")
    locked = claimed is Claim.LOCKED
    error, status = (_TOO_MANY, 429) if locked else (_WRONG_CODE, 400)
    return await render(request, "oauth/device.html", status=status, visit=visit, error=error)


def _identifier(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["id"])
    except ValueError:
        raise web.HTTPNotFound from None


async def _claimed(request: web.Request, visit: Visit) -> tuple[DeviceRequest, bool]:
    """Return the request that a page is about, and whether its owner has just proved to be it."""
    identifier = _identifier(request)
    async with services(request).store.reading() as transaction:
        found = await find_claimed(transaction, visit.owner.id, identifier)
        proved = is_fresh(visit.session, visit.owner, Purpose.LINK, transaction.now, transaction.policy)
    if found is None:
        raise web.HTTPNotFound
    return found, proved


@signed_in
async def device_request(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Show who asks, from where and since when, to an owner who has just proved to be it."""
    found, proved = await _claimed(request, visit)
    if not proved:
        return _step_up(Purpose.LINK, request.path)
    visitor, store = visitor_of(request), services(request).store
    return await render(
        request,
        "oauth/device_request.html",
        visit=visit,
        asked=found,
        client=CLIENTS[found.client_id],
        permissions=_words(found.scopes),
        days=REFRESH_ABSOLUTE.days,
        near=found.is_near(visitor.address),
        minutes=int((store.clock() - found.created_at).total_seconds() // 60),
        visitor=visitor,
    )


@signed_in
async def answer_device(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Take the owner's answer to a device's request."""
    found, proved = await _claimed(request, visit)
    allowed = await typed(request, "answer") == ALLOW
    if allowed and not proved:
        return _step_up(Purpose.LINK, request.path)
    visitor = visitor_of(request)
    async with services(request).store.transaction() as transaction:
        if allowed:
            done = await approve(transaction, visit.owner.id, found, proof_of(visit.session, visit.owner), visitor)
        else:
            done = await deny(transaction, visit.owner.id, found, visitor)
    if not done:
        raise web.HTTPNotFound
    return await render(request, "oauth/device_answered.html", visit=visit, allowed=allowed, instance=found.instance)


_DONE: Final = {
    "confirmed": N_("You confirmed this use of the link. It gets permits again."),
    "ended": N_("The link was ended."),
    "locked": N_("The controls were locked."),
}
"""Word in the address after something was done -> the sentence on the page."""


@signed_in
async def links(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Show every Home Assistant that is linked to the account."""
    async with services(request).store.reading() as transaction:
        known = await links_of(transaction, visit.owner.id)
        allowed = await consent.of_account(transaction, visit.owner.id)
    shown = [(link, CLIENTS[link.client_id], _words(link.scopes), allowed.get(link.id)) for link in known]
    return await render(
        request, "oauth/links.html", visit=visit, links=shown, done=_DONE.get(query(request).get("done", ""))
    )


@signed_in
async def end(request: web.Request, visit: Visit) -> web.StreamResponse:
    """End one link."""
    async with services(request).store.transaction() as transaction:
        if not await end_own(transaction, visit.owner.id, _identifier(request), visitor_of(request)):
            raise web.HTTPNotFound
    return see("/links?done=ended")


@signed_in
@fresh(Purpose.UNUSUAL)
async def confirm_form(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Show what looked unusual, and ask whether that was the owner."""
    link_id = _identifier(request)
    async with services(request).store.reading() as transaction:
        known = {link.id: link for link in await links_of(transaction, visit.owner.id)}.get(link_id)
    if known is None or known.suspicious_since is None:
        return see("/links")
    return await render(request, "oauth/confirm_link.html", visit=visit, link=known)


@signed_in
@fresh(Purpose.UNUSUAL)
async def confirm(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Take the owner's word, with a second factor just proved, that an unusual use of a link was theirs."""
    async with services(request).store.transaction() as transaction:
        if not await suspicion.confirm(transaction, visit.owner.id, _identifier(request), visitor_of(request)):
            raise web.HTTPNotFound
    return see("/links?done=confirmed")


@signed_in
async def lock(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Lock the controls of one link: its key share is wiped at once."""
    async with services(request).store.transaction() as transaction:
        if not await consent.withdraw_own(transaction, visit.owner.id, _identifier(request), visitor_of(request)):
            raise web.HTTPNotFound
    return see("/links?done=locked")


def pages() -> list[web.RouteDef]:
    """Return the pages."""
    return [
        web.get("/oauth/authorize", authorize, allow_head=False),
        web.post("/oauth/authorize", authorize),
        web.get("/device", device),
        web.post("/device", enter_code),
        web.get("/device/{id}", device_request),
        web.post("/device/{id}", answer_device),
        web.get("/links", links),
        web.post("/links/{id}/end", end),
        web.get("/links/{id}/confirm", confirm_form),
        web.post("/links/{id}/confirm", confirm),
        web.post("/links/{id}/lock", lock),
    ]
