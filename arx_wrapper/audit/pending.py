"""Hand-off between callers and the writer thread: submit an entry, be notified when it is committed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from arx_wrapper.audit.store import Pending, Written
from arx_wrapper.errors import AuditError


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

    def future(self) -> asyncio.Future[None]:
        self.waiting = asyncio.get_running_loop().create_future()
        if not self.written.locked():  # meanwhile; the writer thread may not have seen this future
            notify([self.waiting])
        return self.waiting

    def record(self) -> Written:
        """Return the stored record, or raise the reason why there is none."""
        outcome = self.pending.outcome
        if isinstance(outcome, Written):
            return outcome
        raise outcome or AuditError("The audit log was given up. Nothing was sent.")


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
