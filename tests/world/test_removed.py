"""A removed entry writes nothing and asks nothing after its removal, whatever was under way or waited for its time."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
import time
from typing import Final

from homeassistant.config_entries import ConfigEntry
import pytest

from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.integration.owner import ANNA

from .disk import Disk
from .world import World

pytestmark = pytest.mark.slow

type Before = Callable[[World, ConfigEntry, Disk], Awaitable[None]]


async def nothing(_world: World, _entry: ConfigEntry, _disk: Disk) -> None:
    """Let it be quiet."""


async def new_values(world: World, entry: ConfigEntry, _disk: Disk) -> None:
    """Have values that wait to be written."""
    await entry.runtime_data.vehicles[ANNAS_MODEL_3].async_refresh()
    world.tesla.control.drive(ANNAS_MODEL_3, miles=300, speed=40)
    await world.pass_time(seconds=60)


async def a_refresh_under_way(world: World, entry: ConfigEntry, _disk: Disk) -> None:
    """Have Tesla take its time with a new token, which comes when the account is gone."""
    world.tesla.control.expire_access_tokens(ANNA)
    world.tesla.control.fault(path="*/oauth2/v3/token", kind="segments", pause=0.3)
    world.background = asyncio.create_task(entry.runtime_data.account.async_refresh())
    await asyncio.to_thread(time.sleep, 0.1)  # the loop's own clock stands still


async def a_list_under_way(world: World, entry: ConfigEntry, _disk: Disk) -> None:
    """Have Tesla take its time with the list."""
    world.tesla.control.fault(path="*/products", kind="segments", pause=0.3)
    world.background = asyncio.create_task(entry.runtime_data.account.async_refresh())
    await asyncio.to_thread(time.sleep, 0.1)  # the loop's own clock stands still


async def a_look_under_way(world: World, entry: ConfigEntry, _disk: Disk) -> None:
    """Have a car's data on their way, which are worth keeping when they come."""
    world.tesla.control.fault(path="*/vehicle_data", kind="segments", pause=0.3)
    car = entry.runtime_data.vehicles[ANNAS_MODEL_3]
    car.want_look()
    world.background = asyncio.create_task(car.async_refresh())
    await asyncio.to_thread(time.sleep, 0.1)


async def a_refusal_under_way(world: World, entry: ConfigEntry, _disk: Disk) -> None:
    """Have the answer on its way that makes a new token necessary."""
    world.tesla.control.expire_access_tokens(ANNA)
    world.tesla.control.fault(path="*/products", kind="segments", pause=0.3)
    world.background = asyncio.create_task(entry.runtime_data.account.async_refresh())
    await asyncio.to_thread(time.sleep, 0.1)


async def an_outage(world: World, _entry: ConfigEntry, _disk: Disk) -> None:
    """Have everything wait to be asked again."""
    world.tesla.control.fault(path="*", kind="status", status=503, times=None)
    await world.pass_time(seconds=600)


async def a_full_disk(world: World, entry: ConfigEntry, disk: Disk) -> None:
    """Have a grant that waits for the disk to take it."""
    disk.fail("full")
    world.tesla.control.expire_access_tokens(ANNA)
    await entry.runtime_data.account.async_refresh()
    await world.settle()
    disk.heal()


STATES: Final = (
    nothing,
    new_values,
    a_refresh_under_way,
    a_list_under_way,
    a_look_under_way,
    a_refusal_under_way,
    an_outage,
    a_full_disk,
)


def ours(folder: Path) -> dict[str, str]:
    """Return the files of ours under a configuration folder, by what is in them."""
    found = [path for path in folder.rglob("*teslafi*") if path.is_file()]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("before", STATES, ids=lambda before: before.__name__)
async def test_nothing_comes_after_the_removal(world: World, tmp_path: Path, before: Before) -> None:
    """A day later everything on disk is as it was, and Tesla has heard nothing."""
    disk = Disk()
    with disk.mounted():
        entry = await world.sign_in()
        await world.pass_time(seconds=300)
        await before(world, entry, disk)
        await world.hass.config_entries.async_remove(entry.entry_id)
        world.entries.remove(entry)
        await world.settle()
        if world.background is not None:
            await asyncio.gather(world.background, return_exceptions=True)
        await world.settle()
        world.calm()
        world.report()
        kept = ours(tmp_path)
        await world.pass_time(hours=24, step=900)
    later = world.report()
    assert later.exchanges == ()
    assert later.exceptions == []
    assert ours(tmp_path) == kept
    named = [name for name in kept if entry.entry_id in name]
    assert named == []
    assert [name for name in kept if entry.entry_id.encode() in (tmp_path / name).read_bytes()] == []
    assert [task for task in asyncio.all_tasks() if (task.get_name() or "").startswith("teslafi")] == []
