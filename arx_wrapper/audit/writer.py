"""Write a log in a thread of its own, which commits all submitted entries in one transaction.

Callers submit entries, and are notified when these are committed.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeVar
from weakref import WeakSet

from arx_wrapper.audit.store import Pending, Store, Written
from arx_wrapper.errors import AuditError

_T = TypeVar("_T")
# Seconds that the thread waits after notifying callers, so that their next entries share one transaction.
_MOMENT = 0.01
# Seconds for which a single caller may block its event loop: the time of a few syncs.
_LONGEST_TURN: Final = 0.001


class Writer:
    """Accepts entries and jobs from any thread, and processes them in one thread that runs as long as the log is open.

    After a fork the child starts with a new thread and connection, and without the parent's entries.

    Attributes:
        broken: The error while a submitted outcome could not be written; None when there is none.
        digest: HMAC-SHA256 with the log's key, as hex; None until the database is open.
    """

    def __init__(self, opener: Callable[[], Store], *, idle: float) -> None:
        self._opener, self._idle = opener, idle
        self._begin()
        _WRITERS.add(self)

    def _begin(self) -> None:
        self._lock, self._wakeup = threading.Lock(), threading.Lock()
        self._wakeup.acquire()
        self.between = threading.Lock()  # held while the database is used, so that no fork happens then
        self._drained = threading.Event()
        self._queue: list[PendingEntry] = []
        self._unwritten: list[PendingEntry] = []
        self._jobs: list[Callable[[Store], None]] = []
        self._unanswered: set[str] = set()
        self._closing = self._asleep = self._urgent = False  # `_urgent`: a caller waits for an entry in the queue
        self._thread: threading.Thread | None = None
        self.digest: Callable[[bytes], str] | None = None
        self._store: Store | None = None
        self.broken: AuditError | None = None

    def after_fork(self) -> None:
        """Reset the writer in the child of a fork."""
        if self._store is not None:
            self._store.leave()
        self._begin()

    @property
    def opened(self) -> bool:
        return self._store is not None

    def store(self) -> Store:
        """Return the database, opening it first, which waits while other processes hold it locked."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    with self.between:
                        self._store = self._opener()
                    self.digest = self._store.digest
        return self._store

    def submit(self, ticket: PendingEntry, *, urgent: bool = True) -> bool:
        """Submit an entry; an urgent one is written once the thread is woken.

        Returns:
            True when no other caller waits or has a call in flight.
        """
        if self._store is None:
            self.store()
        entry = ticket.pending.entry
        ticket.urgent = urgent
        with self._lock:
            if entry.action_type == "connector.called":
                self._unanswered.add(entry.id)
            elif entry.intent_id:
                self._unanswered.discard(entry.intent_id)
            waiting = len(self._unanswered)
            alone = urgent and not self._urgent and (not waiting or (waiting == 1 and entry.id in self._unanswered))
            self._urgent = self._urgent or urgent
            self._queue.append(ticket)
            if self._thread is None:
                self._start()
            asleep = self._asleep
        if asleep and not urgent:
            self.wake()
        return alone

    def run(self, job: Callable[[Store], _T]) -> Future[_T]:
        """Run a job with the database, after every entry submitted so far is written."""
        self.store()
        future: Future[_T] = Future()

        def done(store: Store) -> None:
            if not future.set_running_or_notify_cancel():
                return  # its caller no longer waits
            try:
                result = job(store)
            except Exception as error:  # raised where the job's caller waits
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            self._jobs.append(done)
            self._start()
        self.wake()
        return future

    def close(self) -> None:
        """Write the remaining entries and close the database; wait until both are done."""
        thread, self._closing = self._thread, True
        if thread is not None:
            self.wake()
            thread.join()
        elif self._store is not None:  # opened, but never written
            self._store.close()
        self._thread, self._store, self.digest, self._closing = None, None, None, False

    def wake(self) -> None:
        """Wake the thread."""
        try:  # noqa: SIM105 - contextlib.suppress costs as much as the rest
            self._wakeup.release()
        except RuntimeError:  # it was woken already
            pass

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="arx-audit", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        store, written = self.store(), list[PendingEntry]()
        while True:
            # Notify callers only after the commit, then wait up to 10 ms for them to submit their next entries, so that
            # these share one transaction.
            if notify_all(written, self._drained.set):
                self._drained.wait(_MOMENT)
                self._drained.clear()
            woken = self._wakeup.acquire(timeout=self._idle)  # outcomes wait for further entries
            with self._lock:
                self._asleep = not (woken or self._queue)
            if self._asleep:
                self._wakeup.acquire()
            with self._lock:
                self._asleep = False
                written, self._queue, self._urgent = self._queue, [], False
                jobs, self._jobs = self._jobs, []
            with self.between:
                if written or (self._unwritten and (jobs or self._closing)):
                    self._write(store, written)
                for job in jobs:
                    job(store)
            if self._closing and not (self._queue or self._jobs):
                notify_all(written, self._drained.set)
                with self.between:
                    store.close()
                return

    def _write(self, store: Store, batch: list[PendingEntry]) -> None:
        tickets = self._unwritten + batch
        try:
            store.write([ticket.pending for ticket in tickets])
        except Exception as error:  # the calls fail, and the thread continues
            problem = error if isinstance(error, AuditError) else _unwritable(error)
            for ticket in batch:
                ticket.pending.outcome = problem
            self._unwritten = [ticket for ticket in tickets if not ticket.urgent]
            if self._unwritten:
                self.broken = AuditError(f"{problem} An outcome could not be recorded.", sent=True)
        else:
            self._unwritten, self.broken = [], None


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
        """Return the stored record, or raise the error with which writing it ended."""
        outcome = self.pending.outcome
        if isinstance(outcome, Written):
            return outcome
        raise outcome or AuditError("The entry was not written to the audit log. Nothing was sent.")


