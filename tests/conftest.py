"""What all tests share: nothing costs CPU that finds no fault."""

import asyncio
from collections.abc import Generator
import gc
import logging
import sys
from typing import Final

from hypothesis import HealthCheck, settings
from jinja2 import Environment
import pytest

# Python compiled every module anew at each start where the environment says so
sys.dont_write_bytecode = False

DEBUGGED: Final = frozenset({"test_lapse", "test_whole_way", "test_fleet_api"})
"""Modules whose event loop runs in debug mode, between them all of the integration, the companion and the simulators.

Debug mode keeps the stack of whoever makes a task, a future or a handle, which takes as long as all the rest of a test.
"""

for chatty in ("aiosqlite", "alembic", "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool"):
    # PHACC has every logger write at INFO, which costs more than the statements written about
    logging.getLogger(chatty).setLevel(logging.WARNING)

# How long an example takes is the machine's business
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_compile = Environment.compile
_compiled: dict[object, object] = {}


def _compile_once(self: Environment, source: str, *how: object, **more: object) -> object:
    """Compile the pages of the companion once, not for each companion that a test starts."""
    if type(self) is not Environment:
        return _compile(self, source, *how, **more)  # type: ignore[call-overload] # handed on
    key = (source, how, *more.items(), self.autoescape, self.trim_blocks, self.undefined, *sorted(self.extensions))
    if key not in _compiled:
        _compiled[key] = _compile(self, source, *how, **more)  # type: ignore[call-overload] # handed on
    return _compiled[key]


Environment.compile = _compile_once  # type: ignore[assignment, method-assign] # the same, remembered


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Look for no garbage among what is imported: it stays, and is many times what a test makes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what was logged cross to xdist's other process, whatever bytes a test sent."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
async def enable_event_loop_debug(request: pytest.FixtureRequest) -> None:
    """Run the event loop in debug mode where that is worth it; PHACC would do so everywhere."""
    asyncio.get_running_loop().set_debug(request.path.stem in DEBUGGED)
