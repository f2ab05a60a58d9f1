"""Tesla's token endpoint: the code for a grant, and a refresh token for the next one.

Form-encoded requests and the error bodies: Tesla's developer documents, "Third-party tokens", and recorded refusals.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
import json
from typing import Any, Final

import aiohttp

from ..secret import Secret
from .body import body_of, limited
from .errors import (
    Reason,
    SignInRequired,
    TeslaError,
    TokenRequestRefused,
    UnexpectedAnswer,
    Unreachable,
    translated,
)
from .grant import OWNER_CLIENT, Grant, TokenMalformed
from .servers import Server

OWNER_SCOPE: Final = "openid email offline_access"
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)

DEAD_GRANT: Final[Mapping[str, Reason]] = {
    "login_required": Reason.LOGIN_REQUIRED,
    "invalid_grant": Reason.LOGIN_REQUIRED,
    "invalid_token": Reason.LOGIN_REQUIRED,
    "unknown user": Reason.UNKNOWN_USER,
}
"""`error` of a refusal that means the grant itself is dead."""

TROUBLE: Final = frozenset({"server_error", "temporarily_unavailable"})
"""`error` of a 400 that is trouble on Tesla's side and passes by itself."""


class TokenEndpoint:
    """Asks for tokens with a client session; keeps none."""

    def __init__(self, session: aiohttp.ClientSession, clock: Callable[[], float]) -> None:
        """Use this session and clock (epoch seconds)."""
        self._session = session
        self._clock = clock

    async def refresh(self, grant: Grant) -> Grant:
        """Return the grant's successor.

        Raise SignInRequired when the grant is dead, Unreachable or RateLimited when Tesla has trouble,
        TokenRequestRefused when the application is at fault.
        """
        if grant.refresh_token is None:
            over = grant.expires_at <= self._clock()
            raise SignInRequired(Reason.EXPIRED if over else Reason.LOGIN_REQUIRED)
        answer = await self._refresh_at(grant.server, grant.client_id, grant.refresh_token)
        return self._grant(answer, grant.client_id, before=grant)

    async def redeem(self, refresh_token: Secret, client_id: str, server: Server) -> Grant:
        """Return the first grant of a refresh token that the owner brought; raise as `refresh` does."""
        answer = await self._refresh_at(server, client_id, refresh_token)
        return self._grant(answer, client_id)

    async def _refresh_at(self, server: Server, client_id: str, refresh_token: Secret) -> Mapping[str, Any]:
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token.reveal()}
        if client_id == OWNER_CLIENT:
            form["scope"] = OWNER_SCOPE
        return await self.request(server.token, form)

    def _grant(self, answer: Mapping[str, Any], client_id: str, before: Grant | None = None) -> Grant:
        try:
            grant = Grant.from_answer(answer, client_id=client_id, now=self._clock(), before=before)
        except TokenMalformed as error:
            raise UnexpectedAnswer("Tesla's token answer holds no token") from error
        if before is not None and grant.account != before.account:
            raise UnexpectedAnswer("Tesla's token answer is another account's")
        return grant

    async def request(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Post a token request; return the answer's JSON object or raise as `refresh` does."""
        with translated():
            async with self._session.post(url, data=form, timeout=TIMEOUT, allow_redirects=False) as response:
                raw = await body_of(response)
        body = _json_object(raw)
        if response.status == HTTPStatus.OK and body is not None:
            return body
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise limited(response.headers, raw)
        raise _refusal(response.status, body)


def _json_object(raw: bytes) -> Mapping[str, Any] | None:
    """Parse the body; None when it is no JSON object."""
    try:
        body = json.loads(raw)
    except ValueError, RecursionError:
        return None
    return body if isinstance(body, dict) else None


def _refusal(status: int, body: Mapping[str, Any] | None) -> TeslaError:
    """Tell a dead grant from a wrong request and from trouble."""
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR or body is None:
        return Unreachable(f"Tesla's token endpoint has trouble ({status})")
    error = body.get("error")
    words = " ".join(text for text in (error, body.get("error_description")) if isinstance(text, str))
    if "revoked consent" in words:
        return SignInRequired(Reason.CONSENT_WITHDRAWN)
    if isinstance(error, str) and error in DEAD_GRANT:
        return SignInRequired(DEAD_GRANT[error])
    if not isinstance(error, str) or error in TROUBLE:
        return Unreachable(f"Tesla's token endpoint has trouble ({status})")
    return TokenRequestRefused(error)
