"""The API's addresses."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from aiohttp import web

from teslafi_companion.domain.accounts.addresses import masked
from teslafi_companion.domain.billing import mirror
from teslafi_companion.domain.billing.access import NOT_REQUIRED, Use, decide
from teslafi_companion.domain.links.access import Caller
from teslafi_companion.domain.links.links import End, Link, end_link, wants_contact
from teslafi_companion.domain.links.scopes import Scope
from teslafi_companion.domain.words import API_VERSION, PRODUCT
from teslafi_companion.http.received import Malformed, document
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.store.database import Store

from . import controls
from .access import linked
from .problems import Problem, problem

OPENAPI: Final = files(__package__).joinpath("openapi.yaml")
_NOT_STORED: Final = {"Cache-Control": "no-store"}


async def about(_request: web.Request) -> web.Response:
    """Say what this is and which API it speaks, so that a client can tell before it asks for more."""
    return web.json_response({"product": PRODUCT, "version": version(PRODUCT), "api": API_VERSION})


async def openapi(_request: web.Request) -> web.Response:
    """Serve the contract."""
    return web.Response(body=OPENAPI.read_bytes(), content_type="application/yaml", charset="utf-8")


@linked(Scope.ACCOUNT, Scope.LINK)
async def status(request: web.Request, caller: Caller) -> web.Response:
    """Say how the link and its account are."""
    return web.json_response(await _status(services(request).store, caller), headers=_NOT_STORED)


@linked(Scope.ACCOUNT, Scope.LINK)
async def check_in(request: web.Request, caller: Caller) -> web.Response:
    """Say how the link, its account and controls are, and give a permit where one is asked for."""
    try:
        wants_permit = _wants_permit(await document(request))
    except (Malformed, ValueError) as fault:
        return problem(Problem.MALFORMED, str(fault))
    store = services(request).store
    permit, refusal = None, None
    if wants_permit:
        async with store.transaction() as transaction:
            decision = await controls.decide(transaction, caller, visitor_of(request))
        if decision.permit is not None:
            permit = decision.permit | controls.key_set(store)
        if decision.problem is not None:
            refusal = {"type": decision.problem.kind.value, "detail": decision.sentence}
    body = await _status(store, caller) | {"permit": permit, "refusal": refusal}
    return web.json_response(body, headers=_NOT_STORED)


def _wants_permit(said: object) -> bool:
    """Read the body; raise ValueError with what is wrong."""
    wanted = said.get("permit", False) if isinstance(said, dict) else None
    if not isinstance(wanted, bool):
        raise ValueError("the body is an object, and permit is true or false")  # noqa: TRY004 - malformed JSON
    return wanted


async def _status(store: Store, caller: Caller) -> dict[str, object]:
    link, now = caller.link, store.clock()
    return {
        "link": {
            "id": str(link.id),
            "instance_name": link.instance.name,
            "linked_at": link.created_at.isoformat(),
            "last_contact": (now if wants_contact(link, caller.generation, now) else link.contact_at).isoformat(),
            "scopes": sorted(link.scopes),
        },
        "account": {
            "email": masked(caller.email),
            "two_factor": caller.has_second_factor,
            "two_factor_methods": _methods(caller),
        },
        "subscription": await _subscription(store, link),
        "controls": _controls(caller),
    }


def _controls(caller: Caller) -> dict[str, object] | None:
    """Say what the owner allowed this link to control; None when it is nothing, or was locked."""
    if caller.allowed is None:
        return None
    return {"groups": list(caller.allowed.groups), "since": caller.allowed.since.isoformat()}


async def _subscription(store: Store, link: Link) -> dict[str, object]:
    """Say whether the account may use controls; what is old is asked for again, but never waited for."""
    if store.settings.keeper is None:
        access = NOT_REQUIRED
    else:
        async with store.reading() as transaction:
            known = await mirror.known_of(transaction, link.account_id)
            old = bool(known.subscriptions) and mirror.is_old(known, transaction)
            access = decide(known, transaction.now, mirror.rules_of(store.settings), Use.CONTROLS)
        if old:
            async with store.transaction() as transaction:
                await mirror.want_if_old(transaction, link.account_id)
    return {
        "required": access is not NOT_REQUIRED,
        "access": access.granted,
        "reason": access.reason.value,
        "renews": access.renews,
        "until": access.until.isoformat() if access.until else None,
        "manage_url": f"{store.settings.origin}/account#subscription",
    }


def _methods(caller: Caller) -> list[str]:
    return [name for name, has in (("totp", caller.has_totp), ("passkey", caller.passkeys > 0)) if has]


@linked(Scope.LINK)
async def unlink(request: web.Request, caller: Caller) -> web.Response:
    """End the caller's link."""
    async with services(request).store.transaction() as transaction:
        await end_link(transaction, caller.link, End.INSTANCE, visitor_of(request))
    return web.Response(status=204, headers=_NOT_STORED)


def _other_methods(*allowed: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def refuse(_request: web.Request) -> web.Response:
        return problem(Problem.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(allowed)})

    return refuse


async def _nothing(_request: web.Request) -> web.Response:
    return problem(Problem.NOT_FOUND)


def routes() -> list[web.RouteDef]:
    """Return the routes of the API; whatever else is asked under /api/ is answered by a problem as well."""
    reading = _other_methods("GET", "HEAD")
    return [
        web.get("/api/v1/about", about),
        web.route("*", "/api/v1/about", reading),
        web.get("/api/v1/openapi.yaml", openapi),
        web.route("*", "/api/v1/openapi.yaml", reading),
        web.get("/api/v1/status", status),
        web.post("/api/v1/status", check_in),
        web.route("*", "/api/v1/status", _other_methods("GET", "HEAD", "POST")),
        web.delete("/api/v1/link", unlink),
        web.route("*", "/api/v1/link", _other_methods("DELETE")),
        web.get("/api/v1/permit-keys", controls.keys),
        web.route("*", "/api/v1/permit-keys", reading),
        web.post("/api/v1/permit", controls.permit),
        web.route("*", "/api/v1/permit", _other_methods("POST")),
        web.delete("/api/v1/controls", controls.lock),
        web.route("*", "/api/v1/controls", _other_methods("DELETE")),
        web.post("/api/v1/commands", controls.commands),
        web.route("*", "/api/v1/commands", _other_methods("POST")),
        web.route("*", "/api/{rest:.*}", _nothing),
    ]
