"""API v2: what the official SDK calls. Basic authentication, forms, error bodies and the limit of a test site."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
import hmac
import json
from typing import Any, Final

from aiohttp import encode_basic_auth, web

from .parameters import Parameters, WrongParameter, listed, listing, needed
from .site import CHECKOUT_LIFE, PORTAL_LINK_LIFE, HostedPage, PortalSession, Refused, Site, Subscription

PER_MINUTE: Final = 150
"""Requests of a test site (www.chargebee.com/docs, "API limits")."""
FORM: Final = "application/x-www-form-urlencoded"
IDEMPOTENCY: Final = "chargebee-idempotency-key"


@dataclass
class Gate:
    """Who may ask, how often, and whether the service is up at all."""

    api_key: str
    limit: int = PER_MINUTE
    down: bool = False
    """Answer every request with a page that is no JSON, as a gateway does in an outage."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    recent: deque[float] = field(default_factory=deque)
    answered: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By idempotency key: what was answered."""

    def admit(self, now: float) -> bool:
        """Count a request; say whether it is within the limit."""
        while self.recent and self.recent[0] <= now - 60:
            self.recent.popleft()
        if len(self.recent) >= self.limit:
            return False
        self.recent.append(now)
        return True


@dataclass
class Call:
    """A request that was let in."""

    site: Site
    base_url: str
    match: dict[str, str]
    parameters: Parameters


type Handler = Callable[[Call], dict[str, Any]]


def error(status: int, code: str, message: str, kind: str = "invalid_request", param: str = "") -> web.Response:
    """Return Chargebee's error body."""
    body = {
        "message": message,
        "type": kind,
        "api_error_code": code,
        "error_code": code,
        "error_msg": message,
        "http_status_code": status,
    }
    if param:
        body["param"] = param
    headers = {"Retry-After": "60"} if status == web.HTTPTooManyRequests.status_code else {}
    return web.json_response(body, status=status, headers=headers)


def shown_page(page: HostedPage, site: Site, base_url: str) -> dict[str, Any]:
    """Return a hosted page as the API does."""
    said: dict[str, Any] = {
        "id": page.id,
        "type": page.type,
        "url": f"{base_url}/pages/v4/{page.id}/",
        "state": page.state,
        "embed": False,
        "created_at": page.created_at,
        "expires_at": page.created_at + CHECKOUT_LIFE,
        "pass_thru_content": page.pass_thru_content,
        "object": "hosted_page",
        "resource_version": page.created_at * 1000,
    }
    if page.subscription_id is not None:
        said["content"] = {
            "subscription": site.subscription(page.subscription_id).shown(),
            "customer": site.customer(page.customer_id),
        }
    return said


def _shown_portal(session: PortalSession, base_url: str) -> dict[str, Any]:
    return {
        "id": session.id,
        "token": session.token,
        "access_url": f"{base_url}/portal/v2/authenticate?token={session.token}",
        "redirect_url": session.redirect_url,
        "status": session.status,
        "created_at": session.created_at,
        "expires_at": session.created_at + PORTAL_LINK_LIFE,
        "customer_id": session.customer_id,
        "object": "portal_session",
    }


def _with_customer(call: Call, subscription: Subscription) -> dict[str, Any]:
    return {"subscription": subscription.shown(), "customer": call.site.customer(subscription.customer_id)}


def _create_customer(call: Call) -> dict[str, Any]:
    return {"customer": call.site.add_customer(call.parameters)}


def _customer(call: Call) -> dict[str, Any]:
    return {"customer": call.site.customer(call.match["customer"])}


def _change_customer(call: Call) -> dict[str, Any]:
    return {"customer": call.site.change_customer(call.match["customer"], call.parameters)}


def _customers(call: Call) -> dict[str, Any]:
    found, after = listing(call.site.customers.values(), call.parameters, {"id", "email"}, "created_at")
    return _listed("customer", found, after)


