"""The companion's HTTP application: pages, OAuth and API, with what runs beside them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Final

from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
import structlog

from teslafi_companion.crypto import KeyFault
from teslafi_companion.domain.accounts import account, factors, notices, passkeys, sessions, sign_in, throttle, totp
from teslafi_companion.domain.billing import inbox as billing_inbox
from teslafi_companion.domain.links import purge as link_purge
from teslafi_companion.http import answers, guard
from teslafi_companion.http.api.routes import routes as api_routes
from teslafi_companion.http.oauth.routes import routes as oauth_routes
from teslafi_companion.http.pages.routes import page_routes
from teslafi_companion.http.services import SERVICES, Services, services
from teslafi_companion.http.webhooks.billing import routes as webhook_routes
from teslafi_companion.mail import outbox
from teslafi_companion.mail.outbox import OutboxWorker, Resolver
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.keyring import REFRESH, refresh_cipher
from teslafi_companion.work import billing as billing_worker
from teslafi_companion.work.billing import BillingWorker

from . import audit

LARGEST_BODY: Final = 64 * 1024
HOUSEKEEPING: Final = timedelta(seconds=30)
DATABASE_PAUSE: Final = 5.0
HEAD_LOGGED: Final = timedelta(hours=24)

RESOLVERS: Final[dict[str, Resolver]] = {
    account.SIGN_UP: account.mail_sign_up,
    account.RESET: account.mail_reset,
    account.CHANGE_EMAIL: account.mail_change_email,
    notices.DIGEST: notices.mail_digest,
}
"""Kind of an outbox row -> the work that it asks for."""

_log = structlog.get_logger(__name__)


def create_app(parts: Services, *, works: bool = True) -> web.Application:
    """Return the application; it closes neither the store nor the password threads.

    Without `works` nothing runs beside it: another process, or a test, does that work.
    """
    app = web.Application(
        middlewares=[parts.metrics.middleware(), answers.logged, answers.explained, guard.same_origin],
        client_max_size=LARGEST_BODY,
    )
    app[SERVICES] = parts
    app.on_response_prepare.append(answers.harden)
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    app.add_routes([*page_routes(), *oauth_routes(), *api_routes(), *webhook_routes()])
    if works:
        app.cleanup_ctx.append(_beside)
    return app


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process serves."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer that the database answers as well."""
    try:
        async with services(request).store.reading() as transaction:
            await transaction.connection.execute(text("SELECT 1"))
    except OSError, SQLAlchemyError:
        return web.json_response({"status": "database unreachable"}, status=503)
    return web.json_response({"status": "ok"})


async def _beside(app: web.Application) -> AsyncIterator[None]:
    """Run the outbox and the housekeeping as long as the application serves."""
    store = app[SERVICES].store
    tasks = [
        asyncio.create_task(_hand_over_mails(store), name="outbox"),
        asyncio.create_task(_housekeeping(store), name="housekeeping"),
    ]
    if app[SERVICES].billing.required:
        tasks.append(asyncio.create_task(_keep_subscriptions(app[SERVICES]), name="billing"))
    yield
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def _hand_over_mails(store: Store) -> None:
    """Run the outbox worker; while the database is out of reach, look again every few seconds."""
    worker = OutboxWorker(store, RESOLVERS)
    while True:
        try:
            await worker.run()
        except (OSError, SQLAlchemyError) as fault:
            _log.warning("outbox_failed", fault=type(fault).__name__)
            await asyncio.sleep(DATABASE_PAUSE)


async def _keep_subscriptions(parts: Services) -> None:
    """Run the billing worker; while the database is out of reach, look again every few seconds."""
    worker = BillingWorker(parts.store, parts.billing)
    while True:
        try:
            await worker.run()
        except (OSError, SQLAlchemyError) as fault:
            _log.warning("billing_failed", fault=type(fault).__name__)
            await asyncio.sleep(DATABASE_PAUSE)


async def _housekeeping(store: Store) -> None:
    """Do again and again what no request does; a database out of reach is tried again the next time."""
    head_logged_at = None
    while True:
        try:
            await keep_house(store)
            if head_logged_at is None or store.clock() - head_logged_at >= HEAD_LOGGED:
                async with store.reading() as transaction:
                    _log.info("audit_head", head=await audit.head(transaction))
                head_logged_at = store.clock()
        except (OSError, SQLAlchemyError, KeyFault) as fault:
            _log.warning("housekeeping_failed", fault=type(fault).__name__)
        await asyncio.sleep(min(HOUSEKEEPING, REFRESH).total_seconds())


async def keep_house(store: Store) -> None:
    """Learn new keys, tell of unfinished sign-ins, carry out due removals, drop what has expired."""
    await refresh_cipher(store)
    async with store.transaction() as transaction:
        await sign_in.notice_incomplete(transaction)
        await factors.remove_due(transaction)
    async with store.transaction() as transaction:
        await _purge(transaction)


async def _purge(transaction: Transaction) -> None:
    for purge in (
        sessions.purge,
        sign_in.purge_pending,
        totp.purge,
        passkeys.purge,
        notices.purge,
        throttle.purge,
        outbox.purge,
        link_purge.purge,
        billing_inbox.purge,
        billing_worker.purge,
    ):
        await purge(transaction)
    await audit.purge(transaction, transaction.policy.audit_retention)
