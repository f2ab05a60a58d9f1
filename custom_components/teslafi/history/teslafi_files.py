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
from operator import itemgetter
from pathlib import Path
import re
from typing import IO, Any, Final, Protocol
from zipfile import BadZipFile, ZipFile, is_zipfile
import zlib
from zoneinfo import ZoneInfo

from ..journal.sample import Sample
from .errors import HistoryUnreadable
from .local_time import Clock, Parse, form_of, parse_iso, some
from .teslafi_record import CSV_NAMES, FIELDS, FieldUnreadable, text_of, values_of

DELIMITERS: Final = ",;\t|"
MOST_BYTES: Final = 4 * 1024**3
"""Of all files together, unpacked: ten years of a car are about one."""
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
class Writing:
    """How a file is written.

    `columns`: name in lower case -> place; `width`: how many there are. `first`: the moment of its earliest row.
    `backwards`: the newest row comes first; `mixed`: neither does the oldest, all the way. `rows`: how many there are.
    `vins`: those in it, in order.
    """

    encoding: str
    delimiter: str
    columns: dict[str, int]
    width: int
    parse: Parse
    first: int
    backwards: bool
    mixed: bool
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
    if sum(file.size for file in found) > MOST_BYTES:
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
        names = next(csv.reader([head], delimiter=delimiter), [])
        columns = _columns(file, head, names)
        rows, dates, vins, mixed = _dates_and_vins(file, _reader(file, text, delimiter), columns, len(names))
    if not rows:
        return None
    month = _MONTH.fullmatch(Path(file.name).name)
    try:
        parse = form_of(some(dates), int(month[1]) if month else None)
        first, last = (Clock(zone, parse).moment(dates[place]) for place in (0, -1))
    except ValueError as error:
        raise HistoryUnreadable("history_date", file.name, 2, "Date", str(error)) from None
    except OverflowError:
        raise HistoryUnreadable("history_date", file.name, 2, "Date", dates[0]) from None
    writing = Writing(
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        width=len(names),
        parse=parse,
        first=min(first, last),
        backwards=last < first,
        mixed=mixed and parse is parse_iso,
        rows=rows,
        vins=tuple(vins),
    )
    return Examined(file, writing)


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


def _columns(file: HistoryFile, head: str, names: list[str]) -> dict[str, int]:
    if "<html" in head.lower() or "<!doctype" in head.lower():
        raise HistoryUnreadable("history_web_page", file.name, 1)
    columns = {name.strip().lower(): place for place, name in enumerate(names)}
    for needed in (DATE, "state", "odometer"):
        if needed not in columns:
            raise HistoryUnreadable("history_column_missing", file.name, 1, needed)
    return columns


def _dates_and_vins(
    file: HistoryFile, rows: Rows, columns: dict[str, int], width: int
) -> tuple[int, list[str], dict[str, None], bool]:
    """Return how many rows there are, dates from all over them, the cars, and whether the order changes its way.

    The first and the last date are among the dates.
    """
    date, vin = columns[DATE], columns.get(VIN)
    dates: list[str] = []
    vins: dict[str, None] = {}
    count, each, last = 0, 1, ""
    ways: set[bool] = set()
    for line, row in _checked(file, rows, width):
        before, last = last, row[date].strip()
        if count and before[:_HOURS] != last[:_HOURS] and not _next_to(before, last):
            ways.add(before < last)
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


def _next_to(before: str, after: str) -> bool:
    """Say whether two moments are within the time by which clocks are set; dates of another form never count."""
    try:
        apart = datetime(*parse_iso(after)) - datetime(*parse_iso(before))  # noqa: DTZ001 - local time, of a zone not named
    except ValueError:
        return False
    return abs(apart) <= SET_MOST


def _checked(file: HistoryFile, rows: Rows, width: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line and row; raise HistoryUnreadable for a row that is cut off or too long."""
    try:
        for row in rows:
            if len(row) == width:
                yield rows.line_num + 1, row
            elif any(cell.strip() for cell in row):
                raise HistoryUnreadable("history_row", file.name, rows.line_num + 1, "", f"{len(row)} / {width}")
    except csv.Error:
        raise HistoryUnreadable("history_row", file.name, rows.line_num + 1) from None


def samples_of(examined: Examined, zone: ZoneInfo, vin: str | None) -> Iterator[tuple[str | None, Sample]]:
    """Yield the samples of a file from its oldest row on, each with the VIN of its car.

    Rows that name no car are of the one before; `vin` is the car of files that name none. Raises HistoryUnreadable.
    """
    file, writing = examined.file, examined.writing
    columns, clock = writing.columns, Clock(zone, writing.parse)
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
        except ValueError, OverflowError:
            raise HistoryUnreadable("history_date", file.name, line, "Date", date) from None
        if VIN in columns and (row_owner := text_of(row_vin)) is not None:
            owner = row_owner.upper()
        if (told := tuple(picked)) != before:
            before, values = told, _values(file, line, zip(known, told, strict=True), decimal_comma=decimal_comma)
        yield owner, Sample(at=at, **values)


type Picked = tuple[str, ...]


def _rows(examined: Examined, pick: Callable[[list[str]], Picked]) -> Iterator[tuple[int, Picked]]:
    """Yield line and what is picked of each row, from the oldest row on."""
    file, writing = examined.file, examined.writing
    with _text(file, writing.encoding) as text:
        text.readline(_PIECE)
        rows = _reader(file, text, writing.delimiter)
        picked = ((line, pick(row)) for line, row in _checked(file, rows, writing.width))
        if writing.mixed:
            yield from sorted(picked, key=lambda row: row[1][0].strip())
        else:
            yield from (reversed(list(picked)) if writing.backwards else picked)


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
