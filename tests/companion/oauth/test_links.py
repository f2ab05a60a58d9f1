"""Links: seen and ended by their owner alone, watched for copies in other hands; on both databases."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from uuid import UUID

from hypothesis import given, strategies as st
import pytest

from teslafi_companion.domain.accounts import account, factors
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links import devices, suspicion, tokens
from teslafi_companion.domain.links.access import Caller, find_caller
from teslafi_companion.domain.links.instance import Instance
from teslafi_companion.domain.links.links import End, Proof, end_link, end_own
from teslafi_companion.domain.links.networks import Seen, contact, network_of, of_json
from teslafi_companion.domain.links.purge import purge
from teslafi_companion.domain.links.scopes import STATUS, Acr, Scope
from teslafi_companion.settings import MY_HOME_ASSISTANT
from teslafi_companion.store.database import Store, Transaction
from teslafi_companion.store.tables import metadata

from ..clock import ManualClock
from .linking import (
    BROWSER,
    CHALLENGE,
    CLIENT,
    ELSEWHERE,
    HOME,
    INSTANCE,
    OWNER,
    error_of,
    events,
    letters,
    link_up,
    links,
    make_account,
    make_code,
    refresh,
    refreshed,
    subjects,
)

UNUSUAL = "A linked Home Assistant looks unusual"


async def caller(store: Store, token: str) -> Caller | None:
    async with store.reading() as transaction:
        return await find_caller(transaction, token)


async def end(store: Store, owner: UUID, link: UUID) -> bool:
    async with store.transaction() as transaction:
        return await end_own(transaction, owner, link, BROWSER)


async def revoke(store: Store, token: str) -> None:
    async with store.transaction() as transaction:
        await tokens.revoke(transaction, CLIENT, token, HOME)


async def test_an_access_token_lives_a_quarter_of_an_hour(store: Store, clock: ManualClock) -> None:
    given = await link_up(store, await make_account(store))
    clock.advance(minutes=14, seconds=59)
    found = await caller(store, given.access)
    assert found is not None
    assert (found.email, found.scopes, found.link.instance) == (OWNER, STATUS, INSTANCE)
    clock.advance(seconds=1)
    assert await caller(store, given.access) is None


async def test_the_owner_ends_a_link(store: Store) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    (link,) = await links(store, owner)
    assert await end(store, owner, link.id)
    assert not await end(store, owner, link.id)
    assert await caller(store, given.access) is None
    assert error_of(await refresh(store, given.refresh)) == "invalid_grant"
    assert await subjects(store) == ["A Home Assistant was linked", "A Home Assistant was unlinked"]
    assert (await events(store))[-1] == "link_revoked"


async def test_another_account_s_link_is_out_of_reach(store: Store) -> None:
    owner, stranger = await make_account(store), await make_account(store, "stranger@example.org")
    given = await link_up(store, owner)
    (link,) = await links(store, owner)
    assert not await end(store, stranger, link.id)
    assert await links(store, stranger) == []
    assert await caller(store, given.access) is not None


async def test_an_end_that_comes_late_does_not_end_a_renewed_link(store: Store) -> None:
    owner = await make_account(store)
    old = await link_up(store, owner)
    (stale,) = await links(store, owner)
    new = await link_up(store, owner)
    async with store.transaction() as transaction:
        assert not await end_link(transaction, stale, End.INSTANCE, HOME)
    assert await caller(store, old.access) is None
    assert await caller(store, new.access) is not None


async def test_one_instance_may_be_linked_to_two_accounts(store: Store) -> None:
    one, other = await make_account(store), await make_account(store, "other@example.org")
    first, second = await link_up(store, one), await link_up(store, other)
    assert error_of(await refresh(store, first.refresh)) is None
    assert error_of(await refresh(store, second.refresh)) is None


async def test_revoking_a_refresh_token_ends_the_link(store: Store) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    await revoke(store, given.refresh)
    assert await links(store, owner) == []
    assert await caller(store, given.access) is None
    assert (await subjects(store))[-1] == "A Home Assistant was unlinked"
    await revoke(store, given.refresh)


async def test_revoking_an_access_token_ends_that_alone(store: Store) -> None:
    given = await link_up(store, await make_account(store))
    await revoke(store, given.access)
    assert await caller(store, given.access) is None
    assert error_of(await refresh(store, given.refresh)) is None


async def test_revoking_what_is_unknown_does_nothing(store: Store) -> None:
    given = await link_up(store, await make_account(store))
    await revoke(store, "no-such-token")
    assert await caller(store, given.access) is not None


ANOTHER = Visitor("192.0.2.99", "HomeAssistant/2026.10.4")
HOME_SIX = Visitor("2001:db8:1:2::3", "HomeAssistant/2026.10.4")


async def goes_through(store: Store, clock: ManualClock, *visitors: Visitor, minutes: float = 10) -> list[bool]:
    """Renew from one after the other; return whether the link looked unusual after each."""
    owner = await make_account(store)
    given = await link_up(store, owner)
    looked = []
    for visitor in visitors:
        clock.advance(minutes=minutes)
        given = await refreshed(store, given, visitor=visitor)
        looked.append((await links(store, owner))[0].suspicious_since is not None)
    return looked


NO_SIGN = {
    "an address of the same network": (Visitor("198.51.100.200"), HOME),
    "a home whose address changes over night, again and again": (ELSEWHERE, ANOTHER, Visitor("203.0.114.1")),
    "both protocols by turns": (HOME_SIX, HOME, HOME_SIX, HOME, Visitor("2001:db8:1:9::1"), HOME, HOME_SIX),
    "a line that fails and comes back": (ELSEWHERE, ELSEWHERE, HOME, HOME),
}


@pytest.mark.parametrize("visitors", NO_SIGN.values(), ids=NO_SIGN)
async def test_an_address_that_changes_is_no_sign(
    store: Store, clock: ManualClock, visitors: tuple[Visitor, ...]
) -> None:
    assert await goes_through(store, clock, *visitors) == [False] * len(visitors)


async def test_two_networks_by_turns_are_a_sign(store: Store, clock: ManualClock) -> None:
    assert await goes_through(store, clock, ELSEWHERE, HOME, ELSEWHERE, HOME) == [False, False, True, True]
    letter = (await letters(store))[-1]
    assert letter.subject == UNUSUAL
    assert "alternately from two networks" in letter.text
    assert ELSEWHERE.address in letter.text
    assert (await subjects(store)).count(UNUSUAL) == 1
    assert (await events(store)).count("link_suspicious") == 2


async def test_networks_that_change_each_two_days_are_no_turns(store: Store, clock: ManualClock) -> None:
    looked = await goes_through(store, clock, *[ELSEWHERE, HOME] * 5, minutes=36 * 60)
    assert not any(looked)


async def test_what_the_owner_confirmed_is_no_sign_any_more(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    for visitor in (ELSEWHERE, HOME, ELSEWHERE):
        given = await refreshed(store, given, visitor=visitor)
    (known,) = await links(store, owner)
    async with store.transaction() as transaction:
        stranger = await make_account_in(transaction, "stranger@example.org")
        assert not await suspicion.confirm(transaction, stranger, known.id, BROWSER)
        assert await suspicion.confirm(transaction, owner, known.id, BROWSER)
        assert not await suspicion.confirm(transaction, owner, known.id, BROWSER)
    for visitor in (HOME, ELSEWHERE, HOME, ELSEWHERE):
        given = await refreshed(store, given, visitor=visitor)
    assert (await links(store, owner))[0].suspicious_since is None
    assert (await subjects(store))[-1] == "A linked Home Assistant was confirmed"
    assert "link_confirmed" in await events(store)
    for visitor in (ANOTHER, HOME, ANOTHER):
        given = await refreshed(store, given, visitor=visitor)
    assert (await links(store, owner))[0].suspicious_since is not None


async def make_account_in(transaction: Transaction, address: str) -> UUID:
    made = await account.create(transaction, address, "$argon2id$not-used")
    assert made is not None
    return made


@given(st.lists(st.sampled_from([HOME.address, ELSEWHERE.address, ANOTHER.address, HOME_SIX.address]), max_size=30))
def test_turns_need_a_network_left_and_returned_to_twice(addresses: list[str]) -> None:
    """Over all orders: no sign without two ways back within a protocol, and always one after three."""
    now = datetime(2026, 11, 26, tzinfo=UTC)
    known: tuple[Seen, ...] = ()
    looked = False
    for number, address in enumerate(addresses):
        known, by_turns = contact(known, network_of(address), now + timedelta(minutes=number))
        looked |= by_turns
    fours = [key for key, _ in groupby(address for address in addresses if ":" not in address)]
    ways_back = sum(address in fours[:place] for place, address in enumerate(fours))
    if looked:
        assert ways_back >= 2
    if len(set(fours)) <= 2 and ways_back >= 2:
        assert looked
    assert all(of_json(one.to_json()) == one for one in known)


async def test_a_refresh_after_a_long_silence_is_suspicious(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    clock.advance(days=30)
    given = await refreshed(store, given)
    assert (await links(store, owner))[0].suspicious_since is None
    clock.advance(days=30, seconds=1)
    await refreshed(store, given)
    assert (await links(store, owner))[0].suspicious_since == clock.now
    assert "after a long silence" in (await letters(store))[-1].text


async def test_linking_again_clears_the_suspicion(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    clock.advance(days=31)
    await refreshed(store, given)
    assert (await links(store, owner))[0].suspicious_since is not None
    await link_up(store, owner)
    assert (await links(store, owner))[0].suspicious_since is None


async def test_controls_are_added_and_a_plain_relink_drops_them(store: Store) -> None:
    owner = await make_account(store, second_factor=True)
    await link_up(store, owner)
    proof = Proof(store.clock(), Acr.SECOND_FACTOR, 1)
    given = await link_up(store, owner, scopes=frozenset({Scope.CONTROLS}), proof=proof)
    assert given.scopes == frozenset(Scope)
    assert (await link_up(store, owner)).scopes == STATUS


async def remove_factor(transaction: Transaction, owner: Account) -> None:
    await factors.remove_totp(transaction, owner, BROWSER)


async def change_password(transaction: Transaction, owner: Account) -> None:
    await account.set_password(transaction, owner.id, "$argon2id$new", BROWSER, how="in a test")


@pytest.mark.parametrize("change", [remove_factor, change_password])
async def test_a_proof_counts_until_password_or_factor_change(
    store: Store, clock: ManualClock, change: Callable[[Transaction, Account], Awaitable[None]]
) -> None:
    owner = await make_account(store, second_factor=True)
    given = await link_up(store, owner, proof=Proof(store.clock(), Acr.SECOND_FACTOR, 1))
    clock.advance(seconds=300)

    async def has(acr: Acr, seconds: int | None) -> bool:
        found = await caller(store, given.access)
        assert found is not None
        return found.has_proved(acr, None if seconds is None else timedelta(seconds=seconds), clock.now)

    assert await has(Acr.SECOND_FACTOR, 300)
    assert not await has(Acr.SECOND_FACTOR, 299)
    assert await has(Acr.PASSWORD, None)
    async with store.transaction() as transaction:
        known = await account.load(transaction, owner)
        assert known is not None
        await change(transaction, known)
    assert not await has(Acr.SECOND_FACTOR, None)
    assert not await has(Acr.PASSWORD, None)


async def test_a_password_proof_is_no_second_factor(store: Store) -> None:
    given = await link_up(store, await make_account(store, second_factor=True))
    found = await caller(store, given.access)
    assert found is not None
    assert not found.has_proved(Acr.SECOND_FACTOR, None, store.clock())


async def test_what_has_ended_is_dropped(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    await make_code(store, owner)
    given = await link_up(store, owner)
    await link_up(store, owner, Instance("Other", "instance-9876543210"))
    clock.advance(days=60)
    await refreshed(store, given)
    clock.advance(days=31)
    async with store.transaction() as transaction:
        await purge(transaction)
    assert [link.instance for link in await links(store, owner)] == [INSTANCE]
    assert (await subjects(store)).count("A link has expired") == 1


async def secrets_of_a_life(store: Store) -> list[str]:
    """Link, refresh, begin a device grant; return everything that nobody else may read."""
    owner = await make_account(store)
    code = await make_code(store, owner)
    first = await link_up(store, owner)
    second = await refreshed(store, first)
    async with store.transaction() as transaction:
        device = await devices.ask(transaction, CLIENT, STATUS, INSTANCE, HOME)
    tokens = [code, first.access, first.refresh, second.access, second.refresh, device.device_code, device.user_code]
    return [*tokens, OWNER, INSTANCE.name, INSTANCE.id, HOME.address, BROWSER.address, MY_HOME_ASSISTANT, CHALLENGE]


async def test_nothing_secret_or_personal_is_in_a_column(store: Store) -> None:
    secrets = await secrets_of_a_life(store)
    content = b""
    async with store.reading() as transaction:
        for table in metadata.tables.values():
            for row in await transaction.rows(table.select()):
                content += b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
    assert CLIENT.id.encode() in content
    assert [secret for secret in secrets if secret.encode() in content] == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_nothing_secret_or_personal_is_in_the_database_s_files(store: Store, tmp_path: Path) -> None:
    secrets = await secrets_of_a_life(store)
    content = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert CLIENT.id.encode() in content
    assert [secret for secret in secrets if secret.encode() in content] == []
