"""Links: seen and ended by their owner alone, watched for copies in other hands; on both databases."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from teslafi_companion.domain.accounts import account, factors
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links import devices, tokens
from teslafi_companion.domain.links.access import Caller, find_caller
from teslafi_companion.domain.links.instance import Instance
from teslafi_companion.domain.links.links import End, Proof, end_link, end_own
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


async def test_a_refresh_from_another_network_is_suspicious(store: Store, clock: ManualClock) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    given = await refreshed(store, given, visitor=Visitor("198.51.100.200"))
    assert (await links(store, owner))[0].suspicious_since is None
    given = await refreshed(store, given, visitor=ELSEWHERE)
    since = clock.now
    assert (await links(store, owner))[0].suspicious_since == since
    letter = (await letters(store))[-1]
    assert letter.subject == UNUSUAL
    assert "from another network" in letter.text
    assert ELSEWHERE.address in letter.text
    clock.advance(hours=1)
    given = await refreshed(store, given, visitor=HOME)
    assert (await links(store, owner))[0].suspicious_since == since
    assert (await subjects(store)).count(UNUSUAL) == 1
    clock.advance(hours=24)
    await refreshed(store, given, visitor=ELSEWHERE)
    assert (await subjects(store)).count(UNUSUAL) == 2
    assert (await events(store)).count("link_suspicious") == 3


async def test_an_ipv6_site_is_one_network(store: Store) -> None:
    owner = await make_account(store)
    given = await link_up(store, owner)
    given = await refreshed(store, given, visitor=Visitor("2001:db8:1:2::3"))
    await link_up(store, owner)
    (link,) = await links(store, owner)
    assert link.suspicious_since is None


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


async def test_linking_again_clears_the_suspicion(store: Store) -> None:
    owner = await make_account(store)
    await refreshed(store, await link_up(store, owner), visitor=ELSEWHERE)
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
