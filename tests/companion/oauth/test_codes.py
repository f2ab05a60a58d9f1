"""Authorization codes: one use, one minute, one request; on both databases."""

import asyncio

import pytest

from teslafi_companion.domain.accounts import account
from teslafi_companion.domain.links.scopes import STATUS
from teslafi_companion.domain.links.tokens import Tokens
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store

from ..clock import ManualClock
from .linking import (
    BROWSER,
    ELSEWHERE,
    INSTANCE,
    error_of,
    events,
    letters,
    link_up,
    links,
    make_account,
    make_code,
    redeem,
    refresh,
    subjects,
)


async def test_a_code_makes_a_link_and_the_owner_is_told(store: Store) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    assert given.scopes == STATUS
    (link,) = await links(store, owner)
    assert (link.instance, link.created_at, link.suspicious_since) == (INSTANCE, store.clock(), None)
    assert (await events(store))[-1] == "link_created"
    (letter,) = await letters(store)
    assert letter.subject == "A Home Assistant was linked"
    assert INSTANCE.name in letter.text
    assert BROWSER.address in letter.text


async def test_of_fifty_parallel_uses_one_wins_and_the_link_stays(store: Store) -> None:
    owner = await make_account(store)
    code = await make_code(store, owner)
    answers = await asyncio.gather(*[redeem(store, code) for _ in range(50)])
    (won,) = [answer for answer in answers if isinstance(answer, Tokens)]
    assert {error_of(answer) for answer in answers if answer is not won} == {"invalid_grant"}
    assert isinstance(await refresh(store, won.refresh), Tokens)
    assert await subjects(store) == ["A Home Assistant was linked"]


async def test_a_late_second_use_ends_what_the_first_one_began(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    code = await make_code(store, owner)
    first = await redeem(store, code)
    assert isinstance(first, Tokens)
    clock.advance(seconds=10)
    assert error_of(await redeem(store, code, visitor=ELSEWHERE)) == "invalid_grant"
    assert len(await links(store, owner)) == 1
    clock.advance(seconds=1)
    assert error_of(await redeem(store, code, visitor=ELSEWHERE)) == "invalid_grant"
    assert await links(store, owner) == []
    assert error_of(await refresh(store, first.refresh)) == "invalid_grant"
    assert (await events(store))[-1] == "token_reuse_detected"
    assert (await subjects(store))[-1] == "A link was ended because its key was used twice"


async def test_a_second_use_without_the_verifier_harms_nobody(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    code = await make_code(store, owner)
    await redeem(store, code)
    clock.advance(seconds=30)
    assert error_of(await redeem(store, code, verifier="x" * 43)) == "invalid_grant"
    assert len(await links(store, owner)) == 1


@pytest.mark.parametrize(("seconds", "error"), [(59.999, None), (60, "invalid_grant")])
async def test_a_code_lives_a_minute(store: Store, clock: ManualClock, seconds: float, error: str | None) -> None:
    code = await make_code(store, await make_account(store))
    clock.advance(seconds=seconds)
    assert error_of(await redeem(store, code)) == error


@pytest.mark.parametrize(
    "changes",
    [
        {"verifier": "x" * 43},
        {"verifier": ""},
        {"redirect_uri": f"{MY_HOME_ASSISTANT}/"},
        {"redirect_uri": "https://evil.example"},
    ],
)
async def test_a_code_is_bound_to_its_request(store: Store, changes: dict[str, str]) -> None:
    code = await make_code(store, await make_account(store))
    assert error_of(await redeem(store, code, **changes)) == "invalid_grant"  # type: ignore[arg-type]
    assert error_of(await redeem(store, code)) is None


async def test_a_new_password_voids_codes_that_were_given_before(store: Store) -> None:
    owner = await make_account(store)
    code = await make_code(store, owner)
    async with store.transaction() as transaction:
        await account.set_password(transaction, owner, "$argon2id$new", BROWSER, how="in a test")
    assert error_of(await redeem(store, code)) == "invalid_grant"


async def test_an_unknown_code_is_refused(store: Store) -> None:
    assert error_of(await redeem(store, "no-such-code")) == "invalid_grant"


async def test_the_end_of_the_account_voids_everything(store: Store) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    code = await make_code(store, owner)
    async with store.transaction() as transaction:
        known = await account.load(transaction, owner)
        assert known is not None
        await account.end(transaction, known, BROWSER)
    assert error_of(await redeem(store, code)) == "invalid_grant"
    assert error_of(await refresh(store, given.refresh)) == "invalid_grant"


async def test_linking_again_renews_the_same_link(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    old = await link_up(store, owner)
    (before,) = await links(store, owner)
    clock.advance(days=3)
    new = await link_up(store, owner)
    (after,) = await links(store, owner)
    assert (after.id, after.created_at) == (before.id, before.created_at)
    assert error_of(await refresh(store, old.refresh)) == "invalid_grant"
    assert error_of(await refresh(store, new.refresh)) is None
    assert (await events(store))[-1] == "link_renewed"


async def test_first_links_of_one_instance_at_once_are_one_link(store: Store) -> None:
    owner = await make_account(store)
    codes = [await make_code(store, owner) for _ in range(8)]
    answers = await asyncio.gather(*[redeem(store, code) for code in codes])
    assert len(await links(store, owner)) == 1
    alive = [
        answer
        for answer in answers
        if isinstance(answer, Tokens) and error_of(await refresh(store, answer.refresh)) is None
    ]
    assert len(alive) == 1
