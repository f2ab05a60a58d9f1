"""The authorization server's endpoints for programs: token, device authorization, revocation, metadata."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from teslafi_companion.domain.accounts import throttle
from teslafi_companion.domain.accounts.throttle import DEVICE_NETWORK, TOKEN_NETWORK, Attempt, network_key
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links import codes, devices, tokens
from teslafi_companion.domain.links.clients import AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN, Client, find_client
from teslafi_companion.domain.links.codes import Redemption
from teslafi_companion.domain.links.faults import (
    AUTHORIZATION_PENDING,
    INVALID_CLIENT,
    INVALID_REQUEST,
    INVALID_SCOPE,
    SLOW_DOWN,
    TEMPORARILY_UNAVAILABLE,
    UNSUPPORTED_GRANT_TYPE,
    OAuthFault,
)
from teslafi_companion.domain.links.instance import parse_instance
from teslafi_companion.domain.links.pkce import METHOD
from teslafi_companion.domain.links.scopes import Acr, Scope, parse_scopes, written
from teslafi_companion.domain.links.tokens import Tokens
from teslafi_companion.http import received
from teslafi_companion.http.received import Malformed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store

type Form = Mapping[str, str]
type Grant = Callable[[Store, Client, Form, Visitor], Awaitable[Tokens | OAuthFault]]
type Endpoint = Callable[[web.Request, Form], Awaitable[web.Response]]

_NOT_STORED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_PATIENCE_SECONDS: Final = 60
_LONGEST_VALUE: Final = 2048
# A device that waits for its owner asks again and again: it has a pace of its own and guesses nothing
_UNCOUNTED: Final = frozenset({AUTHORIZATION_PENDING, SLOW_DOWN})


def metadata_of(settings: Settings) -> dict[str, object]:
    """Return the authorization server's metadata (RFC 8414)."""
    origin = settings.origin
    return {
        "issuer": origin,
        "authorization_endpoint": f"{origin}/oauth/authorize",
        "token_endpoint": f"{origin}/oauth/token",
        "device_authorization_endpoint": f"{origin}/oauth/device_authorization",
        "revocation_endpoint": f"{origin}/oauth/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE],
        "code_challenge_methods_supported": [METHOD],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": [scope.value for scope in Scope],
        "acr_values_supported": [acr.value for acr in Acr],
        "authorization_response_iss_parameter_supported": True,
    }


async def metadata(request: web.Request) -> web.Response:
    """Serve the metadata document."""
    return web.json_response(metadata_of(services(request).store.settings))


async def _form(request: web.Request) -> Form:
    """Return the form of a request from a public client; raises OAuthFault."""
    if received.header(request, "Authorization") is not None:
        raise OAuthFault(INVALID_CLIENT, "clients of this server have no secret: send client_id in the form alone")
    try:
        posted = await received.form(request)
    except Malformed as fault:
        raise OAuthFault(INVALID_REQUEST, str(fault)) from fault
    form: dict[str, str] = {}
    for name, value in posted.items():
        if name in form:
            raise OAuthFault(INVALID_REQUEST, "a parameter comes more than once")
        if len(value) > _LONGEST_VALUE:
            raise OAuthFault(INVALID_REQUEST, "a parameter is too long")
        form[name] = value
    return form


