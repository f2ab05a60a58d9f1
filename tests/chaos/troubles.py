"""`script/chaos companion-troubles [ROUNDS]`: everything around the companion fails under load, and comes back.

Each trouble is begun while people sign up and in and a linked Home Assistant asks and renews its link; it lasts for
some seconds and ends. In between every answer is what it should be or 503: never another 5xx. Afterwards the companion
is ready again by itself, what was acknowledged is true, no background work has stopped, and the audit chain is whole.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
import json
from pathlib import Path
from random import Random
import re
import signal
import sys
import tempfile
import time
from typing import Any, Final, override

import aiohttp

from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.mail import MailCatcher
from tests.live.served import Browser

from .databases import Database, NoDisk, Postgresql, disk_database
from .kept import Judged, every_mail, nothing_lost, whole_audit
from .load import NETWORK_FAULTS, OWNER, PASSWORD, TIMEOUT, Broken, Load
from .valve import Valve
from .wrapped import ORDERS

ROUNDS: Final = 3
"""How often each trouble is had."""
MAIL_HANGS = "mail server hangs for longer than a letter is waited for"
CHARGEBEE_HANGS = "Chargebee hangs for longer than anybody waits"
LASTING: Final = {MAIL_HANGS: 75.0, CHARGEBEE_HANGS: 45.0}
"""Seconds of what is had once: a letter has 30 seconds and its lease 60, a request to Chargebee 10, a page 20."""
CHECKOUT: Final = "/account/subscription/checkout"
FELT_SECONDS: Final = 60
RECOVERY_SECONDS: Final = 120
PRICE: Final = "controls-USD-monthly"
TWO_DAYS: Final = 2 * 24 * 3600
AHEAD: Final = "clock two days ahead"
BACK: Final = "clock two days back"


class Held(Judged):
    """The companion with handles."""

    def __init__(self, folder: Path, database: str, **how: Any) -> None:  # noqa: ANN401 - as the original
        """Begin with a clock that is right."""
        super().__init__(folder, database, **how)
        self.without: Counter[str] = Counter()
        """503 by path."""
        self.unavailable = asyncio.Event()
        self._orders = folder / ORDERS

    @override
    def _call(self, *arguments: str) -> tuple[str, ...]:
        module = "tests.chaos.wrapped" if arguments[0] == "serve" else "teslafi_companion"
        return ("-m", module, *arguments)

    @override
    def answered(self, method: str, path: str, status: int, retry_after: str) -> None:
        super().answered(method, path, status, retry_after)
        if status == 503:
            self.without[path] += 1
            self.unavailable.set()

    def order(self, *, wrong_by: float = 0, cancel: bool = False, read_only: bool = False) -> None:
        """Set every process's clock, cancel its background tasks, or let SQLite take no writes."""
        orders = {"wrong_by": wrong_by, "cancel": cancel, "read_only": read_only}
        self._orders.write_text(json.dumps(orders), encoding="utf-8")
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGUSR1)

    async def readiness(self) -> dict[str, Any]:
        """Return what /readyz says; an empty answer while it cannot be asked."""
        with suppress(*NETWORK_FAULTS):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
                session.get(f"http://127.0.0.1:{self.port}/readyz") as response,
            ):
                return {"code": response.status, **await response.json()}
        return {}


@dataclass(frozen=True)
class Pace:
    """How long a trouble lasts at least and at most, and how long everybody rests between two requests, in seconds."""

    lasts: tuple[float, float] = (1.0, 3.0)
    rest: float = 0.0


SHORT: Final = Pace((0.2, 0.5), rest=0.15)
"""What still meets every trouble with requests under way, and costs a quarter."""


