"""The one thread that writes a log: whatever has come in, in one transaction for everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from arx_wrapper.audit.pending import PendingEntry, tell
from arx_wrapper.audit.store import Store
from arx_wrapper.errors import AuditError

_T = TypeVar("_T")
# Seconds that the thread waits for those whom it has just told: the next batch is theirs, too.
_MOMENT = 0.01


class Writer:
    """Takes entries and jobs from any thread, and does them in a thread of its own that lives as long as the log.

    Attributes:
        broken: What is wrong while an outcome that was handed in could not be written; None when nothing is.
    """

    def __init__(self, opener: Callable[[], Store], *, idle: float) -> None:
        self._opener, self._idle = opener, idle
        self._lock, self._bell = threading.Lock(), threading.Lock()
        self._bell.acquire()
        self._heard = threading.Event()
        self._queue: list[PendingEntry] = []
        self._owed: list[PendingEntry] = []
        self._jobs: list[Callable[[Store], None]] = []
        self._unanswered: set[str] = set()
        self._closing = self._asleep = False
        self._thread: threading.Thread | None = None
        self._store: Store | None = None
        self.broken: AuditError | None = None

    @property
    def opened(self) -> bool:
        return self._store is not None

    def store(self) -> Store:
        """The database, which is opened where it is not yet. Others may hold it locked, and this then waits."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    self._store = self._opener()
        return self._store

    def submit(self, ticket: PendingEntry, *, urgent: bool = True) -> bool:
        """Hand an entry in; one that is urgent is written once the thread is rung for.

        Returns:
            Whether nobody else is waiting or has a call under way.
        """
        self.store()
        entry = ticket.pending.entry
        ticket.urgent = urgent
        with self._lock:
            if entry.action_type == "connector.called":
                self._unanswered.add(entry.id)
            elif entry.intent_id:
                self._unanswered.discard(entry.intent_id)
            alone = urgent and self._unanswered <= {entry.id} and not any(other.urgent for other in self._queue)
            self._queue.append(ticket)
            self._start()
            asleep = self._asleep
        if asleep and not urgent:
            self.ring()
        return alone

    def run(self, job: Callable[[Store], _T]) -> Future[_T]:
        """Have something done with the database, after everything handed in so far is written."""
        self.store()
        future: Future[_T] = Future()

        def done(store: Store) -> None:
            if not future.set_running_or_notify_cancel():
                return  # nobody waits any more
            try:
                result = job(store)
            except Exception as error:  # handed to whoever waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            self._jobs.append(done)
            self._start()
        self.ring()
        return future

    def close(self) -> None:
        """Write what is left and close the database. Waits."""
        thread, self._closing = self._thread, True
        if thread is not None:
            self.ring()
            thread.join()
        elif self._store is not None:  # opened, and never written to
            self._store.close()
        self._thread, self._store, self._closing = None, None, False

    def ring(self) -> None:
        """Wake the thread."""
        with suppress(RuntimeError):  # somebody rang before; once is enough
            self._bell.release()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="arx-audit", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        store, written = self.store(), list[PendingEntry]()
        while True:
            # Only now, or they would wake up to wait for this thread; and what they come back with goes in one batch.
            if tell(written, self._heard.set):
                self._heard.wait(_MOMENT)
                self._heard.clear()
            rung = self._bell.acquire(timeout=self._idle)  # outcomes wait for company
            with self._lock:
                self._asleep = not (rung or self._queue)
            if self._asleep:
                self._bell.acquire()
            with self._lock:
                self._asleep = False
                written, self._queue = self._queue, []
                jobs, self._jobs = self._jobs, []
            if written or (self._owed and (jobs or self._closing)):
                self._write(store, written)
            for job in jobs:
                job(store)
            if self._closing and not (self._queue or self._jobs):
                tell(written, self._heard.set)
                store.close()
                return

    def _write(self, store: Store, batch: list[PendingEntry]) -> None:
        tickets = self._owed + batch
        try:
            store.write([ticket.pending for ticket in tickets])
        except Exception as error:  # the thread goes on, and the calls fail
            problem = error if isinstance(error, AuditError) else _unwritable(error)
            for ticket in batch:
                ticket.pending.outcome = problem
            self._owed = [ticket for ticket in tickets if not ticket.urgent]
            if self._owed:
                self.broken = AuditError(f"{problem} An outcome could not be recorded.", sent=True)
        else:
            self._owed, self.broken = [], None


def _unwritable(error: Exception) -> AuditError:
    """An error that no store should raise."""
    return AuditError(f"The audit log cannot be written: {type(error).__name__}. Nothing was sent.")
