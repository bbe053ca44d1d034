"""Entries on their way from a caller to the log's thread, and the news of them on its way back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from arx_wrapper.audit.store import Pending, Written
from arx_wrapper.errors import AuditError


class PendingEntry:
    """An entry handed in, and whoever waits for it.

    Attributes:
        written: Locked until the entry is written, or could not be.
        waiting: What its caller waits for in its event loop, once it does.
    """

    __slots__ = ("pending", "urgent", "waiting", "written")

    def __init__(self, pending: Pending) -> None:
        self.pending, self.urgent = pending, False
        self.waiting: asyncio.Future[None] | None = None
        self.written = threading.Lock()
        self.written.acquire()

    def future(self) -> asyncio.Future[None]:
        self.waiting = asyncio.get_running_loop().create_future()
        if not self.written.locked():  # meanwhile; whoever wrote it may not have seen that somebody waits
            answer([self.waiting])
        return self.waiting

    def record(self) -> Written:
        outcome = self.pending.outcome
        if isinstance(outcome, Written):
            return outcome
        raise outcome or AuditError("The audit log was given up. Nothing was sent.")


def tell(written: Sequence[PendingEntry], heard: Callable[[], None]) -> bool:
    """Tell those who wait that their entries are written, or could not be.

    Returns:
        Whether several do, in an event loop: then `heard` is called there once they have gone on.
    """
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for ticket in written:
        ticket.written.release()
        if ticket.waiting:
            waiting.setdefault(ticket.waiting.get_loop(), []).append(ticket.waiting)
    several = False
    for loop, futures in waiting.items():
        with suppress(RuntimeError):  # the loop was closed; nobody waits any more
            loop.call_soon_threadsafe(_answer_all, futures, loop, heard)
            several = several or len(futures) > 1
    return several


def _answer_all(
    futures: Sequence[asyncio.Future[None]], loop: asyncio.AbstractEventLoop, heard: Callable[[], None]
) -> None:
    answer(futures)
    loop.call_soon(heard)  # after those who were just woken


def answer(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