class Busy(Load):
    """The same people, who take 503 for an answer, and an owner who looks at her subscription."""

    rest = 0.0

    @override
    async def go_on(self, what: str) -> None:
        while True:
            with suppress(*NETWORK_FAULTS):
                await getattr(self, what)()
            await asyncio.sleep(self.rest or 0.05)

    @override
    async def refresh(self) -> None:
        form = {"grant_type": "refresh_token", "client_id": "home-assistant", "refresh_token": self.said.refresh_token}
        async with self.browser() as browser:
            status, _, text = await browser.ask("POST", "/oauth/token", data=form)
        if status == 200:
            self._keep_tokens(text)
            self.said.refreshes += 1
        elif status != 503:
            raise Broken(f"the link is broken: {status} {text[:200]}")

    @override
    async def alive(self, cookie: str) -> bool:
        """Say whether a session opens the account; 503 says neither: the other process may only notice now."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            async with aiohttp.ClientSession(cookies={"session": cookie}, timeout=TIMEOUT) as session:
                answer, _, _ = await Browser(session, self.companion, self.address()).ask("GET", "/account")
            if answer != 503 or time.monotonic() > deadline:
                return answer == 200
            await asyncio.sleep(0.2)

    async def status(self) -> None:
        """Ask as Home Assistant does."""
        headers = {"Authorization": f"Bearer {self.said.access_token}"}
        async with self.browser() as browser:
            await browser.ask("GET", "/api/v1/status", headers=headers)

    async def checkout(self) -> None:
        """Go to the checkout, which asks Chargebee; each time in one of the sessions that are open."""
        if not self.said.sessions:
            await asyncio.sleep(0.1)
            return
        cookie = self.said.sessions[-1]
        async with aiohttp.ClientSession(cookies={"session": cookie}, timeout=TIMEOUT) as session:
            browser = Browser(session, self.companion, self.address())
            _, _, page = await browser.ask("GET", "/account")
            found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
            if found is not None:
                await browser.ask("POST", CHECKOUT, data={"csrf": found[1], "price": PRICE})
        await asyncio.sleep(0.3)


@dataclass
class World:
    """All that can fail."""

    companion: Held
    database: Database
    mail: Valve
    chargebee: Valve

    async def kill(self) -> None:
        """Cut the power."""
        await self.companion.kill()

    async def terminate(self) -> None:
        """Ask to stop in the middle of everything."""
        codes = await self.companion.stop()
        if any(codes):
            raise Broken(f"SIGTERM ended with {codes}")

    async def start(self) -> None:
        """Start again."""
        await self.companion.start()

    async def fill(self) -> None:
        """Fill the disk, and wait until that is felt: for a while a database lives on room that it has."""
        await asyncio.to_thread(self.database.fill)
        await self._felt()

    async def make_read_only(self) -> None:
        """Let the database take no writes, and wait until that is felt: a slow process has not heard of it yet."""
        self.companion.order(read_only=True)
        await self.database.make_read_only()
        await self._felt()

    async def _felt(self) -> None:
        self.companion.unavailable.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(FELT_SECONDS):
                await self.companion.unavailable.wait()

    async def make_writable(self) -> None:
        """Undo `make_read_only`."""
        self.companion.order()
        await self.database.make_writable()


async def _now(what: Callable[[], None]) -> None:
    what()


type Step = Callable[[World], Awaitable[None]]

TROUBLES: Final[dict[str, tuple[Step, Step]]] = {
    "kill -9": (World.kill, World.start),
    "SIGTERM": (World.terminate, World.start),
    "background tasks killed": (
        lambda world: _now(lambda: world.companion.order(cancel=True)),
        lambda world: _now(world.companion.order),
    ),
    "disk full": (
        World.fill,
        lambda world: asyncio.to_thread(world.database.make_room),
    ),
    "read-only": (World.make_read_only, World.make_writable),
    "database gone": (lambda world: world.database.take_away(), lambda world: world.database.give_back()),
    "mail server hangs": (lambda world: _now(world.mail.hang), lambda world: _now(world.mail.flow)),
    "Chargebee hangs": (lambda world: _now(world.chargebee.hang), lambda world: _now(world.chargebee.flow)),
    MAIL_HANGS: (lambda world: _now(world.mail.hang), lambda world: _now(world.mail.flow)),
    CHARGEBEE_HANGS: (lambda world: _now(world.chargebee.hang), lambda world: _now(world.chargebee.flow)),
    AHEAD: (
        lambda world: _now(lambda: world.companion.order(wrong_by=TWO_DAYS)),
        lambda world: _now(world.companion.order),
    ),
    BACK: (
        lambda world: _now(lambda: world.companion.order(wrong_by=-TWO_DAYS)),
        lambda world: _now(world.companion.order),
    ),
}
"""How each begins and ends."""


async def rounds(world: World, mails: MailCatcher, names: list[str], seed: int, pace: Pace) -> dict[str, Any]:
    """Have the named troubles, one after the other; return the figures. Raise Broken."""
    companion, load = world.companion, Busy(world.companion, Random(seed))  # noqa: S311 - when it begins is no secret
    load.rest = pace.rest
    await companion.start()
    await load.link()
    recoveries: dict[str, float] = {}
    left_out = set()
    for name in names:
        begin, end = TROUBLES[name]
        before, unavailable = set(load.said.sessions), companion.answers[503]
        await world.database.forget_limits()
        without, renewed = companion.without.copy(), load.said.refreshes
        async with asyncio.TaskGroup() as group:
            work = ("sign_up", "sign_in", "refresh", "status", "checkout")
            tasks = [group.create_task(load.go_on(what)) for what in work]
            await asyncio.sleep(load.random.uniform(0.3, 1.0))
            try:
                await begin(world)
                await asyncio.sleep(LASTING.get(name) or load.random.uniform(*pace.lasts))
            except NoDisk:
                left_out.add(name)
            else:
                await end(world)
            begun = time.monotonic()
            await _recovered(world, name)
            if name in {AHEAD, BACK}:
                await _renewed(load, name)
            took = time.monotonic() - begun
            recoveries[name] = max(recoveries.get(name, 0.0), took)
            unavailable = companion.answers[503] - unavailable
            print(f"  {name}: {unavailable} times 503, ready again after {took:.1f} s", flush=True)
            for task in tasks:
                task.cancel()
        if name in LASTING:
            _served_meanwhile(companion.without - without, load.said.refreshes - renewed, name)
        if name in {AHEAD, BACK}:
            # After two days, as far as the companion can know, every session is over; and those are that began then
            load.said.sessions = [one for one in load.said.sessions if name == BACK and one in before]
        companion.judge(name)
        await nothing_lost(load, name)
    await every_mail(mails, load.said.sign_ups)
    await companion.stop()
    audit = await whole_audit(companion)
    return {
        "rounds": len(names),
        "answers": ", ".join(f"{status}: {number}" for status, number in sorted(companion.answers.items())),
        "sign-ups": len(load.said.sign_ups),
        "refreshes": load.said.refreshes,
        "mails handed over again": sum(times > 1 for times in mails.handed_over.values()),
        "longest recovery": ", ".join(f"{name} {seconds:.1f} s" for name, seconds in recoveries.items()),
        "left out": ", ".join(sorted(left_out)) or "nothing",
        "audit": audit,
    }


def _served_meanwhile(without: Counter[str], renewals: int, name: str) -> None:
    """What hangs holds up nobody who does not need it: not the pages, not the links, not who waits for no answer."""
    if others := without.keys() - {CHECKOUT}:
        raise Broken(f"{name}: 503 at {', '.join(sorted(others))}")
    if name == CHARGEBEE_HANGS and not without[CHECKOUT]:
        raise Broken(f"{name}: nobody was told that the checkout is not to be had")
    if renewals < LASTING[name]:
        raise Broken(f"{name}: {renewals} renewals of a link in {LASTING[name]} s")


async def _recovered(world: World, name: str) -> None:
    """Wait until it is ready and all background work goes on."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    said: dict[str, Any] = {}
    while time.monotonic() < deadline:
        # A server that died of a full disk is started again by whoever keeps it
        await world.database.give_back()
        said = await world.companion.readiness()
        if said.get("code") == 200 and said.get("status") == "ok":
            return
        await asyncio.sleep(0.2)
    raise Broken(f"{name}: not ready after {RECOVERY_SECONDS} s: {said}")


