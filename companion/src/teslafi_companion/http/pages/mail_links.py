"""Mails that strangers can ask for, and the links in them: how many of each, and by whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from teslafi_companion.crypto import token_hash
from teslafi_companion.domain.accounts import account, throttle
from teslafi_companion.domain.accounts.account import MailLink
from teslafi_companion.domain.accounts.addresses import EMAIL_INDEX, indexed_form
from teslafi_companion.domain.accounts.passwords import PasswordsBusy
from teslafi_companion.domain.accounts.throttle import (
    LINK_NETWORK,
    LINK_TRIES,
    Attempt,
    mail_from_network,
    mail_to_address,
    network_key,
)
from teslafi_companion.http.services import services, visitor_of


@asynccontextmanager
async def may_mail(request: web.Request, purpose: str, address: str) -> AsyncIterator[bool]:
    """Say whether another mail for this purpose is to go to an address; raises HTTPTooManyRequests for a network.

    An address that has had its mails is answered as if another one were sent: the last of them still helps, and
    whoever asked for them does not take it away. A mail that trouble of ours keeps from being written is not counted.
    """
    store = services(request).store
    by_network = mail_from_network(purpose)
    reservation = await throttle.reserve(
        store,
        [
            Attempt(by_network, network_key(visitor_of(request).address)),
            Attempt(mail_to_address(purpose), indexed_form(address), EMAIL_INDEX),
        ],
    )
    if reservation.refused_by == by_network:
        raise web.HTTPTooManyRequests
    async with throttle.judging(store, reservation):
        yield reservation.admitted


@asynccontextmanager
async def used_link(request: web.Request, purpose: str, token: str) -> AsyncIterator[MailLink | None]:
    """Give what a link stands for, before anything costly is done for it; None when it does not work.

    Raises HTTPTooManyRequests: for a network that tries links that are none, for a link that is tried all the time.
    A link that works is never refused because of the neighbours, nor for trouble of ours inside the block.
    """
    store = services(request).store
    async with store.reading() as transaction:
        link = await account.find_link(transaction, purpose, token)
    attempt = (
        Attempt(LINK_TRIES, token_hash(token))
        if link is not None
        else Attempt(LINK_NETWORK, network_key(visitor_of(request).address))
    )
    reservation = await throttle.reserve(store, [attempt])
    if not reservation.admitted:
        raise web.HTTPTooManyRequests
    async with throttle.judging(store, reservation, PasswordsBusy):
        yield link
