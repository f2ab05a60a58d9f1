"""Tesla's envelopes and error bodies, word for word as documented or recorded ("Response codes")."""

from collections.abc import Mapping
import secrets
from typing import Any

from aiohttp import web


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(
        self,
        status: int,
        error: str | None = None,
        *,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer `status` with the JSON `error`, a plain `text`, or no body."""
        super().__init__(f"{status} {error or text or ''}")
        self.status = status
        self.error = error
        self.text = text
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """Return the answer."""
        headers = {**self.headers, "x-txid": secrets.token_hex(16)}
        if self.error is not None:
            body = {"response": None, "error": self.error, "error_description": ""}
            return web.json_response(body, status=self.status, headers=headers)
        return web.Response(text=self.text, status=self.status, headers=headers)


def answered(response: Any, **extra: Any) -> web.Response:  # noqa: ANN401 - JSON
    """Return a success in Tesla's envelope."""
    return web.json_response({"response": response, **extra}, headers={"x-txid": secrets.token_hex(16)})


def asleep() -> Refused:
    """The car is asleep or offline."""
    return Refused(408, "vehicle unavailable: vehicle is offline or asleep")


def missing_scopes() -> Refused:
    """The token lacks a scope."""
    return Refused(403, "Unauthorized missing scopes")


def not_found() -> Refused:
    """The car or resource is none of the account's."""
    return Refused(404, "not_found")


def out_of_region(home: str) -> Refused:
    """The account lives at another server."""
    text = (
        f"user out of region, use base URL: {home}, see "
        "https://developer.tesla.com/docs/fleet-api#regional-requirements"
    )
    return Refused(421, text, headers={"Alt-Svc": f'h2="{home}"'})


def unregistered(client_id: str) -> Refused:
    """The application has no partner account here."""
    return Refused(
        412,
        f"Account {client_id} must be registered in the current region. Next step: Use this endpoint "
        "https://developer.tesla.com/docs/fleet-api/endpoints/partner-endpoints#register to call in this region.",
    )


def too_many(seconds: int, limit: int) -> Refused:
    """More requests than a car may be asked in a minute."""
    headers = {
        "Retry-After": str(seconds),
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(seconds),
    }
    return Refused(429, text=f"Retry in {seconds} seconds", headers=headers)
