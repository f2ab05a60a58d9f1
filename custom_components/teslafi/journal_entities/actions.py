"""Actions about a car's journal: what it says of a period, the owner's tags and costs, and files for others."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import csv
from datetime import datetime, timedelta
from functools import partial
from io import TextIOWrapper
import json
from typing import BinaryIO, Concatenate, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import probatio

from ..car_actions import MOMENT, Asked, CarAction, async_register, moment_of
from ..const import DOMAIN
from ..coordinators.journal_summary import JournalCoordinator
from ..journal.addresses import place_name
from ..journal.file import JournalUnusable
from ..journal.sessions import Charge, CostSource, Drive, Parking
from ..journal.store import Store
from ..journal.summary import costs_of
from ..owner_files import async_ensure_allowed, async_save
from .figures import Figures, charge_figures, drive_figures, moment, parking_figures
from .statistics import async_forget

START: Final = "start"
END: Final = "end"
GROUP_BY: Final = "group_by"
SESSION: Final = "session"
FILENAME: Final = "filename"
TAG_MOST: Final = 100
COST_MOST: Final = 100_000_000.0
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
MONTH: Final = 30 * 86_400

type AnySession = Drive | Charge | Parking
type JournalAction = CarAction[JournalCoordinator]


def span_of(asked: Asked) -> tuple[datetime, datetime]:
    """Return the period that is asked for: the last 30 days where nothing is said."""
    end = moment_of(asked, END) or dt_util.utcnow()
    start = moment_of(asked, START) or end - timedelta(days=30)
    if start > end:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="journal_period")
    return start, end


type Tell[**P] = Callable[Concatenate[Store, str, int, int, P], list[Figures]]
"""Answers about a car and a period, more as asked. Blocks: years of sessions take long."""


async def told_of[**P](
    car: JournalCoordinator, tell: Tell[P], span: tuple[datetime, datetime], *more: P.args, **named: P.kwargs
) -> list[Figures]:
    """Have a question about a period of a car's journal answered by a worker thread."""
    start, end = (int(moment.timestamp()) for moment in span)
    return await car.journal.async_query(tell, car.journal.store, car.vin, start, end, *more, **named)


def drives_told(store: Store, vin: str, start: int, end: int) -> list[Figures]:
    """Return the drives that touch a period."""
    return [drive_figures(one) for one in store.drives(vin, start, end)]


def charges_told(store: Store, vin: str, start: int, end: int) -> list[Figures]:
    """Return the charges that touch a period."""
    return [charge_figures(one) for one in store.charges(vin, start, end)]


def parkings_told(store: Store, vin: str, start: int, end: int) -> list[Figures]:
    """Return the parkings that touch a period."""
    return [parking_figures(one) for one in store.parkings(vin, start, end)]


def summary_told(store: Store, vin: str, start: int, end: int, group_by: str) -> list[Figures]:
    """Return the sums of the sessions that touch a period."""
    return summaries(
        store.drives(vin, start, end), store.charges(vin, start, end), store.parkings(vin, start, end), group_by
    )


TOLD: Final[Mapping[str, Callable[[Store, str, int, int], list[Figures]]]] = {
    "drives": drives_told,
    "charges": charges_told,
    "parking": parkings_told,
}
KINDS: Final = tuple(TOLD)


async def _drives(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"drives": await told_of(car, drives_told, span_of(asked))}


async def _charges(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"charges": await told_of(car, charges_told, span_of(asked))}


async def _parking(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"parking": await told_of(car, parkings_told, span_of(asked))}


