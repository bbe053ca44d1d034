"""Wait in an event loop until entries are written.

The entries of one iteration of a loop are written together. The loop blocks while they are, as long as this is quick:
otherwise it and the writer's thread would compete for the interpreter, which takes longer. When it is not quick, the
loop runs on, and the thread wakes the callers.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from arx_wrapper.audit.writer import Submission, Writer, notify

# Seconds for which an iteration's entries block their event loop at most; a sync usually takes less.
LONGEST_SYNC: Final = 0.002


class LoopIteration:
    """The callers that began to wait in one iteration of an event loop; one wake-up and one timer serve them all."""

    __slots__ = ("_entries", "_loop", "_timeout", "_timer", "_waiting", "_writer")

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._writer, self._loop, self._timeout = writer, loop, timeout
        self._timer: asyncio.TimerHandle | None = None
        self._entries: list[tuple[Submission, asyncio.Future[None]]] = []
        self._waiting: set[asyncio.Future[None]] = set()
        # The thread is woken after all ready tasks have submitted their entries: earlier it would compete with them.
        loop.call_soon(self._end)

    @classmethod
    def of(cls, writer: Writer, timeout: float) -> LoopIteration:
        """Return the running loop's present iteration, at whose end the writer's thread is woken.

        Args:
            writer: The log's writer.
            timeout: Seconds that its callers wait at most.
        """
        loop, found = asyncio.get_running_loop(), _PRESENT.iteration
        if found is None or found._loop is not loop or found._writer is not writer:
            found = _PRESENT.iteration = cls(writer, loop, timeout)
        return found

    async def wait(self, submission: Submission) -> None:
        """Wait until a submitted entry is written or has failed, at most until the timeout."""
        written = self._loop.create_future()
        self._entries.append((submission, written))
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
        prompt = self._writer.prompt
        self._writer.wake()
        if prompt and self._entries[-1][0].wait(LONGEST_SYNC):
            notify([written for _, written in self._entries])
            return
        for submission, written in self._entries:
            submission.complete(written)
        if self._waiting:
            self._timer = self._loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        notify(list(self._waiting))


class _PresentIteration(threading.local):
    """The present iteration of a thread's event loop; None when no caller waits in it yet."""

    iteration: LoopIteration | None = None


_PRESENT: Final = _PresentIteration()
