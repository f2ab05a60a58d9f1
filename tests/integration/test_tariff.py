"""Tariffs of energy sites: whatever Tesla sends, across seasons, weeks, summer time; against the library's resolver."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
import json
from typing import Any, Final
from zoneinfo import ZoneInfo

from homeassistant.helpers.json import json_bytes
from hypothesis import given, settings, strategies as st
import pytest
from tesla_fleet_api.tariff import get_tariff_periods

from custom_components.teslafi.tesla.tariff import SPAN, Rate, Side, decode_tariff, encode_tariff, rates
from teslafi_simulators.tesla.energy.site import TARIFF
from tests.integration.test_decode import anything, scalars

ZONE: Final = ZoneInfo("America/Los_Angeles")


def side_of(raw: object, *, sell: bool = False) -> Side:
    """Return a side of a tariff that has it."""
    tariff = decode_tariff(raw)
    assert tariff is not None
    side = tariff.sell if sell else tariff.buy
    assert side is not None
    return side


def of_day(side: Side, day: str) -> list[tuple[str, str, str, float | None]]:
    """Return what begins on a day: from, to, name, price."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZONE)
    found = sorted(rates(side, begin, begin + timedelta(days=1), ZONE), key=lambda rate: rate.begin)
    return [(f"{one.begin:%d %H:%M}", f"{one.end:%d %H:%M}", one.period, one.price) for one in found]


def test_a_weekday_and_a_weekend_in_summer() -> None:
    assert of_day(side_of(TARIFF), "2026-07-15") == [
        ("14 21:00", "15 16:00", "OFF_PEAK", 0.21),
        ("15 16:00", "15 21:00", "ON_PEAK", 0.58),
        ("15 21:00", "16 16:00", "OFF_PEAK", 0.21),
    ]
    assert of_day(side_of(TARIFF), "2026-07-18")[1] == ("18 16:00", "18 21:00", "OFF_PEAK", 0.21)


def test_seasons_change_at_midnight() -> None:
    """Of a night that lies in both, each half has its own price."""
    assert of_day(side_of(TARIFF), "2026-09-30")[2:] == [("30 21:00", "01 00:00", "OFF_PEAK", 0.21)]
    assert of_day(side_of(TARIFF), "2026-10-01")[0] == ("01 00:00", "01 16:00", "OFF_PEAK", 0.19)


def test_a_season_goes_over_the_new_year() -> None:
    assert {price for *_, price in of_day(side_of(TARIFF), "2026-12-31")} == {0.44, 0.19}
    assert {price for *_, price in of_day(side_of(TARIFF), "2027-01-01")} == {0.44, 0.19}


def test_what_is_sold_has_one_price() -> None:
    """The whole day, each day of the year."""
    side = side_of(TARIFF, sell=True)
    assert side.currency == "USD"
    assert of_day(side, "2026-02-28") == [("28 00:00", "01 00:00", "ALL", 0.08)]


def test_without_a_tariff_there_is_none() -> None:
    raw: object
    for raw in (None, {}, {"seasons": {}}, {"seasons": {"Summer": {}}}, [], "x"):
        assert decode_tariff(raw) is None


def test_days_when_clocks_change_have_23_and_25_hours() -> None:
    side = side_of(TARIFF, sell=True)
    for day, hours in (("2026-03-08", 23), ("2026-11-01", 25)):
        begin = datetime.fromisoformat(day).replace(tzinfo=ZONE)
        (rate,) = rates(side, begin, begin + timedelta(hours=20), ZONE)
        assert (rate.end.astimezone(UTC) - rate.begin.astimezone(UTC)) == timedelta(hours=hours)


def covering(side: Side, moment: datetime) -> list[Rate]:
    """Return what holds at a moment."""
    return [one for one in rates(side, moment, moment + timedelta(minutes=1), ZONE) if one.begin <= moment < one.end]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 4 * 366 * 24 * 12))
def test_the_library_agrees(number: int) -> None:
    """At any moment of four years one price holds on each side, the one that tesla-fleet-api resolves."""
    moment = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=5 * number)).astimezone(ZONE)
    theirs = get_tariff_periods(TARIFF, moment)
    assert theirs is not None
    (bought,), (sold,) = (covering(side_of(TARIFF, sell=sell), moment) for sell in (False, True))
    assert (bought.price, bought.period, bought.season) == (
        theirs.buy.price,
        theirs.buy.period_name,
        theirs.buy.season_name,
    )
    assert sold.price == theirs.sell.price


names = st.sampled_from(
    [
        *("seasons", "energy_charges", "sell_tariff", "currency", "rates", "tou_periods", "periods", "ALL", "Summer"),
        *("fromMonth", "fromDay", "toMonth", "toDay", "fromHour", "toHour", "fromMinute", "toMinute"),
        *("fromDayOfWeek", "toDayOfWeek", "ON_PEAK"),
    ]
)
resembling = st.recursive(
    scalars | st.integers(-1, 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=40,
)


def places(raw: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401
    """Name every place of a tariff."""
    inner = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    return [(*path, key) for key, _ in inner] + [one for key, value in inner for one in places(value, (*path, key))]


PLACES: Final = places(TARIFF)


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """Return the simulator's tariff with a few things wrong."""
    raw: Any = deepcopy(TARIFF)
    for _ in range(draw(st.integers(1, 3))):
        *path, key = draw(st.sampled_from(PLACES))
        inner = raw
        try:
            for step in path:
                inner = inner[step]
            inner[key] = draw(anything | st.integers(-1, 32))
        except KeyError, IndexError, TypeError:
            continue
    return raw  # type: ignore[no-any-return]


@settings(deadline=None, max_examples=300)
@given(anything | resembling | changed(), st.datetimes(timezones=st.just(UTC)), st.timedeltas())
def test_no_tariff_raises(raw: object, begin: datetime, span: timedelta) -> None:
    """Whatever is sent, asked for any span: what is told has an order, and can be kept."""
    tariff = decode_tariff(raw)
    if tariff is None:
        return
    assert decode_tariff(json.loads(json_bytes(encode_tariff(tariff)))) == tariff
    try:
        end = begin + span
    except OverflowError:
        return
    for side in (tariff.buy, tariff.sell):
        for rate in rates(side, begin, end, ZONE) if side else ():
            assert rate.begin.timestamp() < rate.end.timestamp()
            assert rate.end - rate.begin <= timedelta(days=1)


def test_a_hundred_years_are_cut() -> None:
    """Home Assistant's action takes any span; nobody waits for it."""
    found = list(
        rates(side_of(TARIFF, sell=True), datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC), ZONE)
    )
    assert len(found) <= SPAN.days + 2


def test_a_week_of_seconds_is_cut() -> None:
    """No list of windows holds anybody up."""
    raw = deepcopy(TARIFF)
    raw["seasons"]["Summer"]["tou_periods"]["ON_PEAK"]["periods"] *= 10**5
    side = side_of(raw)
    assert sum(len(period.windows) for season in side.seasons for period in season.periods) <= 201


@pytest.mark.parametrize("entry", [{"toHour": 24}, {"toHour": 23, "toMinute": 60}, {}, {"fromHour": 24, "toHour": 24}])
def test_midnight_is_written_in_many_ways(entry: dict[str, int]) -> None:
    raw = {"seasons": {"A": {"fromMonth": 1, "fromDay": 1, "toMonth": 12, "toDay": 31, "tou_periods": {"P": [entry]}}}}
    assert of_day(side_of(raw), "2026-05-05") == [("05 00:00", "06 00:00", "P", None)]
