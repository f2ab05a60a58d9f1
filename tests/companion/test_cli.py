"""The operator's commands, on both databases."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
import json
import os
from pathlib import Path
import sys
from typing import NamedTuple
from unittest.mock import patch

import asyncpg
import pyotp
import pytest
import sqlalchemy
from sqlalchemy import select, update

from teslafi_companion.cli import main
from teslafi_companion.clock import system_clock
from teslafi_companion.configuration import load_settings
from teslafi_companion.domain.accounts import account, lockout, recovery, sessions, throttle, totp
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.links.links import links_of
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store, create_engine
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.schema import MIGRATING
from teslafi_companion.store.tables import audit, outbox
from tests.live.ports import free_port
from tests.live.processes import COMPANIONS, Running

from .conftest import CHEAP
from .oauth.linking import link_up

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

EMAIL = "olga@example.org"
PASSWORD = "nine purple teapots on a hill"
SERVICE_SECONDS = 120
"""For a process to begin and to end."""
WAITING = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON database = pg_database.oid
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
"""


class Ended(NamedTuple):
    """What a command left behind."""

    code: int
    said: str
    errors: str


def load_cheaply(environ: Mapping[str, str], file: Path | None = None) -> Settings:
    """Read the settings; passwords are hashed as cheaply as it goes."""
    return replace(load_settings(environ, file), policy=CHEAP)


