"""How drives, charges and parking follow from samples: a pure state machine.

`advance` takes the state and the next sample and returns the new state and what is told by it. A session may be told
twice with the same start: once when the car falls asleep, and again when the next look shows where it really ended.
The same samples always tell the same sessions, however they are portioned.
"""

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Final, NamedTuple

from ..record import record
from .known import Known, known_with
from .opened import (
    OpenCharge,
    OpenDrive,
    OpenParking,
    Seen,
    Span,
    Watched,
    charge_between,
    drive_between,
    parking_between,
)
from .sample import Moment, Sample, Wake
from .sessions import Charge, Closed, Drive, Kind, Parking, SoftwareVersion

RULES: Final = 2
"""Raised with each change of the rules that tells other sessions of the same samples."""
GAP_MOST: Final = 31 * 86_400
"""Seconds after which nothing is told of what was between two looks: the car may have been somebody else's."""
WATCHED_MOST: Final = 1800
"""Two samples at most so many seconds apart say what the car did between them."""
OFFLINE_ENDS: Final = 900
"""Seconds without data after which a car that is offline counts as arrived, until it says otherwise."""
FALLS_ASLEEP: Final = 1500
"""A car that sleeps at most so many seconds after a look has not moved since that look."""
WAKES: Final = 300
"""A look at most so many seconds after sleep: the car has hardly moved since."""
LEAST_PARKING: Final = 60
LEAST_MISSED_KM: Final = 0.1
LEAST_MISSED_KWH: Final = 0.1
LEAST_CONTINUED_KWH: Final = 0.3
"""Heating from the cable moves the counter of a finished charge a little."""
RECOUNTED_LEAST: Final = 0.5
"""A counter that falls by a larger share counts another charge."""
DRAIN_KW: Final = 0.5
"""What a car that stands may take from its battery."""
ROUNDING_KW: Final = 1.0
"""By how much a charger may have more power than it tells."""
ZERO_MOST: Final = 600
"""Seconds between two looks at a charge in which it hardly is another one at its very beginning."""
LEAST_LEARNT_POINTS: Final = 5
ODOMETER_BACK_KM: Final = -0.05
FASTEST_KMH: Final = 300.0
SLOW_SPLIT: Final = 3600
"""Between two looks so many seconds apart a slow drive was two."""
SLOW_KMH: Final = 10.0
ASSUMED_KMH: Final = 30.0
ASSUMED_KW: Final = 3.0
ASSUMED_KWH_PER_POINT: Final = 0.75
ASSUMED_KWH_PER_KM: Final = 0.15
ASSUMED_RANGE_PER_KM: Final = 1.15
"""Rated range that a kilometer takes."""
LEARNT_MOST: Final = 10
DRIVES_MOST: Final = 20
LONG_AGO: Final = 3600
"""Seconds after which what stood in the battery before a drive is reckoned back from the drive."""
HARD_DRIVING: Final = 1.25
"""By how much a drive that nobody saw may have taken more than drives take: the rest was lost while parked."""
UNEXPLAINED_KWH: Final = 6.0
UNEXPLAINED_SHARE: Final = 0.25
"""What the battery must hold more than the car's counter and distance explain, before it counts as charged."""


class Gain(NamedTuple):
    """What one charge added, in three measures."""

    kwh: float
    km: float
    points: float


class Use(NamedTuple):
    """What one drive took."""

    km: float
    range_km: float


class Run(NamedTuple):
    """The car was seen asleep from the one to the other."""

    start: Moment
    end: Moment


type Open = OpenDrive | OpenCharge | OpenParking


