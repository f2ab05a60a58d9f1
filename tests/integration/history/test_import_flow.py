"""Importing history as an owner does: a file, its progress, what came of it; nothing when it is broken or canceled."""

import asyncio
from collections.abc import Iterator
import contextlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
import threading
import time
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
import pytest

from custom_components.teslafi.const import CONF_JOURNAL_POSITIONS, DOMAIN
from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.flow import import_history
from custom_components.teslafi.history import teslafi_import
from custom_components.teslafi.journal.privacy import Positions
from custom_components.teslafi.journal.replay import Cancelled
from custom_components.teslafi.journal.store import Store
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.integration.owner import Owner

from .exported import OTHER_VIN, file_of, row

UPLOAD = "3f8a8a5e-2f0a-4f9c-9a57-0d1d6a8f1e11"


def month() -> bytes:
    """Return a month of a car that drives 30 km each day at eight."""
    rows = []
    for day in range(1, 29):
        morning = datetime(2022, 1, day, 7, 30, tzinfo=UTC)
        for minute in range(90):
            date = (morning + timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M:%S")
            driven = (day - 1) * 18.6 + min(max(minute - 30, 0), 30) * 0.62
            drives = {"shift_state": "D", "speed": "37"} if 30 <= minute < 60 else {}
            rows.append(row(date, odometer=f"{1000 + driven:.3f}", battery_level=str(80 - driven // 60), **drives))
    return file_of(rows)


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that the owner uploads; Home Assistant's upload gives it out once."""
    path = tmp_path / "TeslaFi12022.csv"

    @contextmanager
    def uploaded(_hass: HomeAssistant, file_id: str) -> Iterator[Path]:
        assert file_id == UPLOAD
        yield path

    monkeypatch.setattr(import_history, "process_uploaded_file", uploaded)
    return path


@pytest.fixture
async def entry(owner: Owner) -> ConfigEntry:
    return await owner.sign_in()


async def begin(hass: HomeAssistant, entry: ConfigEntry, **typed: str) -> Any:  # noqa: ANN401 - a flow's result
    """Go to the import and bring the file."""
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert "import_history" in flow["menu_options"]
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "import_history"})
    answer = {"file": UPLOAD, "time_zone": "UTC", "car": ANNAS_MODEL_3, **typed}
    return await hass.config_entries.flow.async_configure(flow["flow_id"], answer)


async def finished(hass: HomeAssistant, flow: Any) -> Any:  # noqa: ANN401
    """Wait until the import has ended."""
    async with asyncio.timeout(120):
        while flow["type"] is FlowResultType.SHOW_PROGRESS:
            await hass.async_block_till_done(wait_background_tasks=True)
            flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    return flow


async def drives_of(hass: HomeAssistant) -> list[Any]:
    journal = get_journal(hass)
    return list(
        await journal.async_query(
            journal.store.drives, ANNAS_MODEL_3, 0, int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())
        )
    )


async def test_a_month_becomes_drives(hass: HomeAssistant, entry: ConfigEntry, upload: Path) -> None:
    upload.write_bytes(month())
    flow = await finished(hass, await begin(hass, entry))
    assert flow["step_id"] == "import_done"
    assert flow["description_placeholders"]["taken"] != "0"
    drives = await drives_of(hass)
    assert len(drives) == 28
    assert sum(drive.distance_km for drive in drives) == pytest.approx(28 * 29.9, rel=0.01)
    assert not upload.exists(), "the file does not stay"
    ended = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "import_finish"})
    assert ended["reason"] == "history_imported"


async def test_twice_changes_nothing(hass: HomeAssistant, entry: ConfigEntry, upload: Path) -> None:
    for _ in range(2):
        upload.write_bytes(month())
        flow = await finished(hass, await begin(hass, entry))
        hass.config_entries.flow.async_abort(flow["flow_id"])
    assert len(await drives_of(hass)) == 28


@pytest.mark.parametrize(
    ("content", "typed", "error"),
    [
        (b"name,age\n", {}, "history_column_missing"),
        (file_of([row("2022-01-01 08:00:00"), row("2022-01-01 08:01:00", odometer="many")]), {}, "history_value"),
        (file_of([row("2022-01-01 08:00:00", vin=OTHER_VIN)]), {}, "history_other_car"),
        *(
            (file_of([row("2022-01-01 08:00:00")]), {"time_zone": zone}, "history_time_zone")
            for zone in (
                "Nowhere",
                "",
                "Europe",
                "..",
                "../../../etc/passwd",
                "/etc/localtime",
                "\0",
                "x" * 5000,
                "\u00e9",
            )
        ),
    ],
)
async def test_what_is_broken_is_said_and_nothing_imported(
    hass: HomeAssistant, entry: ConfigEntry, upload: Path, content: bytes, typed: dict[str, str], error: str
) -> None:
    upload.write_bytes(content)
    flow = await finished(hass, await begin(hass, entry, **typed))
    assert (flow["step_id"], flow["errors"]) == ("import_history", {"base": error})
    assert await drives_of(hass) == []
    hass.config_entries.flow.async_abort(flow["flow_id"])


