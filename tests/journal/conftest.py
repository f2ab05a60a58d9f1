"""A store of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from custom_components.teslafi.journal.store import Store

VIN = "LRW3E7EK5NC000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "teslafi.journal.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    store.open()
    yield store
    store.close()