async def _renewed(load: Load, name: str) -> None:
    """Wait until the renewal that was under way has its answer.

    It may have been made by the wrong clock. To lose its answer and ask again days later ends a link, as it should.
    """
    before, deadline = load.said.refreshes, time.monotonic() + RECOVERY_SECONDS
    while load.said.refreshes == before:
        if time.monotonic() > deadline:
            raise Broken(f"{name}: the link is not renewed although all is well")
        await asyncio.sleep(0.05)


async def troubled(kind: str, names: list[str], seed: int, pace: Pace = Pace()) -> dict[str, Any]:
    """Have troubles on one kind of database."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        mail, chargebee = Valve(), Valve()
        with disk_database(kind, folder) as database:
            if isinstance(database, Postgresql):
                await database.start()
            async with MailCatcher() as mails, ChargebeeSimulator() as simulator:
                simulator.gate.limit = 1_000_000
                await mail.start(mails.smtp_port)
                await chargebee.start(int(simulator.url.rpartition(":")[2].split("/")[0]))
                companion = Held(
                    folder,
                    database.address,
                    processes=2 if kind == "postgresql" else 1,
                    smtp_host="127.0.0.1",
                    smtp_port=str(mail.port),
                    smtp_security="none",
                    billing="chargebee",
                    chargebee_site="acme-test",
                    chargebee_api_key="test_simulated",
                    chargebee_item_prices=f"{PRICE}=Controls",
                    chargebee_base_url=f"http://127.0.0.1:{chargebee.port}",
                )
                await companion.command("migrate")
                await companion.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
                try:
                    return await rounds(World(companion, database, mail, chargebee), mails, names, seed, pace)
                finally:
                    await companion.kill()
                    await mail.stop()
                    await chargebee.stop()


async def main(count: int) -> int:
    """Print what was found; return the exit code."""
    code = 0
    for kind in ("sqlite", "postgresql"):
        names = [name for name in TROUBLES if name not in LASTING] * count + list(LASTING)
        Random(1).shuffle(names)  # noqa: S311 - the order is no secret
        try:
            found = await troubled(kind, names, seed=1)
            print(f"{kind}: nothing lost, nothing twice, no 5xx but 503.")
            for name, what in found.items():
                print(f"  {name}: {what}")
        except* Broken as broken:
            print(f"{kind}: {'; '.join(str(one) for one in broken.exceptions)}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)))
