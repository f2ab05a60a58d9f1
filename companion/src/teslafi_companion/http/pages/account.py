"""The account's own pages: overview, address, password, sessions, activity, export, end."""

from collections.abc import Mapping
from itertools import groupby
import json
import re
from typing import Final
from uuid import UUID

from aiohttp import web
from yarl import URL

from teslafi_companion.audit import page_of
from teslafi_companion.domain.accounts import account, factors, recovery, sessions
from teslafi_companion.domain.accounts.account import CHANGE_EMAIL
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address
from teslafi_companion.domain.accounts.passwords import PasswordRefused, context_words
from teslafi_companion.domain.accounts.step_up import Purpose
from teslafi_companion.domain.billing import mirror
from teslafi_companion.domain.links import consent
from teslafi_companion.domain.links.links import end_all_links, links_of
from teslafi_companion.http.guard import Visit, find_visit, fresh, renewed, signed_in
from teslafi_companion.http.page import SESSION, render, see
from teslafi_companion.http.received import query, typed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.language import N_, languages
from teslafi_companion.settings import MY_HOME_ASSISTANT, Settings

from .command_words import COMMANDS, REASONS, RESULTS
from .mail_links import may_mail, used_link
from .subscription import lead_to_checkout, shown
from .words import EVENTS, KINDS, METHODS

_COMMAND: Final = ("command", "vehicle", "user", "result", "reason", "answer", "instance")
_EVENTS_SHOWN: Final = 100
VIN_SHOWN: Final = 6
"""How many of the last characters of a VIN a command is recorded with."""
_ROW: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

MY_INTEGRATION: Final = "https://my.home-assistant.io/redirect/integration/?domain=teslafi"
CONFIRMING_SECONDS: Final = "5"
"""After how long the page loads itself again while a payment is being confirmed."""
DONE: Final = {
    "app": N_("Your authenticator app is set up."),
    "app-removed": N_("The authenticator app was removed."),
    "email": N_("We sent an email to the new address. Open the link in it to confirm the address."),
    "kept": N_("Your two-factor authentication stays on."),
    "language": N_("The language was changed."),
    "notices-off": N_(
        "You no longer get emails about sign-ins. You'll still be notified about changes to your security settings."
    ),
    "notices-on": N_("You get an email about every new sign-in."),
    "passkey": N_("The passkey was added."),
    "passkey-removed": N_("The passkey was removed."),
    "password": N_("Your password was changed, and all other sessions were signed out."),
    "portal": N_("Your changes appear below as soon as they are confirmed. Reload this page in a moment."),
    "checkout": N_("Your payment is being confirmed. This page updates automatically in a moment; don't pay again."),
    "subscribed": N_("Thank you. Your subscription is active."),
    "not-subscribed": N_("Nothing was paid."),
    "everywhere": N_("All other browsers were signed out, and no Home Assistant is linked anymore."),
    "session": N_("The session was signed out."),
    "sessions": N_("All other sessions were signed out."),
}
"""Word in the address after something was done -> the sentence on the page."""


_AFTER_PAYING: Final = frozenset({DONE["checkout"], DONE["subscribed"]})


def _home_assistant(settings: Settings) -> str | None:
    """Return where the visitor's own Home Assistant goes on: My Home Assistant knows, or there is just one."""
    if MY_HOME_ASSISTANT in settings.oauth_redirect_uris:
        return MY_INTEGRATION
    if len(settings.oauth_redirect_uris) == 1:
        return str(URL(settings.oauth_redirect_uris[0]).origin() / "config/integrations/integration/teslafi")
    return None


def done(request: web.Request) -> str | None:
    """Return the sentence about what was just done."""
    return DONE.get(query(request).get("done", ""))


async def landing(request: web.Request) -> web.Response:
    """Show the front door; who is signed in goes to the account."""
    if await find_visit(request) is not None:
        return see("/account")
    return await render(request, "landing.html", open=services(request).settings.sign_up_open)