@record
class State:
    """All that the rules remember of one car. Empty before the first sample."""

    last: Moment = 0
    """The newest sample of any kind."""
    wake: Wake | None = None
    reason: str | None = None
    known: Known | None = None
    open: Open | None = None
    base_km: float | None = None
    """The odometer up to which distance is told."""
    first_sleep: Run | None = None
    last_sleep: Run | None = None
    """Both since the last look."""
    watched: Watched = field(default_factory=Watched)
    """Since the parking began, or since the last look of a drive or charge."""
    told: Drive | Charge | None = None
    """The open session as it was told when the car fell asleep."""
    learnt: Sequence[Gain] = ()
    software: str | None = None
    drives: Sequence[Use] = ()

    @property
    def range_per_km(self) -> float:
        """Rated range that a kilometer takes, by the last drives."""
        driven = sum(use.km for use in self.drives)
        return sum(use.range_km for use in self.drives) / driven if driven else ASSUMED_RANGE_PER_KM

    @property
    def kwh_per_point(self) -> float:
        """What a per cent of charge is worth, by the last charges."""
        points = sum(gain.points for gain in self.learnt)
        return sum(gain.kwh for gain in self.learnt) / points if points else ASSUMED_KWH_PER_POINT

    @property
    def kwh_per_km(self) -> float:
        """What a kilometer of rated range is worth, by the last charges."""
        km = sum(gain.km for gain in self.learnt)
        return sum(gain.kwh for gain in self.learnt) / km if km else ASSUMED_KWH_PER_KM

    def with_energy(self, known: Known, kwh: float) -> Known:
        """Return what would be known with so much more energy in the battery."""
        return known.energy_changed(kwh, self.kwh_per_point, self.kwh_per_km)


def advance(state: State, sample: Sample) -> tuple[State, tuple[Closed, ...]]:
    """Take in the next sample. One that is not newer than what is known changes nothing."""
    if not sample.has_data:
        return _heard(state, sample) if sample.at > state.last else (state, ())
    known = state.known
    if known is None:
        return _begun(state, sample)
    if sample.at <= known.at:
        return state, ()
    if sample.at - known.at > GAP_MOST:
        old = replace(state, known=known)
        begun, closed = _begun(_left_alone(old), sample)
        return begun, (*_whole(old), *closed)
    return _looked(replace(state, watched=_watched(state, sample)), _without_zeros(sample, known, state.open), known)


def _without_zeros(sample: Sample, known: Known, opened: Open | None) -> Sample:
    """Return the sample without counters that are 0 for once: no car drives or charges back to nothing.

    One that is really new counts on from there, and the next look tells that. A charge that begins counts from 0.
    """
    if sample.odometer_km == 0 and (known.odometer_km or 0.0) > 0:
        sample = replace(sample, odometer_km=None)
    if sample.energy_added_kwh == 0 and (known.energy_added_kwh or 0.0) > LEAST_MISSED_KWH:
        goes_on = isinstance(opened, OpenCharge) and sample.at - known.at <= ZERO_MOST
        if goes_on or not sample.charging:
            sample = replace(sample, energy_added_kwh=None)
    return sample


def current(state: State) -> Drive | Charge | Parking | None:
    """Return the session that goes on, as far as it is known, or None before the first look."""
    return _closed_now(state, max(state.last, state.known.at)) if state.known is not None else None


def _closed_now(state: State, end: Moment) -> Drive | Charge | Parking | None:
    known, opened = state.known, state.open
    if known is None or opened is None:
        return None
    end = max(end, opened.start)
    if isinstance(opened, OpenParking):
        return opened.closed(end, end, known, state.watched)
    if state.told is not None:
        start = min(state.told.end, end)
        return OpenParking(start=start, earliest=known.at, before=known).closed(end, end, known, state.watched)
    return opened.closed(end, end, known)


def _whole(state: State) -> tuple[Closed, ...]:
    """Close what is open where it was last seen."""
    if state.known is None or state.open is None or state.told is not None:
        return ()
    seen = state.last if isinstance(state.open, OpenParking) and state.wake is not Wake.OFFLINE else state.known.at
    session = _closed_now(state, seen)
    return () if session is None else (session,)


def _left_alone(state: State) -> State:
    return State(last=state.last, learnt=state.learnt, drives=state.drives, software=state.software)


# Hearing that the car sleeps, or is offline


