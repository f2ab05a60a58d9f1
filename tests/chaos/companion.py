"""`script/chaos companion [ROUNDS]`: kill -9 at random moments under load, then look whether anything was lost.

In each round people sign up and sign in, a linked Home Assistant renews its link, and the companion is killed in
between. What was acknowledged must be true afterwards: every accepted sign-up leads to exactly one mail, every session
that was opened is alive, the link goes on. In the end the audit chain has to be whole.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from pathlib import Path
from random import Random
import re
import sys
import tempfile
import time
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import aiohttp
import asyncpg

from teslafi_companion.domain.links.pkce import challenge_of
from teslafi_simulators.mail import MailCatcher
from tests.companion.postgresql import running_server
from tests.live.served import Browser, ServedCompanion

ROUNDS: Final = 50
REDIRECT: Final = "https://my.home-assistant.io/redirect/oauth"
OWNER: Final = "owner@example.org"
PASSWORD: Final = "nine purple teapots on a hill"
VERIFIER: Final = "v" * 64
TIMEOUT: Final = aiohttp.ClientTimeout(total=120)
MAIL_SECONDS: Final = 300
"""A mail that was claimed by a killed process is free again after its lease of a minute."""

NETWORK_FAULTS: Final = (aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass
class Acknowledged:
    """What the companion has said yes to."""

    sign_ups: set[str] = field(default_factory=set)
    sessions: list[str] = field(default_factory=list)
    refresh_token: str = ""
    access_token: str = ""
    refreshes: int = 0


class Broken(Exception):
    """Something acknowledged was lost, or something happened twice."""


class Load:
    """People and a Home Assistant, as long as the companion lets them."""

    def __init__(self, companion: ServedCompanion, random: Random) -> None:
        """Begin with nothing acknowledged."""
        self.companion = companion
        self.random = random
        self.said = Acknowledged()

    def address(self) -> str:
        """Return the address of somebody new: limits by network are not what is tested."""
        return ".".join(str(self.random.randrange(1, 255)) for _ in range(4))

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """Give an empty browser."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=TIMEOUT) as session:
            yield Browser(session, self.companion, self.address())

    async def sign_up(self) -> None:
        """Ask for an account with a new address."""
        email = f"{uuid4().hex}@example.org"
        async with self.browser() as browser:
            status, _, _ = await browser.ask("POST", "/sign-up", data={"email": email})
        if status == 200:
            self.said.sign_ups.add(email)

    async def sign_in(self) -> None:
        """Open a session."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=TIMEOUT) as session:
            browser = Browser(session, self.companion, self.address())
            form = {"email": OWNER, "password": PASSWORD, "next": "/account"}
            status, _, _ = await browser.ask("POST", "/sign-in", data=form)
            if status == 303:
                cookie = next(cookie.value for cookie in jar if cookie.key == "session")
                # Beyond twenty sessions of an account the longest unused ends: look at the newest ten
                self.said.sessions = [*self.said.sessions[-9:], cookie]

    async def refresh(self) -> None:
        """Renew the link: the token that was stored last is sent, whatever became of the request before."""
        form = {"grant_type": "refresh_token", "client_id": "home-assistant", "refresh_token": self.said.refresh_token}
        async with self.browser() as browser:
            status, _, text = await browser.ask("POST", "/oauth/token", data=form)
        if status != 200:
            raise Broken(f"the link is broken: {status} {json.loads(text).get('error')}")
        self._take(text)
        self.said.refreshes += 1

    def _take(self, answer: str) -> None:
        tokens = json.loads(answer)
        self.said.refresh_token, self.said.access_token = tokens["refresh_token"], tokens["access_token"]

    async def link(self, instance: str = "chaos-0123456789abcdef") -> None:
        """Link a Home Assistant, once."""
        asked = {
            "response_type": "code",
            "client_id": "home-assistant",
            "redirect_uri": REDIRECT,
            "state": "s",
            "scope": "account:read link:read",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "instance_name": "Chaos",
            "instance_id": instance,
        }
        path = f"/oauth/authorize?{urlencode(asked)}"
        async with self.browser() as browser:
            await browser.ask("POST", "/sign-in", data={"email": OWNER, "password": PASSWORD, "next": "/account"})
            _, step_up, _ = await browser.ask("GET", path)
            _, _, page = await browser.ask("GET", step_up)
            form = {"csrf": csrf(page), "purpose": "link", "next": path, "password": PASSWORD}
            await browser.ask("POST", "/step-up", data=form)
            _, _, page = await browser.ask("GET", path)
            _, location, page = await browser.ask("POST", path, data={"csrf": csrf(page), "answer": "allow"})
            code = parse_qs(urlsplit(location).query)["code"][0]
            form = {
                "grant_type": "authorization_code",
                "client_id": "home-assistant",
                "code": code,
                "redirect_uri": REDIRECT,
                "code_verifier": VERIFIER,
            }
            _, _, text = await browser.ask("POST", "/oauth/token", data=form)
        self._take(text)

    async def go_on(self, what: str) -> None:
        """Do one thing again and again; a companion that was killed is waited for."""
        while True:
            try:
                await getattr(self, what)()
            except NETWORK_FAULTS:
                await asyncio.sleep(0.05)

    async def alive(self, cookie: str) -> bool:
        """Say whether a session opens the account."""
        async with aiohttp.ClientSession(cookies={"session": cookie}, timeout=TIMEOUT) as session:
            status, _, _ = await Browser(session, self.companion, self.address()).ask("GET", "/account")
        return status == 200


def csrf(page: str) -> str:
    """Return the token of a page's form; raises Broken."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    if found is None:
        raise Broken("a page without its form")
    return found[1]


