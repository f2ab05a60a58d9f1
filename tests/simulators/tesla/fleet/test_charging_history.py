"""Paid charging with fees and invoices, and what else is asked when somebody wants to know."""

from datetime import UTC, datetime

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ERIKS_MODEL_S, SHARED_MODEL_3

from .conftest import SCOPES
from .test_fleet_api import ask

HISTORY = "dx/charging/history"


async def test_the_history_has_fees_and_invoices(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    _, body, _ = await ask(http, tesla, token, f"{HISTORY}?vin={ANNAS_MODEL_3}")
    sessions = body["response"]["data"]
    assert body["response"]["totalResults"] == len(sessions) == 3
    assert [[fee["feeType"] for fee in one["fees"]] for one in sessions] == [
        ["CHARGING"], ["CHARGING", "PARKING"], ["CHARGING"],
    ]  # fmt: skip
    paid, free = sessions[0], sessions[-1]
    assert paid["fees"][0]["totalDue"] == pytest.approx(paid["fees"][0]["usageBase"] * paid["fees"][0]["rateBase"])
    assert (free["fees"][0]["pricingType"], free["invoices"]) == ("NO_CHARGE", [])
    content = paid["invoices"][0]["contentId"]
    url = f"{tesla.addresses.fleet('na')}/api/1/dx/charging/invoice/{content}"
    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
        assert (response.status, response.content_type) == (200, "application/pdf")
        assert (await response.read()).startswith(b"%PDF-")


async def test_only_the_owner_with_the_charging_scope_reads_it(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    _, body, _ = await ask(http, tesla, token, HISTORY)
    content = body["response"]["data"][0]["invoices"][0]["contentId"]
    erik = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
    assert (await ask(http, tesla, erik, f"dx/charging/invoice/{content}", region="eu"))[0] == 404
    assert (await ask(http, tesla, erik, f"{HISTORY}?vin={SHARED_MODEL_3}", region="eu"))[0] == 404
    assert (await ask(http, tesla, erik, f"{HISTORY}?vin={ERIKS_MODEL_S}", region="eu"))[1]["response"]["data"] == []
    reader = tesla.control.mint("anna@example.com", "teslafi-monitoring", {"vehicle_device_data"}).access_token
    for path in (HISTORY, f"dx/charging/invoice/{content}"):
        status, body, _ = await ask(http, tesla, reader, path)
        assert (status, body["error"]) == (403, "Unauthorized missing scopes")


async def test_a_supercharger_is_paid_and_a_charge_at_home_is_not(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, token: str
) -> None:
    tesla.control.set_values(ANNAS_MODEL_Y, {"charge_state.battery_level": 20})
    tesla.control.charge(ANNAS_MODEL_Y, "direct")
    clock.advance(900)
    tesla.control.unplug(ANNAS_MODEL_Y)
    tesla.control.charge(ANNAS_MODEL_Y, "single_phase")
    clock.advance(900)
    tesla.control.unplug(ANNAS_MODEL_Y)
    _, body, _ = await ask(http, tesla, token, f"{HISTORY}?vin={ANNAS_MODEL_Y}")
    (session,) = body["response"]["data"]
    begun, ended = (datetime.fromisoformat(session[f"charge{name}DateTime"]) for name in ("Start", "Stop"))
    assert (ended - begun).total_seconds() == 900
    assert session["fees"][0]["usageBase"] > 10


async def test_dates_pages_and_order(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, token: str
) -> None:
    async def numbers(query: str) -> list[int]:
        _, body, _ = await ask(http, tesla, token, f"{HISTORY}?{query}")
        return [session["sessionId"] for session in body["response"]["data"]]

    newest, middle, oldest = await numbers("")
    assert await numbers("sortOrder=ASC") == [oldest, middle, newest]
    assert await numbers("pageSize=2&pageNo=2") == [oldest]
    since = datetime.fromtimestamp(clock() - 40 * 86_400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await numbers(f"startTime={since}") == [newest, middle]
    assert await numbers(f"endTime={since}") == [oldest]


@pytest.mark.parametrize("query", ["pageNo=0", "pageSize=x", "sortOrder=UP", "sortBy=price", "startTime=then"])
async def test_a_query_that_makes_no_sense(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, query: str
) -> None:
    status, body, _ = await ask(http, tesla, token, f"{HISTORY}?{query}")
    assert (status, body["error"]) == (400, "invalid_request")


async def test_a_warranty_runs_out_by_time_and_by_miles(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, token: str
) -> None:
    async def kinds() -> tuple[list[str], list[str]]:
        _, body, _ = await ask(http, tesla, token, f"dx/warranty/details?vin={ANNAS_MODEL_3}")
        named = body["response"]
        active, expired = named["activeWarranty"], named["expiredWarranty"]
        return [one["warrantyType"] for one in active], [one["warrantyType"] for one in expired]

    assert await kinds() == (["NEW_MFG_WARRANTY", "BATTERY_WARRANTY"], [])
    tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.odometer": 60_000})
    assert await kinds() == (["BATTERY_WARRANTY"], ["NEW_MFG_WARRANTY"])
    clock.advance(8 * 365 * 86_400)
    for car in tesla.garage:
        car.now = clock()  # eight years of standing, minute by minute, change nothing here
    token = tesla.control.mint("anna@example.com", "core-tesla-fleet", SCOPES).access_token
    _, body, _ = await ask(http, tesla, token, f"dx/warranty/details?vin={ANNAS_MODEL_3}")
    assert body["response"]["activeWarranty"] == []


@pytest.mark.parametrize("path", ["dx/warranty/details", "dx/vehicles/options"])
async def test_a_car_has_to_be_named_and_ones_own(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, path: str
) -> None:
    assert (await ask(http, tesla, token, f"{path}?vin={ANNAS_MODEL_3}"))[0] == 200
    assert (await ask(http, tesla, token, f"{path}?vin={ERIKS_MODEL_S}"))[0] == 404
    assert (await ask(http, tesla, token, path))[0] == 404


async def test_what_a_car_tells_about_updates_alerts_service_and_chargers(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    car = f"vehicles/{ANNAS_MODEL_3}"
    _, body, _ = await ask(http, tesla, token, f"{car}/release_notes")
    assert body["response"]["response"]["release_notes"][0]["customer_version"]
    tesla.control.set_values(ANNAS_MODEL_3, {"vehicle_state.software_update": {"status": "", "version": " "}})
    _, body, _ = await ask(http, tesla, token, f"{car}/release_notes?staged=true")
    assert body["response"]["response"]["release_notes"] == []
    tesla.control.set_values(
        ANNAS_MODEL_3, {"vehicle_state.software_update": {"status": "available", "version": "2026.40.1"}}
    )
    _, body, _ = await ask(http, tesla, token, f"{car}/release_notes?staged=true")
    assert body["response"]["response"]["release_notes"][0]["customer_version"] == "2026.40.1"
    tesla.control.car(ANNAS_MODEL_3).alerts.append(
        {"name": "VCFRONT_a180", "time": "x", "audience": [], "user_text": ""}
    )
    _, body, _ = await ask(http, tesla, token, f"{car}/recent_alerts")
    assert [alert["name"] for alert in body["response"]["recent_alerts"]] == ["VCFRONT_a180"]
    _, body, _ = await ask(http, tesla, token, f"{car}/nearby_charging_sites?count=2&radius=11")
    assert [site["distance_miles"] for site in body["response"]["superchargers"]] == [11.0, 11.0]
    tesla.control.set_values(ANNAS_MODEL_3, {"in_service": True})
    _, body, _ = await ask(http, tesla, token, f"{car}/service_data")
    assert body["response"]["service_status"] == "in_service"