def _listed(name: str, found: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return {"list": [{name: member} for member in found]} | ({"next_offset": after} if after else {})


def _subscriptions(call: Call) -> dict[str, Any]:
    site, deleted = call.site, call.parameters.get("include_deleted") == "true"
    members = [one.shown() for one in site.subscriptions.values() if deleted or not one.deleted]
    found, after = listing(members, call.parameters, {"id", "customer_id", "status", "updated_at"}, "created_at")
    page = _listed("subscription", found, after)
    for entry in page["list"]:
        entry["customer"] = site.customer(entry["subscription"]["customer_id"])
    return page


def _subscription(call: Call) -> dict[str, Any]:
    subscription = call.site.subscription(call.match["subscription"])
    if subscription.deleted:
        raise Refused(404, "resource_not_found", f"Sorry, we couldn't find {subscription.id}", param="subscription_id")
    return _with_customer(call, subscription)


def _of_customer(call: Call) -> dict[str, Any]:
    members = [one.shown() for one in call.site.of_customer(call.site.customer(call.match["customer"])["id"])]
    found, after = listing(members, call.parameters, (), "created_at")
    return _listed("subscription", found, after)


def _entitlements(call: Call) -> dict[str, Any]:
    subscription = call.site.subscription(call.match["subscription"])
    return {
        "list": [
            {
                "subscription_entitlement": {
                    "subscription_id": subscription.id,
                    "feature_id": feature,
                    "feature_name": feature,
                    "value": "Available" if enabled else "Not available",
                    "is_enabled": enabled,
                    "is_overridden": False,
                    "object": "subscription_entitlement",
                }
            }
            for feature, enabled in sorted(subscription.entitlements.items())
        ]
    }


def _checkout(call: Call, page_type: str, customer_id: str, reactivates: str | None = None) -> dict[str, Any]:
    prices = listed(call.parameters, "subscription_items", "item_price_id")
    content = call.parameters.get("pass_thru_content", "")
    if len(content) > 2048:  # noqa: PLR2004 - Chargebee's own bound
        raise WrongParameter("pass_thru_content", "pass_thru_content : cannot be longer than 2048 characters")
    said = {
        "customer_id": call.site.customer(customer_id)["id"],
        "redirect_url": call.parameters.get("redirect_url", ""),
        "cancel_url": call.parameters.get("cancel_url", ""),
        "pass_thru_content": content,
    }
    page = call.site.checkout(page_type, said, prices[0], reactivates)
    return {"hosted_page": shown_page(page, call.site, call.base_url)}


def _checkout_new(call: Call) -> dict[str, Any]:
    return _checkout(call, "checkout_new", needed(call.parameters, "customer[id]"))


def _checkout_existing(call: Call) -> dict[str, Any]:
    subscription = call.site.subscription(needed(call.parameters, "subscription[id]"))
    reactivates = subscription.id if call.parameters.get("reactivate") == "true" else None
    return _checkout(call, "checkout_existing", subscription.customer_id, reactivates)


def _hosted_page(call: Call) -> dict[str, Any]:
    return {"hosted_page": shown_page(call.site.hosted_page(call.match["page"]), call.site, call.base_url)}


def _acknowledge(call: Call) -> dict[str, Any]:
    page = call.site.hosted_page(call.match["page"])
    if page.state not in {"succeeded", "acknowledged"}:
        raise Refused(400, "invalid_state_for_request", "Only pages that succeeded are acknowledged.")
    page.state = "acknowledged"
    return {"hosted_page": shown_page(page, call.site, call.base_url)}


def _open_portal(call: Call) -> dict[str, Any]:
    customer_id, back = needed(call.parameters, "customer[id]"), call.parameters.get("redirect_url", "")
    return {"portal_session": _shown_portal(call.site.open_portal(customer_id, back), call.base_url)}


def _close_portal(call: Call) -> dict[str, Any]:
    session = call.site.portal_sessions.get(call.match["portal"])
    if session is None:
        raise Refused(404, "resource_not_found", "Sorry, we couldn't find that portal session")
    session.status = "logged_out"
    return {"portal_session": _shown_portal(session, call.base_url)}


def _events(call: Call) -> dict[str, Any]:
    found, after = listing(
        call.site.events, call.parameters, {"id", "event_type", "occurred_at", "source"}, "occurred_at"
    )
    return _listed("event", found, after)


def _event(call: Call) -> dict[str, Any]:
    found = next((event for event in call.site.events if event["id"] == call.match["event"]), None)
    if found is None:
        raise Refused(404, "resource_not_found", f"Sorry, we couldn't find {call.match['event']}", param="event_id")
    return {"event": found}


def _time_machine(call: Call) -> dict[str, Any]:
    now = call.site.now
    machine = {"name": "delorean", "time_travel_status": "succeeded", "genesis_time": now, "destination_time": now}
    return {"time_machine": machine | {"object": "time_machine"}}


def _travel(call: Call) -> dict[str, Any]:
    said = needed(call.parameters, "destination_time")
    try:
        call.site.clock.travel(int(said))
    except ValueError as refused:
        raise WrongParameter("destination_time", f"destination_time : {refused}") from None
    call.site.live()
    return _time_machine(call)


def _start_afresh(call: Call) -> dict[str, Any]:
    call.site.start_afresh()
    return _time_machine(call)


ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("POST", "/customers", _create_customer),
    ("GET", "/customers", _customers),
    ("GET", "/customers/{customer}", _customer),
    ("POST", "/customers/{customer}", _change_customer),
    ("GET", "/customers/{customer}/subscriptions", _of_customer),
    ("GET", "/subscriptions", _subscriptions),
    ("GET", "/subscriptions/{subscription}", _subscription),
    ("GET", "/subscriptions/{subscription}/subscription_entitlements", _entitlements),
    ("POST", "/hosted_pages/checkout_new_for_items", _checkout_new),
    ("POST", "/hosted_pages/checkout_existing_for_items", _checkout_existing),
    ("GET", "/hosted_pages/{page}", _hosted_page),
    ("POST", "/hosted_pages/{page}/acknowledge", _acknowledge),
    ("POST", "/portal_sessions", _open_portal),
    ("POST", "/portal_sessions/{portal}/logout", _close_portal),
    ("GET", "/events", _events),
    ("GET", "/events/{event}", _event),
    ("GET", "/time_machines/delorean", _time_machine),
    ("POST", "/time_machines/delorean/travel_forward", _travel),
    ("POST", "/time_machines/delorean/start_afresh", _start_afresh),
)


