"""What is kept of watching one car: the rule's state, what it learnt, and how long the car slept today."""

from typing import Any, Final, NamedTuple, Self

from .backoff import Backoff
from .learnt import Kind, Learnt
from .rule import Moment, PollingState

WATCHED: Final = 300.0
"""Two answers at most so many seconds apart say what the car did between them."""


class Memory(NamedTuple):
    """The rule's state and the day's sleep. Moments are monotonic seconds, the day is the local one."""

    polling: PollingState = PollingState()
    day: str = ""
    asleep: float = 0.0
    watched: float = 0.0
    noted_at: float | None = None
    was_asleep: bool = False

    @property
    def asleep_share(self) -> int | None:
        """Per cent of today that the car slept, as far as it was watched; None before anything is known."""
        return round(100 * self.asleep / self.watched) if self.watched else None

    def with_polling(self, polling: PollingState) -> Self:
        """Return the memory with another state of the rule."""
        return type(self)(polling, self.day, self.asleep, self.watched, self.noted_at, self.was_asleep)

    def noting(self, asleep: bool, now: Moment) -> Self:  # noqa: FBT001 - what the car's state says
        """Take in whether the car sleeps now."""
        same_day = now.day == self.day
        passed = now.clock - self.noted_at if self.noted_at is not None else 0.0
        between = passed if same_day and passed <= WATCHED else 0.0
        slept = between if self.was_asleep and asleep else 0.0
        return type(self)(
            polling=self.polling,
            day=now.day,
            asleep=(self.asleep if same_day else 0.0) + slept,
            watched=(self.watched if same_day else 0.0) + between,
            noted_at=now.clock,
            was_asleep=asleep,
        )

    def to_json(self, now: Moment) -> dict[str, Any]:
        """Return what is kept between restarts."""
        return {
            "at": now.wall,
            "learnt": self.polling.learnt.to_json(),
            "state_backoff": self.polling.state_backoff.to_json(now.clock),
            "data_backoff": self.polling.data_backoff.to_json(now.clock),
            "day": self.day,
            "asleep": self.asleep,
            "watched": self.watched,
        }

    @classmethod
    def from_json(cls, data: object, now: Moment, kind: Kind = Kind.CURRENT) -> Self:
        """Undo `to_json` at another moment; what is not there or not understood is not known."""
        if not isinstance(data, dict):
            return cls(PollingState(kind=kind))
        at = _seconds(data.get("at"))
        passed = now.wall - at if at else 0.0
        asleep, watched = _seconds(data.get("asleep")), _seconds(data.get("watched"))
        today = data.get("day") == now.day and asleep <= watched
        return cls(
            polling=PollingState(
                kind=kind,
                learnt=Learnt.from_json(data.get("learnt")),
                state_backoff=Backoff.from_json(data.get("state_backoff"), now.clock, passed=passed),
                data_backoff=Backoff.from_json(data.get("data_backoff"), now.clock, passed=passed),
            ),
            day=now.day if today else "",
            asleep=asleep if today else 0.0,
            watched=watched if today else 0.0,
        )


def _seconds(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**11
    return float(value) if good and isinstance(value, int | float) else 0.0
