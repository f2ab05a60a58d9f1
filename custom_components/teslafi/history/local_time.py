"""Local times without a zone, as exports have them, to moments: by the order of the rows where a clock was set back."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
import re
import time
from typing import Final
from zoneinfo import ZoneInfo

type Date = tuple[int, int, int, int, int, int]
"""Year, month, day, hour, minute, second."""
type Parse = Callable[[str], Date]
"""Raises ValueError with a text that is no date."""

_TIME: Final = r"[\sT]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?"
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME, re.ASCII)
_ZONED: Final = re.compile(_ISO.pattern + r"\s?(Z|[+-]\d{2}:?\d{2})", re.ASCII)
_SLASHED: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2}),?" + _TIME + r"(?:\s?([AaPp])\.?\s?[Mm]\.?)?")
"""Microsoft's locales order them in every way, some with years of two digits, and write blanks within "p. m."."""
_DOTTED: Final = re.compile(r"\d{1,2}\.")
_CENTURY: Final = 2000
FIRST: Final = 1_199_145_600
"""Epoch second at which 2008 began, the year of the first car."""
AHEAD_MOST: Final = 3600
"""Seconds by which a row may lie ahead: Home Assistant's clock may be wrong a little."""
_NOON: Final = 12
_MONTHS: Final = 12
_SIXTY: Final = 60
_PREFIX: Final = len("2026-11-26 13")
_PLAIN: Final = len("2026-11-26 13:05:59")


class Ahead(ValueError):
    """A moment that lies ahead of now: the times are of another zone."""


def parse_iso(text: str) -> Date:
    """Read `2026-11-26 13:05:59`, the form of the original files."""
    if (found := _ISO.fullmatch(text)) is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    return year, month, day, hour, minute, second


def parse_zoned(text: str) -> Date:
    """Read `2026-11-26T13:05:59Z` or `2026-11-26 14:05:59+01:00`, as converters write, in UTC."""
    if (found := _ZONED.fullmatch(text)) is None:
        raise ValueError(text)
    *local, offset = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in local)
    hours, minutes = (0, 0) if offset == "Z" else (int(offset[:3]), int(offset[0] + offset[-2:]))
    utc = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=hours, minutes=minutes)
    return utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second


def _slashed(text: str) -> Date:
    """Return first number, second number, year, hour, minute, second of a date that a spreadsheet has changed."""
    if (found := _SLASHED.fullmatch(text)) is None:
        raise ValueError(text)
    first, second_number, year, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    year += _CENTURY if len(found[3]) < len("2026") else 0
    half = (found[7] or "").lower()
    if half:
        if not 1 <= hour <= _NOON:
            raise ValueError(text)
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    return first, second_number, year, hour, minute, second


def parse_month_first(text: str) -> Date:
    """Read `11/26/2026 1:05:59 PM`."""
    month, day, year, *time = _slashed(text)
    return year, month, day, time[0], time[1], time[2]


def parse_day_first(text: str) -> Date:
    """Read `26/11/2026 13:05`."""
    day, month, year, *time = _slashed(text)
    return year, month, day, time[0], time[1], time[2]


def form_of(texts: Sequence[str], month: int | None) -> Parse:
    """Return how the dates of a file are written. `month` is that of its name, which settles what numbers do not.

    Raises ValueError with the first date that fits no form.
    """
    if all(_ISO.fullmatch(text) for text in texts):
        return parse_iso
    if all(_ZONED.fullmatch(text) for text in texts):
        return parse_zoned
    pairs = [_slashed(text)[:2] for text in texts if not _ISO.fullmatch(text)]
    if any(first > _MONTHS for first, _ in pairs) or any(_DOTTED.match(text) for text in texts):
        return parse_day_first  # nobody writes dots the other way
    if any(second > _MONTHS for _, second in pairs):
        return parse_month_first
    firsts, seconds = ({pair[place] for pair in pairs} for place in (0, 1))
    if month is not None and (firsts == {month}) is not (seconds == {month}):
        return parse_month_first if firsts == {month} else parse_day_first
    # Rows of one month: its number stays the same while the day goes up
    return parse_month_first if len(firsts) <= len(seconds) else parse_day_first


class Clock:
    """Turns the local times of one file's rows, in their order, to epoch seconds.

    In the hour that a clock shows twice, the first pass counts until a row would go back in time, then the second. A
    time that the clock skipped counts as if the clock had been set later.
    """

    def __init__(self, zone: ZoneInfo, parse: Parse, now: Callable[[], float] = time.time) -> None:
        """Begin before the first row. No car has told anything before 2008, nor what is yet to come."""
        self._now = now
        self._zone: tzinfo = UTC if parse is parse_zoned else zone
        self._parse = parse
        self._hours: dict[tuple[int, int, int, int], int | None] = {}
        self._last: int | None = None
        self._text = ""
        self._base: int | None = None

    def moment(self, text: str) -> int:
        """Return the moment of the next row; raise ValueError with the text when it is no date of the file's form."""
        try:
            return self._moment(text)
        except Ahead:
            raise Ahead(text) from None
        except ValueError, OverflowError:
            raise ValueError(text) from None

    def _moment(self, text: str) -> int:
        if self._base is not None and text[:_PREFIX] == self._text and _is_plain(text):
            self._last = self._base + _seconds(text, int(text[14:16]), int(text[17:19]))
            return self._last
        year, month, day, hour, minute, second = self._parse(text)
        seconds = _seconds(text, minute, second)
        base = self._hour(year, month, day, hour)
        if base is None:
            self._last = self._in_order(datetime(year, month, day, hour, minute, second, tzinfo=self._zone))
        else:
            self._last = base + seconds
        if self._parse is parse_iso and _is_plain(text):
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
            if begins > self._now() + AHEAD_MOST:
                raise Ahead(first.isoformat(" "))
            if begins < FIRST:
                raise ValueError(first.isoformat(" "))
            ends = first.replace(minute=_SIXTY - 1, second=_SIXTY - 1)
            offsets = {each.replace(fold=fold).utcoffset() for each in (first, ends) for fold in (0, 1)}
            self._hours[key] = begins if len(offsets) == 1 else None
        return self._hours[key]


def _is_plain(text: str) -> bool:
    """Say whether a text has the digits of its minutes and seconds where the original files have them."""
    return len(text) == _PLAIN and text[_PREFIX] == text[_PREFIX + 3] == ":"


def _seconds(text: str, minute: int, second: int) -> int:
    if not (0 <= minute < _SIXTY and 0 <= second < _SIXTY):
        raise ValueError(text)
    return minute * 60 + second


def some(texts: Iterable[str], most: int = 2000) -> list[str]:
    """Return up to `most` of many texts, from all over them."""
    kept = list(texts)
    step = max(len(kept) // most, 1)
    return kept[::step]
