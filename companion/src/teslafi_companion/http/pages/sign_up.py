"""Signing up: an address, a password, and a mail that says the same to everybody who looks on."""

from aiohttp import web

from teslafi_companion.domain.accounts import account, throttle
from teslafi_companion.domain.accounts.addresses import AddressRefused, address_index, parse_address
from teslafi_companion.domain.accounts.passwords import PasswordRefused, context_words
from teslafi_companion.domain.accounts.throttle import LINK_NETWORK, MAIL_ADDRESS, MAIL_NETWORK, Attempt, network_key
from teslafi_companion.http.forms import typed
from teslafi_companion.http.page import render
from teslafi_companion.http.services import Services, services, visitor_of


async def form(request: web.Request) -> web.Response:
    """Show the form, or that this service takes nobody new."""
    if not services(request).settings.sign_up_open:
        return await render(request, "sign_up_closed.html", status=403)
    return await render(request, "sign_up.html", email="")


async def send(request: web.Request) -> web.Response:
    """Take an address and a password; whether the address has an account is told by mail alone."""
    parts = services(request)
    if not parts.settings.sign_up_open:
        return await render(request, "sign_up_closed.html", status=403)
    email = await typed(request, "email")
    try:
        address = parse_address(email)
        password = await typed(request, "password")
        context = context_words(parts.settings.service_name, address)
        await parts.passwords.judge(password, second_factor=False, context=context)
    except (AddressRefused, PasswordRefused) as refusal:
        return await render(request, "sign_up.html", status=400, email=email, error=str(refusal))
    if not await may_mail(parts, request, address):
        raise web.HTTPTooManyRequests
    phc = await parts.passwords.hash(password)
    async with parts.store.transaction() as transaction:
        await account.ask_sign_up(transaction, address, phc)
    return await render(request, "check_mail.html", email=address)


async def may_mail(parts: Services, request: web.Request, address: str) -> bool:
    """Say whether another mail may go to this address, for somebody in this network."""
    async with parts.store.transaction() as transaction:
        attempts = [
            Attempt(MAIL_ADDRESS, address_index(transaction.cipher, address)),
            Attempt(MAIL_NETWORK, network_key(visitor_of(request).address)),
        ]
        return await throttle.reserve(transaction, attempts) is None


async def may_try_link(parts: Services, request: web.Request) -> bool:
    """Say whether somebody in this network may try another link."""
    async with parts.store.transaction() as transaction:
        attempt = Attempt(LINK_NETWORK, network_key(visitor_of(request).address))
        return await throttle.reserve(transaction, [attempt]) is None


async def confirm_form(request: web.Request) -> web.Response:
    """Show the button of a mail's link; a mail scanner that opens the link confirms nothing."""
    return await render(request, "confirm.html", token=request.query.get("token", ""), what="sign-up")


async def confirm(request: web.Request) -> web.Response:
    """Make the account."""
    parts = services(request)
    if not await may_try_link(parts, request):
        raise web.HTTPTooManyRequests
    async with parts.store.transaction() as transaction:
        made = await account.confirm_sign_up(transaction, await typed(request, "token"), visitor_of(request))
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
