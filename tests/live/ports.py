"""Ports of loopback for servers that are about to start.

None of those that the system gives to whoever asks for any: between the look and the start, a connection or a server of
a test beside may get it. Each of pytest's workers has a range of its own, and no port is given twice in a row.
"""

from contextlib import ExitStack
from itertools import count
import os
from socket import socket
from typing import Final

_RANGES: Final = [range(begin, begin + 1_000) for begin in range(11_000, 32_000, 1_000)]
"""Below what Linux gives out, and without any that Chromium refuses to open."""
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_MINE: Final = _RANGES[_WORKER % len(_RANGES)]
# Another run on this machine begins elsewhere
_next = count(os.getpid() * 7)


def free_port() -> int:
    """Return a port that nobody uses."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """Return the first of so many ports, one after the other, that nobody uses."""
    while True:
        places = [next(_next) % len(_MINE) for _ in range(number)]
        if places[-1] - places[0] == number - 1 and _are_free(ports := [_MINE[place] for place in places]):
            return ports[0]


def _are_free(ports: list[int]) -> bool:
    with ExitStack() as held:
        try:
            for port in ports:
                held.enter_context(socket()).bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
