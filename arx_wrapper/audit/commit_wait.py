"""Wait in an event loop until entries are committed.

A thread commits them (`writer.py`). A loop that runs on meanwhile competes with the thread for the interpreter:
transactions of 0.5 ms took 3 to 10 ms then. So the loop blocks while its entries are committed, as long as this is
quick. When it is not, the loop runs on, and the thread wakes the callers. Three limits decide:

- No loop blocks while the thread is busy, or after a batch of `PROMPT_SECONDS` or more. A disk that hangs then stops
  only the calls that wait for it.
- A loop blocks for `MAX_BLOCK_SECONDS` at a time. A sync usually ends within that time.
- A caller that is alone blocks in `AuditLog.append()` itself, and resumes without giving its turn to another task.
  After `MAX_TURN_SECONDS` of such blocking, the time of a few syncs, the caller lets the other tasks run.

Several callers of one iteration of a loop wait in a `LoopIteration`: one transaction writes their entries, and the loop
blocks once for all of them. Decision 7 (`docs/decisions/`) has the measurements.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from arx_wrapper.audit.writer import Submission, Writer, complete_futures

PROMPT_SECONDS: Final = 0.005
MAX_BLOCK_SECONDS: Final = 0.002
MAX_TURN_SECONDS: Final = 0.001


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
        prompt = self._writer.batch_seconds < PROMPT_SECONDS
        self._writer.wake()
        # Entries are written in the order of their submission: when the last one is, all are.
        if prompt and self._entries[-1][0].wait(MAX_BLOCK_SECONDS):
            complete_futures([written for _, written in self._entries])
            return
        for submission, written in self._entries:
            submission.complete(written)
        if self._waiting:
            self._timer = self._loop.call_later(self._timeout, self._time_out)

    def _time_out(self) -> None:
        """Wake the callers that still wait. Each then raises AuditError."""
        complete_futures(list(self._waiting))


class _PresentIteration(threading.local):
    """The present iteration of a thread's event loop; None when no caller waits in it yet."""

    iteration: LoopIteration | None = None


_PRESENT: Final = _PresentIteration()


class _Turn(threading.local):
    """The present turn of a thread's event loop.

    Attributes:
        blocked: The seconds for which callers that are alone have blocked the loop since it last ran other tasks.
    """

    blocked: float = 0.0


TURN: Final = _Turn()
