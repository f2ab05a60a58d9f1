"""`script/chaos restore`: the drill that docs/hosting.md and docs/companion.md ask for, on a real PostgreSQL.

A companion serves under load and is dumped meanwhile; then its server is lost with all data. A new one gets the dump.
What was acknowledged before the dump is there, the audit log is complete up to its head of then, whoever was signed in
still is, and the link goes on, even with the token that it got after the dump.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from random import Random
import re
import sys
import tempfile
import time
from typing import Final, NamedTuple

import asyncpg

from teslafi_companion.crypto import create_key_file
from teslafi_simulators.mail import MailCatcher
from tests.companion.postgresql import BIN, running_server
from tests.live.served import ServedCompanion

from .load import OWNER, PASSWORD, Acknowledged, Broken, Load

DATABASE: Final = "companion"
SIGN_UPS: Final = 5


class Drill(NamedTuple):
    """What a drill found."""

    dumped_bytes: int
    sign_ups: int
    audit: str
    without_a_row: str
    """What `check` says once a row of the audit log is missing."""
    with_another_key: str
    """What it says with a key that is not the dump's."""
    seconds: float
    """From the first command on the new server to the first answer to a linked Home Assistant."""


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Run a new PostgreSQL with an empty database; gives its address."""
    with running_server() as port:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="companion", database="postgres")
        await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        await connection.close()
        yield f"postgresql://companion@127.0.0.1:{port}/{DATABASE}"


async def run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; raises Broken with what it said."""
    process = await asyncio.create_subprocess_exec(
        BIN / program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise Broken(f"{program}: {said.decode()}")


async def refused(companion: ServedCompanion, *arguments: str) -> str:
    """Run a command that has to fail; return what it said."""
    try:
        said = await companion.command(*arguments)
    except RuntimeError as fault:
        return str(fault)
    raise Broken(f"{' '.join(arguments)} found nothing: {said}")


async def drill(folder: Path, seed: int = 1) -> Drill:
    """Do the whole of it. Raises Broken."""
    dump = folder / "companion.dump"
    async with MailCatcher() as mails:
        async with server() as address:
            companion = ServedCompanion(
                folder, address, smtp_host="127.0.0.1", smtp_port=str(mails.smtp_port), smtp_security="none"
            )
            load = Load(companion, Random(seed))  # noqa: S311 - which addresses is no secret
            try:
                before, head = await served(companion, load, address, dump)
            finally:
                await companion.kill()
        # Nothing is left of the first server
        async with server() as address:
            begun = time.monotonic()
            await run("pg_restore", "--exit-on-error", "--no-owner", "--dbname", address, str(dump))
            companion.change(database=address)
            await companion.command("migrate")
            audit = (await companion.command("check", "--head", head)).strip().splitlines()[-1]
            try:
                await companion.start()
                await load.refresh()
                seconds = time.monotonic() - begun
                await goes_on(load, before, address)
            finally:
                await companion.kill()
            without_a_row, with_another_key = await must_be_noticed(companion, folder, address)
    return Drill(dump.stat().st_size, len(before.sign_ups), audit, without_a_row, with_another_key, seconds)


async def served(companion: ServedCompanion, load: Load, address: str, dump: Path) -> tuple[Acknowledged, str]:
    """Serve under load and dump meanwhile; return what was acknowledged before, and the audit log's head of then."""
    await companion.command("migrate")
    await companion.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
    await companion.start()
    await load.link()
    await load.sign_in()
    for _ in range(SIGN_UPS):
        await load.sign_up()
    await load.refresh()
    head = re.search(r"head (\S+)", await companion.command("check"))
    if head is None:
        raise Broken("the check names no head")
    before = deepcopy(load.said)
    strangers = asyncio.create_task(load.go_on("sign_up"))
    await run("pg_dump", "--format=custom", "--file", str(dump), address)
    strangers.cancel()
    # The home goes on after the dump, as homes do: its newest token is one that the dump has never seen
    await load.refresh()
    return before, head[1]


async def goes_on(load: Load, before: Acknowledged, address: str) -> None:
    """Look that everybody who was let in before the dump still is; raises Broken."""
    if not all([await load.alive(cookie) for cookie in before.sessions]):
        raise Broken("somebody was signed out")
    async with load.browser() as browser:
        headers = {"Authorization": f"Bearer {load.said.access_token}"}
        status, _, text = await browser.ask("GET", "/api/v1/status", headers=headers)
    if status != 200:
        raise Broken(f"the link does not work: {status} {text}")
    sessions = len(load.said.sessions)
    await load.sign_in()
    if len(load.said.sessions) == sessions:
        raise Broken("nobody can sign in")
    connection = await asyncpg.connect(address)
    kept = await connection.fetchval("SELECT count(*) FROM outbox WHERE kind = 'message'")
    await connection.close()
    if kept < len(before.sign_ups):
        raise Broken(f"of {len(before.sign_ups)} emails {kept} are left")


async def must_be_noticed(companion: ServedCompanion, folder: Path, address: str) -> tuple[str, str]:
    """Tamper with the restored database, then open it with another key; return what is said about either."""
    connection = await asyncpg.connect(address)
    await connection.execute("DELETE FROM audit WHERE number = (SELECT max(number) - 1 FROM audit)")
    await connection.close()
    without_a_row = await refused(companion, "check")
    companion.change(key_file=str(folder / "other" / "companion.key"))
    create_key_file(folder / "other" / "companion.key")
    return without_a_row, await refused(companion, "check")


async def main() -> int:
    """Print what the drill found; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="restore-") as name:
        try:
            found = await drill(Path(name))
        except Broken as broken:
            print(f"restore: {broken}")
            return 1
    print(
        f"restore: {found.dumped_bytes} bytes, {found.sign_ups} sign-ups, the link and the session are back in "
        f"{found.seconds:.1f} s. {found.audit}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
