"""TeslaFi.com's feed as a source: set up by its token, read like Tesla's own answers, refusals told, nothing leaked."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from datetime import UTC, datetime, timedelta
import inspect
import json
import logging
import math
from pathlib import Path
import sqlite3
import time
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    async_fire_time_changed,
)

from custom_components.teslafi.const import CONF_JOURNAL_POSITIONS, DOMAIN
from custom_components.teslafi.coordinators.journal import get_journal
from custom_components.teslafi.coordinators.samples import sample_of
from custom_components.teslafi.feed.client import HOLD, SERVER, FeedClient
from custom_components.teslafi.feed.reader import FeedReader
from custom_components.teslafi.feed.record import age_of, answer_of
from custom_components.teslafi.journal.file import JournalUnusable
from custom_components.teslafi.secret import Secret
from custom_components.teslafi.tesla.decode import decode_vehicle
from custom_components.teslafi.tesla.errors import TeslaError
from custom_components.teslafi.tesla.grant import Grant
from custom_components.teslafi.tesla.session import GrantSession
from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3
from teslafi_simulators.teslafi_feed import TeslaFiFeedSimulator, recorded

from .owner import Owner

TOKEN = "marker-teslafi-api-token"
VIN = "LRWYGCEKXNC000005"
ASLEEP = recorded("asleep") | {"state": "asleep"}
"""As recorded: a car that sleeps is not named."""
BATTERY = "sensor.red_elephant_battery_level"


@pytest.fixture
async def feed(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TeslaFiFeedSimulator]:
    """Be TeslaFi.com, which knows one token whose car charges."""
    zone = ZoneInfo("US/Pacific")
    async with TeslaFiFeedSimulator(lambda: time.monotonic(), zone) as simulator:  # noqa: PLW0108 - frozen later
        monkeypatch.setitem(SERVER, "feed", simulator.url)
        simulator.add(TOKEN, recorded("charging"))
        yield simulator


async def set_up(hass: HomeAssistant, token: str = TOKEN) -> Any:  # noqa: ANN401 - a flow's result
    """Add the integration by a token of TeslaFi.com."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "feed"})
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {"feed_token": token})
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def test_a_token_is_enough(hass: HomeAssistant, feed: TeslaFiFeedSimulator) -> None:
    result = await set_up(hass, f' "Bearer {TOKEN}"\n')
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "Tesla (Red Elephant)")
    assert result["result"].state is ConfigEntryState.LOADED
    assert result["result"].unique_id == f"teslafi.com:{VIN}"
    battery = hass.states.get(BATTERY)
    charging = hass.states.get("sensor.red_elephant_charging_state")
    assert battery is not None
    assert charging is not None
    assert (battery.state, charging.state) == ("62", "charging")
    assert TOKEN not in json.dumps([dict(result["result"].data), result["result"].unique_id])


async def test_the_token_travels_in_a_header_alone(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    await set_up(hass)
    assert feed.requests
    assert all(TOKEN not in path and sent == f"Bearer {TOKEN}" for path, sent in feed.requests)
    assert TOKEN not in caplog.text
    assert not any(TOKEN in str(state.as_dict()) for state in hass.states.async_all())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, "feed_token_refused"),
        (web.Response(status=401), "feed_token_refused"),
        (web.Response(status=403), "feed_unreachable"),
        (web.Response(status=429, headers={"Retry-After": "30"}), "rate_limited"),
        (web.Response(status=503), "feed_unreachable"),
        (web.Response(text="Vehicle is asleep or unavailable"), "feed_unreachable"),
        (web.Response(text="[]"), "feed_unreachable"),
        (web.Response(text="{}"), "feed_unreachable"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "feed_unreachable"),
    ],
)
async def test_a_refusal_is_a_sentence(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, answer: web.Response | None, error: str
) -> None:
    feed.answer = answer
    result = await set_up(hass, TOKEN if answer is not None else "another-token")
    assert (result["type"], result["errors"]) == (FlowResultType.FORM, {"base": error})
    hass.config_entries.flow.async_abort(result["flow_id"])


async def pass_minutes(hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: int) -> None:
    for _ in range(minutes):
        freezer.tick(timedelta(minutes=1))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("asleep", [ASLEEP, ASLEEP | {"vin": VIN}, ASLEEP | {"vin": " "}])
async def test_it_sleeps_wakes_and_is_asked_seldom(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, freezer: FrozenDateTimeFactory, asleep: dict[str, Any]
) -> None:
    await set_up(hass)
    feed.tell(TOKEN, asleep)
    feed.requests.clear()
    await pass_minutes(hass, freezer, 10)
    state, battery = hass.states.get("sensor.red_elephant_car_state"), hass.states.get(BATTERY)
    assert state is not None
    assert battery is not None
    assert (state.state, battery.state) == ("asleep", "62"), "what was known stays known"
    assert len(feed.requests) <= 2 * 10
    feed.tell(TOKEN, recorded("charging") | {"battery_level": "70"})
    await pass_minutes(hass, freezer, 3)
    battery = hass.states.get(BATTERY)
    assert battery is not None
    assert battery.state == "70"


