"""The sign-in side of the simulator, mounted alone on a loopback port."""

from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from teslafi_simulators.tesla.accounts import Account, AccountStore, MfaDevice
from teslafi_simulators.tesla.addresses import Addresses
from teslafi_simulators.tesla.applications import (
    MONITORING_SCOPES,
    Application,
    ApplicationStore,
    full_application,
    monitoring_application,
)
from teslafi_simulators.tesla.clock import ManualClock
from teslafi_simulators.tesla.sign_in import SignInFaults, sign_in_routes
from teslafi_simulators.tesla.tokens import TokenStore
from tests.simulators.tesla.sign_in.browser import REDIRECT, Simulated

START = 1_790_000_000.0


@pytest.fixture
def before_july_2026() -> bool:
    """Say whether `ownerapi` may still use void/callback; tests of old clients say yes."""
    return False


@pytest.fixture
async def simulated(socket_enabled: None, before_july_2026: bool) -> AsyncIterator[Simulated]:
    """Serve the sign-in side with three accounts and three applications."""
    clock = ManualClock(START)
    accounts = AccountStore(clock)
    plain = accounts.add(
        Account(email="plain@example.com", password="pw-plain", region="eu", full_name="Paula Plain", locale="de-DE")
    )
    guarded = accounts.add(
        Account(
            email="guarded@example.com",
            password="pw-guarded",
            region="na",
            full_name="Gus Guarded",
            devices=[MfaDevice("Device #1", activated_at=START), MfaDevice("Device #2", activated_at=START)],
            backup_passcodes=["3HZRJVC6D", "7QKWM2XPA"],
            backup_passcodes_generated_at=START,
        )
    )
    chinese = accounts.add(Account(email="cn@example.com", password="pw-cn", region="cn", full_name="Chen"))
    applications = ApplicationStore(before_july_2026=before_july_2026)
    monitoring = applications.add(monitoring_application())
    full = applications.add(full_application())
    open_source = applications.add(
        Application(
            client_id="open-source", name="Open source", redirect_uris=(REDIRECT,), scopes=frozenset(MONITORING_SCOPES)
        )
    )
    app = web.Application()
    server = TestServer(app, host="127.0.0.1")

    def addresses() -> Addresses:
        return Addresses(f"http://127.0.0.1:{server.port}")

    tokens = TokenStore(clock, accounts, applications, addresses)
    faults = SignInFaults()
    app.add_routes(
        sign_in_routes(
            clock=clock, accounts=accounts, applications=applications, tokens=tokens, addresses=addresses, faults=faults
        )
    )
    await server.start_server()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Simulated(
                addresses=addresses(),
                clock=clock,
                accounts=accounts,
                applications=applications,
                tokens=tokens,
                faults=faults,
                session=session,
                monitoring=monitoring,
                full=full,
                open_source=open_source,
                plain=plain,
                guarded=guarded,
                chinese=chinese,
            )
    finally:
        await server.close()
