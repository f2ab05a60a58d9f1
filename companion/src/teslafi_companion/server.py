"""The running service: listens, serves, and ends in order when it is told to."""

import asyncio
from contextlib import AsyncExitStack
import logging
import resource
import signal
import ssl
from typing import Final

from aiohttp import web
import structlog

from teslafi_companion.adapters.registry import open_billing
from teslafi_companion.app import SUPERVISOR, create_app
from teslafi_companion.clock import Clock, system_clock
from teslafi_companion.http import door
from teslafi_companion.http.metrics import LoopFigures
from teslafi_companion.http.protocol import Runner
from teslafi_companion.http.services import Services, make_services
from teslafi_companion.mail import outbox
from teslafi_companion.service import DatabaseUnreachable, migrate_database, opened_store
from teslafi_companion.settings import Settings, UnsafeSetting
from teslafi_companion.store.database import serving_alone
from teslafi_companion.tls import load_own_certificate
from teslafi_companion.work.supervisor import Supervisor

SPARE_FILES: Final = 100
"""Files beside connections: database, logs, libraries."""

DATABASE_RETRY_SECONDS: Final = 2
"""How long `serve --migrate` waits before it tries a database that doesn't answer again."""

_log = structlog.get_logger(__name__)


def configure_logs(settings: Settings) -> None:
    """Write logs as JSON lines to standard output; those of the libraries from warnings on."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    logging.basicConfig(level=max(level, logging.WARNING), format='{"level": "%(levelname)s", "logger": "%(name)s"}')


async def serve(settings: Settings, *, migrates: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; with `migrates`, update the tables first, as soon as the database answers."""
    configure_logs(settings)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    if migrates and not await _migrated(settings, stop):
        return
    async with AsyncExitStack() as stack:
        await started(stack, settings)
        _log.info("serving", address=settings.base_url)
        await stop.wait()
        _log.info("stopping")


async def _migrated(settings: Settings, stop: asyncio.Event) -> bool:
    """Update the tables as soon as the database answers; returns whether that was before the end.

    The end breaks it off wherever it is, also where it waits for another process that migrates: a migration is one
    transaction.
    """
    migrating, ending = asyncio.create_task(_migrate(settings)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((migrating, ending), return_when=asyncio.FIRST_COMPLETED)
        if migrating.done():
            await migrating
            return True
        return False
    finally:
        for task in (migrating, ending):
            task.cancel()
        await asyncio.wait((migrating, ending))


async def _migrate(settings: Settings) -> None:
    """Update the tables; a database that does not answer is waited for."""
    while True:
        try:
            return await migrate_database(settings)
        except DatabaseUnreachable as fault:
            _log.warning("waiting_for_database", reason=str(fault))
        await asyncio.sleep(DATABASE_RETRY_SECONDS)


async def started(stack: AsyncExitStack, settings: Settings, clock: Clock = system_clock) -> Services:
    """Start everything; what was started is stopped, in order, when the stack closes."""
    _refuse_more_than_files(settings)
    settings.refuse_expired(clock())
    stack.enter_context(serving_alone(settings))
    store = await stack.enter_async_context(opened_store(settings, clock, patient=False))
    parts = make_services(store, await open_billing(settings))
    stack.callback(parts.passwords.close)
    if settings.security_expiry is not None:
        parts.metrics.expires(settings.security_expiry)
    app = create_app(parts)
    if settings.metrics_port >= 0:
        metrics = _metrics(parts, app[SUPERVISOR])
        shown = await _runner(stack, metrics, settings)
        await web.TCPSite(shown, settings.metrics_host, settings.metrics_port).start()
    runner = await _runner(stack, app, settings, keepalive_timeout=door.PROXY_REST_SECONDS)
    await door.GuardedSite(
        runner,
        settings.listen_host,
        settings.listen_port,
        app[door.DOORKEEPER],
        ssl_context=_tls(settings),
        reuse_port=settings.reuse_port or None,
    ).start()
    _log.info("listening", addresses=[str(address) for address in runner.addresses])
    return parts


def _refuse_more_than_files(settings: Settings) -> None:
    """Refuse to take more connections than this process may open files for; raises UnsafeSetting."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and settings.connections + SPARE_FILES > limit:
        raise UnsafeSetting(
            f"connections is {settings.connections}, but this process can only open {limit} files. Lower it to "
            f"{limit - SPARE_FILES} or raise the limit (ulimit -n, LimitNOFILE=)."
        )


def _metrics(parts: Services, supervisor: Supervisor) -> web.Application:
    async def waiting() -> outbox.Waiting:
        async with parts.store.reading() as transaction:
            return await outbox.waiting(transaction)

    return parts.metrics.application(waiting, lambda: loop_figures(supervisor))


def loop_figures(supervisor: Supervisor) -> dict[str, LoopFigures]:
    """Return how each loop does, for the metrics."""
    degraded = supervisor.degraded
    return {name: LoopFigures(name in degraded, state.failed) for name, state in supervisor.states.items()}


async def _runner(
    stack: AsyncExitStack, app: web.Application, settings: Settings, *, keepalive_timeout: float = 75.0
) -> web.AppRunner:
    """Set an application up until the stack closes; requests under way are finished first."""
    runner = Runner(app, settings, shutdown_timeout=settings.shutdown_seconds, keepalive_timeout=keepalive_timeout)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.serves_tls:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_certificate is not None and settings.tls_key is not None:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    else:
        load_own_certificate(context, settings.host)
    return context
