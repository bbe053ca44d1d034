"""The connections of one event loop: kept open between requests, limited in number, through a proxy if one is set."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from arx_wrapper.errors import ConfigError
from arx_wrapper.http_client import tls
from arx_wrapper.transport.backend import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    ConnectFailed,
    HttpRequest,
    HttpResponse,
)
from arx_wrapper.transport.connection import Connection
from arx_wrapper.transport.dialing import dial
from arx_wrapper.transport.tunnel import open_tunnel
from arx_wrapper.urls import Proxy

CONNECTIONS: Final = 128
KEEP_ALIVE: Final = 30.0

Route = tuple[str, Proxy | None]


class ConnectionPool:
    """Sends requests over HTTP/1.1 connections that it keeps open. Belongs to the event loop that runs when it is made.

    Args:
        connect_timeout: Seconds for name look-up, connecting, the proxy's response and TLS together.
        read_timeout: Seconds without a byte after which a response counts as lost.
        keep_alive: Seconds that an idle connection is kept.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect_timeout, self._read_timeout, self._keep_alive = connect_timeout, read_timeout, keep_alive
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: defaultdict[Route, list[tuple[float, Connection]]] = defaultdict(list)
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(
        self, request: HttpRequest, proxy: Proxy | None, max_body: int, on_send: Callable[[], None]
    ) -> HttpResponse:
        """Send a request, once, as `HttpBackend.send()` does. ConfigError: `SSL_CERT_FILE` cannot be used."""
        head = _head(request)
        async with self._free:
            connection = await self._connection((request.origin, proxy))
            try:
                on_send()
                return await connection.send(head, request.authorization, request.content, max_body, self._read_timeout)
            finally:
                self._release((request.origin, proxy), connection)

    async def aclose(self) -> None:
        """Close every connection."""
        self.close()
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next turns
        await asyncio.sleep(0)

    def close(self) -> None:
        """Close every connection, in the pool's own event loop."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self._open:
            connection.abort()
        self._open.clear()
        self._idle.clear()

    async def _connection(self, route: Route) -> Connection:
        if self._closed:
            raise ConnectFailed("the connections were closed")
        idle = self._idle[route]
        while idle:
            _, connection = idle.pop()
            if connection.reusable:
                return connection
            self._open.discard(connection)
        connection = await self._connected(*route)
        if self._closed:
            connection.abort()
            raise ConnectFailed("the connections were closed")
        self._open.add(connection)
        return connection

    async def _connected(self, origin: str, proxy: Proxy | None) -> Connection:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        context = tls() if parts.scheme == "https" else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                if proxy is not None:
                    return await open_tunnel(proxy, host, port, context, lambda: Connection(self._loop))
                return (await dial(lambda: Connection(self._loop), host, port, context))[1]
        except (ConnectFailed, ConfigError):
            raise
        except Exception as error:  # nothing was written: whatever it is, nothing was sent
            raise ConnectFailed(type(error).__name__) from None

    def _release(self, route: Route, connection: Connection) -> None:
        if connection.reusable and not self._closed:
            self._idle[route].append((self._loop.time(), connection))
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(self._keep_alive, self._sweep)
        else:
            connection.abort()
            self._open.discard(connection)

    def _sweep(self) -> None:
        """Close the connections that were idle too long, and forget those that the server closed."""
        now, self._sweeper = self._loop.time(), None
        for route, idle in list(self._idle.items()):
            kept = []
            for since, connection in idle:
                if connection.reusable and now - since < self._keep_alive:
                    kept.append((since, connection))
                else:
                    connection.abort()
                    self._open.discard(connection)
            if kept:
                self._idle[route] = kept
            else:
                del self._idle[route]
        if self._idle:
            self._sweeper = self._loop.call_later(self._keep_alive, self._sweep)


def _head(request: HttpRequest) -> bytes:
    """Return the request line and headers but `Authorization`.

    Raises:
        ConnectFailed: a line would end early, or holds what a header must not: the request would not be this one.
    """
    headers = list(request.headers)
    if request.content or request.method in ("POST", "PUT"):
        headers.append(("Content-Length", str(len(request.content))))
    lines = [f"{request.method} {request.target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers]]
    text = "\r\n".join(lines) + "\r\n"
    if lines[0].count(" ") != 2 or text.count("\r\n") != len(lines) or not text.isascii() or not _printable(text):
        raise ConnectFailed("a malformed request head")
    return text.encode("ascii")


def _printable(text: str) -> bool:
    return text.replace("\r\n", "").isprintable()
