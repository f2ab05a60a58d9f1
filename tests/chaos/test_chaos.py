"""Three rounds of `script/chaos companion`; the whole fifty are run by hand."""

import pytest

from .companion import chaos

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_nothing_acknowledged_is_lost(kind: str) -> None:
    found = await chaos(kind, 3, seed=7)
    assert found["kills"] == 3
    assert found["sign-ups"] > 0
    assert found["refreshes"] > 3
