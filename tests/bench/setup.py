"""`script/bench setup [CARS…]`: setting up and refreshing cars, beside core's tesla_fleet and the bare calls."""

import asyncio
from collections.abc import Sequence
import json
import os
from statistics import median
import sys
from typing import Any, Final

from teslafi_simulators.tesla import TeslaSimulator
from teslafi_simulators.tesla.applications import USER_SCOPES
from tests.live.home_assistant import ROOT

CARS: Final = (1, 10, 100)
SUBJECTS: Final = {
    "teslafi": "teslafi-monitoring",
    "tesla_fleet": "core-tesla-fleet",
    "bare": "teslafi-monitoring",
    "registry": "teslafi-monitoring",
}
"""Whom to measure -> its application.

`bare` are the two calls of a refresh, with nothing around them; `registry` are the entries of our entities in Home
Assistant's registry, and nothing else.
"""
READ_SCOPES: Final = {"openid", "offline_access", "vehicle_device_data", "vehicle_location"}
COLUMNS: Final = (
    ("setup s", "setup_s", ".2f"),
    ("setup CPU s", "setup_cpu_s", ".2f"),
    ("later CPU s", "again_cpu_s", ".2f"),
    ("memory MB", "memory_mb", ".1f"),
    ("entities", "entities", "d"),
    ("CPU ms per refresh", "refresh_cpu_ms", ".2f"),
    ("CPU ms per look", "look_cpu_ms", ".2f"),
    ("wall ms per refresh", "refresh_wall_ms", ".2f"),
)


MANY: Final = 100
"""Cars that are measured once: what varies from process to process is small beside them."""
TURNS: Final = 5
"""Processes for each side with fewer cars, by turns; the table shows the median of each figure."""


async def medians(simulator: TeslaSimulator, cars: int) -> dict[str, dict[str, Any]]:
    """Run both integrations by turns; return each one's figures."""
    turns = 1 if cars >= MANY else TURNS
    runs = [{name: await figures_of(simulator, name, cars, turn) for name in SUBJECTS} for turn in range(turns)]
    return {
        name: {key: median(run[name][key] for run in runs) for _, key, _ in COLUMNS if key in runs[0][name]}
        for name in SUBJECTS
    }


async def figures_of(simulator: TeslaSimulator, integration: str, cars: int, turn: int) -> dict[str, Any]:
    """Run one integration with an account of so many driving cars, in a process of its own."""
    command = (sys.executable, "-m", "tests.bench.subject", integration, simulator.url, str(cars))
    return await figures_by(command, simulator, integration, cars, turn)


async def figures_by(
    command: Sequence[str], simulator: TeslaSimulator, integration: str, cars: int, turn: int = 0
) -> dict[str, Any]:
    """Run what prints the figures of an integration with an account of so many driving cars."""
    email = f"{integration}-{cars}-{turn}@example.com"
    account = simulator.control.add_account(email, cars=cars)
    for car in simulator.garage.of(account.sub):
        car.start_drive(miles=1000, speed=50)
    scopes = READ_SCOPES if integration != "tesla_fleet" else set(USER_SCOPES) - {"enterprise_management", "user_data"}
    pair = simulator.control.mint(email, SUBJECTS[integration], scopes)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(json.dumps(pair.answer()).encode())
    if process.returncode:
        raise RuntimeError(f"{integration} with {cars} cars: {errors.decode()[-2000:]}")
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


async def main(counts: list[int]) -> None:
    """Print the table."""
    heads = " | ".join(head for head, _, _ in COLUMNS)
    print(f"integration | cars | {heads}")
    async with TeslaSimulator(scenario="empty") as simulator:
        for cars in counts:
            rows = await medians(simulator, cars)
            for name, row in rows.items():
                figures = (f"{row[key]:{form}}" if key in row else "" for _, key, form in COLUMNS)
                print(f"{name:<11} | {cars:>4} | " + " | ".join(figures))
            ours, theirs = rows["teslafi"], rows["tesla_fleet"]
            shares = (f"{head} {ours[key] / theirs[key]:.2f}" for head, key, _ in COLUMNS if theirs[key])
            print(f"{'':<11} | {cars:>4} | TeslaFi by core: " + ", ".join(shares))


if __name__ == "__main__":
    asyncio.run(main([int(count) for count in sys.argv[1:]] or list(CARS)))
