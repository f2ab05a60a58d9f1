"""Twelve rounds of `script/chaos journal`; the whole two hundred are run by hand."""

from pathlib import Path

from .journal import play


def test_no_kill_loses_a_session(tmp_path: Path) -> None:
    found = play(tmp_path, 12, seed=5)
    assert found["kills"] == 12
    assert found["writes"] > 5
    assert found["sessions"] > 50