def _heard(state: State, sample: Sample) -> tuple[State, tuple[Closed, ...]]:
    first_sleep, last_sleep = state.first_sleep, state.last_sleep
    if sample.state is Wake.ASLEEP:
        begin = sample.at if sample.since is None else max(sample.since, state.last)
        first_sleep, last_sleep = _slept(state, Run(begin, sample.at))
    # Most samples are of a car that sleeps: the state is copied once for each
    heard = replace(
        state,
        last=sample.at,
        wake=sample.state or state.wake,
        reason=sample.awake_because,
        first_sleep=first_sleep,
        last_sleep=last_sleep,
        watched=_watched(state, sample),
    )
    return _told_early(heard, sample)


def _slept(state: State, run: Run) -> tuple[Run, Run]:
    """Return the first and the last sleep since the last look, with one that was just seen."""
    if state.first_sleep is None:
        return run, run
    if state.wake is Wake.ASLEEP and state.last_sleep is not None and run.start - state.last_sleep.end <= WATCHED_MOST:
        longer = Run(state.last_sleep.start, run.end)
        return longer if state.first_sleep == state.last_sleep else state.first_sleep, longer
    return state.first_sleep, run


def _told_early(state: State, sample: Sample) -> tuple[State, tuple[Closed, ...]]:
    """Tell a drive or charge when the car sleeps or has long been offline; the next look may correct it."""
    opened, known = state.open, state.known
    if known is None or state.told is not None or not isinstance(opened, OpenDrive | OpenCharge):
        return state, ()
    arrived = sample.state is Wake.ASLEEP or (
        sample.state is Wake.OFFLINE and isinstance(opened, OpenDrive) and sample.at - known.at >= OFFLINE_ENDS
    )
    if not arrived:
        return state, ()
    told = opened.closed(max(known.at, opened.start), sample.at, known)
    return (state, ()) if told is None else (replace(state, told=told), (told,))


def _watched(state: State, sample: Sample) -> Watched:
    """Count the time since the last sample as asleep or awake, if somebody watched."""
    seconds = sample.at - state.last
    watched = seconds <= WATCHED_MOST or (sample.since is not None and sample.since <= state.last)
    if not watched or seconds <= 0 or state.known is None:
        return state.watched
    if state.wake is Wake.ASLEEP:
        return state.watched.slept(seconds)
    if state.wake is Wake.ONLINE:
        return state.watched.woke(seconds, state.reason or sample.awake_because)
    return state.watched


# Looking at the car


def _begun(state: State, sample: Sample) -> tuple[State, tuple[Closed, ...]]:
    """Begin with the first look, or the first after a long time: what was before is not told."""
    known = known_with(None, sample)
    kind = _kind(sample, None)
    opened = _opened(kind, sample.at, sample.at, known, base=sample.energy_added_kwh or 0.0)
    begun = State(
        last=sample.at,
        wake=Wake.ONLINE,
        reason=sample.awake_because,
        known=known,
        open=_with_sample(opened, sample, known, 0.0),
        base_km=known.odometer_km,
        learnt=state.learnt,
        drives=state.drives,
        software=sample.software or state.software,
    )
    return begun, _version(state, sample, None)


def _version(state: State, sample: Sample, after: Moment | None) -> tuple[Closed, ...]:
    """Tell a version that was not there before."""
    if sample.software is None or sample.software == state.software:
        return ()
    return (SoftwareVersion(version=sample.software, since=sample.at, after=after if state.software else None),)


def _kind(sample: Sample, opened: Open | None) -> Kind:
    """Say what the car does; blocks that did not come leave that as it was."""
    if sample.driving:
        return Kind.DRIVE
    if sample.charging:
        return Kind.CHARGE
    if opened is None:
        return Kind.PARKING
    if opened.kind is Kind.DRIVE and sample.driving is None:
        return Kind.DRIVE
    if opened.kind is Kind.CHARGE and sample.charging is None:
        return Kind.CHARGE
    return Kind.PARKING


