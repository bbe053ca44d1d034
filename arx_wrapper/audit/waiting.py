"""Wait in an event loop until entries are written; the writer's thread wakes the callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final


class LoopIteration:
    """The callers that began to wait in one iteration of an event loop; one wake-up and one timer serve them all.

    Attributes:
        loop: The event loop.
    """

    __slots__ = ("_timeout", "_timer", "_waiting", "_wake", "loop")

    def __init__(self, wake: Callable[[], None], loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._wake, self.loop, self._timeout = wake, loop, timeout
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        # The thread is woken after all ready tasks have submitted their entries: earlier it would compete with them.
        loop.call_soon(self._end)

    @classmethod
    def of(cls, wake: Callable[[], None], timeout: float) -> LoopIteration:
        """Return the running loop's present iteration, at whose end `wake` is called.

        Args:
            wake: Wakes the writer's thread.
            timeout: Seconds that its callers wait at most.
        """
        loop, found = asyncio.get_running_loop(), _PRESENT.iteration
        if found is None or found.loop is not loop or found._wake != wake:
            found = _PRESENT.iteration = cls(wake, loop, timeout)
        return found

    async def wait(self, written: asyncio.Future[None]) -> None:
        """Wait for the future of an entry that is written or has failed, at most until the timeout."""
        self._waiting.add(written)
        try:
            await written
        finally:
            self._waiting.discard(written)
            if not self._waiting and self._timer is not None:
                self._timer.cancel()

    def _end(self) -> None:
        if _PRESENT.iteration is self:
            _PRESENT.iteration = None
        self._wake()
        if self._waiting:
            self._timer = self.loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        notify(list(self._waiting))


class _PresentIteration(threading.local):
    """The present iteration of a thread's event loop; None when no caller waits in it yet."""

    iteration: LoopIteration | None = None


_PRESENT: Final = _PresentIteration()


def notify(futures: Sequence[asyncio.Future[None]]) -> None:
    """Wake the callers that await these futures, in their own event loop."""
    for future in futures:
        if not future.done():
            future.set_result(None)


def notify_from_thread(
    loop: asyncio.AbstractEventLoop, futures: Sequence[asyncio.Future[None]], drained: Callable[[], None]
) -> None:
    """Wake the callers of an event loop from another thread; `drained` is called there after they have continued.

    Raises:
        RuntimeError: the loop was closed, so no task waits.
    """
    loop.call_soon_threadsafe(_notify_in_loop, futures, loop, drained)


def _notify_in_loop(
    futures: Sequence[asyncio.Future[None]], loop: asyncio.AbstractEventLoop, drained: Callable[[], None]
) -> None:
    notify(futures)
    loop.call_soon(drained)  # after the tasks that were just woken
