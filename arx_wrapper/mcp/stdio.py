"""The MCP server over stdin and stdout, until its client closes stdin or the process is told to stop."""

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

from arx_wrapper.mcp.server import ToolServer
from arx_wrapper.mcp.surrogates import mend

_LONGEST_LINE: Final = 16 * 1024 * 1024


async def serve(server: ToolServer) -> None:
    """Serve one client. Returns when stdin ends, or on SIGINT or SIGTERM; calls under way are cancelled, on record."""
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
    """Yield the lines of stdin, read by the event loop; None for a regular file, which is left to the SDK.

    The SDK reads stdin in a thread, which cannot be told to stop: the process would outlive SIGTERM, or Ctrl-C on a
    terminal, until another line came. All that it does with what it is given instead is to iterate.
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
            yield "\n"  # no message: what asked for it is answered with an error, and the others go on
            continue
        yield mend(line.decode("utf-8", "replace"))


async def _skip_line(reader: asyncio.StreamReader, known: int) -> None:
    """Leave out the rest of a line that is longer than anything sensible."""
    while True:
        await reader.readexactly(known)
        try:
            await reader.readuntil(b"\n")
            return
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError as more:
            known = more.consumed
