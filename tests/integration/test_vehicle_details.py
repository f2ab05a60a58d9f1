"""What Tesla offers beside live data: decoding whatever comes, and how pages and invoices are asked for."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from aiohttp import web
from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.tesla import errors
from custom_components.teslafi.tesla.charging_history import decode_page
from custom_components.teslafi.tesla.decode import Decoded
from custom_components.teslafi.tesla.errors import TeslaError
from custom_components.teslafi.tesla.reader import HISTORY_PAGE, MOST_PAGES, Reader
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.vehicle_details import (
    decode_alerts,
    decode_nearby,
    decode_options,
    decode_release_notes,
    decode_service,
    decode_warranties,
)

from .scripted import ScriptedServer, scripted_server
from .test_decode import anything, scalars
from .test_reader import VIN, reader_of, valid
from .test_session import Shelf

DECODERS: Final[Sequence[Callable[[object], Decoded[Any]]]] = (
    decode_page,
    decode_alerts,
    decode_service,
    decode_release_notes,
    decode_nearby,
    decode_warranties,
    decode_options,
)
NAMES: Final = st.sampled_from(
    [
        "data",
        "fees",
        "invoices",
        "sessionId",
        "chargeStartDateTime",
        "usageBase",
        "totalDue",
        "currencyCode",
        "uom",
        "feeType",
        "totalResults",
        "contentId",
        "recent_alerts",
        "name",
        "time",
        "audience",
        "user_text",
        "service_etc",
        "status_id",
        "response",
        "release_notes",
        "title",
        "superchargers",
        "location",
        "lat",
        "long",
        "distance_miles",
        "activeWarranty",
        "expirationDate",
        "expirationOdometer",
        "codes",
        "displayName",
        "isActive",
    ]
)
resembling = st.recursive(
    scalars | st.sampled_from(["CHARGING", "kwh", "EUR", "2026-11-16T12:00:00+00:00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=40,
)


@given(anything | resembling, st.sampled_from(DECODERS))
def test_nothing_raises(answer: object, decode: Callable[[object], Decoded[Any]]) -> None:
    """Whatever the answer is, values are of their types or None; what is computed of them does not raise either."""
    decoded = decode(answer)
    assert hash(decoded.snapshot) == hash(decode(answer).snapshot)
    if decode is decode_page:
        for session in decode_page(answer).snapshot.sessions:
            assert isinstance(session.energy, float | None)
            assert isinstance(session.cost, float | None)
            assert hash(session.identity) is not None


EUR: Final = {"currencyCode": "EUR"}


def session(number: int, **changed: object) -> dict[str, Any]:
    """Return a session as Tesla tells it."""
    return {
        "sessionId": number,
        "vin": VIN,
        "chargeStartDateTime": datetime.fromtimestamp(1_700_000_000 + number * 3600, UTC).isoformat(),
        "fees": [
            {"feeType": "CHARGING", "uom": "kwh", "usageBase": 10, "usageTier1": 2.5, "totalDue": 4.2, **EUR},
            {"feeType": "PARKING", "uom": "min", "usageBase": 12, "totalDue": 6, **EUR},
        ],
        **changed,
    }


def test_energy_and_cost() -> None:
    """Tiers of energy add up, minutes are no energy; fees in two currencies make no sum."""
    mixed = session(2, fees=[{"totalDue": 1, "currencyCode": "EUR"}, {"totalDue": 1, "currencyCode": "CHF"}])
    first, second = decode_page({"data": [session(1), mixed]}).snapshot.sessions
    assert (first.energy, first.cost, first.currency) == (12.5, 10.2, "EUR")
    assert (second.energy, second.cost, second.currency) == (None, None, None)


@pytest.mark.parametrize(
    ("codes", "currency"),
    [
        (("eur", "EUR"), "EUR"),
        (("US dollars",), None),
        (("€",), None),
        (("\N{FULLWIDTH LATIN CAPITAL LETTER E}UR",), None),
        (("EUR\n",), None),
        (("E" * 10_000,), None),
    ],
)
def test_a_currency_is_one_of_iso_4217(codes: tuple[str, ...], currency: str | None) -> None:
    """Names of statistics are made of it, and two spellings are one currency."""
    fees = [{"feeType": "CHARGING", "totalDue": 1, "currencyCode": code} for code in codes]
    (told,) = decode_page({"data": [session(1, fees=fees)]}).snapshot.sessions
    assert (told.currency, told.cost) == (currency, None if currency is None else float(len(codes)))


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[ScriptedServer]:
    """Be all of Tesla."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def reader(tesla: ScriptedServer) -> AsyncIterator[Reader]:
    """Read with a grant that may read the charging history."""
    scopes = frozenset({"vehicle_device_data", "vehicle_charging_cmds"})
    async with aiohttp.ClientSession() as http:
        yield await reader_of(Shelf(valid(scopes=scopes)), http)


