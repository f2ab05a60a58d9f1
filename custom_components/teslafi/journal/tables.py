"""The tables of the journal's file, and how a session becomes a row and back.

A car is a number in `cars`, a text a number in `texts`. A sample's key is its moment times 1024 and the car's number:
so all samples lie in order of time, whatever the car, and the file has no holes. Sessions carry the moment of the
sample that told them (`told_at`), so that a rebuild of some months knows which rows are its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from functools import lru_cache
import json
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

from .sample import Position
from .sample_row import COLUMNS
from .sessions import Charge, Drive, Kind, Parking

CARS_MOST: Final = 1024
ADDRESS_STEPS: Final = 10_000
"""Of an address's coordinates: eleven meters."""

METADATA: Final = MetaData()

CARS: Final = Table(
    "cars",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vin", Text, unique=True, nullable=False),
    Column("state", Text),
    Column("thinned_until", Integer, nullable=False, server_default="0"),
)
TEXTS: Final = Table(
    "texts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("text", Text, unique=True, nullable=False),
)
SAMPLES: Final = Table(
    "samples",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("imported", Integer),
    *(Column(name, Integer) for name in COLUMNS),
)


def _of_cars(name: str, *columns: Column[Any]) -> Table:
    """Return a table of which each row is of one car; the rows lie in order of their keys."""
    return Table(name, METADATA, Column("car", Integer, primary_key=True), *columns, sqlite_with_rowid=False)


CHECKPOINTS: Final = _of_cars(
    "checkpoints",
    Column("at", Integer, primary_key=True),
    Column("rules", Integer, nullable=False),
    Column("state", Text, nullable=False),
)
VERSIONS: Final = _of_cars(
    "versions",
    Column("since", Integer, primary_key=True),
    Column("version", Text, nullable=False),
    Column("after", Integer),
    Column("told_at", Integer, nullable=False),
)
TAGS: Final = _of_cars(
    "tags",
    Column("at", Integer, primary_key=True),
    Column("tag", Text, nullable=False),
)
COSTS: Final = _of_cars(
    "costs",
    Column("at", Integer, primary_key=True),
    Column("cost", Float, nullable=False),
    Column("currency", Text, nullable=False),
    Column("source", Text, nullable=False),
)
ADDRESSES: Final = _of_cars(
    "addresses",
    Column("latitude", Integer, primary_key=True),
    Column("longitude", Integer, primary_key=True),
    Column("address", Text, nullable=False),
)
"""Where the car stood, in steps of `ADDRESS_STEPS` to a degree, and what that place is called."""

CLASSES: Final[Mapping[Kind, type[Drive | Charge | Parking]]] = {
    Kind.DRIVE: Drive,
    Kind.CHARGE: Charge,
    Kind.PARKING: Parking,
}
NOT_KEPT: Final = frozenset(
    {
        "kind",
        "energy_kwh",
        "energy_method",
        "energy_range_kwh",
        "energy_soc_kwh",
        "drain_kwh",
        "tag",
        "cost",
        "currency",
        "cost_source",
    }
)
"""Fields that are reckoned when they are asked for, or kept in tables of their own since a person set them."""


class _Field:
    """How one field of a session is kept."""

    def __init__(self, name: str, hint: Any) -> None:  # noqa: ANN401 - an annotation
        """Tell from the annotation."""
        if isinstance(hint, UnionType):
            hint = next(one for one in get_args(hint) if one is not type(None))
        self.name = name
        self.hint = hint
        self.is_position = self.hint is Position
        self.is_mapping = getattr(self.hint, "__origin__", None) is Mapping

    @property
    def columns(self) -> list[Column[Any]]:
        """Its columns."""
        if self.is_position:
            return [Column(f"{self.name}_latitude", Float), Column(f"{self.name}_longitude", Float)]
        kinds: dict[object, type[Any]] = {float: Float, int: Integer, bool: Integer}
        kind = kinds.get(getattr(self.hint, "__value__", self.hint), Text)
        return [Column(self.name, kind, primary_key=self.name == "start")]

    def write(self, value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - of any field
        """Return what its columns hold."""
        if self.is_position:
            return value or (None, None)
        return (json.dumps(value) if self.is_mapping else value,)

    def read(self, value: Any) -> Any:  # noqa: ANN401 - the same
        """Undo `write` for a field of one column."""
        if value is None:
            return None
        if self.is_mapping:
            return json.loads(value)
        if self.hint is bool:
            return bool(value)
        return self.hint(value) if isinstance(self.hint, type) and issubclass(self.hint, StrEnum) else value


@lru_cache
def _fields(kind: Kind) -> tuple[_Field, ...]:
    hints = get_type_hints(CLASSES[kind])
    return tuple(_Field(one.name, hints[one.name]) for one in fields(CLASSES[kind]) if one.name not in NOT_KEPT)


def _table(kind: Kind) -> Table:
    columns = [column for field in _fields(kind) for column in field.columns]
    return _of_cars(f"{kind}s", Column("told_at", Integer, nullable=False), *columns)


SESSIONS: Final = {kind: _table(kind) for kind in Kind}


def session_row(session: Drive | Charge | Parking) -> tuple[Any, ...]:
    """Return what the columns of a session hold, without car and `told_at`."""
    return tuple(part for field in _fields(session.kind) for part in field.write(getattr(session, field.name)))


def session_of(kind: Kind, row: Sequence[Any]) -> Drive | Charge | Parking:
    """Undo `session_row`."""
    values: dict[str, Any] = {}
    parts = iter(row)
    for field in _fields(kind):
        first = next(parts)
        if field.is_position:
            second = next(parts)
            values[field.name] = None if first is None or second is None else (first, second)
        else:
            values[field.name] = field.read(first)
    return CLASSES[kind](**values)
