"""TeslaFi.com's monthly files: everything that broke other importers, and what is said of a file that is broken."""

from collections.abc import Callable, Mapping
import contextlib
import csv
from datetime import UTC, datetime
from pathlib import Path
import tracemalloc
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.history.errors import HistoryUnreadable
from custom_components.teslafi.history.teslafi_files import MOST_BYTES, MOST_FILES
from custom_components.teslafi.history.teslafi_import import Import, ZoneOf, check, prepare, samples
from custom_components.teslafi.journal.sample import KM_PER_MILE, Sample, Wake

from .exported import HEADER, OTHER_VIN, PARKED, VIN, asleep, file_of, row

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")

type Bring = Callable[..., Import]


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """Return what writes files and prepares them."""

    def bring(*files: bytes, names: tuple[str, ...] = (), zone: ZoneInfo = BERLIN) -> Import:
        paths = []
        for place, content in enumerate(files):
            name = names[place] if names else f"TeslaFi{place + 1}2022.csv"
            path = tmp_path / name
            path.write_bytes(content)
            paths.append((name, path))
        return prepare(paths, zone)

    return bring


def at(text: str) -> int:
    """Return a moment of UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def of(prepared: Import, vin: str = VIN, *, unnamed: str | None = None, zone_of: ZoneOf | None = None) -> list[Sample]:
    return list(samples(prepared, vin, unnamed=unnamed, zone_of=zone_of))


def test_a_row_is_a_sample_in_metric_units(bring: Bring) -> None:
    driving = {"shift_state": "D", "speed": "50", "power": "12", "battery_level": "79.6"}
    (sample,) = of(bring(file_of([row("2022-01-10 08:00:05", **driving)])))
    assert sample.at == at("2022-01-10 07:00:05")
    assert (sample.state, sample.driving, sample.soc) == (Wake.ONLINE, True, 79.6)
    assert sample.odometer_km == pytest.approx(1000 * KM_PER_MILE)
    assert sample.speed_kmh == pytest.approx(50 * KM_PER_MILE)
    assert (sample.software, sample.wheels, sample.inside_c) == ("2022.8.10.16", "Pinwheel18", 20.5)


@pytest.mark.parametrize(("distance", "temperature"), [("mi/hr", "F"), ("km/hr", "C"), ("", "")])
def test_what_the_car_shows_changes_no_value(bring: Bring, distance: str, temperature: str) -> None:
    """Files are in miles and °C, whatever units the car and the account show."""
    shown = {"gui_distance_units": distance, "gui_charge_rate_units": distance, "gui_temperature_units": temperature}
    (sample,) = of(bring(file_of([row("2022-01-10 08:00:05", **shown)])))
    assert sample.odometer_km == pytest.approx(1000 * KM_PER_MILE)
    assert sample.inside_c == pytest.approx(20.5)


def test_what_the_reused_columns_hold_is_not_believed(bring: Bring) -> None:
    reused = {
        "vehicle_id": "566 17 0 0 0 0 0",
        "id": "NULL",
        "color": "1 FanOnly ",
        "calendar_enabled": "169",
        "backseat_token": "Tesla",
        "backseat_token_updated_at": "IEC",
        "has_spoiler": "off",
        "dark_rims": "0",
        "rear_seat_type": "1",
    }
    (sample,) = of(bring(file_of([row("2022-01-10 08:00:00", **reused)])))
    assert sample.fast_charger_brand == "Tesla"


@pytest.mark.parametrize(
    ("written", "fast"), [("True", True), ("False", False), ("1", True), ("0", False), ("None", None), ("", None)]
)
def test_flags_of_every_year(bring: Bring, written: str, fast: bool | None) -> None:
    (sample,) = of(bring(file_of([row("2022-01-10 08:00:00", fast_charger_present=written)])))
    assert sample.fast_charger is fast


@pytest.mark.parametrize(
    ("column", "field", "values"),
    [
        ("battery_level", "soc", ("-1", "101", "255", "1e6")),
        ("usable_battery_level", "usable_soc", ("-0.5", "100.1")),
        ("charge_limit_soc", "charge_limit", ("-1", "1000")),
        ("odometer", "odometer_km", ("-1", "-0.001")),
        ("battery_range", "range_km", ("-3.2",)),
        ("speed", "speed_kmh", ("-5",)),
        ("charge_energy_added", "energy_added_kwh", ("-0.01",)),
        ("charger_power", "charger_power_kw", ("-2",)),
        ("charger_voltage", "charger_volts", ("-1",)),
        ("charger_actual_current", "charger_amps", ("-16",)),
        ("latitude", "latitude", ("-90.1", "5237000")),
        ("longitude", "longitude", ("180.1", "-489000")),
    ],
)
def test_numbers_that_cannot_be_say_nothing(bring: Bring, column: str, field: str, values: tuple[str, ...]) -> None:
    """As those of a car that is watched: a charge from -1 to 255% would be a battery of its own kind."""
    rows = [row(f"2022-01-10 08:0{minute}:00", **{column: value}) for minute, value in enumerate(values)]
    found = of(bring(file_of([*rows, row("2022-01-10 09:00:00", **{column: "1"})])))
    assert [getattr(sample, field) for sample in found[:-1]] == [None] * len(values)
    assert getattr(found[-1], field) is not None


def test_a_car_that_moves_drives(bring: Bring) -> None:
    """Also in rows that have no gear."""
    rows = [row("2022-01-10 08:00:00"), row("2022-01-10 08:01:00", speed="37"), row("2022-01-10 08:02:00", speed="0")]
    assert [sample.driving for sample in of(bring(file_of(rows)))] == [False, True, False]


@pytest.mark.parametrize("nothing", ["", " ", "None", "NULL", "<invalid>", "nan"])
def test_nothing_is_nothing(bring: Bring, nothing: str) -> None:
    said = dict.fromkeys(("charger_power", "speed", "shift_state", "charging_state", "elevation"), nothing)
    (sample,) = of(bring(file_of([row("2022-01-10 08:00:00", **said)])))
    assert (sample.charger_power_kw, sample.speed_kmh, sample.charging_state) == (None, None, None)
    assert sample.driving is False


def test_rows_without_a_vin_are_of_the_car_before(bring: Bring) -> None:
    rows = [
        asleep("2022-01-10 08:00:00"),
        row("2022-01-10 09:00:00"),
        asleep("2022-01-10 10:00:00"),
        row("2022-01-10 11:00:00", vin=OTHER_VIN),
        asleep("2022-01-10 12:00:00"),
    ]
    prepared = bring(file_of(rows))
    assert prepared.vins == (VIN, OTHER_VIN)
    assert [sample.state for sample in of(prepared)] == [Wake.ASLEEP, Wake.ONLINE, Wake.ASLEEP]
    assert [sample.state for sample in of(prepared, OTHER_VIN)] == [Wake.ONLINE, Wake.ASLEEP]


def test_a_file_without_any_vin_is_of_the_car_that_the_owner_chooses(bring: Bring) -> None:
    prepared = bring(file_of([row("2022-01-10 08:00:00", vin="")]))
    assert (prepared.vins, prepared.unnamed) == ((), True)
    assert of(prepared) == []
    assert len(of(prepared, unnamed=VIN)) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_delimiters(bring: Bring, delimiter: str, quoting: int) -> None:
    odometer = "1000,5" if delimiter != "," else "1000.5"
    content = file_of([row("2022-01-10 08:00:00", odometer=odometer)], delimiter=delimiter, quoting=quoting)
    (sample,) = of(bring(content))
    assert sample.odometer_km == pytest.approx(1000.5 * KM_PER_MILE)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(bring: Bring, encoding: str) -> None:
    rows = [row("2022-01-10 08:00:00", display_name="Blåbär"), row("2022-01-10 08:01:00", battery_level="81")]
    assert len(of(bring(file_of(rows, encoding=encoding)))) == 2


@pytest.mark.parametrize(
    "dates",
    [
        ("30/12/2022 22:32", "31/12/2022 08:00"),
        ("12/30/2022 10:32:00 PM", "12/31/2022 8:00:00 AM"),
        ("12/30/2022 22:32", "12/31/2022 8:00"),
        ("30.12.2022 22:32", "31.12.2022 08:00"),
        ("2022-12-30 22:32:00", "2022-12-31 08:00:00"),
        ("2022/12/30 22:32", "2022/12/31 8:00"),
        ("2022.12.30 22:32", "2022.12.31 8:00"),
        ("12/30/22 22:32", "12/31/22 8:00"),
        ("30-12-22 22:32", "31-12-22 8:00"),
        ("12/30/2022 10:32\u202fPM", "12/31/2022 8:00\u202fAM"),
        ("30/12/2022 10:32 p. m.", "31/12/2022 8:00 a. m."),
        ("2022-12-30 22:32:00.5", "2022-12-31 08:00:00.999"),
        ("2022-12-30T21:32:00Z", "2022-12-31T07:00:00Z"),
        ("2022-12-30 16:32:00-05:00", "2022-12-31 12:30:00+0530"),
    ],
)
def test_dates_that_a_spreadsheet_touched(bring: Bring, dates: tuple[str, str]) -> None:
    first, second = of(bring(file_of([row(date) for date in dates])))
    assert (first.at, second.at) == (at("2022-12-30 21:32"), at("2022-12-31 07:00"))


@pytest.mark.parametrize("form", ["{day}/2/2022 08:00", "2/{day}/2022 08:00"])
def test_days_below_thirteen_are_told_by_the_month_that_stays(bring: Bring, form: str) -> None:
    found = of(bring(file_of([row(form.format(day=day)) for day in range(1, 13)]), names=("TeslaFi22022.csv",)))
    assert [sample.at for sample in found] == [at(f"2022-02-{day:02} 07:00") for day in range(1, 13)]


@pytest.mark.parametrize(
    ("date", "name", "day"),
    [
        ("3/2/2022 08:00", "TeslaFi32022.csv", "2022-03-02"),
        ("2/3/2022 08:00", "TeslaFi32022.csv", "2022-03-02"),
        ("2/3/2022 08:00", "TeslaFi22022 (1).csv", "2022-02-03"),
        ("3.2.2022 08:00", "TeslaFi32022.csv", "2022-02-03"),
        ("3/2/2022 08:00", "all.csv", "2022-03-02"),
    ],
)
def test_one_day_alone_is_told_by_the_file_s_name(bring: Bring, date: str, name: str, day: str) -> None:
    """But for dots: nobody writes the month before them."""
    (sample,) = of(bring(file_of([row(date)]), names=(name,)))
    assert sample.at == at(f"{day} 07:00")


def test_the_hour_that_comes_twice_goes_by_the_order_of_rows(bring: Bring) -> None:
    times = ["01:59", "02:10", "02:50", "02:10", "02:50", "03:00"]
    rows = [row(f"2022-10-30 {time}:00", battery_level=str(80 - place)) for place, time in enumerate(times)]
    found = [sample.at for sample in of(bring(file_of(rows)))]
    expected = ["2022-10-29 23:59", "2022-10-30 00:10", "2022-10-30 00:50"]
    assert found == [at(each) for each in (*expected, "2022-10-30 01:10", "2022-10-30 01:50", "2022-10-30 02:00")]


def test_the_hour_that_never_was_loses_no_row(bring: Bring) -> None:
    times = ["01:59", "02:30", "03:31"]
    rows = [row(f"2022-03-27 {time}:00", battery_level=str(80 - place)) for place, time in enumerate(times)]
    found = [sample.at for sample in of(bring(file_of(rows)))]
    assert found == [at("2022-03-27 00:59"), at("2022-03-27 01:30"), at("2022-03-27 01:31")]


def test_the_newest_row_may_come_first(bring: Bring) -> None:
    rows = [row(f"2022-01-10 {hour:02}:00:00", battery_level=str(hour)) for hour in range(8, 14)]
    assert of(bring(file_of(reversed(rows)))) == of(bring(file_of(rows)))


def test_converted_files_have_columns_of_their_own(bring: Bring) -> None:
    header = ["Date", "state", "Odometer", "battery_level", "mine"]
    values = {"state": "online", "Odometer": "1000", "battery_level": "80", "mine": "x"}
    (sample,) = of(bring(file_of([{"Date": "2022-01-10 08:00:00", **values}], header=header)), unnamed=VIN)
    assert sample.soc == 80


def test_months_in_any_order_and_twice(bring: Bring) -> None:
    months = [file_of([row(f"2022-0{month}-10 08:00:00", odometer=str(1000 + month))]) for month in (3, 1, 2, 1)]
    found = of(bring(*months))
    assert [round((sample.odometer_km or 0) / KM_PER_MILE) for sample in found] == [1001, 1002, 1003]


def days(*numbers: int, form: str = "2022-01-{day:02} 08:00:00") -> list[dict[str, str]]:
    """Return rows of these days of January, in this order."""
    return [row(form.format(day=day), odometer=str(1000 + day)) for day in numbers]


def found_days(found: list[Sample]) -> list[int]:
    """Return the days of samples, as their odometers tell them."""
    return [round((sample.odometer_km or 0) / KM_PER_MILE) - 1000 for sample in found]


@pytest.mark.parametrize(
    "files",
    [
        ([1, 2, 6, 7], [3, 4, 5]),
        ([1, 2, 3], [1, 2, 3, 4, 5, 6, 7]),
        ([1, 3, 5, 7], [2, 4, 6]),
        ([7, 5, 3, 1], [2, 4, 6]),
        ([5, 1, 7, 3], [6, 2, 4]),
        ([1, 7], [2, 6], [3, 5], [4]),
        ([1, 2], [4, 5], [3], [6, 7]),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["2022-01-{day:02} 08:00:00", "2022-1-{day} 8:00", "{day}.1.2022 8:00"])
def test_files_fill_each_others_holes(bring: Bring, files: tuple[list[int], ...], form: str) -> None:
    """A month brought in its middle and again at its end, a year beside some of its months: no row is left out."""
    for order in (files, files[::-1]):
        assert found_days(of(bring(*(file_of(days(*each, form=form)) for each in order)))) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "form", ["2022-1-{day} 8:00", "{day}/1/2022 8:00", "1/{day}/2022 8:00 AM", "{day}.1.2022 8:00"]
)
def test_dates_go_by_numbers_and_not_by_letters(bring: Bring, form: str) -> None:
    """The 9th comes before the 10th, and days in any order are all taken."""
    assert found_days(of(bring(file_of(days(8, 9, 10, 11, 20, form=form))))) == [8, 9, 10, 11, 20]
    assert found_days(of(bring(file_of(days(20, 9, 11, 8, 10, form=form))))) == [8, 9, 10, 11, 20]


def test_what_spreadsheets_and_people_put_between_rows_is_no_row(bring: Bring) -> None:
    """Empty rows, with and without delimiters, and files that were put one after another."""
    first, second = file_of(days(1, 2, 3), encoding="utf-8"), file_of(days(4, 5), encoding="utf-8-sig")
    empty = b"," * (len(HEADER) - 1) + b"\r\n" + b'"",' * (len(HEADER) - 1) + b'""\n' + b"\n ,\n"
    prepared = bring(first + empty + second + empty)
    assert prepared.rows == 5
    assert found_days(of(prepared)) == [1, 2, 3, 4, 5]


def test_a_date_that_is_missing_is_said(bring: Bring) -> None:
    for date in ("", "  "):
        with pytest.raises(HistoryUnreadable) as error:
            of(bring(file_of([row("2022-01-10 08:00:00"), row(date), row("2022-01-10 08:02:00")])))
        assert (error.value.key, error.value.line) == ("history_date", 3)


def test_times_of_another_zone_do_not_lie_ahead(bring: Bring) -> None:
    """They would hide what the car does in the hours to come."""
    now = datetime.now(BERLIN)
    assert of(bring(file_of([row(f"{now:%Y-%m-%d %H:%M:%S}")])))
    with pytest.raises(HistoryUnreadable) as error:
        of(bring(file_of([row(f"{now:%Y-%m-%d %H:%M:%S}")]), zone=NEW_YORK))
    assert error.value.key == "history_future"


def test_an_archive_of_months(bring: Bring, tmp_path: Path) -> None:
    path = tmp_path / "months.zip"
    with ZipFile(path, "w") as archive:
        for month in (2, 1):
            archive.writestr(f"TeslaFi/TeslaFi{month}2022.csv", file_of([row(f"2022-0{month}-10 08:00:00")]))
        archive.writestr("__MACOSX/TeslaFi/._TeslaFi12022.csv", b"\0\0")
        archive.writestr("README.txt", b"hello")
    found = of(prepare([("months.zip", path)], BERLIN))
    assert [sample.at for sample in found] == [at("2022-01-10 07:00"), at("2022-02-10 07:00")]


def test_zones_are_asked_once_for_a_place(bring: Bring) -> None:
    asked: list[tuple[float, float]] = []

    def zone_of(latitude: float, longitude: float) -> str | None:
        asked.append((latitude, longitude))
        return "Home" if latitude > 52 else None

    places = ["52.37", "52.37", "51.0", "52.37"]
    rows = [row(f"2022-01-10 0{hour}:00:00", latitude=place) for hour, place in enumerate(places)]
    assert [sample.zone for sample in of(bring(file_of(rows)), zone_of=zone_of)] == ["Home", "Home", None, "Home"]
    assert len(asked) == 3


GOOD = file_of([row("2022-01-10 08:00:00"), row("2022-01-10 08:01:00")])
LINES = GOOD.split(b"\n")

BROKEN: Mapping[str, tuple[bytes, str, int, str]] = {
    "a row that is cut off": (GOOD + LINES[1][:200], "history_row", 4, ""),
    "a row that is too long": (GOOD + LINES[1] + b",1", "history_row", 4, ""),
    "no date": (file_of([row("yesterday")]), "history_date", 2, "Date"),
    "a day that is none": (
        file_of([row("2022-01-10 08:00:00"), row("2022-02-30 08:00:00"), row("2022-03-01 08:00:00")]),
        "history_date",
        3,
        "Date",
    ),
    "a word for a number": (
        file_of([row("2022-01-10 08:00:00"), row("2022-01-10 08:01:00", battery_level="high")]),
        "history_value",
        3,
        "battery_level",
    ),
    "an endless number": (file_of([row("2022-01-10 08:00:00", odometer="1e400")]), "history_value", 2, "odometer"),
    "a VIN that is none": (file_of([row("2022-01-10 08:00:00", vin="my car")]), "history_vin", 2, "vin"),
    "another table": (b"name,age\nx,1\n", "history_column_missing", 1, "date"),
    "the sign-in page": (b"<!doctype html><html>", "history_web_page", 1, ""),
    "no rows": (file_of([]), "history_empty", 0, ""),
    "nothing": (b"", "history_column_missing", 1, "date"),
    "an unclosed quote": (GOOD + b'"' + b"x" * 200_000, "history_row", 4, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_says_where(bring: Bring, name: str) -> None:
    content, key, line, column = BROKEN[name]
    with pytest.raises(HistoryUnreadable) as caught:
        check(bring(content))
    error = caught.value
    assert (error.key, error.line, error.column) == (key, line, column)
    assert error.file == "TeslaFi12022.csv"
    assert "my car" not in str(error)


def test_more_than_anybody_has_is_refused(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.teslafi.history.teslafi_files.MOST_BYTES", len(GOOD))
    assert len(GOOD) < MOST_BYTES
    with pytest.raises(HistoryUnreadable, match="history_too_large"):
        bring(GOOD, GOOD)


def test_more_files_than_anybody_has_are_refused(tmp_path: Path) -> None:
    """An archive of ten thousand would be read for an hour."""
    path = tmp_path / "months.zip"
    with ZipFile(path, "w") as archive:
        for number in range(MOST_FILES + 1):
            archive.writestr(f"{number}.csv", "Date,state,odometer\n")
    with pytest.raises(HistoryUnreadable, match="history_too_large"):
        prepare([("months.zip", path)], BERLIN)


TABLES = st.lists(st.lists(st.text(max_size=8), max_size=6), max_size=6).map(lambda table: str(table).encode())


@given(st.binary(max_size=400) | TABLES)
def test_whatever_a_file_holds_it_is_samples_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("odd") / "odd.csv"
    for data in (content, ",".join(HEADER).encode() + b"\n" + content):
        path.write_bytes(data)
        with contextlib.suppress(HistoryUnreadable):
            check(prepare([("odd.csv", path)], NEW_YORK), unnamed=VIN)


def test_parked_says_where_it_stands() -> None:
    assert set(PARKED) <= set(HEADER)


def zipped(content: bytes, path: Path) -> bytes:
    """Return an archive with one monthly file."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("TeslaFi12022.csv", content)
    return path.read_bytes()


