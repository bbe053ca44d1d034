"""Share connections and the rate limit of each key among all transports of an event loop.

This state ends with the loop: `asyncio.run()` and every runner that calls `loop.shutdown_asyncgens()` close the
connections while the loop still runs. After a fork the child creates its own state and does not touch the parent's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Hashable
from typing import Any
from weakref import WeakSet

from attrs import frozen

from arx_wrapper.model import Leases
from arx_wrapper.transport.connection_pool import ConnectionPool
from arx_wrapper.transport.rate_limiter import RateLimiter


@frozen(eq=False, kw_only=True)
class Shared:
    """The part of an event loop's state that requests with one key use.

    Attributes:
        loop, state: The loop, and its state.
        key: The server and the key's account.
        rate_limiter: Paces the key's requests.
        pool: The connections; None for requests that another transport sends.
    """

    loop: asyncio.AbstractEventLoop
    state: LoopState
    key: tuple[Hashable, str]
    rate_limiter: RateLimiter
    pool: ConnectionPool | None


class LoopState:
    """The connections and rate limits of one event loop. Get it with `await current()`.

    Attributes:
        ended: The loop has been shut down.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self.ended = loop, False
        self._users: WeakSet[Any] = WeakSet()
        self._pool: ConnectionPool | None = None
        self._rate_limiters: dict[Hashable, RateLimiter] = {}
        self._guard: AsyncGenerator[None] | None = None

    def shared(self, key: tuple[Hashable, str], leases: Leases | None, *, user: object | None) -> Shared:
        """Return the rate limit of a key at an address, and the connections, registered for a user."""
        return Shared(
            loop=self._loop,
            state=self,
            key=key,
            rate_limiter=self.rate_limiter(key, leases),
            pool=None if user is None else self.pool(user),
        )

    def pool(self, user: object) -> ConnectionPool:
        """Return the loop's connections, which stay open until every user has released them."""
        self._users.add(user)
        if self._pool is None:
            self._pool = ConnectionPool()
        return self._pool

    def rate_limiter(self, key: Hashable, leases: Leases | None = None) -> RateLimiter:
        """Return the rate limit of a key at an address.

        Args:
            key: The key and the address.
            leases: The leases by which processes share the limit; None when they do not.
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
            self._loop.call_soon_threadsafe(pool.close)  # the loop runs in another thread

    async def until_shutdown(self) -> AsyncGenerator[None]:
        """Close the connections when the loop shuts its asynchronous generators down, which is before it closes."""
        try:
            yield
        finally:
            self.ended = True
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
            if known.is_closed():  # it was closed without shutting down its generators
                _STATES.pop(known, None)
        state = _STATES[loop] = LoopState(loop)
        state._guard = state.until_shutdown()
        await anext(state._guard)
    return state


async def release(user: object) -> None:
    """Release a user's connections in every event loop."""
    for state in list(_STATES.values()):
        await state.release(user)


def _after_fork() -> None:
    # Kept and not closed, because the parent uses the same sockets and selectors.
    _INHERITED.append(dict(_STATES))
    _STATES.clear()


os.register_at_fork(after_in_child=_after_fork)
