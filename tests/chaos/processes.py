"""`script/chaos companion --processes 3`: several processes behind HAProxy, on one PostgreSQL with a standby.

One process is killed, told to stop, drained; the database restarts, fails over for twenty seconds, has no connection
left, or holds a lock so that the processes' own pools fill; all of it directly and through pgbouncer in transaction
mode. Meanwhile people sign up and in, two linked Home Assistants ask and renew, Chargebee calls. In between every
answer is what it should be, or 503 with Retry-After. Afterwards what was acknowledged is true, nobody signed in twice
by one code or one form, and seconds after the cause has ended everything is answered again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
import os
from pathlib import Path
from random import Random
import re
import sys
import tempfile
import time
from typing import Final, override
from uuid import uuid4

import aiohttp
import pyotp

from teslafi_simulators.chargebee import ChargebeeSimulator
from teslafi_simulators.mail import MailCatcher
from tests.live.ports import free_port
from tests.live.proxied import haproxy, with_sbin
from tests.live.served import Browser

from .kept import Judged, every_mail, nothing_lost, whole_audit
from .load import NETWORK_FAULTS, PASSWORD, TIMEOUT, Broken, csrf
from .replicated import Replicated, readable
from .troubles import Busy

HOSTING: Final = Path(__file__).parents[2] / "hosting"
RECOVERY_SECONDS: Final = 5.0
"""The promise: from the end of the cause to the answers."""
PATIENCE: Final = 300.0
FAILOVER_SECONDS: Final = 20.0
QUIET: Final = 2.0
"""For so long there must be no 503 any more before the last one is believed to have been it."""
STUCK: Final = 3.0
"""What has waited for longer is as good as not answered."""
HOOKS: Final = "chargebee:a password for the chaos alone"
PAUSES: Final = {"sign_in": 0.3, "sign_up": 0.2, "spend": 1.0}
"""Between two of the same: a password costs a tenth of a second of CPU on purpose, a mail some work."""
SPENDER: Final = "spender@example.org"


class Fleet(Judged):
    """So many processes, each with a port of its own, behind HAProxy as hosting/haproxy/ has it."""

    def __init__(self, folder: Path, database: str, processes: int, **settings: str) -> None:
        """Take the settings; nothing runs yet."""
        super().__init__(folder, database, processes=processes, **(settings | {"reuse_port": "false"}))
        self.ports = [free_port() for _ in range(processes)]
        self._socket = folder / "haproxy.sock"
        self._haproxy: asyncio.subprocess.Process | None = None

    @override
    async def start(self) -> None:
        """Start every process and what stands in front, and wait until all of them serve."""
        self._processes = [await self._serve(listen_port=str(port)) for port in self.ports]
        await asyncio.gather(*(self._ready(port) for port in self.ports))
        self._haproxy = await haproxy(self._folder, self.port, self.ports, self._socket)
        await self._ready(self.port)

    async def _ready(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.05)
        raise Broken(self.log.read_text()[-2000:])

    async def restart(self, number: int) -> None:
        """Start a process again that has ended."""
        self._processes[number] = await self._serve(listen_port=str(self.ports[number]))
        await self._ready(self.ports[number])

    async def kill_one(self, number: int) -> None:
        """End a process as the kernel does that is out of memory."""
        self._processes[number].kill()
        await self._processes[number].wait()

    async def stop_one(self, number: int) -> None:
        """Tell a process to stop, and HAProxy nothing."""
        self._processes[number].terminate()
        if code := await self._processes[number].wait():
            raise Broken(f"SIGTERM ended with {code}")

    async def state(self, number: int, word: str) -> None:
        """Tell HAProxy what to do with a process: `drain`, `ready`."""
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        writer.write(f"set server companion/p{number} state {word}\n".encode())
        await writer.drain()
        if said := (await reader.read()).strip():
            raise Broken(f"HAProxy: {said.decode()}")
        writer.close()

    @override
    async def kill(self) -> None:
        if self._haproxy is not None and self._haproxy.returncode is None:
            self._haproxy.kill()
            await self._haproxy.wait()
        await super().kill()


@asynccontextmanager
async def pgbouncer(folder: Path, target: int, name: str) -> AsyncIterator[int]:
    """Run pgbouncer as hosting/pgbouncer/ has it, with fewer connections than the processes want; gives its port."""
    port = free_port()
    said = (HOSTING / "pgbouncer" / "pgbouncer.ini").read_text(encoding="ascii")
    said = re.sub(r"companion = .*", f"{name} = host=127.0.0.1 port={target} dbname={name} user=companion", said)
    said = said.replace("6432", str(port)).replace("default_pool_size = 20", "default_pool_size = 4")
    said = re.sub(r"auth_type = .*\nauth_file = .*", "auth_type = any", said)
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(said, encoding="ascii")
    keeper = asyncio.create_task(_kept_alive(configuration, folder / "pgbouncer.log"))
    try:
        async with asyncio.timeout(PATIENCE):
            await _listens(port)
        yield port
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _listens(port: int) -> None:
    while True:
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)


async def _kept_alive(configuration: Path, log: Path) -> None:
    """Run pgbouncer, and start it again when it ends, as its service has to.

    Debian's 1.18 ends itself where a statement on a silent server is cancelled (pgbouncer/pgbouncer#801).
    """
    user = "postgres" if os.geteuid() == 0 else None
    while True:
        with log.open("ab") as said:
            process = await asyncio.create_subprocess_exec(
                "pgbouncer", str(configuration), stdout=said, stderr=said, env=with_sbin(), user=user
            )
        try:
            await process.wait()
            print("  pgbouncer ended itself, and is started again", flush=True)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class People(Busy):
    """The load: people, a linked Home Assistant, Chargebee, and somebody who sends each recovery code twice at once."""

    def __init__(self, fleet: Fleet, random: Random, owner: str) -> None:
        """Begin with nothing acknowledged."""
        super().__init__(fleet, random, owner)
        self.fleet = fleet
        self.hooks: set[str] = set()
        self.forms = 0
        """Sign-in forms that were sent, whatever came back."""
        self.entered = 0
        """How many of them were let in."""
        self.codes: list[str] = []
        self.spent: Counter[str] = Counter()

    async def webhook(self) -> None:
        """Tell of an event, as Chargebee does."""
        event = f"ev_{uuid4().hex}"
        body = {
            "id": event,
            "event_type": "subscription_renewed",
            "occurred_at": int(time.time()),
            "content": {"subscription": {"id": event, "customer_id": str(uuid4())}},
        }
        headers = {"Authorization": aiohttp.encode_basic_auth(*HOOKS.split(":"))}
        async with self.browser() as browser:
            status, _, _ = await browser.ask("POST", "/webhooks/chargebee", json=body, headers=headers)
        if status == 200:
            self.hooks.add(event)

    @override
    async def sign_in(self) -> None:
        self.forms += 1
        before = self.said.sessions
        await super().sign_in()
        self.entered += self.said.sessions is not before
        # Of twenty sessions of an account the longest unused ends, and there are those whose answer was lost
        self.said.sessions = self.said.sessions[-4:]

    async def spend(self) -> None:
        """Use one recovery code from two browsers at the same moment, until it is known to be spent."""
        if not self.codes:
            await asyncio.sleep(1)
            return
        code = self.codes[0]
        # Before the answer is known: who stops waiting for it may have been let in
        self.spent.setdefault(code, 0)
        statuses = await asyncio.gather(self._enter(code), self._enter(code))
        self.spent[code] += statuses.count(303)
        if 303 in statuses or 400 in statuses:
            # A refusal without an entry is a code whose answer was lost
            self.codes.pop(0)

    async def _enter(self, code: str) -> int:
        async with self.browser() as browser:
            form = {"email": SPENDER, "password": PASSWORD, "next": "/account"}
            status, _, _ = await browser.ask("POST", "/sign-in", data=form)
            if status != 303:
                return 503
            form = {"recovery_code": code, "next": "/account"}
            status, _, _ = await browser.ask("POST", "/sign-in/second-factor", data=form)
        return status

    async def save_codes(self) -> None:
        """Turn an authenticator app on for the one who spends, and write the recovery codes down."""
        path = "/account/security/app"
        async with self.browser() as browser:
            await browser.ask("POST", "/sign-in", data={"email": SPENDER, "password": PASSWORD, "next": "/account"})
            _, step_up, _ = await browser.ask("GET", path)
            _, _, page = await browser.ask("GET", step_up)
            form = {"csrf": csrf(page), "purpose": "change-factors", "next": path, "password": PASSWORD}
            await browser.ask("POST", "/step-up", data=form)
            _, _, page = await browser.ask("GET", path)
            secret = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', page)
            if secret is None:
                raise Broken("no secret for an app")
            form = {"csrf": csrf(page), "code": pyotp.TOTP(secret[1].replace(" ", "")).now()}
            _, _, page = await browser.ask("POST", path, data=form)
        self.codes = re.findall(r"<li>([0-9A-Z]{6}(?:-[0-9A-Z]{6}){3})</li>", page)
        if not self.codes:
            raise Broken("no recovery codes")

    @override
    async def alive(self, cookie: str) -> bool:
        """Say whether a session opens the account; 503 says neither."""
        while True:
            async with aiohttp.ClientSession(cookies={"session": cookie}, timeout=TIMEOUT) as session:
                status, _, _ = await Browser(session, self.fleet, self.address()).ask("GET", "/account")
            if status != 503:
                return status == 200
            await asyncio.sleep(0.5)

    @override
    async def go_on(self, what: str) -> None:
        """Do one thing again and again. HAProxy is always there: no answer at all is as wrong as a 500."""
        while True:
            try:
                await getattr(self, what)()
            except NETWORK_FAULTS as fault:
                self.fleet.wrong.append(f"{type(fault).__name__} in {what}")
            await asyncio.sleep(PAUSES.get(what, 0.05))


class Responsiveness:
    """Asks again and again without waiting for the answers before, and knows since when all of it is answered."""

    def __init__(self, load: People) -> None:
        """Begin."""
        self._load = load
        self._failed_at = 0.0
        self._open: dict[object, float] = {}
        """Those that are not answered yet, and since when."""

    async def go_on(self) -> None:
        """Ask for the status of a link and for readiness, until cancelled."""
        headers = {"Authorization": f"Bearer {self._load.said.access_token}"}
        async with asyncio.TaskGroup() as group:
            while True:
                for path in ("/api/v1/status", "/readyz"):
                    group.create_task(self._ask(path, headers))
                await asyncio.sleep(0.25)

    async def _ask(self, path: str, headers: dict[str, str]) -> None:
        this = object()
        self._open[this] = time.monotonic()
        try:
            async with self._load.browser() as browser:
                status, _, _ = await browser.ask("GET", path, headers=headers)
        except NETWORK_FAULTS as fault:
            self._load.fleet.wrong.append(f"{type(fault).__name__} at {path}")
            status = 599
        finally:
            del self._open[this]
        if status >= 500:
            self._failed_at = time.monotonic()

    async def recovered(self, since: float) -> float:
        """Wait until all has been answered for a while; return how long after `since` the last was not."""
        deadline = time.monotonic() + PATIENCE
        while (now := time.monotonic()) < deadline:
            if any(now - begun > STUCK for begun in self._open.values()):
                self._failed_at = now
            if now - max(self._failed_at, since) > QUIET:
                return max(self._failed_at - since, 0.0)
            await asyncio.sleep(0.05)
        raise Broken(f"not answered again after {PATIENCE} s")


@dataclass
class World:
    """All that can fail."""

    fleet: Fleet
    database: Replicated
    random: Random
    crowd: Callable[[], Awaitable[None]]
    """Asks for more at once than the pools hold."""
    failover_seconds: float = FAILOVER_SECONDS

    def one(self) -> int:
        """Choose a process."""
        return self.random.randrange(len(self.fleet.ports))


type Trouble = Callable[[World], Awaitable[float]]
"""Has a trouble from beginning to end; returns the moment at which its cause had ended."""


async def killed(world: World) -> float:
    """Kill one process; the others go on, and it is started again a while later."""
    number = world.one()
    await world.fleet.kill_one(number)
    ended = time.monotonic()
    await asyncio.sleep(2)
    await world.fleet.restart(number)
    return ended


async def stopped(world: World) -> float:
    """Tell one process to stop."""
    number = world.one()
    await world.fleet.stop_one(number)
    ended = time.monotonic()
    await world.fleet.restart(number)
    return ended


async def drained(world: World) -> float:
    """Take one process out in order, stop it, and put a new one in: nobody may notice."""
    number, before = world.one(), world.fleet.answers[503]
    await world.fleet.state(number, "drain")
    await asyncio.sleep(1)
    await world.fleet.stop_one(number)
    await world.fleet.restart(number)
    await world.fleet.state(number, "ready")
    await asyncio.sleep(1)
    if lost := world.fleet.answers[503] - before:
        raise Broken(f"draining one process cost {lost} answers")
    return time.monotonic()


async def restarted(world: World) -> float:
    """Restart the database."""
    await world.database.restart()
    return time.monotonic()


async def failed_over(world: World) -> float:
    """Lose the primary without a word, and have the standby serve a while later."""
    await world.database.vanish()
    await asyncio.sleep(world.failover_seconds)
    await world.database.fail_over()
    return time.monotonic()


async def full_server(world: World) -> float:
    """Leave no connection of the server to anybody."""
    taken = await world.database.fill()
    await asyncio.sleep(3)
    await asyncio.gather(*(connection.close(timeout=5) for connection in taken), return_exceptions=True)
    return time.monotonic()


async def full_pool(world: World) -> float:
    """Hold a lock that everybody waits for, while more ask than the pools have connections."""
    holder = await world.database.serving.connect(world.database.name)
    async with holder.transaction():
        await holder.execute("LOCK TABLE link IN ACCESS EXCLUSIVE MODE")
        crowd = asyncio.ensure_future(world.crowd())
        await asyncio.sleep(12)
    await holder.close()
    ended = time.monotonic()
    await crowd
    return ended


TROUBLES: Final[dict[str, Trouble]] = {
    "kill -9 of one": killed,
    "SIGTERM of one": stopped,
    "one drained": drained,
    "database restarted": restarted,
    "no connection left": full_server,
    "pools full": full_pool,
    "failover": failed_over,
}
"""In this order: after the failover there is no standby any more."""
WORK: Final = ("sign_up", "sign_in", "refresh", "status", "webhook", "spend")


@dataclass
class Found:
    """What a run found."""

    answers: Counter[int] = field(default_factory=Counter)
    recoveries: dict[str, float] = field(default_factory=dict)
    sign_ups: int = 0
    hooks: int = 0
    refreshes: int = 0
    forms: int = 0
    codes: int = 0
    audit: str = ""

    @override
    def __str__(self) -> str:
        answers = ", ".join(f"{status}: {number}" for status, number in sorted(self.answers.items()))
        return (
            f"Answers {answers}. {self.sign_ups} sign-ups, {self.hooks} webhooks, {self.refreshes} link renewals, "
            f"{self.forms} sign-ins, {self.codes} recovery codes from two browsers at once. {self.audit}"
        )


async def have(world: World, loads: list[People], names: list[str], *, bound: float | None, found: Found) -> None:
    """Have the named troubles, one after the other. Raise Broken."""
    for name in names:
        unavailable = world.fleet.answers[503]
        responsiveness = Responsiveness(loads[0])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(responsiveness.go_on())]
            tasks += [
                group.create_task(load.go_on(what))
                for load in loads
                for what in WORK[: None if load is loads[0] else 5]
            ]
            await asyncio.sleep(world.random.uniform(0.3, 1.0))
            ended = await TROUBLES[name](world)
            took = await responsiveness.recovered(ended)
            for task in tasks:
                task.cancel()
        found.recoveries[name] = took
        unavailable = world.fleet.answers[503] - unavailable
        print(f"  {name}: {unavailable} times 503, the last {took:.1f} s after the cause had ended", flush=True)
        world.fleet.judge(name)
        if bound is not None and took > bound:
            raise Broken(f"{name}: recovered after {took:.1f} s")
        for load in loads:
            await nothing_lost(load, name)
            if twice := [code for code, times in load.spent.items() if times > 1]:
                raise Broken(f"{name}: {len(twice)} codes let somebody in twice")


async def _kept(database: Replicated, loads: list[People]) -> None:
    """Look into the database: each acknowledged event once, and no form or code that let somebody in twice."""
    connection = await database.serving.connect(database.name)
    try:
        events = {row["id"] for row in await connection.fetch("SELECT id FROM billing_event")}
        entries = await connection.fetchval("SELECT count(*) FROM audit WHERE event = 'sign_in_success'")
    finally:
        await connection.close()
    if lost := set().union(*(load.hooks for load in loads)) - events:
        raise Broken(f"{len(lost)} acknowledged events were lost")
    # Each link and each app were set up in one session more
    others = len(loads) + 1
    at_most = sum(load.forms + len(load.spent) for load in loads) + others
    at_least = sum(load.entered + load.spent.total() for load in loads) + others
    if not at_least <= entries <= at_most:
        raise Broken(f"{entries} sign-ins; {at_least} were acknowledged, {at_most} asked for")


async def troubled(
    processes: int,
    names: list[str],
    *,
    pooled: bool,
    seed: int,
    homes: int = 2,
    bound: float | None = RECOVERY_SECONDS,
    folder: Path | None = None,
) -> Found:
    """Have troubles with so many processes, directly or through pgbouncer. Raise Broken."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = folder or Path(temporary)
        readable(folder)
        database = Replicated(folder, "chaos")
        try:
            await database.start(standby="failover" in names)
            async with MailCatcher() as mails, ChargebeeSimulator() as simulator:
                simulator.gate.limit = 1_000_000
                settings = {
                    "database_pool": "4",
                    "smtp_host": "127.0.0.1",
                    "smtp_port": str(mails.smtp_port),
                    "smtp_security": "none",
                    "billing": "chargebee",
                    "chargebee_site": "acme-test",
                    "chargebee_api_key": "test_simulated",
                    "chargebee_item_prices": "controls-USD-monthly=Controls",
                    "chargebee_webhook_credentials": HOOKS,
                    "chargebee_base_url": simulator.url,
                }
                async with AsyncExitStack() as stack:
                    port = database.address.port
                    if pooled:
                        port = await stack.enter_async_context(pgbouncer(folder, port, database.name))
                        settings["database_transaction_pooling"] = "true"
                    address = f"postgresql://companion@127.0.0.1:{port}/{database.name}"
                    fleet = Fleet(folder, address, processes, **settings)
                    return await _served(fleet, database, mails, names, seed=seed, homes=homes, bound=bound)
        finally:
            await database.close()


