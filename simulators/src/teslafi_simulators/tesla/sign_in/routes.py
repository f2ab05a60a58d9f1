"""Every sign-in address of the simulator, one set per host."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from ..accounts import AccountStore
from ..addresses import Addresses
from ..applications import ApplicationStore
from ..clock import Clock
from ..tokens import TokenStore
from . import authorize, consent, discovery, mfa, pages, token
from .hosts import HOSTS, Host
from .steps import SignInContext
from .throttle import Window


def sign_in_routes(
    *,
    clock: Clock,
    accounts: AccountStore,
    applications: ApplicationStore,
    tokens: TokenStore,
    addresses: Callable[[], Addresses],
    faults: token.SignInFaults | None = None,
) -> list[web.RouteDef]:
    """Return the routes of auth.tesla.com, auth.tesla.cn and fleet-auth under their prefixes.

    `addresses` is asked with each request that needs it, so that the port may be bound later.
    """
    context = SignInContext(
        clock=clock, accounts=accounts, applications=applications, tokens=tokens, addresses=addresses
    )
    requests = token.request_window(context)
    trouble = faults or token.SignInFaults()
    return [route for host in HOSTS for route in _routes(context, host, trouble, requests)]


def _routes(context: SignInContext, host: Host, faults: token.SignInFaults, requests: Window) -> list[web.RouteDef]:
    sign_in = authorize.Authorize(context, host)
    second_factor = mfa.Mfa(context, host)
    documents = discovery.Discovery(context, host)
    routes = [
        web.get(host.prefix + authorize.PATH, sign_in.get),
        web.post(host.prefix + authorize.PATH, sign_in.post),
        web.get(host.prefix + mfa.FACTORS, second_factor.factors),
        web.post(host.prefix + mfa.VERIFY, second_factor.verify),
        web.post(host.prefix + mfa.BACKUP, second_factor.attempt_backup),
        web.post(host.prefix + token.PATH, token.Token(context, host, faults, requests).post),
    ]
    if host.third_party_tokens:
        routes += [
            web.get(host.prefix + discovery.CONFIGURATION, documents.configuration),
            web.get(host.prefix + discovery.KEYS, documents.keys),
        ]
    if host.owner_app:
        consents = consent.Consent(context, host)
        routes += [
            web.get(host.prefix + consent.PATH, consents.get),
            web.post(host.prefix + consent.PATH, consents.post),
            web.get(f"{host.prefix}/void/callback", _void_callback),
            web.get(f"{host.prefix}/static/404.html", _not_found),
        ]
    return routes


async def _void_callback(_request: web.Request) -> web.Response:
    """Lead nowhere: the owner copies the address before, programs read it from the history."""
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": "../static/404.html", **pages.HEADERS})


async def _not_found(_request: web.Request) -> web.Response:
    return pages.problem_page("Page Not Found", "The page you are looking for does not exist.", HTTPStatus.NOT_FOUND)
