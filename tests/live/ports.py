"""Ports of loopback for servers that are about to start.

None of those that the system gives to whoever asks for any: between the look and the start, a connection or a server of
a test beside may get it. Each process that asks has places of its own, whatever runs beside it, and none is given twice
in a row.
"""

from contextlib import ExitStack
from functools import cache
from itertools import count
import os
from random import SystemRandom
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from typing import Final, NamedTuple

_PORTS: Final = range(11_000, 32_000)
"""Below what Linux gives out, and without any that Chromium refuses to open."""
_TOGETHER: Final = 8
"""Ports of a place: whoever wants several gets them one after the other."""
_OWNERS: Final = 16
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{_OWNERS - 1}").removeprefix("gw"))
# Servers of a process that was killed may have outlived it: the next begins elsewhere
_next = count(SystemRandom().randrange(_OWNERS * _TOGETHER))


class _Own(NamedTuple):
    """Places of this process alone: their first ports, and what tells others that they are taken."""

    places: range
    held: socket


@cache
def _own() -> _Own:
    """Take each sixteenth place, of those that no other process has; a worker's number says where to look first.

    A look at a port says nothing of what has been given: it is free until its server starts, and again when that is
    killed. Two runs beside each other asked each other's companions, which knew nothing of what had been acknowledged.
    """
    for owner in range(_WORKER, _WORKER + _OWNERS):
        first, *_ = places = _PORTS[owner % _OWNERS * _TOGETHER : -_TOGETHER : _OWNERS * _TOGETHER]
        held = socket()
        try:
            held.bind(("127.0.0.1", first))
        except OSError:
            held.close()
            continue
        return _Own(places[1:], held)
    raise RuntimeError(f"{_OWNERS} other processes have all ports of tests")


def free_port() -> int:
    """Return a port that nobody uses."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """Return the first of so many ports, one after the other, that nobody uses; eight at most."""
    places = _own().places
    while True:
        port = places[next(_next) % len(places)]
        if are_free(range(port, port + number)):
            return port


def are_free(ports: range, *, again: bool = False) -> bool:
    """Tell whether nobody uses any of these ports; `again`, but for what remains of connections that were closed."""
    with ExitStack() as held:
        try:
            for port in ports:
                taken = held.enter_context(socket())
                taken.setsockopt(SOL_SOCKET, SO_REUSEADDR, again)
                taken.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
