"""The log as the pipeline uses it: asynchronous, with one thread per log that commits for everybody at once."""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TypeVar

from attrs import frozen

from arx_wrapper.audit.record import GENESIS, AuditRecord, Entry, keyed_hash
from arx_wrapper.audit.store import Pending, Query, Refused, Row, Store
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Limit

_T = TypeVar("_T")
_CHUNK = 500


def utc_now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class Verification:
    """What a look at the whole chain found.

    Attributes:
        ok: Whether it holds.
        records: How many records were looked at.
        problem: What is wrong first, and where; None when nothing is.
    """

    ok: bool
    records: int
    problem: str | None = None


class AuditLog:
    """An audit log. Made by `audit.open()`; many tasks, threads and event loops may share one.

    Callers hand their entries to one long-lived thread, which writes whatever has come in one transaction: a sync is
    never skipped, and under load it is shared.
    """

    def __init__(self, opener: Callable[[], Store], *, timeout: float, idle: float) -> None:
        self._opener, self._timeout, self._idle = opener, timeout, idle
        self._wake = threading.Condition()
        self._queue: list[tuple[Pending, Future[AuditRecord] | None]] = []
        self._jobs: list[Callable[[Store], None]] = []
        self._urgent = self._closing = False
        self._thread: threading.Thread | None = None
        self._store: Store | None = None
        self._broken: AuditError | None = None

    async def append(
        self, entry: Entry, *, usage: Sequence[tuple[str, int]] = (), limits: Sequence[Limit] = ()
    ) -> AuditRecord:
        """Record an entry; it is durable when this returns.

        Args:
            entry: What to record.
            usage: What it counts as, for limits: operation and number.
            limits: The limits it must keep to, checked in the same transaction.

        Raises:
            AuditError: it could not be written in time. The call that it is about must not go on.
            Refused: a limit is used up, or the agent is suspended; nothing was written.
        """
        if self._broken:
            raise self._broken
        pending = Pending(entry, usage, limits, checked=entry.action_type == "connector.called")
        future: Future[AuditRecord] = Future()
        self._submit(pending, future)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            pending.abandoned = True
            raise AuditError(
                f"The audit log was not written within {self._timeout:g} s. Nothing was sent. Look for a slow disk or "
                "another process that holds it locked."
            ) from None

    def append_soon(self, entry: Entry) -> None:
        """Record an entry with the next commit, which comes within the idle time. Does not wait.

        When it cannot be written, every later `append` fails, and `flush` and `aclose` raise.
        """
        self._submit(Pending(entry), None)

    async def flush(self) -> None:
        """Wait until everything handed in is written. AuditError when something could not be."""
        await self._on_thread(lambda store: None)
        if self._broken:
            raise self._broken

    async def records(
        self,
        *,
        agent_id: str | None = None,
        operation: str | None = None,
        verdict: str | None = None,
        status: str | None = None,
        action_type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after_seq: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[AuditRecord]:
        """Read records, by `seq`. Records that are not written yet are not seen; see `flush`.

        Args:
            operation: A name, or a pattern with `*`.
            since, until: Aware; from `since` up to, not including, `until`.
            limit: How many at most.
        """
        query = Query(
            agent_id=agent_id,
            operation=operation,
            verdict=verdict,
            status=status,
            action_type=action_type,
            since=_utc(since),
            until=_utc(until),
            after_seq=after_seq,
            limit=limit,
            newest_first=newest_first,
        )
        rows: Iterator[AuditRecord] = await self._on_thread(lambda store: store.select(query))
        while chunk := await self._on_thread(lambda store: [row for _, row in zip(range(_CHUNK), rows, strict=False)]):
            for row in chunk:
                yield row

    async def verify(self) -> Verification:
        """Look at the whole chain: every hash, every link, every place."""
        return await self._on_thread(_verify, patient=True)

    async def suspend(self, agent_id: str, *, org_id: str, by: str, reason: str) -> None:
        """Stop an agent: from its next call on, in every process. Recorded."""
        await self._switch(agent_id, org_id, by, reason, reason)

    async def resume(self, agent_id: str, *, org_id: str, by: str) -> None:
        """Let a suspended agent go on. Recorded."""
        await self._switch(agent_id, org_id, by, None, None)

    def keyed_hash(self, data: bytes) -> str:
        """HMAC-SHA256 of data with the log's key, as hex."""
        return keyed_hash(self._opened().key, data)

    async def aclose(self) -> None:
        """Write what is left and close the database.

        Raises:
            AuditError: a record could not be written.
        """
        thread = self._thread
        if thread is None:
            return
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        self._thread, self._store, self._closing = None, None, False
        if self._broken:
            raise self._broken

    async def _switch(self, agent_id: str, org_id: str, by: str, reason: str | None, why: str | None) -> None:
        entry = Entry(
            action_type="agent.suspended" if reason else "agent.resumed",
            status="success",
            org_id=org_id,
            agent_id=agent_id,
            connector="*",
            reason=why,
            metadata={"by": by},
        )
        await self.append(entry)
        await self._on_thread(lambda store: store.suspend(agent_id, reason))

    def _opened(self) -> Store:
        with self._wake:
            if self._store is None:
                self._store = self._opener()
            return self._store

    def _submit(self, pending: Pending, future: Future[AuditRecord] | None) -> None:
        self._opened()
        with self._wake:
            self._queue.append((pending, future))
            self._urgent = self._urgent or future is not None
            self._start()
            self._wake.notify()

    async def _on_thread(self, job: Callable[[Store], _T], *, patient: bool = False) -> _T:
        """Run something on the log's thread, after everything handed in so far is written."""
        self._opened()
        future: Future[_T] = Future()

        def run(store: Store) -> None:
            try:
                result = job(store)
            except Exception as error:  # handed to whoever waits for it
                _reject(future, error)
            else:
                future.set_result(result)

        with self._wake:
            self._jobs.append(run)
            self._urgent = True
            self._start()
            self._wake.notify()
        try:
            async with asyncio.timeout(None if patient else max(self._timeout, 30.0)):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise AuditError("The audit log did not answer.") from None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="arx-audit", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        store = self._opened()
        while True:
            with self._wake:
                while not (self._urgent or self._closing):
                    if self._wake.wait(self._idle if self._queue else None) is False:
                        break  # outcomes have waited long enough for company
                batch, self._queue = self._queue, []
                jobs, self._jobs = self._jobs, []
                closing, self._urgent = self._closing, False
            if batch:
                self._write(store, batch)
            for job in jobs:
                job(store)
            if closing and not (self._queue or self._jobs):
                store.close()
                return

    def _write(self, store: Store, batch: list[tuple[Pending, Future[AuditRecord] | None]]) -> None:
        problem: AuditError | None = None
        try:
            store.write([pending for pending, _ in batch])
        except AuditError as error:
            problem = error
        for pending, future in batch:
            outcome = problem or pending.outcome
            if future is None:
                if problem:
                    self._broken = AuditError(f"{problem} An outcome could not be recorded.", sent=True)
            elif isinstance(outcome, AuditError | Refused):
                _reject(future, outcome)
            elif isinstance(outcome, AuditRecord) and not future.cancelled():
                future.set_result(outcome)


def _verify(store: Store) -> Verification:
    key, head, expected = store.key, GENESIS, 0
    for row in store.rows():
        expected += 1
        if problem := _problem(row, expected, head, key):
            return Verification(ok=False, records=expected - 1, problem=problem)
        head = row.hash
    return Verification(ok=True, records=expected)


def _problem(row: Row, expected: int, head: str, key: bytes) -> str | None:
    """What is wrong with a row at its place in the chain."""
    if row.seq != expected:
        return f"record {expected} is missing"
    if not hmac.compare_digest(keyed_hash(key, row.body), row.hash):
        return f"record {row.seq} was changed"
    record = AuditRecord.parse(row.body, row.hash)
    if record.seq != row.seq or record.prev_hash != head:
        return f"record {row.seq} is out of its place"
    beside = (
        record.id,
        record.created_at,
        record.org_id,
        record.agent_id,
        record.action_type,
        record.operation,
        record.policy_verdict,
        record.status,
        record.metadata.get("intent"),
        record.prev_hash,
    )
    return None if beside == row[3:] else f"the columns of record {row.seq} do not say what the record says"


def _reject(future: Future[_T], error: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(error)


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None
