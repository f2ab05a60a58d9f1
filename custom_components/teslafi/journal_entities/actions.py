"""Actions about a car's journal: what it says of a period, the owner's tags and costs, and files for others."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
import json
from typing import Any, Final, cast

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import probatio

from ..const import DOMAIN
from ..coordinators.journal_summary import JournalCoordinator
from ..journal.file import JournalUnusable
from ..journal.sessions import Charge, CostSource, Drive, Parking
from ..owner_files import async_ensure_allowed, async_save
from ..services import target
from .figures import Figures, charge_figures, drive_figures, parking_figures
from .statistics import async_forget

START: Final = "start"
END: Final = "end"
GROUP_BY: Final = "group_by"
SESSION: Final = "session"
FILENAME: Final = "filename"
TAG_MOST: Final = 100
COST_MOST: Final = 100_000.0
PERIODS: Final = ("total", "day", "week", "month", "year")
_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
"""What a spreadsheet takes for the beginning of a formula, after blanks and line ends too."""
KINDS: Final = ("drives", "charges", "parking")

type Asked = Mapping[str, Any]
type Ask = Callable[[HomeAssistant, JournalCoordinator, Asked], Awaitable[Figures]]


@dataclass(frozen=True, slots=True)
class JournalAction:
    """One action: what it takes besides the car, and how it is answered. `only`: of no use without its response."""

    ask: Ask
    fields: Mapping[Any, Any]
    only: bool = True


def span_of(asked: Asked) -> tuple[datetime, datetime]:
    """Return the period that is asked for, in local time: the last 30 days where nothing is said."""
    end = _local(asked.get(END)) or dt_util.now()
    start = _local(asked.get(START)) or end - timedelta(days=30)
    if start > end:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="journal_period")
    return start, end


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else dt_util.as_local(dt_util.as_utc(moment))


async def _drives(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"drives": [drive_figures(one) for one in await drives_of(car, *span_of(asked))]}


async def _charges(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"charges": [charge_figures(one) for one in await charges_of(car, *span_of(asked))]}


async def _parking(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"parking": [parking_figures(one) for one in await parkings_of(car, *span_of(asked))]}


async def drives_of(car: JournalCoordinator, start: datetime, end: datetime) -> Sequence[Drive]:
    """Return the drives that touch a period."""
    return await car.journal.async_query(car.journal.store.drives, car.vin, *_seconds(start, end))


async def charges_of(car: JournalCoordinator, start: datetime, end: datetime) -> Sequence[Charge]:
    """Return the charges that touch a period."""
    return await car.journal.async_query(car.journal.store.charges, car.vin, *_seconds(start, end))


async def parkings_of(car: JournalCoordinator, start: datetime, end: datetime) -> Sequence[Parking]:
    """Return the parkings that touch a period."""
    return await car.journal.async_query(car.journal.store.parkings, car.vin, *_seconds(start, end))


def _seconds(start: datetime, end: datetime) -> tuple[int, int]:
    return int(start.timestamp()), int(end.timestamp())


async def _summary(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    start, end = span_of(asked)
    drives, charges, parkings = (
        await drives_of(car, start, end),
        await charges_of(car, start, end),
        await parkings_of(car, start, end),
    )
    return {"periods": summaries(drives, charges, parkings, asked[GROUP_BY])}


def summaries(
    drives: Iterable[Drive], charges: Iterable[Charge], parkings: Iterable[Parking], group_by: str
) -> list[Figures]:
    """Add sessions up by the local day, week, month or year in which each began."""
    groups: defaultdict[str, tuple[list[Drive], list[Charge], list[Parking]]] = defaultdict(lambda: ([], [], []))
    for place, sessions in enumerate((drives, charges, parkings)):
        for session in sessions:
            cast("list[Any]", groups[_period(session.start, group_by)][place]).append(session)
    return [{"period": period, **_sums(*groups[period])} for period in sorted(groups)]


def _period(at: int, group_by: str) -> str:
    local = dt_util.as_local(dt_util.utc_from_timestamp(at))
    match group_by:
        case "day":
            return local.strftime("%Y-%m-%d")
        case "week":
            return local.strftime("%G-W%V")
        case "month":
            return local.strftime("%Y-%m")
        case "year":
            return local.strftime("%Y")
    return "total"


def _sums(drives: Sequence[Drive], charges: Sequence[Charge], parkings: Sequence[Parking]) -> Figures:
    distance = sum(drive.distance_km for drive in drives)
    measured = [drive for drive in drives if drive.energy_kwh is not None]
    energy = sum(drive.energy_kwh or 0.0 for drive in measured)
    measured_km = sum(drive.distance_km for drive in measured)
    costs: defaultdict[str, float] = defaultdict(float)
    for charge in charges:
        if charge.cost is not None:
            costs[charge.currency or ""] += charge.cost
    return {
        "drives": len(drives),
        "distance_km": round(distance, 2),
        "driving_s": sum(drive.duration_s or 0 for drive in drives),
        "driven_kwh": round(energy, 2) if measured else None,
        "wh_per_km": round(energy * 1000 / measured_km, 1) if measured_km else None,
        "charges": len(charges),
        "added_kwh": round(sum(charge.added_kwh for charge in charges), 2),
        "added_ac_kwh": round(sum(charge.added_kwh for charge in charges if not charge.dc), 2),
        "added_dc_kwh": round(sum(charge.added_kwh for charge in charges if charge.dc), 2),
        "used_kwh": round(sum(charge.used_kwh or charge.added_kwh for charge in charges), 2),
        "costs": {currency: round(cost, 2) for currency, cost in sorted(costs.items())},
        "parked_s": sum(parking.seconds for parking in parkings),
        "drain_kwh": round(sum(parking.drain_kwh or 0.0 for parking in parkings), 2),
        "reconstructed": sum(one.reconstructed for one in (*drives, *charges, *parkings)),
    }


async def _tag(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    tag = asked.get("tag", "").strip() or None
    start = int(dt_util.as_utc(asked[SESSION]).timestamp())
    if not await car.journal.async_query(car.journal.store.tag_drive, car.vin, start, tag):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="journal_no_drive")
    await car.async_refresh()
    return {"tag": tag}


async def _set_cost(hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    start = int(dt_util.as_utc(asked[SESSION]).timestamp())
    cost, currency = asked.get("cost"), asked.get("currency") or hass.config.currency
    store = car.journal.store
    if not await car.journal.async_query(store.set_cost, car.vin, start, cost, currency, CostSource.OWNER):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="journal_no_charge")
    car.note_changed(start)
    await car.async_refresh()
    return {"cost": cost, "currency": currency if cost is not None else None}


async def _reprice(_hass: HomeAssistant, car: JournalCoordinator, _asked: Asked) -> Figures:
    charges = await car.journal.async_reprice(car.config_entry, car.vin)
    await car.async_brought_in()
    return {"charges": charges}


async def _delete(hass: HomeAssistant, car: JournalCoordinator, _asked: Asked) -> Figures:
    await car.journal.async_delete(car.vin)
    async_forget(hass, car.vin)
    await car.async_refresh()
    return {}


async def _export(hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    """Save the journal of a period where the owner allows files: one kind as CSV, all as JSON."""
    filename = asked[FILENAME]
    await async_ensure_allowed(hass, filename)
    span = span_of(asked)
    sessions = await drives_of(car, *span), await charges_of(car, *span), await parkings_of(car, *span)
    tables = await hass.async_add_executor_job(_tables, *sessions)
    kind: str = asked["kind"]
    is_csv = filename.lower().endswith(".csv")
    await async_save(hass, filename, partial(_csv, tables[kind]) if is_csv else partial(_json, car.vin, tables))
    return {FILENAME: filename, "sessions": len(tables[kind])}


def _csv(rows: Sequence[Figures]) -> bytes:
    text = StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _json(vin: str, tables: Mapping[str, Sequence[Figures]]) -> bytes:
    return json.dumps({"vin": vin, **tables}, indent=1).encode()


def _cell(value: object) -> object:
    """Return a cell that a spreadsheet does not take for a formula."""
    if isinstance(value, dict):
        return json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(_FORMULA) else value


def _tables(
    drives: Sequence[Drive], charges: Sequence[Charge], parkings: Sequence[Parking]
) -> dict[str, list[Figures]]:
    """Return the rows by kind. Takes long for years of sessions: call it from a worker thread."""
    return {
        "drives": [drive_figures(one) for one in drives],
        "charges": [charge_figures(one) for one in charges],
        "parking": [parking_figures(one) for one in parkings],
    }


_SPAN: Final = {probatio.Optional(START): cv.datetime, probatio.Optional(END): cv.datetime}
_FILE: Final = probatio.All(cv.string, probatio.Match(r"(?i)^.+\.(csv|json)$"))
_COST: Final = probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=COST_MOST))
_CURRENCY: Final = probatio.All(cv.string, probatio.Match(r"^[A-Z]{3}$"))

ACTIONS: Final[Mapping[str, JournalAction]] = {
    "get_drives": JournalAction(_drives, _SPAN),
    "get_charges": JournalAction(_charges, _SPAN),
    "get_parking": JournalAction(_parking, _SPAN),
    "get_summary": JournalAction(
        _summary, {**_SPAN, probatio.Optional(GROUP_BY, default="total"): probatio.In(PERIODS)}
    ),
    "tag_drive": JournalAction(
        _tag,
        {
            probatio.Required(SESSION): cv.datetime,
            probatio.Optional("tag"): probatio.All(cv.string, probatio.Length(max=TAG_MOST)),
        },
        only=False,
    ),
    "set_charge_cost": JournalAction(
        _set_cost,
        {
            probatio.Required(SESSION): cv.datetime,
            probatio.Optional("cost"): _COST,
            probatio.Optional("currency"): _CURRENCY,
        },
        only=False,
    ),
    "recompute_costs": JournalAction(_reprice, {}, only=False),
    "delete_journal": JournalAction(_delete, {}, only=False),
    "export_journal": JournalAction(
        _export,
        {
            **_SPAN,
            probatio.Required(FILENAME): _FILE,
            probatio.Optional("kind", default="drives"): probatio.In(KINDS),
        },
        only=False,
    ),
}
"""Actions about the journal of one car."""


@callback
def async_setup_journal_actions(hass: HomeAssistant) -> None:
    """Register every action."""
    for name, action in ACTIONS.items():
        schema = probatio.Schema({probatio.Required(ATTR_DEVICE_ID): cv.string, **action.fields})
        response = SupportsResponse.ONLY if action.only else SupportsResponse.OPTIONAL
        hass.services.async_register(DOMAIN, name, _handler(hass, action), schema, supports_response=response)


def _handler(
    hass: HomeAssistant, action: JournalAction
) -> Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]:
    async def handle(call: ServiceCall) -> ServiceResponse:
        entry, vin = target(hass, call.data[ATTR_DEVICE_ID])
        if vin not in entry.runtime_data.vehicles:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_such_vehicle")
        try:
            told = await action.ask(hass, entry.runtime_data.journal_of(vin), call.data)
        except JournalUnusable as error:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="journal_unusable") from error
        return told if call.return_response else None

    return handle
