"""The companion as a process: ready, measured, silent about secrets after a whole life, ending in order."""

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path
import re
from urllib.parse import urlencode

import aiohttp
import asyncpg
import pyotp
import pytest

from teslafi_simulators.mail import MailCatcher
from tests.live.ports import free_port
from tests.live.processes import COMPANIONS
from tests.live.served import READY_SECONDS, Browser, ServedCompanion

from .postgresql import BIN
from .prepared import migrate_now

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

EMAIL = "marker.quetzal@example.org"
PASSWORD = "marker seven purple quetzals dance"


@pytest.fixture
async def mails() -> AsyncIterator[MailCatcher]:
    """Be the mail server."""
    async with MailCatcher() as catcher:
        yield catcher


@pytest.fixture
def metrics_port() -> int:
    """Return a port for the metrics."""
    return free_port()


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start companions as copies; `test_a_whole_life` starts one as an operator does, on SQLite."""
    monkeypatch.setattr(ServedCompanion, "starts", COMPANIONS)


@pytest.fixture
async def companion(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, mails: MailCatcher, metrics_port: int
) -> AsyncIterator[ServedCompanion]:
    """Run the companion, as chatty as it can be."""
    if not database.startswith("sqlite"):
        request.getfixturevalue("_forked")
    served = ServedCompanion(
        tmp_path,
        database,
        smtp_host="127.0.0.1",
        smtp_port=str(mails.smtp_port),
        smtp_security="none",
        metrics_port=str(metrics_port),
        log_level="debug",
    )
    migrate_now(database)
    await served.start()
    try:
        yield served
    finally:
        await served.kill()


class Secrets:
    """Everything that nobody but its owner may read."""

    def __init__(self) -> None:
        """Begin with the account's."""
        self.texts = {"address": EMAIL, "password": PASSWORD}

    def found_in(self, content: bytes) -> list[str]:
        """Return which of them a file or a text holds."""
        return [name for name, text in self.texts.items() if text.encode() in content]


async def a_whole_life(companion: ServedCompanion, mails: MailCatcher) -> Secrets:
    """Sign up, set up two-factor, link a Home Assistant, use it; return what was secret on the way."""
    secrets = Secrets()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        browser = Browser(session, companion, "198.51.100.77")

        async def page(path: str) -> str:
            _, _, text = await browser.ask("GET", path)
            return text

        async def send(path: str, **form: str) -> tuple[int, str, str]:
            return await browser.ask("POST", path, data=form)

        await send("/sign-up", email=EMAIL)
        mail = await mails.next_to(EMAIL)
        token = mail.text.split("?token=")[1].split()[0]
        secrets.texts["mail link"] = token
        await send("/sign-up/confirm", token=token, password=PASSWORD)
        await send("/sign-in", email=EMAIL, password="a marker that is wrong")
        secrets.texts["wrong password"] = "a marker that is wrong"
        await send("/sign-in", email=EMAIL, password=PASSWORD, next="/account")
        csrf = _csrf(await page("/account"))
        back = "/account/security/app"
        await send("/step-up", csrf=csrf, purpose="change-factors", next=back, password=PASSWORD)
        key = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', await page(back))
        assert key is not None
        secrets.texts["authenticator key"] = key[1].replace(" ", "")
        await send(back, csrf=csrf, code=pyotp.TOTP(secrets.texts["authenticator key"]).now())
        _, _, text = await send("/account/security/recovery-codes", csrf=csrf)
        codes = re.findall(r"<li>([0-9A-Z]{6}(?:-[0-9A-Z]{6}){3})</li>", text)
        assert len(codes) == 8
        secrets.texts |= {f"recovery code {number}": code for number, code in enumerate(codes)}
        secrets.texts |= {f"cookie {cookie.key}": cookie.value for cookie in jar if cookie.value}
    return secrets


def _csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', text)
    assert found is not None, text
    return found[1]


async def columns_of(database: str, folder: Path) -> bytes:
    """Return all that a copy of the database shows: the files of SQLite, a dump of PostgreSQL."""
    if database.startswith("sqlite"):
        return b"".join(file.read_bytes() for file in (folder / "data").iterdir())
    process = await asyncio.create_subprocess_exec(
        str(BIN / "pg_dump"), "--inserts", database, stdout=asyncio.subprocess.PIPE
    )
    dump, _ = await process.communicate()
    assert process.returncode == 0
    # Binary columns are dumped in hexadecimal: a secret in clear would be found there as well
    return dump + b"".join(bytes.fromhex(part) for part in re.findall(r"\\x((?:[0-9a-f]{2})+)", dump.decode()))


