"""An energy site's tariff: what a kWh costs and earns, by season, day of the week and time of day.

`tariff_content_v2` of `site_info` (Tesla's developer documents, "Energy endpoints"; meaning of days, hours and the
name ALL as `tesla_fleet_api.tariff` reads them, which resolves one moment of both sides and raises on odd values).
Days count from Monday, 0; a period without days holds on all of them, and one that ends where it began or before ends
on the next day. Seasons come back each year. Prices are per kWh in the tariff's currency.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
import re
from typing import Any, Final

from .decode import Json, number

DAY: Final = 24 * 60
ANY: Final = "ALL"
"""The name under which charges stand that hold for every season, or for every period."""
SPAN: Final = timedelta(days=400)
"""The longest span whose periods are told at once."""
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2999, 1, 1, tzinfo=UTC)
_WINDOWS: Final = 200
"""Windows of one side that are taken at most: a week of half hours has fewer where prices repeat."""
_NAME: Final = re.compile(r"[ -~\u00a0-\ud7ff\ue000-\U0010ffff]{0,100}")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the days of a week in `days`, in minutes after midnight; `end` may lie on the next day."""

    days: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Period:
    """What a kWh costs or earns at certain times; None where Tesla does not tell."""

    name: str
    price: float | None
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Season:
    """A part of the year from `first` to `last`, both (month, day) and both in it; it may go over the new year."""

    name: str
    first: tuple[int, int]
    last: tuple[int, int]
    periods: tuple[Period, ...]

    def covers(self, day: date) -> bool:
        """Whether a day lies in the season."""
        today = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= today <= self.last
        return today >= self.first or today <= self.last


@dataclass(frozen=True, slots=True)
class Side:
    """What electricity costs, or what it earns."""

    currency: str | None
    seasons: tuple[Season, ...]

    def season_of(self, day: date) -> Season | None:
        """Return the season of a day: the first of those that cover it."""
        return next((season for season in self.seasons if season.covers(day)), None)


@dataclass(frozen=True, slots=True)
class Tariff:
    """Both sides of a tariff; None where there are no periods."""

    buy: Side | None = None
    sell: Side | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """A price from one moment to another."""

    begin: datetime
    end: datetime
    season: str
    period: str
    price: float | None


def decode_tariff(raw: object) -> Tariff | None:
    """Read a tariff; None when there is none. What is no period of the day is left out."""
    if type(raw) is not dict:
        return None
    sell = raw.get("sell_tariff")
    currency = _currency(raw)
    bought = _side(raw, currency)
    sold = _side(sell, _currency(sell) or currency) if type(sell) is dict else None
    return Tariff(bought, sold) if bought or sold else None


def encode_tariff(tariff: Tariff) -> dict[str, Json]:
    """Write the object of which `decode_tariff` makes the same."""
    raw: dict[str, Json] = {} if tariff.buy is None else _raw(tariff.buy)
    return raw if tariff.sell is None else {**raw, "sell_tariff": _raw(tariff.sell)}


def rates(side: Side, begin: datetime, end: datetime, zone: tzinfo) -> Iterator[Rate]:
    """Yield what holds between two moments, by the clock of `zone`. No more than `SPAN` is told at once."""
    begin = min(max(begin, EARLIEST), LATEST)
    end = max(min(end, begin + SPAN), begin)
    day, last = begin.astimezone(zone).date() - timedelta(days=1), end.astimezone(zone).date()
    while day <= last:
        for season in dict.fromkeys((side.season_of(day), side.season_of(day + timedelta(days=1)))):
            if season is not None:
                yield from (rate for rate in _of_day(side, season, day, zone) if rate.end > begin and rate.begin < end)
        day += timedelta(days=1)


def _of_day(side: Side, season: Season, day: date, zone: tzinfo) -> Iterator[Rate]:
    """Yield what begins on a day in a season, cut where the season begins or ends at midnight."""
    first = 0 if side.season_of(day) is season else DAY
    last = 2 * DAY if side.season_of(day + timedelta(days=1)) is season else DAY
    midnight = datetime.combine(day, time.min, zone)
    for period in season.periods:
        for window in period.windows:
            begin, end = max(window.begin, first), min(window.end, last)
            if day.weekday() in window.days and begin < end:
                starts, ends = midnight + timedelta(minutes=begin), midnight + timedelta(minutes=end)
                if starts.timestamp() < ends.timestamp():  # not an hour that summer time leaves out
                    yield Rate(starts, ends, season.name, period.name, period.price)


