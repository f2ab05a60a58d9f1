"""What all tests share: nothing costs CPU that finds no fault."""

import asyncio
import logging
import sys
from typing import Final

import pytest

# Python compiled every module anew at each start where the environment says so
sys.dont_write_bytecode = False

DEBUGGED: Final = frozenset({"test_watching", "test_commands", "test_server", "test_whole_way", "test_fleet_api"})
"""Modules whose event loop runs in debug mode, between them all of the integration, the companion and the simulators.

Debug mode keeps the stack of whoever makes a task, a future or a handle, which takes as long as all the rest of a test.
"""

for chatty in ("aiosqlite", "alembic", "sqlalchemy"):
    # PHACC has every logger write at INFO, which costs more than the statements written about
    logging.getLogger(chatty).setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
async def enable_event_loop_debug(request: pytest.FixtureRequest) -> None:
    """Run the event loop in debug mode where that is worth it; PHACC would do so everywhere."""
    asyncio.get_running_loop().set_debug(request.path.stem in DEBUGGED)