async def test_a_whole_life_leaves_no_secret_in_database_log_or_metrics(
    companion: ServedCompanion, mails: MailCatcher, database: str, tmp_path: Path, metrics_port: int
) -> None:
    """The metrics are on a port of their own alone, and each line of the log is JSON. One process for all of it."""
    secrets = await a_whole_life(companion, mails)
    async with aiohttp.ClientSession() as session:
        metrics = await (await session.get(f"http://127.0.0.1:{metrics_port}/metrics")).read()
        assert (await session.get(f"http://127.0.0.1:{companion.port}/metrics")).status == 404
        assert (await session.get(f"http://127.0.0.1:{metrics_port}/sign-in")).status == 404
        await session.get(f"http://127.0.0.1:{companion.port}/sign-in?MARKER=query")
    assert b'companion_requests_total{method="POST",route="/sign-in",status="303"} 1.0' in metrics
    assert b'status="400"} 1.0' in metrics
    assert await companion.stop() == [0]
    log = (tmp_path / "companion.log").read_bytes()
    lines = log.decode().splitlines()
    assert {"listening", "serving", "answered", "stopping"} <= {json.loads(line)["event"] for line in lines}
    assert b"MARKER" not in log
    shown = await columns_of(database, tmp_path)
    assert b"sign_in_success" in shown
    assert {name: secrets.found_in(text) for name, text in (("db", shown), ("log", log), ("metrics", metrics))} == {
        "db": [],
        "log": [],
        "metrics": [],
    }
    assert secrets.found_in(b"..." + EMAIL.encode() + b"...") == ["address"]  # the search finds what is there


class Form:
    """A form on its way: its request has begun, its body is not sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
        """Hold the body back."""
        self._reader, self._writer, self._body = reader, writer, body

    async def answer(self) -> bytes:
        """Return the first line of the answer; nothing if there is none."""
        line = await self._reader.readline()
        self._writer.close()
        return line

    async def send(self) -> bytes:
        """Send the body, and return the first line of the answer."""
        self._writer.write(self._body)
        return await self.answer()


async def begin(companion: ServedCompanion, body: bytes) -> Form:
    """Ask to sign in, and wait until the companion asks for the form."""
    reader, writer = await asyncio.open_connection("127.0.0.1", companion.port)
    head = (
        f"POST /sign-in HTTP/1.1\r\nHost: localhost:{companion.port}\r\nOrigin: {companion.url}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    return Form(reader, writer, body)


@pytest.mark.usefixtures("_forked")
async def test_requests_under_way_are_finished_before_it_ends(companion: ServedCompanion) -> None:
    """SIGTERM: what has begun is answered, a form that is still on its way included, and nothing new is taken."""
    await companion.command("create-account", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
    body = urlencode({"email": EMAIL, "password": PASSWORD, "next": "/account"}).encode()
    forms = [await begin(companion, body) for _ in range(4)]
    ending = asyncio.create_task(companion.stop())
    await until_it_logs(companion, "stopping")
    assert [await form.send() for form in forms] == [b"HTTP/1.1 303 See Other\r\n"] * 4
    assert await ending == [0]
    with pytest.raises(ConnectionRefusedError):
        await begin(companion, body)


async def until_it_logs(companion: ServedCompanion, event: str) -> None:
    """Read a process's log until it tells of an event."""
    while True:
        if event in await asyncio.to_thread(companion.log.read_text):
            return
        await asyncio.sleep(0.05)


@pytest.mark.usefixtures("_forked")
async def test_a_request_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """After `shutdown_seconds` it is cut off: without an answer, long before its own deadline would give it one."""
    database = f"sqlite:///{tmp_path / 'data' / 'companion.sqlite3'}"
    served = ServedCompanion(tmp_path, database, shutdown_seconds="1")
    await served.start()
    try:
        form = await begin(served, b"a form that never comes")
        assert await served.stop() == [0]
        assert await form.answer() == b""
    finally:
        await served.kill()


@pytest.mark.usefixtures("_forked")
async def test_it_is_alive_but_not_ready_without_its_database(
    tmp_path: Path, postgresql: int, postgresql_database: str
) -> None:
    served = ServedCompanion(tmp_path, postgresql_database)
    migrate_now(postgresql_database)
    await served.start()
    name = postgresql_database.rsplit("/", maxsplit=1)[1]
    operator = await asyncpg.connect(host="127.0.0.1", port=postgresql, user="companion", database="postgres")
    try:
        await operator.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        await operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{served.port}"
            assert (await session.get(f"{url}/readyz")).status == 503
            assert (await session.get(f"{url}/healthz")).status == 200
            asked = await session.get(f"{url}/account", headers={"Cookie": "session=somebody"})
            assert (asked.status, asked.headers.get("Retry-After")) == (503, "30")
            await operator.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            async with asyncio.timeout(READY_SECONDS):
                # A connection has three seconds, which a slow machine may need more than once
                while (await session.get(f"{url}/readyz")).status != 200:
                    assert (await session.get(f"{url}/healthz")).status == 200
    finally:
        await operator.close()
        await served.kill()
