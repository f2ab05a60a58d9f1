"""Hostile requests to every route for as long as one likes, with memory and event-loop stalls measured.

`script/fuzz companion [--minutes M] [--seed N]`. Ends with 1 when an answer was a 5xx, something of ours went wrong,
the event loop worked for longer than 50 ms without coming round, or memory grew without end.
"""

from argparse import ArgumentParser
from collections import Counter
import gc
from pathlib import Path
import random
import tempfile
import time
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings as hypothesis_settings

from .hostile import Hostile, requests, routes_of
from .served import Served, serving

ROUND: Final = 40
"""Requests to one route at a time."""
LONGEST_STALL: Final = 0.050
MOST_GROWTH_MIB: Final = 64


def resident_mib() -> float:
    """Return how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


class Fuzz:
    """One long run."""

    def __init__(self, served: Served, first_seed: int) -> None:
        """Take the companion; what follows from a seed is the same each time."""
        self.served = served
        self.random = random.Random(first_seed)  # noqa: S311 - to be repeated, not to be secret
        self.statuses: Counter[int] = Counter()
        self.stalls: dict[str, float] = {}
        self.faults: list[str] = []

    def try_route(self, method: str, path: str) -> None:
        """Send one route a round of requests, and look what came of it."""
        served, begun = self.served, self.random.getrandbits(32)
        served.do(served.open_doors())
        served.longest_stall = 0.0

        @seed(begun)
        @given(requests(served, method, path))
        @hypothesis_settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(hostile: Hostile) -> None:
            answer = served.send(hostile.said)
            self.statuses[answer.status] += 1
            troubles = served.troubles()
            if not 100 <= answer.status < 500 or troubles:
                self.faults.append(f"{answer.status} {method} {path} seed {begun}: {hostile!r} {troubles}")

        send()
        name = f"{method} {path}"
        self.stalls[name] = max(self.stalls.get(name, 0.0), served.longest_stall)


def main() -> int:
    """Run; print the figures; return 1 when something was found."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served:
        fuzz = Fuzz(served, arguments.seed)
        routes = routes_of(served.app)
        until = time.monotonic() + arguments.minutes * 60
        memory: list[float] = []
        while time.monotonic() < until:
            # The heap is this program's, not the service's: what collecting it takes is not to be measured
            gc.collect()
            gc.disable()
            for method, path in routes:
                fuzz.try_route(method, path)
                if time.monotonic() >= until:
                    break
            memory.append(resident_mib())
        degraded = served.degraded()
    print(f"{sum(fuzz.statuses.values())} requests to {len(routes)} routes, seed {arguments.seed}")
    print("statuses:", ", ".join(f"{status}: {number}" for status, number in sorted(fuzz.statuses.items())))
    worst = sorted(fuzz.stalls.items(), key=lambda one: one[1], reverse=True)[:5]
    print("longest stalls:", ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in worst))
    growth = memory[-1] - memory[min(1, len(memory) - 1)]
    print(f"memory: {memory[0]:.0f} MiB after the first round, {memory[-1]:.0f} MiB at the end")
    print(f"background work that does not go on: {degraded or 'none'}")
    for fault in fuzz.faults[:20]:
        print(fault)
    slow = [name for name, seconds in worst if seconds > LONGEST_STALL]
    return int(bool(fuzz.faults or degraded or slow or growth > MOST_GROWTH_MIB))


if __name__ == "__main__":
    raise SystemExit(main())
