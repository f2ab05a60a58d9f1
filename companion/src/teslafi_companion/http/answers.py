"""What is true of every answer: headers, the log line, and a page or a problem for everything that goes wrong."""

from http import HTTPStatus
from traceback import format_tb
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
import structlog

from teslafi_companion.crypto import KeyFault
from teslafi_companion.domain.accounts.passwords import PasswordsBusy
from teslafi_companion.language import N_
from teslafi_companion.settings import Settings
from teslafi_companion.store import database as store

from . import outcome
from .guard import ACCOUNT, is_for_machines
from .page import render
from .received import Malformed, method
from .services import services

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
    "form-action {forms}; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Server": "companion",
}
STRICT_TRANSPORT: Final = "max-age=31536000; includeSubDomains"
FORMS_TO: Final = web.ResponseKey("forms_to", str)
"""Set on an answer whose form may end, by redirects, at another origin: the redirect address of an OAuth client."""

_GONE: Final = (
    N_("Page not found"),
    N_("This page doesn't exist, or the link was already used. Go to the start page."),
)
WORDS: Final = {
    400: (N_("Something went wrong"), N_("Your browser sent something unexpected. Go back and try again.")),
    403: (
        N_("Not allowed"),
        N_("This form came from another page or an older session. Go back, reload the page, and try again."),
    ),
    404: _GONE,
    405: _GONE,
    408: (
        N_("Too slow"),
        N_("Your browser took too long to send its request. Check your connection and try again."),
    ),
    413: (N_("Too large"), N_("Your browser sent more than this service accepts.")),
    429: (
        N_("Too many attempts"),
        N_("There were too many attempts from your network. Wait a few minutes and try again."),
    ),
    500: (
        N_("Something went wrong"),
        N_("Something went wrong on our side. Try again. If it keeps happening, tell the operator of this service."),
    ),
    503: (N_("Temporarily unavailable"), N_("This service isn't available right now. Try again in a minute.")),
}
BUSY: Final = (N_("Very busy"), N_("Many people are signing in right now. Wait a few seconds and try again."))
TROUBLE: Final = (*store.TROUBLE, KeyFault)
"""What fails because something of ours is out of reach: whoever asked has only to ask again."""

_WHY: Final = web.RequestKey("why", str)
"""Why something was forbidden, for the log."""

_log = structlog.get_logger("request")


@web.middleware
async def logged(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write one line for each request; never its query, its body or its headers."""

    def tell(route: str | None, status: int, seconds: float) -> None:
        _log.info(
            "answered",
            method=method(request),
            route=route,
            status=status,
            account=request.get(ACCOUNT),
            why=request.get(_WHY),
            milliseconds=round(seconds * 1000, 1),
        )

    return await outcome.handle(request, handler, tell)


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals and faults into a page with what to do, or into a problem document (RFC 9457)."""
    try:
        return await handler(request)
    except Malformed as refusal:
        return await explain(request, refusal.status, {})
    except PasswordsBusy:
        return await explain(request, 503, {"Retry-After": "5"}, BUSY)
    except TROUBLE as fault:
        _log.error("unavailable", fault=type(fault).__name__, place=format_tb(fault.__traceback__)[-3:])
        return await explain(request, 503, {"Retry-After": "30"})
    except web.HTTPException as refusal:
        if refusal.status < HTTPStatus.BAD_REQUEST:
            raise
        if refusal.status == HTTPStatus.FORBIDDEN:
            request[_WHY] = refusal.reason
        kept = {name: value for name, value in refusal.headers.items() if name in {hdrs.ALLOW, hdrs.RETRY_AFTER}}
        return await explain(request, refusal.status, kept)
    except Exception as fault:  # noqa: BLE001 - the last resort: the person gets a page, the operator the place
        # The text of an exception may hold what a person typed: its kind and its place in the code are enough
        _log.error("failed", fault=type(fault).__name__, place=format_tb(fault.__traceback__)[-3:])
        return await explain(request, 500, {})


async def explain(
    request: web.Request, status: int, headers: dict[str, str], words: tuple[str, str] | None = None
) -> web.Response:
    """Answer with what went wrong."""
    title, text = words or WORDS.get(status, WORDS[400 if status < HTTPStatus.INTERNAL_SERVER_ERROR else 500])
    if is_for_machines(request.path):
        body = {"type": "about:blank", "title": title, "status": status, "detail": text}
        answer = web.json_response(body, status=status, content_type="application/problem+json")
    else:
        answer = await render(request, "problem.html", status=status, title=title, text=text)
    answer.headers.update(headers)
    return answer


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers of every answer, as `on_response_prepare` does for pages, files and faults alike."""
    add_headers(services(request).settings, response)


def add_headers(settings: Settings, response: web.StreamResponse) -> None:
    """Set the headers that every answer has."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    forms = "'self'"
    if (elsewhere := response.get(FORMS_TO)) is not None:
        forms += f" {elsewhere}"
    response.headers["Content-Security-Policy"] = POLICY.format(forms=forms)
    if settings.base_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    response.headers.setdefault("Cache-Control", "no-store")
