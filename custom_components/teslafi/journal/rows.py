"""What the journal asks of its tables, within a transaction that somebody else began."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table

from .addresses import Addresses
from .plain import NotUnderstood, from_json, to_json
from .recorder import Unwritten
from .rules import RULES, State
from .sample import Moment, Position, Sample
from .sample_row import COLUMNS, row_of, sample_of
from .sessions import Charge, CostSource, Drive, Kind, Parking, SoftwareVersion
from .tables import ADDRESS_STEPS, CARS_MOST, CLASSES, SESSIONS, session_of, session_row

PAGE: Final = 5000
SAMPLE_COLUMNS: Final = ", ".join(COLUMNS)
FOREVER: Final = 2**40


def _insert(table: str, columns: int) -> str:
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - names of our own


def _columns(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns if column.name not in ("car", "told_at"))


_SAMPLE_INSERT: Final = _insert("samples", 2 + len(COLUMNS))
_SESSION_INSERT: Final = {kind: _insert(table.name, len(table.columns)) for kind, table in SESSIONS.items()}
_SESSION_SELECT: Final = {
    kind: f"SELECT {_columns(table)} FROM {table.name} WHERE car = ?"  # noqa: S608 - names of our own
    for kind, table in SESSIONS.items()
}
_TOLD: Final = (*(table.name for table in SESSIONS.values()), "versions")


class Rows:
    """The statements; it remembers the numbers of texts and cars, and nothing else."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._cars: dict[str, int] = {}
        """Cars that were written of."""

    def forget(self) -> None:
        """Forget numbers: a transaction that gave some was rolled back, or the file is another."""
        self._cars.clear()
        self._numbers.clear()
        self._texts.clear()

    # Cars

    def car(self, connection: Connection, vin: str) -> int | None:
        """Return the number of a car, None for one that was never seen."""
        row = connection.exec_driver_sql("SELECT id FROM cars WHERE vin = ?", (vin,)).first()
        return None if row is None else int(row[0])

    def new_car(self, connection: Connection, vin: str) -> int:
        """Return the number of a car for whoever writes of it, a new one if need be."""
        if (number := self._cars.get(vin)) is None:
            number = self._cars[vin] = self._number_of_car(connection, vin)
        return number

    def _number_of_car(self, connection: Connection, vin: str) -> int:
        if (number := self.car(connection, vin)) is not None:
            return number
        taken = {int(row[0]) for row in connection.exec_driver_sql("SELECT id FROM cars")}
        number = next(one for one in range(1, CARS_MOST) if one not in taken)
        connection.exec_driver_sql("INSERT INTO cars (id, vin) VALUES (?, ?)", (number, vin))
        return number

    def vins(self, connection: Connection) -> list[str]:
        """Return the cars of the journal."""
        return [row[0] for row in connection.exec_driver_sql("SELECT vin FROM cars ORDER BY id")]

    def state(self, connection: Connection, car: int) -> State:
        """Return the rules' state of a car; an empty one if it is not understood."""
        text = connection.exec_driver_sql("SELECT state FROM cars WHERE id = ?", (car,)).scalar()
        try:
            return State() if text is None else from_json(State, text)
        except NotUnderstood:
            return State()

    def keep_states(self, connection: Connection, states: Mapping[int, State]) -> None:
        """Keep the rules' states of cars, by their numbers."""
        rows = [(to_json(state), car) for car, state in states.items()]
        connection.exec_driver_sql("UPDATE cars SET state = ? WHERE id = ?", rows)

    def thinned_until(self, connection: Connection, car: int) -> Moment:
        """Return until when a car's samples are thinned."""
        return int(connection.exec_driver_sql("SELECT thinned_until FROM cars WHERE id = ?", (car,)).scalar() or 0)

    def new_capacity(self, connection: Connection, car: int) -> float | None:
        """Return what a car's battery held when new, by its owner."""
        kwh = connection.exec_driver_sql("SELECT new_kwh FROM cars WHERE id = ?", (car,)).scalar()
        return None if kwh is None else float(kwh)

    def keep_new_capacity(self, connection: Connection, car: int, kwh: float | None) -> None:
        """Keep what a car's battery held when new."""
        connection.exec_driver_sql("UPDATE cars SET new_kwh = ? WHERE id = ?", (kwh, car))

    # Texts

    def _number_of(self, connection: Connection, text: str) -> int:
        if (number := self._numbers.get(text)) is None:
            connection.exec_driver_sql("INSERT OR IGNORE INTO texts (text) VALUES (?)", (text,))
            number = int(connection.exec_driver_sql("SELECT id FROM texts WHERE text = ?", (text,)).scalar_one())
            self._numbers[text] = number
            self._texts[number] = text
        return number

    def _text_of(self, connection: Connection, number: int) -> str:
        if number not in self._texts:
            for found, text in connection.exec_driver_sql("SELECT id, text FROM texts"):
                self._texts[int(found)] = text
        return self._texts.get(number, "")

    # Writing

    def write(self, connection: Connection, unwritten: Mapping[int, Unwritten], *, imported: bool = False) -> None:
        """Write samples, sessions and checkpoints of cars, by their numbers."""
        number_of = partial(self._number_of, connection)
        rows = [
            (sample.at * CARS_MOST + car, 1 if imported else None, *row_of(sample, number_of))
            for car, one in unwritten.items()
            for sample in one.samples
        ]
        if rows:
            connection.exec_driver_sql(_SAMPLE_INSERT, rows)
        for car, one in unwritten.items():
            self._write_told(connection, car, one)

    def _write_told(self, connection: Connection, car: int, unwritten: Unwritten) -> None:
        for told_at, closed in unwritten.closed:
            if isinstance(closed, SoftwareVersion):
                row = (car, closed.since, closed.version, closed.after, told_at)
                connection.exec_driver_sql(_insert("versions", 5), row)
            else:
                connection.exec_driver_sql(_SESSION_INSERT[closed.kind], (car, told_at, *session_row(closed)))
        for at, state in unwritten.checkpoints:
            connection.exec_driver_sql(_insert("checkpoints", 4), (car, at, RULES, to_json(state)))

    def forget_sample(self, connection: Connection, car: int, at: Moment) -> None:
        """Delete one sample."""
        connection.exec_driver_sql("DELETE FROM samples WHERE id = ?", (at * CARS_MOST + car,))

    def forget_after(self, connection: Connection, car: int, at: Moment) -> None:
        """Delete samples and states of after a moment."""
        connection.exec_driver_sql(
            "DELETE FROM samples WHERE id >= ? AND id % ? = ?", ((at + 1) * CARS_MOST, CARS_MOST, car)
        )
        connection.exec_driver_sql("DELETE FROM checkpoints WHERE car = ? AND at > ?", (car, at))

    # Telling anew

    def checkpoint_before(self, connection: Connection, car: int, at: Moment) -> tuple[Moment, str] | None:
        """Return the last state that was kept before a moment by these rules."""
        return self._checkpoint(connection, car, "< ? ORDER BY at DESC", at)

    def checkpoint_from(self, connection: Connection, car: int, at: Moment) -> tuple[Moment, str] | None:
        """Return the first state that was kept at a moment or later by these rules."""
        return self._checkpoint(connection, car, ">= ? ORDER BY at", at)

    def checkpoint_at(self, connection: Connection, car: int, at: Moment) -> str | None:
        """Return the state that was kept at a moment by these rules."""
        found = self._checkpoint(connection, car, "= ?", at)
        return None if found is None else found[1]

    def _checkpoint(self, connection: Connection, car: int, which: str, at: Moment) -> tuple[Moment, str] | None:
        row = connection.exec_driver_sql(
            f"SELECT at, state FROM checkpoints WHERE car = ? AND rules = ? AND at {which} LIMIT 1",  # noqa: S608 - ours
            (car, RULES, at),
        ).first()
        return None if row is None else (int(row[0]), str(row[1]))

    def doubt_sessions(self, connection: Connection, car: int, since: Moment) -> None:
        """Mark what was told after a moment; what is told again loses the mark."""
        for table in _TOLD:
            connection.exec_driver_sql(
                f"UPDATE {table} SET told_at = -told_at WHERE car = ? AND told_at > ?",  # noqa: S608 - names of our own
                (car, since),
            )

    def drop_doubted(self, connection: Connection, car: int, until: Moment | None) -> None:
        """Delete what was not told again until a moment, or at all; what was told later holds again."""
        for table in _TOLD:
            connection.exec_driver_sql(
                f"DELETE FROM {table} WHERE car = ? AND told_at < 0 AND -told_at <= ?",  # noqa: S608 - the same
                (car, FOREVER if until is None else until),
            )
            connection.exec_driver_sql(
                f"UPDATE {table} SET told_at = -told_at WHERE car = ? AND told_at < 0",  # noqa: S608 - the same
                (car,),
            )

    def samples_from(
        self, connection: Connection, car: int, after: Moment, until: Moment = FOREVER
    ) -> Iterator[tuple[Sample, bool]]:
        """Yield a car's samples after a moment in order of time, and whether each was imported."""
        last = (after + 1) * CARS_MOST - 1
        statement = (
            f"SELECT id, imported, {SAMPLE_COLUMNS} FROM samples"  # noqa: S608 - names of our own
            " WHERE id > ? AND id < ? AND id % ? = ? ORDER BY id LIMIT ?"
        )
        while True:
            parameters = (last, until * CARS_MOST, CARS_MOST, car, PAGE)
            page = connection.exec_driver_sql(statement, parameters).all()
            for row in page:
                yield (
                    sample_of(row[0] // CARS_MOST, row[2:], lambda number: self._text_of(connection, number)),
                    bool(row[1]),
                )
            if len(page) < PAGE:
                return
            last = page[-1][0]

    # Asking

    def sessions(
        self, connection: Connection, kind: Kind, car: int, start: Moment, end: Moment
    ) -> list[Drive | Charge | Parking]:
        """Return the closed sessions of one kind that touch a period, in order of time."""
        rows = connection.exec_driver_sql(
            f'{_SESSION_SELECT[kind]} AND start < ? AND "end" > ? ORDER BY start', (car, end, start)
        )
        return [session_of(kind, row) for row in rows]

    def last(self, connection: Connection, kind: Kind, car: int) -> Drive | Charge | Parking | None:
        """Return the newest closed session of one kind."""
        row = connection.exec_driver_sql(f"{_SESSION_SELECT[kind]} ORDER BY start DESC LIMIT 1", (car,)).first()
        return None if row is None else session_of(kind, row)

    def versions(self, connection: Connection, car: int) -> list[SoftwareVersion]:
        """Return the software versions of a car in order of time."""
        rows = connection.exec_driver_sql(
            "SELECT since, version, after FROM versions WHERE car = ? ORDER BY since", (car,)
        )
        return [SoftwareVersion(since=row[0], version=row[1], after=row[2]) for row in rows]

    def tagged(self, connection: Connection, car: int, drives: Sequence[Drive]) -> list[Drive]:
        """Return drives with the owner's tags."""
        tags = connection.exec_driver_sql("SELECT at, tag FROM tags WHERE car = ? ORDER BY at", (car,)).all()
        return [replace(one, tag=row[1]) if (row := _within(one, tags)) else one for one in drives]

    def priced(self, connection: Connection, car: int, charges: Sequence[Charge]) -> list[Charge]:
        """Return charges with their costs."""
        costs = connection.exec_driver_sql(
            "SELECT at, cost, currency, source FROM costs WHERE car = ? ORDER BY at", (car,)
        ).all()
        return [
            replace(one, cost=row[1], currency=row[2], cost_source=CostSource(row[3]))
            if (row := _within(one, costs))
            else one
            for one in charges
        ]

    def addresses(self, connection: Connection, car: int) -> Addresses:
        """Return what is known of the places of a car."""
        rows = connection.exec_driver_sql("SELECT latitude, longitude, address FROM addresses WHERE car = ?", (car,))
        return Addresses(((row[0] / ADDRESS_STEPS, row[1] / ADDRESS_STEPS), row[2]) for row in rows)

    def note_address(self, connection: Connection, car: int, position: Position, address: str) -> Position:
        """Keep what a place is called; return the place as it is kept."""
        latitude, longitude = round(position[0] * ADDRESS_STEPS), round(position[1] * ADDRESS_STEPS)
        connection.exec_driver_sql(_insert("addresses", 4), (car, latitude, longitude, address))
        return latitude / ADDRESS_STEPS, longitude / ADDRESS_STEPS

    def delete(self, connection: Connection, car: int) -> None:
        """Delete everything of a car."""
        for table in (
            *(kind.name for kind in SESSIONS.values()),
            "versions",
            "tags",
            "costs",
            "addresses",
            "checkpoints",
        ):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE car = ?", (car,))  # noqa: S608 - names of our own
        connection.exec_driver_sql("DELETE FROM samples WHERE id % ? = ?", (CARS_MOST, car))
        connection.exec_driver_sql("DELETE FROM cars WHERE id = ?", (car,))
        self._cars.clear()


def _within(session: Drive | Charge, rows: Sequence[Any]) -> Any:  # noqa: ANN401 - a row
    """Return the row whose moment lies in a session."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle][0] < session.start:
            low = middle + 1
        else:
            high = middle
    return rows[low] if low < len(rows) and rows[low][0] <= session.end else None


assert set(CLASSES) == set(SESSIONS)  # noqa: S101 - both tables are of all kinds
