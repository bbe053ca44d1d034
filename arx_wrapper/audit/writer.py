"""Write a log in a thread of its own, which commits all submitted entries in one transaction.

Callers submit entries, and are notified when these are committed. `commit_wait.py` waits for that in an event loop.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar
from weakref import WeakSet

from arx_wrapper.audit.store import Pending, Store, Written
from arx_wrapper.errors import AuditError

_T = TypeVar("_T")


class Submission:
    """A submitted entry, and its caller.

    Attributes:
        pending: The entry, and its outcome once it is written.
        urgent: True when a caller waits for it.
        written: A lock, released when the entry is written or has failed.
        waiting: The future that the thread completes; None before a caller awaits it, or when the caller's loop
            completes it.
    """

    __slots__ = ("pending", "urgent", "waiting", "written")

    def __init__(self, pending: Pending) -> None:
        self.pending, self.urgent = pending, False
        self.waiting: asyncio.Future[None] | None = None
        self.written = threading.Lock()
        self.written.acquire()

    def complete(self, waiting: asyncio.Future[None]) -> None:
        """Let the thread complete a future once the entry is written or has failed."""
        self.waiting = waiting
        if not self.written.locked():  # written meanwhile: the thread may not have seen this future
            complete_futures([waiting])

    def wait(self, seconds: float) -> bool:
        """Block the thread until the entry is written or has failed; return False when this takes longer."""
        done = self.written.acquire(timeout=seconds)
        if done:
            self.written.release()
        return done

    def record(self) -> Written:
        """Return the stored record, or raise the error with which writing it ended."""
        outcome = self.pending.outcome
        if isinstance(outcome, Written):
            return outcome
        raise outcome or AuditError("The entry was not written to the audit log. Nothing was sent.")


class Writer:
    """Accepts entries and jobs from any thread, and processes them in one thread that runs as long as the log is open.

    After a fork the child starts with a new thread and connection, and without the parent's entries.

    Attributes:
        broken: The error that keeps outcomes unwritten; None when all are written.
        batch_seconds: The time that the thread took for its last entries and jobs; infinite while it is busy.
        digest: HMAC-SHA256 with the log's key, as hex; None until the database is open.
    """

    def __init__(self, opener: Callable[[], Store], *, idle: float) -> None:
        self._opener, self._idle = opener, idle
        self._begin()
        _WRITERS.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()  # guards the queues and the flags below
        self._wakeup = threading.Lock()  # released to wake the thread
        self._wakeup.acquire()
        self.fork_lock = threading.Lock()  # held while the database is used, so that the process does not fork then
        self._queue: list[Submission] = []
        self._unwritten: list[Submission] = []  # outcomes that could not be written; written with the next entries
        self._jobs: list[Callable[[Store], None]] = []
        self._open_intents: set[str] = set()  # ids of intents without an outcome: the calls in flight
        self._urgent = False  # a caller waits for an entry in the queue
        self._asleep = False  # the thread waits for the next entry, however long that takes
        self._closing = False  # the thread ends once everything is written
        self._thread: threading.Thread | None = None
        self.digest: Callable[[bytes], str] | None = None
        self._store: Store | None = None
        self.broken: AuditError | None = None
        self.batch_seconds = 0.0

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
        """Submit an entry. The caller of an urgent one wakes the thread.

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
                self._open_intents.add(entry.id)
            elif entry.intent_id:
                self._open_intents.discard(entry.intent_id)
            calls = len(self._open_intents)
            alone = urgent and not self._urgent and (not calls or (calls == 1 and entry.id in self._open_intents))
            self._urgent = self._urgent or urgent
            self._queue.append(submission)
            if self._thread is None:
                self._start()
            asleep = self._asleep
        # The callers of urgent entries wake the thread: one that is alone at once, several together at the end of
        # their loop's iteration. No caller waits for any other entry: submitting it wakes a thread that sleeps.
        if asleep and not urgent:
            self.wake()
        return alone

    def run(self, job: Callable[[Store], _T]) -> Future[_T]:
        """Run a job with the database, after every entry submitted so far is written."""
        self.store()
        future: Future[_T] = Future()

        def run_job(store: Store) -> None:
            if not future.set_running_or_notify_cancel():
                return  # its caller no longer waits
            try:
                result = job(store)
            except Exception as error:  # raised where the job's caller waits
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            self._jobs.append(run_job)
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
        store = self.store()
        while True:
            written, jobs = self._next()
            began, self.batch_seconds = time.monotonic(), math.inf
            with self.fork_lock:
                if written or (self._unwritten and (jobs or self._closing)):
                    self._write(store, written)
                for job in jobs:
                    job(store)
            self.batch_seconds = time.monotonic() - began
            release_callers(written)
            if self._closing and not (self._queue or self._jobs):
                with self.fork_lock:
                    store.close()
                return

    def _next(self) -> tuple[list[Submission], list[Callable[[Store], None]]]:
        """Wait for entries or jobs, and take them. Outcomes alone wait for further entries, up to the idle time."""
        woken = self._wakeup.acquire(timeout=self._idle)
        with self._lock:
            self._asleep = not (woken or self._queue)
        if self._asleep:
            self._wakeup.acquire()
        with self._lock:
            self._asleep = False
            entries, self._queue, self._urgent = self._queue, [], False
            jobs, self._jobs = self._jobs, []
        return entries, jobs

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


def release_callers(written: Sequence[Submission]) -> None:
    """Notify the callers of entries that these are written or have failed. Runs in the writer's thread."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for submission in written:
        submission.written.release()
        if submission.waiting:
            waiting.setdefault(submission.waiting.get_loop(), []).append(submission.waiting)
    for loop, futures in waiting.items():
        with suppress(RuntimeError):  # the loop was closed, so no task waits
            loop.call_soon_threadsafe(complete_futures, futures)


def complete_futures(futures: Sequence[asyncio.Future[None]]) -> None:
    """Wake the callers that await these futures. Runs in their event loop."""
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
