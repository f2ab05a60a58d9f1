"""What is kept of a command: who, what, when, the answer, and what it cost. Never a PIN or a password."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from homeassistant.core import Context


class Result(StrEnum):
    """How a command ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One command. `target` is a VIN or the number of an energy site; `cost_usd` what Tesla bills for it."""

    at: datetime
    user: str
    target: str
    command: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    result: Result = Result.SUCCEEDED
    answer: str = ""
    """What Tesla or the car said, in their words where they had some."""
    reason: str = ""
    """Why it was not carried out: the translation key of the sentence that the user read."""
    cost_usd: float = 0.0
    entity_id: str | None = None
    """The entity that was used for it; None for an action that names a device."""

    def attributes(self) -> dict[str, Any]:
        """Return what the event entity shows."""
        return {
            "command": self.command,
            "parameters": dict(self.parameters),
            "user": self.user,
            "answer": self.answer,
            "cost_usd": round(self.cost_usd, 4),
        }

    def activity(self) -> dict[str, str]:
        """Return what Home Assistant's activity tells, all of it words of ours."""
        return {"command": self.command, "result": self.result.value, "reason": self.reason, "user": self.user}

    def for_audit(self) -> dict[str, str]:
        """Return what the companion's audit log is told: of a car no more than the end of its VIN."""
        return {
            "at": self.at.isoformat(),
            "command": self.command,
            "vehicle": self.target[-6:],
            "user": self.user[:200],
            "result": self.result.value,
            "reason": self.reason[:200],
            "answer": self.answer[:200],
        }


def user_id(context: Context | None) -> str | None:
    """Return the id of the Home Assistant user behind a call; None for automations of nobody."""
    return context.user_id if context else None
