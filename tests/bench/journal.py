"""`script/bench journal [YEARS]`: a car-year seen live, years of TeslaFi.com files brought in, queries over a year.

A year is twelve simulated months (each another life of the polling bench's kinds), a sample a minute, as TeslaFi.com
writes them: a row that says everything while the car is awake, a short one while it sleeps. What is measured runs in a
process of its own; writing the files does not count.
"""

from collections.abc import Callable, Iterator
import csv
from dataclasses import replace
from datetime import UTC, datetime
from itertools import batched
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Any, Final
from zoneinfo import ZoneInfo

from custom_components.teslafi.history.teslafi_import import prepare, samples
from custom_components.teslafi.journal.sample import KM_PER_MILE, Sample
from custom_components.teslafi.journal.store import Store
from custom_components.teslafi.journal_entities.actions import charges_told, drives_told, parkings_told, summary_told
from tests.bench.policy.lives import LIVES
from tests.journal.lives import World

VIN: Final = "5YJ3E1EA7KF000001"
HEADER: Final = (
    (Path(__file__).parents[1] / "integration" / "history" / "teslafi_header.csv").read_text("utf-8").strip().split(",")
)
MONTH: Final = 30 * 86_400
MONTHS: Final = 12
START: Final = int(datetime(2021, 12, 1, tzinfo=UTC).timestamp())
BATCH: Final = 60
MINUTES: Final = 7 * 24 * 60
MILLISECONDS: Final = 1000


def year(number: int) -> Iterator[Sample]:
    """Yield a year's samples, a minute apart; the odometer goes on from year to year."""
    for month in range(MONTHS):
        name = list(LIVES)[month % len(LIVES)]
        world = World(name, seed=number * MONTHS + month)
        begins = START + (number * MONTHS + month) * MONTH
        first: int | None = None
        for sample in world.samples():
            first = sample.at if first is None else first
            odometer = sample.odometer_km
            yield replace(
                sample,
                at=begins + sample.at - first,
                odometer_km=None if odometer is None else odometer + (number * MONTHS + month) * 6000,
            )


