"""Three rounds of `script/chaos companion`; the whole fifty are run by hand."""

import os

import pytest

from . import processes
from .companion import chaos
from .replicated import is_installed
from .troubles import LASTING, SHORT, TROUBLES, troubled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.usefixtures("forked")
async def test_nothing_acknowledged_is_lost() -> None:
    """On SQLite; `test_several_processes_lose_nothing` has PostgreSQL."""
    found = await chaos("sqlite", 3, seed=7)
    assert found["kills"] == 3
    assert found["sign-ups"] > 0
    assert found["refreshes"] > 3


@pytest.mark.usefixtures("forked")
async def test_trouble_is_503_and_passes() -> None:
    """Each that does not last, shortly and on one database; `script/chaos companion-troubles` has both, and longer."""
    names = [name for name in TROUBLES if name not in LASTING]
    found = await troubled("sqlite", names, seed=7, pace=SHORT)
    assert found["rounds"] == len(names) == 10
    # Not everybody may mount a disk to fill
    assert found["left out"] in {"nothing", "disk full"}
    assert found["sign-ups"] > 0
    assert " 503: " in found["answers"]


@pytest.mark.usefixtures("forked")
async def test_several_processes_lose_nothing() -> None:
    """Two of seven troubles, without the bound in seconds; `script/chaos companion --processes 3` has all of them."""
    if not is_installed("haproxy", "pgbouncer") and not os.environ.get("CI"):
        pytest.skip("haproxy or pgbouncer is missing: script/proxies installs them")
    names = ["kill -9 of one", "database restarted"]
    found = await processes.troubled(2, names, pooled=True, seed=7, homes=1, bound=None)
    assert found.refreshes >= 2
    assert found.hooks > 0
