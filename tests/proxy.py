"""A proxy on loopback that only tunnels, and leads wherever the test says."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.serving import listening


class Proxy:
    """Answers `CONNECT`, and joins the client to one port of this machine.

    Attributes:
        heads: The heads of the requests that came.
        url: The proxy's address.
    """

    def __init__(self, port: int, answer: bytes) -> None:
        self._port, self._answer = port, answer
        self.heads: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self._answer)
            await writer.drain()
            if b" 200 " in self._answer:
                other, onward = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await asyncio.gather(self._pump(reader, onward), self._pump(other, writer))
                finally:
                    onward.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def targets(self) -> Sequence[str]:
        """Return whereto tunnels were asked for."""
        return [head.split(" ", 2)[1] for head in self.heads if head.startswith("CONNECT ")]


@asynccontextmanager
async def proxying(
    port: int, *, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Proxy]:
    """Run a proxy that leads to a port of this machine."""
    proxy = Proxy(port, answer)
    async with listening(proxy.serve, tls=tls) as own_port:
        proxy.url = f"http{'s' if tls else ''}://127.0.0.1:{own_port}"
        yield proxy
