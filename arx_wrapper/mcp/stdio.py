"""Serve MCP over stdin and stdout, until the client closes stdin or a signal stops the process."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, Final

from mcp.server.stdio import stdio_server

from arx_wrapper.mcp.message_repair import mend
from arx_wrapper.mcp.server import ToolServer

_LONGEST_LINE: Final = 16 * 1024 * 1024


async def serve(server: ToolServer) -> None:
    """Serve one client. Return when stdin ends, or on SIGINT or SIGTERM; running calls are cancelled and recorded."""
    loop, serving = asyncio.get_running_loop(), asyncio.ensure_future(_serve(server))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(server: ToolServer) -> None:
    async with _stdin() as lines, stdio_server(stdin=lines) as (incoming, outgoing):  # type: ignore[arg-type]  # see below
        await server.run(incoming, outgoing, server.create_initialization_options())


@asynccontextmanager
async def _stdin() -> AsyncIterator[AsyncIterator[str] | None]:
    """Yield the lines of stdin, read by the event loop; None for a regular file, which the SDK reads itself.

    The SDK would read stdin in a thread, which cannot be stopped: after SIGTERM, or Ctrl-C on a terminal, the process
    would run until another line arrived. The SDK only iterates over the lines that it gets instead.
    """
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode) and not sys.stdin.isatty():
        yield None
        return
    # A terminal is opened anew: reading makes it non-blocking, which stdout and the user's shell would share.
    source: IO[Any] = open(os.ttyname(sys.stdin.fileno()), "rb", 0) if sys.stdin.isatty() else sys.stdin  # noqa: ASYNC230, SIM115
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, source)
    try:
        yield _lines(reader)
    finally:
        pipe.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:  # stdin ended
            if end.partial:
                yield mend(end.partial.decode("utf-8", "replace"))
            return
        except asyncio.LimitOverrunError as more:
            await _skip_line(reader, more.consumed)
            yield "\n"  # not a message: the SDK responds with an error, and later messages are served
            continue
        yield mend(line.decode("utf-8", "replace"))


async def _skip_line(reader: asyncio.StreamReader, known: int) -> None:
    """Discard the rest of a line that exceeds the size limit."""
    while True:
        await reader.readexactly(known)
        try:
            await reader.readuntil(b"\n")
            return
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError as more:
            known = more.consumed
