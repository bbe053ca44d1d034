"""Hand-off between callers and the writer thread: submit an entry, be notified when it is committed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from arx_wrapper.audit.store import Pending, Written
from arx_wrapper.errors import AuditError

# Seconds for which a caller that is alone may keep its event loop from other tasks: about a few syncs.
_LONGEST_TURN: Final = 0.001


class PendingEntry:
    """A submitted entry, and its caller.

    Attributes:
        written: Locked until the entry is written, or could not be.
        waiting: The future that its caller awaits, once it does.
    """

    __slots__ = ("pending", "urgent", "waiting", "written")

    def __init__(self, pending: Pending) -> None:
        self.pending, self.urgent = pending, False
        self.waiting: asyncio.Future[None] | None = None
        self.written = threading.Lock()
        self.written.acquire()

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        self.waiting = loop.create_future()
        if not self.written.locked():  # meanwhile; the writer thread may not have seen this future
            notify([self.waiting])
        return self.waiting

    def record(self) -> Written:
        """Return the stored record, or raise the reason why there is none."""
        outcome = self.pending.outcome
        if isinstance(outcome, Written):
            return outcome
        raise outcome or AuditError("The audit log was given up. Nothing was sent.")


class Turn:
    """The callers that wait since one turn of an event loop: they share the wake-up of the thread, and a timer."""

    __slots__ = ("_loop", "_timeout", "_timer", "_waiting", "_wake")

    def __init__(self, wake: Callable[[], None], loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._wake, self._loop, self._timeout = wake, loop, timeout
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        # The thread is woken once all tasks that are about to submit an entry have done so: it would be in their way.
        loop.call_soon(self._end)

    @classmethod
    def of(cls, wake: Callable[[], None], timeout: float) -> Turn:
        """Return this turn of the running loop; at its end it wakes the thread with `wake`."""
        loop, turn = asyncio.get_running_loop(), _HERE.turn
        if turn is None or turn._loop is not loop or turn._wake != wake:
            turn = _HERE.turn = cls(wake, loop, timeout)
        return turn

    async def wait(self, ticket: PendingEntry) -> None:
        """Wait until an entry is written, or could not be; at most until the timeout."""
        written = ticket.future(self._loop)
        self._waiting.add(written)
        try:
            await written
        finally:
            self._waiting.discard(written)
            if not self._waiting and self._timer is not None:
                self._timer.cancel()

    def _end(self) -> None:
        if _HERE.turn is self:
            _HERE.turn = None
        self._wake()
        if self._waiting:
            self._timer = self._loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        notify(list(self._waiting))


class _Here(threading.local):
    """Of the running thread: its loop's turn, and since when a caller that is alone has kept the loop to itself."""

    turn: Turn | None = None
    since: float | None = None


_HERE: Final = _Here()


def overdue() -> bool:
    """Return True when the running loop has had no turn for a while though a caller has been served."""
    now = time.monotonic()
    if _HERE.since is None:
        _HERE.since = now
        asyncio.get_running_loop().call_soon(_turned)
        return False
    if now - _HERE.since < _LONGEST_TURN:
        return False
    _HERE.since = None
    return True


def _turned() -> None:
    _HERE.since = None


def notify_all(written: Sequence[PendingEntry], drained: Callable[[], None]) -> bool:
    """Notify callers that their entries are written, or could not be.

    Returns:
        True when several of them wait in one event loop; then `drained` is called there once they have gone on.
    """
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for ticket in written:
        ticket.written.release()
        if ticket.waiting:
            waiting.setdefault(ticket.waiting.get_loop(), []).append(ticket.waiting)
    several = False
    for loop, futures in waiting.items():
        with suppress(RuntimeError):  # the loop was closed; its tasks are gone
            loop.call_soon_threadsafe(_notify_in_loop, futures, loop, drained)
            several = several or len(futures) > 1
    return several


def _notify_in_loop(
    futures: Sequence[asyncio.Future[None]], loop: asyncio.AbstractEventLoop, drained: Callable[[], None]
) -> None:
    notify(futures)
    loop.call_soon(drained)  # after the tasks that were just woken


def notify(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