def _opened(
    kind: Kind, start: Moment, earliest: Moment, before: Known, *, base: float = 0.0
) -> OpenDrive | OpenCharge | OpenParking:
    if kind is Kind.DRIVE:
        return OpenDrive(start=start, earliest=earliest, before=before)
    if kind is Kind.CHARGE:
        return OpenCharge(start=start, earliest=earliest, before=before, base_kwh=base)
    return OpenParking(start=start, earliest=earliest, before=before)


def _with_sample(opened: Open, sample: Sample, known: Known, moved: float) -> Open:
    if isinstance(opened, OpenDrive):
        return opened.with_sample(sample, known, moved)
    return opened.with_sample(sample, known)


@record
class Look:
    """One look at the car beside the one before."""

    state: State
    sample: Sample
    before: Known
    after: Known
    kind: Kind
    """What the car does now."""
    moved: float
    """Kilometers since what is told."""
    base_km: float | None
    recounted: bool = False
    """The car's counter is another, though there was no other charge."""
    other_charge: bool = False
    """The car counts another charge than before."""
    missed_kwh: float = 0.0
    """Added by a charge that nobody saw."""

    @property
    def opened(self) -> Open:
        """The session that was going on."""
        assert self.state.open is not None  # noqa: S101 - it is opened with the first look
        return self.state.open

    @property
    def passed(self) -> int:
        """Seconds between the looks."""
        return self.after.at - self.before.at

    @property
    def slept(self) -> bool:
        """Whether the car was seen asleep between the looks."""
        return self.state.first_sleep is not None

    @property
    def old_ends(self) -> Moment:
        """The latest moment at which what went on can have ended: sleep ends it."""
        sleep = self.state.first_sleep
        return self.after.at if sleep is None else min(max(sleep.start, self.before.at), self.after.at)

    @property
    def new_begins(self) -> Moment:
        """The earliest moment at which what goes on now can have begun: a car that sleeps does nothing."""
        sleep = self.state.last_sleep
        return self.before.at if sleep is None else min(max(sleep.end, self.before.at), self.after.at)

    @property
    def old_km(self) -> float:
        """How much of the distance belongs to the drive that went on."""
        if self.opened.kind is not Kind.DRIVE or self.kind is Kind.DRIVE:
            return 0.0
        return self._fitting(self.before.speed_kmh, self.old_ends - self.before.at)

    @property
    def new_km(self) -> float:
        """How much of the distance belongs to the drive that goes on now."""
        return self._fitting(self.sample.speed_kmh, self.after.at - self.new_begins) if self.kind is Kind.DRIVE else 0.0

    def _fitting(self, speed: float | None, seconds: int) -> float:
        """Return how much of the distance fits before or after sleep; without sleep, all of it."""
        if not self.slept:
            return self.moved
        most = max(speed or 0.0, ASSUMED_KMH) * HARD_DRIVING * (seconds + LEAST_PARKING) / 3600
        return self.moved if self.moved - most < LEAST_MISSED_KM else most

    @property
    def missed_km(self) -> float:
        """Distance of a drive that nobody saw."""
        rest = self.moved - self.old_km - self.new_km
        return rest if rest >= LEAST_MISSED_KM else 0.0

    @property
    def missed_drive(self) -> bool:
        """Whether there was a drive that nobody saw."""
        return self.missed_km > 0

    @property
    def goes_on(self) -> bool:
        """Whether what went on then still does."""
        if self.opened.kind is not self.kind or self.missed_kwh:
            return False
        if self.kind is Kind.PARKING:
            return not self.missed_drive
        if self.slept:
            return False
        if self.kind is Kind.DRIVE:
            return self.passed < SLOW_SPLIT or self.moved * 3600 >= SLOW_KMH * self.passed
        return not self.missed_drive and not self.other_charge

    @property
    def same_plug(self) -> bool:
        """Whether the cable has been in since the look before, as far as can be told."""
        return bool(self.before.plugged) and self.moved < LEAST_MISSED_KM

    @property
    def new_base_kwh(self) -> float:
        """The counter when the charge began that goes on now: it stays while the cable stays, and else begins at 0."""
        before, now = self.before.energy_added_kwh, self.sample.energy_added_kwh
        if self.recounted:
            return now or 0.0
        return before if self.same_plug and before is not None and now is not None and now >= before else 0.0

    @property
    def new_kwh(self) -> float:
        """What the charge that began between the looks has added by now."""
        return max((self.sample.energy_added_kwh or 0.0) - self.new_base_kwh, 0.0)