async def test_closing_the_dialog_cancels(
    hass: HomeAssistant, entry: ConfigEntry, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import is held where it has read everything and written nothing for good."""
    upload.write_bytes(month())
    begun, go_on = threading.Event(), threading.Event()
    bring_in = Store.bring_in

    def slowly(self: Store, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        begun.set()
        assert go_on.wait(60)
        return bring_in(self, *args, **kwargs)

    monkeypatch.setattr(Store, "bring_in", slowly)
    flow = await begin(hass, entry)
    assert await hass.async_add_executor_job(begun.wait, 60)
    hass.config_entries.flow.async_abort(flow["flow_id"])
    go_on.set()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await drives_of(hass) == []


@pytest.mark.parametrize("positions", list(Positions))
async def test_as_much_of_positions_is_kept_as_the_owner_wants(
    hass: HomeAssistant, entry: ConfigEntry, upload: Path, positions: Positions
) -> None:
    hass.config_entries.async_update_entry(entry, options={CONF_JOURNAL_POSITIONS: positions.value})
    work = {"latitude": 52.37, "longitude": 4.89, "radius": 200, "friendly_name": "Work"}
    hass.states.async_set("zone.work", "0", work | {"latitude": 52.3702})
    elsewhere = {"latitude": "48.1", "longitude": "11.5"}
    upload.write_bytes(file_of([row("2022-01-01 08:00:00"), row("2022-01-01 08:01:00", **elsewhere)]))
    flow = await finished(hass, await begin(hass, entry))
    assert flow["step_id"] == "import_done"
    journal = get_journal(hass)
    kept = await journal.async_query(journal.store.samples, ANNAS_MODEL_3, 0, 1_700_000_000)
    assert [sample.position for sample in kept] == {
        Positions.EXACT: [(52.37, 4.89), (48.1, 11.5)],
        Positions.ZONES: [(52.3702, 4.89), None],
        Positions.NONE: [None, None],
    }[positions]


async def test_an_account_that_is_not_loaded_cannot_import(
    hass: HomeAssistant, entry: ConfigEntry, upload: Path
) -> None:
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    await hass.config_entries.async_unload(entry.entry_id)
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "import_history"})
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "not_loaded")


async def test_a_dialog_closed_while_the_file_is_looked_at_imports_nothing(
    hass: HomeAssistant, entry: ConfigEntry, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload.write_bytes(month())
    begun, go_on = threading.Event(), threading.Event()
    folders: list[Path] = []
    look = teslafi_import.prepare

    def slowly(paths: Any, zone: Any) -> Any:  # noqa: ANN401
        folders.append(paths[0][1].parent)
        begun.set()
        assert go_on.wait(60)
        return look(paths, zone)

    monkeypatch.setattr(import_history, "prepare", slowly)
    going = hass.async_create_task(begin(hass, entry))
    assert await hass.async_add_executor_job(begun.wait, 60)
    (flow,) = hass.config_entries.flow.async_progress()
    hass.config_entries.flow.async_abort(flow["flow_id"])
    go_on.set()
    with contextlib.suppress(UnknownFlow):
        await going
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await drives_of(hass) == []
    assert not folders[0].exists(), "the owner's file does not stay"


@pytest.mark.parametrize("how", ["reload", "remove", "stop"])
async def test_an_account_that_leaves_ends_its_import(
    hass: HomeAssistant, entry: ConfigEntry, upload: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Nothing waits for an import that nobody can see the end of, and nothing of it stays."""
    upload.write_bytes(month())
    begun = threading.Event()
    bring_in = Store.bring_in

    def until_told(self: Store, *args: Any, cancelled: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        begun.set()
        for _ in range(60_000):
            if cancelled():
                raise Cancelled
            time.sleep(0.005)
        return bring_in(self, *args, cancelled=cancelled, **kwargs)

    monkeypatch.setattr(Store, "bring_in", until_told)
    flow = await begin(hass, entry)
    assert await hass.async_add_executor_job(begun.wait, 60)
    brought = Path(hass.config.path(".storage", "teslafi.uploads"))
    assert [path.name for path in brought.rglob("*.csv")] == [upload.name]
    if how == "reload":
        await hass.config_entries.async_reload(entry.entry_id)
    elif how == "remove":
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done(wait_background_tasks=True)
    if how != "stop":
        ended = await finished(hass, flow)
        assert (ended["type"], ended["reason"]) == (FlowResultType.ABORT, "import_cancelled")
        await hass.async_block_till_done(wait_background_tasks=True)
    assert not list(brought.rglob("*.csv")), "the owner's file does not stay, also when nobody closes the dialog"
    store = Store(get_journal(hass).store.path)
    await hass.async_add_executor_job(store.open)
    assert await hass.async_add_executor_job(store.drives, ANNAS_MODEL_3) == []
    await hass.async_add_executor_job(store.close)


async def test_what_a_crash_left_of_an_upload_goes_at_the_next_start(hass: HomeAssistant, owner: Owner) -> None:
    left = Path(hass.config.path(".storage", "teslafi.uploads", "tmp1", "TeslaFi12022.csv"))
    left.parent.mkdir(parents=True)
    left.write_bytes(month())
    await owner.sign_in()
    assert not left.parent.parent.exists()


@pytest.mark.parametrize(
    ("trouble", "error"),
    [(OSError(28, "No space left on device"), "history_disk"), (ValueError("unknown file"), "history_upload_gone")],
)
async def test_an_upload_that_cannot_be_taken_is_said(
    hass: HomeAssistant,
    entry: ConfigEntry,
    upload: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
    error: str,
) -> None:
    def fails(_hass: HomeAssistant, _file_id: str) -> Any:  # noqa: ANN401
        raise trouble

    monkeypatch.setattr(import_history, "process_uploaded_file", fails)
    flow = await begin(hass, entry)
    assert (flow["step_id"], flow["errors"]) == ("import_history", {"base": error})
