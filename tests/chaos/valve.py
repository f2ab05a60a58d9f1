"""A pipe to a server, which can be made to hang, or to lead to another one."""

import asyncio
from contextlib import suppress


class Valve:
    """Takes connections on a port of its own and hands on what comes, as long as it is open."""

    def __init__(self) -> None:
        """Be open."""
        self.port = 0
        self._target = 0
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._abandoned: list[asyncio.StreamWriter] = []
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, target: int) -> None:
        """Lead to a port of this machine."""
        self._target = target
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._hold(task)
        self._writers.add(writer)
        await self._open.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            # As from a machine on which nothing listens
            writer.transport.abort()
            return
        for pipe in (self._pipe(reader, back), self._pipe(there, writer)):
            self._hold(asyncio.create_task(pipe))

    def _hold(self, task: asyncio.Task[None]) -> None:
        self._pipes.add(task)
        task.add_done_callback(self._pipes.discard)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await reader.read(65536):
                await self._open.wait()
                writer.write(part)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    def hang(self) -> None:
        """Let nothing through."""
        self._open.clear()

    def flow(self) -> None:
        """Undo `hang`."""
        self._open.set()

    def abandon(self) -> None:
        """Let nothing through, and never again on the connections that there are: their other end is gone."""
        self.hang()
        for task in list(self._pipes):
            task.cancel()
        self._abandoned += self._writers
        self._writers.clear()

    def lead_to(self, target: int) -> None:
        """Lead to another port from now on, and flow."""
        self._target = target
        self.flow()

    async def stop(self) -> None:
        """End."""
        self.flow()
        if self._server is not None:
            self._server.close()
        for task in list(self._pipes):
            task.cancel()
        for writer in (*self._abandoned, *self._writers):
            writer.close()
