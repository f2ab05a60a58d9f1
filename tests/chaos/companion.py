"""`script/chaos companion [ROUNDS]`: kill -9 at random moments under load, then look whether anything was lost.

In each round people sign up and sign in, a linked Home Assistant renews its link, and the companion is killed in
between. What was acknowledged must be true afterwards: every accepted sign-up leads to exactly one mail, every session
that was opened is alive, the link goes on. In the end the audit chain has to be whole.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
import sys
import tempfile
from typing import Any, Final

import asyncpg

from teslafi_simulators.mail import MailCatcher
from tests.companion.postgresql import running_server
from tests.live.served import ServedCompanion

from .kept import every_mail, nothing_lost, whole_audit
from .load import OWNER, PASSWORD, Broken, Load

ROUNDS: Final = 50


async def rounds(companion: ServedCompanion, mails: MailCatcher, count: int, seed: int) -> dict[str, Any]:
    """Kill the companion so often; return what was acknowledged. Raise Broken."""
    load = Load(companion, Random(seed))  # noqa: S311 - when to kill is no secret
    await companion.start()
    await load.link()
    for number in range(1, count + 1):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(load.go_on(what)) for what in ("sign_up", "sign_in", "sign_in", "refresh")]
            await _acknowledged_more(load)
            await asyncio.sleep(load.random.uniform(0.2, 1.5))
            await companion.kill()
            for task in tasks:
                task.cancel()
        await companion.start()
        await nothing_lost(load, f"round {number}")
    await every_mail(mails, load.said.sign_ups)
    await companion.stop()
    audit = await whole_audit(companion)
    repeated = {name: times for name, times in mails.handed_over.items() if times > 1}
    return {
        "kills": count,
        "sign-ups": len(load.said.sign_ups),
        "refreshes": load.said.refreshes,
        "handed over again under the same Message-ID": len(repeated),
        "audit": audit,
    }


async def _acknowledged_more(load: Load) -> None:
    """Wait until there is more to lose: a slow machine has answered nobody after half a second."""
    sign_ups, refreshes = len(load.said.sign_ups), load.said.refreshes
    while len(load.said.sign_ups) == sign_ups or load.said.refreshes == refreshes:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.05)


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