def _looked(state: State, sample: Sample, known: Known) -> tuple[State, tuple[Closed, ...]]:
    after = known_with(known, sample)
    moved, base = _distance_since(state, sample, known)
    kind = _kind(sample, state.open)
    look = Look(state=state, sample=sample, before=known, after=after, kind=kind, moved=moved, base_km=base)
    look = _with_charges(look)
    versions = _version(state, sample, known.at)
    state = replace(
        state,
        last=sample.at,
        wake=Wake.ONLINE,
        reason=sample.awake_because,
        known=after,
        software=after.software or state.software,
        first_sleep=None,
        last_sleep=None,
    )
    if look.goes_on:
        return _gone_on(state, look), versions
    state, closed = _changed(state, look)
    return state, (*closed, *versions)


def _distance_since(state: State, sample: Sample, known: Known) -> tuple[float, float | None]:
    """Return how far the car came since what is told, and the odometer from which to go on counting."""
    odometer, base = sample.odometer_km, state.base_km
    if odometer is None:
        return 0.0, base
    if base is None:
        return 0.0, odometer
    moved = odometer - base
    most = 1 + FASTEST_KMH * (sample.at - known.at + 60) / 3600
    if moved < ODOMETER_BACK_KM or moved > most:
        return 0.0, odometer  # another computer counts now
    return max(moved, 0.0), base


def _with_charges(look: Look) -> Look:
    """Tell whether the counter is another charge's, and what charges added that began and ended between the looks.

    The counter tells the last of them only; that there were more is told by what the battery holds.
    """
    before, now = look.before.energy_added_kwh, look.sample.energy_added_kwh
    if before is not None and now is not None and abs(now - before) > LEAST_MISSED_KWH:
        recounted = _is_recount(look, before, now)
        look = replace(look, recounted=recounted, other_charge=now < before and not recounted)
    unexplained = _unexplained_kwh(look)
    used = look.moved * look.state.range_per_km * look.state.kwh_per_km
    doubtful = UNEXPLAINED_KWH + UNEXPLAINED_SHARE * used
    if (
        before is not None
        and now is not None
        and look.opened.kind is Kind.CHARGE
        and look.kind is not Kind.CHARGE
        and not look.other_charge
        and abs(unexplained - before) < min(abs(unexplained) / 2, doubtful)
    ):
        look, unexplained = replace(look, other_charge=True), unexplained - before
    told = _counted_kwh(look)
    unexplained -= told
    return replace(look, missed_kwh=told + unexplained if unexplained > doubtful else told)


def _is_recount(look: Look, before: float, now: float) -> bool:
    """Tell a counter that the car corrects from that of another charge: that one takes time, and is in the battery.

    Cars do this within a charge and after it (Home Assistant core's issues about `charge_energy_added`).
    """
    gained = _gained_kwh(look)
    if now > before:
        claimed, drained = now - before if look.same_plug else now, DRAIN_KW * look.passed / 3600
        unseen = Kind.CHARGE not in (look.opened.kind, look.kind)
        return unseen and gained is not None and gained + drained < claimed / 2
    if now < before * RECOUNTED_LEAST:
        return False
    if look.opened.kind is look.kind is Kind.CHARGE and look.moved < LEAST_MISSED_KM:
        power = max(look.before.power_kw or 0.0, _power(look.sample)) + ROUNDING_KW
        if now > power * look.passed / 3600:
            return True
    return gained is not None and gained < now / 2


