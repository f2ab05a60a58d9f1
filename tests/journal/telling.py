"""Feeds samples to the rules and gathers what they tell, as a store would."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from custom_components.teslafi.journal.rules import State, advance, current
from custom_components.teslafi.journal.sample import Sample
from custom_components.teslafi.journal.sessions import Charge, Drive, Kind, Parking, SoftwareVersion

type Session = Drive | Charge | Parking


@dataclass
class Told:
    """What a series of samples told."""

    state: State = field(default_factory=State)
    rows: dict[tuple[Kind, int], Session] = field(default_factory=dict)
    versions: list[SoftwareVersion] = field(default_factory=list)

    def feed(self, samples: Iterable[Sample]) -> Told:
        """Take in more samples."""
        for sample in samples:
            self.state, closed = advance(self.state, sample)
            for one in closed:
                if isinstance(one, SoftwareVersion):
                    self.versions.append(one)
                else:
                    self.rows[one.kind, one.start] = one
        return self

    @property
    def closed(self) -> list[Session]:
        """The closed sessions in order of time."""
        return sorted(self.rows.values(), key=lambda one: (one.start, one.end))

    @property
    def sessions(self) -> list[Session]:
        """The closed sessions, and the one that goes on."""
        now = current(self.state)
        return [*self.closed, *([] if now is None else [now])]

    @property
    def drives(self) -> list[Drive]:
        """The drives, the one that goes on included."""
        return [one for one in self.sessions if isinstance(one, Drive)]

    @property
    def charges(self) -> list[Charge]:
        """The charges, the one that goes on included."""
        return [one for one in self.sessions if isinstance(one, Charge)]

    @property
    def parkings(self) -> list[Parking]:
        """The parkings, the one that goes on included."""
        return [one for one in self.sessions if isinstance(one, Parking)]


def tell(samples: Iterable[Sample]) -> Told:
    """Feed samples to the rules."""
    return Told().feed(samples)


def in_order(sessions: Iterable[Session]) -> bool:
    """Say whether no session overlaps the next, none is negative, and none lies outside its bounds."""
    ordered = list(sessions)
    fits = all(one.earliest <= one.start <= one.end <= one.latest for one in ordered)
    return fits and all(one.end <= following.start for one, following in pairwise(ordered))
