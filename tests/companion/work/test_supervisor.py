"""No loop ends because something in it went wrong: each is made to fail, in every way there is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError
import structlog

from teslafi_companion.crypto import KeyFault
from teslafi_companion.store.database import StoreUnreachable
from teslafi_companion.work.supervisor import FIRST_PAUSE, LONGEST_PAUSE, Loop, Supervisor

from .rests import Rests, until


class Work:
    """Fails as it is told, turn by turn; afterwards all is well."""

    def __init__(self, *faults: BaseException | None) -> None:
        """Take what each turn raises."""
        self._faults = list(faults)
        self.turns = 0

    async def __call__(self) -> int:
        """Do one turn."""
        self.turns += 1
        fault = self._faults.pop(0) if self._faults else None
        if fault is not None:
            raise fault
        return 0


def loop(turn: Callable[[], Awaitable[int]], name: str = "work") -> Loop:
    """Return a loop."""
    return Loop(name=name, turn=turn, seconds=7)


FAULTS = [
    StoreUnreachable("gone"),
    KeyFault("KMS is gone"),
    OSError(28, "No space left on device"),
    OperationalError("statement", {}, Exception("locked")),
    IndexError("pop from empty list"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    RecursionError(),
    MemoryError(),
    ExceptionGroup("several", [ValueError()]),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_whatever_a_turn_raises_the_loop_goes_on(fault: BaseException) -> None:
    work, other = Work(fault, fault), Work()
    with structlog.testing.capture_logs() as lines:
        async with Supervisor(loop(work), loop(other, "other"), rest=Rests()) as supervisor:
            await until(lambda: work.turns == 1 and bool(supervisor.degraded))
            assert supervisor.degraded == {"work": type(fault).__name__}
            await until(lambda: work.turns > 5)
            assert supervisor.degraded == {}
            assert supervisor.states["work"].failed == 2
            assert other.turns > 2
    assert [line["event"] for line in lines] == ["loop_failed", "loop_recovered"]
    assert str(fault) not in repr(lines) or not str(fault)  # what a person typed may be part of it


async def test_a_task_that_is_cancelled_from_outside_is_started_again() -> None:
    work = Work()
    async with Supervisor(loop(work), rest=Rests()) as supervisor:
        for _ in range(3):
            await until(lambda: work.turns > 0)
            (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "work")
            task.cancel()
            await asyncio.wait({task})
            work.turns = 0
        await until(lambda: work.turns > 0)
        assert supervisor.states["work"].failed == 3


async def test_it_backs_off_and_rests_again_when_all_is_well() -> None:
    rests = Rests()
    work = Work(*[ValueError()] * 9)
    async with Supervisor(loop(work), rest=rests):
        await until(lambda: work.turns > 10)
    assert rests.seconds[:10] == [FIRST_PAUSE * 2**n for n in range(6)] + [LONGEST_PAUSE] * 3 + [7]


async def test_a_turn_that_hangs_is_ended() -> None:
    hung = asyncio.Event()

    async def hangs() -> int:
        if hung.is_set():
            return 0
        hung.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with Supervisor(replace(loop(hangs), longest=0), rest=Rests()) as supervisor:
        await until(lambda: supervisor.states["work"].failed == 1)
        await until(lambda: not supervisor.degraded)


async def test_work_that_is_left_is_done_without_a_rest() -> None:
    rests = Rests()
    left = [3, 2, 1]

    async def work() -> int:
        return left.pop() if left else 0

    async with Supervisor(loop(work), rest=rests):
        await until(lambda: bool(rests.seconds))
    assert left == []


async def test_a_loop_says_itself_what_keeps_it_from_being_of_use() -> None:
    trouble: list[str] = ["BillingUnavailable"]
    async with Supervisor(
        replace(loop(Work()), trouble=lambda: trouble[0] if trouble else None), rest=Rests()
    ) as supervisor:
        assert supervisor.degraded == {"work": "BillingUnavailable"}
        trouble.clear()
        assert supervisor.degraded == {}


async def test_nothing_runs_any_more_when_it_is_left() -> None:
    work = Work()
    async with Supervisor(loop(work), rest=Rests()):
        await until(lambda: work.turns > 0)
    turns = work.turns
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "work"]
    await asyncio.sleep(0)
    assert work.turns == turns