def _gained_kwh(look: Look) -> float | None:
    """Return what went into the battery by range or by charge, as far as that can be told: not of a long way."""
    before, now = look.before, look.sample
    used = look.moved * look.state.range_per_km * look.state.kwh_per_km
    if used > (now.energy_added_kwh or 0.0) / 4:
        return None
    if before.range_km is not None and now.range_km is not None:
        return (now.range_km - before.range_km) * look.state.kwh_per_km + used
    if before.soc is not None and now.soc is not None:
        return (now.soc - before.soc) * look.state.kwh_per_point + used
    return None


def _unexplained_kwh(look: Look) -> float:
    """Return what the battery holds more than distance and the charges before and now explain."""
    before, now = look.before.range_km, look.sample.range_km
    if before is None or now is None or not look.state.learnt:
        return 0.0
    seen = _more_kwh(look) if look.opened.kind is Kind.CHARGE else 0.0
    if look.kind is Kind.CHARGE and (look.opened.kind is not Kind.CHARGE or look.other_charge):
        seen += look.new_kwh
    return (now - before + look.moved * look.state.range_per_km) * look.state.kwh_per_km - seen


def _counted_kwh(look: Look) -> float:
    """Return what the car's counter tells of such a charge."""
    before, now = look.before.energy_added_kwh, look.sample.energy_added_kwh
    if look.kind is Kind.CHARGE or before is None or now is None or look.recounted:
        return 0.0
    if look.opened.kind is Kind.CHARGE or now < before:
        return now if (look.other_charge or now < before - LEAST_MISSED_KWH) and now > LEAST_MISSED_KWH else 0.0
    more = now - before
    if look.same_plug:
        return more if more > LEAST_CONTINUED_KWH else 0.0
    return now if more > LEAST_MISSED_KWH else 0.0


def _gone_on(state: State, look: Look) -> State:
    opened, base = look.opened, look.base_km
    moved = 0.0
    if isinstance(opened, OpenDrive):
        moved, base = look.moved, look.sample.odometer_km or base
    watched = state.watched if isinstance(opened, OpenParking) else Watched()
    extended = _with_sample(opened, look.sample, look.after, moved)
    return replace(state, open=extended, base_km=base, watched=watched, told=None)


def _changed(state: State, look: Look) -> tuple[State, tuple[Closed, ...]]:
    """Close what went on, tell what was missed, begin what goes on now."""
    begins, earliest = _begin_of_new(look)
    if look.opened.kind is Kind.PARKING:
        ends, latest, ended = _stood_until(look), begins, None
    else:
        ends, latest = _end_of_old(look, begins)
        ended = _ended(look, ends, latest)
    missed = _missed(look, ends, begins) if look.missed_drive or look.missed_kwh else ()
    closed: list[Drive | Charge | Parking] = []
    standing = _after_old(look)
    at = ends
    if isinstance(look.opened, OpenParking):
        at = missed[0].start if missed else begins
        closed.append(look.opened.closed(at, latest, look.before, state.watched))
    else:
        if (session := ended) is not None:
            closed.append(session)
        first = missed[0].start if missed else begins
        if first - ends >= LEAST_PARKING and (look.kind is not Kind.PARKING or missed):
            closed.append(_filler(look, ends, first, standing, state.watched))
            at = first
    closed.extend(missed)
    if missed:
        at = missed[-1].end
    state = _learnt(state, closed)
    if look.kind is Kind.PARKING:
        start, base_before = (at if missed or look.opened.kind is not Kind.PARKING else begins), look.after
    else:
        start, base_before = max(begins, at), _before_new(look, standing)
    opened = _opened(look.kind, start, min(earliest, start), base_before, base=look.new_base_kwh)
    keeps = look.kind is Kind.PARKING and look.opened.kind is not Kind.PARKING and not missed
    state = replace(
        state,
        open=_with_sample(opened, look.sample, look.after, look.new_km),
        base_km=_new_base(look, dropped=ended is None),
        watched=state.watched if keeps else Watched(),
        told=None,
    )
    return state, tuple(session for session in closed if session != look.state.told)


