"""Proving a factor freshly, for one purpose, on the way to a page that needs it."""

import json
from typing import Final

from aiohttp import web

from teslafi_companion.domain.accounts import lockout, passkeys, throttle
from teslafi_companion.domain.accounts.confirmation import confirm
from teslafi_companion.domain.accounts.step_up import REQUIREMENTS, Method, Purpose, methods_for
from teslafi_companion.http.guard import Visit, signed_in
from teslafi_companion.http.page import SESSION, own_path, render, see
from teslafi_companion.http.received import query, typed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.language import N_

from .sign_in import WRONG_FACTOR, typed_proof
from .words import waiting

NOT_THE_OWNERS: Final = N_("The password is not correct.")


def _purpose(text: str) -> Purpose:
    try:
        return Purpose(text)
    except ValueError as fault:
        raise web.HTTPNotFound from fault


@signed_in
async def form(request: web.Request, visit: Visit) -> web.Response:
    """Ask for a proof, by the ways that this account and this purpose have."""
    back = own_path(query(request).get("next", ""))
    return await _ask(request, visit, _purpose(query(request).get("purpose", "")), back)


async def _ask(
    request: web.Request, visit: Visit, purpose: Purpose, back: str, error: str | None = None
) -> web.Response:
    methods = methods_for(visit.owner, purpose)
    question = None
    if Method.PASSKEY in methods:
        async with services(request).store.transaction() as transaction:
            question = json.dumps(dict(await passkeys.begin_proof(transaction, visit.owner.id, visit.token)))
    return await render(
        request,
        "step_up.html",
        status=200 if error is None else 400,
        visit=visit,
        purpose=purpose.value,
        words=REQUIREMENTS[purpose].words,
        methods={method.value for method in methods},
        next=back,
        question=question,
        error=error,
    )


@signed_in
async def send(request: web.Request, visit: Visit) -> web.Response:
    """Check the proof and go on."""
    parts, purpose = services(request), _purpose(await typed(request, "purpose"))
    back = own_path(await typed(request, "next"))
    password = await typed(request, "password")
    method, proof = (Method.PASSWORD, password) if password else await typed_proof(request)
    token = await confirm(
        parts.store,
        parts.passwords,
        visit.owner,
        visit.session,
        purpose,
        method,
        proof,
        visitor_of(request),
        bound_to=visit.token,
    )
    if token is None:
        async with parts.store.reading() as transaction:
            wait = await throttle.wait_of(transaction, lockout.at_step_up(visit.owner))
        error = waiting(wait) or (NOT_THE_OWNERS if password else WRONG_FACTOR)
        return await _ask(request, visit, purpose, back, error)
    response = see(back)
    SESSION.set(request, response, token)
    return response


def routes() -> list[web.RouteDef]:
    """Return the page of the fresh proof."""
    return [web.get("/step-up", form), web.post("/step-up", send)]