async def _summary(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    return {"periods": await told_of(car, summary_told, span_of(asked), asked[GROUP_BY])}


def summaries(
    drives: Iterable[Drive], charges: Iterable[Charge], parkings: Iterable[Parking], group_by: str
) -> list[Figures]:
    """Add sessions up by the local day, week, month or year in which each began, or by place, tag or software.

    A drive's place is where it ended. Sessions that have none are in a group without a name.
    """
    groups: defaultdict[str, tuple[list[Drive], list[Charge], list[Parking]]] = defaultdict(lambda: ([], [], []))
    for drive in drives:
        groups[_group(drive, group_by)][0].append(drive)
    for charge in charges:
        groups[_group(charge, group_by)][1].append(charge)
    for parking in parkings:
        groups[_group(parking, group_by)][2].append(parking)
    return [{"period": period, **_sums(*groups[period])} for period in sorted(groups)]


def _place(session: AnySession) -> str | None:
    if isinstance(session, Drive):
        return place_name(session.end_place, session.end_position)
    return place_name(session.place, session.position)


_TIMES: Final = {
    "hour": "%Y-%m-%dT%H:00%z",
    "day": "%Y-%m-%d",
    "week": "%G-W%V",
    "month": "%Y-%m",
    "year": "%Y",
}
_NAMES: Final[Mapping[str, Callable[[AnySession], str | None]]] = {
    "place": _place,
    "tag": lambda session: session.tag if isinstance(session, Drive) else None,
    "software": lambda session: session.software,
}
PERIODS: Final = ("total", *_TIMES, *_NAMES)


def _group(session: AnySession, group_by: str) -> str:
    if (name := _NAMES.get(group_by)) is not None:
        return name(session) or ""
    if (form := _TIMES.get(group_by)) is not None:
        return dt_util.as_local(dt_util.utc_from_timestamp(session.start)).strftime(form)
    return group_by


def _sums(drives: Sequence[Drive], charges: Sequence[Charge], parkings: Sequence[Parking]) -> Figures:
    distance = sum(drive.distance_km for drive in drives)
    measured = [drive for drive in drives if drive.energy_kwh is not None]
    energy = sum(drive.energy_kwh or 0.0 for drive in measured)
    measured_km = sum(drive.distance_km for drive in measured)
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
        "costs": {currency: round(cost, 2) for currency, cost in costs_of(charges).items()},
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
    if await car.journal.async_query(store.set_cost, car.vin, start, cost, currency, CostSource.OWNER) is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="journal_no_charge")
    car.note_changed(start)
    await car.async_refresh()
    return {"cost": cost, "currency": currency if cost is not None else None}


