"""Thirteen lives of a month. Each seed makes another month of the same kind; midnight of a Monday is 0."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from custom_components.teslafi.polling.observation import Reason

from .car import DAY, HOUR, MINUTE, MONTH, Charge, Drive, Life, Span, Spell

HOME: Final = (50.0, 8.0)
WORK: Final = (50.2, 8.2)
type Place = tuple[float, float]


class Author:
    """Writes a life, one happening after the other."""

    def __init__(self, name: str, seed: int) -> None:
        """Begin a life at home."""
        self.random = Random(f"{name} {seed}")  # noqa: S311 - a simulation
        self.life = Life(name)
        self.place: Place = HOME
        self.free_at = 0.0

    def somewhere(self) -> Place:
        """Return a place where the car has hardly been."""
        return (50 + self.random.uniform(-0.4, 0.4), 8 + self.random.uniform(-0.4, 0.4))

    def about(self, value: float, share: float = 0.2) -> float:
        """Return a number near this one."""
        return max(self.random.gauss(value, value * share), value * 0.3)

    def drive(self, start: float, minutes: float, to: Place, *, mph: float = 28, routed: bool = False) -> float:
        """Drive somewhere, opening the car before and leaving it after; return when the car has arrived."""
        random = self.random
        start = max(start, self.free_at + 100)
        end = start + minutes * MINUTE
        if end > MONTH - HOUR:
            return end
        opened = start - random.uniform(20, 90)
        seated = min(opened + random.uniform(5, 15), start)
        left = end + random.uniform(20, 80)
        life = self.life
        life.doors.append(Span(opened, opened + 8))
        life.spells.append(Spell(seated, left, Reason.USER_PRESENT))
        life.doors.append(Span(left, left + 8))
        life.drives.append(Drive(start, end, minutes / 60 * self.about(mph, 0.15), self.place, to, routed))
        self.place, self.free_at = to, left + 8
        return end

    def charge_at_home(self, hours: float, *, at: float | None = None, until: float | None = None) -> None:
        """Plug in after arriving; charge at once, or at a scheduled moment."""
        plugged = self.free_at + self.random.uniform(10, 120)
        start = plugged + 10 if at is None else max(at, plugged + 10)
        end = start + hours * HOUR
        if end > MONTH - HOUR:
            return
        if at is not None and start > plugged + 60:
            self.life.pending.append(Span(plugged, start))
            self.life.doors.append(Span(plugged - 5, plugged))
        self.life.plugged.append(Span(plugged, until or end + self.random.uniform(1, 5) * HOUR))
        self.life.charges.append(Charge(start, end, hours * 10.5, end))

    def supercharge(self, minutes: float, expected: float) -> None:
        """Charge with direct current, until the driver has had enough."""
        start = self.free_at + self.random.uniform(15, 60)
        end = start + minutes * MINUTE
        self.life.plugged.append(Span(start - 8, end + 20))
        self.life.charges.append(Charge(start, end, minutes * 1.4, start + expected * MINUTE, fast=True))
        self.life.spells.append(Spell(start, start + 60, Reason.USER_PRESENT))
        self.free_at = end + 30

    def awake(self, start: float, end: float, reason: Reason) -> None:
        """Keep the car awake for a reason."""
        if end > start:
            self.life.spells.append(Spell(start, end, reason))

    def app(self, often: float) -> None:
        """Let somebody wake the car by Tesla's app now and then, `often` times a month."""
        for _ in range(round(often)):
            at = self.random.uniform(0, MONTH - DAY)
            self.life.doors.append(Span(at, at + 1))


def days() -> range:
    """Return the month's days."""
    return range(30)


