"""TeslaFi.com's monthly files, one or many or in a zip archive, to samples of each car.

A file is read twice: once for how it is written (encoding, delimiter, dates, whose it is), once for its rows.
"""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import TextIOWrapper
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
import re
from typing import IO, Any, Final, Protocol
from zipfile import BadZipFile, ZipFile, is_zipfile
import zlib
from zoneinfo import ZoneInfo

from ..journal.sample import Sample
from .errors import HistoryUnreadable
from .local_time import Ahead, Clock, Date, Parse, form_of, parse_iso, some
from .teslafi_record import CSV_NAMES, FIELDS, FieldUnreadable, text_of, values_of

DELIMITERS: Final = ",;\t|"
MOST_BYTES: Final = 4 * 1024**3
"""Of all files together, unpacked: ten years of a car are about one."""
MOST_FILES: Final = 600
"""Fifty years of months; each is looked up anew in the directory of its archive."""
DAY: Final = 86_400
DATE: Final = "date"
VIN: Final = "vin"
_VIN: Final = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_MONTH: Final = re.compile(r"(?:TeslaFi)?(\d{1,2})(\d{4})(?: ?\(\d+\))?\.csv", re.IGNORECASE)
_PIECE: Final = 1 << 16
_LINE_MOST: Final = 1 << 20
"""Characters of a line at most: rows have a few hundred."""
SET_MOST: Final = timedelta(hours=3)
"""By how much a clock is set at most, once; it shows times of the day before again where it is set at midnight."""
_HOURS: Final = len("2026-11-26 13")
_DATES_MOST: Final = 20_000
"""Dates that are looked at to find out their form."""
_ODD_ARCHIVE: Final = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What the zipfile module raises for one that is cut off, damaged, encrypted or packed in a way it does not know."""

type Opened = Callable[[], AbstractContextManager[IO[bytes]]]


class Rows(Protocol):
    """A reader of the csv module."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]:
        """Go through the rows."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """One monthly file, wherever it lies."""

    name: str
    size: int
    opened: Opened


@dataclass(frozen=True, slots=True)
class Order:
    """How a file's dates are written, and in which order its rows are.

    `first`, `last`: the moments of its earliest and its newest row, or a little more. `backwards`: the newest row comes
    first; `mixed`: neither does the oldest, all the way.
    """

    parse: Parse
    first: int
    last: int
    backwards: bool
    mixed: bool


@dataclass(frozen=True, slots=True)
class Writing:
    """How a file is written.

    `header`: the names as they are written; `columns`: name in lower case -> place. `rows`: how many there are. `vins`:
    those in it, in order.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    columns: dict[str, int]
    order: Order
    rows: int
    vins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """A file and how it is written."""

    file: HistoryFile
    writing: Writing


def files_of(paths: Sequence[tuple[str, Path]]) -> list[HistoryFile]:
    """Return the monthly files among uploads (name and place), those inside archives included."""
    found: list[HistoryFile] = []
    for name, path in paths:
        if is_zipfile(path):
            found += _of_archive(name, path)
        else:
            found.append(HistoryFile(name, path.stat().st_size, _Plain(path)))
    if len(found) > MOST_FILES or sum(file.size for file in found) > MOST_BYTES:
        raise HistoryUnreadable("history_too_large", found[0].name)
    return found


def _of_archive(name: str, path: Path) -> Iterator[HistoryFile]:
    try:
        with ZipFile(path) as archive:
            members = [one for one in archive.infolist() if _is_monthly(one.filename)]
    except _ODD_ARCHIVE:
        raise HistoryUnreadable("history_archive_broken", name) from None
    if not members:
        raise HistoryUnreadable("history_archive_empty", name)
    for member in members:
        yield HistoryFile(f"{name}/{member.filename}", member.file_size, _Member(path, member.filename))


@dataclass(frozen=True, slots=True)
class _Member:
    """Opens a file of an archive."""

    archive: Path
    name: str

    @contextmanager
    def __call__(self) -> Iterator[IO[bytes]]:
        try:
            with ZipFile(self.archive) as archive, archive.open(self.name) as member:
                yield member
        except _ODD_ARCHIVE:
            raise HistoryUnreadable("history_archive_broken", f"{self.archive.name}/{self.name}") from None


