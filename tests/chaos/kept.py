"""What every chaos of the companion looks at afterwards: what was acknowledged is true, and nothing happened twice."""

import asyncio
from collections import Counter
from collections.abc import Set as AbstractSet
import time
from typing import Any, Final, override

from teslafi_simulators.mail import MailCatcher
from tests.live.served import ServedCompanion

from .load import Broken, Load

MAIL_SECONDS: Final = 300
"""A mail that was claimed by a killed process is free again after its lease of a minute."""
LINK_SECONDS: Final = 60
"""A load that takes 503 for an answer may get one more from a slow machine that is done with what was asked before."""


class Judged(ServedCompanion):
    """A companion whose answers are counted; every 5xx is wrong but 503 that says when to come again."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - as the original
        """Begin with nothing answered."""
        super().__init__(*arguments, **settings)
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []

    @override
    def answered(self, method: str, path: str, status: int, retry_after: str) -> None:
        self.answers[status] += 1
        if status >= 500 and not (status == 503 and retry_after.isdigit()):
            self.wrong.append(f"{status} {method} {path}, Retry-After {retry_after!r}")

    def judge(self, when: str) -> None:
        """Raise Broken if anything was answered wrongly."""
        if self.wrong:
            raise Broken(f"{when}: {self.wrong[:5]} of {len(self.wrong)}")


async def nothing_lost(load: Load, when: str) -> None:
    """Look that the link goes on and that every session is alive. Raises Broken."""
    before, deadline = load.said.refreshes, time.monotonic() + LINK_SECONDS
    while load.said.refreshes == before:
        if time.monotonic() > deadline:
            raise Broken(f"{when}: the link is not renewed although all is well")
        await load.refresh()
    if lost := [cookie for cookie in load.said.sessions if not await load.alive(cookie)]:
        raise Broken(f"{when}: {len(lost)} sessions were lost")


async def every_mail(mails: MailCatcher, wanted: AbstractSet[str]) -> None:
    """Wait until every acknowledged sign-up has its mail, and look that none was filed twice. Raises Broken."""
    deadline = time.monotonic() + MAIL_SECONDS
    while missing := wanted - {recipient for mail in mails.mails for recipient in mail.recipients}:
        if time.monotonic() > deadline:
            raise Broken(f"{len(missing)} mails were lost")
        await asyncio.sleep(0.5)
    counts = Counter(recipient for mail in mails.mails for recipient in mail.recipients if recipient in wanted)
    if twice := [recipient for recipient, times in counts.items() if times > 1]:
        raise Broken(f"{len(twice)} people got their mail twice")


async def whole_audit(companion: ServedCompanion) -> str:
    """Return what the check says of the audit log. Raises Broken unless it is complete."""
    said = (await companion.command("check")).strip().splitlines()[-1]
    if "NOT COMPLETE" in said or "complete" not in said:
        raise Broken(said)
    return said
