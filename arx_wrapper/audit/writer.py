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
_WAIT_FOR_CALLERS: Final = 0.01
# Seconds for which successive calls of a single caller may block its event loop: the time of a few syncs.
_LONGEST_BLOCK: Final = 0.001


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
        self.fork_lock = threading.Lock()  # held while the database is used, so that the process does not fork then
        self._drained = threading.Event()
        self._queue: list[Submission] = []
        self._unwritten: list[Submission] = []
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
                    with self.fork_lock:
                        self._store = self._opener()
                    self.digest = self._store.digest
        return self._store

    def submit(self, submission: Submission, *, urgent: bool = True) -> bool:
        """Submit an entry. Waking the thread is left to the caller of an urgent one.

        Args:
            urgent: True when a caller waits for the entry; False when it may wait for a transaction with others.

        Returns:
            True when no other caller waits or has a call in flight.
        """
        if self._store is None:
            self.store()
        entry = submission.pending.entry
        submission.urgent = urgent
        with self._lock:
            if entry.action_type == "connector.called":
                self._unanswered.add(entry.id)
            elif entry.intent_id:
                self._unanswered.discard(entry.intent_id)
            waiting = len(self._unanswered)
            alone = urgent and not self._urgent and (not waiting or (waiting == 1 and entry.id in self._unanswered))
            self._urgent = self._urgent or urgent
            self._queue.append(submission)
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
        store, written = self.store(), list[Submission]()
        while True:
            # Callers are notified only after the commit. The thread then waits for their next entries, so that these
            # share one transaction.
            if notify_all(written, self._drained.set):
                self._drained.wait(_WAIT_FOR_CALLERS)
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
            with self.fork_lock:
                if written or (self._unwritten and (jobs or self._closing)):
                    self._write(store, written)
                for job in jobs:
                    job(store)
            if self._closing and not (self._queue or self._jobs):
                notify_all(written, self._drained.set)
                with self.fork_lock:
                    store.close()
                return

    def _write(self, store: Store, batch: list[Submission]) -> None:
        submissions = self._unwritten + batch
        try:
            store.write([one.pending for one in submissions])
        except Exception as error:  # the calls fail, and the thread continues
            problem = error if isinstance(error, AuditError) else _unwritable(error)
            for submission in batch:
                submission.pending.outcome = problem
            self._unwritten = [one for one in submissions if not one.urgent]
            if self._unwritten:
                self.broken = AuditError(f"{problem} An outcome could not be recorded.", sent=True)
        else:
            self._unwritten, self.broken = [], None


class Submission:
    """A submitted entry, and its caller.

    Attributes:
        pending: The entry, and its outcome once it is written.
        urgent: True when a caller waits for it.
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
        if not self.written.locked():  # written meanwhile: the writer thread may not have seen this future
            notify([self.waiting])
        return self.waiting

    def record(self) -> Written:
        """Return the stored record, or raise the error with which writing it ended."""
        outcome = self.pending.outcome
        if isinstance(outcome, Written):
            return outcome
        raise outcome or AuditError("The entry was not written to the audit log. Nothing was sent.")


class LoopIteration:
    """The callers that began to wait in one iteration of an event loop; one wake-up and one timer serve them all."""

    __slots__ = ("_loop", "_timeout", "_timer", "_waiting", "_wake")

    def __init__(self, wake: Callable[[], None], loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._wake, self._loop, self._timeout = wake, loop, timeout
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
        loop, found = asyncio.get_running_loop(), _LOCAL.iteration
        if found is None or found._loop is not loop or found._wake != wake:
            found = _LOCAL.iteration = cls(wake, loop, timeout)
        return found

    async def wait(self, submission: Submission) -> None:
        """Wait until an entry is written or has failed, at most until the timeout."""
        written = submission.future(self._loop)
        self._waiting.add(written)
        try:
            await written
        finally:
            self._waiting.discard(written)
            if not self._waiting and self._timer is not None:
                self._timer.cancel()

    def _end(self) -> None:
        if _LOCAL.iteration is self:
            _LOCAL.iteration = None
        self._wake()
        if self._waiting:
            self._timer = self._loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        notify(list(self._waiting))


class _ThreadState(threading.local):
    """The state of one thread's event loop.

    Attributes:
        iteration: The present iteration; None when no caller waits in it yet.
        blocked_since: The time since which no other task has run, by `time.monotonic()`; None when that is not known.
    """

    iteration: LoopIteration | None = None
    blocked_since: float | None = None


_LOCAL: Final = _ThreadState()


def overdue() -> bool:
    """Return True when callers have blocked the running loop for so long that other tasks must run now."""
    now = time.monotonic()
    if _LOCAL.blocked_since is None:
        _LOCAL.blocked_since = now
        asyncio.get_running_loop().call_soon(_others_ran)
        return False
    if now - _LOCAL.blocked_since < _LONGEST_BLOCK:
        return False
    _LOCAL.blocked_since = None
    return True


def _others_ran() -> None:
    _LOCAL.blocked_since = None


def notify_all(written: Sequence[Submission], drained: Callable[[], None]) -> bool:
    """Notify callers that their entries are written, or could not be.

    Returns:
        True when several of them wait in one event loop; then `drained` is called there after they have continued.
    """
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for submission in written:
        submission.written.release()
        if submission.waiting:
            waiting.setdefault(submission.waiting.get_loop(), []).append(submission.waiting)
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
        writer.fork_lock.acquire()
        _HELD.append(writer)


def _after_fork_in_parent() -> None:
    while _HELD:
        _HELD.pop().fork_lock.release()


def _after_fork() -> None:
    _HELD.clear()
    for writer in list(_WRITERS):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)


def _unwritable(error: Exception) -> AuditError:
    """Return the error for an unexpected exception from a store."""
    return AuditError(f"The audit log cannot be written: {type(error).__name__}. Nothing was sent.")
