"""Limits hold under parallel guesses, on both databases, and forgive a success."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from teslafi_companion.domain.accounts.addresses import EMAIL_INDEX, address_index, indexed_form
from teslafi_companion.domain.accounts.throttle import (
    LOCK_NOTED,
    SIGN_IN_NETWORK,
    SIGN_IN_STRANGER,
    Attempt,
    Rule,
    forgive,
    give_back,
    is_first,
    mail_to_address,
    network_key,
    purge,
    refund,
    reserve,
    wait_of,
)
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import throttle

from .clock import ManualClock

MAIL_ADDRESS = mail_to_address("reset-password")


async def admitted(store: Store, *attempts: Attempt) -> bool:
    return (await reserve(store, attempts)).admitted


async def succeeded(store: Store, *attempts: Attempt) -> None:
    async with store.transaction() as transaction:
        await refund(transaction, attempts)


@pytest.mark.parametrize("rule", [SIGN_IN_STRANGER, SIGN_IN_NETWORK, MAIL_ADDRESS], ids=lambda rule: rule.scope)
async def test_a_hundred_parallel_attempts_pass_no_more_than_the_limit(store: Store, rule: Rule) -> None:
    answers = await asyncio.gather(*[admitted(store, Attempt(rule, b"key")) for _ in range(100)])
    assert sum(answers) == rule.attempts
    assert await admitted(store, Attempt(rule, b"another key"))


async def test_the_ladder_doubles_up_to_an_hour(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(5):
        assert await admitted(store, attempt)
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        assert not await admitted(store, attempt)
        clock.advance(minutes=minutes, seconds=-1)
        assert not await admitted(store, attempt), f"{minutes} minutes were not over"
        clock.advance(seconds=1)
        assert await admitted(store, attempt), f"{minutes} minutes were over"


async def test_a_success_forgives(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(4):
        await admitted(store, attempt)
    await succeeded(store, attempt)
    assert [await admitted(store, attempt) for _ in range(6)] == [True] * 5 + [False]


async def test_after_a_hundred_failures_in_a_row_one_attempt_a_day_is_left(store: Store, clock: ManualClock) -> None:
    """Nothing is locked for ever, and what a month ago was is forgotten."""
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    made = 0
    while made < 100:
        made += await admitted(store, attempt)
        clock.advance(hours=1)
    for _ in range(5):
        assert not await admitted(store, attempt)
        clock.advance(hours=24)
        assert await admitted(store, attempt)
    clock.advance(days=29)
    async with store.transaction() as transaction:
        await purge(transaction)
    assert await admitted(store, attempt)
    assert not await admitted(store, attempt)
    async with store.transaction() as transaction:
        assert await forgive(transaction, [attempt]) == 1
    assert [await admitted(store, attempt) for _ in range(6)] == [True] * 5 + [False]
    clock.advance(days=31)
    async with store.transaction() as transaction:
        await purge(transaction)
    assert [await admitted(store, attempt) for _ in range(6)] == [True] * 5 + [False]


async def test_the_hundredth_failure_in_a_row_is_the_first_that_locks_for_a_day(
    store: Store, clock: ManualClock
) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    made = 0
    while made < 98:
        made += await admitted(store, attempt)
        clock.advance(hours=1)
    waited = []
    for _ in range(2):
        assert await admitted(store, attempt)
        waited.append(await waits(store, attempt))
        clock.advance(hours=1)
    assert waited == [timedelta(), timedelta(days=1)], "an hour apart, five never come together"


async def test_what_is_given_back_twice_leaves_no_attempt_too_many(store: Store) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    reservation = await reserve(store, [attempt])
    for _ in range(2):
        await give_back(store, reservation)
    async with store.reading() as transaction:
        (row,) = await transaction.rows(select(throttle))
    assert (row.attempts, row.consecutive) == (0, 0)
    assert [await admitted(store, attempt) for _ in range(6)] == [True] * 5 + [False]


async def test_what_was_never_judged_counts_nothing(store: Store) -> None:
    """Even when it was the one that locked."""
    attempts = [Attempt(SIGN_IN_STRANGER, b"key"), Attempt(SIGN_IN_NETWORK, b"net")]
    for _ in range(4):
        await reserve(store, attempts)
    for _ in range(30):
        reservation = await reserve(store, attempts)
        assert reservation.admitted
        await give_back(store, reservation)
    assert [await admitted(store, *attempts) for _ in range(2)] == [True, False]


async def test_a_network_over_its_limit_locks_no_account(store: Store) -> None:
    for _ in range(SIGN_IN_NETWORK.attempts):
        await admitted(store, Attempt(SIGN_IN_NETWORK, b"net"))
    for _ in range(10):
        reservation = await reserve(store, [Attempt(SIGN_IN_STRANGER, b"key"), Attempt(SIGN_IN_NETWORK, b"net")])
        assert reservation.refused_by == SIGN_IN_NETWORK
    assert await admitted(store, Attempt(SIGN_IN_STRANGER, b"key"))


async def test_a_window_ends(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(MAIL_ADDRESS, b"key")
    assert [await admitted(store, attempt) for _ in range(4)] == [True, True, True, False]
    clock.advance(minutes=29, seconds=59)
    assert not await admitted(store, attempt)
    clock.advance(seconds=1)
    assert await admitted(store, attempt)


async def test_a_refund_of_a_counting_rule_gives_one_back(store: Store) -> None:
    attempt = Attempt(MAIL_ADDRESS, b"key")
    for _ in range(3):
        await admitted(store, attempt)
    await succeeded(store, attempt)
    assert [await admitted(store, attempt) for _ in range(2)] == [True, False]


async def test_keys_in_any_order_do_not_deadlock(store: Store) -> None:
    keys = [Attempt(SIGN_IN_NETWORK, bytes([number])) for number in range(6)]
    orders = [keys[start:] + keys[:start] for start in range(6)] * 4
    assert all(await asyncio.gather(*[admitted(store, *order) for order in orders[:18]]))


def test_one_site_is_one_network() -> None:
    assert network_key("2001:db8:1:2::1") == network_key("2001:db8:1:2:ffff::9")
    assert network_key("2001:db8:1:2::1") != network_key("2001:db8:1:3::1")
    assert network_key("::ffff:192.0.2.1") == network_key("192.0.2.1")


async def test_what_was_reserved_before_a_refusal_is_told(store: Store) -> None:
    """Whoever could not judge gives that back, and nothing else."""
    network, address = Attempt(SIGN_IN_NETWORK, b"net"), Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(5):
        await admitted(store, address)
    reservation = await reserve(store, [address, network])
    assert (reservation.reserved, reservation.refused_by) == ((network,), SIGN_IN_STRANGER)
    await give_back(store, reservation)
    assert [await admitted(store, network) for _ in range(21)] == [True] * 20 + [False]


async def test_after_a_lock_each_further_failure_locks_again_for_a_day(store: Store, clock: ManualClock) -> None:
    """Also when the window of the five has passed; without one for a day the ladder begins anew."""
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(5):
        assert await admitted(store, attempt)
    clock.advance(minutes=16)
    assert await admitted(store, attempt)
    assert not await admitted(store, attempt)
    assert await waits(store, attempt) == timedelta(minutes=2)
    clock.advance(hours=24)
    assert [await admitted(store, attempt) for _ in range(6)] == [True] * 5 + [False]
    assert await waits(store, attempt) == timedelta(minutes=1)


async def waits(store: Store, attempt: Attempt) -> timedelta:
    async with store.reading() as transaction:
        return await wait_of(transaction, attempt)


async def test_a_lock_by_an_attempt_that_was_not_judged_leaves_no_rung_behind(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(4):
        await admitted(store, attempt)
    reservation = await reserve(store, [attempt])
    assert await waits(store, attempt) == timedelta(minutes=1)
    await give_back(store, reservation)
    assert await waits(store, attempt) == timedelta()
    for minutes in (1, 2):
        while not (await reserve(store, [attempt])).admitted:
            clock.advance(seconds=10)
        while await waits(store, attempt) == timedelta():
            assert await admitted(store, attempt)
        assert await waits(store, attempt) == timedelta(minutes=minutes)
    clock.advance(minutes=2)
    reservation = await reserve(store, [attempt])
    assert await waits(store, attempt) == timedelta(minutes=4)
    await give_back(store, reservation)
    assert await waits(store, attempt) == timedelta()
    assert await admitted(store, attempt)
    assert await waits(store, attempt) == timedelta(minutes=4), "the same rung, neither lower nor higher"


async def test_a_hundred_failures_are_remembered_for_a_month(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    made = 0
    while made < 100:
        made += await admitted(store, attempt)
        clock.advance(hours=1)
    clock.advance(days=3)
    async with store.transaction() as transaction:
        await purge(transaction)
    assert await admitted(store, attempt)
    assert await waits(store, attempt) == timedelta(days=1)
    clock.advance(days=32)
    async with store.transaction() as transaction:
        await purge(transaction)
    assert [await admitted(store, attempt) for _ in range(6)] == [True] * 5 + [False]
    assert await waits(store, attempt) == timedelta(minutes=1)


async def test_a_day_of_our_own_trouble_makes_nobody_a_guesser(store: Store) -> None:
    """A hundred failures in a row leave one attempt a day; attempts that were never judged are none of them."""
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for _ in range(150):
        reservation = await reserve(store, [attempt])
        assert reservation.admitted
        await give_back(store, reservation)
    assert await admitted(store, attempt)
    assert await waits(store, attempt) == timedelta()


async def test_rows_that_refuse_nobody_are_dropped(store: Store, clock: ManualClock) -> None:
    """After two days, since a lock of one may still be remembered; a hundred failures stay for a month."""
    few, many = Attempt(MAIL_ADDRESS, b"few"), Attempt(SIGN_IN_STRANGER, b"many")
    made = 0
    while made < 100:
        made += await admitted(store, many)
        clock.advance(hours=1)
    await admitted(store, few)
    left = []
    for days in (1, 1, 1, 26, 3):
        clock.advance(days=days)
        async with store.transaction() as transaction:
            await purge(transaction)
            left.append(sorted(row.scope for row in await transaction.rows(select(throttle))))
    both = sorted([MAIL_ADDRESS.scope, SIGN_IN_STRANGER.scope])
    assert left == [both, both, [SIGN_IN_STRANGER.scope], [SIGN_IN_STRANGER.scope], []]


async def test_only_locks_are_told_as_locks(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(SIGN_IN_STRANGER, b"key")
    for attempts, told in ((0, 0), (1, 0), (5, 1)):
        for _ in range(attempts):
            await admitted(store, attempt)
        async with store.transaction() as transaction:
            assert await forgive(transaction, [attempt]) == told
    for _ in range(5):
        await admitted(store, attempt)
    clock.advance(minutes=1)
    async with store.transaction() as transaction:
        assert await forgive(transaction, [attempt]) == 0


async def test_what_is_told_once_an_hour_is_told_once(store: Store, clock: ManualClock) -> None:
    attempt = Attempt(LOCK_NOTED, b"key")
    told = []
    for _ in range(3):
        async with store.transaction() as transaction:
            told.append([await is_first(transaction, attempt) for _ in range(2)])
        clock.advance(hours=1)
    assert told == [[True, False]] * 3


async def test_counters_of_an_address_are_where_version_0_1_0_kept_them(store: Store) -> None:
    """Its rows count on: an upgrade forgives nobody."""
    await reserve(store, [Attempt(SIGN_IN_STRANGER, indexed_form("Olga@example.org"), EMAIL_INDEX)])
    index = address_index(store.cipher, "olga@example.org")
    async with store.reading() as transaction:
        (row,) = await transaction.rows(select(throttle))
    assert row.key == store.cipher.mac("throttle", b"sign-in-stranger\0" + index)


async def test_a_row_that_counts_again_while_it_is_being_dropped_stays(store: Store, clock: ManualClock) -> None:
    """A purge that found it old has to wait for whoever is just counting under it, and then looks again."""
    attempt = Attempt(SIGN_IN_NETWORK, b"key")
    assert await admitted(store, attempt)
    clock.advance(hours=49)

    async def drop_old_rows() -> None:
        async with store.transaction() as transaction:
            await purge(transaction)

    async with store.transaction() as transaction:
        assert await is_first(transaction, attempt)
        dropping = asyncio.create_task(drop_old_rows())
        while store.engine.dialect.name == "postgresql":
            async with store.reading() as looking:
                if await looking.first(text("SELECT 1 FROM pg_locks WHERE NOT granted")) is not None:
                    break
    await dropping
    async with store.reading() as transaction:
        assert [row.attempts for row in await transaction.rows(select(throttle.c.attempts))] == [1]