async def _served(
    fleet: Fleet,
    database: Replicated,
    mails: MailCatcher,
    names: list[str],
    *,
    seed: int,
    homes: int,
    bound: float | None,
) -> Found:
    await fleet.command("migrate")
    owners = [f"owner-{number}@example.org" for number in range(homes)]
    for email in (*owners, SPENDER):
        await fleet.command("create-account", email, "--password-stdin", stdin=f"{PASSWORD}\n")
    try:
        await fleet.start()
        random = Random(seed)  # noqa: S311 - when it begins is no secret
        loads = [People(fleet, random, owner) for owner in owners]
        for number, load in enumerate(loads):
            await load.link(f"chaos-{number:016}")
        await loads[0].save_codes()
        found = Found()
        world = World(fleet, database, random, lambda: _crowd(fleet, loads[0]))
        await have(world, loads, names, bound=bound, found=found)
        await every_mail(mails, set().union(*(load.said.sign_ups for load in loads)))
        await fleet.stop()
        await _kept(database, loads)
        audit = await whole_audit(fleet)
    finally:
        await fleet.kill()
    found.answers = fleet.answers
    found.sign_ups = sum(len(load.said.sign_ups) for load in loads)
    found.hooks = sum(len(load.hooks) for load in loads)
    found.refreshes = sum(load.said.refreshes for load in loads)
    found.forms = sum(load.forms for load in loads)
    found.codes = len(loads[0].spent)
    found.audit = audit
    return found


async def _crowd(fleet: Fleet, load: People) -> None:
    """Ask from so many at once that every connection of every pool is waited for."""
    headers = {"Authorization": f"Bearer {load.said.access_token}"}

    async def ask() -> None:
        async with load.browser() as browser:
            await browser.ask("GET", "/api/v1/status", headers=headers)

    await asyncio.gather(*(ask() for _ in range(12 * len(fleet.ports))))


async def main(processes: int) -> int:
    """Print what was found; return the exit code."""
    code = 0
    for pooled in (False, True):
        way = "through pgbouncer" if pooled else "directly"
        print(f"{processes} processes, {way}:", flush=True)
        try:
            found = await troubled(processes, list(TROUBLES), pooled=pooled, seed=1)
            print(f"{way}: nothing lost, nobody in twice, no 5xx but 503 with Retry-After.")
            print(f"  {found}")
        except* Broken as broken:
            print(f"{way}: {'; '.join(str(one) for one in broken.exceptions)}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]))))
