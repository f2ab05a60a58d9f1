"""Device grants: codes that cannot be guessed, a pace that is kept, one winner; on both databases."""

import asyncio
from uuid import UUID, uuid4

from hypothesis import given, strategies as st
import pytest
from sqlalchemy import select

from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links import devices
from teslafi_companion.domain.links.devices import ALPHABET, Claim, DeviceCodes, DeviceRequest, typed_code
from teslafi_companion.domain.links.instance import Instance
from teslafi_companion.domain.links.links import Proof
from teslafi_companion.domain.links.scopes import STATUS, Acr
from teslafi_companion.domain.links.tokens import Tokens
from teslafi_companion.store.database import Store, StoreUnreachable
from teslafi_companion.store.tables import device_grant

from ..clock import ManualClock
from .linking import (
    BROWSER,
    CLIENT,
    HOME,
    INSTANCE,
    error_of,
    events,
    links,
    make_account,
    poll,
    refresh,
    subjects,
)


async def ask(store: Store, instance: Instance = INSTANCE) -> DeviceCodes:
    async with store.transaction() as transaction:
        return await devices.ask(transaction, CLIENT, STATUS, instance, HOME)


async def claim(
    store: Store, owner: UUID, typed: str, *, session: UUID | None = None, visitor: Visitor = BROWSER
) -> UUID | Claim:
    return await devices.claim(store, owner, session or uuid4(), typed, visitor)


async def claimed(store: Store, owner: UUID, codes: DeviceCodes) -> DeviceRequest:
    request = await claim(store, owner, codes.user_code)
    assert isinstance(request, UUID)
    async with store.reading() as transaction:
        found = await devices.find_claimed(transaction, owner, request)
    assert found is not None
    return found


async def approve(store: Store, owner: UUID, request: DeviceRequest) -> bool:
    async with store.transaction() as transaction:
        proof = Proof(store.clock(), Acr.PASSWORD, 1)
        return await devices.approve(transaction, owner, request, proof, BROWSER)