class Service:
    """A service that was started: a copy of a fork server, as `starts` has shown that one starts."""

    def __init__(self, process: Running, log: Path) -> None:
        """Take its process, and the file that it logs to."""
        self.process = process
        self._log = log

    async def until_it_logs(self, event: str) -> None:
        """Look at its log until it tells of an event."""
        while event not in self._events():
            if self.process.returncode is not None:
                assert event in self._events(), f"the service ended before {event}"
            await asyncio.sleep(0.05)

    def _events(self) -> set[str]:
        *lines, _ = self._log.read_text("utf-8").split("\n")
        return {json.loads(line)["event"] for line in lines}

    async def stops(self) -> int:
        """Ask it to stop; return its code."""
        self.process.terminate()
        return await self.process.wait()

    async def is_ended(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        await self.process.wait()


async def until_so_many_wait(connection: asyncpg.Connection[asyncpg.Record], number: int) -> None:
    """Look until so many wait for the lock of whoever migrates."""
    while True:
        if await connection.fetchval(WAITING) == number:
            return
        await asyncio.sleep(0.05)


class Operator:
    """Types commands."""

    def __init__(self, settings: Settings) -> None:
        """Work with these settings."""
        self.settings = settings
        self.environment = {
            "TESLAFI_COMPANION_DATABASE": settings.database,
            "TESLAFI_COMPANION_KEY_FILE": str(settings.key_file),
        }

    async def types(self, *arguments: str, stdin: str = "", **environment: str) -> Ended:
        """Run one command to its end. It runs in this process: to start Python takes longer than what it does."""
        return await asyncio.to_thread(self._run, arguments, stdin, self.environment | environment)

    @staticmethod
    def _run(arguments: Sequence[str], stdin: str, environment: Mapping[str, str]) -> Ended:
        said, errors = StringIO(), StringIO()
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(sys, "stdin", StringIO(stdin)),
            patch("teslafi_companion.cli.load_settings", load_cheaply),
            redirect_stdout(said),
            redirect_stderr(errors),
        ):
            code = main(list(arguments))
        return Ended(code, said.getvalue(), errors.getvalue())

    async def starts(self, *arguments: str, stdin: str = "") -> Ended:
        """Run one command as a process of its own, with nothing but its settings around it; once is enough."""
        if self.settings.sqlite_path is None:
            return await self.types(*arguments, stdin=stdin)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "teslafi_companion",
            *arguments,
            env={"PATH": os.environ["PATH"], **self.environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, errors = await process.communicate(stdin.encode())
        return Ended(process.returncode or 0, said.decode(), errors.decode())

    async def serves(self, log: Path) -> Service:
        """Start a service of its own that waits for its database."""
        environment = {
            "PATH": os.environ["PATH"],
            **self.environment,
            "TESLAFI_COMPANION_LISTEN_PORT": str(free_port()),
            "TESLAFI_COMPANION_METRICS_PORT": "-1",
        }
        with log.open("wb") as output:
            call = ("-m", "teslafi_companion", "serve", "--migrate")
            return Service(await COMPANIONS(*call, env=environment, stdout=output), log)

    async def makes_account(self) -> None:
        """Make the account of EMAIL on an empty database."""
        assert (await self.types("migrate")).code == 0
        made = await self.types("create-account", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
        assert (made.code, made.errors) == (0, "")

    async def store(self) -> Store:
        """Open the same database in this process."""
        engine = create_engine(self.settings)
        return Store(engine, self.settings, await open_cipher(engine, self.settings, system_clock), system_clock)


@pytest.fixture
def operator(settings: Settings) -> Operator:
    """Return an operator in front of an empty database."""
    return Operator(settings)


async def test_an_account_is_made_once_and_its_password_is_judged(operator: Operator) -> None:
    await operator.makes_account()
    again = await operator.starts("create-account", EMAIL.upper(), "--password-stdin", stdin=f"{PASSWORD}\n")
    assert (again.code, again.errors) == (1, "teslafi-companion: There is already an account with this address.\n")
    weak = await operator.types("create-account", "a@example.org", "--password-stdin", stdin="aaaaaaaaaaaaaaaaaa\n")
    assert weak.code == 1
    assert "too easy to guess" in weak.errors
    crooked = await operator.types("create-account", "no address", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert "name@example.org" in crooked.errors
    assert PASSWORD not in "".join((*again, *weak, *crooked)[1:2])


async def test_a_check_finds_a_changed_row_of_the_audit_log(operator: Operator) -> None:
    await operator.makes_account()
    whole = await operator.types("check")
    assert whole.code == 0, whole
    assert "Audit: 1 rows, complete" in whole.said
    head = whole.said.rsplit("head ", maxsplit=1)[1].strip()
    again = await operator.types("check", "--head", head)
    assert (again.code, again.said, again.errors) == (0, whole.said, "")

    store = await operator.store()
    async with store.transaction() as transaction:
        await transaction.execute(update(audit).values(outcome="failure"))
    await store.close()
    broken = await operator.types("check")
    assert broken.code == 1
    assert "Row 1 was changed" in broken.said
    assert "NOT COMPLETE" in broken.said


async def test_the_audit_log_is_exported_as_json_lines(operator: Operator) -> None:
    await operator.makes_account()
    exported = await operator.types("export-audit")
    (row,) = [json.loads(line) for line in exported.said.splitlines()]
    assert (row["number"], row["event"], row["actor"], row["outcome"]) == (1, "account_created", "account", "success")
    assert (await operator.types("export-audit", "--after", "1")).said == ""


async def test_keys_are_rotated_and_everything_still_opens(operator: Operator) -> None:
    await operator.makes_account()
    rotated = await operator.types("rotate-keys", "--stopped")
    assert rotated.code == 0, rotated
    assert "fields were encrypted with a new key" in rotated.said
    assert (await operator.types("check")).code == 0
    store = await operator.store()
    async with store.reading() as transaction:
        owner = await account.find(transaction, EMAIL)
    await store.close()
    assert owner is not None
    assert owner.email == EMAIL


async def test_a_lost_second_factor_goes_after_the_announced_delay_unless_called_off(operator: Operator) -> None:
    await operator.makes_account()
    refused = await operator.types("disable-two-factor", EMAIL)
    assert (refused.code, "doesn't have two-factor authentication" in refused.errors) == (1, True)
    nobody = await operator.types("disable-two-factor", "nobody@example.org")
    assert (nobody.code, "There is no account" in nobody.errors) == (1, True)

    store = await operator.store()
    async with store.transaction() as transaction:
        owner = await account.find(transaction, EMAIL)
        assert owner is not None
        enrolment = await totp.begin(transaction, owner.id, EMAIL)
        code = pyotp.TOTP(enrolment.secret).at(transaction.now)
        assert await totp.activate(transaction, owner.id, enrolment, code)
        await recovery.regenerate(transaction, owner.id)
    ordered = await operator.types("disable-two-factor", EMAIL)
    assert (ordered.code, "It will be removed at" in ordered.said) == (0, True)
    async with store.reading() as transaction:
        owner = await account.find(transaction, EMAIL)
        mails = await transaction.rows(select(outbox.c.id))
    assert owner is not None
    assert owner.has_second_factor
    assert len(mails) == 1
    await store.close()

    assert "was canceled" in (await operator.types("disable-two-factor", EMAIL, "--cancel")).said
    assert "no removal to cancel" in (await operator.types("disable-two-factor", EMAIL, "--call-off")).said


async def test_an_operator_unlocks_an_account(operator: Operator) -> None:
    await operator.makes_account()
    store = await operator.store()
    async with store.reading() as transaction:
        by_stranger = lockout.by_stranger(EMAIL)
        owner = await account.find(transaction, EMAIL)
    assert owner is not None
    for attempt in (by_stranger, lockout.at_step_up(owner)):
        while (await throttle.reserve(store, [attempt])).admitted:
            pass
    unlocked = await operator.types("unlock", EMAIL.upper())
    assert (unlocked.code, "2 active lockouts" in unlocked.said) == (0, True)
    for attempt in (by_stranger, lockout.at_step_up(owner)):
        assert (await throttle.reserve(store, [attempt])).admitted
    async with store.reading() as transaction:
        events = [(row.event, row.actor) for row in await transaction.rows(select(audit.c.event, audit.c.actor))]
    await store.close()
    assert ("account_unlocked", "operator") in events
    nobody = await operator.types("unlock", "nobody@example.org")
    assert (nobody.code, "There is no account" in nobody.errors) == (1, True)


async def test_what_is_unsafe_or_wrong_is_one_sentence(operator: Operator, tmp_path: Path) -> None:
    unsafe = await operator.types("check", TESLAFI_COMPANION_BASE_URL="http://companion.example.org")
    assert (unsafe.code, unsafe.errors.count("\n")) == (1, 1)
    assert "passwords would be sent unencrypted" in unsafe.errors
    unknown = await operator.types("check", TESLAFI_COMPANION_NO_SUCH="1")
    assert "There is no setting no_such" in unknown.errors
    await operator.makes_account()
    other_key = await operator.types("check", TESLAFI_COMPANION_KEY_FILE=str(tmp_path / "elsewhere" / "other.key"))
    assert (other_key.code, other_key.errors.count("\n"), other_key.said) == (1, 1, "Settings: OK.\n")


async def test_postgresql_is_migrated_by_command_alone(postgresql_database: str, tmp_path: Path) -> None:
    operator = Operator(Settings(database=postgresql_database, key_file=tmp_path / "keys" / "companion.key"))
    refused = await operator.types("check")
    assert (refused.code, "run `teslafi-companion migrate`" in refused.errors) == (1, True)
    assert (await operator.types("migrate")).said == "The database is up to date.\n"
    assert (await operator.types("check")).code == 0


async def test_serving_waits_for_its_database_and_migrates_it(postgresql_database: str, tmp_path: Path) -> None:
    """Containers start in any order, and their image has no shell to wait with."""
    later = f"{postgresql_database}_later"
    operator = Operator(Settings(database=later, key_file=tmp_path / "keys" / "companion.key"))
    served = [await operator.serves(tmp_path / f"{name}.log") for name in "ab"]
    connection = await asyncpg.connect(postgresql_database)
    try:
        for one in served:
            await one.until_it_logs("waiting_for_database")
        assert await served[0].stops() == 0, "SIGTERM ends the waiting as well"
        await connection.execute(f"CREATE DATABASE {sqlalchemy.make_url(later).database}")
        await served[1].until_it_logs("serving")
        assert (await operator.types("check")).code == 0
        assert await served[1].stops() == 0
    finally:
        for one in served:
            await one.is_ended()
        await connection.execute(f"DROP DATABASE IF EXISTS {sqlalchemy.make_url(later).database} WITH (FORCE)")
        await connection.close()


async def test_sigterm_ends_the_waiting_for_another_process_that_migrates(
    tmp_path: Path, postgresql_database: str
) -> None:
    """The other may need long; what waits for it has changed nothing, and holds no lock that somebody waits for."""
    operator = Operator(Settings(database=postgresql_database, key_file=tmp_path / "keys" / "companion.key"))
    connection = await asyncpg.connect(postgresql_database)
    await connection.execute("SELECT pg_advisory_lock($1)", MIGRATING)
    served = await operator.serves(tmp_path / "log")
    try:
        async with asyncio.timeout(SERVICE_SECONDS):
            await until_so_many_wait(connection, 1)
            assert await served.stops() == 0
            await until_so_many_wait(connection, 0)
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await served.is_ended()
        await connection.close()


async def test_a_database_that_is_not_there_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    settings = Settings(database="postgresql://someone:hush-hush@127.0.0.1:1/nothing", key_file=tmp_path / "k" / "key")
    ended = await Operator(settings).types("check")
    assert (ended.code, ended.errors.count("\n")) == (1, 1)
    assert "Can't use the database" in ended.errors
    assert "hush-hush" not in ended.errors + ended.said
    assert sqlalchemy.make_url(settings.database).password == "hush-hush"


async def test_an_operator_signs_an_account_out(operator: Operator) -> None:
    await operator.makes_account()
    store = await operator.store()
    async with store.transaction() as transaction:
        owner = await account.find(transaction, EMAIL)
        assert owner is not None
        await sessions.open_session(transaction, owner.id, ("pwd",), Visitor("192.0.2.7"))
        device = await sessions.remember_device(transaction, owner.id, None)
        assert device is not None
    await link_up(store, owner.id)
    ended = await operator.types("sign-out", EMAIL)
    assert (ended.code, ended.said) == (
        0,
        "Every browser was signed out, and 1 linked Home Assistants were unlinked.\n",
    )
    async with store.reading() as transaction:
        assert await sessions.sessions_of(transaction, owner.id) == []
        assert not await sessions.is_known_device(transaction, owner.id, device)
        assert await links_of(transaction, owner.id) == []
        rows = await transaction.rows(select(audit.c.event).where(audit.c.actor == "operator"))
    assert {row.event for row in rows} >= {"signed_out_everywhere", "link_revoked"}
    assert (await operator.types("sign-out", "nobody@example.org")).code == 1
