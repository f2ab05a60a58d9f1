"""The journal in a real Home Assistant: what is seen is written, over restarts and troubles, and is nobody else's."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import os
from pathlib import Path
import sqlite3
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed  # type: ignore[import-untyped]
from sqlalchemy import event

from custom_components.teslafi.backup import async_post_backup, async_pre_backup
from custom_components.teslafi.const import CONF_JOURNAL_POSITIONS, DOMAIN
from custom_components.teslafi.coordinators.journal import FILE, THIN_EACH, Journal, get_journal
from custom_components.teslafi.issues import JOURNAL
from custom_components.teslafi.journal.file import JournalUnusable
from custom_components.teslafi.journal.sample import KM_PER_MILE, Position, Sample, Wake
from custom_components.teslafi.journal.sessions import Charge, Drive, Parking
from custom_components.teslafi.journal.store import Recorded
from custom_components.teslafi.repairs import JournalFlow, async_create_fix_flow
from custom_components.teslafi.tesla.decode import Decoded, decode_vehicle
from custom_components.teslafi.tesla.reader import Reader
from custom_components.teslafi.tesla.snapshot import Snapshot
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.integration.owner import Owner

START = datetime(2026, 11, 16, 12, tzinfo=UTC)


class Car:
    """One of the owner's cars at the simulator, looked at again and again."""

    def __init__(self, hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, entry: ConfigEntry) -> None:
        """Begin."""
        self.hass = hass
        self.owner = owner
        self.freezer = freezer
        self.entry = entry

    @property
    def journal(self) -> Journal:
        """The journal of this Home Assistant."""
        return get_journal(self.hass)

    async def look(self, minutes: float = 1.0) -> None:
        """Let time pass, look at the car, and have that written."""
        self.freezer.tick(minutes * 60)
        coordinator = self.entry.runtime_data.vehicles[ANNAS_MODEL_3]
        coordinator.want_look()
        await coordinator.async_refresh()
        await self.journal.async_flush()

    @property
    def miles(self) -> float:
        """The odometer."""
        return float(self.owner.tesla.control.car(ANNAS_MODEL_3).data["vehicle_state"]["odometer"])

    async def drive(self) -> float:
        """Drive for six minutes, ending at home; return how many km."""
        control = self.owner.tesla.control
        await self.look()
        before = self.miles
        control.drive(ANNAS_MODEL_3, miles=30.0, speed=40.0)
        for _ in range(3):
            await self.look(2)
        car = control.car(ANNAS_MODEL_3)
        car.park()
        control.set_values(ANNAS_MODEL_3, {"drive_state.latitude": 52.03, "drive_state.longitude": 13.0})
        await self.look()
        await self.look()
        return (self.miles - before) * KM_PER_MILE


@pytest.fixture(autouse=True)
def _at_noon(freezer: FrozenDateTimeFactory) -> None:
    """Stand at noon before Tesla and its cars begin to live."""
    freezer.move_to(START)


@pytest.fixture
async def car(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory, _at_noon: None) -> Car:
    assert await async_setup_component(hass, "zone", {})
    home = {"latitude": 52.03, "longitude": 13.0, "radius": 100, "friendly_name": "Home"}
    hass.states.async_set("zone.home", "0", home)
    at_teslas = owner.tesla.control.car(ANNAS_MODEL_3)
    at_teslas.park()
    at_teslas.unplug()
    at_teslas.wake()
    return Car(hass, owner, freezer, await owner.sign_in())


async def test_a_drive_is_told_to_who_listens(car: Car) -> None:
    told: list[Recorded] = []
    stop = car.journal.listen(ANNAS_MODEL_3, told.append)
    km = await car.drive()
    drives = [one for recorded in told for one in recorded.closed if isinstance(one, Drive)]
    assert len(drives) == 1
    assert drives[0].distance_km == pytest.approx(km, rel=0.002)
    assert drives[0].end_place == "Home"
    assert drives[0].start_place is None
    kept = await car.journal.async_query(car.journal.store.drives, ANNAS_MODEL_3)
    assert [(one.start, one.distance_km) for one in kept] == [(drives[0].start, drives[0].distance_km)]
    assert isinstance(car.journal.current(ANNAS_MODEL_3), Parking)
    stop()
    count = len(told)
    await car.look()
    assert len(told) == count


async def test_what_is_seen_is_written_by_itself(car: Car) -> None:
    coordinator = car.entry.runtime_data.vehicles[ANNAS_MODEL_3]
    coordinator.want_look()
    await coordinator.async_refresh()
    car.freezer.tick(3)
    async_fire_time_changed(car.hass)
    await car.hass.async_block_till_done(wait_background_tasks=True)
    assert await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3)


