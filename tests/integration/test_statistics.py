"""Sums of Home Assistant's recorder: real statistics in a real SQLite, whatever order Tesla's readings come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import random
from typing import Any, Final, Self

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (  # type: ignore[import-untyped]
    async_wait_recording_done,
    do_adhoc_statistics,
)

from custom_components.teslafi.meters import (
    Charge,
    ChargesMeter,
    ChargeSomewhere,
    DayMeter,
    HomeMeter,
    Meter,
    OdometerMeter,
    SessionMeter,
)
from custom_components.teslafi.polling.ledger import Ledger, month_of
from custom_components.teslafi.polling.month import BillingMonth
from custom_components.teslafi.tesla.energy_site import decode_today
from custom_components.teslafi.tesla.requests import PRICES_USD, Category, Currency, cost_of
from tests.integration.recorded import MODEL_3, SITE_ID, VIN, RecordedReader, begin, look_again, recorded, watch

START: Final = datetime(2026, 11, 16, 12, tzinfo=UTC)
STEP: Final = timedelta(minutes=5)


@pytest.fixture
def recorder_db_url(tmp_path: Path) -> str:
    """Return the address of a real file."""
    return f"sqlite:///{tmp_path}/recorder.db"


@pytest.fixture
def hass_begins_recording(recorder_mock: object, freezer: FrozenDateTimeFactory) -> None:
    """Record from a round moment on."""
    freezer.move_to(START)


async def sums(hass: HomeAssistant, steps: int) -> dict[str, float]:
    """Compile the statistics of so many steps, and return the last sum of each."""
    for step in range(steps):
        do_adhoc_statistics(hass, start=START + step * STEP)
    await async_wait_recording_done(hass)
    found = await get_instance(hass).async_add_executor_job(
        statistics_during_period, hass, START, None, None, "5minute", None, {"sum"}
    )
    return {name: float(rows[-1]["sum"] or 0) for name, rows in found.items()}


async def play(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, steps: Sequence[Callable[[], Any]]
) -> dict[str, float]:
    """Do one thing in each five minutes; return the sums after them."""
    for number, step in enumerate(steps):
        freezer.move_to(START + number * STEP + timedelta(seconds=10))
        if (coroutine := step()) is not None:
            await coroutine
        await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    freezer.move_to(START + len(steps) * STEP + timedelta(seconds=10))
    return await sums(hass, len(steps))


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_a_car_that_corrects_itself_counts_once(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """The energy of a session goes down and up, a restart comes between, a second session follows; odometers slip."""
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    charge, vehicle = reader.cars[VIN]["charge_state"], reader.cars[VIN]["vehicle_state"]
    charge.update(charging_state="Charging", charge_energy_added=0.0)
    vehicle["odometer"] = 45000.0
    entry = await watch(hass, reader)

    def tell(added: float, odometer: float, state: str = "Charging") -> Callable[[], Any]:
        async def step() -> None:
            charge.update(charging_state=state, charge_energy_added=added)
            vehicle["odometer"] = odometer
            await look_again(hass, entry)

        return step

    async def restart() -> None:
        await hass.config_entries.async_unload(entry.entry_id)
        await begin(hass, entry, reader)

    found = await play(
        hass,
        freezer,
        [
            tell(0.0, 45000.5),
            tell(1.0, 0),
            tell(0.6, 45001.0),
            restart,
            tell(1.2, 44990.0),
            tell(1.2, 45001.0, "Disconnected"),
            tell(0.0, 45030.0),
            restart,
            tell(5.0, 45030.0),
            tell(4.5, 45030.0),
        ],
    )
    assert found["sensor.test_charge_energy_added"] == pytest.approx(1.2 + 4.5)
    assert found["sensor.test_odometer"] == pytest.approx(30 * 1.609344, abs=0.01)


def stretch(hour: int, energy: float, day: int = 16) -> dict[str, Any]:
    """Return an hour of a history in Brisbane."""
    return {"timestamp": f"2026-11-{day}T{hour:02}:00:00+10:00", "grid_energy_imported": energy}


@pytest.mark.usefixtures("hass_begins_recording")
async def test_a_day_is_counted_once_however_it_is_written(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Filled in late, newest first, without moments, corrected, of yesterday, empty; a channel comes and goes."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    reader.today = {"time_series": [stretch(0, 0)]}
    entry = await watch(hass, reader)

    def tell(*stretches: dict[str, Any]) -> Callable[[], Any]:
        async def step() -> None:
            reader.today = {"time_series": list(stretches)}
            await look_again(hass, entry)

        return step

    undated = {"grid_energy_imported": 500}
    found = await play(
        hass,
        freezer,
        [
            tell(stretch(8, 1000)),
            tell(stretch(8, 1000), stretch(0, 500)),
            tell(stretch(9, 200), stretch(8, 1000), stretch(0, 500)),
            tell(undated, stretch(8, 900), stretch(9, 200)),
            tell(undated),
            tell(),
            tell(stretch(0, 400), stretch(8, 900), stretch(9, 200)),
            tell({"timestamp": "2026-11-16T00:00:00+10:00", "solar_energy_exported": 1}),
            tell(stretch(0, 400), stretch(8, 900), stretch(9, 200)),
            tell(stretch(0, 100, 17)),
            tell(stretch(0, 400), stretch(8, 900), stretch(9, 200)),
            tell(stretch(0, 100, 17), stretch(1, 50, 17)),
        ],
    )
    assert found["sensor.home_grid_imported_today"] == pytest.approx(1.5 + 0.15)


CHARGING, PLUGGED, UNPLUGGED = "Charging", "Stopped", "Disconnected"


def charge_story(dice: random.Random) -> tuple[list[Charge], float]:
    """Return looks at a car over a few sessions that it corrects as it goes, and the energy of all."""
    looks: list[Charge] = []
    total, odometer, at = 0.0, 1000.0, START

    def look(value: float, state: str) -> None:
        nonlocal at
        for _ in range(dice.choice((1, 1, 2))):
            looks.append(Charge(value, state, odometer, at))
            at += timedelta(minutes=dice.choice((1, 5)))

    look(0.0, UNPLUGGED)
    for _ in range(dice.randint(1, 3)):
        added = 0.0
        for _ in range(dice.randint(1, 4)):
            added = max(round(added + dice.uniform(-1.0, 3.0), 2), 0.01)
            look(added, CHARGING)
        if dice.random() < 0.3:
            look(added, PLUGGED)
        total += added
        look(added, UNPLUGGED)
        if dice.random() < 0.7:
            odometer += 20
        if dice.random() < 0.3:
            look(0.0, UNPLUGGED)
    return looks, total


def home_story(dice: random.Random) -> tuple[list[ChargeSomewhere], float]:
    """Return looks at a car that charges at home, elsewhere and fast, and the energy of home alone.

    Home is known by the place, or where the car does not tell it, by the charger; some sessions are seen late or after
    they ended. No two are first seen with the same energy: nothing that is read would tell them apart.
    """
    looks: list[ChargeSomewhere] = []
    tells = dice.random() < 0.7
    total, odometer, at = 0.0, 1000.0, START

    def look(value: float, state: str, *, at_home: bool, fast: bool = False) -> None:
        nonlocal at
        charge = Charge(value, state, odometer, at)
        looks.append(ChargeSomewhere(charge, at_home if tells else None, fast))
        at += timedelta(minutes=5)

    look(0.0, UNPLUGGED, at_home=True)
    for _ in range(dice.randint(2, 4)):
        fast = dice.random() < 0.4
        at_home = not fast and (not tells or dice.random() < 0.6)
        odometer += 20
        added = 0.0
        for _ in range(dice.randint(1, 4)):
            added = max(round(added + dice.uniform(-1.0, 5.0), 2), 0.01)
            added += 0.01 if added == looks[-1].charge.value else 0.0
            look(added, CHARGING, at_home=at_home, fast=fast)
        if dice.random() < 0.6:
            look(added, UNPLUGGED, at_home=at_home)
        total += added if at_home else 0.0
        if dice.random() < 0.3:
            added = 0.0
            look(added, UNPLUGGED, at_home=at_home)
        odometer += 20
        look(added if dice.random() < 0.8 else 0.0, UNPLUGGED, at_home=dice.random() < 0.5)
    return looks, total


def day_story(dice: random.Random) -> tuple[list[tuple[float | None, datetime | None]], float]:
    """Return answers about two days, in any order within each, some about yesterday; and the energy of both."""
    readings: list[tuple[float | None, datetime | None]] = []
    total = 0.0
    yesterday: dict[str, Any] = {}
    for day in (16, 17):
        known: dict[int, float] = {}
        for _ in range(dice.randint(2, 5)):
            known[dice.randint(0, 23)] = float(dice.randint(0, 900))
            stretches = [stretch(hour, energy, day) for hour, energy in known.items()]
            dice.shuffle(stretches)
            if dice.random() < 0.3:
                stretches[0].pop("timestamp")
            answers = [{"time_series": stretches}]
            if yesterday and dice.random() < 0.3:
                answers.append(yesterday)
            if dice.random() < 0.2:
                answers.append({"time_series": []})
            for answer in answers:
                today = decode_today(answer).snapshot
                readings.append((today.grid_energy_imported, today.period_start))
        final = {"time_series": [stretch(hour, energy, day) for hour, energy in known.items()]}
        today = decode_today(final).snapshot
        readings.append((today.grid_energy_imported, today.period_start))
        yesterday = final
        total += sum(known.values())
    return readings, total


def odometer_story(dice: random.Random) -> tuple[list[tuple[float | None, datetime | None]], float]:
    """Return readings of a drive with slips to nothing, 0 and less; and its length."""
    readings: list[tuple[float | None, datetime | None]] = []
    odometer = 1000.0
    for number in range(10):
        readings.append((odometer, START + number * STEP))
        if dice.random() < 0.4:
            readings.append((dice.choice((None, 0.0, odometer - 5, 1.0)), START + number * STEP))
        odometer += dice.randint(0, 9)
    return [*readings, (odometer, START + 11 * STEP)], odometer - 1000


@dataclass(frozen=True, slots=True)
class Told:
    """What is shown as it is told."""

    value: float | None = None
    began: datetime | None = None

    def take(self, reading: tuple[float, datetime]) -> Self:
        """Show it."""
        return replace(self, value=reading[0], began=reading[1])


def month_story(dice: random.Random) -> tuple[list[tuple[float, datetime]], float]:
    """Return what a ledger shows of two months with wrong clocks and restarts; and what was spent meanwhile, in looks.

    The clock turns to the next month in the middle, whether Tesla answers or not. At times it is wrong for some
    minutes: back or ahead by months, in which requests may be made as well, and Home Assistant starts anew.
    """
    shown: list[tuple[float, datetime]] = []
    ledger, month, steady, spent = Ledger(), BillingMonth("2026-11"), 0.0, 0
    wall = datetime(2026, 11, 30, 21, tzinfo=UTC).timestamp()

    def pass_time(seconds: float, error: float = 0.0) -> None:
        nonlocal ledger, month, steady, wall, spent
        steady, wall = steady + seconds, wall + seconds
        if dice.random() < 0.7:
            ledger = ledger.counted(Category.DATA, wall + error)
            spent += not error
        month = month.told(month_of(wall + error), steady)
        shown.append((cost_of(ledger.page(month.month), Currency.USD) / PRICES_USD[Category.DATA], month.began))

    while wall < datetime(2026, 12, 1, 3, tzinfo=UTC).timestamp():
        pass_time(dice.choice((1200, 3600)))
        if dice.random() < 0.3:
            error = dice.choice((-40, -400, 40, 400)) * 86_400.0
            for _ in range(dice.randint(1, 3)):
                pass_time(300, error)
            if dice.random() < 0.5:
                steady, month = dice.uniform(0, 100), BillingMonth(month.month)
                ledger = Ledger.from_json(ledger.to_json())
    for _ in range(3):
        pass_time(3600)
    return shown, spent


def wall_story(dice: random.Random) -> tuple[list[Any], float]:
    """Return histories of charges at wall connectors: they grow, are corrected, come late, leave; and their energy."""
    known = {number: float(dice.randint(0, 9000)) for number in range(dice.randint(0, 5))}
    readings: list[Any] = [(sorted(known.items()), START)]
    counted: dict[int, float] = {}
    for number in range(10, 18):
        for begun in (number, dice.randint(10, number)):
            known[begun] = counted[begun] = float(dice.randint(0, 9000))
        listed = [entry for entry in sorted(known.items()) if dice.random() < 0.8]
        readings.append((listed, START + number * STEP))
    return [*readings, (sorted(known.items()), START + 20 * STEP)], sum(counted.values())


STORIES: Final[tuple[tuple[str, Callable[[], Meter], Callable[[random.Random], tuple[list[Any], float]]], ...]] = (
    ("charge", SessionMeter, charge_story),
    ("home", HomeMeter, home_story),
    ("day", DayMeter, day_story),
    ("odometer", OdometerMeter, odometer_story),
    ("wall", ChargesMeter, wall_story),
    ("month", Told, month_story),
)

UNITS: Final = {
    "wall": ("energy", "Wh"),
    "charge": ("energy", "Wh"),
    "home": ("energy", "Wh"),
    "day": ("energy", "Wh"),
    "odometer": ("distance", "mi"),
    "month": ("monetary", "USD"),
}
"""Device class and unit by kind of story."""


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=150)
def test_home_energy_is_what_was_charged_at_home_over_any_restart(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a story
    looks, total = home_story(dice)
    meter = HomeMeter()
    for look in looks:
        meter = meter.take(look)
        if dice.random() < 0.3:
            meter = HomeMeter.from_json(json.loads(json.dumps(meter.to_json())))
        if dice.random() < 0.3:
            assert meter.take(look).value == meter.value
    assert meter.value == pytest.approx(total, abs=0.01)


@pytest.mark.parametrize(
    "kept", [None, [], "x", {"value": "5"}, {"value": -1}, {"value": 1e999}, {"value": True, "session": 3, "fast": 1}]
)
def test_a_home_meter_that_was_kept_by_somebody_else_begins_anew(kept: object) -> None:
    meter = HomeMeter.from_json(kept).take(ChargeSomewhere(Charge(3.0, CHARGING, 1.0, START), True, False))
    assert meter.value is not None
    assert 0 <= meter.value <= 1


@pytest.mark.usefixtures("hass_begins_recording")
async def test_charging_at_home_adds_up_over_a_restart_and_superchargers_do_not(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    reader = RecordedReader({VIN: recorded(MODEL_3) | {"vin": VIN}}, {})
    car = reader.cars[VIN]
    charge, vehicle, drive = car["charge_state"], car["vehicle_state"], car["drive_state"]
    charge.update(charging_state="Disconnected", charge_energy_added=3.0)
    vehicle["odometer"] = 45000.0
    entry = await watch(hass, reader)

    def tell(added: float, state: str = "Charging", *, miles: float = 0, home: bool = True, fast: bool = False) -> Any:  # noqa: ANN401
        async def step() -> None:
            charge.update(charging_state=state, charge_energy_added=added, fast_charger_present=fast)
            vehicle["odometer"] += miles
            drive.update(latitude=hass.config.latitude + (0 if home else 0.5), longitude=hass.config.longitude)
            await look_again(hass, entry)

        return step

    async def restart() -> None:
        await hass.config_entries.async_unload(entry.entry_id)
        await begin(hass, entry, reader)

    found = await play(
        hass,
        freezer,
        [
            tell(3.0, "Disconnected"),
            tell(0.5),
            tell(6.0),
            restart,
            tell(8.0, "Complete"),
            tell(8.0, "Disconnected", miles=30, home=False),
            tell(5.0, fast=True, home=False),
            restart,
            tell(40.0, fast=True, home=False),
            tell(40.0, "Disconnected", miles=30),
            tell(1.5),
            tell(1.4, "Complete"),
        ],
    )
    assert found["sensor.test_home_charging_energy"] == pytest.approx(8.0 + 1.4)


@pytest.mark.slow
@pytest.mark.usefixtures("hass_begins_recording")
async def test_sums_are_what_happened(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Many stories of each kind through the recorder: no watt-hour and no cent twice."""
    assert await async_setup_component(hass, "sensor", {})
    shown: dict[str, list[tuple[float | None, datetime | None]]] = {}
    expected: dict[str, float] = {}
    for kind, make, tell in STORIES:
        for seed in range(20 if kind == "month" else 80):
            readings, total = tell(random.Random(f"{kind}{seed}"))  # noqa: S311 - a story
            meter, name = make(), f"sensor.{kind}_{seed}"
            shown[name], expected[name] = [], total
            for reading in readings:
                meter = meter.take(reading)
                shown[name].append((meter.value, meter.began))
    most = max(map(len, shown.values()))

    def set_all(number: int) -> Callable[[], None]:
        def step() -> None:
            for name, states in shown.items():
                if number >= len(states):
                    continue
                value, began = states[number]
                kind, unit = next(row for prefix, row in UNITS.items() if name.startswith(f"sensor.{prefix}_"))
                hass.states.async_set(
                    name,
                    "unknown" if value is None else str(value),
                    {
                        "state_class": "total",
                        "device_class": kind,
                        "unit_of_measurement": unit,
                        "last_reset": began.isoformat() if began else None,
                    },
                )

        return step

    found = await play(hass, freezer, [set_all(number) for number in range(most + 1)])
    first = {name: next((value for value, _ in states if value is not None), 0.0) for name, states in shown.items()}
    wrong = {
        name: (found[name], total)
        for name, total in expected.items()
        if found[name]
        != pytest.approx(total - (first[name] if name.startswith(("sensor.day", "sensor.month")) else 0), abs=0.02)
    }
    assert wrong == {}


moments = st.none() | st.integers(0, 10**6).map(lambda seconds: START + timedelta(seconds=seconds))
numbers = st.none() | st.floats(0, 1000)


@settings(deadline=None)
@given(
    st.lists(st.tuples(numbers, st.sampled_from([CHARGING, PLUGGED, UNPLUGGED, None]), numbers, moments), max_size=20)
)
def test_a_session_goes_on_over_a_restart(looks: list[tuple[Any, ...]]) -> None:
    """Kept and read back at any moment it shows the same; the same look again changes nothing."""
    meter = SessionMeter()
    for look in looks:
        reading = Charge(*look)
        other = SessionMeter.from_json(meter.to_json()).take(reading)
        meter = meter.take(reading)
        assert (other.value, other.began) == (meter.value, meter.began)
        assert meter.take(reading).began == meter.began


@given(
    st.none()
    | st.dictionaries(st.sampled_from(["began", "last", "odometer", "seen_at", "apart"]), st.text() | st.booleans())
)
def test_anything_may_have_been_kept(data: object) -> None:
    """What is not understood counts as never seen."""
    assert SessionMeter.from_json(data).take(Charge(1.0, CHARGING, 2.0, START)).value == 1.0
