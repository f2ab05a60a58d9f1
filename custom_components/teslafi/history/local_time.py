"""Local times without a zone, as exports have them, to moments: by the order of the rows where a clock was set back."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
import re
import time
from typing import Final
from zoneinfo import ZoneInfo

type Parse = Callable[[str], tuple[int, int, int, int, int, int]]
"""Year, month, day, hour, minute, second; raises ValueError."""

_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?Z?")
_SLASHED: Final = re.compile(
    r"(\d{1,2})[/.](\d{1,2})[/.](\d{4}),?[ T](\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?([AaPp])\.?[Mm]\.?)?"
)
FIRST: Final = 1_199_145_600
"""Epoch second at which 2008 began, the year of the first car."""
_DAY: Final = 86_400
_NOON: Final = 12
_MONTHS: Final = 12
_SIXTY: Final = 60
_PREFIX: Final = len("2026-11-26 13")


def parse_iso(text: str) -> tuple[int, int, int, int, int, int]:
    """Read `2026-11-26 13:05:59`, the form of the original files."""
    if (found := _ISO.fullmatch(text)) is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    return year, month, day, hour, minute, second


def _slashed(text: str) -> tuple[int, int, int, int, int, int]:
    """Return first number, second number, year, hour, minute, second of a date that a spreadsheet has changed."""
    if (found := _SLASHED.fullmatch(text)) is None:
        raise ValueError(text)
    first, second_number, year, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    half = (found[7] or "").lower()
    if half:
        if not 1 <= hour <= _NOON:
            raise ValueError(text)
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    return first, second_number, year, hour, minute, second


def parse_month_first(text: str) -> tuple[int, int, int, int, int, int]:
    """Read `11/26/2026 1:05:59 PM`."""
    month, day, year, *time = _slashed(text)
    return year, month, day, time[0], time[1], time[2]


def parse_day_first(text: str) -> tuple[int, int, int, int, int, int]:
    """Read `26/11/2026 13:05`."""
    day, month, year, *time = _slashed(text)
    return year, month, day, time[0], time[1], time[2]


def form_of(texts: Sequence[str], month: int | None) -> Parse:
    """Return how the dates of a file are written. `month` is that of its name, which settles what numbers do not.

    Raises ValueError with the first date that fits no form.
    """
    if all(_ISO.fullmatch(text) for text in texts):
        return parse_iso
    pairs = [_slashed(text)[:2] for text in texts if not _ISO.fullmatch(text)]
    if any(first > _MONTHS for first, _ in pairs):
        return parse_day_first
    if any(second > _MONTHS for _, second in pairs):
        return parse_month_first
    if month is not None and len({first for first, _ in pairs}) != len({second for _, second in pairs}):
        return parse_month_first if {first for first, _ in pairs} <= {month} else parse_day_first
    # Rows of one month: its number stays the same while the day goes up
    steady = len({first for first, _ in pairs}) <= len({second for _, second in pairs})
    return parse_month_first if steady else parse_day_first


class Clock:
    """Turns the local times of one file's rows, in their order, to epoch seconds.

    In the hour that a clock shows twice, the first pass counts until a row would go back in time, then the second. A
    time that the clock skipped counts as if the clock had been set later.
    """

    def __init__(self, zone: ZoneInfo, parse: Parse, now: Callable[[], float] = time.time) -> None:
        """Begin before the first row. No car has told anything before 2008, nor after tomorrow."""
        self._now = now
        self._zone = zone
        self._parse = parse
        self._hours: dict[tuple[int, int, int, int], int | None] = {}
        self._last: int | None = None
        self._text = ""
        self._base: int | None = None

    def moment(self, text: str) -> int:
        """Return the moment of the next row; raise ValueError when it is no date of the file's form."""
        if self._base is not None and text[:_PREFIX] == self._text and len(text) == _PREFIX + 6:
            self._last = self._base + _seconds(text, int(text[14:16]), int(text[17:19]))
            return self._last
        year, month, day, hour, minute, second = self._parse(text)
        seconds = _seconds(text, minute, second)
        base = self._hour(year, month, day, hour)
        if base is None:
            self._last = self._in_order(datetime(year, month, day, hour, minute, second, tzinfo=self._zone))
        else:
            self._last = base + seconds
        if self._parse is parse_iso:
            self._text, self._base = text[:_PREFIX], base
        return self._last

    def _in_order(self, local: datetime) -> int:
        """Return a moment of an hour within which the clock is set: of two readings, the one that fits the order."""
        readings = [int(local.replace(fold=fold).astimezone(UTC).timestamp()) for fold in (0, 1)]
        early, late = readings
        # Where the clock was set forward, fold 0 is the later one: there is but one reading
        return late if early < late and self._last is not None and early < self._last else early

    def _hour(self, year: int, month: int, day: int, hour: int) -> int | None:
        """Return when an hour of the clock begins; None where the clock is set within it, or shows it twice."""
        key = (year, month, day, hour)
        if key not in self._hours:
            first = datetime(year, month, day, hour, tzinfo=self._zone)
            begins = int(first.astimezone(UTC).timestamp())
            if begins < FIRST or begins > self._now() + _DAY:
                raise ValueError(first.isoformat(" "))
            ends = first.replace(minute=_SIXTY - 1, second=_SIXTY - 1)
            offsets = {each.replace(fold=fold).utcoffset() for each in (first, ends) for fold in (0, 1)}
            self._hours[key] = begins if len(offsets) == 1 else None
        return self._hours[key]


def _seconds(text: str, minute: int, second: int) -> int:
    if not (0 <= minute < _SIXTY and 0 <= second < _SIXTY):
        raise ValueError(text)
    return minute * 60 + second


def some(texts: Iterable[str], most: int = 2000) -> list[str]:
    """Return up to `most` of many texts, from all over them."""
    kept = list(texts)
    step = max(len(kept) // most, 1)
    return kept[::step]
