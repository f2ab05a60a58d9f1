"""`script/bench instructions [CARS]`: a refresh in instructions, beside core's tesla_fleet and the bare calls.

Instructions are the same on a quick machine and on a slow one, whatever else it does, which CPU time is not. What they
leave out: the kernel, and memory that is waited for.
"""

import asyncio
from pathlib import Path
import sys
import tempfile
from typing import Any, Final

from teslafi_simulators.tesla import TeslaSimulator

from .setup import figures_by

CARS: Final = 20
SUBJECTS: Final = ("teslafi", "tesla_fleet", "bare")


async def counts_of(simulator: TeslaSimulator, integration: str, cars: int) -> dict[str, Any]:
    """Count one integration's refreshes, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "callgrind"
        options = ("-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}")
        subject = (sys.executable, "-m", "tests.bench.counted", integration, simulator.url, str(cars), str(output))
        return await figures_by(("valgrind", *options, *subject), simulator, integration, cars)


async def main(cars: int) -> None:
    """Print the table."""
    print("integration | cars | thousand instructions per refresh | per look")
    async with TeslaSimulator(scenario="empty") as simulator:
        rows = {name: await counts_of(simulator, name, cars) for name in SUBJECTS}
    asked = ("refresh_instructions", "look_instructions")
    for name, row in rows.items():
        print(
            f"{name:<11} | {cars:>4} | " + " | ".join(f"{row[key] / 1000:.0f}" if key in row else "" for key in asked)
        )
    shares = (f"{rows['teslafi'][key] / rows['tesla_fleet'][key]:.2f}" for key in asked)
    print("TeslaFi by core: refresh {}, look {}".format(*shares))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else CARS))
