"""The companion's `serve`, with handles for what cannot be done to a process from outside: its clock and its tasks.

`python -m tests.chaos.wrapped serve`. At SIGUSR1 it reads its orders (`orders.json` beside the folder of its key): by
how many seconds its clock is wrong from now on, whether its background tasks are cancelled, and whether its database
takes no writes.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
import json
import os
from pathlib import Path
import signal
import sys

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

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
        self._query_only = "OFF"

    def hold(self, parts: Services) -> None:
        """Decide with each use of a connection whether it may write."""
        if parts.store.engine.dialect.name == "sqlite":
            event.listen(parts.store.engine.sync_engine, "checkout", self._set_up)

    def _set_up(self, connection: DBAPIConnection, *_: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA query_only = {self._query_only}")
        cursor.close()

    def clock(self) -> datetime:
        """Return the moment, as wrong as ordered."""
        return system_clock() + self._wrong_by

    def obey(self) -> None:
        """Do as ordered."""
        orders = json.loads(self._orders.read_text(encoding="utf-8"))
        self._wrong_by = timedelta(seconds=orders["wrong_by"])
        self._query_only = "ON" if orders["read_only"] else "OFF"
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
        parts = await original(stack, settings, clock)
        handles.hold(parts)
        return parts

    server.started = started
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
