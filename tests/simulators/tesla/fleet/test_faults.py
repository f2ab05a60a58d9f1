"""Faults on demand: of one car, at any depth, on every path, and over HTTP."""

import aiohttp
import pytest

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y

STATUS = "/api/1/vehicles/fleet_status"


@pytest.fixture
def headers(token: str) -> dict[str, str]:
    """Be Anna."""
    return {"Authorization": f"Bearer {token}"}


async def test_a_fault_of_one_car_leaves_the_other(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    tesla.control.fault(path=f"*/{ANNAS_MODEL_3}", kind="status", status=503, times=None)
    base = tesla.addresses.fleet("na")
    answers = [
        (await http.get(f"{base}/api/1/vehicles/{vin}", headers=headers)).status
        for vin in (ANNAS_MODEL_3, ANNAS_MODEL_Y)
    ]
    assert answers == [503, 200]


async def test_a_value_of_any_type_at_any_depth(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    values = {"vehicle_state.software_update.status": [1], "charge_state": "no object", "vehicle_state.media_info": 7}
    tesla.control.fault(path="*/vehicle_data", kind="values", values=values)
    url = f"{tesla.addresses.fleet('na')}/api/1/vehicles/{ANNAS_MODEL_3}/vehicle_data"
    struck, whole = [(await (await http.get(url, headers=headers)).json())["response"] for _ in range(2)]
    assert struck["vehicle_state"]["software_update"]["status"] == [1]
    assert (struck["charge_state"], struck["vehicle_state"]["media_info"]) == ("no object", 7)
    assert isinstance(whole["vehicle_state"]["software_update"]["status"], str)
    assert isinstance(whole["charge_state"], dict)


async def test_fleet_status_is_counted_logged_and_struck_like_the_others(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    url = f"{tesla.addresses.fleet('na')}{STATUS}"

    async def ask(**how: object) -> int:
        async with http.post(url, headers=headers, **how) as answer:  # type: ignore[arg-type] # json or data
            return answer.status

    tesla.control.reset_counters()
    assert await ask(json={"vins": [ANNAS_MODEL_3]}) == 200
    assert await ask(json={"vins": "no list"}) == 400
    assert await ask(data="no JSON") == 406
    tesla.control.fault(path="*/fleet_status", kind="status", status=500)
    assert await ask(json={"vins": []}) == 500
    assert sum(counts["data"] for counts in tesla.control.counters().values()) == 3  # 500 is not billed, refusals are
    assert [path for _, path in tesla.state.requests if path.endswith(STATUS)] != []


@pytest.mark.parametrize("kind", ["drop", "malformed", "truncated", "html"])
async def test_a_fault_is_ordered_over_http(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str], kind: str
) -> None:
    # aiohttp sends a GET that was dropped once more by itself
    order = {"path": "*/products", "kind": kind, "times": 2 if kind == "drop" else 1}
    assert (await http.post(f"{tesla.url}/control/fault", json=order)).status == 200
    url = f"{tesla.addresses.fleet('na')}/api/1/products"
    with pytest.raises((aiohttp.ClientError, ValueError)):
        await (await http.get(url, headers=headers)).json()
    assert (await (await http.get(url, headers=headers)).json())["count"] == 3


async def test_an_unknown_fault_is_refused(http: aiohttp.ClientSession, tesla: TeslaSimulator) -> None:
    assert (await http.post(f"{tesla.url}/control/fault", json={"path": "*", "kind": "no such"})).status == 400
