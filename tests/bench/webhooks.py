"""`script/bench webhooks`: 10 000 webhooks at full speed; accepted each second, p50 and p99, and how many were lost.

A tenth of them is delivered twice. Beside it the limit: an answer within a second, at the slowest.
"""

import asyncio
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
from statistics import quantiles
import tempfile
import time
from typing import Final

import aiohttp
from sqlalchemy import func, select

from teslafi_companion.settings import Settings
from teslafi_companion.store.database import create_engine
from teslafi_companion.store.tables import billing_event
from teslafi_simulators.chargebee import ChargebeeSimulator
from tests.chaos.companion import database
from tests.live.served import ServedCompanion

EVENTS: Final = int(os.environ.get("BENCH_WEBHOOKS", "10000"))
CLIENTS: Final = 16
USER, PASSWORD = "chargebee", "a password for the bench alone"
SUBJECTS: Final = (("sqlite", 1), ("postgresql", 1), ("postgresql", 2))


@dataclass
class Sent:
    """What came of the webhooks."""

    times: list[float] = field(default_factory=list)
    refused: int = 0


def bodies() -> list[bytes]:
    """Return the events, each tenth of them twice."""
    found = []
    for number in range(EVENTS):
        event = {
            "id": f"ev_{number:012}",
            "event_type": "subscription_renewed",
            "occurred_at": 1_795_435_200 + number,
            "content": {
                "subscription": {"id": f"sub_{number}", "customer_id": f"0193a2b4-7c1e-7d3a-9f00-{number:012}"}
            },
        }
        found += [json.dumps(event).encode()] * (2 if number % 10 == 0 else 1)
    return found


async def send(url: str, waiting: list[bytes]) -> Sent:
    """Send them all with so many clients at once."""
    sent = Sent()
    headers = {"Content-Type": "application/json", "Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:

        async def client() -> None:
            while waiting:
                body, begun = waiting.pop(), time.perf_counter()
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    sent.refused += answer.status != 200
                sent.times.append(time.perf_counter() - begun)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return sent


async def kept(address: str) -> int:
    """Count the events in the database."""
    engine = create_engine(Settings(database=address))
    async with engine.connect() as connection:
        count = (await connection.execute(select(func.count()).select_from(billing_event))).scalar_one()
    await engine.dispose()
    return int(count)


async def subject(kind: str, processes: int, chargebee: ChargebeeSimulator) -> None:
    """Measure one database with so many processes, the worker at work beside."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        async with database(kind, Path(name)) as address:
            companion = ServedCompanion(
                Path(name),
                address,
                processes=processes,
                billing="chargebee",
                chargebee_site="acme-test",
                chargebee_api_key=chargebee.gate.api_key,
                chargebee_item_prices="controls-USD-monthly",
                chargebee_webhook_credentials=f"{USER}:{PASSWORD}",
                chargebee_base_url=chargebee.url,
            )
            await companion.command("migrate")
            await companion.start()
            try:
                waiting = bodies()
                count, begun = len(waiting), time.perf_counter()
                sent = await send(f"http://127.0.0.1:{companion.port}/webhooks/chargebee", waiting)
                took = time.perf_counter() - begun
            finally:
                await companion.kill()
            marks = quantiles(sent.times, n=100)
            lost = EVENTS - await kept(address)
            where = f"{kind}, {processes} process{'es' if processes > 1 else ''}"
            print(
                f"{where:<24} | {count / took:>10.0f} | {marks[49] * 1000:>8.1f} | {marks[98] * 1000:>8.1f} | "
                f"{max(sent.times) * 1000:>10.1f} (limit 1000) | {sent.refused:>7} | {lost:>5}"
            )


async def main() -> None:
    """Print the table."""
    print(f"{EVENTS} events, a tenth of them twice, from {CLIENTS} clients; the process is killed right after the last")
    print(f"{'where':<24} | {'accepted/s':>10} | {'p50 ms':>8} | {'p99 ms':>8} | {'slowest ms':>23} | refused | lost")
    async with ChargebeeSimulator() as chargebee:
        for kind, processes in SUBJECTS:
            await subject(kind, processes, chargebee)


if __name__ == "__main__":
    asyncio.run(main())