def changed(archive: bytes, at: int, to: bytes) -> bytes:
    """Return an archive with other bytes at an offset of its file's header, in both places where that is written."""
    central = archive.index(b"PK\x01\x02")
    there = central + at + 2
    archive = archive[:at] + to + archive[at + len(to) :]
    return archive[:there] + to + archive[there + len(to) :]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda archive: changed(archive, 6, b"\x01"), id="encrypted"),
        pytest.param(lambda archive: changed(archive, 8, b"\x63"), id="packed in an unknown way"),
        pytest.param(lambda archive: archive[:60] + b"\xff" * 30 + archive[90:], id="damaged"),
        pytest.param(lambda archive: changed(archive, 14, b"\0\0\0\0"), id="another checksum"),
    ],
)
def test_an_odd_archive_is_said(bring: Bring, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    archive = zipped(file_of([row(f"2022-01-10 08:{minute:02}:00") for minute in range(60)]), tmp_path / "made.zip")
    with pytest.raises(HistoryUnreadable) as error:
        bring(spoil(archive), names=("years.zip",))
    assert error.value.key == "history_archive_broken"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(file_of([row("2022-01-10 08:00:00")], encoding="utf-16")[:-1], id="half a letter"),
        pytest.param(b"\xff\xfe\x00\xd8" * 40, id="halves of surrogates"),
        pytest.param(b"\0" * 1000, id="NUL"),
        pytest.param(b"x" * 5_000_000, id="one long line"),
        pytest.param(b"Date,state,odometer\n" + b"x" * 5_000_000, id="a long line"),
        pytest.param(b"Date,state,odometer," + b"y" * 140_000 + b"\n", id="a long name"),
        pytest.param(b'Date,state,odometer\n"' + b"x\n" * 200_000, id="a quote without end"),
    ],
)
def test_any_bytes_are_a_sentence(bring: Bring, content: bytes) -> None:
    with pytest.raises(HistoryUnreadable):
        of(bring(content))


