"""The load of every chaos of the companion: people who sign up and in, and a Home Assistant that renews its link."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from random import Random
import re
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import aiohttp

from teslafi_companion.domain.links.pkce import challenge_of
from tests.live.served import Browser, ServedCompanion

REDIRECT: Final = "https://my.home-assistant.io/redirect/oauth"
OWNER: Final = "owner@example.org"
PASSWORD: Final = "nine purple teapots on a hill"
VERIFIER: Final = "v" * 64
TIMEOUT: Final = aiohttp.ClientTimeout(total=120)

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

    def __init__(self, companion: ServedCompanion, random: Random, owner: str = OWNER) -> None:
        """Begin with nothing acknowledged."""
        self.companion = companion
        self.owner = owner
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
            form = {"email": self.owner, "password": PASSWORD, "next": "/account"}
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
        self._keep_tokens(text)
        self.said.refreshes += 1

    def _keep_tokens(self, answer: str) -> None:
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
            await browser.ask("POST", "/sign-in", data={"email": self.owner, "password": PASSWORD, "next": "/account"})
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
        self._keep_tokens(text)

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
