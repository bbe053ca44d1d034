"""A real HTTP server on loopback that keeps what it was sent, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from tests.serving import listening

PATIENCE = 60.0
"""Seconds that a client waits for what takes a moment: a guard against hanging, never a measure of speed."""


@frozen(kw_only=True)
class Received:
    """One request as it came off the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@define(kw_only=True)
class Server:
    """Answers every request with the same response; `received` is what came."""

    status: int = 200
    content: bytes = b"{}"
    content_type: str = "application/json"
    location: str = ""
    stall: bool = False
    received: list[Received] = field(factory=list)
    url: str = ""
    _serving: list[asyncio.Task[None] | None] = field(factory=list, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        async with listening(self._serve) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield self
            await asyncio.gather(*filter(None, self._serving))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = line.split(" ")
        self.received.append(Received(method=method, target=target, headers=headers, body=body))
        if self.stall:
            await reader.read()  # until the client gives up
        else:
            extra = f"location: {self.location}\r\n" if self.location else ""
            writer.write(
                f"HTTP/1.1 {self.status} X\r\ncontent-type: {self.content_type}\r\n{extra}"
                f"content-length: {len(self.content)}\r\nconnection: close\r\n\r\n".encode()
                + self.content
            )
            await writer.drain()
        writer.close()
        await writer.wait_closed()
