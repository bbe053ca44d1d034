"""Provide the log's asynchronous interface: an entry is durable when `append` returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from datetime import UTC, datetime

import msgspec

from arx_wrapper.audit.chain import suspended_because
from arx_wrapper.audit.commit_wait import MAX_BLOCK_SECONDS, MAX_TURN_SECONDS, PROMPT_SECONDS, TURN, LoopIteration
from arx_wrapper.audit.log_reader import ReadableLog
from arx_wrapper.audit.record import Entry
from arx_wrapper.audit.store import Pending, Segment, Written
from arx_wrapper.audit.writer import Submission, Writer
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Leases, Limit


def utc_now() -> datetime:
    return datetime.now(UTC)


class AuditLog(ReadableLog):
    """An audit log. `audit.open()` makes one; many tasks, threads and event loops may share one.

    Callers submit their entries to one long-lived thread, which writes all submitted entries in one transaction. No
    sync is ever skipped; under load, several entries share one. A single caller blocks its thread for about one sync,
    because waiting asynchronously would take twice as long.

    Attributes:
        leases: The leases by which processes that share this log share rate limits; None when they do not.
    """

    leases: Leases | None = None

    def share_rate_limits(self, leases: Callable[[Writer], Leases]) -> None:
        """Make the processes that share this log share rate limits too; `leases` makes the leases from its writer."""
        self.leases = leases(self._writer)

    async def append(
        self, entry: Entry, *, usage: Sequence[tuple[str, int]] = (), limits: Sequence[Limit] = ()
    ) -> Written:
        """Record an entry; it is durable when this returns.

        Args:
            entry: The entry.
            usage: The uses that it counts as, for limits: operation and number.
            limits: The limits it must keep to, checked in the same transaction.

        Raises:
            AuditError: it could not be written in time, so its call must not be sent.
            Refused: a limit is used up, or the agent is suspended; nothing was written.
        """
        if entry.action_type == "policy.loaded":
            entry = await self._without_known_text(entry)
        calls = entry.action_type == "connector.called"
        submission = Submission(Pending(entry, usage, limits, enforce_suspension=calls))
        alone = self._writer.submit(submission)
        if alone and self._writer.batch_seconds < PROMPT_SECONDS:
            began = time.monotonic()
            self._writer.wake()
            if submission.wait(MAX_BLOCK_SECONDS):
                TURN.blocked += time.monotonic() - began
                if TURN.blocked >= MAX_TURN_SECONDS:  # tasks that have become ready run before the next call
                    TURN.blocked = 0.0
                    await asyncio.sleep(0)
                return submission.record()
        await LoopIteration.of(self._writer, self._timeout).wait(submission)
        if submission.written.locked():
            submission.pending.cancelled = True
            raise AuditError(
                f"The audit log was not written within {self._timeout:g} s. Nothing was sent. Look for a slow disk or "
                "another process that holds it locked."
            )
        return submission.record()

    def append_soon(self, entry: Entry) -> None:
        """Record an entry with the next commit, within the idle time, without waiting for it.

        An entry that cannot be written is written with a later one. Until then every `append` fails, and `flush` and
        `aclose` raise.
        """
        self._writer.submit(Submission(Pending(entry)), urgent=False)

    async def flush(self) -> None:
        """Wait until every submitted entry is written. AuditError when one could not be."""
        if self._writer.opened:  # else nothing was submitted
            await self._on_thread(lambda store: None)
        if self._writer.broken:
            raise self._writer.broken

    async def suspend(self, agent_id: str, *, org_id: str, by: str, reason: str) -> None:
        """Suspend an agent, from its next call on, in every process, and record it.

        Raises:
            ValueError: no reason is given.
        """
        if not reason.strip():
            raise ValueError("a suspension needs a reason: refusals and records name it")
        await self._switch(agent_id, org_id, by, reason)

    async def resume(self, agent_id: str, *, org_id: str, by: str) -> None:
        """Resume a suspended agent, and record it."""
        await self._switch(agent_id, org_id, by, None)

    async def suspension(self, agent_id: str) -> str | None:
        """Return a sentence with the reason of an agent's suspension; None when it is not suspended."""
        reason = await self._on_thread(lambda store: store.suspended(agent_id))
        return None if reason is None else suspended_because(agent_id, reason)

    async def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Seal finished records, those before the oldest open intent, into a segment, and record it.

        The segments and the records after them verify as one log. A segment holds at most 100,000 records; call again
        while one is returned.

        Args:
            by: The person or process that seals them.

        Returns:
            The segment; None when there is nothing to seal.
        """
        return await self._on_thread(lambda store: store.rotate(by=by, org_id=org_id), patient=True)

    async def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove the sealed segments that hold only records from before a time, and record it."""
        until = before.astimezone(UTC)
        return await self._on_thread(lambda store: store.retain(until, by=by, org_id=org_id), patient=True)

    def keyed_hash(self, data: bytes) -> str:
        """Return HMAC-SHA256 of data with the log's key, as hex."""
        digest = self._writer.digest or self._writer.store().digest
        return digest(data)

    def before_close(self, work: Callable[[], None]) -> None:
        """Register a function that runs on another thread before the log is closed."""
        self._before_close.append(work)

    async def aclose(self) -> None:
        """Write the remaining entries and close the database, with the connections that were opened to read it.

        Raises:
            AuditError: a record could not be written.
        """
        while self._before_close:
            await asyncio.to_thread(self._before_close.pop())
        if self._readers_closing:  # not for ever: a server that hangs may keep one reading
            await asyncio.to_thread(wait, list(self._readers_closing), self._timeout)
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

    async def _without_known_text(self, entry: Entry) -> Entry:
        """Return the entry of a policy, without its text when an earlier record holds the same text."""
        digest = entry.metadata.get("digest")
        if not isinstance(digest, str) or not entry.metadata.get("text"):
            return entry
        if not await self._on_thread(lambda store: store.keeps_policy(digest)):
            return entry
        metadata = {name: value for name, value in entry.metadata.items() if name != "text"}
        return msgspec.structs.replace(entry, metadata=metadata)