async def test_a_car_that_sleeps_is_set_up(hass: HomeAssistant, feed: TeslaFiFeedSimulator) -> None:
    feed.tell(TOKEN, ASLEEP)
    result = await set_up(hass)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert list(result["result"].runtime_data.vehicles) == [VIN]


async def test_a_record_that_stays_the_same_is_no_news(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, freezer: FrozenDateTimeFactory
) -> None:
    """TeslaFi has stopped looking at the car: what it told last does not go on forever."""
    await set_up(hass)
    await pass_minutes(hass, freezer, 25)
    state, battery = hass.states.get("sensor.red_elephant_car_state"), hass.states.get(BATTERY)
    assert state is not None
    assert battery is not None
    assert (state.state, battery.state) == ("offline", "62")
    feed.tell(TOKEN, recorded("charging") | {"data_id": 2309700})
    await pass_minutes(hass, freezer, 15)
    state = hass.states.get("sensor.red_elephant_car_state")
    assert state is not None
    assert state.state == "online"


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(minutes=-20), timedelta(hours=2)])
async def test_an_old_record_is_old_after_a_restart_too(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, freezer: FrozenDateTimeFactory, ahead: timedelta
) -> None:
    """The first record counts by its date; one of the future is of another zone, and its age is not known."""
    feed.tell(TOKEN, recorded("charging"), datetime.now(feed.zone) + ahead)
    await set_up(hass)
    state = hass.states.get("sensor.red_elephant_car_state")
    assert state is not None
    assert state.state == "offline"
    feed.tell(TOKEN, recorded("charging"), datetime.now(feed.zone) + ahead + timedelta(minutes=1))
    await pass_minutes(hass, freezer, 15)
    state = hass.states.get("sensor.red_elephant_car_state")
    assert state is not None
    assert state.state == "online", "it has changed since: TeslaFi looks at the car"


@pytest.mark.parametrize(
    ("date", "age"),
    [
        ("2026-11-26 12:00:00", 0.0),
        ("2026-11-26 12:01:00", 0.0),
        ("2026-11-26 11:45:00", 900.0),
        ("2026-11-26 13:00:00", math.inf),
        ("", math.inf),
        (None, math.inf),
        ("yesterday", math.inf),
        ("0001-01-01 00:00:00", math.inf),
        ("2026-11-26T11:59:00+05:00", 60.0),
    ],
)
def test_how_old_a_record_is(date: str | None, age: float) -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    told = age_of({"Date": date}, now, ZoneInfo("Europe/Berlin"))
    assert told == pytest.approx(age) if date != "0001-01-01 00:00:00" else told > 1e9


@pytest.mark.parametrize("vin", [None, "", "../../x", "LRWYGCEKXNC00000", "<b>LRWYGCEKXNC000</b>"])
async def test_a_record_of_no_car_sets_nothing_up(hass: HomeAssistant, feed: TeslaFiFeedSimulator, vin: object) -> None:
    feed.tell(TOKEN, recorded("charging") | {"vin": vin})
    result = await set_up(hass)
    assert result["errors"] == {"base": "feed_unreachable"}
    hass.config_entries.flow.async_abort(result["flow_id"])


async def test_a_dead_token_asks_for_another(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, freezer: FrozenDateTimeFactory
) -> None:
    entry = (await set_up(hass))["result"]
    feed.accounts["new-token-of-the-owner"] = feed.accounts.pop(TOKEN)
    await pass_minutes(hass, freezer, 3)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    shown = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "feed"})
    result = await hass.config_entries.flow.async_configure(shown["flow_id"], {"feed_token": "new-token-of-the-owner"})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["reason"] == "reauth_successful"
    assert entry.state is ConfigEntryState.LOADED


async def test_a_set_up_that_fails_leaves_no_file_open(hass: HomeAssistant, feed: TeslaFiFeedSimulator) -> None:
    entry = (await set_up(hass))["result"]
    store = get_journal(hass).store
    await hass.async_add_executor_job(store.vins)
    feed.accounts.clear()
    assert not await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    await hass.async_block_till_done(wait_background_tasks=True)
    with pytest.raises(JournalUnusable):
        await hass.async_add_executor_job(store.vins)


