"""The chaos of the tests is that of `script/chaos`, except for how most companions start."""

import pytest

from tests.live.processes import COMPANIONS
from tests.live.served import ServedCompanion


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start companions as copies; those of `script/chaos` start as an operator's do."""
    monkeypatch.setattr(ServedCompanion, "starts", COMPANIONS)
