"""Signing in, by password and second factor, and signing out."""

from datetime import timedelta
import json
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from teslafi_companion.domain.accounts import account, passkeys, sessions
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_known
from teslafi_companion.domain.accounts.sessions import PendingSignIn
from teslafi_companion.domain.accounts.sign_in import (
    Refusal,
    SecondFactorWanted,
    SignedIn,
    factor_wait,
    with_password,
    with_second_factor,
)
from teslafi_companion.domain.accounts.step_up import Method
from teslafi_companion.http.guard import Visit, find_visit, signed_in
from teslafi_companion.http.page import DEVICE, PENDING, SESSION, own_path, render, see
from teslafi_companion.http.received import query, typed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.language import N_
from teslafi_companion.store.database import Transaction
from teslafi_companion.text import parse_json

from .words import waiting

WRONG: Final = N_(
    "Address or password is not correct, or there were too many attempts. "
    "After five wrong attempts, wait a few minutes."
)
"""The same whether or not it was looked at: who guesses learns nothing of that. Further on the wait is told."""
WRONG_FACTOR: Final = N_("This is not correct or was already used. Wait for the next code and try again.")


async def form(request: web.Request) -> web.Response:
    """Show the form; who is signed in goes on."""
    back = own_path(query(request).get("next", ""))
    if await find_visit(request) is not None:
        return see(back)
    return await render(request, "sign_in.html", email="", next=back)


async def send(request: web.Request) -> web.Response:
    """Check address and password."""
    back, email = own_path(await typed(request, "next")), await typed(request, "email")
    try:
        address = parse_known(email)
    except AddressRefused as refusal:
        return await render(request, "sign_in.html", status=400, email=email, next=back, error=str(refusal))
    parts = services(request)
    password = await typed(request, "password")
    outcome = await with_password(
        parts.store, parts.passwords, address, password, visitor_of(request), DEVICE.read(request)
    )
    match outcome:
        case SignedIn():
            return await _entered(request, outcome, back)
        case SecondFactorWanted(token):
            response = see(f"/sign-in/second-factor?{urlencode({'next': back})}")
            PENDING.set(request, response, token)
            return response
        case Refusal.NETWORK:
            raise web.HTTPTooManyRequests
        case Refusal.WRONG:
            return await render(request, "sign_in.html", status=400, email=email, next=back, error=WRONG)


async def _entered(request: web.Request, outcome: SignedIn, back: str) -> web.Response:
    if replaced := SESSION.read(request):
        async with services(request).store.transaction() as transaction:
            await sessions.end_replaced(transaction, replaced)
    response = see(back)
    SESSION.set(request, response, outcome.token)
    if outcome.device is not None:
        DEVICE.set(request, response, outcome.device)
    PENDING.clear(request, response)
    return response


async def _pending(request: web.Request, transaction: Transaction) -> tuple[PendingSignIn, Account] | None:
    token = PENDING.read(request)
    pending = await sessions.find_pending(transaction, token) if token else None
    owner = await account.load(transaction, pending.account_id) if pending else None
    return (pending, owner) if pending and owner else None


async def factor_form(request: web.Request) -> web.Response:
    """Ask for the second factor, by the ways that this account has."""
    return await _ask_factor(request, own_path(query(request).get("next", "")))


async def _ask_factor(request: web.Request, back: str, error: str | None = None) -> web.Response:
    async with services(request).store.transaction() as transaction:
        found = await _pending(request, transaction)
        if found is None:
            return see(f"/sign-in?{urlencode({'next': back})}")
        _, owner = found
        question = await _question(transaction, owner, PENDING.read(request) or "")
    status = 200 if error is None else 400
    return await render(
        request, "second_factor.html", status=status, next=back, error=error, owner=owner, question=question
    )


async def _question(transaction: Transaction, owner: Account, bound_to: str) -> str | None:
    """Return what a passkey is asked, as JSON; None when there is none to ask."""
    if not owner.passkeys:
        return None
    return json.dumps(dict(await passkeys.begin_proof(transaction, owner.id, bound_to)))


async def factor(request: web.Request) -> web.Response:
    """Check the second factor."""
    back, store = own_path(await typed(request, "next")), services(request).store
    method, proof = await typed_proof(request)
    async with store.reading() as transaction:
        found = await _pending(request, transaction)
    if found is None:
        return see(f"/sign-in?{urlencode({'next': back})}")
    outcome = await with_second_factor(
        store,
        found[0],
        method,
        proof,
        visitor_of(request),
        device=DEVICE.read(request),
        bound_to=PENDING.read(request) or "",
    )
    if isinstance(outcome, SignedIn):
        return await _entered(request, outcome, back)
    async with store.reading() as transaction:
        owner = await account.load(transaction, found[0].account_id)
        wait = timedelta() if owner is None else await factor_wait(transaction, owner, DEVICE.read(request))
    return await _ask_factor(request, back, waiting(wait) or WRONG_FACTOR)


async def typed_proof(request: web.Request) -> tuple[Method, str | dict[str, Any]]:
    """Return by which way somebody proves to be the owner, and the proof."""
    if answer := await typed(request, "passkey"):
        try:
            said = parse_json(answer)
        except ValueError as fault:
            raise web.HTTPBadRequest from fault
        return Method.PASSKEY, said if isinstance(said, dict) else {}
    if code := await typed(request, "recovery_code"):
        return Method.RECOVERY_CODE, code
    return Method.CODE, await typed(request, "code")


@signed_in
async def sign_out(request: web.Request, visit: Visit) -> web.Response:
    """End this session, and have the browser forget what it kept of it."""
    async with services(request).store.transaction() as transaction:
        await sessions.end_session(transaction, visit.owner.id, visit.session.id)
    response = see("/")
    SESSION.clear(request, response)
    # Not "cookies": the device stays known, so that its next sign-in is not told as one from a new device
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def routes() -> list[web.RouteDef]:
    """Return the pages of signing in and out."""
    return [
        web.get("/sign-in", form),
        web.post("/sign-in", send),
        web.get("/sign-in/second-factor", factor_form),
        web.post("/sign-in/second-factor", factor),
        web.post("/sign-out", sign_out),
    ]