def _commuter(author: Author) -> None:
    """To work and back on weekdays, errands on Saturday, a trip on some Sundays; charges at night on schedule."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 5:
            author.drive(midnight + 7.5 * HOUR + random.gauss(0, 6) * MINUTE, author.about(28), WORK)
            back = midnight + 17 * HOUR + random.gauss(0, 25) * MINUTE
            if random.random() < 0.25:
                author.drive(back, author.about(20), author.somewhere())
                back = author.free_at + author.about(20) * MINUTE
            author.drive(back, author.about(28), HOME)
            if day % 2 == 0:
                author.charge_at_home(author.about(2.5), at=midnight + 24 * HOUR + 15 * MINUTE)
        elif day % 7 == 5:
            author.drive(midnight + 10 * HOUR + random.gauss(0, 30) * MINUTE, author.about(12), author.somewhere())
            author.drive(author.free_at + author.about(35) * MINUTE, author.about(10), author.somewhere())
            author.drive(author.free_at + author.about(25) * MINUTE, author.about(14), HOME)
        elif random.random() < 0.5:
            author.drive(midnight + 11 * HOUR, author.about(45), author.somewhere(), mph=45, routed=True)
            author.drive(author.free_at + author.about(180) * MINUTE, author.about(45), HOME, mph=45, routed=True)
    author.app(10)


def _night_shift(author: Author) -> None:
    """Leaves in the evening, comes back at dawn, charges by day at once; four nights on, three off."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 4:
            author.drive(midnight + 21.2 * HOUR + random.gauss(0, 8) * MINUTE, author.about(27), WORK)
            author.drive(midnight + 30.2 * HOUR + random.gauss(0, 15) * MINUTE, author.about(27), HOME)
            if day % 2:
                author.charge_at_home(author.about(2))
        elif day % 7 == 6:
            author.drive(midnight + 15 * HOUR + random.gauss(0, 60) * MINUTE, author.about(15), author.somewhere())
            author.drive(author.free_at + author.about(60) * MINUTE, author.about(15), HOME)
    author.app(6)


def _errands(author: Author) -> None:
    """School, shops and parcels: stops of two minutes and more, several drives an outing."""
    random = author.random
    school = (50.05, 8.05)
    for day in days():
        midnight = day * DAY
        if day % 7 < 5:
            author.drive(midnight + 7.8 * HOUR + random.gauss(0, 4) * MINUTE, author.about(9), school)
            author.drive(author.free_at + random.uniform(1, 3) * MINUTE, author.about(9), HOME)
        if day % 7 in (1, 3, 5):
            author.drive(midnight + 14.5 * HOUR + random.gauss(0, 45) * MINUTE, author.about(8), author.somewhere())
            for _ in range(random.randint(2, 3)):
                stop = 2 if random.random() < 0.45 else author.about(22, 0.4)
                author.drive(author.free_at + stop * MINUTE, author.about(7), author.somewhere())
            author.drive(author.free_at + author.about(10) * MINUTE, author.about(10), HOME)
            if day % 7 == 5:
                author.charge_at_home(author.about(4))
    author.app(8)


