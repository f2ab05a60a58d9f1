"""The security page: authenticator app, passkeys, recovery codes, mails about sign-ins."""

import json
from uuid import UUID

from aiohttp import web
import segno

from teslafi_companion.domain.accounts import account, factors, passkeys, recovery, throttle, totp
from teslafi_companion.domain.accounts.passkeys import PasskeyRefused
from teslafi_companion.domain.accounts.step_up import Method, Purpose
from teslafi_companion.domain.accounts.throttle import NOTICES_SET, Attempt
from teslafi_companion.domain.accounts.totp import Enrolment
from teslafi_companion.http.guard import Visit, fresh, renewed, signed_in
from teslafi_companion.http.page import render, see
from teslafi_companion.http.received import typed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.language import N_
from teslafi_companion.store.database import Transaction
from teslafi_companion.text import parse_json

from .account import done

WRONG_FIRST_CODE = N_("This code doesn't match. Check the clock of your phone, wait for the next code, and try again.")
NOT_KEPT = N_("This is not one of the codes shown before. Enter one exactly as it is written.")


@signed_in
async def overview(request: web.Request, visit: Visit) -> web.Response:
    """Show what protects the account."""
    parts = services(request)
    async with parts.store.reading() as transaction:
        known = await passkeys.passkeys_of(transaction, visit.owner.id)
        left = await recovery.left(transaction, visit.owner.id)
        kept = await recovery.are_kept(transaction, visit.owner.id)
        removal = await factors.removal_due(transaction, visit.owner.id)
    return await render(
        request,
        "security.html",
        visit=visit,
        done=done(request),
        passkeys=known,
        passkeys_possible=passkeys.available(parts.settings),
        codes_left=left,
        codes_low=left <= parts.settings.policy.recovery_codes_low,
        codes_kept=kept,
        removal=removal,
    )


@signed_in
async def set_notices(request: web.Request, visit: Visit) -> web.Response:
    """Switch the mails about sign-ins on or off."""
    wanted, store = await typed(request, "login_notices") == "on", services(request).store
    if wanted == visit.owner.login_notices:
        return see("/account/security")
    # Switching them off is told by a mail each time
    reservation = await throttle.reserve(store, [Attempt(NOTICES_SET, visit.owner.id.bytes)])
    if not reservation.admitted:
        raise web.HTTPTooManyRequests
    async with throttle.judging(store, reservation), store.transaction() as transaction:
        await account.set_login_notices(transaction, visit.owner, visitor_of(request), wanted=wanted)
    return see(f"/account/security?done=notices-{'on' if wanted else 'off'}")


@signed_in
@fresh(Purpose.FACTORS)
async def app_form(request: web.Request, visit: Visit) -> web.Response:
    """Show a new key, as a picture and as text."""
    async with services(request).store.transaction() as transaction:
        enrolment = await totp.begin(transaction, visit.owner.id, visit.owner.email)
    return await _show_key(request, visit, enrolment)


async def _show_key(request: web.Request, visit: Visit, enrolment: Enrolment, error: str | None = None) -> web.Response:
    picture = segno.make(enrolment.uri, error="m").svg_data_uri(scale=5, border=3, light="white")
    groups = " ".join(enrolment.secret[start : start + 4] for start in range(0, len(enrolment.secret), 4))
    return await render(
        request,
        "app.html",
        status=200 if error is None else 400,
        visit=visit,
        picture=picture,
        secret=groups,
        error=error,
    )


