"""Errors of the API: problem details (RFC 9457) whose `type` never changes its meaning."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
import json
from typing import Final

from aiohttp import web

_PREFIX: Final = "urn:teslafi:problem:"


class Problem(Enum):
    """What can go wrong: the last word of `type`, the status, and the sentence of `title`."""

    TOKEN_MISSING = ("token-missing", HTTPStatus.UNAUTHORIZED, "An access token is needed.")
    TOKEN_REFUSED = ("token-refused", HTTPStatus.UNAUTHORIZED, "The access token is unknown, expired or revoked.")
    STEP_UP_NEEDED = ("step-up-needed", HTTPStatus.UNAUTHORIZED, "The owner has to confirm this anew.")
    SCOPE_MISSING = ("scope-missing", HTTPStatus.FORBIDDEN, "The link was not given this permission.")
    MALFORMED = ("malformed", HTTPStatus.BAD_REQUEST, "The body is not what the contract says.")
    CONTROLS_NOT_ALLOWED = ("controls-not-allowed", HTTPStatus.FORBIDDEN, "The owner has not allowed controls.")
    SECOND_FACTOR_MISSING = (
        "second-factor-missing",
        HTTPStatus.FORBIDDEN,
        "The account has no two-factor authentication any more.",
    )
    PROOF_OUTDATED = (
        "proof-outdated",
        HTTPStatus.FORBIDDEN,
        "The password or the second factor changed since controls were allowed.",
    )
    LINK_SUSPICIOUS = (
        "link-suspicious",
        HTTPStatus.FORBIDDEN,
        "The link looks unusual: the owner has to confirm it with a second factor.",
    )
    SUBSCRIPTION_NEEDED = ("subscription-needed", HTTPStatus.FORBIDDEN, "The account's subscription gives no access.")
    NOT_FOUND = ("not-found", HTTPStatus.NOT_FOUND, "The API has nothing at this address.")
    METHOD_NOT_ALLOWED = ("method-not-allowed", HTTPStatus.METHOD_NOT_ALLOWED, "This address has no such method.")

    def __init__(self, word: str, status: HTTPStatus, title: str) -> None:
        """Take the parts apart."""
        self.word = word
        self.status = status
        self.title = title


def problem(kind: Problem, detail: str | None = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the response of a problem; `detail` says what is particular this time."""
    body: dict[str, object] = {"type": f"{_PREFIX}{kind.word}", "title": kind.title, "status": kind.status}
    if detail is not None:
        body["detail"] = detail
    return web.Response(
        text=json.dumps(body),
        status=kind.status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