def pages_of(total: int, first: int, *, told: bool, size: int = HISTORY_PAGE) -> Callable[[web.Request], Any]:
    """Answer with pages that are counted from `first`."""

    async def answer(request: web.Request) -> web.Response:
        number = int(request.query.get("pageNo", first)) - first
        data = [session(one) for one in range(total)][max(number, 0) * size :][:size]
        return web.json_response({"response": {"data": data, **({"totalResults": total} if told else {})}})

    return answer


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    ("total", "told", "size"), [(0, True, 50), (50, True, 50), (51, True, 50), (130, False, 50), (45, False, 20)]
)
async def test_every_page_is_read_once(
    tesla: ScriptedServer, reader: Reader, first: int, total: int, size: int, *, told: bool
) -> None:
    """From whichever number Tesla counts pages, whatever size they have; the newest session is the first."""
    tesla.answers = [pages_of(total, first, told=told, size=size)]
    counted: list[Category] = []
    history = await reader.charging_history(VIN, counted.append)
    assert history.complete
    assert [one.session_id for one in history.sessions] == list(reversed(range(total)))
    assert counted == [Category.DETAILS] * len(tesla.requests)
    if told and total <= size:
        assert len(tesla.requests) == 1


async def test_a_history_without_end_is_cut(tesla: ScriptedServer, reader: Reader) -> None:
    """What one question may cost is bounded, and the answer says that there is more."""

    async def answer(request: web.Request) -> web.Response:
        number = int(request.query.get("pageNo", 0))
        return web.json_response({"response": {"data": [session(number)], "totalResults": 10**9}})

    tesla.answers = [answer]
    history = await reader.charging_history(VIN, lambda _: None)
    assert not history.complete
    assert len(tesla.requests) == MOST_PAGES


@pytest.mark.parametrize("content_id", ["", ".", "..", "a/b", "a?b", "a b", "a%2fb", "é", "a" * 201, "..\n"])
async def test_what_is_no_id_is_not_asked_for(tesla: ScriptedServer, reader: Reader, content_id: str) -> None:
    """It would become a part of an address."""
    with pytest.raises(errors.NotFound):
        await reader.charging_invoice(content_id, lambda _: None)
    assert tesla.requests == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (web.Response(body=b"<html>", content_type="application/pdf"), errors.UnexpectedAnswer),
        (web.Response(body=b"", content_type="application/pdf"), errors.UnexpectedAnswer),
        (web.json_response({"response": None}), errors.UnexpectedAnswer),
        (web.Response(status=404), errors.NotFound),
        (web.Response(status=403, text="x"), errors.Refused),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1/"}), errors.UnexpectedAnswer),
        (web.Response(status=429, headers={"Retry-After": "9"}), errors.RateLimited),
        (web.Response(status=500), errors.Unreachable),
    ],
)
async def test_no_invoice(
    tesla: ScriptedServer, reader: Reader, answer: web.Response, expected: type[TeslaError]
) -> None:
    """Each refusal is a typed error, and what is no PDF is none."""
    tesla.answers = [answer]
    with pytest.raises(expected):
        await reader.charging_invoice("file-1", lambda _: None)
    assert len(tesla.requests) == 1


async def test_an_invoice_is_fetched(tesla: ScriptedServer, reader: Reader) -> None:
    """As it is; with a dead access token after one refresh, as everything else."""
    tesla.answers = [web.Response(body=b"%PDF-1.7 \xff", content_type="application/octet-stream")]
    counted: list[Category] = []
    assert await reader.charging_invoice("a-b:c=_~.1", counted.append) == b"%PDF-1.7 \xff"
    assert counted == [Category.DETAILS]
    assert tesla.requests[0].path.endswith("/api/1/dx/charging/invoice/a-b:c=_~.1")
    assert tesla.requests[0].headers["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize("body", [{"response": None}, {"response": []}, [], {"response": "x"}])
@pytest.mark.parametrize("name", ["recent_alerts", "service_visit", "warranties", "options", "nearby_charging_sites"])
async def test_what_is_no_object_is_unexpected(tesla: ScriptedServer, reader: Reader, name: str, body: object) -> None:
    """And told as a typed error."""
    tesla.answers = [web.json_response(body)]
    with pytest.raises(errors.UnexpectedAnswer):
        await getattr(reader, name)(VIN, lambda _: None)
