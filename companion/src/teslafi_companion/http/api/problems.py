"""Errors of the API: problem details (RFC 9457) whose `type` never changes its meaning."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
import json

from aiohttp import web

from teslafi_companion.domain.words import ProblemType


class Problem(Enum):
    """What can go wrong: `type`, the status, and the sentence of `title`."""

    TOKEN_MISSING = (ProblemType.TOKEN_MISSING, HTTPStatus.UNAUTHORIZED, "An access token is needed.")
    TOKEN_REFUSED = (
        ProblemType.TOKEN_REFUSED,
        HTTPStatus.UNAUTHORIZED,
        "The access token is unknown, expired or revoked.",
    )
    STEP_UP_NEEDED = (ProblemType.STEP_UP_NEEDED, HTTPStatus.UNAUTHORIZED, "The owner has to confirm this anew.")
    SCOPE_MISSING = (ProblemType.SCOPE_MISSING, HTTPStatus.FORBIDDEN, "The link was not given this permission.")
    MALFORMED = (ProblemType.MALFORMED, HTTPStatus.BAD_REQUEST, "The body is not what the contract says.")
    CONTROLS_NOT_ALLOWED = (
        ProblemType.CONTROLS_NOT_ALLOWED,
        HTTPStatus.FORBIDDEN,
        "The owner has not allowed controls.",
    )
    SECOND_FACTOR_MISSING = (
        ProblemType.SECOND_FACTOR_MISSING,
        HTTPStatus.FORBIDDEN,
        "The account has no two-factor authentication any more.",
    )
    PROOF_OUTDATED = (
        ProblemType.PROOF_OUTDATED,
        HTTPStatus.FORBIDDEN,
        "The password or the second factor changed since controls were allowed.",
    )
    LINK_SUSPICIOUS = (
        ProblemType.LINK_SUSPICIOUS,
        HTTPStatus.FORBIDDEN,
        "The link looks unusual: the owner has to confirm it with a second factor.",
    )
    SUBSCRIPTION_NEEDED = (
        ProblemType.SUBSCRIPTION_NEEDED,
        HTTPStatus.FORBIDDEN,
        "The account's subscription gives no access.",
    )
    NOT_FOUND = (ProblemType.NOT_FOUND, HTTPStatus.NOT_FOUND, "The API has nothing at this address.")
    METHOD_NOT_ALLOWED = (
        ProblemType.METHOD_NOT_ALLOWED,
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This address has no such method.",
    )

    def __init__(self, kind: ProblemType, status: HTTPStatus, title: str) -> None:
        """Take the parts apart."""
        self.kind = kind
        self.status = status
        self.title = title


def problem(kind: Problem, detail: str | None = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the response of a problem; `detail` says what is particular this time."""
    body: dict[str, object] = {"type": kind.kind.value, "title": kind.title, "status": kind.status}
    if detail is not None:
        body["detail"] = detail
    return web.Response(
        text=json.dumps(body),
        status=kind.status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
