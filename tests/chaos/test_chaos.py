"""Three rounds of `script/chaos companion`; the whole fifty are run by hand."""

import pytest

from .companion import chaos
from .troubles import troubled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_nothing_acknowledged_is_lost(kind: str) -> None:
    found = await chaos(kind, 3, seed=7)
    assert found["kills"] == 3
    assert found["sign-ups"] > 0
    assert found["refreshes"] > 3


async def test_trouble_is_503_and_passes() -> None:
    """One of ten, on one database; all are had by `script/chaos companion-troubles`."""
    found = await troubled("sqlite", ["read-only"], seed=7)
    assert found["sign-ups"] > 0
    assert "COMPLETE" not in found["audit"]
