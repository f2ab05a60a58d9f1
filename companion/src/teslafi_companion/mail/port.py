"""What the companion asks of whoever carries its mails."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


class MailServerUnreachable(Exception):
    """The mail server takes no mail now; the text is the kind of the fault."""


class MailPostponed(Exception):
    """The mail server wants to be asked again about this letter, as by greylisting; the text is the fault's kind."""


class MailRefused(Exception):
    """This letter will never be taken, or cannot be written down; the text is the fault's kind and names nobody."""


@dataclass(frozen=True)
class Envelope:
    """A letter to hand over: the row it is kept in, whose account it is about, since when it waits, its content."""

    row: UUID
    account_id: UUID | None
    written_at: datetime
    content: Mapping[str, str]
    """`to`, `subject`, `text` and `html`."""


class MailServer(Protocol):
    """Carries letters."""

    async def deliver(self, envelope: Envelope) -> None:
        """Hand a letter over; raises MailServerUnreachable, MailPostponed and MailRefused."""
