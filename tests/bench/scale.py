"""`script/bench companion scale`: what one core carries, and what more processes on it change.

1, 2 and 4 processes of the companion share the first core; PostgreSQL (each commit on disk) and 16 clients have the
last one. By core seconds of the companion and of the database a request says what it needs anywhere, how ever busy the
machine is; the rates say what one core does on this one.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
import os
from pathlib import Path
from random import Random
import tempfile
import time
from typing import Final, override
from uuid import uuid4

import aiohttp

from teslafi_companion.audit import record
from teslafi_companion.service import opened_store
from teslafi_companion.settings import Settings
from teslafi_simulators.chargebee import ChargebeeSimulator
from tests.chaos.load import OWNER, PASSWORD, Load
from tests.chaos.replicated import Server, readable
from tests.live.served import ServedCompanion

from .companion import CLIENTS, SECONDS, Figures, Once, cpu_seconds

PROCESSES: Final = (1, 2, 4)
HOMES: Final = (1_000, 10_000, 100_000, 1_000_000)
ASKS_SECONDS: Final = 600
RENEWS_SECONDS: Final = 900
"""How often a Home Assistant asks for its state, and renews its access token."""
ON_TOP: Final = 1.2
"""Permits, pages, webhooks: a fifth more."""
BUSY: Final = 0.55
"""How busy a core may be on average; the AWS kit adds tasks from there on."""
CONTACT, REFRESH = "status, each contact noted", "link refresh"
HOOKS: Final = "chargebee:a password for the bench alone"


@dataclass(frozen=True)
class Cost:
    """What a request costs in milliseconds of CPU."""

    companion: float
    database: float


@dataclass(frozen=True)
class Need:
    """What so many homes need."""

    requests: float
    """A second; each writes once."""
    companion_cores: float
    database_cores: float

    @override
    def __str__(self) -> str:
        return f"{self.requests:.1f} | {self.companion_cores:.2f} | {self.database_cores:.2f}"


def need(homes: int, asking: Cost, renewing: Cost) -> Need:
    """Return what homes need, of cores that are as busy as they may be."""
    asks, renewals = homes / ASKS_SECONDS * ON_TOP, homes / RENEWS_SECONDS * ON_TOP
    return Need(
        asks + renewals,
        (asks * asking.companion + renewals * renewing.companion) / 1000 / BUSY,
        (asks * asking.database + renewals * renewing.database) / 1000 / BUSY,
    )


def cores() -> tuple[set[int], set[int]]:
    """Return the companion's core and the others' core; the same where there is only one."""
    here = sorted(os.sched_getaffinity(0))
    return {here[0]}, {here[-1]}


def children_of(pid: int) -> list[int]:
    """Return a process and those that it began: PostgreSQL has one for each connection."""
    found = [pid]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(folder.name))
    return found


class Noting(ServedCompanion):
    """Processes that note each contact."""

    @override
    def _call(self, *arguments: str) -> tuple[str, ...]:
        return ("-m", "tests.bench.each_contact", *arguments)


def webhook() -> dict[str, object]:
    """Return an event that nobody has sent yet."""
    event = f"ev_{uuid4().hex}"
    subscription = {"id": event, "customer_id": str(uuid4())}
    return {
        "id": event,
        "event_type": "subscription_renewed",
        "occurred_at": 1_795_435_200,
        "content": {"subscription": subscription},
    }


class Bench:
    """One database, and links that are used by one fleet after another."""

    def __init__(self, companion: ServedCompanion, server: Server, session: aiohttp.ClientSession) -> None:
        """Begin without links."""
        self._server = server
        self._session = session
        self.companion = companion
        self.loads = [Load(companion, Random(number)) for number in range(CLIENTS)]  # noqa: S311 - addresses

    async def link(self) -> None:
        """Link so many Home Assistants."""
        for number, load in enumerate(self.loads):
            await load.link(f"bench-{number:016}")

    async def status(self, number: int) -> None:
        """Ask as a Home Assistant does."""
        headers = {"Authorization": f"Bearer {self.loads[number].said.access_token}"}
        await self._ask("POST", "/api/v1/status", headers=headers, json={"permit": False})

    async def refresh(self, number: int) -> None:
        """Renew a link."""
        said = self.loads[number].said
        form = {"grant_type": "refresh_token", "client_id": "home-assistant", "refresh_token": said.refresh_token}
        answer = await self._ask("POST", "/oauth/token", data=form)
        said.refresh_token, said.access_token = answer["refresh_token"], answer["access_token"]

    async def hook(self, _: int) -> None:
        """Tell of an event."""
        headers = {"Authorization": aiohttp.encode_basic_auth(*HOOKS.split(":"))}
        await self._ask("POST", "/webhooks/chargebee", headers=headers, json=webhook())

    async def _ask(self, method: str, path: str, **how: object) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.companion.port}{path}"
        async with self._session.request(method, url, **how) as response:  # type: ignore[arg-type] # handed on
            if response.status != 200:
                raise RuntimeError(f"{path} was refused: {response.status} {await response.text()}")
            answer: dict[str, str] = await response.json()
            return answer

    async def measure(self, what: str, once: Once) -> Cost:
        """Print and return what something costs."""
        figures = Figures()
        await figures.add(once, CLIENTS, SECONDS / 10)
        figures, before = Figures(), self._spent()
        await figures.add(once, CLIENTS, SECONDS)
        ours, database, clients = (
            (after - begun) / len(figures.times) * 1000 for after, begun in zip(self._spent(), before, strict=True)
        )
        p50, p99 = figures.marks
        print(
            f"| {what} | {len(self.companion.pids)} | {figures.rate:.0f} | {p50:.1f} | {p99:.1f} | {ours:.2f} | "
            f"{database:.2f} | {clients:.2f} |",
            flush=True,
        )
        return Cost(round(ours, 2), round(database, 2))

    def _spent(self) -> tuple[float, float, float]:
        here: Callable[[Iterable[int]], float] = cpu_seconds
        return here(self.companion.pids), here(children_of(self._server.pid)), time.process_time()


async def main() -> None:
    """Print the table."""
    companions, others = cores()
    load = os.getloadavg()[0]
    print(f"load {load:.1f}; companion on core {companions}, PostgreSQL and clients on {others}, {SECONDS:g} s each")
    print("| what | processes | each s | p50 ms | p99 ms | companion's CPU ms | database's CPU ms | client's CPU ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    os.sched_setaffinity(0, others)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        readable(folder)
        server = Server(folder / "server")
        server.make()
        server.start()
        connection = await server.connect()
        await connection.execute("CREATE DATABASE bench")
        await connection.close()
        address = f"postgresql://companion@127.0.0.1:{server.port}/bench"
        try:
            async with (
                ChargebeeSimulator() as chargebee,
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session,
            ):
                await _all(folder, address, server, chargebee, session, companions, others)
        finally:
            server.stop()


async def _all(
    folder: Path,
    address: str,
    server: Server,
    chargebee: ChargebeeSimulator,
    session: aiohttp.ClientSession,
    companions: set[int],
    others: set[int],
) -> None:
    billed = {
        "billing": "chargebee",
        "chargebee_site": "acme-test",
        "chargebee_api_key": chargebee.gate.api_key,
        "chargebee_item_prices": "controls-USD-monthly",
        "chargebee_webhook_credentials": HOOKS,
        "chargebee_base_url": chargebee.url,
    }
    first = ServedCompanion(folder, address)
    await first.command("migrate")
    await first.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
    bench = Bench(first, server, session)
    kinds = [(ServedCompanion, processes) for processes in PROCESSES]
    asking = renewing = Cost(0, 0)
    for kind, processes in [*kinds, (Noting, 1)]:
        companion = kind(folder, address, processes=processes, base_url=first.url, **billed)
        companion.url = first.url
        # What is started has the core of whoever starts it
        os.sched_setaffinity(0, companions)
        try:
            await companion.start()
        finally:
            os.sched_setaffinity(0, others)
        bench.companion = companion
        for load in bench.loads:
            load.companion = companion
        try:
            if not bench.loads[0].said.refresh_token:
                await bench.link()
            if kind is Noting:
                asking = await bench.measure(CONTACT, bench.status)
            else:
                await bench.measure("status read", bench.status)
                cost = await bench.measure(REFRESH, bench.refresh)
                renewing = cost if processes == 1 else renewing
                await bench.measure("webhook", bench.hook)
        finally:
            await companion.kill()
    await audited(folder, address)
    print("\n| homes | requests a second | cores of companions | cores of the database |")
    print("| --- | --- | --- | --- |")
    for homes in HOMES:
        print(f"| {homes:,} | {need(homes, asking, renewing)} |")


async def audited(folder: Path, address: str) -> None:
    """Print how many entries a second join the audit log's one chain: nothing makes that more but a quicker commit."""
    settings = Settings(database=address, key_file=folder / "keys" / "companion.key", database_pool=CLIENTS)
    async with opened_store(settings) as store:

        async def enter(_: int) -> None:
            async with store.transaction() as transaction:
                record(transaction, "bench", actor="service")

        figures = Figures()
        await figures.add(enter, CLIENTS, SECONDS)
    p50, p99 = figures.marks
    print(
        f"| audit entry, all into one chain | - | {figures.rate:.0f} | {p50:.1f} | {p99:.1f} | - | - | - |", flush=True
    )


if __name__ == "__main__":
    asyncio.run(main())
