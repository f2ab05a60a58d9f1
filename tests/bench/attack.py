"""`script/bench attack`: how long an owner's sign-in takes while strangers guess her password as fast as they can.

The owner signs in from a browser that the companion knows, twice a second; the strangers come from one network, then
from twenty. Nobody may keep her out: a sign-in that is refused ends the bench.
"""

import asyncio
from itertools import count
from pathlib import Path
from statistics import quantiles
import tempfile
import time
from typing import Final

import aiohttp

from tests.chaos.companion import database
from tests.chaos.load import OWNER, PASSWORD
from tests.live.served import Browser, ServedCompanion

SIGN_INS: Final = 20
STRANGERS: Final = 16


async def guess(companion: ServedCompanion, networks: int, number: int, statuses: dict[int, int]) -> None:
    """Guess without a pause, from one network after the other."""
    async with aiohttp.ClientSession() as session:
        for turn in count(number):
            browser = Browser(session, companion, f"203.0.{turn % networks}.7")
            form = {"email": OWNER, "password": f"guess {turn}", "next": "/account"}
            status, _, _ = await browser.ask("POST", "/sign-in", data=form)
            statuses[status] = statuses.get(status, 0) + 1


async def sign_in(companion: ServedCompanion, session: aiohttp.ClientSession) -> float:
    """Sign in as the owner; return how many milliseconds it took."""
    form = {"email": OWNER, "password": PASSWORD, "next": "/account"}
    begun = time.perf_counter()
    status, _, _ = await Browser(session, companion, "198.51.100.7").ask("POST", "/sign-in", data=form)
    if status != 303:
        raise RuntimeError(f"the owner was refused: {status}")
    return (time.perf_counter() - begun) * 1000


async def measured(companion: ServedCompanion, session: aiohttp.ClientSession, networks: int) -> None:
    """Print what one kind of attack costs the owner."""
    statuses: dict[int, int] = {}
    strangers = range(STRANGERS if networks else 0)
    attack = [asyncio.create_task(guess(companion, networks, number, statuses)) for number in strangers]
    took = []
    for _ in range(SIGN_INS):
        if networks:
            await asyncio.sleep(0.5)
        took.append(await sign_in(companion, session))
    for task in attack:
        task.cancel()
    await asyncio.gather(*attack, return_exceptions=True)
    guesses = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items())) or "none"
    marks = quantiles(took, n=100)
    print(
        f"{networks:>2} networks | p50 {marks[49]:7.1f} ms | p99 {marks[98]:7.1f} ms | guesses: {guesses}", flush=True
    )


async def main() -> None:
    """Measure without an attack, and with one from one network and from twenty, on both databases."""
    for kind in ("sqlite", "postgresql"):
        print(kind, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            async with database(kind, folder) as address:
                await attacked(ServedCompanion(folder, address))


async def attacked(companion: ServedCompanion) -> None:
    """Have all attacks on one companion."""
    await companion.command("migrate")
    await companion.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
    await companion.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await sign_in(companion, session)
            for networks in (0, 1, 20):
                await measured(companion, session, networks)
    finally:
        await companion.kill()


if __name__ == "__main__":
    asyncio.run(main())
