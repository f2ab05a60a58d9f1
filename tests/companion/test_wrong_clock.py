"""A clock that was wrong for a while: nobody loses a second factor by it, and no spent code works again."""

from datetime import timedelta
from typing import Any

import pyotp
import pytest
from sqlalchemy import select
import structlog

from teslafi_companion import audit
from teslafi_companion.domain.accounts import account, factors, sessions, throttle, totp
from teslafi_companion.domain.accounts.throttle import SIGN_IN_NETWORK, SIGN_IN_STRANGER, Attempt
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.mail import outbox
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store
from teslafi_companion.work.housekeeping import Housekeeping, Steadiness
from teslafi_companion.work.outbox import LONGEST_WAIT, OutboxWorker

from .clock import ManualClock
from .oauth.linking import make_account


class App:
    """An account's authenticator app, whose phone goes right."""

    def __init__(self, store: Store, owner: object, secret: str) -> None:
        """Hold the secret."""
        self.store = store
        self.owner = owner
        self.generator = pyotp.TOTP(secret)

    def code(self, clock: ManualClock) -> str:
        """Show the code of this moment."""
        return self.generator.at(clock.now)

    async def use(self, code: str) -> bool:
        """Say whether a code was taken."""
        async with self.store.transaction() as transaction:
            return await totp.use_code(transaction, self.owner, code)  # type: ignore[arg-type]


@pytest.fixture
async def app(store: Store, clock: ManualClock) -> App:
    """Give an account with an app."""
    owner = await make_account(store)
    async with store.transaction() as transaction:
        enrolment = await totp.begin(transaction, owner, "label")
        assert await totp.activate(transaction, owner, enrolment, pyotp.TOTP(enrolment.secret).at(clock.now))
    clock.advance(seconds=60)
    return App(store, owner, enrolment.secret)


@pytest.mark.parametrize("days", [2, 400, 30_000])
async def test_a_clock_that_was_ahead_costs_nobody_the_second_factor(app: App, clock: ManualClock, days: int) -> None:
    first = app.code(clock)
    assert await app.use(first)
    clock.advance(days=days)
    assert await app.use(app.code(clock))
    clock.advance(days=-days)
    assert not await app.use(first), "a spent code stays spent"
    clock.advance(seconds=60)
    assert await app.use(app.code(clock))
    assert not await app.use(app.code(clock))
    clock.advance(seconds=30)
    assert await app.use(app.code(clock))


async def test_a_clock_that_goes_back_gives_no_spent_code_back(app: App, clock: ManualClock) -> None:
    spent = []
    for _ in range(20):
        spent.append((clock.now, app.code(clock)))
        assert await app.use(spent[-1][1])
        clock.advance(seconds=60)
    right = clock.now
    for moment, code in spent:
        clock.now = moment
        assert not await app.use(code)
    clock.now = right
    assert await app.use(app.code(clock))


@pytest.mark.parametrize("days", [2, 400])
async def test_a_clock_that_was_ahead_locks_nobody_out(store: Store, clock: ManualClock, days: int) -> None:
    """What was counted while it was wrong is over when a lock of that length would be: at once, or within a day."""
    address, network = Attempt(SIGN_IN_STRANGER, b"address"), Attempt(SIGN_IN_NETWORK, b"network")
    clock.advance(days=days)
    for attempt in (address, network):
        while (await throttle.reserve(store, [attempt])).admitted:
            pass
    clock.advance(days=-days)
    async with store.reading() as transaction:
        assert await throttle.wait_of(transaction, address) == timedelta()
    assert (await throttle.reserve(store, [network])).admitted
    assert (await throttle.reserve(store, [address])).admitted
    made = 1
    while (await throttle.reserve(store, [address])).admitted:
        made += 1
    assert made <= 5, "and no limit is gone"