class Turn:
    """The callers that began to wait in one iteration of an event loop. They share the thread's wake-up and a timer."""

    __slots__ = ("_loop", "_timeout", "_timer", "_waiting", "_wake")

    def __init__(self, wake: Callable[[], None], loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._wake, self._loop, self._timeout = wake, loop, timeout
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        # The thread is woken after all ready tasks have submitted their entries: earlier it would compete with them.
        loop.call_soon(self._end)

    @classmethod
    def of(cls, wake: Callable[[], None], timeout: float) -> Turn:
        """Return the present iteration of the running loop; at its end it wakes the thread with `wake`."""
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
    """The running thread's state: its loop's iteration, and the time since which a single caller blocks the loop."""

    turn: Turn | None = None
    since: float | None = None


_HERE: Final = _Here()


def overdue() -> bool:
    """Return True when callers have blocked the running loop for too long."""
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
        True when several of them wait in one event loop; then `drained` is called there after they have continued.
    """
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for ticket in written:
        ticket.written.release()
        if ticket.waiting:
            waiting.setdefault(ticket.waiting.get_loop(), []).append(ticket.waiting)
    several = False
    for loop, futures in waiting.items():
        with suppress(RuntimeError):  # the loop was closed, so no task waits
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


_WRITERS: WeakSet[Writer] = WeakSet()
_HELD: list[Writer] = []


def _before_fork() -> None:
    # In a child that is forked during a transaction, SQLite's locks in memory would stay taken for ever.
    for writer in list(_WRITERS):
        writer.between.acquire()
        _HELD.append(writer)


def _after_fork_in_parent() -> None:
    while _HELD:
        _HELD.pop().between.release()


def _after_fork() -> None:
    _HELD.clear()
    for writer in list(_WRITERS):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)


def _unwritable(error: Exception) -> AuditError:
    """Return the error for an unexpected exception from a store."""
    return AuditError(f"The audit log cannot be written: {type(error).__name__}. Nothing was sent.")
