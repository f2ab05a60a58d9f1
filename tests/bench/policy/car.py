"""A car as far as polling matters: what it does when, when it sleeps by itself, and what looking at it changes.

Assumptions, printed with every result:

- It falls asleep after its quiet minutes (9 or 13, and up to one more): no drive, charge, person, climate, sentry or
  download, and nobody looking at its data. The request for its state changes nothing.
- It wakes when somebody opens it, for its own charging schedule, preconditioning and (in some lives) checks. A check
  lasts 45 to 90 s and is over at once, unless somebody looks: then the quiet minutes begin anew.
- Who drives off has opened the car 20 to 90 s before, and gets out 20 to 80 s after arriving; who charges at home has
  plugged in within two minutes of that, except in the life that tells of nothing else.
- A car drives 42 minutes and 25 miles a day on the average of the lives (AAA Foundation, American Driving Survey
  2013/14: 46 minutes and 29 miles a driver). In the detailed mode each hour of driving costs 0.24 USD.
- Answers come at once. Odometer and energy added are exact, and stay until the next drive or charge.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from custom_components.teslafi.polling.observation import Observation, Reason

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
MONTH: Final = 30 * DAY
EPOCH: Final = 1_798_416_000.0
"""The Monday on which every life begins, epoch seconds."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive; `routed` with a route in the navigation."""

    start: float
    end: float
    miles: float
    origin: tuple[float, float]
    destination: tuple[float, float]
    routed: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge; `nominal_end` is what the car expects until `throttled_at`, `end` what comes."""

    start: float
    end: float
    kwh: float
    nominal_end: float
    fast: bool = False
    throttled_at: float = MONTH


@dataclass(frozen=True, slots=True)
class Spell:
    """Something else that keeps the car awake."""

    start: float
    end: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class Span:
    """From, to."""

    start: float
    end: float


@dataclass
class Life:
    """What a car does in a month."""

    name: str
    drives: list[Drive] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    spells: list[Spell] = field(default_factory=list)
    doors: list[Span] = field(default_factory=list)
    plugged: list[Span] = field(default_factory=list)
    pending: list[Span] = field(default_factory=list)
    """Plugged in and waiting for the scheduled start, which is the end of the span."""
    checks: list[Span] = field(default_factory=list)
    older: bool = False
    more_quiet: float = 0.0
    """Seconds of quiet that this car needs more than others."""


class Timeline:
    """Spans in order, asked with a time that mostly moves forward."""

    def __init__(self, spans: Sequence[Drive | Charge | Spell | Span]) -> None:
        """Sort them by start."""
        self.spans = sorted(spans, key=lambda span: span.start)
        self._starts = [span.start for span in self.spans]

    def at(self, now: float) -> int | None:
        """Return the index of the span that holds `now`."""
        index = bisect_right(self._starts, now) - 1
        return index if index >= 0 and now < self.spans[index].end else None

    def last(self, now: float) -> int | None:
        """Return the index of the last span begun."""
        index = bisect_right(self._starts, now) - 1
        return index if index >= 0 else None


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw."""

    at: float
    driving: bool
    charging: bool
    miles: float
    kwh: float


def merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the union of spans."""
    union: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union


class Car:
    """Lives a life, answers questions, and writes down who asked."""

    def __init__(self, life: Life, quiet: float) -> None:
        """Prepare what the car does by itself; `quiet` in seconds."""
        self.life = life
        self.quiet = quiet + life.more_quiet
        self.drives, self.charges = Timeline(life.drives), Timeline(life.charges)
        self.doors, self.plugged, self.pending = Timeline(life.doors), Timeline(life.plugged), Timeline(life.pending)
        self._spells = {
            reason: Timeline([spell for spell in life.spells if spell.reason is reason])
            for reason in {spell.reason for spell in life.spells}
        }
        spans: list[Drive | Charge | Spell | Span] = [*life.drives, *life.charges, *life.spells, *life.doors]
        busy = [(span.start, span.end) for span in spans]
        lively = [(start, end + self._tired_after(end)) for start, end in merged(busy)]
        checks = [(check.start, check.end) for check in life.checks]
        self.natural = [span for span in merged([*lively, *checks]) if span[0] < MONTH]
        self._natural_starts = [start for start, _ in self.natural]
        self._miles = self._sums([drive.miles for drive in self.drives.spans if isinstance(drive, Drive)])
        self.looks: list[Look] = []
        self.refused = 0
        self.states = 0
        self._awake_until = -1.0
        self._kept: list[tuple[float, float]] = []

    @staticmethod
    def _sums(values: Sequence[float]) -> list[float]:
        sums = [0.0]
        for value in values:
            sums.append(sums[-1] + value)
        return sums

    def _tired_after(self, moment: float) -> float:
        """Return the quiet seconds after a moment: the car's own, and up to a minute more."""
        return self.quiet + (moment * 7.31) % 60.0

    def awake(self, now: float) -> bool:
        """Tell whether the car is awake."""
        if now < self._awake_until:
            return True
        index = bisect_right(self._natural_starts, now) - 1
        return index >= 0 and now < self.natural[index][1]

    def state(self, now: float) -> bool:
        """Answer the state request."""
        self.states += 1
        return self.awake(now)

    def look(self, now: float) -> Observation | None:
        """Answer `vehicle_data`, and stay awake for it; None when asleep (408, billed)."""
        if not self.awake(now):
            self.refused += 1
            return None
        self._awake_until = now + self._tired_after(now)
        self._kept.append((now, self._awake_until))
        observed = self.observed(now)
        self.looks.append(Look(now, observed.driving, observed.charging, self.miles(now), self.kwh(now)))
        return observed

    def observed(self, now: float) -> Observation:
        """Return what a look sees now."""
        reasons = {reason for reason, spells in self._spells.items() if spells.at(now) is not None}
        arrival = charge_left = None
        fast = False
        if (index := self.drives.at(now)) is not None:
            drive = self.drives.spans[index]
            assert isinstance(drive, Drive)
            reasons |= {Reason.DRIVING, Reason.USER_PRESENT}
            if drive.routed:
                off = 1 + 0.15 * ((drive.start * 0.37) % 2 - 1)
                arrival = round((drive.end - now) * off / 60) * 60.0
        if (index := self.charges.at(now)) is not None:
            charge = self.charges.spans[index]
            assert isinstance(charge, Charge)
            reasons.add(Reason.CHARGING)
            fast = charge.fast
            expected = charge.nominal_end if now < charge.throttled_at else charge.end
            charge_left = max(round((expected - now) / 60), 1) * 60.0
        pending = self.pending.at(now)
        return Observation(
            reasons=frozenset(reasons),
            fast=fast,
            arrival=arrival,
            charge_left=charge_left,
            plugged=self.plugged.at(now) is not None or Reason.CHARGING in reasons,
            open=self.doors.at(now) is not None,
            charge_starts_at=None if pending is None else EPOCH + self.pending.spans[pending].end,
            place=self.place(now),
        )

    def place(self, now: float) -> tuple[float, float] | None:
        """Return where the car is; on the way, somewhere else."""
        index = self.drives.last(now)
        if index is None:
            following = self.drives.spans[0] if self.drives.spans else None
            return following.origin if isinstance(following, Drive) else (0.0, 0.0)
        drive = self.drives.spans[index]
        assert isinstance(drive, Drive)
        return (80.0, now % 90) if now < drive.end else drive.destination

    def miles(self, now: float) -> float:
        """Return the odometer."""
        index = self.drives.last(now)
        if index is None:
            return 0.0
        drive = self.drives.spans[index]
        assert isinstance(drive, Drive)
        share = min((now - drive.start) / (drive.end - drive.start), 1.0)
        return self._miles[index] + drive.miles * share

    def kwh(self, now: float) -> float:
        """Return the energy added in this or the last charge."""
        index = self.charges.last(now)
        if index is None:
            return 0.0
        charge = self.charges.spans[index]
        assert isinstance(charge, Charge)
        return charge.kwh * min((now - charge.start) / (charge.end - charge.start), 1.0)

    def awake_beyond_natural(self) -> float:
        """Return the hours that looks kept the car awake."""

        def hours(spans: list[tuple[float, float]]) -> float:
            return sum(min(end, MONTH) - start for start, end in spans if start < MONTH) / HOUR

        return hours(merged([*self.natural, *self._kept])) - hours(self.natural)
