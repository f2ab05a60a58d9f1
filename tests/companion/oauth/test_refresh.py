"""Refresh tokens: replaced at each use, forgiving a lost answer, unforgiving with copies; on both databases."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from teslafi_companion.crypto import FieldCipher, IndexRoot
from teslafi_companion.domain.links import tokens
from teslafi_companion.domain.links.access import find_caller
from teslafi_companion.domain.links.links import note_contact
from teslafi_companion.domain.links.scopes import STATUS, Scope
from teslafi_companion.domain.links.suspicion import Sign
from teslafi_companion.domain.links.tokens import Tokens, read_refresh_token, refresh_token
from teslafi_companion.store.database import Store
from teslafi_companion.store.tables import access_token, link

from ..clock import START, ManualClock
from ..postgresql import others_wait
from .linking import (
    CLIENT,
    ELSEWHERE,
    HOME,
    error_of,
    events,
    link_up,
    links,
    make_account,
    refresh,
    refreshed,
    subjects,
)

CIPHER = FieldCipher({1: bytes(range(32))}, 1, [IndexRoot(0, bytes(range(32)))])


async def used(store: Store, given: Tokens) -> None:
    """Use an access token, as a request to the API does."""
    async with store.transaction() as transaction:
        caller = await find_caller(transaction, given.access)
        assert caller is not None
        await note_contact(transaction, caller.link, caller.generation)


async def test_each_use_gives_the_next_token(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    seen = {given.refresh}
    for _ in range(5):
        clock.advance(minutes=15)
        given = await refreshed(store, given)
        assert given.refresh not in seen
        assert given.scopes == STATUS
        seen.add(given.refresh)
    (known,) = await links(store, owner)
    assert known.generation == 6
    assert known.contact_at == clock.now


async def test_fifty_parallel_uses_rotate_once_and_break_nothing(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    clock.advance(minutes=15)
    answers = await asyncio.gather(*[refresh(store, given.refresh) for _ in range(50)])
    got = [answer for answer in answers if isinstance(answer, Tokens)]
    assert len(got) == 50
    (successor,) = {answer.refresh for answer in got}
    assert successor != given.refresh
    assert (await links(store, owner))[0].generation == 2
    clock.advance(minutes=15)
    assert error_of(await refresh(store, successor)) is None


DAY = 24 * 3600


@pytest.mark.parametrize(("seconds", "error"), [(0, None), (600, None), (DAY, None), (DAY + 0.001, "invalid_grant")])
async def test_a_lost_answer_is_given_again_for_a_day(
    store: Store, clock: ManualClock, seconds: float, error: str | None
) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    lost = await refreshed(store, given)
    clock.advance(seconds=seconds)
    again = await refresh(store, given.refresh)
    assert error_of(again) == error
    if isinstance(again, Tokens):
        assert again.refresh == lost.refresh
        assert again.access != lost.access
    known = await links(store, owner)
    assert len(known) == (error is None)
    assert all(one.suspicious_since is None for one in known)


@pytest.mark.parametrize(("seconds", "error"), [(60, None), (60.001, "invalid_grant")])
async def test_an_answer_whose_access_token_was_used_did_arrive(
    store: Store, clock: ManualClock, seconds: float, error: str | None
) -> None:
    """Requests cross for a minute; after that the spent token is a copy's."""
    owner = await make_account(store)
    given = await link_up(store, owner)
    await used(store, await refreshed(store, given))
    clock.advance(seconds=seconds)
    assert error_of(await refresh(store, given.refresh)) == error
    assert len(await links(store, owner)) == (error is None)


