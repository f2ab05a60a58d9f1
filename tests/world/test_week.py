"""Days that pass with an outage in them: what is asked, what it costs, what is logged, and what stays in memory.

The tests live one day with three hours without Tesla; `script/chaos week` lives seven with a whole one.
"""

import asyncio
from collections import Counter
import gc
import logging
import os
from pathlib import Path
from random import Random
import sys
from typing import Final

import pytest

from teslafi_simulators.tesla.cars.routine import Routine

from .world import Report, World

pytestmark = pytest.mark.slow

DAYS: Final = int(os.environ.get("TESLAFI_CHAOS_DAYS", "1"))
LONG: Final = DAYS > 1
STEP: Final = 120.0 if LONG else 600.0
OUTAGE_DAY: Final = 3
OUTAGE_HOURS: Final = 24 if LONG else 3
MOST_LINES: Final = 6
"""Warnings of an outage: when it begins and when it ends, for the account, and no line for each car and site."""
MOST_TASKS_MORE: Final = 2
MOST_MEMORY_MORE: Final = 40.0
"""MB; what pytest, the simulator's notes and the report keep is in it."""
MOST_USD_A_DAY: Final = 0.5
"""For two cars that go to work, one of them charging at home."""


async def test_days_with_an_outage(world: World) -> None:
    for number, car in enumerate(world.tesla.garage):
        car.behaviors.insert(0, Routine(Random(number), car))  # noqa: S311 - a day's plan is no secret
    await world.sign_in()
    await world.pass_time(hours=1, step=STEP)
    world.report()
    tasks, memory = _tasks(), _memory()
    days: list[Report] = []
    for day in range(1, DAYS + 1):
        out = OUTAGE_HOURS if day == min(OUTAGE_DAY, DAYS) else 0
        if out:
            world.tesla.control.fault(path="*", kind="drop", executes=False, times=None)
            await world.pass_time(hours=out, step=STEP)
            world.calm()
        await world.pass_time(hours=24 - out, step=STEP)
        days.append(world.report())
        _tell(day, days[-1])
    assert [line for report in days for line in report.exceptions] == []
    assert sum(len(report.warnings) for report in days) <= MOST_LINES
    assert max(report.usd_per_hour * 24 for report in days) < MOST_USD_A_DAY
    assert days[-1].shown["value"] > days[-1].shown["unavailable"]
    assert not days[-1].reauthenticating
    assert _tasks() - tasks <= MOST_TASKS_MORE
    assert _memory() - memory < MOST_MEMORY_MORE


def _tasks() -> int:
    return len(asyncio.all_tasks())


def _memory() -> float:
    """Return what the process holds, in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _tell(day: int, report: Report) -> None:
    """Print a day of a long run."""
    if not LONG:
        return
    lines = Counter(logging.getLevelName(line.level) for line in report.log if "teslafi" in line.logger)
    categories = Counter(exchange.category for exchange in report.exchanges)
    sys.stdout.write(
        f"\nday {day}: {report.usd_per_hour * 24:.2f} USD · {dict(categories)} · {report.refreshes} refreshes · "
        f"lines {dict(lines)} · {_tasks()} tasks · {_memory():.0f} MB · {dict(report.shown)}\n"
    )
    for warning in report.warnings:
        sys.stdout.write(f"  {warning}\n")