def _holiday(author: Author) -> None:
    """At home for ten days, then away with superchargers, day trips, and back."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day in (10, 11, 20, 21):
            author.drive(midnight + 8.5 * HOUR, author.about(100, 0.1), author.somewhere(), mph=62, routed=True)
            for _ in range(2):
                minutes = author.about(22)
                author.supercharge(minutes, minutes * random.choice((1.0, 1.0, 1.3, 1.6)))
                to = HOME if day == 21 else author.somewhere()
                author.drive(author.free_at, author.about(100, 0.1), to, mph=62, routed=True)
        elif 11 < day < 20 and random.random() < 0.8:
            hotel = author.place
            author.drive(
                midnight + 10 * HOUR + random.gauss(0, 40) * MINUTE, author.about(30), author.somewhere(), routed=True
            )
            author.drive(author.free_at + author.about(150) * MINUTE, author.about(30), hotel, routed=True)
        elif day < 10 and day % 7 < 5:
            author.drive(midnight + 8 * HOUR + random.gauss(0, 10) * MINUTE, author.about(18), WORK)
            author.drive(midnight + 17 * HOUR + random.gauss(0, 20) * MINUTE, author.about(18), HOME)
            if day % 3 == 0:
                author.charge_at_home(author.about(3))
    author.app(6)


def _sentry(author: Author) -> None:
    """A commuter who leaves sentry mode on wherever the car stands: it never sleeps."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 in (0, 2, 4):
            author.drive(midnight + 8.2 * HOUR + random.gauss(0, 6) * MINUTE, author.about(25), WORK)
            author.drive(midnight + 17.5 * HOUR + random.gauss(0, 15) * MINUTE, author.about(25), HOME)
            if day % 7 == 2:
                author.charge_at_home(author.about(4), at=midnight + 25 * HOUR)
        elif day % 7 == 5:
            author.drive(midnight + 11 * HOUR + random.gauss(0, 60) * MINUTE, author.about(20), author.somewhere())
            author.drive(author.free_at + author.about(90) * MINUTE, author.about(20), HOME)
    author.awake(0, MONTH, Reason.SENTRY)


def _cold_garage(author: Author) -> None:
    """Preconditions each working day before it leaves, some other times for nothing."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 5:
            leaves = midnight + 7 * HOUR + random.gauss(0, 5) * MINUTE
            author.awake(leaves - author.about(14) * MINUTE, leaves, Reason.PRECONDITIONING)
            author.drive(leaves, author.about(24), WORK)
            back = midnight + 16.2 * HOUR + random.gauss(0, 20) * MINUTE
            if random.random() < 0.5:
                author.awake(back - author.about(9) * MINUTE, back, Reason.CLIMATE)
            author.drive(back, author.about(26), HOME)
            if day % 3 == 0:
                author.charge_at_home(author.about(3.5), at=midnight + 26 * HOUR)
        elif random.random() < 0.4:
            author.awake(midnight + 9 * HOUR, midnight + 9.4 * HOUR, Reason.PRECONDITIONING)
    author.app(12)


def _shared(author: Author) -> None:
    """Two drivers who take turns, at any hour."""
    random = author.random
    for day in days():
        at = day * DAY + random.uniform(7, 9.5) * HOUR
        while at < day * DAY + 21 * HOUR:
            author.drive(at, author.about(16, 0.35), author.somewhere() if random.random() < 0.6 else WORK)
            author.drive(author.free_at + author.about(70, 0.5) * MINUTE, author.about(16, 0.35), HOME)
            at = author.free_at + random.expovariate(1 / 9) * HOUR + 30 * MINUTE
        if day % 4 == 1:
            author.charge_at_home(author.about(5))
    author.app(20)


def _older(author: Author) -> None:
    """A Model S of 2016: needs six more quiet minutes; a commuter."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 5:
            author.drive(midnight + 8.5 * HOUR + random.gauss(0, 12) * MINUTE, author.about(22), WORK)
            author.drive(midnight + 18 * HOUR + random.gauss(0, 30) * MINUTE, author.about(23), HOME)
            if day % 3 == 1:
                author.charge_at_home(author.about(3))
    author.app(6)
    author.life.older = True
    author.life.more_quiet = 6 * MINUTE


