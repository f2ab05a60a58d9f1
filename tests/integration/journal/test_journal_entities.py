"""What Home Assistant shows of the journal: entities, calendars, actions, activity, statistics, tools, imports."""

import asyncio
from collections.abc import Iterable
import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import sqlite3
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.logbook.const import LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.llm import LLMContext, ToolInput
from homeassistant.setup import async_setup_component
import probatio
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.teslafi import llm
from custom_components.teslafi.const import DOMAIN, EVENT_JOURNAL
from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.journal.file import JournalUnusable
from custom_components.teslafi.journal.sample import Sample, Wake
from custom_components.teslafi.journal.sessions import Charge, Drive
from custom_components.teslafi.journal.store import Recorded
from custom_components.teslafi.journal_entities.actions import summaries
from custom_components.teslafi.journal_entities.figures import charge_figures
from custom_components.teslafi.journal_entities.follow import _Follower
from custom_components.teslafi.journal_entities.statistics import rows, spread, statistic_id
from custom_components.teslafi.journal_entities.words import Words, charge_line, drive_line
from custom_components.teslafi.logbook import async_describe_events
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from tests.integration.owner import Owner
from tests.translations import translations

VIN: Final = ANNAS_MODEL_3
NOON: Final = datetime(2026, 11, 16, 12, tzinfo=UTC)
HOME: Final = (52.03, 13.0)
AWAY: Final = (52.2, 13.2)
MINUTE: Final = 60


def at(minute: float) -> int:
    """Return the moment so many minutes after noon."""
    return int((NOON + timedelta(minutes=minute)).timestamp())


def day() -> list[Sample]:
    """Return a drive of 20 km in 20 minutes, and a charge at home of 20 kWh in three hours."""
    samples = [parked(minute, 1000.0, 80.0, AWAY) for minute in (-30, -20, -10, 0)]
    samples += [
        parked(minute, 1000.0 + minute, 80.0 - minute / 5, AWAY, driving=True, speed_kmh=60.0)
        for minute in range(1, 20)
    ]
    samples += [parked(minute, 1020.0, 76.0, HOME) for minute in (20, 22, 25)]
    samples += [
        parked(
            30 + minute,
            1020.0,
            76.0 - 46.0 + minute / 6,
            HOME,
            charging_state="Charging",
            energy_added_kwh=minute / 9,
            charger_power_kw=7.0,
            charger_volts=230.0,
            charger_amps=30.0,
            charger_phases=1,
        )
        for minute in range(0, 181, 5)
    ]
    samples += [
        parked(minute, 1020.0, 60.0, HOME, charging_state="Complete", energy_added_kwh=20.0) for minute in (212, 215)
    ]
    return [*samples, parked(220, 1020.0, 60.0, HOME), parked(230, 1020.0, 60.0, HOME)]


def parked(minute: float, odometer: float, soc: float, place: tuple[float, float], **more: object) -> Sample:
    """Return what a car told."""
    told: dict[str, Any] = {
        "at": at(minute),
        "state": Wake.ONLINE,
        "odometer_km": odometer,
        "soc": soc,
        "usable_soc": soc,
        "range_km": soc * 4.0,
        "driving": False,
        "charging_state": "Disconnected",
        "energy_added_kwh": 0.0,
        "latitude": place[0],
        "longitude": place[1],
        "software": "2026.38.7",
        "inside_c": 20.0,
        "outside_c": 10.0,
    }
    return Sample(**(told | more))


@pytest.fixture
async def entry(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> ConfigEntry:
    """Sign in, with a home that is a zone, and every entity of the journal enabled."""
    freezer.move_to(NOON - timedelta(hours=1))
    await hass.config.async_set_time_zone("UTC")
    assert await async_setup_component(hass, "zone", {})
    home = {"latitude": HOME[0], "longitude": HOME[1], "radius": 100, "friendly_name": "Home"}
    hass.states.async_set("zone.home", "0", home)
    owner.tesla.control.sleep(VIN)
    entry = await owner.sign_in()
    registry = er.async_get(hass)
    for one in er.async_entries_for_config_entry(registry, entry.entry_id):
        if (one.translation_key or "").startswith("journal"):
            registry.async_update_entity(one.entity_id, disabled_by=None)
    freezer.tick(timedelta(minutes=1))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


async def live(hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, seen: Iterable[Sample]) -> None:
    """Let the journal see samples at their moments."""
    journal = get_journal(hass)
    for sample in seen:
        freezer.move_to(datetime.fromtimestamp(sample.at, UTC))
        journal.see(entry, VIN, sample)
    await journal.async_flush()
    await hass.async_block_till_done(wait_background_tasks=True)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


def shown(hass: HomeAssistant, key: str, domain: str = "sensor") -> State:
    """Return the state of the car's entity with this key."""
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id(domain, DOMAIN, f"{VIN}-{key}")
    assert entity_id is not None, key
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state


def device_of(hass: HomeAssistant, entry: ConfigEntry) -> str:
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, VIN), entry.entry_id)
    assert device is not None
    return device.id