def api_routes(site: Site, gate: Gate, base_url: Callable[[], str]) -> list[web.RouteDef]:
    """Return the API's routes."""

    def endpoint(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            gate.requests.append((request.method, request.path))
            refusal = _refusal(request, gate, site)
            if refusal is not None:
                return refusal
            key = request.headers.get(IDEMPOTENCY)
            if key in gate.answered:
                status, text = gate.answered[key]
                headers = {f"{IDEMPOTENCY.removesuffix('-key')}-replayed": "true"}
                return web.Response(text=text, status=status, content_type="application/json", headers=headers)
            response = await _answered(request, handler, site, base_url())
            if key is not None and request.method == "POST":
                gate.answered[key] = (response.status, str(response.text))
            return response

        return answer

    return [
        *(web.route(method, f"/api/v2{path}", endpoint(handler)) for method, path, handler in ROUTES),
        web.route("*", "/api/v2/{rest:.*}", endpoint(_not_found)),
    ]


def _refusal(request: web.Request, gate: Gate, site: Site) -> web.Response | None:
    if gate.down:
        return web.Response(
            text="<html>503 Service Temporarily Unavailable</html>", status=503, content_type="text/html"
        )
    if not _knows_key(request, gate.api_key):
        return error(401, "api_authentication_failed", "Sorry, authentication failed. Invalid api key")
    if not gate.admit(site.clock()):
        return error(429, "api_request_limit_exceeded", "Sorry, access limit reached. Try after some time")
    if request.method == "POST" and request.body_exists and request.content_type != FORM:
        return error(400, "invalid_request", "The content type is not application/x-www-form-urlencoded")
    return None


def _knows_key(request: web.Request, key: str) -> bool:
    said = request.headers.get("Authorization", "")
    return hmac.compare_digest(said.encode(), encode_basic_auth(key, "").encode())


async def _answered(request: web.Request, handler: Handler, site: Site, base_url: str) -> web.Response:
    sent = request.query if request.method == "GET" else await request.post()
    parameters = {name: str(value) for name, value in sent.items()}
    site.live()
    try:
        body = handler(Call(site, base_url, dict(request.match_info), parameters))
    except Refused as refused:
        return error(refused.status, refused.code, str(refused), refused.kind, refused.param)
    except WrongParameter as wrong:
        return error(400, "param_wrong_value", str(wrong), param=wrong.name)
    return web.Response(text=json.dumps(body), content_type="application/json")


def _not_found(_call: Call) -> dict[str, Any]:
    raise Refused(404, "resource_not_found", "The path is not known")
