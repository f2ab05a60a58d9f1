"""Local times of files: each moment comes back, whatever the clocks of a zone did, by the order of the rows alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from custom_components.teslafi.history.local_time import Clock, parse_iso
from custom_components.teslafi.history.teslafi_import import prepare, samples

from .exported import VIN, file_of, row

ZONES = {
    "Europe/Berlin": "an hour at 2:00",
    "America/St_Johns": "an hour at 0:01, until 2011: back into the day before",
    "America/Sao_Paulo": "an hour at midnight, until 2019: back into the day before",
    "Australia/Lord_Howe": "half an hour",
    "Antarctica/Troll": "two hours",
    "America/Caracas": "half an hour forward, in 2016, for good",
    "Asia/Pyongyang": "half an hour back in 2015 and forward in 2018, for good",
    "Europe/Moscow": "an hour back in 2014, for good",
    "Pacific/Apia": "a day left out at the end of 2011",
    "Asia/Kathmandu": "never, and a quarter of an hour apart",
    "Africa/Casablanca": "four times a year, around Ramadan",
}
SPAN = timedelta(hours=4)
DAY = timedelta(days=1)


def transitions(zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the moments at which a clock was set, to the minute, of the years of cars."""
    day, end = datetime(2009, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    while day < end:
        low, high = day, day + DAY
        before, after = (each.astimezone(zone).utcoffset() for each in (low, high))
        while before != after and high - low > timedelta(minutes=1):
            middle = low + (high - low) / 2
            if middle.astimezone(zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        if before != after:
            yield high
        day += DAY


def texts(zone: ZoneInfo, moments: list[datetime]) -> list[str]:
    return [f"{each.astimezone(zone):%Y-%m-%d %H:%M:%S}" for each in moments]


@pytest.mark.parametrize("name", ZONES)
def test_a_clock_that_is_set_moves_no_row(name: str) -> None:
    zone = ZoneInfo(name)
    found = list(transitions(zone))
    assert bool(found) is (name != "Asia/Kathmandu")
    for moment in found or [datetime(2020, 3, 1, tzinfo=UTC)]:
        moments = [moment - SPAN + timedelta(minutes=7 * place, seconds=place % 60) for place in range(68)]
        clock = Clock(zone, parse_iso)
        assert [clock.moment(text) for text in texts(zone, moments)] == [int(each.timestamp()) for each in moments]


@pytest.mark.parametrize(
    ("name", "around"),
    [
        ("Australia/Lord_Howe", "2025-04-05 15:00"),
        ("Antarctica/Troll", "2025-10-26 01:00"),
        ("America/St_Johns", "2010-11-07 02:31"),
        ("America/Sao_Paulo", "2018-02-18 02:00"),
    ],
)
def test_a_whole_file_keeps_its_order(tmp_path: Path, name: str, around: str) -> None:
    """Going back by what a clock is set is not taken for rows in another order, though a gap goes the other way."""
    zone, middle = ZoneInfo(name), datetime.fromisoformat(around).replace(tzinfo=UTC)
    moments = [middle + timedelta(minutes=20 * place) for place in range(-90, 90) if not -60 < place < -40]
    rows = [row(text, battery_level=str(place % 100)) for place, text in enumerate(texts(zone, moments))]
    path = tmp_path / "TeslaFi102025.csv"
    path.write_bytes(file_of(rows))
    prepared = prepare([(path.name, path)], zone)
    assert [sample.at for sample in samples(prepared, VIN)] == [int(each.timestamp()) for each in moments]
