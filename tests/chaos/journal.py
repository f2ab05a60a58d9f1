"""`script/chaos journal [ROUNDS]`: kill -9 at random moments while the journal is written, migrated, rebuilt, imported.

Each round is a process of its own that opens what the round before left, and says aloud after each write how far it is.
What was said must be there in the next round. Each tenth round brings a newer schema, whose migration rewrites all
samples. In the end the journal must hold the very sessions that a life without kills would have told.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import batched
import os
from pathlib import Path
from random import Random
import signal
import sqlite3
import sys
import tempfile
import time
from typing import Any, Final, NoReturn

from sqlalchemy import Connection

from custom_components.teslafi.journal.file import MIGRATIONS
from custom_components.teslafi.journal.sample import Sample
from custom_components.teslafi.journal.store import Store
from tests.journal.lives import EPOCH, World

ROUNDS: Final = 200
LONGEST: Final = 0.5
"""Seconds of the longest round."""
EACH_SCHEMA: Final = 10
VIN: Final = "LRW3E7EK5NC000001"
DAY: Final = 86_400
IMPORTED_DAYS: Final = 3


def _rewrite(number: int) -> Callable[[Connection], None]:
    def step(connection: Connection) -> None:
        connection.exec_driver_sql(f"CREATE TABLE copy_{number} AS SELECT * FROM samples")  # noqa: S608 - a number
        connection.exec_driver_sql("UPDATE samples SET inside_c = inside_c")
        connection.exec_driver_sql(f"DROP TABLE copy_{number}")

    return step


def _open(path: Path, number: int) -> Store:
    steps = tuple(_rewrite(step) for step in range(number // EACH_SCHEMA))
    store = Store(path, (*MIGRATIONS, *steps))
    store.open()
    return store


def life() -> tuple[list[Sample], list[Sample]]:
    """Return what is imported and what is seen live."""
    samples = list(World("errands", seed=6, days=14).samples(lost=0.2))
    middle = EPOCH + IMPORTED_DAYS * DAY
    return [one for one in samples if one.at < middle], [one for one in samples if one.at >= middle]


def sessions(store: Store) -> list[Any]:
    """Return all that the journal tells. A restart may keep one more look at a car that stands: it counts none."""
    parkings = [replace(one, samples=0) for one in store.parkings(VIN)]
    return [*store.drives(VIN), *store.charges(VIN), *parkings, *store.versions(VIN)]


def play(folder: Path, rounds: int, seed: int) -> dict[str, int]:
    """Play so many rounds, then the rest in peace; raise AssertionError when something was lost."""
    random = Random(seed)  # noqa: S311 - nothing secret
    path = folder / "journal.db"
    imported, live = life()
    said = (0, 0)
    writes = 0
    for number in range(rounds):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _run(path, said, writing, number, imported=imported, live=live)
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            time.sleep(random.uniform(0.0, LONGEST))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            for line in lines.read().split(b"\n")[:-1]:
                assert not line.startswith(b"lost"), f"round {number}: {line.decode()}"
                count, last = line.split()
                said, writes = (int(count), int(last)), writes + 1
        _readable(path)
    store = _open(path, rounds)
    _assert_held(store, said)
    _live(store, live, lambda: None)
    store.bring_in(VIN, imported)
    whole = Store(folder / "whole.db")
    whole.open()
    for some in (imported, live):
        whole.record(VIN, some)
    whole.record(VIN, (), flush=True)
    assert sessions(store) == sessions(whole)
    found = {"kills": rounds, "writes": writes, "sessions": len(sessions(store)), "schema": rounds // EACH_SCHEMA + 1}
    store.close()
    whole.close()
    return found


def _readable(path: Path) -> None:
    """Read the file as anybody could, whatever state the kill left it in."""
    if not path.exists():
        return
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()


def _assert_held(store: Store, said: tuple[int, int]) -> None:
    held = (len(sessions(store)), store.state(VIN).last)
    assert held[0] >= said[0], f"{held} is held, {said} was said"
    assert held[1] >= said[1], f"{held} is held, {said} was said"


def _live(store: Store, live: list[Sample], say: Callable[[], None]) -> None:
    """Go on with what was seen after what is known."""
    last = store.state(VIN).last
    for some in batched((sample for sample in live if sample.at > last), 40, strict=False):
        store.record(VIN, some)
        say()
    store.record(VIN, (), flush=True)


def _run(
    path: Path, said: tuple[int, int], writing: int, number: int, *, imported: list[Sample], live: list[Sample]
) -> NoReturn:
    """Be the child: look, then write until the end."""
    try:
        store = _open(path, number)
        try:
            _assert_held(store, said)
        except AssertionError as error:
            os.write(writing, f"lost: {error}\n".encode())
            os._exit(1)

        def say() -> None:
            os.write(writing, f"{len(sessions(store))} {store.state(VIN).last}\n".encode())

        if number % 7 == 3:
            store.bring_in(VIN, imported)
            say()
        if number % 7 == 5:
            store.rebuild(VIN)
            say()
        _live(store, live, say)
        while True:
            store.rebuild(VIN)
            say()
    finally:
        os._exit(1)


def main() -> None:
    """Run as a program."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        print(play(Path(folder), rounds, seed=1))


if __name__ == "__main__":
    main()
