"""The journal's store: every observation of every car, and what the rules tell of them, in one SQLite file.

All methods block, and may be called from any thread: run them in an executor. Reading goes on while something is
written. What is written is on disk when the method returns, or JournalUnusable is raised and it is written with the
next call.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
import threading
from typing import Final, cast

from sqlalchemy import Connection, Engine

from .addresses import ADDRESS_MOST, Addresses
from .battery import Health, Worth, health, with_drain_energy, with_drive_energy, worth
from .file import MIGRATIONS, JournalUnusable, Migration, meaning, open_file
from .recorder import CHECKPOINT_SECONDS, Recorder
from .replay import Replay, Replayed
from .rows import FOREVER, Rows
from .rules import State
from .sample import Moment, Position, Sample
from .sessions import Charge, Closed, CostSource, Drive, Kind, Parking, SoftwareVersion
from .tables import CARS_MOST
from .tariff import Curve

THIN_DAYS: Final = 396
"""Days for which all samples are kept: thirteen months."""
THIN_TO: Final = 600
"""Seconds of which one sample is left then."""
WAITING_MOST: Final = 50_000
"""Samples that wait for a disk that does not take them. Sessions wait without limit."""
DAY: Final = 86_400
AHEAD_MOST: Final = DAY
"""Seconds by which clocks may differ before one of them is held to have been wrong."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording."""

    state: State
    """For `rules.current`: what goes on now."""
    closed: Sequence[Closed]
    """What was told, in order; a session may come again with the same start and a truer end."""


