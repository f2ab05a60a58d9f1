"""The journal that the demo's car begins with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from custom_components.teslafi.journal.store import Store
from teslafi_simulators.tesla.scenario import ANNAS_MODEL_3

from . import launch, year

DAYS: Final = 3
WORDS: Final = (ANNAS_MODEL_3, "1000.0", str(DAYS))


def drives(journal: Path) -> int:
    store = Store(journal)
    store.open()
    try:
        return len(store.drives(ANNAS_MODEL_3))
    finally:
        store.close()


def test_a_journal_that_is_there_stays(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    launch.lived(journal, *WORDS)
    assert [path.name for path in tmp_path.iterdir()] == ["journal.db"]
    assert drives(journal) >= DAYS
    journal.write_bytes(b"somebody's")
    launch.lived(journal, *WORDS)
    assert journal.read_bytes() == b"somebody's"


def test_what_was_interrupted_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo that is stopped while its days are written has a journal of nothing else the next time."""
    journal, whole = tmp_path / "journal.db", tmp_path / "whole" / "journal.db"
    now = datetime.now(UTC)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: pytest.fail("a power cut"))
        with pytest.raises(pytest.fail.Exception):
            year.write_year(journal, ANNAS_MODEL_3, 1000, now, 2 * DAYS)
    assert not journal.exists()
    year.write_year(journal, ANNAS_MODEL_3, 1000, now, DAYS)
    whole.parent.mkdir()
    year.write_year(whole, ANNAS_MODEL_3, 1000, now, DAYS)
    assert drives(journal) == drives(whole)
    assert {path.name for path in tmp_path.iterdir()} == {"journal.db", "whole"}
