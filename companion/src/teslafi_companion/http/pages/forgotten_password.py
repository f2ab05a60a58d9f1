"""A new password by a link in a mail; the second factor is asked for as ever."""

from aiohttp import web

from teslafi_companion.domain.accounts import account, factors, lockout, throttle
from teslafi_companion.domain.accounts.account import RESET, Account, MailLink
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address
from teslafi_companion.domain.accounts.passwords import PasswordRefused, context_words
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.http.page import DEVICE, render
from teslafi_companion.http.received import query, typed
from teslafi_companion.http.services import services, visitor_of
from teslafi_companion.store.database import Transaction

from .mail_links import may_mail, used_link
from .sign_in import WRONG_FACTOR, typed_proof
from .words import waiting


async def form(request: web.Request) -> web.Response:
    """Ask for the address."""
    return await render(request, "forgotten_password.html", email="")


async def send(request: web.Request) -> web.Response:
    """Take an address; whether it has an account is told by mail alone."""
    parts, email = services(request), await typed(request, "email")
    try:
        address = parse_address(email)
    except AddressRefused as refusal:
        return await render(request, "forgotten_password.html", status=400, email=email, error=str(refusal))
    async with may_mail(request, RESET, address) as may:
        if may:
            async with parts.store.transaction() as transaction:
                await account.ask_reset(transaction, address)
    return await render(request, "check_mail.html", email=address, again="/forgotten-password")


async def new_form(request: web.Request) -> web.Response:
    """Ask for the new password."""
    return await _ask(request, query(request).get("token", ""))


async def _ask(request: web.Request, token: str, error: str | None = None) -> web.Response:
    async with services(request).store.reading() as transaction:
        owner = await _owner(transaction, await account.find_link(transaction, RESET, token))
    if owner is None:
        return await render(request, "link_used.html", status=400)
    status = 200 if error is None else 400
    return await render(request, "new_password.html", status=status, token=token, owner=owner, error=error)


async def _owner(transaction: Transaction, link: MailLink | None) -> Account | None:
    return await account.load(transaction, link.account_id) if link and link.account_id else None


async def new(request: web.Request) -> web.Response:
    """Set the new password: the link and, where there is one, the second factor have to be right."""
    token = await typed(request, "token")
    async with used_link(request, RESET, token) as link:
        return await _new(request, token, link)


async def _new(request: web.Request, token: str, link: MailLink | None) -> web.Response:
    parts, visitor = services(request), visitor_of(request)
    async with parts.store.reading() as transaction:
        owner = await _owner(transaction, link)
    if owner is None:
        return await render(request, "link_used.html", status=400)
    password = await typed(request, "password")
    try:
        context = context_words(parts.settings.service_name, owner.email)
        await parts.passwords.judge(password, second_factor=owner.has_second_factor, context=context)
    except PasswordRefused as refusal:
        return await _ask(request, token, str(refusal))
    phc = await parts.passwords.hash(password)
    if owner.has_second_factor and not await _is_proved(request, owner, visitor):
        async with parts.store.reading() as transaction:
            wait = await throttle.wait_of(transaction, lockout.at_reset(owner))
        return await _ask(request, token, waiting(wait) or WRONG_FACTOR)
    async with parts.store.transaction() as transaction:
        device = await account.reset_password(transaction, token, phc, visitor)
        if device is not None:
            await lockout.unlock(transaction, owner)
    if device is None:
        return await render(request, "link_used.html", status=400)
    response = await render(request, "confirmed.html", what="password")
    DEVICE.set(request, response, device)
    return response


async def _is_proved(request: web.Request, owner: Account, visitor: Visitor) -> bool:
    store = services(request).store
    method, proof = await typed_proof(request)
    reservation = await factors.reserve(store, owner, lockout.at_reset(owner), visitor)
    if reservation is None:
        return False
    async with throttle.judging(store, reservation), store.transaction() as transaction:
        return await factors.prove(transaction, reservation, owner, method, proof, visitor)


def routes() -> list[web.RouteDef]:
    """Return the pages of a forgotten password."""
    return [
        web.get("/forgotten-password", form),
        web.post("/forgotten-password", send),
        web.get("/forgotten-password/new", new_form),
        web.post("/forgotten-password/new", new),
    ]
