"""Keep HTTP/1.1 connections open between requests, limit their number, and open new ones, through a proxy if needed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from arx_wrapper.errors import ConfigError
from arx_wrapper.http_client import tls
from arx_wrapper.transport.backend import CONNECT_TIMEOUT, READ_TIMEOUT, ConnectFailed, HttpRequest, HttpResponse
from arx_wrapper.transport.connection import Connection
from arx_wrapper.transport.dialing import dial
from arx_wrapper.transport.tunnel import open_tunnel
from arx_wrapper.urls import Proxy

# As many as the calls in flight of one key, so that they do not wait for each other.
CONNECTIONS: Final = 256
KEEP_ALIVE: Final = 30.0

Route = tuple[str, Proxy | None]
"""The origin that a connection leads to, and the proxy that it goes through."""


class ConnectionPool:
    """Sends requests over HTTP/1.1 connections that it keeps open. It belongs to the event loop in which it is made.

    Args:
        connect_timeout: Seconds for name resolution, connecting, the proxy's response and TLS together.
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
        self,
        request: HttpRequest,
        proxy: Proxy | None,
        max_body: int,
        on_send: Callable[[], None],
        deadline: float = float("inf"),
    ) -> HttpResponse:
        """Send a request, once, as `HttpBackend.send()` does.

        Raises:
            ConnectFailed, ResponseLost, ResponseTooLarge: as `HttpBackend.send()`.
            TimeoutError: the deadline, by the loop's clock, has passed.
            ConfigError: `SSL_CERT_FILE` cannot be used.
        """
        head, route = _head(request), (request.origin, proxy)
        if self._free.locked():
            async with _until(deadline):
                await self._free.acquire()
        else:
            await self._free.acquire()  # returns at once
        try:
            connection = self._idle_connection(route)
            if connection is None:
                connection = await self._opened(route, deadline)
            try:
                on_send()
                return await connection.send(
                    head,
                    request.authorization,
                    request.content,
                    max_body=max_body,
                    read_timeout=self._read_timeout,
                    deadline=deadline,
                )
            finally:
                self._release(route, connection)
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close every connection."""
        self.close()
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next iteration
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

    def _idle_connection(self, route: Route) -> Connection | None:
        if self._closed:
            raise ConnectFailed("the connections were closed")
        idle = self._idle[route]
        while idle:
            _, connection = idle.pop()
            if connection.reusable:
                return connection
            self._open.discard(connection)
        return None

    async def _opened(self, route: Route, deadline: float) -> Connection:
        until = self._loop.time() + self._connect_timeout
        try:
            async with _until(min(until, deadline)):
                connection = await self._connected(*route)
        except (ConnectFailed, ConfigError):
            raise
        except Exception as error:  # nothing was written yet, so nothing was sent
            if isinstance(error, TimeoutError) and deadline < until:
                raise TimeoutError from None
            raise ConnectFailed(type(error).__name__) from None
        if self._closed:
            connection.abort()
            raise ConnectFailed("the connections were closed")
        self._open.add(connection)
        return connection

    async def _connected(self, origin: str, proxy: Proxy | None) -> Connection:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        context = tls() if parts.scheme == "https" else None
        if proxy is not None:
            return await open_tunnel(proxy, host, port, context, lambda: Connection(self._loop))
        return (await dial(lambda: Connection(self._loop), host, port, context))[1]

    def _release(self, route: Route, connection: Connection) -> None:
        if connection.reusable and not self._closed:
            self._idle[route].append((self._loop.time(), connection))
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(self._keep_alive, self._sweep)
        else:
            connection.abort()
            self._open.discard(connection)

    def _sweep(self) -> None:
        """Close the connections that were idle for too long, and remove those that the server closed."""
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


def _until(deadline: float) -> asyncio.Timeout:
    return asyncio.timeout_at(deadline if deadline < float("inf") else None)


def _head(request: HttpRequest) -> bytes:
    """Return the request line and the headers except `Authorization`.

    Raises:
        ConnectFailed: a line has a character that must not be in a header, such as a line break.
    """
    line = f"{request.method} {request.target} HTTP/1.1"
    if line.count(" ") != 2 or not line.isascii() or not line.isprintable():
        raise ConnectFailed("a malformed request head")
    head = f"{line}\r\n".encode("ascii") + _lines(tuple(request.headers))
    if request.content or request.method in ("POST", "PUT"):
        head += b"Content-Length: %d\r\n" % len(request.content)
    return head


@lru_cache(maxsize=64)  # most requests have the same headers
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise ConnectFailed("a malformed request head")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