def _new_base(look: Look, *, dropped: bool) -> float | None:
    """Return the odometer from which to go on counting: what no drive has told yet is the next one's."""
    odometer = look.sample.odometer_km
    if odometer is None:
        return look.base_km
    if look.kind is Kind.DRIVE or look.missed_drive:
        return odometer
    if isinstance(look.opened, OpenDrive):
        return odometer - look.opened.distance_km - look.old_km if dropped else odometer
    return look.base_km


def _begin_of_new(look: Look) -> tuple[Moment, Moment]:
    """Return when what goes on now began, by estimate and at the earliest."""
    low, high = look.new_begins, look.after.at
    if look.kind is Kind.PARKING:
        return high, low
    if look.kind is Kind.DRIVE:
        hours = look.new_km / max(look.sample.speed_kmh or 0.0, ASSUMED_KMH)
    else:
        hours = look.new_kwh / max(_power(look.sample), ASSUMED_KW)
    return min(max(high - round(hours * 3600), low), high), low


def _power(sample: Sample) -> float:
    return sample.charger_power_kw or 0.0


def _end_of_old(look: Look, begins: Moment) -> tuple[Moment, Moment]:
    """Return when the drive or charge ended, by estimate and at the latest."""
    latest = max(min(look.old_ends, begins), look.before.at)
    if isinstance(look.opened, OpenDrive):
        hours = look.old_km / max(look.before.speed_kmh or 0.0, ASSUMED_KMH)
    else:
        hours = _more_kwh(look) / max(look.before.power_kw or 0.0, ASSUMED_KW)
    ends = min(look.before.at + round(hours * 3600), latest)
    return max(ends, look.opened.start), max(latest, look.opened.start)


def _more_kwh(look: Look) -> float:
    """Return what the charge that went on, or still does, added after the look before."""
    before, now = look.before.energy_added_kwh, look.sample.energy_added_kwh
    if look.other_charge:
        return 0.0
    return max(now - before, 0.0) if before is not None and now is not None else 0.0


def _ended(look: Look, ends: Moment, latest: Moment) -> Drive | Charge | None:
    after = _after_old(look)
    if isinstance(look.opened, OpenDrive):
        return look.opened.closed(ends, latest, after, moved=look.old_km)
    if isinstance(look.opened, OpenCharge):
        return look.opened.closed(ends, latest, after, more=_more_kwh(look))
    return None


def _after_old(look: Look) -> Known:
    """Return what was known when the old session ended."""
    if isinstance(look.opened, OpenParking):
        return look.before
    still = not look.missed_kwh and not look.missed_drive
    if look.kind is Kind.PARKING and still:
        return look.after
    if isinstance(look.opened, OpenCharge):
        return look.state.with_energy(look.before, _more_kwh(look))
    if look.kind is Kind.CHARGE and still:
        return look.state.with_energy(look.after, -look.new_kwh)
    return replace(_driven(look, look.before, look.old_km), place="", position=None)


def _before_new(look: Look, standing: Known) -> Known:
    """Return what was known when the new session began."""
    missed = look.missed_kwh or look.missed_drive
    if look.kind is Kind.CHARGE and missed:
        return look.state.with_energy(look.after, -look.new_kwh)
    if look.kind is Kind.DRIVE and look.missed_drive:
        return replace(_driven(look, look.after, -look.new_km), place="", position=None)
    if look.kind is Kind.DRIVE and look.missed_kwh:
        return replace(look.state.with_energy(standing, look.missed_kwh), place="", position=None)
    if look.kind is Kind.DRIVE and look.opened.kind is Kind.PARKING:
        return _drained(look, look.new_km)
    return standing


def _driven(look: Look, known: Known, km: float) -> Known:
    """Return what would be known so many kilometers later."""
    driven = look.state.with_energy(known, -km * look.state.range_per_km * look.state.kwh_per_km)
    return replace(driven, odometer_km=None if known.odometer_km is None else known.odometer_km + km)


