"""Passkeys: what a forged page, a thief or a copied key would send is refused."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from teslafi_companion.domain.accounts import account, passkeys
from teslafi_companion.domain.accounts.account import Account
from teslafi_companion.domain.accounts.passkeys import PasskeyRefused
from teslafi_companion.rotation import rotate_keys
from teslafi_companion.store.database import Store
from teslafi_companion.store.keyring import refresh_cipher

from ..clock import ManualClock
from .authenticator import Authenticator

HERE = "a-session-token"
"""What a question is bound to: the session in which it was asked."""


@pytest.fixture
def device(store: Store) -> Authenticator:
    """Return an authenticator on the companion's own page."""
    return Authenticator(store.settings.host, store.settings.origin)


async def make_owner(store: Store, address: str = "olga@example.org") -> Account:
    """Make an account."""
    async with store.transaction() as transaction:
        made = await account.create(transaction, address, "$argon2id$not-used")
        assert made is not None
        owner = await account.load(transaction, made)
    assert owner is not None
    return owner


async def add(store: Store, owner: Account, device: Authenticator) -> None:
    """Register a passkey."""
    async with store.transaction() as transaction:
        options = await passkeys.begin_registration(transaction, owner, HERE)
    async with store.transaction() as transaction:
        await passkeys.finish_registration(transaction, owner, HERE, device.registers(options), "Key")


async def asked(store: Store, owner: UUID) -> Any:  # noqa: ANN401 - WebAuthn's options
    """Ask a passkey to prove."""
    async with store.transaction() as transaction:
        return await passkeys.begin_proof(transaction, owner, HERE)


async def prove(store: Store, owner: UUID, answer: dict[str, Any], bound_to: str = HERE) -> bool:
    """Say whether the answer was taken."""
    try:
        async with store.transaction() as transaction:
            await passkeys.prove(transaction, owner, bound_to, answer)
    except PasskeyRefused:
        return False
    return True


async def test_a_passkey_proves_again_and_again(store: Store, device: Authenticator) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    for _ in range(2):
        assert await prove(store, owner.id, device.proves(await asked(store, owner.id)))


async def test_a_question_is_answered_once_in_its_session_and_time(
    store: Store, device: Authenticator, clock: ManualClock
) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    answer = device.proves(await asked(store, owner.id))
    assert not await prove(store, owner.id, answer, bound_to="another session")
    assert await prove(store, owner.id, answer)
    assert not await prove(store, owner.id, answer)  # replayed
    late = device.proves(await asked(store, owner.id))
    clock.advance(minutes=5)
    assert not await prove(store, owner.id, late)


async def test_an_older_question_counts_no_more(store: Store, device: Authenticator) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    older = device.proves(await asked(store, owner.id))
    await asked(store, owner.id)
    assert not await prove(store, owner.id, older)


@pytest.mark.parametrize(
    "origin", ["https://companion.evil.example", "http://localhost:8081", "https://localhost:8080"]
)
async def test_a_forged_page_gets_nothing(store: Store, device: Authenticator, origin: str) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    forged = replace(device, origin=origin)
    assert not await prove(store, owner.id, forged.proves(await asked(store, owner.id)))
    with pytest.raises(PasskeyRefused):
        await add(store, owner, Authenticator(store.settings.host, origin))


async def test_a_passkey_for_another_host_is_none(store: Store, device: Authenticator) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    elsewhere = replace(device, host="evil.example")
    assert not await prove(store, owner.id, elsewhere.proves(await asked(store, owner.id)))


async def test_another_key_under_the_same_name_is_refused(store: Store, device: Authenticator) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    thief = Authenticator(device.host, device.origin, credential=device.credential)
    assert not await prove(store, owner.id, thief.proves(await asked(store, owner.id)))


async def test_a_counter_that_does_not_grow_means_a_copy(store: Store, device: Authenticator) -> None:
    owner = await make_owner(store)
    device.counter = 5
    await add(store, owner, device)
    device.counter = 6
    assert await prove(store, owner.id, device.proves(await asked(store, owner.id)))
    for counter in (6, 5, 0):
        device.counter = counter
        assert not await prove(store, owner.id, device.proves(await asked(store, owner.id)))
    device.counter = 7
    assert await prove(store, owner.id, device.proves(await asked(store, owner.id)))


async def test_one_accounts_passkey_opens_no_other(store: Store, device: Authenticator) -> None:
    olga, erik = await make_owner(store), await make_owner(store, "erik@example.org")
    await add(store, olga, device)
    with pytest.raises(PasskeyRefused):
        await add(store, erik, device)  # nor can it be registered twice
    await add(store, erik, Authenticator(device.host, device.origin))
    assert not await prove(store, erik.id, device.proves(await asked(store, erik.id)))
    async with store.transaction() as transaction:
        (known,) = await passkeys.passkeys_of(transaction, olga.id)
        assert not await passkeys.remove(transaction, erik.id, known.id)
        assert await passkeys.remove(transaction, olga.id, known.id)


async def test_after_a_rotation_a_passkey_still_proves_and_cannot_be_added_again(
    store: Store, device: Authenticator
) -> None:
    """Right after it, while its index is still by the old root, and after that."""
    owner = await make_owner(store)
    await add(store, owner, device)

    async def between(_span: timedelta) -> None:
        await refresh_cipher(store)
        with pytest.raises(PasskeyRefused, match="already registered"):
            await add(store, other, device)

    other = await make_owner(store, "other@example.org")
    await rotate_keys(store, settle=between)
    with pytest.raises(PasskeyRefused, match="already registered"):
        await add(store, other, device)
    assert await prove(store, owner.id, device.proves(await asked(store, owner.id)))


async def test_nonsense_is_refused(store: Store, device: Authenticator) -> None:
    owner = await make_owner(store)
    await add(store, owner, device)
    right = device.proves(await asked(store, owner.id))
    wrong: list[dict[str, Any]] = [
        {},
        {"id": 1},
        right | {"response": {}},
        right | {"response": right["response"] | {"signature": "AAAA"}},
        right | {"response": right["response"] | {"authenticatorData": "not base64 ~"}},
    ]
    for answer in wrong:
        await asked(store, owner.id)
        assert not await prove(store, owner.id, answer)


async def test_ten_are_enough(store: Store) -> None:
    owner = await make_owner(store)
    for _ in range(10):
        await add(store, owner, Authenticator(store.settings.host, store.settings.origin))
    with pytest.raises(PasskeyRefused, match="Remove one first"):
        await add(store, owner, Authenticator(store.settings.host, store.settings.origin))