async def rounds(companion: ServedCompanion, mails: MailCatcher, count: int, seed: int) -> dict[str, Any]:
    """Kill the companion so often; return what was acknowledged. Raise Broken."""
    load = Load(companion, Random(seed))  # noqa: S311 - when to kill is no secret
    await companion.start()
    await load.link()
    for number in range(1, count + 1):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(load.go_on(what)) for what in ("sign_up", "sign_in", "sign_in", "refresh")]
            await asyncio.sleep(load.random.uniform(0.2, 1.5))
            await companion.kill()
            for task in tasks:
                task.cancel()
        await companion.start()
        await load.refresh()
        lost = [cookie for cookie in load.said.sessions if not await load.alive(cookie)]
        if lost:
            raise Broken(f"round {number}: {len(lost)} sessions were lost")
    await _all_mails(mails, load.said.sign_ups)
    await companion.stop()
    report = await companion.command("check")
    if "NOT COMPLETE" in report:
        raise Broken(report)
    repeated = {name: times for name, times in mails.handed_over.items() if times > 1}
    return {
        "kills": count,
        "sign-ups": len(load.said.sign_ups),
        "refreshes": load.said.refreshes,
        "handed over again under the same Message-ID": len(repeated),
        "audit": report.strip().splitlines()[-1],
    }


async def _all_mails(mails: MailCatcher, wanted: set[str]) -> None:
    """Wait until every acknowledged sign-up has its mail, and look that none has two."""
    deadline = time.monotonic() + MAIL_SECONDS
    while missing := wanted - {recipient for mail in mails.mails for recipient in mail.recipients}:
        if time.monotonic() > deadline:
            raise Broken(f"{len(missing)} mails were lost")
        await asyncio.sleep(0.5)
    counts = Counter(recipient for mail in mails.mails for recipient in mail.recipients if recipient in wanted)
    if twice := [recipient for recipient, times in counts.items() if times > 1]:
        raise Broken(f"{len(twice)} people got their mail twice")


@asynccontextmanager
async def database(kind: str, folder: Path) -> AsyncIterator[str]:
    """Give the address of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'data' / 'companion.sqlite3'}"
        return
    with running_server() as port:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="companion", database="postgres")
        await connection.execute('CREATE DATABASE "chaos"')
        await connection.close()
        yield f"postgresql://companion@127.0.0.1:{port}/chaos"


async def chaos(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Do all rounds on one database."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        async with database(kind, folder) as address, MailCatcher() as mails:
            companion = ServedCompanion(
                folder,
                address,
                smtp_host="127.0.0.1",
                smtp_port=str(mails.smtp_port),
                smtp_security="none",
                processes=2 if kind == "postgresql" else 1,
            )
            await companion.command("migrate")
            await companion.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
            try:
                return await rounds(companion, mails, count, seed)
            finally:
                await companion.kill()


async def main(count: int) -> int:
    """Print what was found; return the exit code."""
    code = 0
    for kind in ("sqlite", "postgresql"):
        try:
            found = await chaos(kind, count, seed=1)
            print(f"{kind}: nothing lost, nothing twice.", ", ".join(f"{name} {what}" for name, what in found.items()))
        except* Broken as broken:
            print(f"{kind}: {'; '.join(str(one) for one in broken.exceptions)}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)))
