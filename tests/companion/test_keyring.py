"""The key ring: made once, refused with the wrong key, rotated while the service runs and after being killed."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
import os
from pathlib import Path

from moto.server import ThreadedMotoServer
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from teslafi_companion import rotation
from teslafi_companion.crypto import KeyFault, LocalKey, create_key_file, key_number
from teslafi_companion.domain.accounts import account
from teslafi_companion.rotation import rewrap_keys, rotate_keys
from teslafi_companion.settings import Settings
from teslafi_companion.store import tables
from teslafi_companion.store.database import Store
from teslafi_companion.store.keyring import open_cipher, refresh_cipher

from .clock import ManualClock


async def at_once(span: timedelta) -> None:
    """Wait for nobody: no other process runs."""


async def fill(store: Store, count: int) -> None:
    async with store.transaction() as transaction:
        for number in range(count):
            await account.create(transaction, f"person{number}@example.org", f"phc-{number}")


async def addresses(store: Store) -> set[str]:
    async with store.reading() as transaction:
        rows = await transaction.rows(select(tables.account.c.id))
        found = [await account.load(transaction, row.id) for row in rows]
    return {one.email for one in found if one}


async def key_numbers(store: Store) -> set[int]:
    async with store.reading() as transaction:
        return {key_number(row.sealed_email) for row in await transaction.rows(select(tables.account.c.sealed_email))}


async def reopened(store: Store) -> Store:
    """Open the same database again, as a new process does."""
    return Store(
        store.engine, store.settings, await open_cipher(store.engine, store.settings, store.clock), store.clock
    )


async def test_first_start_makes_the_key_file_and_the_next_uses_it(store: Store) -> None:
    await fill(store, 2)
    assert store.settings.key_file.stat().st_mode & 0o777 == 0o600
    assert await addresses(await reopened(store)) == {"person0@example.org", "person1@example.org"}


async def test_with_data_a_missing_key_is_never_made_anew(store: Store) -> None:
    store.settings.key_file.unlink()
    with pytest.raises(KeyFault, match="is missing"):
        await reopened(store)
    assert not store.settings.key_file.exists()


async def test_another_key_is_refused_by_name(store: Store) -> None:
    store.settings.key_file.unlink()
    create_key_file(store.settings.key_file)
    with pytest.raises(KeyFault, match="the key that belongs to this database"):
        await reopened(store)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many rows are sealed anew at once: so few that a test needs few for several batches."""
    batch = 20
    monkeypatch.setattr("teslafi_companion.rotation._BATCH", batch)
    return batch


@pytest.mark.slow
async def test_rotation_seals_everything_anew_and_wipes_the_old_key(store: Store, small_batches: int) -> None:
    count = 2 * small_batches + 5
    await fill(store, count)
    sealed = await rotate_keys(store, settle=at_once)
    assert sealed >= 2 * count
    assert await key_numbers(store) == {2}
    async with store.reading() as transaction:
        ring = {row.number: row for row in await transaction.rows(select(tables.keyring))}
    assert (ring[1].state, ring[1].wrapped) == ("retired", b"")
    assert ring[2].state == "active"
    assert len(await addresses(await reopened(store))) == count


class Killed(Exception):
    """The process ends here."""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["_activate", "_seal_column_anew", "_index_column_anew", "_retire"])
