"""What a car says to a command that reached it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result`, with a `reason` when it is False; `extra` is what REST's answer carries besides."""

    result: bool = True
    reason: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """Return the body of the REST answer."""
        return {"result": self.result, "reason": self.reason, **self.extra}


DONE: Final = Outcome()


def refused(reason: str) -> Outcome:
    """Return the car's refusal; reasons are those that were recorded of real cars (Tesla's documents list none)."""
    return Outcome(result=False, reason=reason)