@signed_in
async def overview(request: web.Request, visit: Visit) -> web.Response:
    """Show how the account is, with what should be done first."""
    async with services(request).store.reading() as transaction:
        removal = await factors.removal_due(transaction, visit.owner.id)
        codes = await recovery.left(transaction, visit.owner.id)
        kept = await recovery.are_kept(transaction, visit.owner.id)
        low = transaction.policy.recovery_codes_low
    subscription = await shown(request, visit)
    sentence = done(request)
    if sentence == DONE["checkout"] and subscription is not None and subscription.access.granted:
        sentence = DONE["subscribed"]
    response = await render(
        request,
        "account.html",
        visit=visit,
        subscription=subscription,
        done=sentence,
        back_to=_home_assistant(services(request).settings) if sentence in _AFTER_PAYING else None,
        removal=removal,
        codes_left=codes,
        codes_low=codes <= low,
        codes_kept=kept,
    )
    if sentence == DONE["checkout"]:
        # What opens the page asks nobody; the worker does, in a moment
        response.headers["Refresh"] = CONFIRMING_SECONDS
    lead_to_checkout(request, response)
    return response


@signed_in
@fresh(Purpose.EMAIL)
async def email_form(request: web.Request, visit: Visit) -> web.Response:
    """Ask for the new address."""
    return await render(request, "email.html", visit=visit, email="")


@signed_in
@fresh(Purpose.EMAIL)
async def email(request: web.Request, visit: Visit) -> web.Response:
    """Write to the new address."""
    parts, text = services(request), await typed(request, "email")
    try:
        address = parse_address(text)
    except AddressRefused as refusal:
        return await render(request, "email.html", status=400, visit=visit, email=text, error=str(refusal))
    async with may_mail(request, CHANGE_EMAIL, address) as may:
        if may:
            async with parts.store.transaction() as transaction:
                await account.ask_change_email(transaction, visit.owner, address, visitor_of(request))
    return see("/account?done=email")


async def email_confirm_form(request: web.Request) -> web.Response:
    """Show the button of a mail's link."""
    return await render(request, "confirm.html", token=query(request).get("token", ""))


async def email_confirm(request: web.Request) -> web.Response:
    """Give the account its new address."""
    token, changed = await typed(request, "token"), None
    async with used_link(request, CHANGE_EMAIL, token) as link:
        if link is not None:
            async with services(request).store.transaction() as transaction:
                changed = await account.confirm_change_email(transaction, token, visitor_of(request))
    if changed is None:
        return await render(request, "link_used.html", status=400)
    return await render(request, "confirmed.html", what="email")


@signed_in
@fresh(Purpose.PASSWORD)
async def password_form(request: web.Request, visit: Visit) -> web.Response:
    """Ask for the new password."""
    return await render(request, "password.html", visit=visit)


