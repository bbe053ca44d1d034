"""Send requests over pooled HTTP/1.1 connections: an asyncio protocol around llhttp (package `httptools`).

The pool keeps connections open between requests, limits their number, and goes through a proxy if one is set.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import httptools

from arx_wrapper.credentials import Secret
from arx_wrapper.errors import ConfigError
from arx_wrapper.http_client import tls
from arx_wrapper.transport.backend import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Body,
    ConnectFailed,
    HttpRequest,
    HttpResponse,
    ResponseLost,
    ResponseTooLarge,
)
from arx_wrapper.transport.dialing import dial
from arx_wrapper.transport.tunnel import open_tunnel
from arx_wrapper.urls import Proxy

# As many as the calls in flight of one key, so that they do not wait for each other.
CONNECTIONS: Final = 256
KEEP_ALIVE: Final = 30.0

_MAX_HEAD: Final = 64 * 1024
# Bytes that are read at once.
_BUFFER: Final = 64 * 1024
# Bytes beyond the body's limit: framing and trailers, and compressed bytes that decompress to nothing.
_MAX_FRAMING: Final = 1024 * 1024

Route = tuple[str, Proxy | None]


class Connection(asyncio.BufferedProtocol):
    """Sends one request at a time and reads its response.

    The connection is closed when a response is malformed, or when the server sends bytes without a request, which would
    be taken for the next response.

    Attributes:
        reusable: Whether the connection can carry another request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[HttpResponse] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._buffer = memoryview(bytearray(_BUFFER))
        self.reusable = False

    def send(
        self,
        head: bytes,
        authorization: Secret,
        content: bytes,
        *,
        max_body: int,
        read_timeout: float,
        deadline: float = float("inf"),
    ) -> asyncio.Future[HttpResponse]:
        """Write a request, and return the future of its response.

        The future fails with `ResponseLost`, `ResponseTooLarge`, or `TimeoutError` at the deadline; cancelling it ends
        the connection.

        Args:
            head: The request line and the headers except `Authorization`, each with its line end.
            authorization: The value of `Authorization`.
            content: The body.
            max_body: The largest accepted body in bytes, decompressed.
            read_timeout: Seconds without a byte after which the response counts as lost.
            deadline: The time by which the response must be complete, by the loop's clock.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._max_body, self._read_timeout, self._deadline = max_body, read_timeout, deadline
        self._wire_left = max_body + _MAX_FRAMING
        self._headers: dict[str, str] = {}
        self._head_left = _MAX_HEAD
        self._content = bytearray()  # not a list of chunks: a hostile server could send single bytes
        self._zipped: Body | None = None
        # Of the final response: its head was read, its head states the body's length, all of it was read.
        self._begun = self._framed = self._complete = self.reusable = False
        waiter = self._waiter = self._loop.create_future()
        self._active = self._loop.time()
        self._watch_until(min(self._active + read_timeout, deadline))
        try:
            self._open().write(  # the only place with the clear text, which is in no variable
                b"".join((head, b"Authorization: ", authorization.reveal().encode(), b"\r\n\r\n", content))
            )
        except Exception as error:
            self._fail(ResponseLost(type(error).__name__))
        return waiter

    def _open(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise ResponseLost("closed")
        return self._transport

    def abort(self) -> None:
        """Close the connection at once; a request that waits for its response fails with `ResponseLost`."""
        self._fail(ResponseLost("closed here"))

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream
        self.reusable = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._waiter is None:
            self.abort()
            return
        self._active = self._loop.time()
        if not self._begun:
            self._head_left -= nbytes
        self._wire_left -= nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserUpgrade:
            self._complete, self.reusable = True, False
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, ResponseLost | ResponseTooLarge) else ResponseLost("not HTTP"))
            return
        except httptools.HttpParserError:
            self._fail(ResponseLost("not HTTP"))
            return
        if self._complete:
            self._succeed()
        elif self._wire_left < 0:
            self._fail(ResponseTooLarge())
        elif not self._begun and self._head_left < 0:
            self._fail(ResponseLost("a head that is too long"))

    def eof_received(self) -> bool | None:
        self.reusable = False
        return None  # the transport closes itself

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        self._transport = None
        self._unwatch()
        if self._waiter is None:
            return
        if error is None and self._begun and not self._framed:
            self._succeed()  # a body that ends with its connection
        else:
            self._fail(ResponseLost("closed" if error is None else type(error).__name__))

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            raise ResponseLost("more than one response")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if 100 <= self._parser.get_status_code() < 200:
            return
        self._framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        if "content-encoding" in self._headers:
            self._zipped = Body(self._headers["content-encoding"], self._max_body)
        self._begun = True

    def on_body(self, data: bytes) -> None:
        if self._zipped is not None:
            self._zipped.feed(data)
            return
        self._content += data
        if len(self._content) > self._max_body:
            raise ResponseTooLarge

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._headers, self._head_left = {}, _MAX_HEAD
            return
        self._complete = True
        self.reusable = self._parser.should_keep_alive()

    # the end

    def _succeed(self) -> None:
        try:
            content = bytes(self._content) if self._zipped is None else self._zipped.whole()
        except ResponseLost as error:
            self._fail(error)
            return
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(HttpResponse(self._parser.get_status_code(), self._headers, content))

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        self._unwatch()
        if self._transport is not None:
            self._transport.abort()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # One timer serves several requests: a timer for each would cost more than checking from time to time.

    def _watch_until(self, due: float) -> None:
        if self._watch is not None:
            if self._watch.when() <= due:
                return
            self._watch.cancel()
        self._watch = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        self._watch = None
        if self._waiter is None:
            return
        now, due = self._loop.time(), self._active + self._read_timeout
        if now >= self._deadline:
            self._fail(TimeoutError())
        elif now >= due:
            self._fail(ResponseLost("no response in time"))
        else:
            self._watch_until(min(due, self._deadline))

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


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