@dataclass(frozen=True, slots=True)
class _Plain:
    """Opens a file."""

    path: Path

    @contextmanager
    def __call__(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as file:
            yield file


def _is_monthly(name: str) -> bool:
    return name.lower().endswith(".csv") and not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")


def examine(file: HistoryFile, zone: ZoneInfo) -> Examined | None:
    """Find out how a file is written; None when it holds no row. Raises HistoryUnreadable."""
    encoding = _encoding(file)
    with _text(file, encoding) as text:
        head = text.readline(_PIECE)
        delimiter = max(DELIMITERS, key=head.count)
        names = tuple(next(csv.reader([head], delimiter=delimiter), []))
        columns = _columns(file, head, names)
        rows, dates, vins, mixed = _dates_and_vins(file, _reader(file, text, delimiter), columns, names)
    if not rows:
        return None
    month = _MONTH.fullmatch(Path(file.name).name)
    try:
        order = _order(dates, int(month[1]) if month else None, zone, mixed=mixed)
    except ValueError as error:
        with _text(file, encoding) as text:
            text.readline(_PIECE)
            checked = _checked(file, _reader(file, text, delimiter), names, columns[DATE])
            line = next((line for line, row in checked if row[columns[DATE]].strip() == str(error)), 2)
        raise _no_moment(file, line, error) from None
    writing = Writing(
        encoding=encoding,
        delimiter=delimiter,
        header=names,
        columns=columns,
        order=order,
        rows=rows,
        vins=tuple(vins),
    )
    return Examined(file, writing)


def _order(dates: Sequence[str], month: int | None, zone: ZoneInfo, *, mixed: bool) -> Order:
    """Find out how dates are written and ordered; raise ValueError with one that is none."""
    parse = form_of(some(dates), month)
    if parse is not parse_iso:
        mixed = _is_mixed(dates, parse)
    ends = (min(dates, key=parse), max(dates, key=parse)) if mixed else (dates[0], dates[-1])
    one, other = (Clock(zone, parse).moment(date) for date in ends)
    around = DAY if mixed else 0  # not all dates were looked at
    return Order(parse, min(one, other) - around, max(one, other) + around, backwards=other < one, mixed=mixed)


def _is_mixed(dates: Iterable[str], parse: Parse) -> bool:
    return len({way for before, after in pairwise(dates) if (way := _way(parse(before), parse(after))) is not None}) > 1


def _no_moment(file: HistoryFile, line: int, error: ValueError) -> HistoryUnreadable:
    key = "history_future" if isinstance(error, Ahead) else "history_date"
    return HistoryUnreadable(key, file.name, line, "Date", str(error))


def _encoding(file: HistoryFile) -> str:
    """Return UTF-8 unless a byte is not; then what Windows writes in western Europe, which has a letter for each."""
    decoder = getincrementaldecoder("utf-8")()
    with file.opened() as raw:
        piece = raw.read(_PIECE)
        if piece.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return "utf-16"
        try:
            while piece:
                decoder.decode(piece)
                piece = raw.read(_PIECE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def _columns(file: HistoryFile, head: str, names: Sequence[str]) -> dict[str, int]:
    if "<html" in head.lower() or "<!doctype" in head.lower():
        raise HistoryUnreadable("history_web_page", file.name, 1)
    columns = {name.strip().lower(): place for place, name in enumerate(names)}
    for needed in (DATE, "state", "odometer"):
        if needed not in columns:
            raise HistoryUnreadable("history_column_missing", file.name, 1, needed)
    return columns


def _dates_and_vins(
    file: HistoryFile, rows: Rows, columns: dict[str, int], header: Sequence[str]
) -> tuple[int, list[str], dict[str, None], bool]:
    """Return how many rows there are, dates from all over them, the cars, and whether the order changes its way.

    The first and the last date are among the dates. The order is told of dates as the original files have them alone.
    """
    date, vin = columns[DATE], columns.get(VIN)
    dates: list[str] = []
    vins: dict[str, None] = {}
    count, each, last = 0, 1, ""
    ways: set[bool] = set()
    for line, row in _checked(file, rows, header, date):
        before, last = last, row[date].strip()
        if count and before[:_HOURS] != last[:_HOURS] and (way := _way_of(before, last)) is not None:
            ways.add(way)
        if count % each == 0:
            dates.append(last)
            if len(dates) > _DATES_MOST:
                dates, each = dates[::2], each * 2
        count += 1
        if vin is not None and (found := text_of(row[vin])) is not None:
            if not _VIN.fullmatch(found.upper()):
                raise HistoryUnreadable("history_vin", file.name, line, "vin", found)
            vins.setdefault(found.upper())
    return count, [*dates, last], vins, len(ways) > 1


def _way_of(before: str, after: str) -> bool | None:
    try:
        return _way(parse_iso(before), parse_iso(after))
    except ValueError:
        return None


def _way(before: Date, after: Date) -> bool | None:
    """Say whether time goes on between two rows; None when it is no more than by what clocks are set."""
    apart = datetime(*after) - datetime(*before)  # noqa: DTZ001 - local time, of a zone not named
    return None if abs(apart) <= SET_MOST else apart > timedelta(0)


def _checked(file: HistoryFile, rows: Rows, header: Sequence[str], date: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line and row; raise HistoryUnreadable for a row that is cut off or too long.

    Empty rows are a spreadsheet's; a header in the middle begins the next of several files that were put together.
    """
    width, name = len(header), header[date]
    try:
        for row in rows:
            if len(row) == width and row[date] and row[date] != name:
                yield rows.line_num + 1, row
            elif any(cell.strip() for cell in row) and row[date : date + 1] != [name]:
                if len(row) != width:
                    raise HistoryUnreadable("history_row", file.name, rows.line_num + 1, "", f"{len(row)} / {width}")
                yield rows.line_num + 1, row
    except csv.Error:
        raise HistoryUnreadable("history_row", file.name, rows.line_num + 1) from None


def samples_of(examined: Examined, zone: ZoneInfo, vin: str | None) -> Iterator[tuple[str | None, Sample]]:
    """Yield the samples of a file from its oldest row on, each with the VIN of its car.

    Rows that name no car are of the one before; `vin` is the car of files that name none. Raises HistoryUnreadable.
    """
    file, writing = examined.file, examined.writing
    columns, clock = writing.columns, Clock(zone, writing.order.parse)
    named = {name: CSV_NAMES.get(name, name) for name, _ in FIELDS.values()}
    known = {name: columns[column] for name, column in named.items() if column in columns}
    decimal_comma = writing.delimiter != ","
    owner = writing.vins[0] if writing.vins else vin
    before: tuple[str, ...] = ()
    values: dict[str, Any] = {}
    pick = itemgetter(columns[DATE], columns.get(VIN, columns[DATE]), *known.values())
    for line, (date, row_vin, *picked) in _rows(examined, pick):
        try:
            at = clock.moment(date.strip())
        except ValueError as error:
            raise _no_moment(file, line, error) from None
        if VIN in columns and (row_owner := text_of(row_vin)) is not None:
            owner = row_owner.upper()
        if (told := tuple(picked)) != before:
            before, values = told, _values(file, line, zip(known, told, strict=True), decimal_comma=decimal_comma)
        yield owner, Sample(at=at, **values)


type Picked = tuple[str, ...]


def _rows(examined: Examined, pick: Callable[[list[str]], Picked]) -> Iterator[tuple[int, Picked]]:
    """Yield line and what is picked of each row, from the oldest row on."""
    file, writing = examined.file, examined.writing
    order = writing.order
    with _text(file, writing.encoding) as text:
        text.readline(_PIECE)
        rows = _checked(file, _reader(file, text, writing.delimiter), writing.header, writing.columns[DATE])
        picked = ((line, pick(row)) for line, row in rows)
        if order.mixed:
            yield from sorted(picked, key=lambda row: _place(row[1][0], order.parse))
        else:
            yield from (reversed(list(picked)) if order.backwards else picked)


def _place(date: str, parse: Parse) -> Date:
    """Return where a row belongs; one whose date is none comes first, and is told when it is read."""
    try:
        return parse(date.strip())
    except ValueError:
        return 0, 0, 0, 0, 0, 0


def _values(file: HistoryFile, line: int, picked: Iterable[tuple[str, str]], *, decimal_comma: bool) -> dict[str, Any]:
    record = {name: text.replace(",", ".") if decimal_comma else text for name, text in picked}
    try:
        return values_of(record)
    except FieldUnreadable as error:
        raise HistoryUnreadable("history_value", file.name, line, error.name, error.found) from None


def _reader(file: HistoryFile, text: TextIOWrapper, delimiter: str) -> Rows:
    """Read rows; a line without an end is refused before it fills the memory."""

    def lines() -> Iterator[str]:
        while line := text.readline(_LINE_MOST):
            if len(line) == _LINE_MOST:
                raise HistoryUnreadable("history_row", file.name)
            yield line

    return csv.reader(lines(), delimiter=delimiter)


@contextmanager
def _text(file: HistoryFile, encoding: str) -> Iterator[TextIOWrapper]:
    with file.opened() as raw, TextIOWrapper(raw, encoding=encoding, errors="replace", newline="") as text:
        yield text
