"""The chaos of the tests is that of `script/chaos`, except for how a companion starts."""

import pytest

from tests.live.processes import COMPANIONS
from tests.live.served import ServedCompanion


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start companions as copies: what happens to them afterwards is tested, not what Python imports."""
    monkeypatch.setattr(ServedCompanion, "starts", COMPANIONS)
