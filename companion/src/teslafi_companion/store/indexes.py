"""Blind indexes: how a row is found by something that the database does not show, and how one is made anew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table

from .database import Transaction


@dataclass(frozen=True)
class BlindIndex:
    """A column that is keyed by the root of indexes, and can be made anew of what is sealed in the same row."""

    table: Table
    column: str
    made: Callable[[Transaction, Row[Any]], bytes]
    """Return the index of a row of the whole table, by the root in use."""
    row: str = "id"
