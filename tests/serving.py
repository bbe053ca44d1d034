"""A server of a test's own on loopback, whose connections are gone when it is."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(
    handle: Handler, *, tls: ssl.SSLContext | None = None, at: socket.socket | None = None
) -> AsyncIterator[int]:
    """Serve connections on a port of this machine, and end every one of them with the block.

    A loop that closes while a server's end of a connection is open leaves its socket to the garbage collector, which
    complains in whatever test it finds it.

    Args:
        handle: Serves a connection.
        tls: The server's certificate; without, it speaks plain text.
        at: A bound socket; by default any free port.

    Yields:
        The port.
    """
    open_ones: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones[task] = writer
        try:
            await handle(reader, writer)
        except asyncio.CancelledError:
            pass  # only the end of the block cancels this
        finally:
            open_ones.pop(task)
            writer.close()

    at = at or socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = await asyncio.start_server(serve, sock=at, ssl=tls, backlog=2048)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        left = dict(open_ones)
        for task, writer in left.items():
            # Before `serve` closes it again: Python 3.11.2 cannot abort under TLS after that, or once the client has.
            with suppress(AttributeError):
                writer.transport.abort()
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn
