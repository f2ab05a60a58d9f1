"""Watches over everything that runs beside the requests: no loop ends because something in it went wrong.

A loop is a piece of work that is done again and again. What it raises is logged once, and once more when it is over;
the loop backs off and goes on. As long as it fails it is *degraded*, which `/metrics` and `/readyz` show. A task that
was cancelled from outside is started again. Rows that cannot be worked off do not come this far: see rows.py.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from traceback import format_tb
from typing import Final, Self

import structlog

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries of a loop that fails; the pause doubles in between."""
LONGEST_TURN: Final = 900.0
"""Seconds after which a turn counts as stuck: a turn of the outbox may hand over twenty mails to a slow server."""

type Turn = Callable[[], Awaitable[int]]
"""Does what is due now and returns how much that was; 0 lets the loop rest."""
type Rest = Callable[[float, asyncio.Event | None], Awaitable[None]]
"""Waits for some seconds, or less when the event is set."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A piece of work that is done again and again."""

    name: str
    turn: Turn
    seconds: float
    """How long it rests when nothing is due."""
    woken: asyncio.Event | None = None
    """Set by whoever has work for it."""
    trouble: Callable[[], str | None] = lambda: None
    """Says what keeps its turns from being of use, such as a provider that does not answer."""
    longest: float = LONGEST_TURN


@dataclass
class State:
    """How a loop does."""

    faults: int = 0
    """Failed turns since the last good one."""
    failed: int = 0
    """Failed turns since the start."""
    fault: str | None = None
    """The kind of the last fault, while it lasts."""


async def rest(seconds: float, woken: asyncio.Event | None) -> None:
    """Wait by the event loop's clock."""
    if woken is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


class Supervisor:
    """Owns the tasks of all loops, from entering to leaving its `async with`."""

    def __init__(self, *loops: Loop, rest: Rest = rest) -> None:
        """Take the loops; a test passes its own `rest`, so that nothing waits."""
        self._loops = loops
        self._rest = rest
        self._states = {loop.name: State() for loop in loops}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    @property
    def states(self) -> Mapping[str, State]:
        """Return how each loop does."""
        return self._states

    @property
    def degraded(self) -> dict[str, str]:
        """Return the loops that cannot do their work at present, each with the kind of its fault."""
        faults = ((loop.name, self._states[loop.name].fault or loop.trouble()) for loop in self._loops)
        return {name: fault for name, fault in faults if fault is not None}

    async def __aenter__(self) -> Self:
        """Start every loop."""
        for loop in self._loops:
            self._start(loop)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop every loop and wait until it has."""
        self._stopping = True
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _start(self, loop: Loop) -> None:
        task = asyncio.create_task(self._go_on(loop), name=loop.name)
        self._tasks[loop.name] = task
        task.add_done_callback(partial(self._ended, loop))

    def _ended(self, loop: Loop, task: asyncio.Task[None]) -> None:
        """Start a loop again whose task ended although nobody stopped it: it was cancelled from outside."""
        if self._stopping or task.get_loop().is_closed():
            return
        self._failed(loop, asyncio.CancelledError() if task.cancelled() else task.exception())
        self._start(loop)

    async def _go_on(self, loop: Loop) -> None:
        """Do the work again and again."""
        state = self._states[loop.name]
        while True:
            if state.faults:
                await self._rest(min(FIRST_PAUSE * 2 ** min(state.faults - 1, 10), LONGEST_PAUSE), None)
            try:
                if loop.woken is not None:
                    loop.woken.clear()
                async with asyncio.timeout(loop.longest):
                    done = await loop.turn()
            except Exception as fault:  # noqa: BLE001 - the one place: whatever it was, the loop has to go on
                self._failed(loop, fault)
                continue
            self._went_well(loop)
            if not done:
                await self._rest(loop.seconds, loop.woken)

    def _failed(self, loop: Loop, fault: BaseException | None) -> None:
        state = self._states[loop.name]
        kind = type(fault).__name__
        if state.fault is None:
            # The text of an exception may hold what a person typed: its kind and its place in the code are enough
            place = format_tb(fault.__traceback__)[-3:] if fault is not None else []
            _log.error("loop_failed", loop=loop.name, fault=kind, place=place)
        state.faults += 1
        state.failed += 1
        state.fault = kind

    def _went_well(self, loop: Loop) -> None:
        state = self._states[loop.name]
        if state.fault is not None:
            _log.info("loop_recovered", loop=loop.name, failed_turns=state.faults)
        state.faults, state.fault = 0, None