def _drained(look: Look, moved: float) -> Known:
    """Return what the battery held before the last kilometers, when the last look before them is long ago."""
    before, now = look.before.range_km, look.after.range_km
    if look.passed <= LONG_AGO or before is None or now is None:
        return look.before
    lost = before - now - moved * look.state.range_per_km * HARD_DRIVING
    if lost <= 0:
        return look.before
    return look.state.with_energy(look.before, -lost * look.state.kwh_per_km)


def _stood_until(look: Look) -> Moment:
    """Return until when the parked car is known to have stood where it was."""
    sleep = look.state.first_sleep
    if sleep is None or sleep.start - look.before.at > FALLS_ASLEEP:
        return look.before.at
    return min(sleep.end, look.after.at)


def _stands_since(look: Look, low: Moment) -> Moment:
    """Return since when the parked car is known to stand where it is."""
    sleep = look.state.last_sleep
    if sleep is None or look.after.at - sleep.end > WAKES or sleep.start <= low:
        return look.after.at
    return max(min(sleep.start, look.after.at), low)


def _missed(look: Look, low: Moment, begins: Moment) -> tuple[Drive | Charge, ...]:
    """Tell what happened between the looks, with its bounds."""
    high = max(_stands_since(look, low) if look.kind is Kind.PARKING or look.missed_drive else begins, low)
    high = max(min(high, begins), low)
    start, drive_km = _after_old(look), look.missed_km
    end = look.after if look.kind is Kind.PARKING else _before_new(look, start)
    if not look.missed_kwh:
        start = _drained(look, drive_km) if look.kind is look.opened.kind is Kind.PARKING else start
        return (_missed_drive(look, Span(low, high, low, high), start, end, drive_km),)
    if not drive_km:
        where = look.before if look.moved < LEAST_MISSED_KM else None
        return (_missed_charge(look, Span(low, high, low, high), start, end, where),)
    middle = (low + high) // 2
    if look.after.plugged and look.kind is Kind.PARKING:
        between = look.state.with_energy(end, -look.missed_kwh)
        return (
            _missed_drive(look, Span(low, middle, low, high), start, between, drive_km),
            _missed_charge(look, Span(middle, high, low, high), between, end, look.after),
        )
    between = look.state.with_energy(start, look.missed_kwh)
    return (
        _missed_charge(look, Span(low, middle, low, high), start, between, None),
        _missed_drive(look, Span(middle, high, low, high), between, end, drive_km),
    )


def _missed_drive(look: Look, span: Span, before: Known, after: Known, km: float) -> Drive:
    return drive_between(before, replace(after, odometer_km=look.after.odometer_km), span, distance_km=km)


def _missed_charge(look: Look, span: Span, before: Known, after: Known, where: Known | None) -> Charge:
    return charge_between(before, after, span, kwh=look.missed_kwh, where=where)


def _filler(look: Look, start: Moment, end: Moment, known: Known, watched: Watched) -> Parking:
    """Tell the parking between two sessions that one gap between looks holds."""
    return parking_between(known, known, Span(start, end, look.before.at, look.after.at), seen=Seen(), watched=watched)


def _learnt(state: State, closed: Sequence[Drive | Charge | Parking]) -> State:
    """Learn what range, charge and kilometers are worth from what was seen."""
    for session in closed:
        km = session.range_change_km
        if session.reconstructed or session.cold or km is None:
            continue
        if isinstance(session, Charge) and km > 0 and (session.soc_change or 0.0) >= LEAST_LEARNT_POINTS:
            gain = Gain(session.added_kwh, km, session.soc_change or 0.0)
            state = replace(state, learnt=(*state.learnt[-LEARNT_MOST + 1 :], gain))
        elif isinstance(session, Drive) and km < 0:
            state = replace(state, drives=(*state.drives[-DRIVES_MOST + 1 :], Use(session.distance_km, -km)))
    return state
