"""The connections of each event loop and the rate limits of its keys, shared by all its transports.

The pool keeps connections open between requests, limits their number, and goes through a proxy if one is set. It ends
with the loop: `asyncio.run()` and every runner that calls `loop.shutdown_asyncgens()` close the connections while the
loop still runs. After a fork the child starts anew, and leaves what it inherited alone.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from arx_wrapper.errors import ConfigError
from arx_wrapper.http_client import tls
from arx_wrapper.transport.backend import CONNECT_TIMEOUT, READ_TIMEOUT, ConnectFailed, HttpRequest, HttpResponse
from arx_wrapper.transport.connection import Connection
from arx_wrapper.transport.dialing import dial
from arx_wrapper.transport.rate_limiter import RateLimiter
from arx_wrapper.transport.tunnel import open_tunnel
from arx_wrapper.urls import Proxy

if TYPE_CHECKING:
    from arx_wrapper.model import Leases

# As many as one key's calls in flight: fewer would make them wait for each other.
CONNECTIONS: Final = 256
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
            await self._free.acquire()  # at once
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
        except Exception as error:  # nothing was written: whatever it is, nothing was sent
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


def _until(deadline: float) -> asyncio.Timeout:
    return asyncio.timeout_at(deadline if deadline < float("inf") else None)


def _head(request: HttpRequest) -> bytes:
    """Return the request line and headers but `Authorization`.

    Raises:
        ConnectFailed: a line would end early, or holds what a header must not: the request would not be this one.
    """
    line = f"{request.method} {request.target} HTTP/1.1"
    if line.count(" ") != 2 or not line.isascii() or not line.isprintable():
        raise ConnectFailed("a malformed request head")
    head = f"{line}\r\n".encode("ascii") + _lines(tuple(request.headers))
    if request.content or request.method in ("POST", "PUT"):
        head += b"Content-Length: %d\r\n" % len(request.content)
    return head


@lru_cache(maxsize=64)  # the same few for every request
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise ConnectFailed("a malformed request head")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class LoopState:
    """The connections and rate limits of one event loop. Get it with `await current()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._users: WeakSet[Any] = WeakSet()
        self._pool: ConnectionPool | None = None
        self._rate_limiters: dict[Hashable, RateLimiter] = {}
        self._guard: AsyncGenerator[None] | None = None

    def pool(self, user: object) -> ConnectionPool:
        """Return the loop's connections, which stay open for as long as a user has not released them."""
        self._users.add(user)
        if self._pool is None:
            self._pool = ConnectionPool()
        return self._pool

    def rate_limiter(self, key: Hashable, leases: Leases | None = None) -> RateLimiter:
        """Return the rate limit of a key at an address.

        Args:
            key: Names both.
            leases: Where it is shared with other processes, for those that have such a place.
        """
        found = self._rate_limiters.get(key)
        if found is None:
            if leases is None:
                found = RateLimiter(self._loop.time)
            else:
                from arx_wrapper.transport.shared_rate_limiter import SharedRateLimiter

                found = SharedRateLimiter(leases, repr(key), self._loop.time)
            self._rate_limiters[key] = found
        return found

    async def release(self, user: object) -> None:
        """Close the connections, unless another transport uses them."""
        self._users.discard(user)
        if self._users or self._pool is None:
            return
        pool, self._pool = self._pool, None
        if self._loop is asyncio.get_running_loop():
            for rate_limiter in self._rate_limiters.values():
                rate_limiter.close()
            await pool.aclose()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(pool.close)  # it runs in another thread

    async def until_shutdown(self) -> AsyncGenerator[None]:
        """Close the connections when the loop shuts its asynchronous generators down, which is before it closes."""
        try:
            yield
        finally:
            _STATES.pop(self._loop, None)
            for rate_limiter in self._rate_limiters.values():
                rate_limiter.close()
            self._rate_limiters.clear()
            if self._pool is not None:
                await self._pool.aclose()


_STATES: dict[asyncio.AbstractEventLoop, LoopState] = {}
_INHERITED: list[dict[asyncio.AbstractEventLoop, LoopState]] = []


async def current() -> LoopState:
    """Return the running loop's state."""
    loop = asyncio.get_running_loop()
    state = _STATES.get(loop)
    if state is None:
        for known in list(_STATES):  # a copy: other threads have loops of their own
            if known.is_closed():  # without a shutdown
                _STATES.pop(known, None)
        state = _STATES[loop] = LoopState(loop)
        state._guard = state.until_shutdown()
        await anext(state._guard)
    return state


async def release(user: object) -> None:
    """Let go of the connections of every event loop that a user was in."""
    for state in list(_STATES.values()):
        await state.release(user)


def _after_fork() -> None:
    # Kept, not closed: the sockets and the loops' selectors are the parent's as well.
    _INHERITED.append(dict(_STATES))
    _STATES.clear()


os.register_at_fork(after_in_child=_after_fork)
