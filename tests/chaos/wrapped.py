"""The companion's `serve`, with handles for what cannot be done to a process from outside: its clock and its tasks.

`python -m tests.chaos.wrapped serve`. At SIGUSR1 it reads its orders (`orders.json` beside the folder of its key): by
how many seconds its clock is wrong from now on, and whether its background tasks are cancelled.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
import json
import os
from pathlib import Path
import signal
import sys

from teslafi_companion import cli, server
from teslafi_companion.clock import Clock, system_clock
from teslafi_companion.http.services import Services
from teslafi_companion.settings import Settings

LOOPS = frozenset({"outbox", "billing", "housekeeping"})
ORDERS = "orders.json"


class Handles:
    """What a test holds this process by."""

    def __init__(self, orders: Path) -> None:
        """Begin with a clock that is right."""
        self._orders = orders
        self._wrong_by = timedelta()

    def clock(self) -> datetime:
        """Return the moment, as wrong as ordered."""
        return system_clock() + self._wrong_by

    def obey(self) -> None:
        """Do as ordered."""
        orders = json.loads(self._orders.read_text(encoding="utf-8"))
        self._wrong_by = timedelta(seconds=orders["wrong_by"])
        if orders["cancel"]:
            for task in asyncio.all_tasks():
                if task.get_name() in LOOPS:
                    task.cancel()


def main() -> int:
    """Serve."""
    handles = Handles(Path(os.environ["TESLAFI_COMPANION_KEY_FILE"]).parents[1] / ORDERS)
    original = server.started

    async def started(stack: AsyncExitStack, settings: Settings, clock: Clock = handles.clock) -> Services:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, handles.obey)
        return await original(stack, settings, clock)

    server.started = started
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
