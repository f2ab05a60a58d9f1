"""Sessions, pending sign-ins and known devices as rules: whose they are, when they end, and what the log says."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Table, select

from teslafi_companion.domain.accounts import account, sessions
from teslafi_companion.domain.accounts.sessions import PendingSignIn, Session
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .noted import Event, count_of, events_of

HERE = Visitor("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")


async def made(store: Store, address: str) -> UUID:
    async with store.transaction() as transaction:
        owner = await account.create(transaction, address, "phc")
    assert owner is not None
    return owner


@pytest.fixture
async def olga(store: Store) -> UUID:
    """Return an account."""
    return await made(store, "olga@example.org")


@pytest.fixture
async def erik(store: Store) -> UUID:
    """Return another one."""
    return await made(store, "erik@example.org")


async def opened(store: Store, owner: UUID, *methods: str) -> str:
    async with store.transaction() as transaction:
        token, _ = await sessions.open_session(transaction, owner, methods or ("pwd",), HERE)
    return token


async def found(store: Store, token: str) -> Session | None:
    async with store.reading() as transaction:
        return await sessions.find_session(transaction, token)


async def there(store: Store, token: str) -> Session:
    session = await found(store, token)
    assert session is not None
    return session


async def of_account(store: Store, owner: UUID) -> list[Session]:
    async with store.reading() as transaction:
        return await sessions.sessions_of(transaction, owner)


async def test_a_session_is_what_it_was_opened_as(store: Store, olga: UUID, clock: ManualClock) -> None:
    before = await count_of(store)
    async with store.transaction() as transaction:
        token, row = await sessions.open_session(transaction, olga, ("pwd", "otp"), HERE)
    assert await there(store, token) == Session(
        id=row,
        account_id=olga,
        created_at=clock.now,
        seen_at=clock.now,
        authenticated_at=clock.now,
        methods=frozenset({"pwd", "otp"}),
        step_up_at=None,
        step_up_purpose=None,
        step_up_version=None,
        address="192.0.2.7",
        browser="Firefox (Linux)",
    )
    assert await events_of(store, before) == [Event("session_created", olga, "account", "success", HERE.detail())]
    assert await found(store, f"{token}x") is None


async def test_sessions_of_a_clock_that_was_ahead_push_out_no_present_ones(
    store: Store, olga: UUID, clock: ManualClock
) -> None:
    clock.advance(days=2)
    ahead = [await opened(store, olga) for _ in range(store.settings.policy.session_limit)]
    clock.advance(days=-2)
    present = [await opened(store, olga) for _ in range(5)]
    assert all([await found(store, token) for token in present])
    assert sum([await found(store, token) is not None for token in ahead]) == store.settings.policy.session_limit - 5


async def test_sessions_are_listed_by_their_last_use_and_of_one_account(
    store: Store, olga: UUID, erik: UUID, clock: ManualClock
) -> None:
    first = await opened(store, olga)
    clock.advance(minutes=1)
    second = await opened(store, olga)
    await opened(store, erik)
    ids = [(await there(store, token)).id for token in (second, first)]
    assert [one.id for one in await of_account(store, olga)] == ids
    clock.advance(minutes=5)
    async with store.transaction() as transaction:
        await sessions.touch(transaction, await there(store, first))
    assert [one.id for one in await of_account(store, olga)] == ids[::-1]
    assert (await there(store, second)).seen_at == clock.now - timedelta(minutes=5), "the other one was not used"
    clock.advance(minutes=56)
    assert [one.id for one in await of_account(store, olga)] == ids[1:], "the other one was idle for too long"


async def test_a_use_is_written_down_once_a_minute_and_never_backwards(
    store: Store, olga: UUID, clock: ManualClock
) -> None:
    token = await opened(store, olga)
    clock.advance(seconds=59)
    assert not sessions.wants_touch(await there(store, token), clock.now)
    clock.advance(seconds=1)
    assert sessions.wants_touch(await there(store, token), clock.now)
    at = clock.now
    async with store.transaction() as transaction:
        await sessions.touch(transaction, await there(store, token))
    clock.advance(seconds=-30)
    async with store.transaction() as transaction:
        await sessions.touch(transaction, await there(store, token))
    assert (await there(store, token)).seen_at == at


async def test_the_twenty_first_session_ends_the_one_that_was_idle_longest(
    store: Store, olga: UUID, erik: UUID, clock: ManualClock
) -> None:
    limit = store.settings.policy.session_limit
    others = await opened(store, erik)
    tokens = []
    for _ in range(limit):
        tokens.append(await opened(store, olga))
        clock.advance(seconds=1)
    assert len(await of_account(store, olga)) == limit
    newest = await opened(store, olga)
    assert await found(store, tokens[0]) is None
    assert all([await found(store, token) for token in (*tokens[1:], newest, others)])


async def test_a_renewed_session_has_another_token_and_the_proof(store: Store, olga: UUID, clock: ManualClock) -> None:
    token = await opened(store, olga, "pwd")
    old = await there(store, token)
    clock.advance(minutes=3)
    async with store.transaction() as transaction:
        plain = await sessions.renew_token(transaction, old)
    assert plain is not None
    assert await found(store, token) is None
    session = await there(store, plain)
    assert (session.step_up_at, session.step_up_purpose, session.authenticated_at) == (None, None, old.created_at)
    assert session.seen_at == clock.now
    clock.advance(minutes=3)
    async with store.transaction() as transaction:
        proved = await sessions.renew_token(transaction, session, purpose="link", method="otp")
    assert proved is not None
    session = await there(store, proved)
    assert (session.step_up_at, session.step_up_purpose, session.step_up_version) == (clock.now, "link", 1)
    assert (session.authenticated_at, session.methods) == (clock.now, frozenset({"pwd", "otp"}))
    clock.advance(minutes=60)
    async with store.transaction() as transaction:
        assert await sessions.renew_token(transaction, session) is None, "what has ended is not renewed"


async def test_a_session_is_ended_by_its_account_alone(store: Store, olga: UUID, erik: UUID) -> None:
    session = await there(store, await opened(store, olga))
    before = await count_of(store)
    async with store.transaction() as transaction:
        assert not await sessions.end_session(transaction, erik, session.id)
        assert not await sessions.end_session(transaction, olga, uuid4())
    assert await events_of(store, before) == []
    async with store.transaction() as transaction:
        assert await sessions.end_session(transaction, olga, session.id)
    assert await events_of(store, before) == [Event("session_ended", olga, "account", "success", {})]
    assert await of_account(store, olga) == []


@pytest.mark.parametrize("keeps", [False, True])
async def test_all_are_ended_but_the_kept_one_and_pending_ones_as_well(
    store: Store, olga: UUID, erik: UUID, keeps: bool
) -> None:
    kept = await there(store, await opened(store, olga))
    for _ in range(3):
        await opened(store, olga)
    others = await opened(store, erik)
    async with store.transaction() as transaction:
        pending = await sessions.open_pending(transaction, olga, HERE)
        others_pending = await sessions.open_pending(transaction, erik, HERE)
    before = await count_of(store)
    async with store.transaction() as transaction:
        ended = await sessions.end_all(transaction, olga, keep=kept.id if keeps else None)
    assert ended == (3 if keeps else 4)
    assert await events_of(store, before) == [Event("sessions_ended", olga, "account", "success", {"count": ended})]
    assert [one.id for one in await of_account(store, olga)] == ([kept.id] if keeps else [])
    assert await found(store, others) is not None
    async with store.reading() as transaction:
        assert await sessions.find_pending(transaction, pending) is None
        assert await sessions.find_pending(transaction, others_pending) is not None
    before = await count_of(store)
    async with store.transaction() as transaction:
        assert await sessions.end_all(transaction, olga, keep=kept.id) == 0
    assert await events_of(store, before) == [], "nothing ended, nothing is noted"


async def test_a_session_whose_cookie_is_overwritten_ends(store: Store, olga: UUID) -> None:
    token, other = await opened(store, olga), await opened(store, olga)
    before = await count_of(store)
    async with store.transaction() as transaction:
        await sessions.end_replaced(transaction, "no such token")
    assert await events_of(store, before) == []
    async with store.transaction() as transaction:
        await sessions.end_replaced(transaction, token)
    why = {"why": "replaced by a new sign-in"}
    assert await events_of(store, before) == [Event("session_ended", olga, "account", "success", why)]
    assert await found(store, token) is None
    assert await found(store, other) is not None


async def test_a_pending_sign_in_is_finished_once_and_in_time(store: Store, olga: UUID, clock: ManualClock) -> None:
    async with store.transaction() as transaction:
        token = await sessions.open_pending(transaction, olga, HERE)
        another = await sessions.open_pending(transaction, olga, HERE)
    async with store.reading() as transaction:
        pending = await sessions.find_pending(transaction, token)
        assert await sessions.find_pending(transaction, f"{token}x") is None
    assert pending is not None
    assert pending == PendingSignIn(pending.id, olga, clock.now, 0)
    async with store.transaction() as transaction:
        assert await sessions.end_pending(transaction, pending)
        assert not await sessions.end_pending(transaction, pending)
    lifetime = store.settings.policy.sign_in_pending
    clock.advance(seconds=lifetime.total_seconds() - 1)
    async with store.reading() as transaction:
        assert await sessions.find_pending(transaction, another) is not None
    clock.advance(seconds=1)
    async with store.reading() as transaction:
        assert await sessions.find_pending(transaction, another) is None


async def test_a_device_is_known_to_the_accounts_that_used_it_for_as_long_as_it_is_used(
    store: Store, olga: UUID, erik: UUID, clock: ManualClock
) -> None:
    async with store.transaction() as transaction:
        device = await sessions.remember_device(transaction, olga, None)
    assert device is not None

    async def known(owner: UUID, token: str) -> bool:
        async with store.reading() as transaction:
            return await sessions.is_known_device(transaction, owner, token)

    assert await known(olga, device)
    assert not await known(erik, device)
    assert not await known(olga, f"{device}x")
    async with store.transaction() as transaction:
        assert await sessions.remember_device(transaction, erik, device) not in {None, device}, "a token for erik alone"
    lifetime = store.settings.policy.known_device
    clock.advance(seconds=lifetime.total_seconds() - 1)
    async with store.transaction() as transaction:
        assert await sessions.remember_device(transaction, olga, device) is None, "it has its token, and counts on"
    clock.advance(seconds=lifetime.total_seconds() - 1)
    assert await known(olga, device)
    clock.advance(seconds=1)
    assert not await known(olga, device)
    async with store.transaction() as transaction:
        await sessions.purge(transaction)
        assert await sessions.remember_device(transaction, olga, device) is not None


async def test_what_has_ended_by_itself_is_dropped_and_nothing_else(
    store: Store, olga: UUID, clock: ManualClock
) -> None:
    """As the database sees it: put the clock back, and only what was dropped is gone."""
    policy = store.settings.policy
    idle = await opened(store, olga)
    clock.advance(seconds=1)
    used = await opened(store, olga)
    clock.advance(seconds=policy.session_idle.total_seconds() - 1)
    async with store.transaction() as transaction:
        await sessions.purge(transaction)
    clock.advance(minutes=-10)
    assert await found(store, idle) is None
    assert await found(store, used) is not None
    old = clock.now
    while clock.now - old < policy.session_absolute:
        clock.advance(minutes=59)
        session = await found(store, used)
        if session is not None:
            async with store.transaction() as transaction:
                await sessions.touch(transaction, session)
    async with store.transaction() as transaction:
        await sessions.purge(transaction)
    clock.advance(hours=-3)
    assert await found(store, used) is None


async def rows_of(store: Store, table: Table) -> int:
    async with store.reading() as transaction:
        return len(await transaction.rows(select(table.c.id)))


@pytest.mark.parametrize("kept_awake", [False, True])
async def test_a_session_is_over_by_itself_whatever_housekeeping_does(
    store: Store, olga: UUID, clock: ManualClock, *, kept_awake: bool
) -> None:
    """After an hour without a page, or a day with them; then its row goes, and no other."""
    policy = store.settings.policy
    token = await opened(store, olga)
    async with store.transaction() as transaction:
        device = await sessions.remember_device(transaction, olga, None)
    assert device is not None
    ends = clock.now + (policy.session_absolute if kept_awake else policy.session_idle)
    while clock.now < ends - timedelta(seconds=1):
        step = min(timedelta(minutes=30), ends - timedelta(seconds=1) - clock.now)
        clock.advance(seconds=step.total_seconds())
        seen = await there(store, token)
        if kept_awake:
            async with store.transaction() as transaction:
                await sessions.touch(transaction, seen)
    async with store.transaction() as transaction:
        await sessions.purge(transaction)
    assert await found(store, token) is not None
    clock.advance(seconds=1)
    assert await found(store, token) is None, "although nobody dropped it"
    assert await rows_of(store, tables.session) == 1
    young = await opened(store, olga)
    async with store.transaction() as transaction:
        await sessions.purge(transaction)
    assert (await rows_of(store, tables.session), await rows_of(store, tables.known_device)) == (1, 1)
    assert await found(store, young) is not None
    async with store.reading() as transaction:
        assert await sessions.is_known_device(transaction, olga, device)
    clock.advance(seconds=policy.known_device.total_seconds())
    async with store.transaction() as transaction:
        await sessions.purge(transaction)
    assert (await rows_of(store, tables.session), await rows_of(store, tables.known_device)) == (0, 0)
