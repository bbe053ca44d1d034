"""Read a log: its records, jobs over all of it, verification. No transaction stays open between a caller's reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.audit.store import Query, Reader, Segment, Store
from arx_wrapper.audit.verification import Verification, verify
from arx_wrapper.audit.writer import Writer
from arx_wrapper.errors import AuditError

_T = TypeVar("_T")
_Run = Callable[[Callable[[Reader], Any]], Awaitable[Any]]
_CHUNK = 1_000


class ReadableLog:
    """The reading part of an audit log; `AuditLog` adds the writing part.

    A log that is opened read-only is never written: no table and no key is created. A log that is opened for writing is
    read through its writer, which first records an outcome for the intents of processes that died. If the writer cannot
    be opened, or the log was not begun, it is read without one.
    """

    def __init__(
        self,
        opener: Callable[[], Store],
        *,
        timeout: float,
        idle: float,
        reader: Callable[[], Reader] | None = None,
        begun: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make a log.

        Args:
            opener: Opens the database for writing.
            reader: Opens it read-only; None when only the writer's connection can see it.
            begun: Returns False for a log that does not exist yet, and that reading must not create.
        """
        self._writer, self._timeout = Writer(opener, idle=idle), timeout
        self._reader, self._begun = reader, begun
        self._before_close: list[Callable[[], None]] = []
        self._readers_closing = set[Future[None]]()

    async def open(self) -> None:
        """Open the database to write, off the event loop: other processes may hold it locked. AuditError."""
        if not self._writer.opened:
            try:
                async with asyncio.timeout(self._timeout):
                    await asyncio.to_thread(self._writer.store)
            except TimeoutError:
                raise AuditError(f"The audit log did not open within {self._timeout:g} s. Nothing was sent.") from None

    async def records(
        self,
        *,
        org_id: str | None = None,
        agent_id: str | None = None,
        operation: str | None = None,
        verdict: str | None = None,
        status: str | None = None,
        action_type: str | None = None,
        target: str | None = None,
        reviewer: str | None = None,
        approval: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after_seq: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        id: str | None = None,  # noqa: A002 - the record's member
        call: str | None = None,
    ) -> AsyncIterator[AuditRecord]:
        """Read the records of the log as it is now, ordered by `seq`.

        They are read in pages, and no transaction stays open between them. So a caller that stops halfway does not
        burden the log.

        Args:
            operation: A name, or a pattern with `*`.
            target: An id that the call named.
            reviewer, approval: A reviewer's name, an approval's id.
            since, until: Aware; from `since` up to, not including, `until`.
            limit: The largest number of records.
            call: An intent's id; selects the intent and the records that refer to it.
        """
        query = Query(
            id=id,
            call=call,
            org_id=org_id,
            target=target,
            reviewer=reviewer,
            approval=approval,
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
        async with _Reading(self._opened_reader, self._on_thread, self._readers_closing) as run:
            size = await run(lambda source: source.size())
            query = evolve(query, before_seq=size + 1)
            while True:
                page = evolve(query, limit=_CHUNK if query.limit is None else min(_CHUNK, query.limit))
                rows = await run(partial(_page, page))
                for row in rows:
                    yield row
                if len(rows) < (page.limit or 0):
                    return
                left = None if query.limit is None else query.limit - len(rows)
                edge = {"before_seq": rows[-1].seq} if newest_first else {"after_seq": rows[-1].seq}
                if left == 0:
                    return
                query = evolve(query, limit=left, **edge)

    async def read(self, job: Callable[[Reader], _T]) -> _T:
        """Run a job over the log as it is now, while other callers append."""
        reader = await self._opened_reader()
        if reader is None:
            return await self._on_thread(job, patient=True)

        def run() -> _T:
            with closing(reader):
                return job(reader)

        return await asyncio.to_thread(run)

    async def verify(self, *, since: int = 0) -> Verification:
        """Verify the whole chain: every hash, link and sequence number, and the database around them.

        Args:
            since: The number of records to skip, because a checkpoint covers them.
        """
        damage = await self.read(lambda log: log.damage(indexes=not since))
        found = await self.read(lambda log: verify(log, since))
        return evolve(found, ok=False, problem=damage) if found.ok and damage else found

    async def suspensions(self) -> Mapping[str, str]:
        """Return the suspended agents, each with the reason."""
        return await self.read(lambda log: log.suspensions())

    async def expired(self, before: datetime) -> Sequence[Segment]:
        """Return the sealed segments that hold only records from before a time."""
        return await self.read(lambda log: log.expired(before.astimezone(UTC)))

    async def _opened_reader(self) -> Reader | None:
        """Open a connection for reading; None when the writer's is the only one."""
        if self._writer.opened or self._reader is None:
            return await self._on_thread(lambda store: store.reader())
        if self._begun():
            try:
                await self.open()
            except AuditError as error:
                try:
                    return await asyncio.to_thread(self._reader)
                except AuditError:
                    raise error from None
            return await self._on_thread(lambda store: store.reader())
        return await asyncio.to_thread(self._reader)

    async def _on_thread(self, job: Callable[[Store], _T], *, patient: bool = False) -> _T:
        """Run a job on the writer thread, after every entry submitted so far is written."""
        future = self._writer.run(job)
        try:
            async with asyncio.timeout(None if patient else max(self._timeout, 30.0)):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise AuditError("The audit log did not answer.") from None


class _Reading:
    """Give a function that runs jobs over the log as it is now, one after the other, on a separate thread.

    It is a class and no generator. When an event loop ends, asyncio closes the generators that an error left, in any
    order; closing this one before the generator that uses it would be another error.
    """

    def __init__(
        self, opened: Callable[[], Awaitable[Reader | None]], on_thread: _Run, closing: set[Future[None]]
    ) -> None:
        """Prepare to read; `closing` holds the connections that are about to be closed, for those who wait for it."""
        self._opened, self._on_thread, self._closing = opened, on_thread, closing
        self._reader: Reader | None = None

    async def __aenter__(self) -> _Run:
        self._reader = reader = await self._opened()
        if reader is None:
            return self._on_thread
        self._thread, loop = ThreadPoolExecutor(1, "arx-audit-reader"), asyncio.get_running_loop()
        return lambda job: loop.run_in_executor(self._thread, job, reader)

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            # Close on the reader's thread, after jobs still running there: closing an sqlite3 connection while another
            # thread uses it crashes the interpreter.
            closed = self._thread.submit(self._reader.close)
            self._closing.add(closed)
            closed.add_done_callback(self._closing.discard)
            self._thread.shutdown(wait=False)


def _page(query: Query, source: Reader) -> list[AuditRecord]:
    source.hold()
    try:
        return list(source.select(query))
    finally:
        source.release()


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None
