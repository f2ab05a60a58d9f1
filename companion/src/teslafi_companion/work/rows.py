"""Work on rows of a table: what is wrong with one of them never stops those behind it."""

from collections.abc import Awaitable, Callable
from traceback import format_tb

import structlog

from teslafi_companion.store.database import StoreUnreachable

_log = structlog.get_logger(__name__)


async def each[Result](
    work: Awaitable[Result],
    put_aside: Callable[[str], Awaitable[None]],
    *,
    passing: tuple[type[Exception], ...] = (),
) -> Result | None:
    """Await the work on one row; have the row put aside, by the kind of its fault, if it cannot be worked off.

    A database out of reach is not the row's fault, nor are the `passing` faults: they are raised, and the row comes
    again.
    """
    let_through: tuple[type[Exception], ...] = (StoreUnreachable, *passing)
    try:
        return await work
    except let_through:
        raise
    except Exception as fault:  # noqa: BLE001 - whatever is wrong with one row, it is told and the others go on
        _log.error("row_put_aside", fault=type(fault).__name__, place=format_tb(fault.__traceback__)[-3:])
        await put_aside(type(fault).__name__)
        return None
