"""One car's way from what was seen to what is kept: rounding, leaving out repetitions, the rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .quiet import Quiet, heard, rest
from .rules import State, advance
from .sample import Moment, Sample
from .sample_row import rounded
from .sessions import Closed

CHECKPOINT_SECONDS: Final = 28 * 86_400
"""The state is kept once in so long a time, so that a rebuild can begin in the middle."""


@dataclass(slots=True)
class Unwritten:
    """What has to be written."""

    samples: list[Sample] = field(default_factory=list)
    closed: list[tuple[Moment, Closed]] = field(default_factory=list)
    """With the moment of the sample that told it."""
    checkpoints: list[tuple[Moment, State]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Say whether there is anything."""
        return bool(self.samples or self.closed or self.checkpoints)


class Recorder:
    """The rules' state of one car, and what it has told that is not written yet."""

    def __init__(self, state: State | None = None) -> None:
        """Go on from a state that was kept."""
        self.state = state or State()
        self.unwritten = Unwritten()
        self._quiet = Quiet()

    def see(self, sample: Sample) -> Sequence[Closed]:
        """Take in an observation; return what it tells."""
        self._quiet, told = heard(self._quiet, rounded(sample))
        return [one for each in told for one in self._advance(each)]

    def repeat(self, sample: Sample) -> None:
        """Take in a sample as it was kept before."""
        self.flush()
        self._quiet = Quiet(sample, None, sample.at if sample.has_data else 0)
        self._advance(sample, new=False)

    def flush(self) -> Sequence[Closed]:
        """Keep what is held back; return what it tells."""
        self._quiet, told = rest(self._quiet)
        return [one for each in told for one in self._advance(each)]

    def take_unwritten(self) -> Unwritten:
        """Return what has to be written, and forget it."""
        unwritten, self.unwritten = self.unwritten, Unwritten()
        return unwritten

    def _advance(self, sample: Sample, *, new: bool = True) -> Sequence[Closed]:
        before = self.state.last
        self.state, closed = advance(self.state, sample)
        if new:
            self.unwritten.samples.append(sample)
        self.unwritten.closed.extend((sample.at, one) for one in closed)
        if self.state.last // CHECKPOINT_SECONDS > before // CHECKPOINT_SECONDS:
            self.unwritten.checkpoints.append((sample.at, self.state))
        return closed
