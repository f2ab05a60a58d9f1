"""Begins Python programs as copies of itself, which has imported what they need: `python -m tests.live.forkserver`.

Arguments: the descriptor of a stream socket, and the modules to import. An order is a line of JSON, `[arguments,
environment, folder]` with the arguments of `python -m`, and descriptors: the program's standard input, if it has one,
its output, where errors go as well, and a socket that is told its process number and, once it has ended, its code as
`subprocess` has it.
Multiprocessing's own fork server would let each copy import the program that asked for it: pytest.
When whoever orders is gone, be it killed, this ends, and with it all copies.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from typing import Final, NoReturn

from .parent import end_with_parent

DESCRIPTORS: Final = 3


class Ordered(Exception):
    """Leaves the server's loop in a process that is to be something else."""

    def __init__(self, order: str, descriptors: list[int]) -> None:
        """Take what it is to be."""
        super().__init__(order)
        self.order = order
        self.descriptors = descriptors


def serve(orders: socket.socket) -> None:
    """Fork for each order until nobody gives any more. Raises Ordered in each of the copies."""
    answers: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to `wake`
    signal.set_wakeup_fd(wake.fileno())
    with selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(4096)
                _tell_codes(answers)
            if orders in ready:
                order, descriptors, _, _ = socket.recv_fds(orders, 65536, DESCRIPTORS)
                if not order:
                    return
                while not order.endswith(b"\n"):
                    order += orders.recv(65536)
                server = os.getpid()
                pid = os.fork()
                if pid == 0:
                    end_with_parent(server, by=signal.SIGKILL)
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for inherited in (orders, woken, wake, *answers.values()):
                        inherited.close()
                    raise Ordered(order.decode(), descriptors)
                for descriptor in descriptors[:-1]:
                    os.close(descriptor)
                answers[pid] = socket.socket(fileno=descriptors[-1])
                answers[pid].sendall(f"{pid}\n".encode())


def _tell_codes(answers: dict[int, socket.socket]) -> None:
    while answers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with answers.pop(pid) as answer:
            try:
                answer.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            except BrokenPipeError:
                continue  # nobody waits for it any more


def become(ordered: Ordered) -> NoReturn:
    """Be the program that was ordered, to its end."""
    (module, *arguments), environment, folder = json.loads(ordered.order)
    *given, output, _ = ordered.descriptors
    for number, descriptor in enumerate((*(given or [0]), output, output)):
        os.dup2(descriptor, number)
    for descriptor in ordered.descriptors:
        os.close(descriptor)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody caught
        traceback.print_exc()
    finally:
        # As multiprocessing ends its copies: to take everything apart that was imported would copy its memory first
        threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - waits for threads, as the interpreter does
        atexit._run_exitfuncs()  # noqa: SLF001 - as the interpreter does
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(descriptor: str, *modules: str) -> None:
    """Import, and serve. Raises Ordered in copies."""
    for module in modules:
        importlib.import_module(module)
    if threading.active_count() > 1:
        raise RuntimeError("a thread that importing began would be missing in the copies")
    # What is imported stays: to look for garbage among it would copy its memory
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Ordered as ordered:
        told = ordered
    else:
        sys.exit()
    become(told)
