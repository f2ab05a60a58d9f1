"""Rolling deployments: the code of the revision before and today's serve the same people on both kinds of tables.

The old code is real: the wheel of a commit (`keep_code.py`), in a process of its own with its own modules.
"""

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final, override
from zipfile import ZipFile

import pytest

from teslafi_companion.store.schema import revisions
from tests.chaos.load import OWNER, PASSWORD, Load
from tests.live.processes import COMPANIONS, ForkServer
from tests.live.served import ServedCompanion

from .keep_code import CODE, revision_of

FIRST = "0010"
"""From this revision on, each has the code of the one before kept beside it."""
MAIN: Final = """
from pathlib import Path
import sys

import teslafi_companion
from teslafi_companion.cli import main

if Path(teslafi_companion.__file__).parents[1] != Path(__file__).parent:
    sys.exit("this is not the code of the wheel")
sys.exit(main(sys.argv[1:]))
"""
pytestmark = pytest.mark.usefixtures("socket_enabled")


class Kept(ServedCompanion):
    """A companion whose modules are those of a wheel."""

    def __init__(self, folder: Path, database: str, wheel: Path) -> None:
        """Unpack the wheel; nothing runs yet."""
        super().__init__(folder, database)
        modules = folder / "modules"
        with ZipFile(wheel) as packed:
            packed.extractall(modules)
        (modules / "kept.py").write_text(MAIN, "utf-8")
        self.starts = ForkServer("teslafi_companion.cli", "teslafi_companion.server", path=modules)

    @override
    def _call(self, *arguments: str) -> tuple[str, ...]:
        return ("-m", "kept", *arguments)


class Visitors:
    """An owner with a linked Home Assistant, who meets now the one process and now the other."""

    def __init__(self, first: ServedCompanion) -> None:
        """Meet a companion."""
        self._load = Load(first, Random(1))  # noqa: S311 - addresses

    async def link(self) -> None:
        """Sign in, and link a Home Assistant."""
        await self._load.link()

    async def come_to(self, companion: ServedCompanion) -> None:
        """Do what people and Home Assistants do, in the sessions and with the tokens that another process gave."""
        self._load.companion = companion
        for cookie in self._load.said.sessions:
            assert await self._load.alive(cookie)
        before = len(self._load.said.sessions), self._load.said.refreshes, len(self._load.said.sign_ups)
        await self._load.sign_in()
        await self._load.sign_up()
        await self._load.refresh()
        said = self._load.said
        assert (len(said.sessions), said.refreshes, len(said.sign_ups)) == tuple(one + 1 for one in before)
        headers = {"Authorization": f"Bearer {said.access_token}"}
        async with self._load.browser() as browser:
            for path in ("/api/v1/status", "/readyz"):
                status, _, text = await browser.ask("GET", path, headers=headers)
                assert (path, status) == (path, 200), text


def test_the_code_of_each_revision_before_is_kept() -> None:
    """`python -m tests.stored.keep_code COMMIT` keeps it; COMMIT is the last one before the new revision."""
    known = sorted(revision for revision, _ in revisions())
    wanted = {before for before, revision in pairwise(known) if revision >= FIRST}
    kept = {folder.name: revision_of(*folder.glob("*.whl")) for folder in CODE.iterdir()}
    assert wanted <= kept.keys()
    assert all(folder == revision for folder, revision in kept.items())


@pytest.mark.slow
@pytest.mark.parametrize("revision", sorted(folder.name for folder in CODE.iterdir()))
async def test_old_and_new_code_serve_on_old_and_new_tables(
    revision: str, postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServedCompanion, "starts", COMPANIONS)
    known = dict(revisions())
    if any(after > revision and oldest > revision for after, oldest in known.items()):
        pytest.skip(f"a later revision ends the support of {revision}: it is an upgrade with a stop")
    (wheel,) = (CODE / revision).glob("*.whl")
    old = Kept(tmp_path, postgresql_database, wheel)
    new = ServedCompanion(tmp_path, postgresql_database, base_url=old.url)
    new.url = old.url
    await old.command("migrate")
    await old.command("create-account", OWNER, "--password-stdin", stdin=f"{PASSWORD}\n")
    visitors = Visitors(old)
    try:
        await old.start()
        await visitors.link()
        await visitors.come_to(old)
        # New code, old tables: the first new process comes before anybody has migrated
        await new.start()
        await visitors.come_to(new)
        await visitors.come_to(old)
        # Old code, new tables: it serves on
        await new.command("migrate")
        await visitors.come_to(old)
        await visitors.come_to(new)
        await old.stop()
        if revision >= FIRST:
            # And starts anew, in the middle of the deployment or after it was called off; so does its own migration
            await old.command("migrate")
            await old.start()
            await visitors.come_to(old)
        await new.stop()
        await new.start()
        await visitors.come_to(new)
    finally:
        await old.kill()
        await new.kill()
    assert "NOT COMPLETE" not in await new.command("check")
