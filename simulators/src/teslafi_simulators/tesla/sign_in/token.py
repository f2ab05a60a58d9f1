"""`/oauth2/v3/token`: every grant, and every refusal of reference tesla-auth.md, section 6."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
import json
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import uuid4

from aiohttp import web

from ..applications import OWNER_CLIENT, Application
from ..tokens import GrantRefused, Refusal
from .hosts import Host
from .steps import SignInContext
from .throttle import TOKEN_REQUESTS, Window

PATH: Final = "/oauth2/v3/token"

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"

NO_STORE: Final = {"Cache-Control": "no-store"}

INVALID_GRANT: Final = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "
    "authorization request, or was issued to another client."
)


@dataclass(slots=True)
class SignInFaults:
    """Trouble to be met at the token endpoint: how many of the next requests end in `server_error`."""

    server_errors: int = 0


class Refused(Exception):
    """The request is answered with this status and JSON body."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Keep both, and further headers."""
        super().__init__(str(body.get("error")))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def bad_request(error: str, description: str = "") -> Refused:
    """Return a refusal of a request that is wrong in itself."""
    return Refused(HTTPStatus.BAD_REQUEST, {"error": error, "error_description": description})


REFUSALS: Final[Mapping[Refusal, tuple[int, Mapping[str, Any]]]] = {
    Refusal.CODE: (400, {"error": "invalid_auth_code", "error_description": "The code is invalid or has been used"}),
    Refusal.REDIRECT: (400, {"error": "invalid_redirect_url", "error_description": "The redirect_uri differs"}),
    Refusal.AUDIENCE: (400, {"error": "invalid_request", "error_description": "The audience is not known"}),
    Refusal.LOGIN_REQUIRED: (401, {"error": "login_required", "error_description": "Login required"}),
    Refusal.CONSENT_REVOKED: (401, {"error": "User revoked consent", "error_description": ""}),
    Refusal.UNKNOWN_USER: (401, {"response": None, "error": "unknown user", "error_description": ""}),
}

OWNER_REFUSALS: Final = {
    **REFUSALS,
    Refusal.CODE: (401, {"error": "invalid_grant", "error_description": INVALID_GRANT}),
    Refusal.REDIRECT: (401, {"error": "invalid_grant", "error_description": INVALID_GRANT}),
}
"""What the client of Tesla's own app is told: the old style."""


class Token:
    """The endpoint on one host."""

    def __init__(self, context: SignInContext, host: Host, faults: SignInFaults, requests: Window) -> None:
        """Serve `host`; `requests` counts those of each application, over all hosts."""
        self._context = context
        self._host = host
        self._faults = faults
        self._requests = requests
        self._grants: Mapping[str, Callable[[Application, Mapping[str, str]], dict[str, Any]]] = {
            "authorization_code": self._redeem,
            "refresh_token": self._refresh,
            "client_credentials": self._partner,
        }

    async def post(self, request: web.Request) -> web.Response:
        """Answer one token request."""
        try:
            fields = _authenticated(request, await _fields(request))
            client_id = fields.get("client_id", "")
            if not self._requests.remaining(client_id):
                return _too_many()
            self._requests.note(client_id)
            if self._faults.server_errors > 0:
                self._faults.server_errors -= 1
                raise self._server_error()
            body = self._grant(fields)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status, headers={**NO_STORE, **refused.headers})
        return web.json_response(body, headers=NO_STORE)

    def _grant(self, fields: Mapping[str, str]) -> dict[str, Any]:
        application = self._application(fields)
        grant = self._grants.get(fields.get("grant_type", ""))
        if grant is None:
            raise bad_request("unsupported_grant_type", "The grant_type is not supported")
        try:
            return grant(application, fields)
        except GrantRefused as refused:
            table = OWNER_REFUSALS if application.is_owner_app else REFUSALS
            raise Refused(*table[refused.refusal]) from refused

    def _application(self, fields: Mapping[str, str]) -> Application:
        """Return who asks, if this host serves them."""
        application = self._context.applications.by_client_id(fields.get("client_id", ""))
        if application is None:
            raise bad_request("unauthorized_client", "The client is not known")
        if application.is_owner_app:
            if not self._host.owner_app:
                raise bad_request("unauthorized_client", "The client is not served here")
        elif not self._host.third_party_tokens:
            raise self._server_error()
        return application

    def _redeem(self, application: Application, fields: Mapping[str, str]) -> dict[str, Any]:
        if not application.has_secret(fields.get("client_secret")):
            raise bad_request("unauthorized_client", "The client_secret is wrong")
        tokens, state = self._context.tokens.redeem_code(
            _required(fields, "code"),
            client_id=application.client_id,
            redirect_uri=_required(fields, "redirect_uri"),
            deployment=self._host.deployment,
            code_verifier=fields.get("code_verifier"),
            audience=None if application.is_owner_app else fields.get("audience"),
        )
        return tokens.answer(state=state)

    def _refresh(self, application: Application, fields: Mapping[str, str]) -> dict[str, Any]:
        """Refresh; Tesla asks for no secret here, but a wrong one is wrong."""
        secret = fields.get("client_secret")
        if secret is not None and not application.has_secret(secret):
            raise bad_request("unauthorized_client", "The client_secret is wrong")
        tokens = self._context.tokens.refresh(
            _required(fields, "refresh_token"), client_id=application.client_id, deployment=self._host.deployment
        )
        return tokens.answer()

    def _partner(self, application: Application, fields: Mapping[str, str]) -> dict[str, Any]:
        if application.client_secret is None or not application.has_secret(fields.get("client_secret")):
            raise bad_request("unauthorized_client", "The client may not have partner tokens")
        scopes = frozenset(fields.get("scope", "openid").split())
        if not application.may_ask_as_partner_for(scopes):
            raise bad_request("invalid_scope", "The application is not registered for these scopes")
        tokens = self._context.tokens.issue_partner_token(
            application, scopes, deployment=self._host.deployment, audience=fields.get("audience")
        )
        return tokens.answer()

    def _server_error(self) -> Refused:
        reference = f"{uuid4()}-{int(self._context.clock() * 1000)}"
        return Refused(
            HTTPStatus.BAD_REQUEST,
            {
                "error": "server_error",
                "error_description": "Internal server error",
                "error_uri": f"https://auth.tesla.com/error/reference/{reference}",
            },
        )


