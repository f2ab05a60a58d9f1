"""Places outside of zones: named by what somebody told, near by alone, gone with the car, absent where none is kept."""

from collections.abc import Sequence
from dataclasses import fields, replace
from math import cos, radians
from pathlib import Path
import sqlite3

from hypothesis import given, strategies as st
import pytest

from custom_components.teslafi.journal.addresses import METERS, NEAR_M, POLE, Addresses, place_name
from custom_components.teslafi.journal.file import MIGRATIONS
from custom_components.teslafi.journal.privacy import Positions, veiled
from custom_components.teslafi.journal.sample import Position, Sample
from custom_components.teslafi.journal.store import Store

from .conftest import VIN
from .lives import World

POINT = st.tuples(st.floats(-89.9, 89.9), st.floats(-179.9, 179.9))


@given(POINT, st.floats(-3 * NEAR_M, 3 * NEAR_M), st.floats(-3 * NEAR_M, 3 * NEAR_M))
def test_an_address_holds_for_a_hundred_meters(at: Position, north: float, east: float) -> None:
    width = max(cos(radians(at[0])), POLE)
    moved = at[0] + north / METERS, at[1] + east / METERS / width
    meters = (north**2 + east**2) ** 0.5
    told = Addresses([(moved, "Mill")]).at(at)
    if abs(meters - NEAR_M) > 1:
        assert told == ("Mill" if meters < NEAR_M else None)


def test_the_nearest_address_counts() -> None:
    known = Addresses([((52.0, 13.0), "Mill"), ((52.0005, 13.0), "Bakery")])
    assert (known.at((52.0001, 13.0)), known.at((52.0004, 13.0)), known.at((53.0, 13.0))) == ("Mill", "Bakery", None)
    assert known.at(None) is None
    assert (place_name("Home", (1.0, 2.0)), place_name(None, (1.0, -2.00049)), place_name("", None)) == (
        "Home",
        "1.000, -2.000",
        None,
    )


PLACES = st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(lambda at: (at[0] / 500, 10 + at[1] / 500))


@given(st.lists(st.tuples(PLACES, st.sampled_from(["Mill", "Bakery", "School"])), max_size=30), PLACES)
def test_what_is_noted_one_by_one_is_known_as_the_whole(told: list[tuple[Position, str]], at: Position) -> None:
    """The last name of a place counts."""
    known = Addresses()
    for position, address in told:
        known.note(position, address)
    assert known.at(at) == Addresses(dict(told).items()).at(at) == dict(told).get(at)


@pytest.fixture(scope="module")
def life() -> Sequence[Sample]:
    return [replace(one, zone="" if one.position else None) for one in World("commuter", seed=4, days=4).samples()]


def test_sessions_have_the_address_of_their_places(store: Store, life: Sequence[Sample]) -> None:
    store.record(VIN, life)
    store.record(VIN, (), flush=True)
    drive = store.drives(VIN)[0]
    assert (drive.start_place, drive.end_place) == (None, None)
    start, end = drive.start_position, drive.end_position
    assert start is not None
    assert end is not None
    store.note_addresses(VIN, [(start, " Mill "), (end, "Bakery"), (end, "Bakery"), (end, "")])
    drives = store.drives(VIN)
    assert (drives[0].start_place, drives[0].end_place) == ("Mill", "Bakery")
    assert store.last_drive(VIN) == drives[-1]
    assert {one.place for one in store.parkings(VIN)} <= {"Mill", "Bakery", None}
    assert [one.place for one in store.parkings(VIN)].count("Bakery") > 0
    store.rebuild(VIN)
    assert store.drives(VIN) == drives
    store.delete(VIN)
    assert b"Bakery" not in store.path.read_bytes()


def test_a_file_from_before_addresses_keeps_everything(path: Path, life: Sequence[Sample]) -> None:
    old = Store(path, MIGRATIONS[:1])
    old.open()
    old.record(VIN, life)
    old.abandon()
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT COUNT(*) FROM drives").fetchone()
    new = Store(path)
    new.open()
    assert (len(new.drives(VIN)),) == rows
    assert rows[0] > 0
    new.close()


WITH_PLACE = st.builds(
    Sample,
    at=st.integers(1, 9),
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    zone=st.none() | st.sampled_from(["", "Home"]),
    address=st.none() | st.just("Mill"),
    elevation_m=st.none() | st.floats(0, 100),
    odometer_km=st.just(5.0),
)


@given(WITH_PLACE, st.none() | st.just((52.0, 13.0)))
def test_no_more_of_a_place_is_kept_than_the_owner_wants(sample: Sample, center: Position | None) -> None:
    where = ("latitude", "longitude", "zone", "address", "elevation_m")
    none, zones = veiled(sample, Positions.NONE, center), veiled(sample, Positions.ZONES, center)
    assert [getattr(none, name) for name in where] == [None] * len(where)
    assert zones.position in (None, center)
    assert (zones.latitude is None, zones.address, zones.elevation_m) == (zones.longitude is None, None, None)
    for told in (none, zones):
        rest = [one.name for one in fields(Sample) if one.name not in where]
        assert [getattr(told, name) for name in rest] == [getattr(sample, name) for name in rest]
    assert veiled(sample, Positions.EXACT, center) == sample
