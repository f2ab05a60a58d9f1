"""Writes that fail are known, lose nothing that the disk took, and are made good when it takes them again."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
import json
import logging
from pathlib import Path
from random import Random
import subprocess
import sys
from typing import Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.storage import Store
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.issues import STORAGE_FAILED
from custom_components.teslafi.storage.file import PrivateFile, StorageFailed
from custom_components.teslafi.storage.last_values import (
    SAVE_DELAY,
    LastValues,
    LastValuesFile,
    Stored,
    last_values_file,
)
from custom_components.teslafi.storage.vault import RETRY_SECONDS, Vault

from .disk import FAULTS, Disk, Killed, any_fault

KEPT: Final = Stored(vehicles={"VIN": LastValues()})
KEYS: Final = ("teslafi.vault_key", "teslafi.vault")


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give each Home Assistant a configuration folder of its own."""
    return str(tmp_path)


@pytest.fixture
def hass_storage() -> dict[str, object]:
    """Write .storage for real."""
    return {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of Home Assistant's stores."""
    place = tmp_path / ".storage"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Return a disk that does what it should, until it is told otherwise."""
    found = Disk()
    with found.mounted():
        yield found


async def loaded(hass: HomeAssistant) -> Vault:
    """Return a vault that has read its files: another run."""
    vault = Vault(hass)
    await vault.load()
    return vault


def told(hass: HomeAssistant) -> bool:
    """Say whether the owner sees the repair."""
    return ir.async_get(hass).async_get_issue(DOMAIN, STORAGE_FAILED) is not None


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass."""
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


def temporary(folder: Path) -> list[str]:
    """Return the names of what interrupted writes left."""
    return [path.name for path in folder.iterdir() if path.name.startswith("tmp")]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_write_that_fails_is_known_and_made_good(
    hass: HomeAssistant,
    disk: Disk,
    folder: Path,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """The grant holds in memory, what was on disk before stays whole, one line tells of it, and one of its end."""
    caplog.set_level(logging.INFO)
    vault = await loaded(hass)
    await vault.put_text("entry", "grant", "first")
    caplog.clear()
    disk.fail(fault)
    await vault.put_text("entry", "grant", "second")
    assert vault.get_text("entry", "grant") == "second"
    assert told(hass)
    for _ in range(5):
        await pass_time(hass, freezer, RETRY_SECONDS + 1)
        assert told(hass)
    disk.heal()
    assert (await loaded(hass)).get_text("entry", "grant") in {"first", "second"}
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert not told(hass)
    assert (await loaded(hass)).get_text("entry", "grant") == "second"
    lines = [record.levelname for record in caplog.records if record.name == "custom_components.teslafi"]
    assert lines == ["WARNING", "INFO"]
    assert temporary(folder) == []


async def test_a_disk_that_lies_is_found_out(hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory) -> None:
    """It says that it wrote, and did not."""
    vault = await loaded(hass)
    disk.lies = True
    await vault.put_text("entry", "grant", "first")
    assert told(hass)
    disk.heal()
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert not told(hass)
    assert (await loaded(hass)).get_text("entry", "grant") == "first"


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_grant_is_written_under_a_key_that_is_not_on_disk(
    hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory, fault: str
) -> None:
    """The first grant of all, and power is lost with the disk still failing: nothing is there that cannot be opened."""
    vault = await loaded(hass)
    disk.fail(fault)
    await vault.put_text("entry", "grant", "first")
    disk.heal()
    again = await loaded(hass)
    assert again.holds("entry", "grant") is False or again.get_text("entry", "grant") == "first"
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert not told(hass)


async def test_what_could_not_be_written_is_written_at_the_end(hass: HomeAssistant, disk: Disk) -> None:
    """Home Assistant stops before the minute is over."""
    vault = await loaded(hass)
    disk.fail("full")
    await vault.put_text("entry", "grant", "first")
    disk.heal()
    await hass.async_stop(force=True)
    assert (await loaded(hass)).get_text("entry", "grant") == "first"


async def test_a_key_that_cannot_be_written_is_not_used(hass: HomeAssistant, disk: Disk) -> None:
    """A rotation on a full disk changes nothing."""
    vault = await loaded(hass)
    await vault.put_text("entry", "grant", "first")
    disk.fail("full")
    with pytest.raises(StorageFailed):
        await vault.rotate_key()
    assert vault.get_text("entry", "grant") == "first"
    disk.heal()
    assert (await loaded(hass)).get_text("entry", "grant") == "first"
    await vault.rotate_key()
    assert (await loaded(hass)).get_text("entry", "grant") == "first"


async def test_no_empty_files_stay_after_the_last_removal(
    hass: HomeAssistant, disk: Disk, folder: Path, freezer: FrozenDateTimeFactory
) -> None:
    """Also when the disk takes the deletion later."""
    vault = await loaded(hass)
    assert [path for path in folder.iterdir() if path.name in KEYS] == []
    await vault.put_text("one", "grant", "first")
    await vault.put_text("two", "grant", "second")
    await vault.wipe("one")
    assert {path.name for path in folder.iterdir()} >= set(KEYS)
    disk.fail("read-only")
    await vault.wipe("two")
    assert told(hass)
    disk.heal()
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert not told(hass)
    assert [path for path in folder.iterdir() if path.name in KEYS] == []
    await vault.put_text("three", "grant", "third")
    assert (await loaded(hass)).get_text("three", "grant") == "third"


async def test_what_a_removal_could_not_delete_goes_at_the_next_start(hass: HomeAssistant, disk: Disk) -> None:
    """A sealed grant whose account is gone."""
    vault = await loaded(hass)
    await vault.put_text("gone", "grant", "first")
    await vault.put_text("here", "grant", "second")
    again = await loaded(hass)
    await again.forget_others({"here"})
    last = await loaded(hass)
    assert not last.holds("gone", "grant")
    assert last.get_text("here", "grant") == "second"


@pytest.mark.parametrize("steps", range(9))
async def test_what_a_killed_write_leaves_is_cleaned_up(
    hass: HomeAssistant, disk: Disk, folder: Path, steps: int
) -> None:
    """Ours alone, keys first: others write there too."""
    others = folder / "tmpothers1"
    others.write_text('{"version": 1, "minor_version": 1, "key": "core.others", "data": {}}')
    binary = folder / "tmpothers2"
    binary.write_bytes(b"\xff\xfe no text")
    vault = await loaded(hass)
    disk.kill_after(steps)
    with suppress(Killed):
        await vault.put_text("entry", "grant", "first")
    disk.heal()
    again = await loaded(hass)
    assert again.holds("entry", "grant") is False or again.get_text("entry", "grant") == "first"
    ours = [name for name in temporary(folder) if (folder / name).stat().st_size]
    assert sorted(ours) == [others.name, binary.name]


async def test_files_of_interrupted_writes_go_keys_first(hass: HomeAssistant, folder: Path) -> None:
    """Whatever cuts it off again, the key is the first that is gone."""
    for name, key in (("tmpa", "teslafi.vault"), ("tmpb", "teslafi.last_values.x"), ("tmpc", "teslafi.vault_key")):
        (folder / name).write_text(f'{{\n  "version": 1,\n  "minor_version": 1,\n  "key": "{key}",\n  "data": {{')
    disk = Disk()
    with disk.mounted():
        disk.kill_after(1)
        with pytest.raises(Killed):
            await loaded(hass)
    assert sorted(temporary(folder)) == ["tmpa", "tmpb"]
    await loaded(hass)
    assert temporary(folder) == []


async def test_a_file_that_cannot_be_read_is_not_taken_for_none(hass: HomeAssistant, folder: Path) -> None:
    """Nothing is written over it."""
    await (await loaded(hass)).put_text("entry", "grant", "first")
    (folder / KEYS[1]).rename(folder / "elsewhere")
    (folder / KEYS[1]).mkdir()
    with pytest.raises(StorageFailed):
        await loaded(hass)
    assert (folder / KEYS[1]).is_dir()


@pytest.mark.parametrize("data", [[], "text", 7, [{"a": 1}]])
async def test_a_store_that_holds_no_object_is_an_empty_one(hass: HomeAssistant, folder: Path, data: object) -> None:
    """Somebody edited it."""
    stored = {"version": 1, "minor_version": 1, "key": KEYS[1], "data": data}
    (folder / KEYS[1]).write_text(json.dumps(stored))
    assert await PrivateFile(hass, KEYS[1]).load() == {}


async def test_a_file_is_one_of_home_assistants_stores(hass: HomeAssistant, disk: Disk, folder: Path) -> None:
    """Its own store reads it, in whatever language its keys are, and nobody else may."""
    file = PrivateFile(hass, KEYS[1])
    await file.write({"ключ": "\ud83d\ude97 ü"})
    assert json.loads((folder / KEYS[1]).read_text("utf-8")) == {
        "version": 1,
        "minor_version": 1,
        "key": KEYS[1],
        "data": {"ключ": "\U0001f697 ü"},
    }
    assert await Store[dict[str, str]](hass, 1, KEYS[1]).async_load() == {"ключ": "\U0001f697 ü"}
    assert (folder / KEYS[1]).stat().st_mode & 0o777 == 0o600


async def test_what_is_not_there_is_removed_without_trouble(hass: HomeAssistant, disk: Disk, folder: Path) -> None:
    file = PrivateFile(hass, KEYS[1])
    await file.write({})
    for _ in range(2):
        await file.remove()
        assert not (folder / KEYS[1]).exists()
    assert not told(hass)


class World:
    """A vault and a model of it, through writes, faults, minutes and kills."""

    def __init__(
        self, hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory, seed: int, vault: Vault
    ) -> None:
        """Begin with nothing sealed."""
        self.hass, self.disk, self.freezer, self.vault = hass, disk, freezer, vault
        self.random = Random(seed)  # noqa: S311 - nothing secret
        self.states: list[dict[str, str]] = [{}]
        self.kills = self.failed = self.count = 0

    @property
    def model(self) -> dict[str, str]:
        """What memory should hold."""
        return self.states[-1]

    async def act(self) -> None:
        """Change something, in whatever state the disk is."""
        entry = f"entry{self.random.randrange(3)}"
        self.count += 1
        match self.random.randrange(10):
            case 0:
                self.states.append({key: text for key, text in self.model.items() if key != entry})
                await self.vault.wipe(entry, "grant")
            case 1:
                try:
                    await self.vault.rotate_key()
                except StorageFailed:
                    self.failed += 1
            case 2:
                await pass_time(self.hass, self.freezer, RETRY_SECONDS + 1)
            case 3 | 4:
                before = self.model.get(entry)
                after = f"{entry}: {self.count}"
                if before is not None:
                    self.states.append({**self.model, entry: after})
                await self.vault.change_text(entry, "grant", lambda text: None if text is None else after)
            case _:
                self.states.append({**self.model, entry: f"{entry}: {self.count}"})
                await self.vault.put_text(entry, "grant", self.model[entry])
        if not told(self.hass):
            # Everything is on disk: nothing before it may come back
            self.states = [self.model]

    def held(self, vault: Vault) -> dict[str, str]:
        """Return what a vault holds; raise SealBroken for what cannot be opened."""
        found = {f"entry{number}": vault.get_text(f"entry{number}", "grant") for number in range(3)}
        return {entry: text for entry, text in found.items() if text is not None}

    async def restart(self) -> None:
        """Look at the disk as the next run does, and go on with it."""
        self.disk.heal()
        self.vault._again.cancel()  # noqa: SLF001 - its process is gone
        self.vault = await loaded(self.hass)
        held = self.held(self.vault)
        assert held in self.states, f"{held} is none of {self.states}"
        self.states = [held]
        # The next run knows nothing of the trouble of the last
        await pass_time(self.hass, self.freezer, RETRY_SECONDS + 1)


async def rounds(hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory, count: int, seed: int) -> World:
    """Play so many rounds of faults and kills."""
    world = World(hass, disk, freezer, seed, await loaded(hass))
    for _ in range(count):
        kill = world.random.random() < 0.5
        if not kill:
            disk.fail(any_fault(world.random))
        try:
            for number in range(world.random.randrange(1, 8)):
                if kill and number:
                    disk.kill_after(world.random.randrange(12))
                await world.act()
                assert world.held(world.vault) == world.model
        except Killed:
            world.kills += 1
        await world.restart()
    return world


@pytest.mark.parametrize("seed", range(2))
async def test_rounds_of_faults_and_kills(
    hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory, seed: int
) -> None:
    assert (await rounds(hass, disk, freezer, 10, seed)).kills > 0


@pytest.mark.slow
async def test_many_rounds_of_faults_and_kills(hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory) -> None:
    world = await rounds(hass, disk, freezer, 150, 11)
    assert world.kills >= 40
    assert world.failed > 0


@pytest.mark.slow
def test_kills_of_a_real_process_lose_nothing() -> None:
    """A share of `script/chaos vault`."""
    command = [sys.executable, "-m", "tests.world.kill", "25"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert found.returncode == 0, found.stderr
    assert "'kills': 25" in found.stdout


async def test_the_last_values_are_written_during_a_drive(
    hass: HomeAssistant, disk: Disk, folder: Path, freezer: FrozenDateTimeFactory
) -> None:
    """Data come every half minute for an hour: a delay that begins anew with each never ends."""
    file = last_values_file(hass, "entry")
    written: list[float] = []
    for _ in range(0, 3600, 30):
        file.save_soon(lambda: KEPT)
        await pass_time(hass, freezer, 30)
        path = folder / "teslafi.last_values.entry"
        if path.exists() and path.stat().st_mtime_ns not in written:
            written.append(path.stat().st_mtime_ns)
    assert 3600 / SAVE_DELAY / 2 <= len(written) <= 3600 / SAVE_DELAY + 1


async def test_last_values_are_written_when_home_assistant_stops(hass: HomeAssistant, folder: Path) -> None:
    last_values_file(hass, "entry").save_soon(lambda: KEPT)
    await hass.async_stop(force=True)
    assert list((await LastValuesFile(hass, "entry").load()).vehicles) == ["VIN"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_last_values_that_cannot_be_written_are_tried_again(
    hass: HomeAssistant, disk: Disk, freezer: FrozenDateTimeFactory, fault: str
) -> None:
    file = last_values_file(hass, "entry")
    disk.fail(fault)
    await file.save(KEPT)
    assert told(hass)
    disk.heal()
    await pass_time(hass, freezer, SAVE_DELAY + 1)
    assert not told(hass)
    assert list((await LastValuesFile(hass, "entry").load()).vehicles) == ["VIN"]


async def test_nothing_is_written_of_an_account_that_was_removed(
    hass: HomeAssistant, folder: Path, freezer: FrozenDateTimeFactory
) -> None:
    """A write that waits, one that comes late, and one under way."""
    file = last_values_file(hass, "entry")
    file.save_soon(lambda: KEPT)
    under_way = hass.async_create_task(file.save(KEPT))
    file.save_soon(lambda: KEPT)
    await last_values_file(hass, "entry").remove()
    await under_way
    file.save_soon(lambda: KEPT)
    await file.save(KEPT)
    await pass_time(hass, freezer, SAVE_DELAY + 1)
    assert not (folder / "teslafi.last_values.entry").exists()


async def test_one_file_that_fails_is_told_until_all_are_well(hass: HomeAssistant, disk: Disk) -> None:
    """The success of one does not clear the other's trouble."""
    one, other = PrivateFile(hass, "teslafi.one"), PrivateFile(hass, "teslafi.other")
    disk.fail("full")
    for file in (one, other):
        with pytest.raises(StorageFailed):
            await file.write({})
    disk.heal()
    await one.write({})
    assert told(hass)
    await other.write({})
    assert not told(hass)
