"""The classes of which each look at a car makes several, and changed copies of named tuples."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record[T](cls: type[T]) -> type[T]:
    """Make a dataclass that nothing changes: mypy takes it for a frozen one.

    It is not frozen at run time, since setting a field of a frozen object takes ten times as long, and each answer of a
    car makes objects of some four hundred fields.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)


def changed[T: tuple[Any, ...]](known: T, /, **values: object) -> T:
    """Return a copy of a named tuple with other values; raise KeyError for a field that it does not have.

    `_replace` looks for each field among the changes, which takes twice as long for a tuple of thirty fields.
    """
    kind = type(known)
    positions = _positions(kind)
    row = list(known)
    for name, value in values.items():
        row[positions[name]] = value
    return tuple.__new__(kind, row)


@cache
def _positions(kind: Any) -> dict[str, int]:  # noqa: ANN401 - the class of any named tuple
    return {name: position for position, name in enumerate(kind._fields)}