async def test_a_killed_rotation_is_taken_up_again(
    store: Store, small_batches: int, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    count = small_batches + 5
    await fill(store, count)
    calls = 0
    original = getattr(rotation, stage)

    async def dies_at_the_second_table(*args: object, **how: object) -> object:
        nonlocal calls
        calls += 1
        if not stage.endswith("_column_anew") or calls == 2:
            raise Killed
        return await original(*args, **how)

    monkeypatch.setattr(rotation, stage, dies_at_the_second_table)
    with pytest.raises(Killed):
        await rotate_keys(store, settle=at_once)
    monkeypatch.setattr(rotation, stage, original)
    again = await reopened(store)
    assert len(await addresses(again)) == count
    await rotate_keys(again, settle=at_once)
    assert await key_numbers(again) == {2}
    async with again.reading() as transaction:
        numbers = (await transaction.execute(select(func.count()).select_from(tables.keyring))).scalar_one()
    assert numbers == 5, "the second run finished the first one's keys instead of making others"
    assert len(await addresses(again)) == count


async def test_a_write_during_rotation_wins(store: Store) -> None:
    await fill(store, 1)
    other = await reopened(store)

    async def others_write_between_the_stages(span: timedelta) -> None:
        await refresh_cipher(other)
        await fill_one(other, f"during-{other.cipher.active}@example.org")

    await rotate_keys(store, settle=others_write_between_the_stages)
    assert await key_numbers(store) == {2}
    assert await addresses(store) == {"person0@example.org", "during-1@example.org", "during-2@example.org"}


async def fill_one(store: Store, address: str) -> None:
    async with store.transaction() as transaction:
        await account.create(transaction, address, "phc")


async def test_the_key_encryption_key_is_replaced_without_touching_data(store: Store, tmp_path: Path) -> None:
    await fill(store, 1)
    new = tmp_path / "keys" / "new.key"
    create_key_file(new)
    settings = replace(store.settings, key_file=new, previous_key_file=store.settings.key_file)
    both = Store(store.engine, settings, await open_cipher(store.engine, settings, store.clock), store.clock)
    assert await rewrap_keys(both) == 2
    store.settings.key_file.unlink()
    alone = replace(settings, previous_key_file=None)
    cipher = await open_cipher(store.engine, alone, store.clock)
    assert await addresses(Store(store.engine, alone, cipher, store.clock)) == {"person0@example.org"}


async def test_a_field_copied_to_another_account_does_not_open(store: Store) -> None:
    await fill(store, 2)
    async with store.transaction() as transaction:
        first, second = await transaction.rows(select(tables.account.c.id, tables.account.c.sealed_password))
        await transaction.execute(
            update(tables.account).where(tables.account.c.id == second.id).values(sealed_password=first.sealed_password)
        )
    async with store.reading() as transaction:
        with pytest.raises(Exception, match="damaged or moved"):
            await account.password_of(transaction, second.id)


async def test_a_key_from_the_environment(engine: AsyncEngine, settings: Settings, clock: ManualClock) -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    from_environment = replace(settings, key_provider="env", key=key)
    store = Store(engine, from_environment, await open_cipher(engine, from_environment, clock), clock)
    await fill(store, 1)
    assert not settings.key_file.exists()
    assert await addresses(await reopened(store)) == {"person0@example.org"}


@pytest.fixture
def aws(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run moto's stand-in for AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_keys_wrapped_by_aws_kms(aws: str, engine: AsyncEngine, settings: Settings, clock: ManualClock) -> None:
    from aiobotocore.session import get_session  # noqa: PLC0415 - 0.4 s that the other tests need not wait

    async with get_session().create_client("kms", region_name="eu-central-1", endpoint_url=aws) as kms:
        key_id = (await kms.create_key())["KeyMetadata"]["KeyId"]
    at_aws = replace(
        settings, key_provider="aws-kms", aws_kms_key_id=key_id, aws_kms_region="eu-central-1", aws_kms_endpoint=aws
    )
    store = Store(engine, at_aws, await open_cipher(engine, at_aws, clock), clock)
    await fill(store, 1)
    assert await addresses(await reopened(store)) == {"person0@example.org"}
    async with store.transaction() as transaction:
        root = await transaction.first(select(tables.keyring).where(tables.keyring.c.number == 0))
        assert root is not None
        await transaction.execute(
            update(tables.keyring).where(tables.keyring.c.number == 1).values(wrapped=root.wrapped)
        )
    with pytest.raises(KeyFault, match="refused to decrypt"):
        await reopened(store)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_key_is_asked_for_once_and_again_only_when_it_is_wrapped_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Looked for every thirty seconds, a key at AWS would be paid for by the month, and its outage would be ours."""
    asked = []
    original = LocalKey.unwrap

    async def counted(key: LocalKey, wrapped: bytes, context: str) -> bytes:
        asked.append(context)
        return await original(key, wrapped, context)

    monkeypatch.setattr(LocalKey, "unwrap", counted)
    away = store.settings.key_file.rename(tmp_path / "elsewhere")
    for _ in range(100):
        await refresh_cipher(store)
    assert asked == []
    away.rename(store.settings.key_file)
    await rotate_keys(store, settle=at_once)
    assert len(asked) == len(set(asked)) <= 4
    await fill(store, 1)
    assert await addresses(store) == {"person0@example.org"}


async def test_processes_that_begin_together_share_one_key_ring(engine: AsyncEngine, settings: Settings) -> None:
    clock = ManualClock()
    ciphers = await asyncio.gather(*(open_cipher(engine, settings, clock) for _ in range(5)))
    assert len({cipher.mac("label", b"value") for cipher in ciphers}) == 1
    assert [file.name for file in settings.key_file.parent.iterdir()] == [settings.key_file.name]