async def test_an_old_access_token_says_nothing_about_the_newest_answer(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    await refreshed(store, given)
    clock.advance(minutes=5)
    await used(store, given)
    assert error_of(await refresh(store, given.refresh)) is None


async def test_asking_again_does_not_prolong_the_day(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    await refreshed(store, given)
    clock.advance(hours=23)
    await refreshed(store, given)
    clock.advance(hours=1, seconds=1)
    assert error_of(await refresh(store, given.refresh)) == "invalid_grant"


async def test_every_answer_lost_is_a_sign_and_one_lost_for_long_is_none(store: Store, clock: ManualClock) -> None:
    """Somebody who always renews a little earlier makes the other look as if answers were lost, each time."""
    owner = await make_account(store)
    given = await link_up(store, owner)
    for _ in range(3):
        successor = await refreshed(store, given)
        for _ in range(20):
            clock.advance(minutes=2)
            await refreshed(store, given)
        assert (await links(store, owner))[0].suspicious_since is None
        given = successor
    await refreshed(store, given)
    clock.advance(minutes=10)
    assert error_of(await refresh(store, given.refresh)) is None
    (known,) = await links(store, owner)
    assert known.suspicious_since == clock.now
    assert known.signs == (Sign.SPENT,)


async def test_a_refresh_sees_what_others_did_before_it(store: Store) -> None:
    """A refresh that begins while others are under way must not undo them."""
    given = await link_up(store, await make_account(store))
    async with store.transaction() as transaction:
        second = await tokens.refresh(transaction, CLIENT, given.refresh, None, HOME)
        assert isinstance(second, Tokens)
        assert isinstance(await tokens.refresh(transaction, CLIENT, second.refresh, None, HOME), Tokens)
        late = asyncio.create_task(refresh(store, given.refresh))
        if store.engine.dialect.name == "postgresql":
            await others_wait(transaction)
    assert error_of(await late) == "invalid_grant"


async def test_the_grace_ends_with_the_use_of_the_successor(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    successor = await refreshed(store, given)
    await refreshed(store, successor)
    assert error_of(await refresh(store, given.refresh, visitor=ELSEWHERE)) == "invalid_grant"
    assert await links(store, owner) == []
    assert error_of(await refresh(store, successor.refresh)) == "invalid_grant"


async def test_reuse_after_the_grace_ends_the_family_once_and_tells_the_owner(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    newest = await refreshed(store, given)
    await used(store, newest)
    clock.advance(seconds=61)
    answers = await asyncio.gather(*[refresh(store, given.refresh, visitor=ELSEWHERE) for _ in range(10)])
    assert {error_of(answer) for answer in answers} == {"invalid_grant"}
    assert error_of(await refresh(store, newest.refresh)) == "invalid_grant"
    async with store.reading() as transaction:
        assert (await transaction.execute(select(func.count()).select_from(access_token))).scalar_one() == 0
    assert (await events(store)).count("token_reuse_detected") == 1
    assert (await subjects(store)).count("A link was ended because its key was used twice") == 1


@pytest.mark.parametrize(("days", "error"), [(90, None), (90.1, "invalid_grant")])
async def test_an_idle_link_expires(store: Store, clock: ManualClock, days: float, error: str | None) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    clock.advance(days=days)
    assert error_of(await refresh(store, given.refresh)) == error
    assert ("A link has expired" in await subjects(store)) is (error is not None)


async def test_a_link_expires_a_year_after_its_consent_however_busy(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    for _ in range(73):
        clock.advance(days=5)
        given = await refreshed(store, given)
    clock.advance(hours=1)
    assert error_of(await refresh(store, given.refresh)) == "invalid_grant"
    assert await links(store, owner) == []


async def test_a_refresh_can_ask_for_less_but_not_for_more(store: Store) -> None:
    given = await link_up(store, await make_account(store))
    less = await refresh(store, given.refresh, scopes=frozenset({Scope.LINK}))
    assert isinstance(less, Tokens)
    assert less.scopes == {Scope.LINK}
    assert error_of(await refresh(store, less.refresh, scopes=frozenset({Scope.CONTROLS}))) == "invalid_scope"
    back = await refresh(store, less.refresh)
    assert isinstance(back, Tokens)
    assert back.scopes == STATUS


async def test_a_link_goes_on_when_the_database_was_restored(store: Store, clock: ManualClock) -> None:
    """The token is ours, what it belongs to was lost: it goes on there, and older ones stay spent."""
    owner = await make_account(store)
    given = await link_up(store, owner)
    newest = await refreshed(store, await refreshed(store, given))
    async with store.transaction() as transaction:
        await transaction.execute(link.update().values(generation=1))
    after = await refreshed(store, newest)
    assert (await links(store, owner))[0].generation == 4
    await used(store, after)
    clock.advance(minutes=2)
    assert error_of(await refresh(store, given.refresh)) == "invalid_grant"
    assert await links(store, owner) == []


def test_only_the_exact_text_is_a_token() -> None:
    family = uuid4()
    token = refresh_token(CIPHER, family, 7)
    assert read_refresh_token(CIPHER, token, START) == (family, 7)
    other = FieldCipher({1: bytes(range(32))}, 1, [IndexRoot(0, bytes(32))])
    for forged in (
        token + "=",
        token[:-1],
        f" {token}",
        token[:-1] + "é",
        "A" * 70,
        token.swapcase(),
        refresh_token(other, family, 7),
    ):
        assert read_refresh_token(CIPHER, forged, START) is None
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [token[:-1] + letter for letter in alphabet]
    assert [one for one in spellings if read_refresh_token(CIPHER, one, START)] == [token]
