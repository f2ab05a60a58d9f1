"""`script/bench import`: how long Home Assistant's event loop stands still while history comes in and is asked for.

A task of the event loop looks at the clocks every five milliseconds. What it finds longer is a stall: in wall time, and
in CPU time of the event loop's thread, which is what blocked it, whatever else the machine did.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import time
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

from homeassistant.components.recorder.statistics import get_last_statistics
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.recorder import get_instance
import pytest

from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.flow import import_history
from custom_components.teslafi.journal_entities.calendars import CALENDARS
from custom_components.teslafi.journal_entities.statistics import statistic_id
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3 as VIN
from tests.bench.journal import MONTH, START, write_files
from tests.integration.owner import Owner

from .test_import_flow import begin, finished

YEARS: Final = int(os.environ.get("TESLAFI_BENCH_YEARS", "1"))
TICK: Final = 0.005
SPAN: Final = {"start": "2021-12-01 00:00:00", "end": "2022-12-01 00:00:00"}


@dataclass(slots=True)
class Stalls:
    """The longest stalls in seconds: wall time, and CPU time in one, of this process or of the event loop's thread.

    Python runs one thread at a time: a worker that does not let go stalls the event loop as well. CPU time of the
    process tells that from a machine that is busy with something else.
    """

    wall: float = 0.0
    process: float = 0.0
    cpu: float = 0.0
    ticks: int = 0
    running: bool = True
    begun: float = field(default_factory=time.perf_counter)

    async def watch(self) -> None:
        """Look at the clocks until told to stop."""
        while self.running:
            wall, process, cpu = time.perf_counter(), time.process_time(), time.thread_time()
            await asyncio.sleep(TICK)
            self.wall = max(self.wall, time.perf_counter() - wall - TICK)
            self.process = max(self.process, time.process_time() - process - TICK)
            self.cpu = max(self.cpu, time.thread_time() - cpu)
            self.ticks += 1


@asynccontextmanager
async def watched(what: str) -> AsyncIterator[None]:
    """Print the stalls of what is done meanwhile."""
    stalls = Stalls()
    watching = asyncio.ensure_future(stalls.watch())
    try:
        yield
    finally:
        stalls.running = False
        await watching
    took = time.perf_counter() - stalls.begun
    figures = (stalls.wall, stalls.process, stalls.cpu)
    wall, process, cpu = (f"{max(figure, 0) * 1000:6.1f} ms" for figure in figures)
    print(f"  {what:30} {took:7.1f} s   stall: wall {wall}, CPU of all threads {process}, of the event loop {cpu}")


@pytest.fixture
def recorder_db_url(tmp_path: Path) -> str:
    """Return the address of a real file."""
    return f"sqlite:///{tmp_path}/recorder.db"


@pytest.fixture
def hass_begins_recording(recorder_mock: object) -> None:
    """Record from the start."""


@pytest.mark.usefixtures("hass_begins_recording")
async def test_how_long_the_event_loop_stands_still(
    hass: HomeAssistant, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = tmp_path / "files", tmp_path / "TeslaFi.zip"
    folder.mkdir()
    rows = await asyncio.to_thread(write_files, folder, YEARS)
    with ZipFile(path, "w", ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, file.name)

    @contextmanager
    def uploaded(_hass: HomeAssistant, _file_id: str) -> Iterator[Path]:
        yield path

    monkeypatch.setattr(import_history, "process_uploaded_file", uploaded)
    owner.tesla.control.sleep(VIN)
    entry = await owner.sign_in()
    hass.loop.set_debug(False)
    print(f"\n{YEARS} years, {rows:,} rows")
    async with watched("nothing, for comparison"):
        await asyncio.sleep(3)
    async with watched("import"):
        flow = await finished(hass, await begin(hass, entry))
    assert flow["step_id"] == "import_done"
    async with watched("statistics in the recorder"):
        for _ in range(600):
            await asyncio.sleep(0.2)
            if await get_instance(hass).async_add_executor_job(
                lambda: get_last_statistics(hass, 1, statistic_id(VIN, "distance"), False, {"sum"})
            ):
                break
        await hass.async_block_till_done(wait_background_tasks=True)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    asked: dict[str, dict[str, Any]] = {
        "get_drives": {},
        "get_charges": {},
        "get_parking": {},
        "get_summary": {"group_by": "day"},
        "recompute_costs": {},
        "export_journal": {"filename": str(tmp_path / "all.json")},
    }
    for name, more in asked.items():
        data = {"device_id": device.id, **more, **({} if name == "recompute_costs" else SPAN)}
        async with watched(f"{name}, a year"):
            await hass.services.async_call(DOMAIN, name, data, blocking=True, return_response=True)
    journal = entry.runtime_data.journal
    async with watched("calendar of drives, a year"):
        await journal.async_query(CALENDARS[0].query, journal.store, VIN, START, START + 12 * MONTH)