@pytest.mark.parametrize("answer", [web.Response(status=503), web.Response(status=403), web.Response(text="<html>")])
async def test_trouble_is_a_line_and_its_end_another(
    hass: HomeAssistant,
    feed: TeslaFiFeedSimulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    answer: web.Response,
) -> None:
    """For the account, not for each coordinator, whatever is reloaded between; and TeslaFi.com is asked less."""
    entry = (await set_up(hass))["result"]
    caplog.clear()

    async def hours(count: float) -> None:
        for _ in range(round(count * 12)):
            freezer.tick(timedelta(minutes=5))
            async_fire_time_changed(hass)
            await hass.async_block_till_done(wait_background_tasks=True)

    feed.answer = answer
    before = len(feed.requests)
    await hours(2)
    await hass.config_entries.async_reload(entry.entry_id)
    await hours(1)
    assert len(feed.requests) - before <= 80
    feed.answer = None
    await hours(2)
    ours = [record for record in caplog.records if DOMAIN in record.name and record.levelno >= logging.INFO]
    assert [record.levelname for record in ours] == ["WARNING", "INFO"], [record.getMessage() for record in ours]
    assert hass.states.get(BATTERY).state == "62"  # type: ignore[union-attr]


async def test_another_cars_token_is_not_this_account(hass: HomeAssistant, feed: TeslaFiFeedSimulator) -> None:
    entry = (await set_up(hass))["result"]
    feed.add("somebody-elses-token", recorded("charging") | {"vin": "5YJ3E1EA7KF000001"})
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert flow["menu_options"] == ["feed", "import_history", "rotate_key"]
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "feed"})
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {"feed_token": "somebody-elses-token"})
    assert result["reason"] == "wrong_account"


