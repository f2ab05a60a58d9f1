"""What commands have set, or are about to set, until the car itself says how it is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class AssumedValues:
    """Values of one car by their dotted paths. Moments are monotonic seconds."""

    def __init__(self) -> None:
        """Begin with none."""
        self._set: dict[str, tuple[object, float]] = {}
        """Path -> what a command should have set, and when it ended."""
        self._expected: list[Mapping[str, object]] = []
        """What each command under way is about to set."""

    def set_by_command(self, values: Mapping[str, object], now: float) -> None:
        """Take what a command that has ended should have set."""
        self._set |= {path: (value, now) for path, value in values.items()}

    @contextmanager
    def expecting(self, values: Mapping[str, object]) -> Iterator[None]:
        """Take what a command is about to set, while it is under way."""
        self._expected.append(values)
        try:
            yield
        finally:
            self._expected.remove(values)

    def answered(self, asked_at: float) -> None:
        """Forget what was set before the car was asked: its answer knows better."""
        self._set = {path: known for path, known in self._set.items() if known[1] > asked_at}

    def values(self) -> dict[str, object]:
        """Return what is assumed now; commands under way count most."""
        values = {path: value for path, (value, _) in self._set.items()}
        for expected in self._expected:
            values |= expected
        return values
