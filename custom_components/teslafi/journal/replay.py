"""Telling sessions anew from kept samples, alone or merged with samples that are brought in.

Begins at a kept state (checkpoint) before the first change and ends where the rules are in a state that was kept
before: what follows there has been told already.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from .plain import NotUnderstood, from_json
from .recorder import Recorder
from .rows import Rows
from .rules import State
from .sample import Moment, Sample

OWN_GAP: Final = 3600
"""Between two own samples at most so many seconds apart nothing is brought in: own records win."""
WRITE_EACH: Final = 5000
"""Samples and sessions that may wait to be written."""
TELL_EACH: Final = 5000
"""Samples after which progress is told, and asked whether to go on."""


class Cancelled(Exception):
    """Whoever asked for it wants it no more. Nothing has changed."""


@dataclass(slots=True)
class Replayed:
    """What a replay did."""

    first: Moment | None = None
    last: Moment | None = None
    read: int = 0
    """Samples that were brought."""
    taken: int = 0
    """Of them, those that were not covered by own records."""
    covered: int = 0
    """Of them, those where own records won."""
    sessions: int = 0
    """Sessions told anew."""


class Replay:
    """One replay of one car, within a transaction."""

    def __init__(
        self,
        connection: Connection,
        rows: Rows,
        car: int,
        *,
        progress: Callable[[Replayed], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Prepare."""
        self._connection = connection
        self._rows = rows
        self._car = car
        self._progress = progress or (lambda _done: None)
        self._cancelled = cancelled or (lambda: False)
        self._recorder = Recorder()
        self.done = Replayed()

    def bring_in(self, incoming: Iterable[Sample]) -> State | None:
        """Tell anew with samples that come in; return the last state, None when none came."""
        stream = iter(incoming)
        following = next(stream, None)
        if following is None:
            return None
        start, state = _usable(self._rows.checkpoint_before(self._connection, self._car, following.at), 0)
        return self._run(start, state, following, stream)

    def rebuild(self) -> State:
        """Tell anew from the samples that are kept whole; return the last state."""
        thinned = self._rows.thinned_until(self._connection, self._car)
        found = self._rows.checkpoint_from(self._connection, self._car, thinned) if thinned else None
        start, state = _usable(found, thinned)
        return self._run(start, state, None, iter(()))

    def _run(self, start: Moment, state: State, following: Sample | None, stream: Iterator[Sample]) -> State:
        self._recorder = Recorder(state)
        rows, car, connection = self._rows, self._car, self._connection
        rows.doubt_sessions(connection, car, start)
        ended = self._feed(start, following, stream)
        if ended is None:
            self._recorder.flush()
            self._write()
        rows.drop_doubted(connection, car, ended)
        return self._recorder.state if ended is None else rows.state(connection, car)

    def _feed(self, start: Moment, following: Sample | None, stream: Iterator[Sample]) -> Moment | None:
        """Feed own and brought samples in order of time; return where nothing new follows, None at the end."""
        own_before: Moment | None = None
        before: Sample | None = None
        began = None if following is None else following.at
        for sample, imported in self._rows.samples_from(self._connection, self._car, start):
            if following is not None and following.at == began and before is not None and _runs_on(before, sample):
                following = replace(following, since=before.at)
            while following is not None and following.at <= sample.at:
                covered = not imported and (
                    following.at == sample.at or (own_before is not None and sample.at - own_before <= OWN_GAP)
                )
                following = self._bring(following, stream, covered=covered)
            if imported and began is not None and following is not None and began <= sample.at:
                self._rows.forget_sample(self._connection, self._car, sample.at)
                continue
            self._recorder.repeat(sample)
            own_before = own_before if imported else sample.at
            before = sample
            if began is not None and following is None and (ended := self._converged()) is not None:
                return ended
            self._write_some()
        while following is not None:
            following = self._bring(following, stream, covered=False)
            self._write_some()
        return None

    def _bring(self, sample: Sample, stream: Iterator[Sample], *, covered: bool) -> Sample | None:
        done = self.done
        done.read += 1
        if covered:
            done.covered += 1
        else:
            done.taken += 1
            self._recorder.see(sample)
        done.first = sample.at if done.first is None else done.first
        done.last = sample.at
        if done.read % TELL_EACH == 0:
            self._progress(done)
            if self._cancelled():
                raise Cancelled
        return next(stream, None)

    def _converged(self) -> Moment | None:
        """Return the moment of a checkpoint that is as it was kept before."""
        checkpoints = self._recorder.unwritten.checkpoints
        if not checkpoints:
            return None
        same = [at for at, state in checkpoints if state.told is None and self._kept_at(at) == state]
        self._write()
        return same[0] if same else None

    def _kept_at(self, at: Moment) -> State | None:
        """Return the state that was kept at a moment."""
        text = self._rows.checkpoint_at(self._connection, self._car, at)
        return None if text is None else _usable((at, text), at)[1]

    def _write_some(self) -> None:
        unwritten = self._recorder.unwritten
        if len(unwritten.samples) + len(unwritten.closed) >= WRITE_EACH:
            self._write()

    def _write(self) -> None:
        unwritten = self._recorder.take_unwritten()
        self.done.sessions += len(unwritten.closed)
        self._rows.write(self._connection, {self._car: unwritten}, imported=True)


def _runs_on(before: Sample, sample: Sample) -> bool:
    """Say whether the car was watched all the while between two kept samples."""
    return sample.since is not None and sample.since <= before.at


def _usable(found: tuple[Moment, str] | None, otherwise: Moment) -> tuple[Moment, State]:
    """Return a kept state with its moment; if it is not understood, an empty one."""
    if found is None:
        return otherwise, State()
    try:
        return found[0], from_json(State, found[1])
    except NotUnderstood:
        return otherwise, State()
