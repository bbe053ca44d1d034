"""Lock a vault that may be used in one event loop after another."""

from __future__ import annotations

import asyncio


class LoopLock:
    """Provides an `asyncio.Lock` for the running event loop; an `asyncio.Lock` itself is bound to one loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    def here(self) -> asyncio.Lock:
        """Return the running loop's lock."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock
