"""The simulated Fleet API answers and refuses as Tesla does."""

from typing import Any

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ANNAS_SITE, ERIKS_MODEL_S, SHARED_MODEL_3

from .conftest import SCOPES


async def ask(
    http: aiohttp.ClientSession,
    tesla: TeslaSimulator,
    token: str,
    path: str,
    *,
    region: str = "na",
    method: str = "GET",
) -> tuple[int, Any, aiohttp.ClientResponse]:
    """Send a request; return status, body and response."""
    url = f"{tesla.url}/fleet/{region}/api/1/{path}"
    json: dict[str, Any] | None = {} if method == "POST" else None
    async with http.request(method, url, headers={"Authorization": f"Bearer {token}"}, json=json) as response:
        is_json = response.content_type == "application/json"
        body = await response.json() if is_json else await response.text()
        return response.status, body, response


async def test_products_hold_cars_and_sites(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    status, body, response = await ask(http, tesla, token, "products")
    assert status == 200
    assert body["count"] == 3
    assert [product.get("vin") or product["energy_site_id"] for product in body["response"]] == [
        ANNAS_MODEL_3,
        ANNAS_MODEL_Y,
        ANNAS_SITE,
    ]
    assert response.headers["x-txid"]


async def test_the_list_of_cars_has_pages(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    _, body, _ = await ask(http, tesla, token, "vehicles?page=2&per_page=1")
    assert [car["vin"] for car in body["response"]] == [ANNAS_MODEL_Y]
    assert body["pagination"] == {"previous": 1, "next": None, "current": 2, "per_page": 1, "count": 2, "pages": 2}


async def test_a_car_is_named_by_vin_or_number(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    _, by_vin, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_3}")
    _, by_number, _ = await ask(http, tesla, token, f"vehicles/{by_vin['response']['id']}")
    assert by_vin["response"]["vin"] == by_number["response"]["vin"] == ANNAS_MODEL_3


async def test_the_place_needs_scope_and_endpoint(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    path = f"vehicles/{ANNAS_MODEL_3}/vehicle_data"
    _, classic, _ = await ask(http, tesla, token, path)
    assert "latitude" not in classic["response"]["drive_state"]
    assert "charge_schedule_data" not in classic["response"]
    _, with_place, _ = await ask(http, tesla, token, f"{path}?endpoints=drive_state;location_data")
    assert "latitude" in with_place["response"]["drive_state"]
    assert "charge_state" not in with_place["response"]
    other = tesla.control.mint("anna@example.com", "teslafi-monitoring", {"vehicle_device_data"}).access_token
    status, body, _ = await ask(http, tesla, other, f"{path}?endpoints=location_data")
    assert status == 403
    assert body["error"] == "Unauthorized missing scopes vehicle_location"


async def test_a_shared_car_may_hide_its_place(http: aiohttp.ClientSession, tesla: TeslaSimulator) -> None:
    token = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
    path = f"vehicles/{SHARED_MODEL_3}/vehicle_data?endpoints=drive_state;location_data"
    _, body, _ = await ask(http, tesla, token, path, region="eu")
    assert body["response"]["access_type"] == "DRIVER"
    assert body["response"]["granular_access"] == {"hide_private": True}
    assert "latitude" not in body["response"]["drive_state"]


async def test_the_wrong_region_names_the_right_one(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    status, body, response = await ask(http, tesla, token, "products", region="eu")
    assert status == 421
    assert body["error"].startswith(f"user out of region, use base URL: {tesla.url}/fleet/na, see ")
    assert "Location" not in response.headers
    assert tesla.url in response.headers["Alt-Svc"]


async def test_a_sleeping_car_answers_408_and_stays_asleep(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    status, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_Y}/vehicle_data")
    assert (status, body["error"]) == (408, "vehicle unavailable: vehicle is offline or asleep")
    _, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_Y}")
    assert body["response"]["state"] == "asleep"


async def test_waking_takes_its_time(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, clock: ManualClock
) -> None:
    _, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_Y}/wake_up", method="POST")
    assert body["response"]["state"] == "asleep"
    clock.advance(30)
    _, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_Y}")
    assert body["response"]["state"] == "online"


async def test_an_expired_token_gets_401_without_a_body(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, clock: ManualClock
) -> None:
    clock.advance(28_801)
    status, body, _ = await ask(http, tesla, token, "products")
    assert (status, body) == (401, "")
    status, body, _ = await ask(http, tesla, "nonsense", "products")
    assert (status, body) == (401, "")


async def test_too_many_requests_about_a_car(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    path = f"vehicles/{ANNAS_MODEL_3}/vehicle_data"
    for _ in range(60):
        assert (await ask(http, tesla, token, path))[0] == 200
    status, body, response = await ask(http, tesla, token, path)
    assert (status, body) == (429, "Retry in 60 seconds")
    assert response.headers["Retry-After"] == "60"
    assert response.headers["RateLimit-Limit"] == "60"


@pytest.mark.parametrize(
    ("values", "status", "error"),
    [
        ({"in_service": True}, 405, "vehicle is currently in service"),
        ({}, 200, None),
    ],
)
async def test_a_car_in_service(
    http: aiohttp.ClientSession,
    tesla: TeslaSimulator,
    token: str,
    values: dict[str, Any],
    status: int,
    error: str | None,
) -> None:
    tesla.control.set_values(ANNAS_MODEL_3, values)
    answered, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_3}/vehicle_data")
    assert (answered, body.get("error")) == (status, error)


async def test_mobile_access_and_strangers(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    tesla.control.car(ANNAS_MODEL_3).mobile_access = False
    status, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_3}/vehicle_data")
    assert (status, body["error"]) == (401, "mobile_access_disabled")
    status, body, _ = await ask(http, tesla, token, f"vehicles/{ERIKS_MODEL_S}")
    assert (status, body["error"]) == (404, "not_found")
    assert (await ask(http, tesla, token, "no_such_endpoint"))[0] == 404


async def test_bad_parameters(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    status, body, _ = await ask(http, tesla, token, f"vehicles/{ANNAS_MODEL_3}/vehicle_data?endpoints=everything")
    assert (status, body["error"]) == (400, "invalid_request")
    assert (await ask(http, tesla, token, "vehicles?page=x"))[0] == 400


async def test_an_unregistered_application(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    application = tesla.applications.by_client_id("core-tesla-fleet")
    assert application is not None
    application.regions = {"eu"}
    status, body, _ = await ask(http, tesla, token, "products")
    assert status == 412
    assert "must be registered in the current region" in body["error"]


async def test_a_wrong_method(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    status, body, _ = await ask(http, tesla, token, "products", method="POST")
    assert (status, body["error"]) == (405, "invalid_method")


async def test_commands_are_refused_by_scope_and_protocol(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str
) -> None:
    path = f"vehicles/{ANNAS_MODEL_3}/command/door_unlock"
    reading = tesla.control.mint("anna@example.com", "teslafi-monitoring", {"vehicle_device_data"}).access_token
    status, body, _ = await ask(http, tesla, reading, path, method="POST")
    assert (status, body["error"]) == (403, "Unauthorized missing scopes")
    status, body, _ = await ask(http, tesla, token, path, method="POST")
    assert status == 403
    assert body["error"].startswith("Tesla Vehicle Command Protocol required")
    erik = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
    status, body, _ = await ask(
        http, tesla, erik, f"vehicles/{ERIKS_MODEL_S}/command/door_unlock", region="eu", method="POST"
    )
    assert (status, body["response"]) == (200, {"result": True, "reason": ""})
    status, _, _ = await ask(http, tesla, erik, f"vehicles/{ERIKS_MODEL_S}/signed_command", region="eu", method="POST")
    assert status == 422


async def test_billing_and_its_limit(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    """Answers below 500 count, state and lists are free, and the limit ends it."""
    path = f"vehicles/{ANNAS_MODEL_3}/vehicle_data"
    tesla.control.fault(path="*/vehicle_data", kind="status", status=408)
    tesla.control.fault(path="*/vehicle_data", kind="status", status=500)
    for _ in range(4):
        await ask(http, tesla, token, path)
    await ask(http, tesla, token, "products")
    assert tesla.control.counters()["anna@example.com"]["data"] == 3
    tesla.control.limit("anna@example.com", 0.006)
    status, body, response = await ask(http, tesla, token, path)
    assert (status, body["error"]) == (403, "account disabled: EXCEEDED_LIMIT")
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("status", [402, 406, 418, 423, 424, 451, 499, 502, 503, 504, 540])
async def test_any_status_can_be_ordered(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str, status: int
) -> None:
    tesla.control.fault(path="*/products", kind="status", status=status)
    assert (await ask(http, tesla, token, "products"))[0] == status
    assert (await ask(http, tesla, token, "products"))[0] == 200


async def test_broken_bodies(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    tesla.control.fault(path="*/products", kind="html")
    assert (await ask(http, tesla, token, "products"))[1] == "<html>Access denied</html>"
    for kind in ("malformed", "truncated"):
        tesla.control.fault(path="*/products", kind=kind)
        with pytest.raises(ValueError, match=r"."):
            await ask(http, tesla, token, "products")


async def test_the_owner_api_is_closing(http: aiohttp.ClientSession, tesla: TeslaSimulator) -> None:
    scopes = {"openid", "email", "offline_access"}
    ours = tesla.control.mint("anna@example.com", "ownerapi", scopes).access_token
    headers = {"Authorization": f"Bearer {ours}"}
    async with http.get(f"{tesla.url}/owner-api/api/1/products", headers=headers) as response:
        assert response.status == 200
    async with http.get(f"{tesla.url}/owner-api/api/1/vehicles", headers=headers) as response:
        assert response.status == 412
        assert "only available on fleetapi" in (await response.json())["error"]
    foreign = tesla.control.mint("anna@example.com", "ownerapi", scopes, app_fingerprint=False).access_token
    async with http.get(
        f"{tesla.url}/owner-api/api/1/products", headers={"Authorization": f"Bearer {foreign}"}
    ) as response:
        assert response.status == 403
        assert (await response.json())["error"] == "forbidden, see https://developer.tesla.com/docs/fleet-api"


async def test_control_over_http(http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock) -> None:
    """Another process can steer it all."""
    base = tesla.addresses.control
    before = clock()
    async with http.post(f"{base}/advance", json={"seconds": 60}) as response:
        assert response.status == 200
    assert clock() == before + 60
    async with http.post(
        f"{base}/set_values", json={"vin": ANNAS_MODEL_3, "values": {"charge_state.battery_level": 42}}
    ):
        pass
    async with http.get(f"{base}/cars") as response:
        assert (await response.json())[ANNAS_MODEL_3]["charge_state"]["battery_level"] in (41, 42)
    async with http.post(f"{base}/no_such_action", json={}) as response:
        assert response.status == 404
    async with http.post(f"{base}/sleep", json={"vin": "nobody's"}) as response:
        assert response.status == 400


async def test_cars_are_added_shared_and_sold(http: aiohttp.ClientSession, tesla: TeslaSimulator, token: str) -> None:
    """The control interface changes what an account lists."""
    tesla.control.add_car("5YJ3E1EA5KF000077", "anna@example.com", name="New")
    tesla.control.remove_car(ANNAS_MODEL_Y)
    _, body, _ = await ask(http, tesla, token, "vehicles")
    assert [car["vin"] for car in body["response"]] == [ANNAS_MODEL_3, "5YJ3E1EA5KF000077"]
    tesla.control.share_car(ERIKS_MODEL_S, "bo@example.com")
    assert len(tesla.control.car(ERIKS_MODEL_S).drivers) == 1