def _needed(form: Form, name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthFault(INVALID_REQUEST, f"{name} is missing")
    return value


def _endpoint(answer: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Read the form, and put every fault into the registered words."""

    async def handler(request: web.Request) -> web.Response:
        try:
            return await answer(request, await _form(request))
        except OAuthFault as fault:
            return await _refusal(request, fault)

    return handler


async def _refusal(request: web.Request, fault: OAuthFault) -> web.Response:
    """Answer a fault; a network that makes too many is told to wait instead.

    Only faults are counted: what a link does rightly is never refused because of its neighbours.
    """
    if fault.error not in _UNCOUNTED:
        attempt = Attempt(TOKEN_NETWORK, network_key(visitor_of(request).address))
        if not (await throttle.reserve(services(request).store, [attempt])).admitted:
            return _wait()
    headers = dict(_NOT_STORED)
    status = HTTPStatus.BAD_REQUEST
    if fault.error == INVALID_CLIENT and received.header(request, "Authorization") is not None:
        status = HTTPStatus.UNAUTHORIZED
        headers["WWW-Authenticate"] = 'Basic realm="no client of this server has a secret"'
    return _fault(fault, status, headers)


def _fault(fault: OAuthFault, status: HTTPStatus, headers: Mapping[str, str]) -> web.Response:
    body = {"error": fault.error, "error_description": fault.description}
    return web.json_response(body, status=status, headers=headers)


def _wait() -> web.Response:
    fault = OAuthFault(TEMPORARILY_UNAVAILABLE, "too many requests from this network: wait a minute")
    return _fault(fault, HTTPStatus.TOO_MANY_REQUESTS, _NOT_STORED | {"Retry-After": str(_PATIENCE_SECONDS)})


async def _by_code(store: Store, client: Client, form: Form, visitor: Visitor) -> Tokens | OAuthFault:
    names = ("code", "redirect_uri", "code_verifier")
    redemption = Redemption(*(_needed(form, name) for name in names))
    async with store.transaction() as transaction:
        return await codes.redeem(transaction, client, redemption, visitor)


async def _by_refresh_token(store: Store, client: Client, form: Form, visitor: Visitor) -> Tokens | OAuthFault:
    token = _needed(form, "refresh_token")
    scopes = _narrowed(form.get("scope"))
    async with store.transaction() as transaction:
        return await tokens.refresh(transaction, client, token, scopes, visitor)


def _narrowed(text: str | None) -> frozenset[Scope] | None:
    if not text:
        return None
    words = text.split(" ")
    if any(word not in tuple(Scope) for word in words):
        raise OAuthFault(INVALID_SCOPE, f"scope is made of {written(Scope)}, separated by single spaces")
    return frozenset(Scope(word) for word in words)


async def _by_device_code(store: Store, client: Client, form: Form, visitor: Visitor) -> Tokens | OAuthFault:
    device_code = _needed(form, "device_code")
    async with store.transaction() as transaction:
        return await devices.poll(transaction, client, device_code, visitor)


_GRANTS: Final[Mapping[str, Grant]] = {
    AUTHORIZATION_CODE: _by_code,
    REFRESH_TOKEN: _by_refresh_token,
    DEVICE_CODE: _by_device_code,
}


@_endpoint
async def token(request: web.Request, form: Form) -> web.Response:
    """Give tokens for a code, a refresh token or a device code (RFC 6749, 3.2)."""
    grant = _needed(form, "grant_type")
    client = find_client(form.get("client_id"))
    if grant not in client.grants:
        raise OAuthFault(UNSUPPORTED_GRANT_TYPE, f"grant_type is one of {', '.join(sorted(client.grants))}")
    given = await _GRANTS[grant](services(request).store, client, form, visitor_of(request))
    if isinstance(given, OAuthFault):
        raise given
    body = {
        "access_token": given.access,
        "token_type": "Bearer",
        "expires_in": int(given.lifetime.total_seconds()),
        "refresh_token": given.refresh,
        "scope": written(given.scopes),
    }
    return web.json_response(body, headers=_NOT_STORED)


@_endpoint
async def device_authorization(request: web.Request, form: Form) -> web.Response:
    """Begin a device grant (RFC 8628, 3.1)."""
    client = find_client(form.get("client_id"))
    scopes = parse_scopes(form.get("scope"), client.device_scopes)
    instance = parse_instance(form.get("instance_name"), form.get("instance_id"))
    store, visitor = services(request).store, visitor_of(request)
    if not (await throttle.reserve(store, [Attempt(DEVICE_NETWORK, network_key(visitor.address))])).admitted:
        return _wait()
    async with store.transaction() as transaction:
        given = await devices.ask(transaction, client, scopes, instance, visitor)
    body = {
        "device_code": given.device_code,
        "user_code": given.user_code,
        "verification_uri": f"{store.settings.origin}/device",
        "expires_in": int(given.lifetime.total_seconds()),
        "interval": int(given.interval.total_seconds()),
    }
    return web.json_response(body, headers=_NOT_STORED)


@_endpoint
async def revoke(request: web.Request, form: Form) -> web.Response:
    """End a token (RFC 7009); an unknown one is as good as ended. `token_type_hint` is not needed: both are tried."""
    client = find_client(form.get("client_id"))
    given = _needed(form, "token")
    async with services(request).store.transaction() as transaction:
        await tokens.revoke(transaction, client, given, visitor_of(request))
    return web.Response(headers=_NOT_STORED)


def endpoints() -> list[web.RouteDef]:
    """Return the routes for programs: no cookie counts here, so none needs protection from other sites' forms."""
    return [
        web.get("/.well-known/oauth-authorization-server", metadata),
        web.post("/oauth/token", token),
        web.post("/oauth/device_authorization", device_authorization),
        web.post("/oauth/revoke", revoke),
    ]
