"""Runs Home Assistant in front of the simulator: `python -m tests.live.launch SIMULATOR_URL HASS_ARGUMENTS…`."""

import ctypes
import signal
import sys

from homeassistant.__main__ import main

from .simulated_tesla import use_simulator

PR_SET_PDEATHSIG = 1
"""prctl(2): which signal comes when the parent ends."""


def end_with_parent() -> None:
    """Stop when whoever started this is gone, be it killed: nobody else would stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    end_with_parent()
    use_simulator(sys.argv[1])
    sys.argv = ["hass", *sys.argv[2:]]
    sys.exit(main())
