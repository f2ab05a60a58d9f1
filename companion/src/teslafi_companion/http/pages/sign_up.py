"""Signing up: an address, and a mail that says the same to everybody who looks on; the password behind its link."""

from aiohttp import web

from teslafi_companion.domain.accounts import account
from teslafi_companion.domain.accounts.account import SIGN_UP, MailLink
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address
from teslafi_companion.domain.accounts.passwords import PasswordRefused, context_words
from teslafi_companion.http.page import language_of, render
from teslafi_companion.http.received import query, typed
from teslafi_companion.http.services import services, visitor_of

from .mail_links import may_mail, used_link


async def form(request: web.Request) -> web.Response:
    """Show the form, or that this service takes nobody new."""
    if not services(request).settings.sign_up_open:
        return await render(request, "sign_up_closed.html", status=403)
    return await render(request, "sign_up.html", email="")


async def send(request: web.Request) -> web.Response:
    """Take an address; whether it has an account is told by mail alone."""
    parts = services(request)
    if not parts.settings.sign_up_open:
        return await render(request, "sign_up_closed.html", status=403)
    email = await typed(request, "email")
    try:
        address = parse_address(email)
    except AddressRefused as refusal:
        return await render(request, "sign_up.html", status=400, email=email, error=str(refusal))
    async with may_mail(request, SIGN_UP, address) as may:
        if may:
            async with parts.store.transaction() as transaction:
                await account.ask_sign_up(transaction, address, language_of(request))
    return await render(request, "check_mail.html", email=address, again="/sign-up")


async def confirm_form(request: web.Request) -> web.Response:
    """Ask for the password; a mail scanner that opens the link makes no account."""
    token = query(request).get("token", "")
    async with services(request).store.reading() as transaction:
        link = await account.find_link(transaction, SIGN_UP, token)
    if link is None:
        return await render(request, "link_used.html", status=400)
    return await render(request, "choose_password.html", token=token, email=link.content["email"])


async def confirm(request: web.Request) -> web.Response:
    """Make the account, with the password of whoever has the mail."""
    token = await typed(request, "token")
    async with used_link(request, SIGN_UP, token) as link:
        return await _confirm(request, token, link)


async def _confirm(request: web.Request, token: str, link: MailLink | None) -> web.Response:
    parts = services(request)
    if link is None:
        return await render(request, "link_used.html", status=400)
    email, password = link.content["email"], await typed(request, "password")
    try:
        context = context_words(parts.settings.service_name, email)
        await parts.passwords.judge(password, second_factor=False, context=context)
    except PasswordRefused as refusal:
        return await render(request, "choose_password.html", status=400, token=token, email=email, error=str(refusal))
    phc = await parts.passwords.hash(password)
    async with parts.store.transaction() as transaction:
        made = await account.confirm_sign_up(transaction, token, phc, visitor_of(request))
    if made is None:
        return await render(request, "link_used.html", status=400)
    return await render(request, "confirmed.html", what="sign-up")


def routes() -> list[web.RouteDef]:
    """Return the pages of signing up."""
    return [
        web.get("/sign-up", form),
        web.post("/sign-up", send),
        web.get("/sign-up/confirm", confirm_form),
        web.post("/sign-up/confirm", confirm),
    ]
