"""The log's asynchronous interface: an entry is durable when `append` returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from attrs import evolve

from arx_wrapper.audit.chain import suspended_because
from arx_wrapper.audit.pending import PendingEntry, notify
from arx_wrapper.audit.record import AuditRecord, Entry
from arx_wrapper.audit.store import Pending, Query, Reader, Segment, Store, Written
from arx_wrapper.audit.verification import Verification, verify
from arx_wrapper.audit.writer import Writer
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Limit

_T = TypeVar("_T")
_CHUNK = 1_000
# Seconds that a caller that is alone blocks: a sync takes less, as a rule.
_MOMENT = 0.002


def utc_now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """An audit log. Made by `audit.open()`; many tasks, threads and event loops may share one.

    Callers hand their entries to one long-lived thread, which writes whatever has come in one transaction: a sync is
    never skipped, and under load it is shared. A caller that is alone blocks for a moment, for about one sync: going to
    sleep and being woken takes as long as the sync itself.

    A log that is opened for reading alone is never written, and no table and no key is made. One that is opened for
    writing is read through its writer, which first gives the intents of processes that died their outcome; where it
    cannot be written, or was not begun, it is read all the same.
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
            reader: Opens it for reading alone; None when only the writer's connection can see it.
            begun: Returns False for a log that reading must not begin.
        """
        self._writer, self._timeout = Writer(opener, idle=idle), timeout
        self._reader, self._begun = reader, begun
        self._before_close: list[Callable[[], None]] = []

    async def open(self) -> None:
        """Open the database to write, off the event loop: other processes may hold it locked. AuditError."""
        if not self._writer.opened:
            try:
                async with asyncio.timeout(self._timeout):
                    await asyncio.to_thread(self._writer.store)
            except TimeoutError:
                raise AuditError(f"The audit log did not open within {self._timeout:g} s. Nothing was sent.") from None

    async def append(
        self, entry: Entry, *, usage: Sequence[tuple[str, int]] = (), limits: Sequence[Limit] = ()
    ) -> Written:
        """Record an entry; it is durable when this returns.

        Args:
            entry: The entry.
            usage: The uses that it counts as, for limits: operation and number.
            limits: The limits it must keep to, checked in the same transaction.

        Raises:
            AuditError: it could not be written in time. The call that it is about must not go on.
            Refused: a limit is used up, or the agent is suspended; nothing was written.
        """
        if entry.action_type == "policy.loaded":
            entry = await self._without_known_text(entry)
        asks = entry.action_type == "connector.called"
        ticket = PendingEntry(Pending(entry, usage, limits, enforce_suspension=asks))
        if self._writer.submit(ticket):
            self._writer.wake()
            if ticket.written.acquire(timeout=_MOMENT):
                await asyncio.sleep(0)  # tasks that have become ready meanwhile do not wait for the next call
                return ticket.record()
        else:  # once all tasks that are about to submit an entry have done so: the thread would be in their way
            asyncio.get_running_loop().call_soon(self._writer.wake)
        written = ticket.future()
        # Not asyncio.timeout: this is the busiest line of all, and a timer costs a third of it.
        timer = written.get_loop().call_later(self._timeout, notify, [written])
        try:
            await written
        finally:
            timer.cancel()
        if ticket.written.locked():
            ticket.pending.cancelled = True
            raise AuditError(
                f"The audit log was not written within {self._timeout:g} s. Nothing was sent. Look for a slow disk or "
                "another process that holds it locked."
            )
        return ticket.record()

    def append_soon(self, entry: Entry) -> None:
        """Record an entry with the next commit, which comes within the idle time. Does not wait.

        When it cannot be written, it is tried again with the next entry; until it is written every `append`
        fails, and `flush` and `aclose` raise.
        """
        self._writer.submit(PendingEntry(Pending(entry)), urgent=False)

    async def flush(self) -> None:
        """Wait until every entry submitted is written. AuditError when one could not be."""
        await self._on_thread(lambda store: None)
        if self._writer.broken:
            raise self._writer.broken

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
        """Read the records of the log as it is now, by `seq`.

        They are read in pages, between which nothing is held open: a caller that stops halfway, as a pager does, costs
        the log nothing.

        Args:
            operation: A name, or a pattern with `*`.
            target: An id that the call named.
            reviewer, approval: A reviewer's name, an approval's id.
            since, until: Aware; from `since` up to, not including, `until`.
            limit: The number of records at most.
            call: An intent's id: the intent and the records that answer it.
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
        async with self._reading() as run:
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
        """Run a job over the log as it is now, while others go on appending."""
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
            since: The number of records to leave out, because a checkpoint vouches for them.
        """
        damage = await self.read(lambda log: log.damage(indexes=not since))
        found = await self.read(lambda log: verify(log, since))
        return evolve(found, ok=False, problem=damage) if found.ok and damage else found

    async def suspend(self, agent_id: str, *, org_id: str, by: str, reason: str) -> None:
        """Stop an agent: from its next call on, in every process. Recorded.

        Raises:
            ValueError: no reason is given.
        """
        if not reason.strip():
            raise ValueError("a suspension needs a reason: refusals and records name it")
        await self._switch(agent_id, org_id, by, reason)

    async def resume(self, agent_id: str, *, org_id: str, by: str) -> None:
        """Let a suspended agent go on. Recorded."""
        await self._switch(agent_id, org_id, by, None)

    async def suspension(self, agent_id: str) -> str | None:
        """Return that an agent is suspended, and why, as a sentence; None when it is not."""
        reason = await self._on_thread(lambda store: store.suspended(agent_id))
        return None if reason is None else suspended_because(agent_id, reason)

    async def suspensions(self) -> Mapping[str, str]:
        """Return the suspended agents, each with the reason."""
        return await self.read(lambda log: log.suspensions())

    async def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Seal settled records into a file of their own, which verifies as one log with those that follow. Recorded.

        A segment holds 100,000 records at most; call again while there are as many.

        Args:
            by: The person or process that does it.

        Returns:
            The segment; None when there is nothing to seal.
        """
        return await self._on_thread(lambda store: store.rotate(by=by, org_id=org_id), patient=True)

    async def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove the sealed segments that hold only records from before a time. Recorded."""
        until = before.astimezone(UTC)
        return await self._on_thread(lambda store: store.retain(until, by=by, org_id=org_id), patient=True)

    async def expired(self, before: datetime) -> Sequence[Segment]:
        """Return the sealed segments that hold only records from before a time."""
        return await self.read(lambda log: log.expired(before.astimezone(UTC)))

    def keyed_hash(self, data: bytes) -> str:
        """Return HMAC-SHA256 of data with the log's key, as hex."""
        return self._writer.store().digest(data)

    def before_close(self, work: Callable[[], None]) -> None:
        """Have something done, on another thread, before the log is closed."""
        self._before_close.append(work)

    async def aclose(self) -> None:
        """Write the entries that are left and close the database.

        Raises:
            AuditError: a record could not be written.
        """
        while self._before_close:
            await asyncio.to_thread(self._before_close.pop())
        await asyncio.to_thread(self._writer.close)
        if self._writer.broken:
            raise self._writer.broken

    async def _switch(self, agent_id: str, org_id: str, by: str, reason: str | None) -> None:
        entry = Entry(
            action_type="agent.resumed" if reason is None else "agent.suspended",
            status="success",
            org_id=org_id,
            agent_id=agent_id,
            connector="*",
            reason=reason,
            metadata={"by": by},
        )
        await self._on_thread(lambda store: store.suspend(entry))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Callable[[Callable[[Reader], Any]], Awaitable[Any]]]:
        """Give a function that runs jobs over the log as it is now, one after the other, on a thread of their own."""
        reader = await self._opened_reader()
        if reader is None:
            yield self._on_thread
            return
        thread, loop = ThreadPoolExecutor(1, "arx-audit-reader"), asyncio.get_running_loop()
        try:
            yield lambda job: loop.run_in_executor(thread, job, reader)
        finally:
            # Close on the reader's thread, after jobs still running there: closing an sqlite3 connection while another
            # thread uses it crashes the interpreter.
            thread.submit(reader.close)
            thread.shutdown(wait=False)

    async def _without_known_text(self, entry: Entry) -> Entry:
        """Return the entry of a policy without its text, when an earlier record holds the same one."""
        digest = entry.metadata.get("digest")
        if not isinstance(digest, str) or not entry.metadata.get("text"):
            return entry
        if not await self._on_thread(lambda store: store.keeps_policy(digest)):
            return entry
        metadata = {name: value for name, value in entry.metadata.items() if name != "text"}
        return msgspec.structs.replace(entry, metadata=metadata)

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
        """Run a job on the log's thread, after every entry submitted so far is written."""
        future = self._writer.run(job)
        try:
            async with asyncio.timeout(None if patient else max(self._timeout, 30.0)):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise AuditError("The audit log did not answer.") from None


def _page(query: Query, source: Reader) -> list[AuditRecord]:
    source.hold()
    try:
        return list(source.select(query))
    finally:
        source.release()


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None