async def test_the_whole_way(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    codes = await ask(store)
    assert error_of(await poll(store, codes.device_code)) == "authorization_pending"
    request = await claimed(store, owner, codes)
    assert (request.instance, request.scopes, request.visitor) == (INSTANCE, STATUS, HOME)
    clock.advance(seconds=5)
    assert error_of(await poll(store, codes.device_code)) == "authorization_pending"
    assert await approve(store, owner, request)
    # No pace is asked of whoever gets something
    given = await poll(store, codes.device_code)
    assert isinstance(given, Tokens)
    assert error_of(await poll(store, codes.device_code)) == "invalid_grant"
    assert error_of(await refresh(store, given.refresh)) is None
    assert [link.instance for link in await links(store, owner)] == [INSTANCE]
    assert await subjects(store) == ["A Home Assistant was linked"]


async def test_of_fifty_parallel_polls_one_wins(store: Store) -> None:
    owner = await make_account(store)
    codes = await ask(store)
    await approve(store, owner, await claimed(store, owner, codes))
    answers = await asyncio.gather(*[poll(store, codes.device_code) for _ in range(50)])
    (won,) = [answer for answer in answers if isinstance(answer, Tokens)]
    assert {error_of(answer) for answer in answers if answer is not won} == {"invalid_grant"}
    assert error_of(await refresh(store, won.refresh)) is None


async def test_of_parallel_entries_of_one_user_code_one_account_gets_it(store: Store) -> None:
    accounts = [await make_account(store, f"number{number}@example.org") for number in range(8)]
    codes = await ask(store)
    networks = [Visitor(f"192.0.2.{number}") for number in range(8)]
    answers = await asyncio.gather(
        *[claim(store, who, codes.user_code, visitor=where) for who, where in zip(accounts, networks, strict=True)]
    )
    assert len([answer for answer in answers if isinstance(answer, UUID)]) == 1


async def test_polling_too_fast_slows_down_for_good(store: Store, clock: ManualClock) -> None:
    codes = await ask(store)

    async def after(seconds: float) -> str | None:
        clock.advance(seconds=seconds)
        return error_of(await poll(store, codes.device_code))

    assert await after(0) == "authorization_pending"
    assert await after(4.9) == "slow_down"
    assert await after(9.9) == "slow_down"
    assert await after(14.9) == "slow_down"
    assert await after(20) == "authorization_pending"


async def test_a_refusal_is_told(store: Store) -> None:
    owner = await make_account(store)
    codes = await ask(store)
    request = await claimed(store, owner, codes)
    async with store.transaction() as transaction:
        assert await devices.deny(transaction, owner, request, BROWSER)
    assert not await approve(store, owner, request)
    assert error_of(await poll(store, codes.device_code)) == "access_denied"
    assert "link_denied" in await events(store)


async def test_ten_minutes_and_no_more(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    codes, late = await ask(store), await ask(store, Instance("Other", "instance-9876543210"))
    request = await claimed(store, owner, codes)
    clock.advance(minutes=9, seconds=59.9)
    assert error_of(await poll(store, codes.device_code)) == "authorization_pending"
    clock.advance(seconds=0.1)
    assert not await approve(store, owner, request)
    assert await claim(store, owner, late.user_code) is Claim.WRONG
    assert error_of(await poll(store, codes.device_code)) == "expired_token"


async def test_another_account_cannot_touch_a_claimed_request(store: Store) -> None:
    owner, stranger = await make_account(store), await make_account(store, "stranger@example.org")
    codes = await ask(store)
    request = await claimed(store, owner, codes)
    assert await claim(store, stranger, codes.user_code) is Claim.WRONG
    assert not await approve(store, stranger, request)
    async with store.transaction() as transaction:
        assert await devices.find_claimed(transaction, stranger, request.id) is None
        assert not await devices.deny(transaction, stranger, request, BROWSER)


async def test_guessing_is_stopped_by_session_and_by_network(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    codes = await ask(store)
    session = uuid4()
    networks = [Visitor(f"192.0.2.{number}") for number in range(6)]
    same_session = [await claim(store, owner, "BBBB-BBBB", session=session, visitor=where) for where in networks]
    assert same_session == [Claim.WRONG] * 5 + [Claim.LOCKED]
    assert await claim(store, owner, codes.user_code, session=session, visitor=networks[5]) is Claim.LOCKED
    same_network = [await claim(store, owner, "BBBB-BBBB") for _ in range(6)]
    assert same_network == [Claim.WRONG] * 5 + [Claim.LOCKED]
    assert isinstance(await claim(store, owner, codes.user_code, visitor=Visitor("192.0.2.99")), UUID)
    clock.advance(minutes=10)
    assert await claim(store, owner, "BBBB-BBBB", session=session) is Claim.WRONG


async def test_a_hundred_parallel_guesses_pass_no_more_than_the_limit(store: Store) -> None:
    owner = await make_account(store)
    answers = await asyncio.gather(*[claim(store, owner, f"BBBB-BB{one}B") for one in ALPHABET * 5])
    assert answers.count(Claim.WRONG) == 5


async def test_a_right_code_is_not_counted(store: Store) -> None:
    owner, session = await make_account(store), uuid4()
    for number in range(8):
        codes = await ask(store, Instance("Home", f"instance-{number:012}"))
        assert isinstance(await claim(store, owner, codes.user_code, session=session), UUID)


async def test_our_own_trouble_is_no_guess(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> None:
        raise StoreUnreachable

    owner, session, codes = await make_account(store), uuid4(), await ask(store)
    with monkeypatch.context() as patch:
        patch.setattr(devices, "_claim", gone)
        for _ in range(8):
            with pytest.raises(StoreUnreachable):
                await claim(store, owner, codes.user_code, session=session)
    assert isinstance(await claim(store, owner, codes.user_code, session=session), UUID)


async def test_one_waiting_request_for_each_instance(store: Store) -> None:
    owner = await make_account(store)
    first, second = await ask(store), await ask(store)
    assert error_of(await poll(store, first.device_code)) == "invalid_grant"
    assert await claim(store, owner, first.user_code) is Claim.WRONG
    assert isinstance(await claim(store, owner, second.user_code), UUID)


async def test_a_code_that_is_taken_is_not_given_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["BCDF-GHJK", "BCDF-GHJK", "BCDF-GHJL"])
    monkeypatch.setattr(devices, "new_user_code", lambda: next(drawn))
    assert (await ask(store)).user_code == "BCDF-GHJK"
    assert (await ask(store, Instance("Other", "instance-9876543210"))).user_code == "BCDF-GHJL"


async def test_codes_are_not_in_the_database(store: Store) -> None:
    codes = await ask(store)
    async with store.reading() as transaction:
        (row,) = await transaction.rows(select(device_grant))
    kept = repr(tuple(row)).encode() + b"".join(value for value in row if isinstance(value, bytes))
    for secret in (codes.user_code, codes.user_code.replace("-", ""), codes.device_code, INSTANCE.name, HOME.address):
        assert secret.encode() not in kept


def test_codes_are_eight_letters_without_vowels() -> None:
    codes = [devices.new_user_code() for _ in range(200)]
    assert len(set(codes)) == 200
    assert {letter for code in codes for letter in code} == {*ALPHABET, "-"}
    assert not set(ALPHABET) & set("AEIOUY0123456789")


@given(st.text(ALPHABET, min_size=8, max_size=8), st.sampled_from(["", "-", " ", " - ", "."]))
def test_case_and_punctuation_do_not_matter(letters: str, between: str) -> None:
    shown = f"{letters[:4]}-{letters[4:]}"
    assert typed_code(f" {letters[:4].lower()}{between}{letters[4:]}") == shown


@given(st.text(max_size=60))
def test_anything_else_is_no_code(text: str) -> None:
    code = typed_code(text)
    assert code == "" or (len(code) == 9 and set(code) <= {*ALPHABET, "-"})