def write_files(folder: Path, years: int) -> int:
    """Write monthly files as TeslaFi.com exports them; return how many rows they have."""
    rows = 0
    for number in range(years):
        for index, month in enumerate(batched(year(number), 43_200, strict=False)):
            path = folder / f"TeslaFi{index + 1}{2022 + number}.csv"
            with path.open("w", encoding="utf-8-sig", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(HEADER)
                for sample in month:
                    told = _record(sample)
                    writer.writerow([told.get(name, "") for name in HEADER])
                    rows += 1
    return rows


def _record(sample: Sample) -> dict[str, Any]:
    date = datetime.fromtimestamp(sample.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if not sample.has_data:
        return {"Date": date, "state": "asleep", "sleepNumber": 1}
    return {
        "Date": date,
        "vin": VIN,
        "state": "online",
        "display_name": "Roadrunner",
        "odometer": _miles(sample.odometer_km),
        "battery_level": sample.soc,
        "usable_battery_level": sample.usable_soc,
        "battery_range": _miles(sample.range_km),
        "shift_state": "D" if sample.driving else "",
        "speed": _miles(sample.speed_kmh),
        "power": 0,
        "latitude": sample.latitude,
        "longitude": sample.longitude,
        "charging_state": sample.charging_state,
        "charger_power": sample.charger_power_kw,
        "charger_voltage": sample.charger_volts,
        "charger_actual_current": None if sample.charger_amps is None else round(sample.charger_amps),
        "charger_phases": sample.charger_phases,
        "charge_energy_added": sample.energy_added_kwh,
        "fast_charger_present": int(bool(sample.fast_charger)),
        "inside_temp": sample.inside_c,
        "outside_temp": sample.outside_c,
        "car_version": f"{sample.software} 7477b4ff8e78",
        "wheel_type": sample.wheels,
    }


def _miles(km: float | None) -> str:
    return "" if km is None else f"{km / KM_PER_MILE:.4f}"


def _timed[T](act: Callable[[], T]) -> tuple[T, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = act()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def _size_mb(path: Path) -> float:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")) / 1e6


def _memory_mb() -> float:
    """Return the most memory that this process has had: that of `getrusage` includes what its parent had."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


def live(folder: Path) -> dict[str, float]:
    """Measure a car-year that is seen as it happens: a week sample by sample, the rest hour by hour."""
    path = folder / "live.db"
    store = Store(path)
    store.open()
    seen = list(year(0))
    before = _memory_mb()

    def week() -> None:
        for sample in seen[:MINUTES]:
            store.record(VIN, [sample])

    def rest() -> None:
        for some in batched(seen[MINUTES:], BATCH, strict=False):
            store.record(VIN, some)
        store.record(VIN, (), flush=True)

    _, week_wall, week_cpu = _timed(week)
    _, rest_wall, rest_cpu = _timed(rest)
    store.checkpoint()
    return {
        "samples": len(seen),
        "CPU us per minute, each written": week_cpu / MINUTES * 1e6,
        "wall us per minute, each written": week_wall / MINUTES * 1e6,
        "CPU s, written by the hour": rest_cpu,
        "wall s, written by the hour": rest_wall,
        "MB on disk, a car": _size_mb(path),
        "MB on disk, four cars": 4 * _size_mb(path),
        "MB of memory more": _memory_mb() - before,
        **_queries(store, START),
    }


def imported(folder: Path) -> dict[str, float]:
    """Measure bringing in the files of a folder."""
    path = folder / "imported.db"
    store = Store(path)
    store.open()
    zone = ZoneInfo("UTC")
    before = _memory_mb()
    files = sorted((file.name, file) for file in folder.glob("*.csv"))
    prepared, prepare_wall, prepare_cpu = _timed(lambda: prepare(files, zone))
    done, wall, cpu = _timed(lambda: store.bring_in(VIN, samples(prepared, VIN)))
    gone, thin_wall, _ = _timed(lambda: store.thin(done.last or 0))
    store.checkpoint()
    return {
        "rows": done.read,
        "sessions": done.sessions,
        "wall s": prepare_wall + wall,
        "CPU s": prepare_cpu + cpu,
        "MB of memory at most": _memory_mb(),
        "MB of memory more": _memory_mb() - before,
        "samples thinned": gone,
        "wall s of thinning": thin_wall,
        "MB on disk": _size_mb(path),
        **_queries(store, (done.last or 0) - MONTHS * MONTH),
    }


def _queries(store: Store, since: int) -> dict[str, float]:
    """Measure each question about a year; the first one reckons what range is worth."""
    until = since + MONTHS * MONTH
    asks: dict[str, Callable[[], object]] = {
        "drives, first": lambda: store.drives(VIN, since, until),
        "drives": lambda: store.drives(VIN, since, until),
        "charges": lambda: store.charges(VIN, since, until),
        "parkings": lambda: store.parkings(VIN, since, until),
        "get_drives": lambda: drives_told(store, VIN, since, until),
        "get_charges": lambda: charges_told(store, VIN, since, until),
        "get_parking": lambda: parkings_told(store, VIN, since, until),
        "get_summary by day": lambda: summary_told(store, VIN, since, until, "day"),
        "health": lambda: store.health(VIN),
        "last drive": lambda: store.last_drive(VIN),
    }
    timed = {name: _timed(ask) for name, ask in asks.items()}
    walls = {f"wall ms of {name}": told[1] * MILLISECONDS for name, told in timed.items()}
    return walls | {f"CPU ms of {name}": told[2] * MILLISECONDS for name, told in timed.items()}


def main() -> None:
    """Run as a program; with a folder, as the process that is measured."""
    if len(sys.argv) > 2:
        measure = {"live": live, "imported": imported}[sys.argv[1]]
        print(json.dumps(measure(Path(sys.argv[2]))))
        return
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), years)
        for what in ("live", "imported"):
            command = [sys.executable, "-m", "tests.bench.journal", what, folder]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
            print(f"{what}, {1 if what == 'live' else years} years")
            for name, value in told.items():
                print(f"  {name:36} {value:12,.1f}")


if __name__ == "__main__":
    main()
