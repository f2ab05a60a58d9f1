"""Reading from Tesla: what is asked, what is counted, where a token goes, and what odd answers come to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
import logging
from unittest.mock import AsyncMock, Mock

import aiohttp
from aiohttp import web
import pytest

from custom_components.teslafi.tesla import errors
from custom_components.teslafi.tesla.errors import TeslaError
from custom_components.teslafi.tesla.grant import Grant, Kind
from custom_components.teslafi.tesla.reader import Reader
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.session import GrantSession
from custom_components.teslafi.tesla.token import TokenEndpoint

from .scripted import Answer, ScriptedServer, scripted_server
from .test_session import NOW, Shelf, create_task, good, grant

VIN = "5YJ3E1EA7KF000001"


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[ScriptedServer]:
    """Be all of Tesla."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def reader_of(shelf: Shelf, http: aiohttp.ClientSession) -> Reader:
    """Return a reader with the shelf's grant."""
    session = GrantSession(shelf, TokenEndpoint(http, lambda: NOW), lambda: NOW, create_task)
    await session.load()
    return Reader(http, session)


def valid(**changed: object) -> Grant:
    """Return a grant whose access token lasts."""
    return replace(grant(expires_at=NOW + 5000), **changed)  # type: ignore[arg-type]


def online() -> web.Response:
    """Answer as a car that is online."""
    return web.json_response({"response": {"vin": VIN, "state": "online", "id": 7, "id_s": "7"}})


async def test_state_and_data_are_counted_apart(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """The free request and the billable one, each under its category."""
    tesla.answers = [online()]
    counted: list[Category] = []
    reader = await reader_of(Shelf(valid()), http)
    await reader.vehicle_state(VIN, counted.append)
    await reader.vehicle_data(VIN, counted.append)
    assert counted == [Category.STATE, Category.DATA]
    assert [request.path for request in tesla.requests] == [
        f"/eu/api/1/vehicles/{VIN}",
        f"/eu/api/1/vehicles/{VIN}/vehicle_data",
    ]


@pytest.mark.parametrize(("scopes", "asked"), [({"vehicle_device_data"}, False), ({"vehicle_location"}, True)])
async def test_the_location_is_asked_for_with_its_scope_only(
    tesla: ScriptedServer, http: aiohttp.ClientSession, scopes: set[str], *, asked: bool
) -> None:
    """Without the scope Tesla would refuse the whole answer."""
    tesla.answers = [online()]
    reader = await reader_of(Shelf(valid(scopes=frozenset(scopes))), http)
    await reader.vehicle_data(VIN, lambda _: None)
    endpoints = tesla.requests[0].query["endpoints"].split(";")
    assert ("location_data" in endpoints) is asked
    assert {"charge_state", "drive_state", "charge_schedule_data"} <= set(endpoints)


async def test_401_is_answered_with_one_refresh_and_one_more_try(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """The new access token is in the second request; both requests are billed."""
    tesla.answers = [web.Response(status=401), good(), online()]
    counted: list[Category] = []
    shelf = Shelf(valid())
    snapshot = await (await reader_of(shelf, http)).vehicle_state(VIN, counted.append)
    assert snapshot.vehicle.vin == VIN
    first, _refresh, second = tesla.requests
    assert first.headers["Authorization"] != second.headers["Authorization"]
    assert shelf.kept is not None
    assert second.headers["Authorization"] == f"Bearer {shelf.kept.access_token.reveal()}"
    assert counted == [Category.STATE, Category.STATE]


async def test_an_invoice_is_fetched_as_it_is(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """With the grant's token, at the grant's server; after 401 once more; both are billed."""
    document = web.Response(body=b"%PDF-1.7 \xff", content_type="application/pdf")
    tesla.answers = [web.Response(status=401), good(), document]
    counted: list[Category] = []
    shelf = Shelf(valid())
    reader = await reader_of(shelf, http)
    assert await reader.charging_invoice("file:1", counted.append) == b"%PDF-1.7 \xff"
    first, _refresh, second = tesla.requests
    assert {(one.method, one.raw_path) for one in (first, second)} == {
        ("GET", "/eu/api/1/dx/charging/invoice/file:1"),
    }
    assert first.headers["Authorization"] == f"Bearer {valid().access_token.reveal()}"
    assert shelf.kept is not None
    assert second.headers["Authorization"] == f"Bearer {shelf.kept.access_token.reveal()}"
    assert counted == [Category.DETAILS, Category.DETAILS]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, errors.NotFound),
        (500, errors.Unreachable),
        (403, errors.Refused),
        (429, errors.RateLimited),
        (302, errors.UnexpectedAnswer),
    ],
)
async def test_an_invoice_that_is_refused(
    tesla: ScriptedServer, http: aiohttp.ClientSession, status: int, kind: type[TeslaError]
) -> None:
    """By its status, whatever the body."""
    tesla.answers = [web.Response(status=status, body=b"%PDF-1.7")]
    with pytest.raises(kind):
        await (await reader_of(Shelf(valid()), http)).charging_invoice("file-1", lambda _: None)


