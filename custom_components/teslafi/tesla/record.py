"""The classes that answers are decoded into."""

from dataclasses import dataclass
from typing import dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record[T](cls: type[T]) -> type[T]:
    """Make a dataclass that nothing changes: mypy takes it for a frozen one.

    It is not frozen at run time, since setting a field of a frozen object takes ten times as long, and each answer of a
    car makes objects of some three hundred fields.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