def request_window(context: SignInContext) -> Window:
    """Return the counter of token requests per application."""
    return Window(context.clock, TOKEN_REQUESTS, 1.0)


async def _fields(request: web.Request) -> dict[str, str]:
    """Read the request: form-encoded; JSON is tolerated from `ownerapi` alone."""
    if request.content_type == FORM:
        try:
            form = await request.post()
        except (ValueError, LookupError) as error:
            raise bad_request("invalid_request", "The body is no form") from error
        if len(form) != len(set(form)):
            raise bad_request("invalid_request", "A parameter is repeated")
        return {name: value for name, value in form.items() if isinstance(value, str)}
    if request.content_type == JSON:
        fields = _object(await request.read())
        if fields.get("client_id") == OWNER_CLIENT:
            return fields
    raise bad_request("invalid_request", f"The content type must be {FORM}")


def _authenticated(request: web.Request, fields: dict[str, str]) -> dict[str, str]:
    """Return the fields with the client that basic authentication names (RFC 6749, section 2.3.1).

    Its words for what is wrong with it are the RFC's: none of Tesla's were recorded.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return fields
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.casefold() == "basic" else ""
    except ValueError:
        decoded = ""
    client_id, _, client_secret = (unquote_plus(part) for part in decoded.partition(":"))
    if not client_id:
        challenge = {"WWW-Authenticate": 'Basic realm="token"'}
        body = {"error": "invalid_client", "error_description": "The Authorization header cannot be read"}
        raise Refused(HTTPStatus.UNAUTHORIZED, body, challenge)
    if "client_secret" in fields or fields.get("client_id", client_id) != client_id:
        raise bad_request("invalid_request", "The client authenticates in two ways")
    return fields | {"client_id": client_id, "client_secret": client_secret}


def _object(body: bytes) -> dict[str, str]:
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request("invalid_request", "The body is no JSON") from error
    return {name: value for name, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


def _required(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise bad_request("invalid_request", f"{name} is required")
    return value


def _too_many() -> web.Response:
    """Answer more than the limit, as the API does: plain text, and the headers in seconds."""
    headers = {
        "Retry-After": "1",
        "RateLimit-Limit": str(TOKEN_REQUESTS),
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "1",
    }
    return web.Response(text="Retry in 1 seconds", status=HTTPStatus.TOO_MANY_REQUESTS, headers=headers)