async def test_401_twice_is_not_a_dead_grant(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """A fresh access token that Tesla refuses as well is trouble, not a reason to sign in again."""
    tesla.answers = [web.Response(status=401), good(), web.Response(status=401)]
    shelf = Shelf(valid())
    with pytest.raises(errors.AccessTokenRefused):
        await (await reader_of(shelf, http)).vehicle_state(VIN, lambda _: None)
    assert shelf.kept is not None
    assert len(tesla.requests) == 3


def out_of_region(address: str) -> web.Response:
    """Answer as the wrong region's server."""
    text = f"user out of region, use base URL: {address}, see https://developer.tesla.com/docs/fleet-api"
    return web.json_response({"response": None, "error": text, "error_description": ""}, status=421)


async def test_421_moves_to_the_region_that_tesla_names(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """The request goes out again there, and the grant remembers it."""
    tesla.answers = [out_of_region(f"{tesla.base}/na"), online()]
    shelf = Shelf(valid())
    await (await reader_of(shelf, http)).vehicle_state(VIN, lambda _: None)
    assert [request.path.split("/")[1] for request in tesla.requests] == ["eu", "na"]
    assert shelf.kept is not None
    assert shelf.kept.region == "na"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/evil", "https://tesla.example", ""])
async def test_a_token_never_goes_to_an_address_out_of_an_answer(
    tesla: ScriptedServer, http: aiohttp.ClientSession, address: str
) -> None:
    """Only Tesla's own servers are moved to."""
    tesla.answers = [out_of_region(address)]
    with pytest.raises(errors.WrongRegion):
        await (await reader_of(Shelf(valid()), http)).vehicle_state(VIN, lambda _: None)
    assert len(tesla.requests) == 1


async def test_two_servers_that_point_to_each_other(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """It is followed once."""
    tesla.answers = [out_of_region(f"{tesla.base}/na"), out_of_region(f"{tesla.base}/eu")]
    with pytest.raises(errors.WrongRegion):
        await (await reader_of(Shelf(valid()), http)).vehicle_state(VIN, lambda _: None)
    assert len(tesla.requests) == 2


async def truncated(_request: web.Request) -> web.Response:
    """Send half of a JSON body."""
    return web.Response(text='{"response": {"vin": "5Y', content_type="application/json")


async def dropped(request: web.Request) -> web.Response:
    """Close the connection after the request."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    ("answer", "error", "counted"),
    [
        (truncated, errors.UnexpectedAnswer, [Category.DATA]),
        (dropped, errors.Unreachable, [Category.DATA] * 2),  # aiohttp asks once more
        (web.Response(text="<html>", content_type="text/html"), errors.UnexpectedAnswer, [Category.DATA]),
        (web.json_response({"response": None}), errors.UnexpectedAnswer, [Category.DATA]),
        (web.json_response({"response": [1]}), errors.UnexpectedAnswer, [Category.DATA]),
        (web.json_response({}), errors.UnexpectedAnswer, [Category.DATA]),
        (web.json_response([]), errors.UnexpectedAnswer, [Category.DATA]),
        (web.json_response(["x"], status=403), errors.Refused, [Category.DATA]),
        (web.Response(status=408), errors.VehicleAsleep, [Category.DATA]),
        (web.Response(status=500), errors.Unreachable, []),
        (web.Response(status=429, headers={"Retry-After": "9"}), errors.RateLimited, [Category.DATA]),
        (web.Response(status=405), errors.VehicleInService, [Category.DATA]),
        (web.Response(status=404), errors.NotFound, [Category.DATA]),
        (web.Response(status=418), errors.Refused, [Category.DATA]),
        (web.Response(status=599), errors.Unreachable, []),
    ],
)
async def test_refusals_and_odd_answers(
    tesla: ScriptedServer,
    http: aiohttp.ClientSession,
    answer: Answer,
    error: type[TeslaError],
    counted: list[Category],
) -> None:
    """Each is one of ours; Tesla bills those that it answered below 500, and probably what it answered in vain."""
    tesla.answers = [answer]
    seen: list[Category] = []
    with pytest.raises(error):
        await (await reader_of(Shelf(valid()), http)).vehicle_data(VIN, seen.append)
    assert seen == counted


async def test_what_never_left_is_not_counted(
    tesla: ScriptedServer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a connection nothing has reached Tesla, which bills nothing."""
    refused = aiohttp.ClientConnectorError(Mock(ssl=True, host="tesla", port=443), OSError("refused"))
    monkeypatch.setattr(http.connector, "connect", AsyncMock(side_effect=refused))
    seen: list[Category] = []
    with pytest.raises(errors.Unreachable):
        await (await reader_of(Shelf(valid()), http)).vehicle_data(VIN, seen.append)
    assert seen == []


async def test_a_request_does_not_hang(
    tesla: ScriptedServer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request ends after its time."""
    monkeypatch.setattr("custom_components.teslafi.tesla.exchange.TIMEOUT", 0.05)
    forever = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    tesla.answers = [silent]
    with pytest.raises(errors.Unreachable):
        await (await reader_of(Shelf(valid()), http)).vehicle_state(VIN, lambda _: None)
    forever.set()


async def test_products_are_told_apart(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """Cars by VIN, energy sites by number; what is neither is passed over."""
    tesla.answers = [
        web.json_response(
            {
                "response": [
                    {"vin": VIN, "id": 7, "id_s": "7", "state": "asleep", "display_name": "Red"},
                    {"energy_site_id": 12, "resource_type": "battery", "site_name": "Home"},
                    {"energy_site_id": 13, "resource_type": "wall_connector"},
                    {"energy_site_id": 14, "resource_type": "something"},
                    {"energy_site_id": True, "resource_type": "battery"},
                    {"vin": 5},
                    "text",
                    None,
                ],
                "count": 8,
            }
        )
    ]
    products = await (await reader_of(Shelf(valid()), http)).products()
    assert list(products.vehicles) == [VIN]
    assert products.vehicles[VIN].vehicle.display_name == "Red"
    assert dict(products.sites) == {12: "Home", 13: "13"}


async def test_teslas_own_app_knows_cars_by_number(tesla: ScriptedServer, http: aiohttp.ClientSession) -> None:
    """A grant of the client `ownerapi` goes to the other interface and names the car by its id."""
    tesla.answers = [web.json_response({"response": [{"vin": VIN, "id": 7, "id_s": "7"}]}), online()]
    reader = await reader_of(Shelf(valid(kind=Kind.OWNER)), http)
    await reader.products()
    await reader.vehicle_state(VIN, lambda _: None)
    assert [request.path for request in tesla.requests] == ["/owner/api/1/products", "/owner/api/1/vehicles/7"]


async def test_answers_stay_out_of_the_librarys_log(
    tesla: ScriptedServer, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG the library writes whole answers: place, VIN, and the tokens of older cars. They are left out."""
    caplog.set_level(logging.DEBUG)
    tesla.answers = [web.json_response({"response": {"vin": VIN, "tokens": ["TOKEN-MARKER"], "state": "online"}})]
    reader = await reader_of(Shelf(valid()), http)
    await reader.vehicle_state(VIN, lambda _: None)
    assert "Left out by TeslaFi" in caplog.text
    assert "TOKEN-MARKER" not in caplog.text
    assert reader.grant.access_token.reveal() not in caplog.text


def test_the_reader_cannot_command() -> None:
    """What it offers is a list of questions; a new method belongs here only if it asks, too."""
    offered = {name for name in vars(Reader) if not name.startswith("_")}
    assert offered == {
        "charging_history",
        "charging_invoice",
        "discounted",
        "grant",
        "nearby_charging_sites",
        "options",
        "products",
        "recent_alerts",
        "region",
        "release_notes",
        "service_visit",
        "site_energy_today",
        "site_info",
        "site_live",
        "site_wall_charges",
        "vehicle_data",
        "vehicle_state",
        "warranties",
    }