async def test_a_charge_goes_on_over_a_restart(car: Car) -> None:
    control = car.owner.tesla.control
    await car.look()
    control.set_values(ANNAS_MODEL_3, {"charge_state.charge_limit_soc": 100})
    control.charge(ANNAS_MODEL_3, "three_phase")
    await car.look(6)
    await car.look(6)
    assert await car.hass.config_entries.async_unload(car.entry.entry_id)
    car.freezer.tick(900)
    assert await car.hass.config_entries.async_setup(car.entry.entry_id)
    await car.hass.async_block_till_done(wait_background_tasks=True)
    assert isinstance(car.journal.current(ANNAS_MODEL_3), Charge)
    await car.look(6)
    at_teslas = control.car(ANNAS_MODEL_3)
    added = at_teslas.data["charge_state"]["charge_energy_added"]
    at_teslas.unplug()
    await car.look()
    charges = await car.journal.async_query(car.journal.store.charges, ANNAS_MODEL_3)
    assert [(one.phases, one.dc) for one in charges] == [(3.0, False)]
    assert charges[0].added_kwh == pytest.approx(added, abs=0.3)
    assert charges[0].efficiency == pytest.approx(0.92, abs=0.1)
    assert charges[0].seconds > 30 * 60


async def test_unloading_writes_what_waits(car: Car) -> None:
    coordinator = car.entry.runtime_data.vehicles[ANNAS_MODEL_3]
    coordinator.want_look()
    await coordinator.async_refresh()
    path = Path(car.hass.config.path(FILE))
    assert await car.hass.config_entries.async_unload(car.entry.entry_id)
    assert path.exists()
    assert not path.with_name(FILE + "-wal").exists()
    assert await car.hass.config_entries.async_setup(car.entry.entry_id)
    assert await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3)


async def test_a_wall_clock_that_is_wrong_moves_no_session(car: Car) -> None:
    """The car's own clock counts: a year ahead, an hour back, in the middle of a drive."""
    await car.drive()
    before = await car.journal.async_query(car.journal.store.drives, ANNAS_MODEL_3)
    for days in (365, -365):
        car.freezer.tick(timedelta(days=days))
        coordinator = car.entry.runtime_data.vehicles[ANNAS_MODEL_3]
        await coordinator.async_refresh()
        await car.journal.async_flush()
    newest = (await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3))[-1].at
    assert newest < START.timestamp() + 86_400
    assert await car.journal.async_query(car.journal.store.drives, ANNAS_MODEL_3) == before


