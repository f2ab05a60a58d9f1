"""The looks at what was acknowledged see it when something is missing or there twice."""

import asyncio
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast, override

import pytest

from teslafi_simulators.mail import MailCatcher
from tests.live.served import ServedCompanion

from . import kept
from .kept import Judged, every_mail, nothing_lost, whole_audit
from .load import Broken, Load
from .processes import Fleet, People

# Looking for a free port
pytestmark = pytest.mark.usefixtures("socket_enabled")


class Pretended(Load):
    """A load whose link and sessions are what a test says."""

    def __init__(self, *, renews_at: int, alive: bool) -> None:
        """Renew the link at the so-manieth try; 0 for never."""
        super().__init__(cast("ServedCompanion", None), Random(1))  # noqa: S311 - nothing is secret
        self.said.sessions = ["a session"]
        self._renews_at, self._alive, self._tries = renews_at, alive, 0

    @override
    async def refresh(self) -> None:
        self._tries += 1
        self.said.refreshes += self._tries == self._renews_at

    @override
    async def alive(self, cookie: str) -> bool:
        return self._alive


class Checked(ServedCompanion):
    """A companion whose check says what a test says."""

    @override
    async def command(self, *arguments: str, stdin: str = "") -> str:
        return self.said

    said = ""


@pytest.mark.parametrize(
    ("renews_at", "alive", "said"),
    [(1, True, None), (3, True, None), (0, True, "the link is not renewed"), (1, False, "1 sessions were lost")],
)
async def test_a_link_and_sessions(
    *, renews_at: int, alive: bool, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if renews_at == 0:
        monkeypatch.setattr(kept, "LINK_SECONDS", 0)
    load = Pretended(renews_at=renews_at, alive=alive)
    if said is None:
        await nothing_lost(load, "now")
        return
    with pytest.raises(Broken, match=f"now: {said}"):
        await nothing_lost(load, "now")


@pytest.mark.parametrize(
    ("arrived", "said"),
    [(["a", "b"], None), (["a"], "1 mails were lost"), (["a", "b", "a"], "1 people got their mail")],
)
async def test_mails(arrived: list[str], said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAIL_SECONDS", -1)
    mails: Any = SimpleNamespace(mails=[SimpleNamespace(recipients=[one]) for one in [*arrived, "somebody else"]])
    if said is None:
        await every_mail(cast("MailCatcher", mails), {"a", "b"})
        return
    with pytest.raises(Broken, match=said):
        await every_mail(cast("MailCatcher", mails), {"a", "b"})


@pytest.mark.parametrize(("said", "whole"), [("complete", True), ("NOT COMPLETE", False), ("nothing", False)])
async def test_the_audit_log(tmp_path: Path, said: str, *, whole: bool) -> None:
    companion = Checked(tmp_path, "sqlite://")
    companion.said = f"Settings: OK.\nAudit: 3 rows, {said}, head 3:f\n"
    if whole:
        assert await whole_audit(companion) == "Audit: 3 rows, complete, head 3:f"
        return
    with pytest.raises(Broken, match="Audit: 3 rows"):
        await whole_audit(companion)


@pytest.mark.parametrize(
    ("status", "retry_after", "wrong"),
    [(200, "", False), (404, "", False), (503, "5", False), (503, "", True), (500, "5", True), (502, "", True)],
)
async def test_answers(tmp_path: Path, status: int, retry_after: str, *, wrong: bool) -> None:
    companion = Judged(tmp_path, "sqlite://")
    companion.answered("GET", "/", status, retry_after)
    assert companion.answers[status] == 1
    if not wrong:
        companion.judge("now")
        return
    with pytest.raises(Broken, match=f"{status} GET /"):
        companion.judge("now")


class Impatient(People):
    """Somebody who is never told whether a code let her in."""

    @override
    async def _enter(self, code: str) -> int:
        return await asyncio.Future()


async def test_a_code_whose_answers_nobody_waited_for_counts() -> None:
    people = Impatient(cast("Fleet", None), Random(1), "somebody")  # noqa: S311 - nothing is secret
    people.codes = ["a code"]
    spending = asyncio.create_task(people.spend())
    await asyncio.sleep(0)
    spending.cancel()
    await asyncio.gather(spending, return_exceptions=True)
    assert people.spent == {"a code": 0}
