"""Whether the database can be used at this moment: read, and written to."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from .database import Store, StoreUnreachable
from .tables import probe

SECONDS: Final = 3.0
"""How long an answer is waited for: a load balancer asks every few seconds."""
WRITTEN: Final = timedelta(seconds=10)
"""How long a write that worked is taken for the present state: anybody may ask, and not everybody shall cause one."""


class Probe:
    """Asks one database."""

    def __init__(self, store: Store) -> None:
        """Begin with nothing known."""
        self._store = store
        self._written_at: datetime | None = None
        self._turn = asyncio.Lock()

    async def __call__(self) -> None:
        """Read, and write if the last write was a while ago; raises StoreUnreachable."""
        try:
            async with asyncio.timeout(SECONDS):
                async with self._store.reading() as transaction:
                    await transaction.first(select(probe.c.written_at))
                async with self._turn:
                    if self._is_due():
                        self._written_at = await self._write()
        except TimeoutError:
            raise StoreUnreachable("TimeoutError") from None

    def _is_due(self) -> bool:
        # A write of a moment to come was one of a clock that was ahead
        return self._written_at is None or not timedelta() <= self._store.clock() - self._written_at < WRITTEN

    async def _write(self) -> datetime:
        """Write one row and wait until it is on the disk: that alone shows one that is full or read-only."""
        async with self._store.transaction() as transaction:
            now = transaction.now
            await transaction.insert_or_change(probe, "id", {"id": 1, "written_at": now}, "written_at")
        return now