def _checks(author: Author) -> None:
    """Comes online each hour for a minute, for checks of its own; otherwise a quiet commuter."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 5:
            author.drive(midnight + 9 * HOUR + random.gauss(0, 15) * MINUTE, author.about(22), WORK)
            author.drive(midnight + 16 * HOUR + random.gauss(0, 20) * MINUTE, author.about(22), HOME)
    author.charge_at_home(author.about(2))
    at = random.uniform(0, HOUR)
    while at < MONTH - HOUR:
        author.life.checks.append(Span(at, at + random.uniform(45, 90)))
        at += HOUR + random.gauss(0, 1) * MINUTE


def _throttling(author: Author) -> None:
    """Charges at home at once, each second day, by a charger that halves its power when it is warm."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 6:
            author.drive(midnight + 8 * HOUR + random.gauss(0, 20) * MINUTE, author.about(26), WORK)
            author.drive(midnight + 17.3 * HOUR + random.gauss(0, 30) * MINUTE, author.about(27), HOME)
            if day % 2 == 0:
                author.charge_at_home(author.about(4))
                if author.life.charges:
                    last = author.life.charges.pop()
                    late = (last.end - last.start) * random.uniform(0.1, 0.5)
                    warm = last.start + (last.end - last.start) * random.uniform(0.2, 0.7)
                    author.life.charges.append(
                        Charge(last.start, last.end + late, last.kwh, last.end, throttled_at=warm)
                    )
    author.app(6)


def _road_trip(author: Author) -> None:
    """A week and a half across time zones: 200 miles a day with two superchargers; at home before and after."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if 8 <= day < 18:
            zone = min(day - 8, 18 - day) * 0.5 * HOUR
            author.drive(midnight + 8.5 * HOUR + zone, author.about(70), author.somewhere(), mph=60, routed=True)
            for _ in range(2):
                minutes = author.about(25)
                author.supercharge(minutes, minutes * random.choice((0.9, 1.0, 1.4)))
                author.drive(author.free_at, author.about(70), author.somewhere(), mph=60, routed=True)
            if day == 17:
                author.place = HOME
        elif day % 7 in (1, 4):
            author.drive(midnight + 10 * HOUR + random.gauss(0, 60) * MINUTE, author.about(14), author.somewhere())
            author.drive(author.free_at + author.about(45) * MINUTE, author.about(14), HOME)
    author.app(6)


def _plugs_in_late(author: Author) -> None:
    """A commuter who unloads, eats or mows the lawn first, and plugs in up to 40 minutes after arriving."""
    random = author.random
    for day in days():
        midnight = day * DAY
        if day % 7 < 5:
            author.drive(midnight + 7.8 * HOUR + random.gauss(0, 10) * MINUTE, author.about(22), WORK)
            author.drive(midnight + 16.7 * HOUR + random.gauss(0, 30) * MINUTE, author.about(23), HOME)
            if day % 2:
                author.free_at += random.uniform(0, 38) * MINUTE
                author.charge_at_home(author.about(4))
    author.app(6)


def _parked(author: Author) -> None:
    """At the airport for four weeks; a drive there, a drive back."""
    author.drive(2 * DAY + 5 * HOUR, author.about(50), author.somewhere(), mph=50, routed=True)
    author.drive(27 * DAY + 20 * HOUR, author.about(50), HOME, mph=50, routed=True)
    author.charge_at_home(author.about(4))
    author.app(3)


LIVES: Final[Mapping[str, Callable[[Author], None]]] = {
    "commuter": _commuter,
    "night shift": _night_shift,
    "errands": _errands,
    "holiday": _holiday,
    "sentry": _sentry,
    "cold garage": _cold_garage,
    "shared": _shared,
    "older": _older,
    "checks": _checks,
    "throttling": _throttling,
    "road trip": _road_trip,
    "plugs in late": _plugs_in_late,
    "parked": _parked,
}


def life_of(name: str, seed: int) -> Life:
    """Write the life of this name and seed."""
    author = Author(name, seed)
    LIVES[name](author)
    life = author.life
    opened = sorted(door.start for door in life.doors)
    life.charges = [charge for charge in life.charges if _free(charge.start, charge.end, life)]
    life.plugged = [_cut(span, opened) for span in life.plugged]
    return life


def _free(start: float, end: float, life: Life) -> bool:
    return not any(drive.start < end and start < drive.end for drive in life.drives)


def _cut(span: Span, opened: list[float]) -> Span:
    """Unplug when somebody opens the car to leave."""
    return Span(span.start, min((door for door in opened if span.start + 60 < door < span.end), default=span.end))
