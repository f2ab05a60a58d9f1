"""What lies on the disk: who may read it, and who else may serve it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
import os
from pathlib import Path
import stat

import pytest

from teslafi_companion.configuration import load_settings
from teslafi_companion.server import started
from teslafi_companion.settings import Settings, UnsafeSetting
from teslafi_companion.store.database import DatabaseInUse, create_engine
from teslafi_companion.store.schema import prepare_schema
from tests.live.processes import COMPANIONS
from tests.live.served import READY_SECONDS, ServedCompanion

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177])
async def test_files_are_their_owners_alone_whatever_the_umask(settings: Settings, umask: int) -> None:
    assert settings.sqlite_path is not None
    before = os.umask(umask)
    try:
        engine = create_engine(settings)
        await prepare_schema(engine)
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM totp")
            files = [file for file in settings.sqlite_path.parent.iterdir() if file.is_file()]
            assert {file.name.rpartition("-")[2] for file in files} >= {"wal", "shm"}
            assert {mode(file) for file in files} == {0o600}
        await engine.dispose()
    finally:
        os.umask(before)
    assert mode(settings.sqlite_path.parent) == 0o700


async def test_a_database_of_an_older_version_is_made_private(settings: Settings) -> None:
    assert settings.sqlite_path is not None
    settings.sqlite_path.parent.mkdir()
    settings.sqlite_path.touch(mode=0o644)
    settings.sqlite_path.chmod(0o644)
    await create_engine(settings).dispose()
    assert mode(settings.sqlite_path) == 0o600


async def test_a_second_process_on_a_file_is_refused_at_start(
    settings: Settings, tmp_path: Path, socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServedCompanion, "starts", COMPANIONS)
    settings = replace(settings, listen_port=0)
    async with AsyncExitStack() as stack:
        await started(stack, settings)
        async with AsyncExitStack() as second:
            with pytest.raises(DatabaseInUse, match="SQLite only allows one"):
                await started(second, settings)
        served = ServedCompanion(tmp_path, settings.database, key_file=str(settings.key_file))
        async with asyncio.timeout(READY_SECONDS):
            with pytest.raises(RuntimeError, match="Another process already uses"):
                await served.command("serve")
    async with AsyncExitStack() as again:
        await started(again, settings)


@pytest.mark.parametrize("others", [0o604, 0o602, 0o601, 0o640, 0o620, 0o666])
def test_a_settings_file_that_others_can_read_is_refused(tmp_path: Path, database: str, others: int) -> None:
    file = tmp_path / "companion.toml"
    file.write_text('service_name = "Mine"\n')
    file.chmod(0o600)
    assert load_settings({}, file).service_name == "Mine"
    file.chmod(others)
    if os.geteuid() == 0 and os.getegid() == 0 and not others & 0o007:
        # A file of root's for the group that the service runs in: systemd's usual way
        assert load_settings({}, file).service_name == "Mine"
        os.chown(file, 65534, 0)
    with pytest.raises(UnsafeSetting, match="Other users can read"):
        load_settings({}, file)
