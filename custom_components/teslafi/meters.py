"""Readings that Home Assistant adds up: what is shown of them, and when their sum began, so that nothing counts twice.

Home Assistant's recorder takes a new beginning (`last_reset`) as a new sum and adds its whole first value; within one
beginning it adds differences, lower ones as well. So a beginning may follow from what happened alone, a new day or a
new session, never from how an answer was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import fsum, inf
import re
from typing import Any, ClassVar, Final, Protocol, Self

from .moments import aware_moment

DISCONNECTED: Final = "Disconnected"
MOVED: Final = 1.0
"""Miles by which the odometer must have grown for the car to have been unplugged meanwhile."""
LONG_UNSEEN: Final = timedelta(minutes=15)
LOWER_FOR: Final = timedelta(days=1)
"""For how long an odometer must have told less before it is believed: the car got another computer."""


class Meter(Protocol):
    """The readings of one value so far. Immutable."""

    def take(self, reading: Any) -> Self:  # noqa: ANN401 - each meter has its own kind
        """Return the meter after one more reading; the same reading again changes nothing."""

    @property
    def value(self) -> float | None:
        """What is shown."""

    @property
    def began(self) -> datetime | None:
        """When the sum began; None when that never was."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What the car says of the session: a value as it counts itself, and what tells sessions apart."""

    value: float | None
    charging_state: str | None
    odometer: float | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionMeter:
    """The energy of charging sessions.

    Cars correct what they counted, downward too. A new session is one that follows being unplugged or driven; after a
    long time unseen or while unplugged, a value of less than half is one as well.
    """

    value: float | None = None
    began: datetime | None = None
    last: float | None = None
    odometer: float | None = None
    seen_at: datetime | None = None
    apart: bool = False
    """The car was unplugged or driven since the value last moved."""
    settled: bool = False
    """The last value was also read while the car was unplugged: it is the session's final one."""

    def take(self, reading: Charge) -> Self:
        """Take in a look at the car."""
        value, at = reading.value, reading.at
        if value is None:
            return replace(self, value=None)
        unplugged = reading.charging_state == DISCONNECTED
        odometer = max(reading.odometer or 0.0, self.odometer or 0.0)
        moved = self.odometer is not None and odometer - self.odometer > MOVED
        apart = self.apart or unplugged or moved
        began = self.began
        new = at is not None and self._is_new(value, at, apart=apart, unplugged=unplugged)
        if new and at is not None:
            began = at if began is None or at > began else began + timedelta(seconds=1)
        return type(self)(
            value=value,
            began=began,
            last=value,
            odometer=odometer or None,
            seen_at=at or self.seen_at,
            apart=unplugged or (apart and value == self.last),
            settled=(unplugged or self.settled) and value == self.last,
        )

    def _is_new(self, value: float, at: datetime, *, apart: bool, unplugged: bool) -> bool:
        if self.last is None or value == self.last:
            return False
        if unplugged:
            return value < self.last / 2
        if apart:
            return value < self.last or self.settled
        unseen = self.seen_at is not None and at - self.seen_at > LONG_UNSEEN
        return unseen and value < self.last / 2

    def to_json(self) -> dict[str, Any]:
        """Return what is kept over a restart."""
        return {
            "began": self.began.isoformat() if self.began else None,
            "last": self.last,
            "odometer": self.odometer,
            "seen_at": self.seen_at.isoformat() if self.seen_at else None,
            "apart": self.apart,
            "settled": self.settled,
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`; what is not understood counts as never seen."""
        stored = data if isinstance(data, dict) else {}
        last, odometer = (
            value if type(value := stored.get(key)) in (int, float) else None for key in ("last", "odometer")
        )
        return cls(
            began=aware_moment(stored.get("began")),
            last=last,
            odometer=odometer,
            seen_at=aware_moment(stored.get("seen_at")),
            apart=stored.get("apart") is True,
            settled=stored.get("settled") is True,
        )


@dataclass(frozen=True, slots=True)
class ChargeSomewhere:
    """A look at a charge and at where it happens. `at_home` is None where the car does not tell its place."""

    charge: Charge
    at_home: bool | None
    fast: bool | None


@dataclass(frozen=True, slots=True)
class HomeMeter:
    """All the energy that was charged at home since the meter began; it never begins anew.

    What a look finds added is counted where the car stands. Of a session in which a fast charger was seen nothing is,
    nor of one that is over and was never seen while the car drove.
    """

    session: SessionMeter = SessionMeter()
    value: float | None = None
    fast: bool = False
    """A fast charger was seen in this session."""

    @property
    def began(self) -> None:
        """A lifetime never begins anew."""

    def take(self, reading: ChargeSomewhere) -> Self:
        """Take in a look at the car."""
        charge, before = reading.charge, self.session
        if charge.value is None:
            return self
        session = before.take(charge)
        new = session.began != before.began
        fast = reading.fast is True or (self.fast and not new)
        if before.last is None:
            return type(self)(session, self.value or 0.0, fast)
        added = charge.value if new else charge.value - before.last
        moved = session.odometer is not None and session.odometer - (before.odometer or session.odometer) > MOVED
        unseen = moved and charge.charging_state == DISCONNECTED
        here = reading.at_home is not False and not fast and not unseen
        total = (self.value or 0.0) + (added if here else 0.0)
        return type(self)(session, round(max(total, 0.0), 3), fast)

    def to_json(self) -> dict[str, Any]:
        """Return what is kept over a restart."""
        return {"value": self.value, "fast": self.fast, "session": self.session.to_json()}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`; what is not understood counts as never seen."""
        stored = data if isinstance(data, dict) else {}
        value = stored.get("value")
        total = float(value) if isinstance(value, int | float) and 0 <= value < inf else None
        return cls(SessionMeter.from_json(stored.get("session")), total, stored.get("fast") is True)


@dataclass(frozen=True, slots=True)
class DayMeter:
    """The energy of the running day, whose beginning is its date: what comes of an earlier day or none is held back."""

    value: float | None = None
    began: datetime | None = None

    def take(self, reading: tuple[float | None, datetime | None]) -> Self:
        """Take in the sum of a day and the moment at which that day began."""
        value, day = reading
        if value is None:
            return replace(self, value=None)
        if day is None or (self.began is not None and day.date() < self.began.date()):
            return self
        new = self.began is None or day.date() > self.began.date()
        return replace(self, value=value, began=day if new else self.began)


@dataclass(frozen=True, slots=True)
class ChargesMeter:
    """The energy of charges that a history lists, summed up from the first answer on; what lay before is not counted.

    A charge may grow, be corrected, come late, and leave the history. Each is remembered by when it began (epoch
    seconds), the newest `KEPT` of them, and those from before the oldest remembered one never count: no clock decides.
    """

    value: float | None = None
    began: datetime | None = None
    counted: Mapping[int, float] = field(default_factory=dict)
    closed: int = 0
    """Charges that began at this second or before count no more, but for those in `counted`."""

    KEPT: ClassVar = 60

    def take(self, reading: tuple[Sequence[tuple[int, float]], datetime] | None) -> Self:
        """Take in what the history lists, and the moment of the answer."""
        if reading is None:
            return self
        charges, at = reading
        if self.began is None:
            begun = dict(charges)
            return self._kept(replace(self, value=0.0, began=at, counted=begun, closed=max(begun, default=0)))
        new = {start: energy for start, energy in charges if start in self.counted or start > self.closed}
        added = fsum(energy - self.counted.get(start, 0.0) for start, energy in new.items())
        return self._kept(replace(self, value=(self.value or 0.0) + added, counted={**self.counted, **new}))

    def _kept(self, meter: Self) -> Self:
        """Forget the oldest charges."""
        forgotten = sorted(meter.counted)[: -self.KEPT]
        if not forgotten:
            return meter
        counted = {start: energy for start, energy in meter.counted.items() if start > forgotten[-1]}
        return replace(meter, counted=counted, closed=max(meter.closed, forgotten[-1]))

    def to_json(self) -> dict[str, Any]:
        """Return what is kept over a restart."""
        return {
            "value": self.value,
            "began": self.began.isoformat() if self.began else None,
            "counted": {str(start): energy for start, energy in self.counted.items()},
            "closed": self.closed,
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Undo `to_json`; what is not understood counts as never seen, and a sum begins anew."""
        stored = data if isinstance(data, dict) else {}
        value, began, counted, closed = (stored.get(key) for key in ("value", "began", "counted", "closed"))
        moment = aware_moment(began)
        if not isinstance(value, int | float) or moment is None or type(counted) is not dict or type(closed) is not int:
            return cls()
        if not all(_START.fullmatch(str(start)) and type(energy) in (int, float) for start, energy in counted.items()):
            return cls()
        return cls(float(value), moment, {int(start): float(energy) for start, energy in counted.items()}, closed)


_START: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OdometerMeter:
    """An odometer: nothing, zero and less than before are held back; less for a whole day is another computer."""

    value: float | None = None
    lower_since: datetime | None = None

    @property
    def began(self) -> None:
        """An odometer never begins anew."""

    def take(self, reading: tuple[float | None, datetime | None]) -> Self:
        """Take in a reading in any unit, and when it was made."""
        value, at = reading
        if not value:
            return self
        if self.value is None or value >= self.value:
            return type(self)(value)
        since = self.lower_since or at
        if since is not None and at is not None and at < since:
            # The clock was ahead
            since = at
        if since is not None and at is not None and at - since >= LOWER_FOR:
            return type(self)(value)
        return replace(self, lower_since=since)
