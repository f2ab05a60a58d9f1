"""Faults on demand: of one car, at a moment, at any depth, on every path, of every kind, and over HTTP."""

import json
import time

import aiohttp
import pytest

from teslafi_simulators.tesla import ManualClock, TeslaSimulator
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3, ANNAS_MODEL_Y, ERIKS_MODEL_S

from .conftest import SCOPES

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


async def read(http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str], path: str) -> int:
    """Return the status of a read, 0 when there was no answer."""
    try:
        async with http.get(f"{tesla.addresses.fleet('na')}{path}", headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError, TimeoutError:
        return 0


CAR = f"/api/1/vehicles/{ANNAS_MODEL_3}"


async def test_a_fault_strikes_at_its_moment(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, headers: dict[str, str]
) -> None:
    """After so many requests, so often, and within its hours; the first that fits strikes."""
    tesla.control.fault(path="*", kind="status", status=503, skip=2, times=2)
    assert [await read(http, tesla, headers, CAR) for _ in range(5)] == [200, 200, 503, 503, 200]
    now = clock()
    tesla.control.fault(path="*", kind="status", status=502, times=None, begins=now + 60, ends=now + 120)
    seen = []
    for _ in range(4):
        seen.append(await read(http, tesla, headers, CAR))
        clock.advance(45)
    assert seen == [200, 200, 502, 200]


async def test_a_fault_is_for_a_car_by_vin_and_number_and_for_a_method(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    tesla.control.fault(path="*", kind="status", status=423, vin=ANNAS_MODEL_3, times=None)
    tesla.control.fault(path="*", kind="status", status=451, method="POST", times=None)
    number = tesla.control.car(ANNAS_MODEL_3).number
    paths = (CAR, f"/api/1/vehicles/{number}", f"/api/1/vehicles/{ANNAS_MODEL_Y}", "/api/1/products")
    assert [await read(http, tesla, headers, path) for path in paths] == [423, 423, 200, 200]


@pytest.mark.parametrize(("executes", "done"), [(True, 1), (False, 0)])
async def test_an_answer_is_lost_after_or_before_it_is_carried_out(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, executes: bool, done: int
) -> None:
    token = tesla.control.mint("erik@example.com", "core-tesla-fleet", SCOPES).access_token
    tesla.control.fault(path="*/honk_horn", kind="drop", executes=executes)
    url = f"{tesla.addresses.fleet('eu')}/api/1/vehicles/{ERIKS_MODEL_S}/command/honk_horn"
    with pytest.raises(aiohttp.ClientError):
        await http.post(url, headers={"Authorization": f"Bearer {token}"})
    assert len(tesla.control.executed(ERIKS_MODEL_S)) == done
    assert tesla.control.exchanges()[-1].usd == 0.001


@pytest.mark.parametrize("kind", ["delay", "truncated", "values", "segments", "cut"])
async def test_what_changes_the_right_answer_needs_one(tesla: TeslaSimulator, kind: str) -> None:
    with pytest.raises(ValueError, match="needs the right answer"):
        tesla.control.fault(path="*", kind=kind, executes=False)


async def test_an_answer_comes_in_two_segments(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    """Whoever reads once has half of it; whoever reads to the end has all."""
    tesla.control.fault(path="*/products", kind="segments")
    async with http.get(f"{tesla.addresses.fleet('na')}/api/1/products", headers=headers) as answer:
        first = await answer.content.readany()
        rest = await answer.content.read()
        assert len(first) + len(rest) == answer.content_length
        assert rest
    assert json.loads(first + rest)["count"] == 3


@pytest.mark.parametrize("kind", ["cut", "garbage"])
async def test_an_answer_breaks_off_or_is_none(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str], kind: str
) -> None:
    tesla.control.fault(path=f"*{CAR}", kind=kind, times=2)  # aiohttp may send a GET again by itself
    assert await read(http, tesla, headers, CAR) == 0
    tesla.control.clear_faults()
    assert await read(http, tesla, headers, CAR) == 200


async def test_who_follows_a_redirect_is_seen(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    """With 307 the body would travel along, a PIN within it."""
    tesla.control.fault(path="*/pin", kind="redirect", times=None)
    tesla.control.fault(path=f"*{CAR}", kind="redirect", status=302)
    assert await read(http, tesla, headers, CAR) == 302
    assert tesla.control.strays() == []
    tesla.control.fault(path=f"*{CAR}", kind="redirect")
    async with http.get(f"{tesla.addresses.fleet('na')}{CAR}", headers=headers) as answer:
        assert answer.status == 200
    (stray,) = tesla.control.strays()
    assert (stray.method, stray.path, stray.authorized) == ("GET", "/elsewhere/moved", True)
    async with http.get(f"{tesla.addresses.control}/strays") as answer:
        assert await answer.json() == [{"method": "GET", "path": "/elsewhere/moved", "authorized": True}]


@pytest.mark.parametrize(("kind", "least"), [("large", 10_000_000), ("deep", 200_000)])
async def test_bodies_that_are_too_much(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str], kind: str, least: int
) -> None:
    tesla.control.fault(path=f"*{CAR}", kind=kind)
    async with http.get(f"{tesla.addresses.fleet('na')}{CAR}", headers=headers) as answer:
        assert answer.content_type == "application/json"
        assert len(await answer.read()) > least


async def test_any_kind_can_come_late_and_with_other_headers(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str]
) -> None:
    tesla.control.fault(
        path=f"*{CAR}",
        kind="malformed",
        status=429,
        headers={"Retry-After": "soon", "Content-Type": "text/x"},
        seconds=0.05,
    )
    begun = time.monotonic()
    async with http.get(f"{tesla.addresses.fleet('na')}{CAR}", headers=headers) as answer:
        assert (answer.status, answer.headers["Retry-After"], answer.content_type) == (429, "soon", "text/x")
    assert time.monotonic() - begun >= 0.05


async def test_every_exchange_is_noted_with_its_price(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, clock: ManualClock, headers: dict[str, str]
) -> None:
    tesla.control.fault(path="*/vehicle_data", kind="status", status=500)
    for path in (f"{CAR}/vehicle_data", f"{CAR}/vehicle_data", CAR):
        await read(http, tesla, headers, path)
    async with http.post(tesla.addresses.token("na"), data={"grant_type": "refresh_token"}) as answer:
        assert answer.status == 400
    noted = [(one.status, one.category, one.vin, one.usd, one.at) for one in tesla.control.exchanges()]
    assert noted == [
        (500, "data", ANNAS_MODEL_3, 0.0, clock()),
        (200, "data", ANNAS_MODEL_3, 0.002, clock()),
        (200, "free", ANNAS_MODEL_3, 0.0, clock()),
        (400, "free", "", 0.0, clock()),
    ]
    async with http.get(f"{tesla.addresses.control}/exchanges") as answer:
        assert [one["status"] for one in await answer.json()] == [500, 200, 200, 400]
    tesla.control.reset_counters()
    assert tesla.control.exchanges() == []


async def test_the_token_endpoint_has_faults_too(http: aiohttp.ClientSession, tesla: TeslaSimulator) -> None:
    """A refresh is carried out and its answer lost: the last used token still works."""
    pair = tesla.control.mint("anna@example.com", "teslafi-monitoring", SCOPES)
    form = {"grant_type": "refresh_token", "client_id": "teslafi-monitoring", "refresh_token": pair.refresh_token or ""}
    for executes, status in ((False, 503), (True, 503)):
        tesla.control.fault(path="*/token", kind="status", status=status, executes=executes)
        async with http.post(tesla.addresses.token("na"), data=form) as answer:
            assert answer.status == status
    async with http.post(tesla.addresses.token("na"), data=form) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("body", [None, "", "words", {}, {"error": "x"}, [], 7, "null"])
@pytest.mark.parametrize("status", [200, 204, 304, 401, 503, 599])
async def test_any_status_with_any_body_and_header(
    http: aiohttp.ClientSession, tesla: TeslaSimulator, headers: dict[str, str], status: int, body: object
) -> None:
    """What is ordered is sent: nothing of it makes the simulator itself fall over."""
    for sent in ({}, {"Content-Type": "text/html", "Retry-After": ""}):
        tesla.control.fault(path=f"*{CAR}", kind="status", status=status, body=body, headers=sent)
        async with http.get(f"{tesla.addresses.fleet('na')}{CAR}", headers=headers) as answer:
            assert answer.status == status
            if status not in (204, 304):
                assert {name: answer.headers[name] for name in sent} == sent
