"""Who may open what: signed in, freshly proved, and with a form that our own page sent."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
import hmac
from typing import Final
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from teslafi_companion.domain.accounts import account, sessions, throttle
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.factors import CredentialsChanged
from teslafi_companion.domain.accounts.sessions import Session
from teslafi_companion.domain.accounts.step_up import Method, Purpose, is_fresh

from .page import SESSION, own_path, see
from .received import header, path_and_query, typed
from .services import services, visitor_of

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FOR_MACHINES: Final = (
    "/api/",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/device_authorization",
    "/.well-known/",
    "/webhooks/",
)
"""Paths that take no cookie, so that no other site can use somebody's browser for them."""
ACCOUNT: Final = web.RequestKey("account", str)
"""Whose account a request is about, for the log: who was refused what."""
CHANGES: Final = throttle.Rule("changes", 120, timedelta(minutes=10))
"""What one network sends from the pages of one account: far above what a person does."""
TOKEN_FIELD: Final = "csrf"  # noqa: S105 - a field's name


@dataclass(frozen=True)
class Visit:
    """Somebody who is signed in: the session with its token, the account, and the tokens that its forms may carry."""

    session: Session
    token: str
    owner: Account
    forms: tuple[str, ...]

    @property
    def csrf(self) -> str:
        """Return the token of the forms of its pages."""
        return self.forms[0]


type Signed = Callable[[web.Request, Visit], Awaitable[web.StreamResponse]]
type Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_for_machines(path: str) -> bool:
    """Say whether a path is called by programs, which read JSON and send no cookies."""
    return path.startswith(FOR_MACHINES)


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site makes a browser send."""
    if request.method not in SAFE and not is_for_machines(request.path) and not _from_our_page(request):
        raise web.HTTPForbidden(reason="another site")
    return await handler(request)


def _from_our_page(request: web.Request) -> bool:
    site = header(request, "Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return header(request, "Origin") == services(request).settings.origin


async def find_visit(request: web.Request) -> Visit | None:
    """Return who is signed in; notes the time once a minute, so that the session stays alive."""
    token = SESSION.read(request)
    if not token:
        return None
    store = services(request).store
    async with store.reading() as transaction:
        session = await sessions.find_session(transaction, token)
        owner = await account.load(transaction, session.account_id) if session else None
        now = transaction.now
    if session is None or owner is None:
        return None
    if sessions.wants_touch(session, now):
        async with store.transaction() as transaction:
            await sessions.touch(transaction, session)
    keys = store.cipher.signing_keys("csrf", now, store.settings.policy.session_absolute)
    forms = tuple(hmac.digest(key, session.id.bytes, "sha256").hex() for key in keys)
    return Visit(session, token, owner, forms)


def signed_in(handler: Signed) -> Plain:
    """Open a page to who is signed in; the others sign in first and come back."""

    @wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        visit = await find_visit(request)
        if visit is None:
            return see(f"/sign-in?{urlencode({'next': _back_to(request)})}")
        request[ACCOUNT] = str(visit.owner.id)
        if request.method not in SAFE:
            sent = await typed(request, TOKEN_FIELD) or header(request, "X-CSRF-Token") or ""
            if not any(hmac.compare_digest(sent.encode(), form.encode()) for form in visit.forms):
                raise web.HTTPForbidden(reason="form of another session")
            await _count_change(request, visit)
        return await handler(request, visit)

    return guarded


async def _count_change(request: web.Request, visit: Visit) -> None:
    """Let one network change only so much of an account at a time: most changes are written down, and told by mail."""
    parts = services(request)
    key = visit.owner.id.bytes + throttle.network_key(visitor_of(request).address)
    if not (await throttle.reserve(parts.store, [throttle.Attempt(CHANGES, key)])).admitted:
        raise web.HTTPTooManyRequests


def fresh(purpose: Purpose) -> Callable[[Signed], Signed]:
    """Open a page to who has just proved a factor for this purpose; the others do so first and come back."""

    def guard(handler: Signed) -> Signed:
        @wraps(handler)
        async def guarded(request: web.Request, visit: Visit) -> web.StreamResponse:
            store = services(request).store
            if is_fresh(visit.session, visit.owner, purpose, store.clock(), store.settings.policy):
                with suppress(CredentialsChanged):
                    return await handler(request, visit)
            return see(f"/step-up?{urlencode({'purpose': purpose.value, 'next': _back_to(request)})}")

        return guarded

    return guard


def _back_to(request: web.Request) -> str:
    """Return where to come back to: this page, or for a form sent too late the page that holds it."""
    return own_path(path_and_query(request) if request.method in SAFE else request.path)


async def renewed(
    request: web.Request,
    visit: Visit,
    response: web.StreamResponse,
    *,
    proved: Method | None = None,
) -> web.StreamResponse:
    """Give the session a new token, as after every change of what protects the account.

    With `proved` the change itself was a proof of that new factor, good for more of the same.
    """
    purpose = None if proved is None else Purpose.FACTORS
    async with services(request).store.transaction() as transaction:
        token = await sessions.renew_token(transaction, visit.session, purpose=purpose, method=proved)
    if token is None:
        raise web.HTTPForbidden(reason="the session has ended")
    SESSION.set(request, response, token)
    return response
