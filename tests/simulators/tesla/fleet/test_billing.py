"""Who is billed for what, and what a limit stops: each billed call, refusals included, on the developer's bill."""

from typing import Final

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.billing import PRICES_USD, Category
from teslafi_simulators.tesla.fleet_api.access import PER_MINUTE
from teslafi_simulators.tesla.fleet_api.routes import ROWS
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ANNAS_SITE, ERIKS_MODEL_S

from .conftest import SCOPES

SELF_HOSTER: Final = "self-hoster@example.com"
BILLED: Final = [
    pytest.param(method, path, category, id=f"{method} {path}")
    for method, path, _, category in ROWS
    if category != "free"
]


async def ask(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, method: str, path: str, *, region: str = "na"
) -> tuple[int, str, aiohttp.ClientResponse]:
    """Send a request about Anna's Model 3; return status, text and response."""
    named = path.format(vehicle=ANNAS_MODEL_3, site=ANNAS_SITE, name="honk_horn", content="1")
    url = f"{tesla.url}/fleet/{region}{named}"
    headers = {"Authorization": f"Bearer {token}"}
    async with http.request(method, url, headers=headers, json={} if method == "POST" else None) as response:
        return response.status, await response.text(), response


def usd(tesla: TeslaSimulator, developer: str = SELF_HOSTER) -> float:
    """Return what a developer owes."""
    return tesla.control.bills().get(developer, {}).get("usd", 0.0)


@pytest.mark.parametrize(("method", "path", "category"), BILLED)
async def test_the_spending_limit_stops_each_billed_call(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, method: str, path: str, category: Category
) -> None:
    tesla.control.limit(SELF_HOSTER, 0.0)
    status, text, response = await ask(http, tesla, token, method, path)
    assert (status, "account disabled: EXCEEDED_LIMIT" in text) == (403, True)
    assert "Retry-After" not in response.headers
    assert usd(tesla) == PRICES_USD[category]


async def test_what_is_free_goes_on_at_the_limit(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    tesla.control.limit(SELF_HOSTER, 0.0)
    for path in ("/api/1/products", "/api/1/vehicles/{vehicle}", "/api/1/energy_sites/{site}/live_status"):
        assert (await ask(http, tesla, token, "GET", path))[0] == 200
    assert usd(tesla) == 0


@pytest.mark.parametrize(("method", "path", "category"), BILLED)
async def test_each_billed_call_has_its_limit_by_the_minute(
    http: aiohttp.ClientSession,
    tesla: TeslaSimulator,
    clock: ManualClock,
    token: str,
    method: str,
    path: str,
    category: Category,
) -> None:
    for _ in range(PER_MINUTE[category]):
        status, text, _ = await ask(http, tesla, token, method, path)
        assert status != 429, text
    status, text, response = await ask(http, tesla, token, method, path)
    assert (status, text) == (429, "Retry in 60 seconds")
    assert response.headers["Retry-After"] == "60"
    clock.advance(60)
    assert (await ask(http, tesla, token, method, path))[0] != 429


async def test_reads_commands_and_wakes_are_limited_apart_and_each_car_for_itself(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    wake = "/api/1/vehicles/{vehicle}/wake_up"
    for _ in range(3):
        assert (await ask(http, tesla, token, "POST", wake))[0] == 200
    assert (await ask(http, tesla, token, "POST", wake))[0] == 429
    number = tesla.control.car(ANNAS_MODEL_3).number
    assert (await ask(http, tesla, token, "POST", f"/api/1/vehicles/{number}/wake_up"))[0] == 429
    assert (await ask(http, tesla, token, "GET", "/api/1/vehicles/{vehicle}/vehicle_data"))[0] == 200
    assert (await ask(http, tesla, token, "POST", f"/api/1/vehicles/{ANNAS_MODEL_Y}/wake_up"))[0] == 200


async def test_every_answer_below_500_is_billed(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    """408, 404, 403, 405, 412, 421, 429 cost what 200 costs; 500 costs nothing."""
    data = "/api/1/vehicles/{vehicle}/vehicle_data"
    application = tesla.applications.by_client_id("core-tesla-fleet")
    assert application is not None
    statuses = []
    tesla.control.sleep(ANNAS_MODEL_3)
    statuses.append((await ask(http, tesla, token, "GET", data))[0])
    statuses.append((await ask(http, tesla, token, "GET", f"/api/1/vehicles/{ERIKS_MODEL_S}/vehicle_data"))[0])
    tesla.control.set_values(ANNAS_MODEL_3, {"in_service": True})
    statuses.append((await ask(http, tesla, token, "GET", data))[0])
    statuses.append((await ask(http, tesla, token, "GET", data, region="eu"))[0])
    application.regions = set()
    statuses.append((await ask(http, tesla, token, "GET", data))[0])
    tesla.control.fault(path="*/vehicle_data", kind="status", status=429)
    statuses.append((await ask(http, tesla, token, "GET", data))[0])
    tesla.control.fault(path="*/vehicle_data", kind="status", status=503)
    assert (await ask(http, tesla, token, "GET", data))[0] == 503
    assert statuses == [408, 404, 405, 421, 412, 429]
    assert tesla.control.bills()[SELF_HOSTER]["data"] == len(statuses)


async def test_a_refused_token_is_billed_to_the_developer_it_was_made_for(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, token: str
) -> None:
    data = "/api/1/vehicles/{vehicle}/vehicle_data"
    clock.advance(28_801)
    assert (await ask(http, tesla, token, "GET", data))[0] == 401
    assert tesla.control.bills()[SELF_HOSTER]["data"] == 1
    assert tesla.control.counters()["anna@example.com"]["data"] == 1
    assert (await ask(http, tesla, "made-up", "GET", data))[0] == 401
    assert tesla.control.bills() == {SELF_HOSTER: {"data": 1, "usd": pytest.approx(0.002)}}


async def test_a_bill_is_the_developers_over_all_owners_and_applications(
    http: aiohttp.ClientSession, tesla: TeslaSimulator
) -> None:
    data = "/api/1/vehicles/{vehicle}/vehicle_data"
    for email, client, region in (
        ("anna@example.com", "teslafi-monitoring", "na"),
        ("anna@example.com", "teslafi-controls", "na"),
        ("erik@example.com", "teslafi-monitoring", "eu"),
        ("anna@example.com", "core-tesla-fleet", "na"),
    ):
        token = tesla.control.mint(email, client, SCOPES).access_token
        await ask(http, tesla, token, "GET", data, region=region)
    bills = tesla.control.bills()
    data_of = {developer: bill["data"] for developer, bill in bills.items()}
    assert data_of == {"developer@example.com": 3, SELF_HOSTER: 1}
    async with http.get(f"{tesla.addresses.control}/bills") as response:
        assert await response.json() == bills


async def test_an_owners_address_stands_for_the_developers_that_the_owner_let_in(tesla: TeslaSimulator) -> None:
    with pytest.raises(KeyError):
        tesla.control.limit("bo@example.com", 1.0)
    tesla.control.mint("bo@example.com", "teslafi-monitoring", SCOPES)
    tesla.control.limit("bo@example.com", 1.0)
    assert tesla.state.billing.limits == {"developer@example.com": 1.0}