@signed_in
@fresh(Purpose.FACTORS)
async def app(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Switch the app on by its first code; recovery codes come next where there are none."""
    code, visitor = await typed(request, "code"), visitor_of(request)
    async with services(request).store.transaction() as transaction:
        enrolment = await totp.pending(transaction, visit.owner.id, visit.owner.email)
        if enrolment is None:
            return see("/account/security/app")
        right = await factors.enrol_totp(transaction, visit.owner, enrolment, code, visitor, keep=visit.session.id)
        made = await _first_codes(transaction, request, visit) if right else []
    if not right:
        return await _show_key(request, visit, enrolment, WRONG_FIRST_CODE)
    after = await _show_codes(request, visit, made) if made else see("/account/security?done=app")
    return await renewed(request, visit, after, proved=Method.CODE)


@signed_in
@fresh(Purpose.FACTORS)
async def remove_app_form(request: web.Request, visit: Visit) -> web.Response:
    """Say what removing the app means, and ask."""
    if not visit.owner.has_totp:
        return see("/account/security")
    return await render(request, "remove_app.html", visit=visit)


@signed_in
@fresh(Purpose.FACTORS)
async def remove_app(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Remove the app."""
    async with services(request).store.transaction() as transaction:
        await factors.remove_totp(transaction, visit.owner, visitor_of(request), keep=visit.session.id)
    return await renewed(request, visit, see("/account/security?done=app-removed"))


@signed_in
@fresh(Purpose.FACTORS)
async def codes_form(request: web.Request, visit: Visit) -> web.Response:
    """Offer new recovery codes."""
    if not visit.owner.has_second_factor:
        return see("/account/security")
    async with services(request).store.reading() as transaction:
        left = await recovery.left(transaction, visit.owner.id)
    return await render(request, "recovery_codes.html", visit=visit, left=left, codes=None)


@signed_in
@fresh(Purpose.FACTORS)
async def codes(request: web.Request, visit: Visit) -> web.Response:
    """Make new recovery codes and show them, this once."""
    if not visit.owner.has_second_factor:
        return see("/account/security")
    async with services(request).store.transaction() as transaction:
        made = await factors.new_recovery_codes(transaction, visit.owner, visitor_of(request), keep=visit.session.id)
    return await _show_codes(request, visit, made)


async def _first_codes(transaction: Transaction, request: web.Request, visit: Visit) -> list[str]:
    """Make the recovery codes of an account that has none; with the first factor nobody should be without."""
    if await recovery.left(transaction, visit.owner.id):
        return []
    return await factors.new_recovery_codes(transaction, visit.owner, visitor_of(request), keep=visit.session.id)


async def _show_codes(request: web.Request, visit: Visit, made: list[str]) -> web.Response:
    return await render(request, "recovery_codes.html", visit=visit, left=len(made), codes=made)


@signed_in
async def codes_kept(request: web.Request, visit: Visit) -> web.Response:
    """Take one code back as a sign that they were written down; it is not spent by that."""
    code = await typed(request, "code")
    async with services(request).store.transaction() as transaction:
        kept = await recovery.prove_kept(transaction, visit.owner.id, code)
    if not kept:
        return await render(request, "codes_kept.html", status=400, visit=visit, error=NOT_KEPT)
    return see("/account/security?done=app")


@signed_in
@fresh(Purpose.FACTORS)
async def passkey_form(request: web.Request, visit: Visit) -> web.Response:
    """Ask the browser for a new passkey."""
    return await _ask_passkey(request, visit)


async def _ask_passkey(request: web.Request, visit: Visit, error: str | None = None) -> web.Response:
    question = None
    async with services(request).store.transaction() as transaction:
        try:
            question = json.dumps(dict(await passkeys.begin_registration(transaction, visit.owner, visit.token)))
        except PasskeyRefused as refusal:
            error = str(refusal)
    status = 200 if error is None else 400
    return await render(request, "passkey.html", status=status, visit=visit, question=question, error=error)


@signed_in
@fresh(Purpose.FACTORS)
async def passkey(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Add the passkey that the browser made."""
    try:
        answer = parse_json(await typed(request, "passkey"))
    except ValueError as fault:
        raise web.HTTPBadRequest from fault
    name = await typed(request, "name")
    try:
        async with services(request).store.transaction() as transaction:
            await factors.add_passkey(
                transaction,
                visit.owner,
                visit.token,
                answer if isinstance(answer, dict) else {},
                name,
                visitor_of(request),
                keep=visit.session.id,
            )
            made = await _first_codes(transaction, request, visit)
    except PasskeyRefused as refusal:
        return await _ask_passkey(request, visit, str(refusal))
    after = await _show_codes(request, visit, made) if made else see("/account/security?done=passkey")
    return await renewed(request, visit, after, proved=Method.PASSKEY)


@signed_in
@fresh(Purpose.FACTORS)
async def remove_passkey_form(request: web.Request, visit: Visit) -> web.Response:
    """Ask whether this passkey is to go."""
    async with services(request).store.reading() as transaction:
        known = {one.id: one for one in await passkeys.passkeys_of(transaction, visit.owner.id)}
    found = known.get(_passkey_id(request))
    if found is None:
        raise web.HTTPNotFound
    return await render(request, "remove_passkey.html", visit=visit, passkey=found)


@signed_in
@fresh(Purpose.FACTORS)
async def remove_passkey(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Remove one passkey."""
    async with services(request).store.transaction() as transaction:
        removed = await factors.remove_passkey(
            transaction, visit.owner, _passkey_id(request), visitor_of(request), keep=visit.session.id
        )
    if not removed:
        raise web.HTTPNotFound
    return await renewed(request, visit, see("/account/security?done=passkey-removed"))


def _passkey_id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["passkey"])
    except ValueError as fault:
        raise web.HTTPNotFound from fault


@signed_in
async def keep(request: web.Request, visit: Visit) -> web.Response:
    """Call off the operator's removal of the second factor."""
    async with services(request).store.transaction() as transaction:
        await factors.keep_factors(transaction, visit.owner.id)
    return see("/account/security?done=kept")


def routes() -> list[web.RouteDef]:
    """Return the pages about what protects the account."""
    return [
        web.get("/account/security", overview),
        web.post("/account/security/notices", set_notices),
        web.get("/account/security/app", app_form),
        web.post("/account/security/app", app),
        web.get("/account/security/app/remove", remove_app_form),
        web.post("/account/security/app/remove", remove_app),
        web.get("/account/security/recovery-codes", codes_form),
        web.post("/account/security/recovery-codes", codes),
        web.post("/account/security/recovery-codes/kept", codes_kept),
        web.get("/account/security/passkeys/new", passkey_form),
        web.post("/account/security/passkeys/new", passkey),
        web.get("/account/security/passkeys/{passkey}/remove", remove_passkey_form),
        web.post("/account/security/passkeys/{passkey}/remove", remove_passkey),
        web.post("/account/security/keep", keep),
    ]
