"""Time that does not pass: loops rest for nothing, and a test lets them run until something is true."""

import asyncio
from collections.abc import Callable

SOME = 1000


class Rests:
    """Waits for nothing, and knows how long it would have been."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: list[float] = []

    async def __call__(self, seconds: float, _woken: asyncio.Event | None) -> None:
        """Note a rest, and let the others have their turn."""
        self.seconds.append(seconds)
        await asyncio.sleep(0)


async def until(true: Callable[[], bool]) -> None:
    """Let the loops run until something is true."""
    for _ in range(SOME):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


class Rounds:
    """Lets each of some loops have one turn, and then all of them rest until the next round."""

    def __init__(self, loops: int) -> None:
        """Take how many loops there are."""
        self._loops = loops
        self._resting = 0
        self._all_rest = asyncio.Event()
        self._next = asyncio.Event()

    async def __call__(self, _seconds: float, _woken: asyncio.Event | None) -> None:
        """Rest until the next round."""
        self._resting += 1
        if self._resting == self._loops:
            self._all_rest.set()
        await self._next.wait()

    async def first(self) -> None:
        """Wait until every loop has had its first turn."""
        await self._all_rest.wait()

    async def another(self) -> None:
        """Let every loop have another turn."""
        self._all_rest.clear()
        self._resting = 0
        begun, self._next = self._next, asyncio.Event()
        begun.set()
        await self._all_rest.wait()
