"""An owner's history: a file brought in the browser, its progress, and what Home Assistant shows of it afterwards."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
import re
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

from playwright.async_api import ViewportSize, expect
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3 as VIN
from tests.integration.history.exported import asleep, file_of, row
from tests.live.home_assistant import CORE

from .person import Person

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DAYS: Final = 50
DESKTOP: Final[ViewportSize] = {"width": 1400, "height": 1000}
MILES: Final = 15.5
"""Of a drive to work, and of one back."""
KM: Final = MILES * 1.609344
PATIENCE: Final = 240_000
WHOLE_WAY: Final = pytest.approx(DAYS * 2 * KM, rel=0.01)
HOME: Final = ("37.400000", "-122.100000")
WORK: Final = ("37.331000", "-121.890000")
WAY: Final = {480: (HOME, WORK), 1050: (WORK, HOME)}
"""Minutes after midnight at which a drive of half an hour begins, and between which places."""


def months(until: datetime, odometer: float) -> Iterator[tuple[str, bytes]]:
    """Yield the monthly files of a commuter who charges each evening, up to a moment and an odometer in miles."""
    begin = until.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    files: dict[str, list[dict[str, str]]] = {}
    for day in range(DAYS):
        midnight = begin + timedelta(days=day)
        driven = odometer - (DAYS - day) * 2 * MILES
        rows = files.setdefault(f"TeslaFi{midnight.month}{midnight.year}.csv", [])
        rows += [_minute(midnight + timedelta(minutes=minute), minute, driven) for minute in range(1440)]
    for name, rows in files.items():
        yield name, file_of(rows)


def _minute(moment: datetime, minute: int, driven: float) -> dict[str, str]:
    date = f"{moment:%Y-%m-%d %H:%M:%S}"
    if minute < 470 or 520 < minute < 1040 or minute > 1320:
        return asleep(date)
    came = sum(min(max(minute - begin, 0), 30) / 30 for begin in WAY)
    place = HOME if came in (0, 2) else WORK
    charged = min(max(minute - 1140, 0), 120) / 120
    level = 80 - 6 * came + 12 * charged
    told = {"odometer": f"{driven + came * MILES:.3f}", "battery_level": f"{level:.1f}", "usable_battery_level": ""}
    told |= {"battery_range": f"{level * 3.1:.2f}", "latitude": place[0], "longitude": place[1]}
    if any(begin <= minute < begin + 30 for begin in WAY):
        told |= {"shift_state": "D", "speed": "31"}
    if 1140 <= minute < 1260:
        told |= {"charging_state": "Charging", "charger_power": "4", "charger_voltage": "230"}
        told |= {"charger_actual_current": "16", "charger_phases": "1"}
    if minute >= 1140:
        told["charge_energy_added"] = f"{7.2 * charged:.2f}"
    return row(date, **told)


def archive(folder: Path, until: datetime, odometer: float) -> Path:
    """Return a zip archive of the months."""
    path = folder / "TeslaFi.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as packed:
        for name, content in months(until, odometer):
            packed.writestr(name, content)
    return path


async def enable_calendars(person: Person) -> None:
    """Enable the calendars of the journal, which are off by default, and have Home Assistant set them up at once."""
    entities: list[dict[str, Any]] = await person.call({"type": "config/entity_registry/list"})
    for entity in entities:
        if entity["platform"] == "teslafi" and entity["entity_id"].startswith("calendar."):
            change = {"type": "config/entity_registry/update", "entity_id": entity["entity_id"], "disabled_by": None}
            await person.call(change)
    (entry,) = await person.call({"type": "config_entries/get", "domain": "teslafi"})
    reloaded = {"service": "reload_config_entry", "service_data": {"entry_id": entry["entry_id"]}}
    await person.call({"type": "call_service", "domain": "homeassistant", **reloaded})


async def show(person: Person, cards: list[dict[str, Any]]) -> None:
    """Make a dashboard of cards, and look at it."""
    new = {"url_path": "journal-look", "title": "Journal", "mode": "storage", "require_admin": False}
    await person.call({"type": "lovelace/dashboards/create", **new})
    config = {"views": [{"title": "Journal", "type": "sections", "sections": [{"type": "grid", "cards": cards}]}]}
    await person.call({"type": "lovelace/config/save", "url_path": "journal-look", "config": config})
    await person.open("/journal-look")


async def test_history_comes_in_and_is_shown(person: Person, tesla: TeslaSimulator, tmp_path: Path) -> None:
    odometer = float(tesla.control.car(VIN).data["vehicle_state"]["odometer"])
    brought = archive(tmp_path, datetime.now(ZoneInfo(str(CORE["time_zone"]))).replace(tzinfo=None), odometer)
    await person.page.set_viewport_size(DESKTOP)
    await person.add_integration()
    await person.choose("Sign in with Tesla")
    await person.dialog.locator("step-flow-form").wait_for()
    await person.sign_in_at_tesla("anna@example.com")
    await person.finish()
    await enable_calendars(person)

    await person.open("/config/integrations/integration/teslafi")
    await person.reconfigure()
    await person.choose("Import history from TeslaFi.com")
    await person.dialog.locator("input[type=file]").set_input_files(brought)
    await person.dialog.locator("ha-file-upload", has_text="TeslaFi.zip").first.wait_for()
    await person.picture("import-history")
    await person.submit()
    await person.dialog.locator("step-flow-progress").wait_for()
    await person.picture("import-progress")
    done = person.dialog.locator("step-flow-menu")
    await done.wait_for(timeout=PATIENCE)
    await expect(done).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d"))
    await person.picture("import-done")
    await person.choose("Finish")

    distance = person.page.locator("hui-tile-card", has_text="Last drive").first
    await show(
        person,
        [
            {"type": "tile", "entity": "sensor.roadrunner_last_drive"},
            {"type": "tile", "entity": "sensor.roadrunner_last_charge"},
            {
                "type": "statistics-graph",
                "title": "Distance by week",
                "entities": [f"teslafi:{VIN.lower()}_distance"],
                "stat_types": ["change"],
                "chart_type": "bar",
                "period": "week",
                "days_to_show": DAYS,
            },
        ],
    )
    await expect(distance).to_contain_text(f"{KM:.1f} km")
    await expect(person.page.locator("hui-statistics-graph-card canvas").first).to_be_visible(timeout=PATIENCE)
    await person.picture("journal-statistics")
    assert await distance_of(person, f"teslafi:{VIN.lower()}_distance") == WHOLE_WAY

    await person.open("/calendar")
    for tariff in ("Anna's home Export tariff", "Anna's home Import tariff"):
        await person.page.get_by_role("menuitemcheckbox", name=tariff).click()
    drive = person.page.locator("ha-full-calendar").get_by_text(f"Drove {KM:.1f} km from Demo home")
    await expect(drive.locator("visible=true").first).to_be_visible()
    await person.picture("journal-calendar")


async def distance_of(person: Person, name: str) -> float:
    """Return the sum of a statistic by weeks, once the recorder has taken all of it."""
    asked = {"statistic_ids": [name], "period": "week", "types": ["change"]}
    begin = (datetime.now(UTC) - timedelta(days=DAYS + 10)).isoformat()
    whole = 0.0
    for _ in range(PATIENCE // 500):
        told = await person.call({"type": "recorder/statistics_during_period", "start_time": begin, **asked})
        whole = sum(week["change"] for week in told.get(name, ()))
        if whole == WHOLE_WAY:
            break
        await person.page.wait_for_timeout(500)
    return whole
