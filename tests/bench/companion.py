"""`script/bench companion`: sign-ins, link refreshes and status reads, beside what they cost at the least.

Sign-ins stand beside bare argon2id on the same cores; status reads beside a bare aiohttp handler with one indexed
read on the same database, served by as many processes. Everything in one run, from one client process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
from random import Random
from statistics import quantiles
import sys
import tempfile
import time
from typing import Final

import aiohttp
from argon2 import PasswordHasher

from teslafi_companion.settings import Policy
from tests.chaos.companion import database
from tests.chaos.load import OWNER, PASSWORD, Load
from tests.live.ports import free_port
from tests.live.served import ServedCompanion

SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "5"))
CLIENTS: Final = 16
LINKS: Final = 8
TURNS: Final = 8
POSTGRESQL_PROCESSES: Final = (1, 2, 4)

type Once = Callable[[int], Awaitable[None]]


async def measured(once: Once, clients: int = CLIENTS) -> Figures:
    """Do something over and over with so many clients."""
    figures = Figures()
    await figures.add(once, clients, SECONDS)
    return figures


async def by_turns(*subjects: Once) -> list[Figures]:
    """Measure several things by turns, so that what else this machine does falls on all of them."""
    figures = [Figures() for _ in subjects]
    for _ in range(TURNS):
        for once, found in zip(subjects, figures, strict=True):
            await found.add(once, CLIENTS, SECONDS / TURNS)
    return figures


@dataclass
class Figures:
    """How long something took each time, and how long all of it."""

    times: list[float] = field(default_factory=list)
    took: float = 0.0

    async def add(self, once: Once, clients: int, seconds: float) -> None:
        """Do it over and over for some seconds, with so many clients at once."""
        end = time.perf_counter() + seconds

        async def client(number: int) -> None:
            while time.perf_counter() < end:
                begun = time.perf_counter()
                await once(number)
                self.times.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(clients)))
        self.took += time.perf_counter() - begun

    @property
    def rate(self) -> float:
        """Return times a second."""
        return len(self.times) / self.took

    @property
    def marks(self) -> tuple[float, float]:
        """Return p50 and p99 in milliseconds."""
        marks = quantiles(self.times, n=100)
        return marks[49] * 1000, marks[98] * 1000


def bare_argon2(policy: Policy) -> float:
    """Return how many passwords a second this machine verifies with the companion's parameters and threads."""
    hasher = PasswordHasher(policy.argon2_passes, policy.argon2_memory_kib, policy.argon2_lanes)
    phc = hasher.hash(PASSWORD)
    end = time.perf_counter() + SECONDS

    def work() -> int:
        done = 0
        while time.perf_counter() < end:
            hasher.verify(phc, PASSWORD)
            done += 1
        return done

    begun = time.perf_counter()
    with ThreadPoolExecutor(policy.password_threads) as pool:
        done = sum(future.result() for future in [pool.submit(work) for _ in range(policy.password_threads)])
    return done / (time.perf_counter() - begun)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU that processes have used: what a busy machine does not falsify."""
    ticks = 0
    for pid in pids:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(said[11]) + int(said[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def row(what: str, where: str, figures: Figures, beside: str = "") -> None:
    """Print one line of the table."""
    p50, p99 = figures.marks
    print(f"{what:<14} | {where:<24} | {figures.rate:8.1f} | {p50:8.2f} | {p99:8.2f} | {beside}", flush=True)


@asynccontextmanager
async def bare(address: str, processes: int) -> AsyncIterator[tuple[str, list[int]]]:
    """Serve the bare handler; gives its address and its processes."""
    port = free_port()
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.bare", str(port), address, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(processes)
    ]
    for process in running:
        if process.stdout is None or await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the bare handler did not start")
    try:
        yield f"http://127.0.0.1:{port}/read", [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        await asyncio.gather(*(process.wait() for process in running))


async def subject(kind: str, processes: int, argon2: float) -> None:
    """Measure one database with so many processes."""
    where = f"{kind}, {processes} process{'es' if processes > 1 else ''}"
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        async with database(kind, folder) as address:
            companion = ServedCompanion(folder, address, processes=processes)
            await companion.command("migrate")
            await companion.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
            begun = time.perf_counter()
            await companion.start()
            print(f"{where}: ready after {time.perf_counter() - begun:.2f} s (at most 3)")
            try:
                await _measure(companion, address, where, processes, argon2)
            except RuntimeError as fault:
                raise RuntimeError((folder / "companion.log").read_text()[-3000:]) from fault
            finally:
                await companion.kill()


async def _measure(companion: ServedCompanion, address: str, where: str, processes: int, argon2: float) -> None:
    loads = [Load(companion, Random(number)) for number in range(LINKS)]  # noqa: S311 - addresses
    for number, load in enumerate(loads):
        await load.link(f"bench-{number:016}")
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        signed = await measured(lambda _: _sign_in(loads[0]), clients=4)
        row("sign-in", where, signed, f"bare argon2id: {argon2:.1f}/s")
        refreshed = await measured(lambda number: loads[number].refresh(), clients=LINKS)
        row("link refresh", where, refreshed)
        tokens = [load.said.access_token for load in loads]
        url = f"http://127.0.0.1:{companion.port}/api/v1/status"
        async with bare(address, processes) as (bare_url, bare_pids):
            before = cpu_seconds(companion.pids), cpu_seconds(bare_pids)
            status, least = await by_turns(
                lambda number: _get(session, url, tokens[number % LINKS]),
                lambda number: _get(session, bare_url, tokens[number % LINKS]),
            )
            ours = (cpu_seconds(companion.pids) - before[0]) / len(status.times) * 1000
            theirs = (cpu_seconds(bare_pids) - before[1]) / len(least.times) * 1000
        said = f"{status.rate / least.rate:.0%} of the bare handler's rate, {theirs / ours:.0%} by CPU (aim: 60 %)"
        row("status read", where, status, f"{ours:.2f} ms CPU; {said}")
        row("bare handler", where, least, f"{theirs:.2f} ms CPU")


async def _sign_in(load: Load) -> None:
    form = {"email": OWNER, "password": PASSWORD, "next": "/account"}
    async with load.browser() as browser:
        status, _, text = await browser.ask("POST", "/sign-in", data=form)
    if status != 303:
        raise RuntimeError(f"a sign-in was refused: {status} {text[:300]}")


async def _get(session: aiohttp.ClientSession, url: str, token: str) -> None:
    async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
        await response.read()
        if response.status != 200:
            raise RuntimeError(f"a read was refused: {response.status}")


async def main() -> None:
    """Print the table."""
    argon2 = bare_argon2(Policy())
    print(f"bare argon2id with the companion's parameters: {argon2:.1f} a second")
    print(f"{'what':<14} | {'where':<24} | {'each s':>8} | {'p50 ms':>8} | {'p99 ms':>8} | beside")
    await subject("sqlite", 1, argon2)
    for processes in POSTGRESQL_PROCESSES:
        await subject("postgresql", processes, argon2)


if __name__ == "__main__":
    asyncio.run(main())