async def _set_new_capacity(_hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    capacity = asked.get("capacity")
    await car.journal.async_query(car.journal.store.set_new_capacity, car.vin, capacity)
    await car.async_refresh()
    share = car.data.health.share
    return {"capacity": capacity, "health": None if share is None else round(share, 3)}


async def _reprice(_hass: HomeAssistant, car: JournalCoordinator, _asked: Asked) -> Figures:
    done = await car.journal.async_reprice(car.config_entry, car.vin)
    await car.async_brought_in()
    return {"charges": done.costed, "without_price": [moment(at) for at in done.without_price]}


async def _delete(hass: HomeAssistant, car: JournalCoordinator, _asked: Asked) -> Figures:
    await car.journal.async_delete(car.vin)
    await async_forget(hass, car.vin)
    await car.async_refresh()
    return {}


async def _export(hass: HomeAssistant, car: JournalCoordinator, asked: Asked) -> Figures:
    """Save the journal of a period where the owner allows files: one kind as CSV, all as JSON."""
    filename, kind = asked[FILENAME], asked["kind"]
    await async_ensure_allowed(hass, filename)
    start, end = (int(moment.timestamp()) for moment in span_of(asked))
    export = _Export(car.journal.store, car.vin, start, end)
    is_csv = filename.lower().endswith(".csv")
    await async_save(hass, filename, partial(export.write_csv, kind) if is_csv else export.write_json)
    return {FILENAME: filename, "sessions": export.written[kind]}


class _Export:
    """Writes the sessions of a period row by row, a month of them in memory at a time. Blocks."""

    def __init__(self, store: Store, vin: str, start: int, end: int) -> None:
        self._store = store
        self._vin = vin
        self._start = start
        self._end = end
        self.written = dict.fromkeys(KINDS, 0)
        """How many sessions of each kind are in the file."""

    def write_csv(self, kind: str, file: BinaryIO) -> None:
        """Write one kind as CSV."""
        text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        for row in self._rows(kind):
            if self.written[kind] == 1:
                writer.writerow(row)
            writer.writerow([_cell(value) for value in row.values()])
        text.detach()

    def write_json(self, file: BinaryIO) -> None:
        """Write all kinds as one JSON object."""
        file.write(f'{{"vin": {json.dumps(self._vin)}'.encode())
        for kind in KINDS:
            file.write(f',\n"{kind}": ['.encode())
            file.writelines(self._in_list(kind))
            file.write(b"]")
        file.write(b"}\n")

    def _in_list(self, kind: str) -> Iterator[bytes]:
        for row in self._rows(kind):
            yield f"{',' if self.written[kind] > 1 else ''}\n{json.dumps(row)}".encode()

    def _rows(self, kind: str) -> Iterator[Figures]:
        tell = TOLD[kind]
        for begin in range(self._start, self._end, MONTH):
            first = begin == self._start
            for row in tell(self._store, self._vin, begin if first else begin - 1, min(begin + MONTH, self._end)):
                # One that began before was in the month before
                if first or row["start"] >= moment(begin):
                    self.written[kind] += 1
                    yield row


def _cell(value: object) -> object:
    """Return a cell that a spreadsheet does not take for a formula."""
    if isinstance(value, dict):
        return json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(_FORMULA) else value


SPAN: Final = {
    probatio.Optional(START, description="Begin of the period, ISO 8601; 30 days before its end if not given"): MOMENT,
    probatio.Optional(END, description="When the period ends, ISO 8601; now if not given"): MOMENT,
}
"""Assistants are told the descriptions."""
_FILE: Final = probatio.All(cv.string, probatio.Match(r"(?i)^.+\.(csv|json)$"))
_COST: Final = probatio.All(probatio.Coerce(float), probatio.Range(min=0, max=COST_MOST))
_CAPACITY: Final = probatio.All(probatio.Coerce(float), probatio.Range(min=10, max=300))
_CURRENCY: Final = probatio.All(cv.string, probatio.Match(r"^[A-Z]{3}$"))

ACTIONS: Final[Mapping[str, JournalAction]] = {
    "get_drives": CarAction(_drives, SPAN),
    "get_charges": CarAction(_charges, SPAN),
    "get_parking": CarAction(_parking, SPAN),
    "get_summary": CarAction(_summary, {**SPAN, probatio.Optional(GROUP_BY, default="total"): probatio.In(PERIODS)}),
    "tag_drive": CarAction(
        _tag,
        {
            probatio.Required(SESSION): MOMENT,
            probatio.Optional("tag"): probatio.All(cv.string, probatio.Length(max=TAG_MOST)),
        },
        only=False,
    ),
    "set_charge_cost": CarAction(
        _set_cost,
        {
            probatio.Required(SESSION): MOMENT,
            probatio.Optional("cost"): _COST,
            probatio.Optional("currency"): _CURRENCY,
        },
        only=False,
    ),
    "set_new_capacity": CarAction(_set_new_capacity, {probatio.Optional("capacity"): _CAPACITY}, only=False),
    "recompute_costs": CarAction(_reprice, {}, only=False),
    "delete_journal": CarAction(_delete, {}, only=False),
    "export_journal": CarAction(
        _export,
        {
            **SPAN,
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
    async_register(hass, ACTIONS, lambda entry, vin: entry.runtime_data.journal_of(vin), _refusals)


@contextmanager
def _refusals(_car: JournalCoordinator) -> Iterator[None]:
    try:
        yield
    except JournalUnusable as error:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="journal_unusable") from error