@signed_in
@fresh(Purpose.PASSWORD)
async def password(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Set the new password; this session stays, with a new token."""
    parts, text = services(request), await typed(request, "password")
    try:
        await parts.passwords.judge(
            text,
            second_factor=visit.owner.has_second_factor,
            context=context_words(parts.settings.service_name, visit.owner.email),
        )
    except PasswordRefused as refusal:
        return await render(request, "password.html", status=400, visit=visit, error=str(refusal))
    phc = await parts.passwords.hash(text)
    async with parts.store.transaction() as transaction:
        await account.set_password(
            transaction, visit.owner.id, phc, visitor_of(request), how="on the account page", keep=visit.session.id
        )
    return await renewed(request, visit, see("/account?done=password"))


@signed_in
async def sessions_list(request: web.Request, visit: Visit) -> web.Response:
    """Show where the account is signed in."""
    async with services(request).store.reading() as transaction:
        found = await sessions.sessions_of(transaction, visit.owner.id)
    return await render(request, "sessions.html", visit=visit, done=done(request), sessions=found, methods=METHODS)


@signed_in
async def end_session(request: web.Request, visit: Visit) -> web.Response:
    """Sign one session out."""
    try:
        session_id = UUID(request.match_info["session"])
    except ValueError as fault:
        raise web.HTTPNotFound from fault
    async with services(request).store.transaction() as transaction:
        if not await sessions.end_session(transaction, visit.owner.id, session_id):
            raise web.HTTPNotFound
    return see("/account/sessions?done=session")


@signed_in
async def end_others(request: web.Request, visit: Visit) -> web.Response:
    """Sign all other sessions out."""
    async with services(request).store.transaction() as transaction:
        await sessions.end_all(transaction, visit.owner.id, keep=visit.session.id)
    return see("/account/sessions?done=sessions")


@signed_in
async def end_everywhere(request: web.Request, visit: Visit) -> web.Response:
    """Sign everything out but this browser: sessions, known devices, linked Home Assistants."""
    async with services(request).store.transaction() as transaction:
        await account.sign_out_everywhere(transaction, visit.owner, visit.session.id)
        await end_all_links(transaction, visit.owner.id, visitor_of(request))
    return see("/account/sessions?done=everywhere")


def _command(detail: Mapping[str, object]) -> dict[str, str]:
    """Return what is known of a command; earlier versions wrote down less."""
    return {name: str(detail.get(name, "")) for name in _COMMAND}


@signed_in
async def activity(request: web.Request, visit: Visit) -> web.Response:
    """Show the account's own part of the audit log, page by page."""
    said, kind = query(request).get("before", ""), query(request).get("kind", "")
    before = int(said) if _ROW.fullmatch(said) else None
    kind = kind if kind in KINDS else ""
    store = services(request).store
    async with store.reading() as transaction:
        entries, older = await page_of(
            transaction,
            visit.owner.id,
            transaction.policy.audit_visible,
            before=before,
            limit=_EVENTS_SHOWN,
            events=KINDS[kind][1] if kind else (),
        )
        allowed = await consent.of_account(transaction, visit.owner.id)
    days = [(day, list(of_day)) for day, of_day in groupby(entries, lambda entry: entry.at.date())]
    return await render(
        request,
        "activity.html",
        visit=visit,
        days=days,
        older=older,
        kind=kind,
        kinds={name: words for name, (words, _) in KINDS.items()},
        events=EVENTS,
        command=_command,
        cars={vehicle.vin[-VIN_SHOWN:]: vehicle.name for controls in allowed.values() for vehicle in controls.vehicles},
        commands=COMMANDS,
        results=RESULTS,
        reasons=REASONS,
    )


@signed_in
@fresh(Purpose.EXPORT)
async def export_form(request: web.Request, visit: Visit) -> web.Response:
    """Offer the download."""
    return await render(request, "export.html", visit=visit)


@signed_in
@fresh(Purpose.EXPORT)
async def export(request: web.Request, visit: Visit) -> web.Response:
    """Send everything that is kept about the account, as JSON."""
    async with services(request).store.transaction() as transaction:
        content = await account.export(transaction, visit.owner)
        content["links"] = [
            {
                "name": link.instance.name,
                "linked_at": link.created_at.isoformat(),
                "last_contact": link.contact_at.isoformat(),
                "scopes": sorted(link.scopes),
            }
            for link in await links_of(transaction, visit.owner.id)
        ]
        content["subscriptions"] = [
            {
                "id": one.id,
                "status": one.status,
                "item_prices": list(one.item_prices),
                "term_end": one.term_end.isoformat() if one.term_end else None,
            }
            for one in (await mirror.known_of(transaction, visit.owner.id)).subscriptions
        ]
    return web.Response(
        text=json.dumps(content, ensure_ascii=False, indent=2),
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="teslafi-account.json"'},
    )


@signed_in
@fresh(Purpose.DELETE)
async def delete_form(request: web.Request, visit: Visit) -> web.Response:
    """Say what goes, and ask."""
    return await render(request, "delete.html", visit=visit)


@signed_in
@fresh(Purpose.DELETE)
async def delete(request: web.Request, visit: Visit) -> web.Response:
    """Delete the account."""
    async with services(request).store.transaction() as transaction:
        await account.end(transaction, visit.owner, visitor_of(request))
    response = await render(request, "confirmed.html", what="deleted")
    SESSION.clear(request, response)
    return response


@signed_in
async def choose_language(request: web.Request, visit: Visit) -> web.Response:
    """Set the language of the account's pages and letters; an unknown one leaves it to the browser."""
    said = await typed(request, "language")
    chosen = said if said in languages() else None
    async with services(request).store.transaction() as transaction:
        await account.set_language(transaction, visit.owner, chosen)
    return see("/account?done=language")


def routes() -> list[web.RouteDef]:
    """Return the account's pages."""
    return [
        web.get("/", landing),
        web.post("/account/language", choose_language),
        web.get("/account", overview),
        web.get("/account/email", email_form),
        web.post("/account/email", email),
        web.get("/account/email/confirm", email_confirm_form),
        web.post("/account/email/confirm", email_confirm),
        web.get("/account/password", password_form),
        web.post("/account/password", password),
        web.get("/account/sessions", sessions_list),
        web.post("/account/sessions/others/end", end_others),
        web.post("/account/sessions/everywhere/end", end_everywhere),
        web.post("/account/sessions/{session}/end", end_session),
        web.get("/account/activity", activity),
        web.get("/account/export", export_form),
        web.post("/account/export", export),
        web.get("/account/delete", delete_form),
        web.post("/account/delete", delete),
    ]
