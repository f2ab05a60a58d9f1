"""Processes that end with whoever started them: nobody else would stop them."""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): which signal comes when the parent ends."""


def end_with_parent(parent: int | None = None, *, by: signal.Signals = signal.SIGTERM) -> None:
    """Get a signal when the parent is gone, be it killed; end at once if it isn't the one meant any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    if parent is not None and os.getppid() != parent:
        signal.raise_signal(by)