async def test_a_mail_of_a_clock_that_was_ahead_does_not_wait_for_that_day(store: Store, clock: ManualClock) -> None:
    done = []

    async def resolved(_transaction: object, work: dict[str, Any]) -> None:
        done.append(work["name"])

    worker = OutboxWorker(store, {"work": resolved}, None)
    clock.advance(days=2)
    async with store.transaction() as transaction:
        await outbox.ask(transaction, "work", {"name": "ahead"})
        leased = await outbox.ask(transaction, "work", {"name": "leased"})
        await transaction.execute(
            tables.outbox.update().where(tables.outbox.c.id == leased).values(leased_until=transaction.now)
        )
    clock.advance(days=-2)
    async with store.transaction() as transaction:
        await outbox.ask(transaction, "work", {"name": "later"}, delay=LONGEST_WAIT)
    assert await worker.work_once() == 2
    assert sorted(done) == ["ahead", "leased"]
    clock.advance(seconds=LONGEST_WAIT.total_seconds())
    assert await worker.work_once() == 1
    async with store.reading() as transaction:
        states = {row.state for row in await transaction.rows(select(tables.outbox.c.state))}
    assert states == {"done"}


class Machine:
    """A computer with both of its clocks."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        """Start the service."""
        self.clock = clock
        self.seconds = 1000.0
        self.housekeeping = Housekeeping(store, Steadiness(store.clock, lambda: self.seconds))

    async def runs(self, minutes: int) -> None:
        """Let time pass, with a turn of the housekeeping each ten minutes."""
        for _ in range(0, minutes, 10):
            await self.housekeeping.turn()
            self.seconds += 600
            self.clock.advance(minutes=10)
        await self.housekeeping.turn()


@pytest.mark.parametrize("years", [1, 30])
async def test_a_clock_that_is_wrong_at_start_deletes_nothing(store: Store, clock: ManualClock, years: int) -> None:
    """Nor one that jumps ahead for a while: sessions, the audit log and an announced removal are there after it."""
    owner_id = await make_account(store, second_factor=True)
    async with store.transaction() as transaction:
        owner = await account.load(transaction, owner_id)
        assert owner is not None
        token, _ = await sessions.open_session(transaction, owner_id, ("pwd",), Visitor("192.0.2.7"))
        await factors.ask_removal(transaction, owner)
        before = len(await audit.all_entries(transaction))
    right = clock.now
    for first in ("wrong at start", "wrong later"):
        machine = Machine(store, clock)
        if first == "wrong later":
            await machine.runs(10)
        clock.advance(days=365 * years)
        await machine.runs(50)
        clock.now = right
        await machine.runs(10)
        clock.now = right
        async with store.reading() as transaction:
            assert len(await audit.all_entries(transaction)) >= before, first
            assert await sessions.find_session(transaction, token) is not None, first
            assert await factors.removal_due(transaction, owner_id) is not None, first


async def test_once_the_clock_went_evenly_for_an_hour_what_is_over_goes(store: Store, clock: ManualClock) -> None:
    owner_id = await make_account(store, second_factor=True)
    async with store.transaction() as transaction:
        owner = await account.load(transaction, owner_id)
        assert owner is not None
        await factors.ask_removal(transaction, owner)
    clock.advance(days=4)
    machine = Machine(store, clock)
    await machine.runs(50)
    async with store.reading() as transaction:
        assert await factors.removal_due(transaction, owner_id) is not None
    await machine.runs(10)
    async with store.reading() as transaction:
        assert await factors.removal_due(transaction, owner_id) is None


async def test_the_audit_head_is_logged_each_day_whatever_the_clock_does(store: Store, clock: ManualClock) -> None:
    """What was cut off the log is found by a head that somebody else keeps."""
    housekeeping = Housekeeping(store)
    heads = []
    for hours in (0, 23, 1, 48, -48, 23, 1):
        clock.advance(hours=hours)
        with structlog.testing.capture_logs() as lines:
            await housekeeping.turn()
        heads.append(sum(line["event"] == "audit_head" for line in lines))
    assert heads == [1, 0, 1, 1, 1, 0, 1]
