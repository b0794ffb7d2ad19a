"""A road with holes: a relay before the broker for each virtual terminal, which cuts it off and lets it on again.

One event loop in a thread of its own carries all terminals. A cut resets the connection at once, with whatever was on
its way: PUBACKs and acknowledgements are lost as on a real road. While a terminal is out of coverage new connections
are reset as well.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import Final

_CHUNK: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of nothing: close with RST
_START_S: Final = 10.0


class Road:
    """``add`` gives the port of one more terminal. Start with the context, end with it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="road", daemon=True)
        self._out: set[int] = set()
        self._open: dict[int, set[asyncio.StreamWriter]] = {}
        self._servers: list[asyncio.Server] = []
        self.cuts = 0

    def __enter__(self) -> Road:
        self._thread.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self) -> int:
        """The port on 127.0.0.1 that leads one terminal to the broker."""
        return asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_START_S)

    def cut(self, port: int) -> None:
        """Out of coverage, until ``restore``."""
        self._loop.call_soon_threadsafe(self._cut, port, True)

    def blink(self, port: int) -> None:
        """The connection is gone, the coverage is not."""
        self._loop.call_soon_threadsafe(self._cut, port, False)

    def restore(self, port: int) -> None:
        self._loop.call_soon_threadsafe(self._out.discard, port)

    # ---- on the loop --------------------------------------------------------------------------------

    async def _listen(self) -> int:
        port = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(port, reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = int(server.sockets[0].getsockname()[1])
        self._servers.append(server)
        self._open[port] = set()
        return port

    def _cut(self, port: int, lasting: bool) -> None:
        if lasting:
            self._out.add(port)
        for writer in self._open[port]:
            self.cuts += 1
            _reset(writer)

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if port in self._out:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        self._open[port].add(writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(reader, far_writer))
                group.create_task(_carry(far_reader, writer))
        finally:
            self._open[port].discard(writer)
            far_writer.close()
            writer.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for writers in self._open.values():
            for writer in writers:
                _reset(writer)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one end closes; then both are closed."""
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
