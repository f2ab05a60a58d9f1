"""Ports of loopback for servers that are about to start.

None of those that the system gives to whoever asks for any: between the look and the start, a connection or a server of
a test beside may get it. Each of pytest's workers has places of its own, and none is given twice in a row.
"""

from contextlib import ExitStack
from itertools import count
import os
from random import SystemRandom
from socket import socket
from typing import Final

_PORTS: Final = range(11_000, 32_000)
"""Below what Linux gives out, and without any that Chromium refuses to open."""
_TOGETHER: Final = 8
"""Ports of a place: whoever wants several gets them one after the other."""
_WORKERS: Final = 16
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{_WORKERS - 1}").removeprefix("gw")) % _WORKERS
"""Which of them this process is; a program that a test runs in a system of its own is the last."""
_PLACES: Final = _PORTS[_WORKER * _TOGETHER : -_TOGETHER : _WORKERS * _TOGETHER]
# Two such programs, or two runs on this machine, begin elsewhere
_next = count(SystemRandom().randrange(len(_PLACES)))


def free_port() -> int:
    """Return a port that nobody uses."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """Return the first of so many ports, one after the other, that nobody uses; eight at most."""
    while True:
        port = _PLACES[next(_next) % len(_PLACES)]
        if _are_free(range(port, port + number)):
            return port


def _are_free(ports: range) -> bool:
    with ExitStack() as held:
        try:
            for port in ports:
                held.enter_context(socket()).bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