class Store:
    """The file and the state of each car."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Name the file; nothing is opened yet."""
        self.path: Final = path
        self._migrations = migrations
        self._engine: Engine | None = None
        self._rows = Rows()
        self._writing = threading.RLock()
        self._recorders: dict[str, Recorder] = {}
        self._worth: dict[str, Worth] = {}
        self._changes = 0
        self._shared = threading.local()
        """The connection of each thread that reads several things together."""

    def open(self) -> None:
        """Open the file, make it, bring it up to date; raise JournalUnusable, JournalDamaged or JournalTooNew."""
        with self._writing:
            if self._engine is None:
                self._engine = open_file(self.path, self._migrations)
                self._rows.forget()

    def close(self) -> None:
        """Keep what is held back, and close the file."""
        with self._writing:
            engine = self._engine
            if engine is None:
                return
            try:
                self.record_all(dict.fromkeys(self._recorders, ()), flush=True)
                self.checkpoint()
            finally:
                self._engine = None
                self._recorders.clear()
                self._worth.clear()
                engine.dispose()

    def abandon(self) -> None:
        """Close the file without writing anything to it: it is damaged."""
        with self._writing:
            engine, self._engine = self._engine, None
            self._recorders.clear()
            self._worth.clear()
            if engine is not None:
                engine.dispose()

    # Recording

    def record(
        self, vin: str, samples: Sequence[Sample], *, flush: bool = False, now: Moment | None = None
    ) -> Recorded:
        """Take in what was seen of a car, in order of time; `flush` keeps repetitions that are held back.

        What was seen by a clock that was ahead of `now` and of what is seen now is dropped: nothing else would count
        until it is over.
        """
        return self.record_all({vin: samples}, flush=flush, now=now)[vin]

    def record_all(
        self, seen: Mapping[str, Sequence[Sample]], *, flush: bool = False, now: Moment | None = None
    ) -> dict[str, Recorded]:
        """Do the same for several cars, by VIN, in one transaction: all of it is on disk then, or nothing."""
        with self._writing:
            if now is not None:
                for vin, samples in seen.items():
                    self._drop_ahead(vin, samples, now)
            closed = {vin: self._take_in(self._recorder(vin), samples, flush=flush) for vin, samples in seen.items()}
            self._write({vin: recorder for vin in seen if (recorder := self._recorder(vin)).unwritten})
            return {vin: Recorded(self._recorder(vin).state, told) for vin, told in closed.items()}

    def _drop_ahead(self, vin: str, samples: Sequence[Sample], now: Moment) -> None:
        """Drop what was seen of a car by a clock that was ahead, once the car answers by one that is not."""
        known = self._recorder(vin).state.known
        looked = max((sample.at for sample in samples if sample.has_data), default=None)
        if known is None or looked is None or known.at <= (until := max(looked, now) + AHEAD_MOST):
            return
        with self._rewriting(vin) as (connection, car):
            self._rows.forget_after(connection, car, until)
            self._rows.keep_states(connection, {car: Replay(connection, self._rows, car).rebuild()})

    def _take_in(self, recorder: Recorder, samples: Iterable[Sample], *, flush: bool) -> Sequence[Closed]:
        closed = [one for sample in samples for one in recorder.see(sample)]
        if flush:
            closed.extend(recorder.flush())
        return closed

    def state(self, vin: str) -> State:
        """Return the rules' state of a car."""
        return self.states((vin,))[vin]

    def states(self, vins: Iterable[str]) -> dict[str, State]:
        """Return the rules' states of cars, by VIN."""
        with self._writing, self.together():
            return {vin: self._recorder(vin).state for vin in vins}

    def _recorder(self, vin: str) -> Recorder:
        if (recorder := self._recorders.get(vin)) is None:
            with self._reading() as connection:
                car = self._rows.car(connection, vin)
                state = State() if car is None else self._rows.state(connection, car)
            recorder = self._recorders[vin] = Recorder(state)
        return recorder

    def _write(self, recorders: Mapping[str, Recorder]) -> None:
        if not recorders:
            return
        unwritten = {vin: recorder.take_unwritten() for vin, recorder in recorders.items()}
        try:
            with self._transaction() as connection:
                cars = {vin: self._rows.new_car(connection, vin) for vin in recorders}
                self._rows.write(connection, {car: unwritten[vin] for vin, car in cars.items()})
                self._rows.keep_states(connection, {car: recorders[vin].state for vin, car in cars.items()})
        except JournalUnusable:
            for vin, recorder in recorders.items():
                samples = unwritten[vin].samples
                samples[: max(len(samples) - WAITING_MOST, 0)] = []
                recorder.unwritten = unwritten[vin]
            raise
        for vin in recorders:
            if any(isinstance(one, Charge) for _, one in unwritten[vin].closed):
                self._forget_worth(vin)

    # Asking

    @contextmanager
    def together(self) -> Iterator[None]:
        """Answer what this thread asks meanwhile as of one moment, over one connection; nothing may be changed."""
        with self._reading() as connection:
            self._shared.connection = connection
            try:
                yield
            finally:
                del self._shared.connection

    def vins(self) -> list[str]:
        """Return the cars of which something is kept."""
        with self._reading() as connection:
            return self._rows.vins(connection)

    def drives(self, vin: str, start: Moment = 0, end: Moment = FOREVER) -> list[Drive]:
        """Return the closed drives that touch a period, with their energy and tags."""
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return []
            drives = cast("list[Drive]", self._rows.sessions(connection, Kind.DRIVE, car, start, end))
            if not drives:
                return []
            drives = self._rows.tagged(connection, car, drives)
            value = self._worth_of(connection, vin, car)
            addresses = self._rows.addresses(connection, car)
        return [named(with_drive_energy(drive, value), addresses) for drive in drives]

    def charges(self, vin: str, start: Moment = 0, end: Moment = FOREVER, *, addresses: bool = True) -> list[Charge]:
        """Return the closed charges that touch a period, with their costs.

        Without `addresses`, a place is the name of a zone and nothing else: prices and "at home" go by zones.
        """
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return []
            charges = cast("list[Charge]", self._rows.sessions(connection, Kind.CHARGE, car, start, end))
            if not charges:
                return []
            charges = self._rows.priced(connection, car, charges)
            if not addresses:
                return charges
            known = self._rows.addresses(connection, car)
            return [named(charge, known) for charge in charges]

    def parkings(self, vin: str, start: Moment = 0, end: Moment = FOREVER) -> list[Parking]:
        """Return the closed parkings that touch a period, with the energy they lost."""
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return []
            parkings = cast("list[Parking]", self._rows.sessions(connection, Kind.PARKING, car, start, end))
            value = self._worth_of(connection, vin, car)
            addresses = self._rows.addresses(connection, car)
        return [named(with_drain_energy(parking, value), addresses) for parking in parkings]

    def versions(self, vin: str) -> list[SoftwareVersion]:
        """Return the software versions that a car had, in order of time."""
        with self._reading() as connection:
            car = self._rows.car(connection, vin)
            return [] if car is None else self._rows.versions(connection, car)

    def samples(self, vin: str, start: Moment = 0, end: Moment = FOREVER) -> list[Sample]:
        """Return what was seen of a car from `start` on and before `end`: a path, or a curve."""
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return []
            return [sample for sample, _ in self._rows.samples_from(connection, car, start - 1, end)]

    def last_drive(self, vin: str) -> Drive | None:
        """Return the newest closed drive."""
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return None
            drive = cast("Drive | None", self._rows.last(connection, Kind.DRIVE, car))
            if drive is None:
                return None
            drive = named(self._rows.tagged(connection, car, [drive])[0], self._rows.addresses(connection, car))
            return with_drive_energy(drive, self._worth_of(connection, vin, car))

    def last_charge(self, vin: str) -> Charge | None:
        """Return the newest closed charge."""
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return None
            charge = cast("Charge | None", self._rows.last(connection, Kind.CHARGE, car))
            if charge is None:
                return None
            return named(self._rows.priced(connection, car, [charge])[0], self._rows.addresses(connection, car))

    def last_parking(self, vin: str) -> Parking | None:
        """Return the newest closed parking."""
        with self._reading() as connection:
            if (car := self._rows.car(connection, vin)) is None:
                return None
            parking = cast("Parking | None", self._rows.last(connection, Kind.PARKING, car))
            if parking is None:
                return None
            parking = named(parking, self._rows.addresses(connection, car))
            return with_drain_energy(parking, self._worth_of(connection, vin, car))

    def curve(self, vin: str, charge: Charge) -> Curve:
        """Return a charge's curve: moments with the energy added until then."""
        seen = [
            (sample.at, sample.energy_added_kwh)
            for sample in self.samples(vin, charge.start, charge.end + 1)
            if sample.energy_added_kwh is not None and sample.charging
        ]
        if not seen:
            return ()
        base = max(seen[-1][1] - charge.added_kwh, 0.0)
        return [(at, kwh - base) for at, kwh in seen if kwh >= base]

    def worth(self, vin: str) -> Worth:
        """Return what turns a car's range and charge into energy, for sessions that go on."""
        with self._reading() as connection:
            car = self._rows.car(connection, vin)
            return Worth(kwh_per_km={}) if car is None else self._worth_of(connection, vin, car)

    def health(self, vin: str, charges: Sequence[Charge] | None = None) -> Health:
        """Return a battery's health by all of its charges, for whoever has read them already."""
        with self._reading() as connection:
            car = self._rows.car(connection, vin)
            new_kwh = None if car is None else self._rows.new_capacity(connection, car)
        return health(self.charges(vin, addresses=False) if charges is None else charges, new_kwh=new_kwh)

    def _worth_of(self, connection: Connection, vin: str, car: int) -> Worth:
        if (value := self._worth.get(vin)) is None:
            changes = connection.get_execution_options().get("changes", self._changes)
            value = worth(cast("list[Charge]", self._rows.sessions(connection, Kind.CHARGE, car, 0, FOREVER)))
            if changes == self._changes:
                self._worth[vin] = value
        return value

    def _forget_worth(self, vin: str) -> None:
        """Reckon anew when asked next: there is another charge. One who reckons just now does not keep the result."""
        self._changes += 1
        self._worth.pop(vin, None)

    # Addresses

    def note_addresses(self, vin: str, told: Iterable[tuple[Position, str]]) -> None:
        """Keep what places are called; of a place that is known by the same name, nothing more."""
        with self._transaction() as connection:
            car = self._rows.new_car(connection, vin)
            known = self._rows.addresses(connection, car)
            for position, address in told:
                if known.at(position) != (name := address.strip()[:ADDRESS_MOST]) and name:
                    known.note(self._rows.note_address(connection, car, position, name), name)

    def named(self, vin: str, closed: Sequence[Closed]) -> Sequence[Closed]:
        """Return what was recorded with the addresses of places that are no zones."""
        if not closed:
            return closed
        with self._reading() as connection:
            car = self._rows.car(connection, vin)
            addresses = Addresses() if car is None else self._rows.addresses(connection, car)
        return [one if isinstance(one, SoftwareVersion) else named(one, addresses) for one in closed]

    # The owner's words

    def tag_drive(self, vin: str, start: Moment, tag: str | None) -> bool:
        """Tag the drive that began at `start`, or take its tag off; return whether there is such a drive."""
        with self._changing(vin) as (connection, car):
            session = None if car is None else self._session_at(connection, Kind.DRIVE, car, start)
            if session is None or car is None:
                return False
            self._unmark(connection, "tags", car, session)
            if tag is not None:
                connection.exec_driver_sql("INSERT INTO tags VALUES (?, ?, ?)", (car, _middle(session), tag))
            return True

    def set_cost(self, vin: str, start: Moment, cost: float | None, currency: str, source: CostSource) -> Charge | None:
        """Set or take away what the charge that began at `start` cost; return the charge, None if there is none.

        What the owner set stays, whatever Tesla or a tariff says; what Tesla billed stays, whatever a tariff says.
        """
        with self._changing(vin) as (connection, car):
            session = None if car is None else self._session_at(connection, Kind.CHARGE, car, start)
            if session is None or car is None:
                return None
            charge = cast("Charge", session)
            priced = self._rows.priced(connection, car, [charge])[0]
            if priced.cost_source is not None and _WEIGHT[source] < _WEIGHT[priced.cost_source]:
                return priced
            self._unmark(connection, "costs", car, session)
            if cost is None:
                return charge
            row = (car, _middle(session), cost, currency, str(source))
            connection.exec_driver_sql("INSERT INTO costs VALUES (?, ?, ?, ?, ?)", row)
            return replace(charge, cost=cost, currency=currency, cost_source=source)

    def set_new_capacity(self, vin: str, kwh: float | None) -> None:
        """Set what the car's battery held when new; None has its first charges tell."""
        with self._transaction() as connection:
            self._rows.keep_new_capacity(connection, self._rows.new_car(connection, vin), kwh)

    def _session_at(
        self, connection: Connection, kind: Kind, car: int, start: Moment
    ) -> Drive | Charge | Parking | None:
        found = self._rows.sessions(connection, kind, car, start - 1, start + 1)
        return next((one for one in found if one.start == start), None)

    def _unmark(self, connection: Connection, table: str, car: int, session: Drive | Charge | Parking) -> None:
        connection.exec_driver_sql(
            f"DELETE FROM {table} WHERE car = ? AND at BETWEEN ? AND ?",  # noqa: S608 - names of our own
            (car, session.start, session.end),
        )

    # Changing the past

    def bring_in(
        self,
        vin: str,
        samples: Iterable[Sample],
        *,
        progress: Callable[[Replayed], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Replayed:
        """Bring in samples of another source, in order of time; own records win; all of it or nothing.

        `samples` may be a generator: it is read while the rules run, and what it raises undoes everything. Raise
        Cancelled when `cancelled` says so. What comes twice changes nothing.
        """
        with self._rewriting(vin) as (connection, car):
            replay = Replay(connection, self._rows, car, progress=progress, cancelled=cancelled)
            state = replay.bring_in(samples)
            if state is not None:
                self._rows.keep_states(connection, {car: state})
            return replay.done

    def rebuild(self, vin: str, *, progress: Callable[[Replayed], None] | None = None) -> Replayed:
        """Tell all sessions anew from the samples that are kept whole; those of thinned months stay as they are."""
        with self._rewriting(vin) as (connection, car):
            replay = Replay(connection, self._rows, car, progress=progress)
            self._rows.keep_states(connection, {car: replay.rebuild()})
            return replay.done

    def thin(self, now: Moment, days: int = THIN_DAYS, *, of: Mapping[str, int | None] | None = None) -> int:
        """Leave one sample of ten minutes before so many days ago; return how many samples went.

        `of`: each car's own number of days. A car without one keeps all: what its owner wants is not known now.

        Days are counted back from the last look at a car, should `now` be later: a clock that is ahead thins nothing.
        """
        gone = 0
        with self._transaction() as connection:
            for vin in self._rows.vins(connection):
                car = self._rows.new_car(connection, vin)
                known = self._rows.state(connection, car).known
                looked = min(now, known.at) if known is not None else 0
                if (kept := days if of is None else of.get(vin)) is None:
                    continue
                before = (looked - kept * DAY) // CHECKPOINT_SECONDS * CHECKPOINT_SECONDS
                since = self._rows.thinned_until(connection, car)
                if since >= before:
                    continue
                which = "id >= ? AND id < ? AND id % ? = ?"
                bounds = (0, before * CARS_MOST, CARS_MOST, car)
                gone += connection.exec_driver_sql(
                    f"DELETE FROM samples WHERE {which} AND since IS NULL AND id NOT IN"  # noqa: S608 - our own
                    f" (SELECT MIN(id) FROM samples WHERE {which} GROUP BY id / {CARS_MOST * THIN_TO})",
                    (*bounds, *bounds),
                ).rowcount
                connection.exec_driver_sql("UPDATE cars SET thinned_until = ? WHERE id = ?", (before, car))
        return gone

    def delete(self, vin: str) -> None:
        """Delete everything of a car, so that nothing of it can be read from the file either."""
        with self._writing:
            with self._transaction() as connection:
                if (car := self._rows.car(connection, vin)) is not None:
                    self._rows.delete(connection, car)
            self._recorders.pop(vin, None)
            self._forget_worth(vin)
            self._bare("VACUUM")
            self.checkpoint()

    def checkpoint(self) -> None:
        """Bring all that was written into the one file, as a backup wants it."""
        with self._writing:
            self._bare("PRAGMA wal_checkpoint(TRUNCATE)")

    # Transactions

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise JournalUnusable("the journal is closed")
        return self._engine

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if (shared := getattr(self._shared, "connection", None)) is not None:
            yield shared
            return
        with meaning(), self._open_engine().connect() as connection:
            yield connection.execution_options(changes=self._changes)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._writing:
            try:
                with (
                    meaning(),
                    self._open_engine().connect().execution_options(writes=True) as connection,
                    connection.begin(),
                ):
                    yield connection
            except BaseException:
                self._rows.forget()
                raise

    @contextmanager
    def _changing(self, vin: str) -> Iterator[tuple[Connection, int | None]]:
        with self._transaction() as connection:
            yield connection, self._rows.car(connection, vin)

    @contextmanager
    def _rewriting(self, vin: str) -> Iterator[tuple[Connection, int]]:
        """Write out what waits, change the past, and go on from the state that comes of it."""
        with self._writing:
            self.record(vin, (), flush=True)
            with self._transaction() as connection:
                yield connection, self._rows.new_car(connection, vin)
            self._recorders.pop(vin, None)
            self._forget_worth(vin)

    def _bare(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction."""
        with meaning():
            raw = self._open_engine().raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute(statement)
                cursor.fetchall()
                cursor.close()
            finally:
                raw.close()


_WEIGHT: Final = {CostSource.TARIFF: 0, CostSource.FREE: 0, CostSource.TESLA: 1, CostSource.OWNER: 2}
"""Whose word on a cost counts more."""


def named[S: Drive | Charge | Parking](session: S, addresses: Addresses) -> S:
    """Return a session with the addresses of places that are no zones."""
    if isinstance(session, Drive):
        start = session.start_place or addresses.at(session.start_position)
        end = session.end_place or addresses.at(session.end_position)
        if (start, end) == (session.start_place, session.end_place):
            return session
        return replace(session, start_place=start, end_place=end)
    if session.place or (address := addresses.at(session.position)) is None:
        return session
    return replace(session, place=address)


def _middle(session: Drive | Charge | Parking) -> Moment:
    return (session.start + session.end) // 2


def move_aside(path: Path, now: datetime | None = None) -> Path:
    """Move a damaged file and its companions aside, at the owner's word; return where it lies then."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    with meaning():
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
    return aside
