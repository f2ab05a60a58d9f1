"""The control interface over HTTP: what a script in another process does to cars, accounts and the network."""

from typing import Any

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y

ANNA = "anna@example.com"


@pytest.fixture
def base(tesla: TeslaSimulator) -> str:
    """Return where the control interface is."""
    return tesla.addresses.control


async def _post(http: aiohttp.ClientSession, url: str, **body: object) -> tuple[int, Any]:
    async with http.post(url, json=body) as answer:
        return answer.status, await answer.json()


async def test_a_minted_token_reads_and_ends_with_the_password(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, base: str
) -> None:
    asked = {"email": ANNA, "client_id": "core-tesla-fleet", "scopes": ["openid", "vehicle_device_data"]}
    status, pair = await _post(http, f"{base}/mint", **asked)
    assert (status, pair["token_type"]) == (200, "Bearer")
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    url = f"{tesla.addresses.fleet('na')}/api/1/vehicles/{ANNAS_MODEL_3}"
    async with http.get(url, headers=headers) as answer:
        assert answer.status == 200
    assert (await _post(http, f"{base}/change_password", email=ANNA, new="another"))[0] == 200
    async with http.get(url, headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    "asked",
    [
        {"email": "nobody@example.com", "client_id": "core-tesla-fleet", "scopes": []},
        {"email": ANNA, "client_id": "unknown", "scopes": []},
        {"email": ANNA, "client_id": "core-tesla-fleet"},
    ],
)
async def test_a_token_for_nobody_is_not_minted(http: aiohttp.ClientSession, base: str, asked: dict[str, Any]) -> None:
    assert (await _post(http, f"{base}/mint", **asked))[0] == 400


async def test_cars_drive_charge_sleep_and_wake(
    http: aiohttp.ClientSession, clock: ManualClock, tesla: TeslaSimulator, base: str
) -> None:
    async def car(vin: str) -> dict[str, Any]:
        async with http.get(f"{base}/cars") as answer:
            cars: dict[str, dict[str, Any]] = await answer.json()
        return cars[vin]

    assert (await _post(http, f"{base}/drive", vin=ANNAS_MODEL_3))[0] == 200
    clock.advance(60)
    assert (await car(ANNAS_MODEL_3))["drive_state"]["shift_state"] == "D"
    await _post(http, f"{base}/park", vin=ANNAS_MODEL_3)
    await _post(http, f"{base}/charge", vin=ANNAS_MODEL_3, supply="single_phase")
    clock.advance(60)
    assert (await car(ANNAS_MODEL_3))["charge_state"]["charging_state"] == "Charging"
    await _post(http, f"{base}/unplug", vin=ANNAS_MODEL_3)
    await _post(http, f"{base}/sleep", vin=ANNAS_MODEL_3)
    assert (await car(ANNAS_MODEL_3))["state"] == "asleep"
    await _post(http, f"{base}/wake", vin=ANNAS_MODEL_Y)
    assert (await car(ANNAS_MODEL_Y))["state"] == "online"


async def test_counters_count_and_begin_anew(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, base: str, token: str
) -> None:
    url = f"{tesla.addresses.fleet('na')}/api/1/vehicles/{ANNAS_MODEL_3}/vehicle_data"
    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 200
    async with http.get(f"{base}/counters") as answer:
        assert (await answer.json())[ANNA]["data"] == 1
    await _post(http, f"{base}/reset_counters")
    async with http.get(f"{base}/counters") as answer:
        assert (await answer.json()).get(ANNA, {}).get("data", 0) == 0


@pytest.mark.parametrize(("action", "status"), [("no_such_action", 404), ("drive", 400), ("__init__", 404)])
async def test_what_is_no_action_is_refused(http: aiohttp.ClientSession, base: str, action: str, status: int) -> None:
    assert (await _post(http, f"{base}/{action}", vin="5YJ3E1EA7KF999999"))[0] == status


async def test_the_clock_is_shown_and_moved(http: aiohttp.ClientSession, clock: ManualClock, base: str) -> None:
    before = clock()
    await _post(http, f"{base}/advance", seconds=90)
    async with http.get(f"{base}/clock") as answer:
        assert (await answer.json())["now"] == before + 90
