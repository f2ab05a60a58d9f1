"""A lost database is restored from its dump on a new server, and what was tampered with is noticed."""

from pathlib import Path

import pytest

from .restore import SIGN_UPS, drill

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled", "forked")]


async def test_everybody_goes_on_after_a_restore(tmp_path: Path) -> None:
    found = await drill(tmp_path)
    assert found.sign_ups == SIGN_UPS
    assert "rows, complete" in found.audit
    assert "NOT COMPLETE" in found.without_a_row
    assert "missing" in found.without_a_row
    assert "local:" in found.with_another_key  # both keys are named
    assert "Traceback" not in found.with_another_key
