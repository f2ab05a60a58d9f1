"""Each loop of the service is made to fail: it shows in readiness and in the metrics, and goes on by itself."""

from datetime import timedelta
from typing import override
from uuid import UUID

from aiohttp.test_utils import TestClient, TestServer
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion.adapters.chargebee.billing import ChargebeeBilling
from teslafi_companion.adapters.free.billing import FreeOfCharge
from teslafi_companion.app import SUPERVISOR, create_app
from teslafi_companion.domain.accounts import account
from teslafi_companion.domain.billing import inbox, mirror
from teslafi_companion.domain.billing.port import BillingEvent
from teslafi_companion.domain.billing.subscription import Subscription
from teslafi_companion.http.services import make_services
from teslafi_companion.server import loop_figures
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store
from teslafi_companion.work import housekeeping
from teslafi_companion.work.billing import BillingWorker

from ..billing.conftest import billing, chargebee, settings
from ..clock import ManualClock
from .rests import Rounds

__all__ = ["billing", "chargebee", "settings"]


async def sql(engine: AsyncEngine, *statements: str) -> None:
    """Change the database behind the service's back."""
    for statement in statements:
        async with engine.begin() as connection:
            await connection.execute(text(statement))


@pytest.mark.parametrize(
    ("loop", "table"), [("outbox", "outbox"), ("housekeeping", "throttle"), ("billing", "billing_poll")]
)
async def test_a_loop_that_fails_shows_and_goes_on(
    store: Store,
    billing: ChargebeeBilling,
    socket_enabled: None,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
    table: str,
) -> None:
    monkeypatch.setattr(housekeeping, "STEADY", timedelta(0))
    parts = make_services(store, billing)
    rounds = Rounds(loops=3)
    app = create_app(parts, rest=rounds)
    supervisor = app[SUPERVISOR]
    assert {*supervisor.states} == {"outbox", "housekeeping", "billing"}
    metrics = parts.metrics.application(_none, lambda: loop_figures(supervisor))
    async with TestClient(TestServer(app)) as client, TestClient(TestServer(metrics)) as prometheus:

        async def shown() -> tuple[int, object, bool]:
            answer = await client.get("/readyz")
            lines = (await (await prometheus.get("/metrics")).text()).splitlines()
            return answer.status, await answer.json(), f'companion_loop_degraded{{loop="{loop}"}} 1.0' in lines

        await rounds.first()
        assert await shown() == (200, {"status": "ok"}, False)
        await sql(store.engine, f"ALTER TABLE {table} RENAME TO elsewhere")
        for _ in range(3):
            await rounds.another()
        assert loop in supervisor.degraded
        assert supervisor.states[loop].failed == 3
        assert await shown() == (200, {"status": "degraded", "loops": supervisor.degraded}, True)
        await sql(store.engine, f"ALTER TABLE elsewhere RENAME TO {table}")
        await rounds.another()  # that of the pause
        await rounds.another()
        assert await shown() == (200, {"status": "ok"}, False)
    parts.passwords.close()


async def _none() -> tuple[int, float]:
    return 0, 0.0


class Hostile(FreeOfCharge):
    """A keeper of subscriptions with a customer that its adapter trips over."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.trips_over: set[str] = set()
        self.asked: list[str] = []

    @property
    @override
    def required(self) -> bool:
        return True

    @override
    async def fetch_subscriptions(self, customer_id: str) -> tuple[Subscription, ...]:
        self.asked.append(customer_id)
        if customer_id in self.trips_over:
            raise IndexError
        return ()

    @override
    async def close_portal(self, portal_id: str) -> None:
        if portal_id in self.trips_over:
            raise IndexError


async def customers(store: Store, count: int) -> list[UUID]:
    """Make accounts that are customers."""
    made = []
    async with store.transaction() as transaction:
        for number in range(count):
            address = f"customer-{number}@example.org"
            row = await account.create(transaction, address, "phc")
            assert row is not None
            await mirror.note_customer(transaction, row, address)
            made.append(row)
    return made


async def aside(store: Store) -> list[str]:
    """Return what was put aside, as the audit log tells it."""
    async with store.reading() as transaction:
        rows = await transaction.rows(select(tables.audit.c.event).where(tables.audit.c.event == "billing_put_aside"))
    return [row.event for row in rows]


async def test_an_account_that_cannot_be_asked_about_does_not_stop_the_others(store: Store, clock: ManualClock) -> None:
    everybody = await customers(store, 4)
    keeper = Hostile()
    keeper.trips_over = {str(everybody[0])}
    worker = BillingWorker(store, keeper)
    await worker.work_once()
    for one in everybody:  # the hostile one first
        clock.advance(seconds=1)
        async with store.transaction() as transaction:
            await mirror.want(transaction, [one])
    for _ in range(5):
        await worker.work_once()
    assert sorted(keeper.asked) == sorted(str(one) for one in everybody)
    assert len(await aside(store)) == 1
    keeper.trips_over.clear()
    clock.advance(hours=12)
    await worker.work_once()
    assert keeper.asked.count(str(everybody[0])) == 2


POISON_SQLITE = """
CREATE TRIGGER poison BEFORE UPDATE ON billing_customer WHEN NEW.email_index = x'00'
BEGIN SELECT RAISE(ABORT, 'poison'); END
"""
POISON_FUNCTION = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF NEW.email_index = decode(''00'', ''hex'') THEN RAISE EXCEPTION ''poison''; END IF; RETURN NEW; END'
"""
POISON_POSTGRESQL = "CREATE TRIGGER poison BEFORE UPDATE ON billing_customer FOR EACH ROW EXECUTE FUNCTION poison()"
POISON = {"sqlite": (POISON_SQLITE,), "postgresql": (POISON_FUNCTION, POISON_POSTGRESQL)}


async def test_an_event_that_cannot_be_worked_off_does_not_stop_the_others(store: Store, clock: ManualClock) -> None:
    everybody = await customers(store, 3)
    worker = BillingWorker(store, Hostile())
    await worker.work_once()
    async with store.transaction() as transaction:
        await transaction.execute(
            tables.billing_customer.update()
            .where(tables.billing_customer.c.account_id == everybody[1])
            .values(email_index=b"\0")
        )
        for one in everybody:
            event = BillingEvent(f"ev_{one}", "subscription_changed", clock(), None, str(one))
            await inbox.take(transaction, event, "webhook")
    await sql(store.engine, *POISON[store.engine.dialect.name])
    assert await worker.work_once() >= 0
    async with store.reading() as transaction:
        rows = await transaction.rows(
            select(tables.billing_customer.c.account_id).where(tables.billing_customer.c.checked_at.is_not(None))
        )
        assert await inbox.waiting(transaction) == []
    assert {row.account_id for row in rows} == {everybody[0], everybody[2]}
    assert len(await aside(store)) == 1
    assert await worker.work_once() == 0


async def test_a_portal_that_cannot_be_closed_does_not_stop_the_others(store: Store, clock: ManualClock) -> None:
    keeper = Hostile()
    keeper.trips_over = {"portal-0"}
    clock.advance(seconds=1)
    async with store.transaction() as transaction:
        for number in range(3):
            await transaction.execute(
                tables.billing_portal.insert().values(
                    id=f"portal-{number}", session_id=UUID(int=number), opened_at=clock() - timedelta(minutes=1)
                )
            )
    await BillingWorker(store, keeper).work_once()
    async with store.reading() as transaction:
        assert await transaction.rows(select(tables.billing_portal.c.id)) == []
    assert len(await aside(store)) == 1