NEVER = [
    "0000-00-00 00:00:00",
    "0001-01-01 00:00:00",
    "1899-12-31 00:00:00",
    "1970-01-01 00:00:00",
    "2099-01-01 00:00:00",
    "9999-12-31 23:59:59",
    "2022-01-10 08:-1:00",
    "2022-01-10 08:60:00",
    "2022-01-10 08:00:99",
]


KEYS = ("history_date", "history_future")


@pytest.mark.parametrize("never", NEVER)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
def test_a_moment_that_cannot_be_is_said(bring: Bring, never: str, place: int, zone: ZoneInfo) -> None:
    """A row of the far future would have hidden all rows after it, and what the car does from now on."""
    rows = [row("2022-01-10 08:00:00"), row("2022-01-10 08:01:00")]
    rows.insert(place, row(never))
    with pytest.raises(HistoryUnreadable) as error:
        of(bring(file_of(rows), zone=zone))
    keys = {"history_future", "history_date"} if never.startswith("9999") else {KEYS[never.startswith("2099")]}
    assert error.value.key in keys
    assert (error.value.line, error.value.found) == (place + 2, never)


def test_a_small_archive_does_not_fill_the_memory(bring: Bring, tmp_path: Path) -> None:
    """400,000 rows of a few bytes: what is remembered of them does not grow with them."""
    bomb = b"Date,state,odometer\n" + b"2022-01-10 08:00:00,online,1\n" * 400_000
    archive = zipped(bomb, tmp_path / "made.zip")
    assert len(archive) < len(bomb) / 100
    tracemalloc.start()
    try:
        bring(archive, names=("years.zip",))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024**2


@given(st.permutations(range(24)))
def test_rows_in_any_order_are_all_taken(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    """A file that was sorted by something else than its time."""
    path = tmp_path_factory.mktemp("mixed") / "TeslaFi12022.csv"
    path.write_bytes(file_of(row(f"2022-01-{1 + hour // 3:02} {hour % 3 * 7:02}:00:00") for hour in order))
    found = [sample.at for sample in of(prepare([(path.name, path)], BERLIN))]
    assert found == sorted(found)
    assert len(found) == 24