def _currency(raw: Mapping[str, Any]) -> str | None:
    named = raw.get("currency")
    return named if type(named) is str and named and _NAME.fullmatch(named) else None


def _side(raw: Mapping[str, Any], currency: str | None) -> Side | None:
    seasons = raw.get("seasons")
    charges = raw.get("energy_charges")
    left = _WINDOWS
    found: list[Season] = []
    for name, season in seasons.items() if type(seasons) is dict else ():
        first, last = (_month_and_day(season, end) for end in ("from", "to"))
        periods = _periods(season, _rates_of(charges, name), left)
        left -= sum(len(period.windows) for period in periods)
        if _NAME.fullmatch(name) and first and last and periods:
            found.append(Season(name, first, last, periods))
    return Side(currency, tuple(found)) if found else None


def _month_and_day(season: object, end: str) -> tuple[int, int] | None:
    """Read where a season begins or ends."""
    if type(season) is not dict:
        return None
    month, day = _whole(season.get(f"{end}Month"), 0, 12), _whole(season.get(f"{end}Day"), 0, 31)
    return (month, day) if month and day else None


def _rates_of(charges: object, season: str) -> Mapping[str, Any]:
    """Return the prices of a season by period, those of every season where it has none of its own."""
    for name in (season, ANY):
        charge = charges.get(name) if type(charges) is dict else None
        found = charge.get("rates") if type(charge) is dict else None
        if type(found) is dict:
            return found
    return {}


def _periods(season: object, prices: Mapping[str, Any], left: int) -> tuple[Period, ...]:
    """Read the periods of a season, as far as windows are left."""
    times = season.get("tou_periods") if type(season) is dict else None
    found: list[Period] = []
    for name, told in times.items() if type(times) is dict else ():
        entries = told.get("periods") if type(told) is dict else told
        windows = [window for entry in (entries[:left] if type(entries) is list else ()) if (window := _window(entry))]
        left -= len(windows)
        if windows and _NAME.fullmatch(name):
            price = number(prices.get(name, prices.get(ANY)))
            found.append(Period(name, price if isinstance(price, int | float) else None, tuple(windows)))
    return tuple(found)


def _window(entry: object) -> Window | None:
    if type(entry) is not dict:
        return None
    first, last = _whole(entry.get("fromDayOfWeek"), 0, 6), _whole(entry.get("toDayOfWeek"), 6, 6)
    hours = [_whole(entry.get(f"{end}Hour"), 0, 24) for end in ("from", "to")]
    minutes = [_whole(entry.get(f"{end}Minute"), 0, 60) for end in ("from", "to")]
    if first is None or last is None or None in hours or None in minutes:
        return None
    begin, end = ((hour or 0) * 60 + (minute or 0) for hour, minute in zip(hours, minutes, strict=True))
    begin %= DAY
    end = min(end, DAY) if end > begin else end + DAY
    days = tuple(range(first, last + 1)) if first <= last else (*range(first, 7), *range(last + 1))
    return Window(days, begin, end)


def _whole(raw: object, default: int, most: int) -> int | None:
    """Read a whole number from 0 to `most`; None when it is none."""
    if raw is None:
        return default
    if type(raw) is float and raw.is_integer() and 0 <= raw <= most:
        return int(raw)
    return raw if type(raw) is int and 0 <= raw <= most else None


def _raw(side: Side) -> dict[str, Json]:
    return {
        "currency": side.currency,
        "seasons": {
            season.name: {
                "fromMonth": season.first[0],
                "fromDay": season.first[1],
                "toMonth": season.last[0],
                "toDay": season.last[1],
                "tou_periods": {
                    period.name: {"periods": [_raw_window(window) for window in period.windows]}
                    for period in season.periods
                },
            }
            for season in side.seasons
        },
        "energy_charges": {
            season.name: {"rates": {period.name: period.price for period in season.periods}} for season in side.seasons
        },
    }


def _raw_window(window: Window) -> dict[str, Json]:
    end = window.end if window.end <= DAY else window.end - DAY
    return {
        "fromDayOfWeek": window.days[0],
        "toDayOfWeek": window.days[-1],
        "fromHour": window.begin // 60,
        "fromMinute": window.begin % 60,
        "toHour": end // 60,
        "toMinute": end % 60,
    }
