"""Paid charging: sessions at Superchargers with fees and invoices ("Charging endpoints"). Home is not in it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from ..cars.charging_session import ChargingSession
from .access import Answer, Call
from .answers import Refused, not_found
from .reading import whole_number

CHARGING: Final = "vehicle_charging_cmds"
PAGE: Final = 50
"""Sessions on a page; Tesla's own number is not known, nor whether pages count from 0 or 1: here from 1."""
ORDERS: Final = frozenset({"ASC", "DESC"})
SORTED_BY: Final = frozenset({"chargeStartDateTime", "chargeStopDateTime"})


def history(call: Call) -> Any:  # noqa: ANN401 - JSON
    """List paid sessions, the newest first."""
    call.needs(CHARGING)
    query = call.request.query
    begins, ends = _moment(call, "startTime"), _moment(call, "endTime")
    page, size = _number(call, "pageNo", 1), _number(call, "pageSize", PAGE)
    order, sorted_by = query.get("sortOrder", "DESC").upper(), query.get("sortBy", "chargeStartDateTime")
    if order not in ORDERS or sorted_by not in SORTED_BY:
        raise Refused(400, "invalid_request")
    found = [
        session
        for session in _sessions(call, query.get("vin"))
        if (begins is None or session.begun >= begins) and (ends is None or session.begun < ends)
    ]
    found.sort(key=lambda session: session.begun, reverse=order == "DESC")
    shown = found[(page - 1) * size : page * size]
    return {"data": [session.answer() for session in shown], "totalResults": len(found)}


def invoice(call: Call) -> web.Response:
    """Hand out an invoice of the account's own."""
    call.needs(CHARGING)
    wanted = call.request.match_info["content"]
    for session in _sessions(call, None):
        if session.invoice_id == wanted and not session.free:
            headers = {"Content-Disposition": f'attachment; filename="{session.file_name}"'}
            return web.Response(body=session.invoice(), content_type="application/pdf", headers=headers)
    raise not_found()


def sessions(call: Call) -> Answer:
    """Refuse: only business accounts that own a fleet are answered, and nobody here has one."""
    call.needs(CHARGING)
    raise Refused(403, "Unauthorized")


def _sessions(call: Call, vin: str | None) -> Iterator[ChargingSession]:
    """Return the sessions of the account's own cars, or of one; who merely drives a car pays for none of them."""
    cars = [car for car in call.state.garage.of(call.account) if car.owner == call.account]
    if vin is not None:
        cars = [car for car in cars if car.vin == vin]
        if not cars:
            raise not_found()
    return (session for car in cars for session in car.charging_sessions)


def _moment(call: Call, name: str) -> float | None:
    text = call.request.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError, OverflowError:
        raise Refused(400, "invalid_request") from None


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query.get(name)
    number = default if text is None else whole_number(text)
    if not number:
        raise Refused(400, "invalid_request")
    return number