async def act(hass: HomeAssistant, entry: ConfigEntry, name: str, **data: object) -> dict[str, Any]:
    """Call an action about the car, and return its response."""
    asked = {"device_id": device_of(hass, entry), **data}
    response = await hass.services.async_call(DOMAIN, name, asked, blocking=True, return_response=True)
    assert isinstance(response, dict)
    return response


async def test_sensors_show_the_last_sessions_and_keep_them_over_a_restart(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    await live(hass, entry, freezer, day())
    before = {key: shown(hass, key).state for key in ("journal_drive_distance", "journal_charge_added")}
    assert float(before["journal_drive_distance"]) == pytest.approx(20, rel=0.01)
    assert float(before["journal_charge_added"]) == pytest.approx(20, rel=0.02)
    assert shown(hass, "journal_drive_distance").attributes["end_place"] == "Home"
    assert float(shown(hass, "journal_month_distance").state) == pytest.approx(20, rel=0.01)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert {key: shown(hass, key).state for key in before} == before


async def test_a_charge_shows_while_it_goes_on(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    samples = day()
    await live(hass, entry, freezer, samples[:50])
    assert 0 < float(shown(hass, "journal_charge_added").state) < 20
    assert await events(hass, "journal_charges") == [], "a calendar tells what happened; what goes on is its state"
    assert shown(hass, "journal_charges", "calendar").state == "on"


async def events(hass: HomeAssistant, key: str) -> list[dict[str, Any]]:
    calendar = shown(hass, key, "calendar").entity_id
    span = {"start_date_time": NOON - timedelta(days=1), "end_date_time": NOON + timedelta(days=1)}
    response = await hass.services.async_call(
        "calendar", "get_events", {"entity_id": calendar, **span}, blocking=True, return_response=True
    )
    assert response is not None
    found: Any = response[calendar]
    return list(found["events"])


async def test_calendars_and_activity_tell_in_words(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    fired = async_capture_events(hass, EVENT_JOURNAL)
    await live(hass, entry, freezer, day())
    (drive,) = await events(hass, "journal_drives")
    (charge,) = await events(hass, "journal_charges")
    assert drive["summary"].startswith("Drove 20.0 km from 52.200, 13.200 to Home in 20 min")
    assert charge["summary"].startswith("Charged 20.0 kWh at Home in 3 h")
    described: dict[str, Any] = {}
    async_describe_events(hass, lambda _domain, name, describe: described.update({name: describe}))
    lines = [described[EVENT_JOURNAL](event) for event in fired]
    assert [line[LOGBOOK_ENTRY_NAME] for line in lines] == ["Roadrunner"] * len(lines)
    assert [line[LOGBOOK_ENTRY_MESSAGE] for line in lines] == [drive["summary"], charge["summary"]]
    named = {event.data["entity_id"] for event in fired}
    assert named == {"sensor.roadrunner_car_state"}, "the activity page looks for a car's lines by its entities"


async def test_events_come_once_with_their_figures(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    entity_id = shown(hass, "journal", "event").entity_id
    told = async_capture_events(hass, EVENT_STATE_CHANGED)
    await live(hass, entry, freezer, day())
    seen = [one.data["new_state"] for one in told if one.data["entity_id"] == entity_id]
    kinds = [state.attributes["event_type"] for state in seen if state.attributes.get("event_type")]
    assert kinds == ["drive_ended", "charge_ended"]
    assert seen[-1].attributes["added_kwh"] == pytest.approx(20, rel=0.02)


async def test_a_session_told_anew_after_a_restart_is_no_news(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    lines = async_capture_events(hass, EVENT_JOURNAL)
    await live(hass, entry, freezer, day())
    assert len(lines) == 2
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    journal = get_journal(hass)
    drive = await journal.async_query(journal.store.last_drive, VIN)
    charge = await journal.async_query(journal.store.last_charge, VIN)
    assert drive is not None
    assert charge is not None
    state = await journal.async_query(journal.store.state, VIN)
    told = [replace(one, end=one.end + 60) for one in (drive, charge)]
    entry.runtime_data.journal_of(VIN)._recorded(Recorded(state, told))  # noqa: SLF001 - as the journal calls it
    assert len(lines) == 2
    later = replace(drive, start=drive.start + 36_000, end=drive.end + 36_000)
    entry.runtime_data.journal_of(VIN)._recorded(Recorded(state, [later]))  # noqa: SLF001
    assert len(lines) == 3
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_what_waits_is_told_before_the_entities_go(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    entity_id = shown(hass, "journal", "event").entity_id
    told = async_capture_events(hass, EVENT_STATE_CHANGED)
    for sample in day()[:40]:
        freezer.move_to(datetime.fromtimestamp(sample.at, UTC))
        get_journal(hass).see(entry, VIN, sample)
    await hass.config_entries.async_unload(entry.entry_id)
    seen = [one.data["new_state"] for one in told if one.data["entity_id"] == entity_id]
    assert "drive_ended" in [state.attributes.get("event_type") for state in seen if state is not None]


async def test_actions_answer(hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory) -> None:
    await live(hass, entry, freezer, day())
    (drive,) = (await act(hass, entry, "get_drives"))["drives"]
    assert (drive["distance_km"], drive["duration_s"]) == (pytest.approx(20, rel=0.01), pytest.approx(1200, abs=120))
    (charge,) = (await act(hass, entry, "get_charges"))["charges"]
    assert (charge["type"], charge["place"]) == ("AC", "Home")
    assert (await act(hass, entry, "get_parking"))["parking"]
    for group, period in (("total", "total"), ("day", "2026-11-16"), ("week", "2026-W47"), ("year", "2026")):
        (summed,) = (await act(hass, entry, "get_summary", group_by=group))["periods"]
        assert (summed["period"], summed["drives"], summed["charges"]) == (period, 1, 1)
    (drive_end,) = (await act(hass, entry, "get_drives"))["drives"]
    await act(hass, entry, "tag_drive", session=drive_end["start"], tag="business")
    groups = {"hour": "2026-11-16T12:00+0000", "place": "Home", "tag": "business", "software": "2026.38.7"}
    for group, named in groups.items():
        told = {one["period"]: one for one in (await act(hass, entry, "get_summary", group_by=group))["periods"]}
        assert told[named]["drives"] == 1
        assert sum(one["charges"] for one in told.values()) == 1
        assert sum(one["distance_km"] for one in told.values()) == drive["distance_km"]
    with pytest.raises(ServiceValidationError, match="start must be before"):
        await act(hass, entry, "get_drives", start="2026-12-01 00:00:00", end="2026-11-01 00:00:00")


NEVER: Final = ("0001-01-01 00:00:00", "1900-01-01 00:00:00", "9999-12-31 23:59:59", "9999-12-31T23:59:59-12:00")


MOMENTS: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("get_drives", {}, "start"),
    ("get_charges", {}, "end"),
    ("get_parking", {}, "start"),
    ("get_summary", {}, "end"),
    ("export_journal", {"filename": "x.json"}, "start"),
    ("tag_drive", {"tag": "x"}, "session"),
    ("set_charge_cost", {"cost": 1}, "session"),
    ("get_charging_history", {}, "start"),
    ("apply_charging_history", {}, "end"),
)


async def test_moments_that_cannot_be_are_refused(
    hass: HomeAssistant, entry: ConfigEntry, subtests: pytest.Subtests
) -> None:
    for name, more, field in MOMENTS:
        for never in NEVER:
            with subtests.test(name, never=never), pytest.raises(probatio.Invalid, match="expected a year"):
                await act(hass, entry, name, **more, **{field: never})


async def test_tags_and_costs_are_the_owners(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    await live(hass, entry, freezer, day())
    (drive,) = (await act(hass, entry, "get_drives"))["drives"]
    (charge,) = (await act(hass, entry, "get_charges"))["charges"]
    await act(hass, entry, "tag_drive", session=drive["start"], tag="business")
    entry.runtime_data.journal_of(VIN).take_changed_since()
    await act(hass, entry, "set_charge_cost", session=charge["start"], cost=6.5, currency="EUR")
    assert (await act(hass, entry, "get_drives"))["drives"][0]["tag"] == "business"
    assert (await act(hass, entry, "get_summary"))["periods"][0]["costs"] == {"EUR": 6.5}
    began = int(datetime.fromisoformat(charge["start"]).timestamp())
    assert entry.runtime_data.journal_of(VIN).take_changed_since() == began, "statistics are told anew from there"
    cost = shown(hass, "journal_charge_cost")
    assert (cost.state, cost.attributes["unit_of_measurement"]) == ("6.5", "EUR")
    month = shown(hass, "journal_month_cost")
    assert (month.state, month.attributes["unit_of_measurement"]) == ("6.5", "EUR")
    await act(hass, entry, "set_charge_cost", session=charge["start"], cost=20, currency="CHF")
    month = shown(hass, "journal_month_cost")
    assert (month.state, month.attributes["unit_of_measurement"]) == ("unknown", "EUR"), "never francs in euros"
    assert month.attributes["other_currencies"] == {"CHF": 20.0}
    for name, more in (("tag_drive", {"tag": "x"}), ("set_charge_cost", {"cost": 1})):
        with pytest.raises(ServiceValidationError, match="began at that time"):
            await act(hass, entry, name, session="2020-01-01 00:00:00", **more)


async def test_new_is_the_owners_number(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    charging = [
        parked(
            minute,
            1000.0,
            min(max(30.0 + minute / 6, 30.0), 60.0),
            HOME,
            charging_state="Charging" if 0 < minute < 180 else "Disconnected",
            energy_added_kwh=min(max(minute, 0), 180) / 9,
            charger_power_kw=7.0,
        )
        for minute in range(-10, 200, 5)
    ]
    await live(hass, entry, freezer, charging)
    measured = float(shown(hass, "journal_battery_capacity").state)
    assert float(shown(hass, "journal_battery_health").state) == 100.0
    told = await act(hass, entry, "set_new_capacity", capacity=measured * 1.25)
    assert told["health"] == pytest.approx(0.8, abs=0.001)
    assert float(shown(hass, "journal_battery_health").state) == pytest.approx(80.0, abs=0.1)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(shown(hass, "journal_battery_health").state) == pytest.approx(80.0, abs=0.1)
    assert (await act(hass, entry, "set_new_capacity"))["health"] == 1.0


async def test_exports_are_files_that_the_owner_allows(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, tmp_path: Path
) -> None:
    await live(hass, entry, freezer, day())
    with pytest.raises(ServiceValidationError, match="allowed to write"):
        await act(hass, entry, "export_journal", filename=str(tmp_path / "drives.csv"))
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    table = tmp_path / "drives.csv"
    assert (await act(hass, entry, "export_journal", filename=str(table)))["sessions"] == 1
    head, row = table.read_text("utf-8").splitlines()
    assert head.startswith("start,end,reconstructed,")
    assert [len(line) for line in csv.reader((head, row))] == [head.count(",") + 1] * 2
    whole = tmp_path / "journal.json"
    await act(hass, entry, "export_journal", filename=str(whole))
    told = json.loads(whole.read_text("utf-8"))
    assert (len(told["drives"]), len(told["charges"]), told["vin"]) == (1, 1, VIN)
    # What the disk does not take is said, and nothing is left of it
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(HomeAssistantError, match="can't write"):
        await act(hass, entry, "export_journal", filename=str(tmp_path / "folder.csv"))
    assert not list(tmp_path.glob(".*.part"))


async def test_an_export_of_months_has_each_session_once(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, tmp_path: Path
) -> None:
    days = (0, 29, 30, 31, 75)
    await live(hass, entry, freezer, (replace(one, at=one.at + each * 86_400) for each in days for one in day()))
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    # A month ends within the second drive: it is in the file once
    start = NOON + timedelta(minutes=10) - timedelta(days=1)
    span = {"start": start.isoformat(), "end": (NOON + timedelta(days=80)).isoformat()}
    await act(hass, entry, "export_journal", filename=str(tmp_path / "all.json"), **span)
    told = json.loads((tmp_path / "all.json").read_text("utf-8"))
    for kind in ("drives", "charges", "parking"):
        asked = (await act(hass, entry, f"get_{kind}", **span))[kind]
        assert told[kind] == asked, kind
        name = str(tmp_path / f"{kind}.csv")
        assert (await act(hass, entry, "export_journal", filename=name, kind=kind, **span))["sessions"] == len(asked)
        table = csv.DictReader((tmp_path / f"{kind}.csv").read_text("utf-8").splitlines())
        assert [row["start"] for row in table] == [one["start"] for one in asked]
    assert len(told["charges"]) == len(days)


async def test_no_cell_of_an_export_is_a_formula(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    await live(hass, entry, freezer, day()[:40])
    journal = get_journal(hass)
    drive = await journal.async_query(journal.store.last_drive, VIN)
    assert drive is not None
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    table = tmp_path / "drives.csv"
    for tag in ("=1+1", "+1", "-1", "@x", " =1+1", "\t=1", "\r\n=1", "\uff1d1+1", "\u00a0=1", "plain -1"):
        with subtests.test(tag):
            assert await journal.async_query(journal.store.tag_drive, VIN, drive.start, tag)
            await act(hass, entry, "export_journal", filename=str(table))
            with table.open(encoding="utf-8", newline="") as file:
                (told,) = csv.DictReader(file)
            assert told["tag"] == (tag if tag == "plain -1" else f"'{tag}")


async def test_assistants_ask_only_of_cars_that_are_exposed_to_them(
    hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(hass, entry, freezer, day())
    context = LLMContext(platform="test", context=None, language="en", assistant="conversation", device_id=None)
    monkeypatch.setattr(llm, "async_should_expose", lambda *_: False)
    assert llm.async_get_tools(hass, context, "assist") is None
    monkeypatch.setattr(llm, "async_should_expose", lambda *_: True)
    found = llm.async_get_tools(hass, context, "assist")
    assert found is not None
    tools = {tool.name: tool for tool in found.tools}
    for tool in tools.values():
        told = probatio.to_openapi(tool.parameters)["properties"]
        assert all("ISO 8601" in told[name]["description"] for name in ("start", "end"))
    assert all(tool.annotations.read_only and not tool.annotations.destructive for tool in tools.values())
    asked = ToolInput(tool_name="teslafi__get_summary", tool_args={"car": "Roadrunner", "group_by": "month"})
    answer: Any = await tools["teslafi__get_summary"].async_call(hass, asked, context)
    assert answer.data["periods"][0]["period"] == "2026-11"
    odd = ToolInput(tool_name="teslafi__get_drives", tool_args={"car": "somebody else's"})
    refused: Any = await tools["teslafi__get_drives"].async_call(hass, odd, context)
    assert refused.error


async def test_cars_of_one_name_do_not_hide_each_other(
    hass: HomeAssistant, entry: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = dr.async_get(hass)
    first, second = entry.runtime_data.vehicles
    for vin in (first, second):
        car = devices.async_get_device_by_identifier(("teslafi", vin), entry.entry_id)
        assert car is not None
        devices.async_update_device(car.id, name_by_user="Car")
    context = LLMContext(platform="test", context=None, language="en", assistant="conversation", device_id=None)
    monkeypatch.setattr(llm, "async_should_expose", lambda *_: True)
    found = llm.async_get_tools(hass, context, "assist")
    assert found is not None
    tool = next(tool for tool in found.tools if tool.name == "teslafi__get_drives")
    for name, is_known in (("Car", True), (f"Car {second[-6:]}", True), (f"Car {first[-6:]}", False)):
        asked = ToolInput(tool_name=tool.name, tool_args={"car": name})
        answer: Any = await tool.async_call(hass, asked, context)
        assert (not answer.error) == is_known, name


async def test_days_are_local_where_clocks_are_set(hass: HomeAssistant) -> None:
    """A day of 25 hours is one day, and a drive over midnight is of the day on which it began."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    starts = ("2026-10-24T22:30+00:00", "2026-10-25T00:30+00:00", "2026-10-25T01:30+00:00", "2026-10-25T22:50+00:00")
    drives = [
        Drive(start=start, end=start + 1200, earliest=start, latest=start + 1200, distance_km=10.0)
        for start in (int(datetime.fromisoformat(text).timestamp()) for text in starts)
    ]
    days = {one["period"]: one["drives"] for one in summaries(drives, [], [], "day")}
    assert days == {"2026-10-25": 4}
    assert [one["period"] for one in summaries(drives, [], [], "month")] == ["2026-10"]


def test_how_long_a_charge_took_that_nobody_saw_is_not_told() -> None:
    """Its bounds are two looks, which may be a day apart."""
    end = at(1200)
    seen = Charge(start=at(0), end=end, earliest=at(0), latest=end, added_kwh=20.0, place="Home")
    unseen = replace(seen, reconstructed=True)
    words = Words({f"component.{DOMAIN}.selector.journal.options.in_time": "{line} in {time}"}, metric=True)
    assert " in hours" in charge_line(words, seen)
    assert " in " not in charge_line(words, unseen)
    assert (charge_figures(seen)["duration_s"], charge_figures(unseen)["duration_s"]) == (72_000, None)


@pytest.mark.parametrize(
    ("language", "drove", "charged"),
    [("en", "Drove 12.4 km to Home in 21 min", "Charged 31.2 kWh at Home in 4 h 10 min, 6.24 EUR"),
     ("de", "12,4 km nach Home gefahren in 21 Min.", "31,2 kWh geladen (Home) in 4 Std. 10 Min., 6,24 EUR")],
)  # fmt: skip
def test_lines_are_written_as_a_language_writes_them(language: str, drove: str, charged: str) -> None:
    options = {key: kind.get("options", {}) for key, kind in translations(language)["selector"].items()}
    texts = {
        f"component.{DOMAIN}.selector.{kind}.options.{key}": text
        for kind, known in options.items()
        for key, text in known.items()
    }
    drive = Drive(start=at(0), end=at(21), earliest=at(0), latest=at(21), distance_km=12.4, end_place="Home")
    charge = Charge(start=at(0), end=at(250), earliest=at(0), latest=at(250), added_kwh=31.2, place="Home")
    charge = replace(charge, cost=6.24, currency="EUR")
    words = Words(texts, metric=True)
    assert (drive_line(words, drive), charge_line(words, charge)) == (drove, charged)


def test_statistics_add_up_whatever_hour_they_begin_in() -> None:
    drives = [
        Drive(start=start, end=start + length, earliest=start, latest=start, distance_km=km)
        for start, length, km in ((3600 * 5 + 1800, 3600, 40.0), (3600 * 9, 0, 3.0), (3600 * 9 + 10, 600, 7.0))
    ]
    hours = spread(drives, lambda drive: drive.distance_km if isinstance(drive, Drive) else 0.0)
    assert sum(hours.values()) == pytest.approx(50.0)
    assert hours[3600 * 5] == pytest.approx(20.0)
    whole, later = rows(hours, 0), rows(hours, 3600 * 9 + 5)
    assert whole[-1]["sum"] == later[-1]["sum"] == pytest.approx(50.0)
    assert whole[-1:] == later
    assert statistic_id(VIN, "distance") == f"teslafi:{VIN.lower()}_distance"


async def test_hours_that_could_not_be_added_up_are_not_forgotten(
    hass: HomeAssistant, entry: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next session begins later: what an import changed years ago would never be added up."""
    car = entry.runtime_data.journal_of(VIN)
    car.take_changed_since()

    def refused(*_: object) -> None:
        raise JournalUnusable("disk I/O error")

    monkeypatch.setattr(car.journal.store, "drives", refused)
    car.note_changed(at(0))
    await _Follower(hass, entry, VIN)._fill()  # noqa: SLF001 - as what is recorded calls it
    car.note_changed(at(600))
    assert car.take_changed_since() == at(0)


async def test_two_hundred_at_once(hass: HomeAssistant, entry: ConfigEntry, freezer: FrozenDateTimeFactory) -> None:
    """Each is done or refused in words, the last one holds, and what is shown is what is kept."""
    await live(hass, entry, freezer, day())
    (drive,) = (await act(hass, entry, "get_drives"))["drives"]
    (charge,) = (await act(hass, entry, "get_charges"))["charges"]
    asked: list[tuple[str, dict[str, Any]]] = [
        each
        for number in range(50)
        for each in (
            ("set_new_capacity", {"capacity": 50 + number}),
            ("set_charge_cost", {"session": charge["start"], "cost": number, "currency": "EUR"}),
            ("tag_drive", {"session": drive["start"], "tag": f"tag {number}"}),
            ("get_summary", {"group_by": "tag"}),
        )
    ]
    told = await asyncio.gather(*(act(hass, entry, name, **more) for name, more in asked))
    for (name, _), answer in zip(asked, told, strict=True):
        if name == "get_summary":
            assert sum(group["drives"] for group in answer["periods"]) == 1
            assert all(len(group["costs"]) <= 1 for group in answer["periods"])
    (kept,) = (await act(hass, entry, "get_charges"))["charges"]
    assert shown(hass, "journal_charge_cost").state == str(kept["cost"])
    with sqlite3.connect(get_journal(hass).store.path) as file:
        counted = file.execute("SELECT (SELECT COUNT(*) FROM costs), (SELECT COUNT(*) FROM tags)").fetchone()
    assert counted == (1, 1)