@pytest.mark.parametrize("first", ["tesla", "feed"])
async def test_one_car_by_teslas_account_and_by_the_feed(
    hass: HomeAssistant, owner: Owner, feed: TeslaFiFeedSimulator, freezer: FrozenDateTimeFactory, first: str
) -> None:
    """One entry has it and the other says so; when the first goes the other takes over, with the same entities."""
    feed.add(TOKEN, recorded("charging") | {"vin": ANNAS_MODEL_3, "display_name": "Roadrunner"})
    entries: dict[str, ConfigEntry] = {}
    for way in sorted(("tesla", "feed"), key=lambda way: way != first):
        entries[way] = await owner.sign_in() if way == "tesla" else (await set_up(hass))["result"]
    second = "feed" if first == "tesla" else "tesla"
    assert [ANNAS_MODEL_3 in entries[way].runtime_data.vehicles for way in (first, second)] == [True, False]
    issue_id = f"shared_{entries[second].entry_id}_{ANNAS_MODEL_3}"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None
    owner.tesla.state.requests.clear()
    feed.requests.clear()
    for _ in range(30):
        freezer.tick(60)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
    asked = [path for _, path in owner.tesla.state.requests if ANNAS_MODEL_3 in path]
    assert (asked == []) is (first == "feed")
    assert len(feed.requests) <= (4 if first == "tesla" else 60)
    battery = er.async_get(hass).async_get("sensor.roadrunner_battery_level")
    assert battery is not None
    assert battery.config_entry_id == entries[first].entry_id
    await hass.config_entries.async_remove(entries[first].entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert ANNAS_MODEL_3 in entries[second].runtime_data.vehicles
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is None
    taken = er.async_get(hass).async_get("sensor.roadrunner_battery_level")
    assert taken is not None
    assert (taken.unique_id, taken.config_entry_id) == (battery.unique_id, entries[second].entry_id)


class _Kept:
    def __init__(self, grant: Grant) -> None:
        self.grant = grant

    async def load(self) -> Grant:
        return self.grant

    async def replace(self, _before: Grant, after: Grant | None) -> Grant | None:
        return after


async def test_the_token_never_goes_to_tesla(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, tesla: TeslaSimulator
) -> None:
    """Every question that a reader has is asked; none of them reaches Tesla."""
    http = async_get_clientsession(hass)
    grant = Grant.of_feed(Secret(TOKEN), VIN, 0.0)
    session = GrantSession(_Kept(grant), None, lambda: 0.0, hass.async_create_task)  # type: ignore[arg-type]
    await session.load()
    reader = FeedReader(http, session)
    asked = 0
    for name, method in inspect.getmembers(reader, inspect.iscoroutinefunction):
        if name.startswith("_"):
            continue
        needed = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
        now = datetime.now(UTC)
        values: dict[str, Any] = {"count": lambda _: None, "staged": True, "site_id": 1, "begin": now, "end": now}
        given_by_name = {one.name: values.get(one.name, VIN) for one in needed}
        with contextlib.suppress(TeslaError):
            await method(**given_by_name)
        asked += 1
    assert asked > 10
    assert tesla.control.exchanges() == []
    assert not grant.can_command


async def test_one_answer_serves_questions_that_come_together(hass: HomeAssistant, feed: TeslaFiFeedSimulator) -> None:
    await set_up(hass)
    assert HOLD == 20
    assert len(feed.requests) <= 3


@pytest.mark.parametrize(("token", "refused"), [(TOKEN, 0), ("nobodys", 200)])
async def test_two_hundred_questions_at_once_are_one_request(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, token: str, refused: int
) -> None:
    """Also when it fails: TeslaFi allows fifteen a minute. A later question asks anew."""
    client = FeedClient(async_get_clientsession(hass), lambda: Secret(token), time.monotonic)
    feed.requests.clear()
    told = await asyncio.gather(*(client.newest() for _ in range(200)), return_exceptions=True)
    assert len(feed.requests) == 1
    assert sum(isinstance(one, TeslaError) for one in told) == refused
    await asyncio.gather(client.newest(), return_exceptions=True)
    assert len(feed.requests) == (2 if refused else 1)


@pytest.mark.parametrize("name", ["charging", "online_nopower", "online_stopped_sleepattempt", "idling"])
def test_recorded_feeds_are_read(name: str) -> None:
    snapshot = decode_vehicle(answer_of(recorded(name))).snapshot
    assert snapshot.vehicle.vin
    assert snapshot.charge_state.battery_level is not None
    assert snapshot.vehicle_state.odometer is not None
    assert snapshot.vehicle_state.locked in {True, False}


def test_a_recorded_sleep_says_nothing_else() -> None:
    snapshot = decode_vehicle(answer_of(recorded("asleep") | {"state": "asleep"})).snapshot
    assert not any(path.partition(".")[0] == "charge_state" for path in snapshot.reported)


@pytest.mark.parametrize(("unit", "told"), [(None, "38.4"), ("psi", "38.4"), ("bar", "2.648"), ("kpa", "264.76")])
def test_pressures_are_in_bar(unit: str | None, told: str) -> None:
    record = recorded("charging") | {"pressure": unit, "tpms_front_left": told}
    assert answer_of(record)["vehicle_state"]["tpms_pressure_fl"] == pytest.approx(2.648, abs=0.001)


@pytest.mark.parametrize(("measure", "temperature"), [("metric", "C"), ("imperial", "F"), (None, None)])
def test_what_the_account_shows_changes_no_value(measure: str | None, temperature: str | None) -> None:
    record = recorded("charging") | {"measure": measure, "temperature": temperature, "rangeDisplay": "typical"}
    told, plain = (decode_vehicle(answer_of(one)).snapshot for one in (record, recorded("charging")))
    fresh = frozenset({"drive_state", "vehicle_state", "charge_state", "climate_state"})
    assert sample_of(told, fresh, frozenset(), 1) == sample_of(plain, fresh, frozenset(), 1)


@pytest.mark.parametrize("choice", ["none", "zones"])
async def test_the_feed_keeps_no_more_of_a_place_than_the_owner_wants(
    hass: HomeAssistant, feed: TeslaFiFeedSimulator, freezer: FrozenDateTimeFactory, choice: str
) -> None:
    entry = (await set_up(hass))["result"]
    journal = get_journal(hass)
    await journal.async_delete(VIN)
    hass.config_entries.async_update_entry(entry, options={CONF_JOURNAL_POSITIONS: choice})
    for level in (70, 71, 72):
        feed.tell(TOKEN, recorded("charging") | {"data_id": 2309700 + level, "battery_level": str(level)})
        await pass_minutes(hass, freezer, 12)
    await journal.async_flush()
    samples = await journal.async_query(journal.store.samples, VIN)
    assert samples
    assert {(sample.latitude, sample.longitude, sample.zone or None) for sample in samples} == {(None, None, None)}
    content = await hass.async_add_executor_job(journal.store.path.read_bytes)
    state = await journal.async_query(journal.store.state, VIN)
    assert state.known is not None
    assert state.known.position is None
    assert b"addresses" in content
    assert await hass.async_add_executor_job(_addresses, journal.store.path) == []


def _addresses(path: Path) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT address FROM addresses").fetchall()


def test_a_tagged_place_has_its_name() -> None:
    snapshot = decode_vehicle(answer_of(recorded("charging"))).snapshot
    assert sample_of(snapshot, frozenset({"drive_state"}), frozenset(), 1).address == "Home"


def test_reused_columns_are_not_believed() -> None:
    record = recorded("charging") | {
        "vehicle_id": "566 17 0",
        "id": "NULL",
        "color": "1 FanOnly ",
        "is_climate_on": "1",
    }
    snapshot = decode_vehicle(answer_of(record)).snapshot
    assert (snapshot.vehicle.vehicle_id, snapshot.vehicle.color) == (None, None)
    assert snapshot.climate_state.is_climate_on is False


ODD = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.sampled_from(sorted(recorded("charging"))), ODD))
def test_any_record_is_read(changed: dict[str, Any]) -> None:
    decode_vehicle(answer_of(recorded("charging") | changed))
