"""The refreshes of one integration, or the bare calls, counted in instructions: runs within valgrind's callgrind.

`python -m tests.bench.counted INTEGRATION SIMULATOR_URL CARS OUTPUT`, the token answer as JSON on standard input.
OUTPUT is where callgrind writes. What is written into the journal two seconds after a look is written, and counted,
after each round.
"""

import asyncio
import gc
import json
import os
from pathlib import Path
from statistics import median
import subprocess
import sys
from typing import Any, Final

from .subject import Measure, Refresh, Wish, measure, measure_bare

WARM: Final = 2
"""Rounds before it is counted."""
ROUNDS: Final = 9
SUMMARY: Final = "summary:"


class Callgrind:
    """Controls the counter of the process that this runs in."""

    def __init__(self, output: Path) -> None:
        """Begin without counting."""
        self._output = output
        self._parts = 0

    def count(self, how: str) -> None:
        """Count from here on, or no longer: `on` or `off`."""
        self._control(f"--instr={how}")

    def take(self) -> int:
        """Return the instructions since it was asked last."""
        self._control("--dump")
        self._parts += 1
        part = self._output.with_name(f"{self._output.name}.{self._parts}")
        with part.open(encoding="ascii") as lines:
            # It stands at the beginning: reading all of the file would be counted as well
            return next(int(line.removeprefix(SUMMARY)) for line in lines if line.startswith(SUMMARY))

    def _control(self, *words: str) -> None:
        command = ("callgrind_control", *words, str(os.getpid()))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own


def counting(callgrind: Callgrind) -> Measure:
    """Return what counts the instructions of a look: the median of the rounds."""

    async def counted(refreshes: list[Refresh], wish: Wish, settled: Refresh) -> dict[str, float]:
        rounds: list[int] = []
        for number in range(WARM + ROUNDS):
            wish()
            if number == WARM:
                gc.collect()
                callgrind.count("on")
                callgrind.take()
            # Asking the counter costs instructions as well
            asking = callgrind.take() if number >= WARM else 0
            await asyncio.gather(*(refresh() for refresh in refreshes))
            await settled()
            if number >= WARM:
                rounds.append(callgrind.take() - asking)
        callgrind.count("off")
        return {"instructions": median(rounds) / len(refreshes)}

    return counted


async def main(integration: str, url: str, cars: int, output: Path, token: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an integration or of the bare calls."""
    counted = counting(Callgrind(output))
    if integration == "bare":
        return await measure_bare(url, cars, token, counted)
    return await measure(integration, url, cars, token, counted, journal=True)


if __name__ == "__main__":
    print(
        json.dumps(
            asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), json.load(sys.stdin)))
        )
    )
