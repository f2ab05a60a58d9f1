"""A site's history respects kind, period, dates and time zone; the pieces of every period add up to the same energy."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.energy.history import CHANNELS
from teslafi_simulators.tesla.energy.site import CHARGING_POWER, CHARGING_SECONDS, WALL_CONNECTOR_CHARGES
from teslafi_simulators.tesla.scenario import ANNAS_SITE

from .test_fleet_api import ask

DAYS: Final = 3


@pytest.fixture
async def lived(tesla: TeslaSimulator, clock: ManualClock, token: str, http: aiohttp.ClientSession) -> str:
    """Let a site live in Los Angeles from noon UTC of a Monday for three days; return a token."""
    tesla.state.sites[ANNAS_SITE].time_zone = "America/Los_Angeles"
    await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/live_status")
    clock.advance(DAYS * 86_400)
    await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/live_status")
    return tesla.control.mint("anna@example.com", "core-tesla-fleet", {"energy_device_data"}).access_token


async def history(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, **asked: str) -> Any:  # noqa: ANN401
    """Return the answer of `calendar_history`."""
    query = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in asked.items())
    status, body, _ = await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/calendar_history?{query}")
    assert status == 200, body
    return body["response"]


def starts(answer: dict[str, Any]) -> list[datetime]:
    """Return where the pieces begin."""
    return [datetime.fromisoformat(piece["timestamp"]) for piece in answer["time_series"]]


async def test_a_day_has_five_minutes_each_from_local_midnight_on(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, lived: str
) -> None:
    answer = await history(http, tesla, lived, kind="energy", period="day")
    assert (answer["period"], answer["installation_time_zone"]) == ("day", "America/Los_Angeles")
    pieces = starts(answer)
    assert (pieces[0].hour, pieces[0].minute, pieces[0].utcoffset()) == (0, 0, timedelta(hours=-8))
    assert {later - earlier for earlier, later in pairwise(pieces)} == {timedelta(minutes=5)}
    assert clock() - pieces[-1].timestamp() <= 300
    assert set(CHANNELS) <= answer["time_series"][0].keys()
    assert "total_solar_generation" not in answer["time_series"][0], "at night Tesla leaves the sum out"


@pytest.mark.parametrize(("period", "pieces"), [("week", DAYS + 1), ("month", DAYS + 1), ("year", 1), ("lifetime", 1)])
async def test_pieces_of_any_period_add_up_to_the_same(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, lived: str, period: str, pieces: int
) -> None:
    """Within a rounding of half a Wh for each piece."""
    begin = starts(await history(http, tesla, lived, kind="energy", period="day"))[0] - timedelta(days=DAYS)
    asked = {"kind": "energy", "start_date": begin.isoformat()}
    fine = (await history(http, tesla, lived, period="day", **asked))["time_series"]
    coarse = (await history(http, tesla, lived, period=period, **asked))["time_series"]
    assert len(coarse) == pieces
    for channel in CHANNELS:
        assert abs(sum(one[channel] for one in coarse) - sum(one[channel] for one in fine)) <= len(fine) / 2


async def test_dates_cut_out_what_is_asked_for(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, lived: str
) -> None:
    begin = datetime.fromtimestamp(clock()).astimezone() - timedelta(hours=30)
    dates = {"start_date": begin.isoformat(), "end_date": (begin + timedelta(hours=2)).isoformat()}
    pieces = starts(await history(http, tesla, lived, kind="energy", period="day", **dates))
    assert len(pieces) == 24
    assert begin <= pieces[0] < begin + timedelta(minutes=5)


async def test_a_day_of_the_past_ends_with_its_own_end(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, lived: str
) -> None:
    ended = datetime.fromtimestamp(clock()).astimezone() - timedelta(days=1)
    answer = await history(http, tesla, lived, kind="energy", period="day", end_date=ended.isoformat())
    pieces = starts(answer)
    assert pieces[0].hour == 0
    assert ended - timedelta(minutes=5) <= pieces[-1] < ended


async def test_before_its_first_moment_the_site_had_a_life_too(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, lived: str
) -> None:
    begin = datetime.fromtimestamp(clock()).astimezone() - timedelta(days=20)
    answer = await history(http, tesla, lived, kind="energy", period="week", start_date=begin.isoformat())
    assert len(answer["time_series"]) == 21
    assert all(piece["total_solar_generation"] > 0 for piece in answer["time_series"][1:-1])


async def test_the_time_zone_that_is_asked_for_cuts_the_days(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, lived: str
) -> None:
    here = starts(await history(http, tesla, lived, kind="energy", period="week"))
    there = starts(await history(http, tesla, lived, kind="energy", period="week", time_zone="Asia/Kolkata"))
    assert here[-1].utcoffset() == timedelta(hours=-8)
    assert there[-1].utcoffset() == timedelta(hours=5, minutes=30)
    assert (here[-1].hour, there[-1].hour) == (0, 0)


async def test_a_day_of_the_time_change_is_an_hour_longer(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, lived: str
) -> None:
    dates = {"start_date": "2026-11-01T00:00:00-07:00", "end_date": "2026-11-02T00:00:00-08:00"}
    answer = await history(http, tesla, lived, kind="energy", period="day", **dates)
    assert len(answer["time_series"]) == 25 * 12


async def test_power_over_time(http: aiohttp.ClientSession, tesla: TeslaSimulator, lived: str) -> None:
    series = (await history(http, tesla, lived, kind="power", period="day"))["time_series"]
    assert len(series) > 12
    assert series[0].keys() == {
        "timestamp", "solar_power", "battery_power", "grid_power", "grid_services_power", "generator_power",
    }  # fmt: skip


async def test_failures_of_the_grid(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, lived: str
) -> None:
    tesla.state.sites[ANNAS_SITE].outages += [(clock() - 3600, 600.0), (clock() - 40 * 86_400, 60.0)]
    answer = await history(http, tesla, lived, kind="backup", period="month")
    assert (answer["total_events"], answer["events"][0]["duration"]) == (1, 600)


async def test_the_wall_connector_charges_each_evening(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, lived: str
) -> None:
    """Its charges are in the load, and end in `telemetry_history` once they are over."""
    path = f"energy_sites/{ANNAS_SITE}/telemetry_history?kind=charge&period=week"
    _, body, _ = await ask(http, tesla, lived, path)
    charges = body["response"]["charge_history"]
    assert len(charges) >= DAYS
    assert charges[0]["energy_added_wh"] == round(CHARGING_POWER * CHARGING_SECONDS / 3600)
    begun = datetime.fromtimestamp(charges[-1]["charge_start_time"]["seconds"]).astimezone()
    clock.advance(86_400 - (clock() - begun.timestamp()) % 86_400 + 60)
    lived = tesla.control.mint("anna@example.com", "core-tesla-fleet", {"energy_device_data"}).access_token
    _, body, _ = await ask(http, tesla, lived, f"energy_sites/{ANNAS_SITE}/live_status")
    live = body["response"]
    assert live["wall_connectors"][0]["wall_connector_power"] == CHARGING_POWER
    assert live["wall_connectors"][0]["wall_connector_state"] == WALL_CONNECTOR_CHARGES
    assert live["load_power"] > CHARGING_POWER
    balance = live["solar_power"] + live["battery_power"] + live["grid_power"]
    assert balance == pytest.approx(live["load_power"], abs=2)
    _, body, _ = await ask(http, tesla, lived, path)
    assert body["response"]["charge_history"][-1]["charge_start_time"]["seconds"] < clock() - CHARGING_SECONDS


@pytest.mark.parametrize(
    "query",
    ["kind=soe", "kind=energy&period=century", "kind=energy&start_date=yesterday", "kind=energy&time_zone=Mars/Phobos",
     "kind=energy&time_zone=../../etc/passwd", "kind=energy&end_date=9999-12-31T23:59:59-12:00", ""],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, query: str
) -> None:
    status, body, _ = await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/calendar_history?{query}")
    assert (status, body["error"]) == (400, "invalid_request")


async def test_the_tariff_is_told_and_can_be_set(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    info = f"energy_sites/{ANNAS_SITE}/site_info"
    _, body, _ = await ask(http, tesla, token, info)
    tariff = body["response"]["tariff_content_v2"]
    assert tariff["seasons"]["Summer"]["tou_periods"]["ON_PEAK"]["periods"][0]["fromHour"] == 16
    assert tariff["sell_tariff"]["energy_charges"]["Year"]["rates"] == {"ALL": 0.08}
    url = f"{tesla.addresses.fleet('na')}/api/1/energy_sites/{ANNAS_SITE}/time_of_use_settings"
    sent = {"tou_settings": {"tariff_content_v2": {"name": "Other", "seasons": {}}}}
    async with http.post(url, headers={"Authorization": f"Bearer {token}"}, json=sent) as response:
        assert response.status == 200
    _, body, _ = await ask(http, tesla, token, info)
    assert body["response"]["tariff_content_v2"] == {"name": "Other", "seasons": {}}


async def test_gateways_and_batteries_are_told(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    _, body, _ = await ask(http, tesla, token, f"energy_sites/{ANNAS_SITE}/site_info")
    components = body["response"]["components"]
    assert [one["part_name"] for one in components["gateways"]] == ["Tesla Backup Gateway 2"]
    assert [one["nameplate_energy"] for one in components["batteries"]] == [13_500]