async def test_a_cars_clock_that_was_ahead_hides_nothing(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says once that it is fifty years later: what it does from now on is in the journal all the same."""
    of_cars = type(car.owner.tesla.control.car(ANNAS_MODEL_3))
    update = of_cars._update_data  # noqa: SLF001 - nothing else gives a car a wrong clock

    def update_ahead(at_teslas: Any) -> None:  # noqa: ANN401 - a car of the simulator
        update(at_teslas)
        at_teslas.data["drive_state"]["timestamp"] = int((START + timedelta(days=50 * 365)).timestamp() * 1000)

    await car.look()
    with monkeypatch.context() as patched:
        patched.setattr(of_cars, "_update_data", update_ahead)
        await car.look()
    assert (await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3))[-1].at > 3e9
    km = await car.drive()
    (drive,) = await car.journal.async_query(car.journal.store.drives, ANNAS_MODEL_3)
    assert drive.distance_km == pytest.approx(km, rel=0.002)
    assert drive.end < START.timestamp() + 86_400


@pytest.mark.parametrize(
    ("choice", "positions", "place"), [("zones", {(52.03, 13.0), None}, "Home"), ("none", {None}, None)]
)
async def test_positions_are_kept_as_the_owner_wants(
    car: Car, choice: str, positions: set[tuple[float, float] | None], place: str | None
) -> None:
    car.hass.config_entries.async_update_entry(car.entry, options={CONF_JOURNAL_POSITIONS: choice})
    car.freezer.tick(3600)
    await car.drive()
    samples = await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3, int(START.timestamp()) + 1800)
    assert {sample.position for sample in samples} <= positions
    drives = await car.journal.async_query(car.journal.store.drives, ANNAS_MODEL_3)
    assert drives[-1].end_place == place


@pytest.mark.parametrize(("options", "days"), [({}, 396), ({"journal_months": 2}, 61), ({"journal_months": 0}, None)])
async def test_details_are_kept_as_long_as_the_owner_wants(
    car: Car, monkeypatch: pytest.MonkeyPatch, options: dict[str, int], days: int | None
) -> None:
    car.hass.config_entries.async_update_entry(car.entry, options=options)
    asked: list[Mapping[str, int | None]] = []
    monkeypatch.setattr(car.journal.store, "thin", lambda _now, of: asked.append(of))
    await car.look()
    car.freezer.tick(THIN_EACH)
    async_fire_time_changed(car.hass)
    await car.hass.async_block_till_done(wait_background_tasks=True)
    assert asked[0][ANNAS_MODEL_3] == days


async def test_a_disk_that_takes_nothing_is_said_and_nothing_is_lost(
    car: Car, caplog: pytest.LogCaptureFixture
) -> None:
    await car.look()
    caplog.clear()
    path = Path(car.hass.config.path(FILE))
    issues = ir.async_get(car.hass)
    engine = car.journal.store._open_engine()  # noqa: SLF001 - the disk gets full from below
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def full(connection: Any) -> None:  # noqa: ANN401 - the driver's
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.exec_driver_sql("PRAGMA query_only = ON")

    event.listen(engine, "begin", full)
    km = await car.drive()
    issue = issues.async_get_issue(DOMAIN, JOURNAL)
    assert issue is not None
    assert (issue.translation_key, issue.is_fixable) == ("journal_unusable", False)
    assert car.entry.runtime_data.vehicles[ANNAS_MODEL_3].last_update_success
    for _ in range(5):
        car.freezer.tick(61)
        async_fire_time_changed(car.hass)
        await car.hass.async_block_till_done(wait_background_tasks=True)
    event.remove(engine, "begin", full)
    engine.dispose()
    car.freezer.tick(61)
    async_fire_time_changed(car.hass)
    await car.hass.async_block_till_done(wait_background_tasks=True)
    assert issues.async_get_issue(DOMAIN, JOURNAL) is None
    drives = await car.journal.async_query(car.journal.store.drives, ANNAS_MODEL_3)
    assert [one.distance_km for one in drives] == [pytest.approx(km, rel=0.002)]
    assert path.exists()
    told = [record.levelname for record in caplog.records if "journal can" in record.getMessage()]
    assert told == ["WARNING", "INFO"]


async def test_a_damaged_file_waits_for_the_owners_word(car: Car) -> None:
    await car.drive()
    assert await car.hass.config_entries.async_unload(car.entry.entry_id)
    path = Path(car.hass.config.path(FILE))
    damaged = b"damaged" + path.read_bytes()[7:]
    path.write_bytes(damaged)
    assert await car.hass.config_entries.async_setup(car.entry.entry_id)
    await car.hass.async_block_till_done(wait_background_tasks=True)
    await car.look()
    issue = ir.async_get(car.hass).async_get_issue(DOMAIN, JOURNAL)
    assert issue is not None
    assert (issue.translation_key, issue.is_fixable) == ("journal_damaged", True)
    assert car.entry.runtime_data.vehicles[ANNAS_MODEL_3].last_update_success
    assert path.read_bytes() == damaged
    flow = await async_create_fix_flow(car.hass, JOURNAL, None)
    assert isinstance(flow, JournalFlow)
    flow.hass, flow.issue_id, flow.handler = car.hass, JOURNAL, DOMAIN
    assert (await flow.async_step_init({}))["step_id"] == "confirm"
    assert (await flow.async_step_confirm({}))["type"] == "create_entry"
    aside = [file for file in path.parent.glob(f"{FILE}.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
    assert [file.read_bytes() for file in aside] == [damaged]
    assert ir.async_get(car.hass).async_get_issue(DOMAIN, JOURNAL) is None
    await car.look()
    assert await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3)


async def test_an_address_that_cannot_be_written_loses_nothing(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    await car.look()
    newest = (await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3))[-1]
    taken = car.journal.store.note_addresses

    def refused(vin: str, told: Iterable[tuple[Position, str]]) -> None:
        raise JournalUnusable("no space left")

    monkeypatch.setattr(car.journal.store, "note_addresses", refused)
    there = replace(newest, at=newest.at + 600, latitude=40.0, longitude=10.0, zone=None, address="Mill", since=None)
    car.journal.see(car.entry, ANNAS_MODEL_3, there)
    await car.journal.async_flush()
    assert car.journal.trouble is not None
    jitter = [replace(there, at=there.at + n, latitude=40.0 + n / 1e8) for n in range(1, 200)]
    for sample in jitter:
        car.journal.see(car.entry, ANNAS_MODEL_3, sample)
    assert len(car.journal._addresses[ANNAS_MODEL_3]) == 1, "no disk takes them for a week"  # noqa: SLF001
    monkeypatch.setattr(car.journal.store, "note_addresses", taken)
    await car.journal.async_flush()
    samples = await car.journal.async_query(car.journal.store.samples, ANNAS_MODEL_3)
    assert there.at in [sample.at for sample in samples]
    assert car.journal.trouble is None
    (row,) = await car.hass.async_add_executor_job(
        lambda: sqlite3.connect(car.journal.store.path).execute("SELECT address FROM addresses").fetchall()
    )
    assert row == ("Mill",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
async def test_a_folder_that_is_read_only(car: Car) -> None:
    assert await car.hass.config_entries.async_unload(car.entry.entry_id)
    path = Path(car.hass.config.path(FILE))
    path.chmod(0o400)
    assert await car.hass.config_entries.async_setup(car.entry.entry_id)
    assert ir.async_get(car.hass).async_get_issue(DOMAIN, JOURNAL) is not None


async def test_a_look_that_follows_at_once_says_all_that_the_state_before_it_says(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal hears of the look alone; of the state when the look is not answered."""
    heard: list[tuple[Wake | None, bool]] = []
    see = car.journal.see

    def noting(entry: ConfigEntry, vin: str, sample: Sample) -> None:
        if vin == ANNAS_MODEL_3:
            heard.append((sample.state, sample.has_data))
        see(entry, vin, sample)

    await car.drive()
    monkeypatch.setattr(car.journal, "see", noting)
    await car.look()
    assert heard == [(Wake.ONLINE, True)]
    heard.clear()
    car.owner.tesla.control.fault(path="*/vehicle_data", kind="status", status=408)
    await car.look()
    assert set(heard) == {(Wake.ONLINE, False)}


async def test_a_look_told_again_takes_nothing_away_from_the_state_before_it(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal drops an old look, and would not know that the car woke."""
    await car.drive()
    blocks = ("charge_state", "climate_state", "drive_state", "vehicle_state")
    at = car.owner.tesla.control.car(ANNAS_MODEL_3).data["drive_state"]["timestamp"]
    again = {f"{block}.timestamp": at for block in blocks}
    car.owner.tesla.control.fault(path="*/vehicle_data", kind="values", values=again)
    heard: list[tuple[Wake | None, bool]] = []
    monkeypatch.setattr(
        car.journal,
        "see",
        lambda _entry, vin, seen: heard.append((seen.state, seen.has_data)) if vin == ANNAS_MODEL_3 else None,
    )
    await car.look()
    assert heard == [(Wake.ONLINE, False), (Wake.ONLINE, True)]


@pytest.mark.parametrize("end", ["unload", "sleep"])
async def test_a_state_is_not_lost_with_the_look_that_follows_it(
    car: Car, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """While the look is under way, the account is unloaded, or somebody else learns that the car sleeps."""
    await car.look()
    coordinator = car.entry.runtime_data.vehicles[ANNAS_MODEL_3]
    asked = asyncio.Event()

    async def unanswered(_reader: Reader, _vin: str, _count: object) -> Decoded[Snapshot]:
        asked.set()
        return await asyncio.Future()

    monkeypatch.setattr(Reader, "vehicle_data", unanswered)
    car.freezer.tick(60)
    coordinator.want_look()
    car.entry.async_create_background_task(car.hass, coordinator.async_refresh(), "look")
    await asked.wait()
    if end == "sleep":
        car.freezer.tick(5)
        coordinator.note_look(decode_vehicle({"state": "asleep"}).snapshot)
    assert await car.hass.config_entries.async_unload(car.entry.entry_id)
    car.journal.store.open()
    kept = [(one.at, one.state) for one in car.journal.store.samples(ANNAS_MODEL_3)]
    car.journal.store.close()
    slept = [(int(START.timestamp()) + 125, Wake.ASLEEP)] if end == "sleep" else []
    assert kept[kept.index((int(START.timestamp()) + 60, Wake.ONLINE)) + 1 :] == [
        (int(START.timestamp()) + 120, Wake.ONLINE),
        *slept,
    ]


async def test_a_backup_is_one_whole_file(car: Car, tmp_path: Path) -> None:
    await car.drive()
    await async_pre_backup(car.hass)
    copy = Path(car.hass.config.path(FILE)).read_bytes()
    assert Path(car.hass.config.path(FILE + "-wal")).stat().st_size == 0
    coordinator = car.entry.runtime_data.vehicles[ANNAS_MODEL_3]
    car.owner.tesla.control.set_values(ANNAS_MODEL_3, {"charge_state.charge_limit_soc": 63})
    coordinator.want_look()
    car.freezer.tick(60)
    await coordinator.async_refresh()
    assert Path(car.hass.config.path(FILE)).read_bytes() == copy
    await async_post_backup(car.hass)
    await car.journal.async_flush()
    assert Path(car.hass.config.path(FILE + "-wal")).stat().st_size > 0


async def test_a_deleted_journal_begins_anew(car: Car) -> None:
    await car.drive()
    await car.journal.async_delete(ANNAS_MODEL_3)
    assert car.journal.current(ANNAS_MODEL_3) is None
    assert ANNAS_MODEL_3 not in await car.journal.async_query(car.journal.store.vins)
    await car.look()
    assert isinstance(car.journal.current(ANNAS_MODEL_3), Parking)
