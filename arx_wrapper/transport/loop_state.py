"""Share connections and the rate limit of each key among all transports of an event loop.

This state ends with the loop: `asyncio.run()` and every runner that calls `loop.shutdown_asyncgens()` close the
connections while the loop still runs. After a fork the child starts anew, and leaves what it inherited alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Hashable
from typing import Any
from weakref import WeakSet

from arx_wrapper.transport.connection_pool import ConnectionPool
from arx_wrapper.transport.rate_limiter import RateLimiter


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

    def rate_limiter(self, key: Hashable) -> RateLimiter:
        """Return the rate limit of a key at an address."""
        found = self._rate_limiters.get(key)
        if found is None:
            found = self._rate_limiters[key] = RateLimiter(self._loop.time)
        return found

    async def release(self, user: object) -> None:
        """Close the connections, unless another transport uses them."""
        self._users.discard(user)
        if self._users or self._pool is None:
            return
        pool, self._pool = self._pool, None
        if self._loop is asyncio.get_running_loop():
            await pool.aclose()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(pool.close)  # it runs in another thread

    async def until_shutdown(self) -> AsyncGenerator[None]:
        """Close the connections when the loop shuts its asynchronous generators down, which is before it closes."""
        try:
            yield
        finally:
            _STATES.pop(self._loop, None)
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
