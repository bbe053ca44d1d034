"""Store a log in PostgreSQL, one chain for many hosts.

A writer locks the row of the chain's head until it has committed. A trigger updates the head, and refuses a record that
does not follow it. A confirmed commit is on the server's disk. When the connection is lost before the confirmation, the
writer looks the batch up by its ids under the lock, where the result is certain.

A process id has no meaning on another host, so every writer holds an advisory lock while it is connected. A writer
whose lock is held by no session of its own role is dead, and its open intents become `unknown`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import psycopg

from arx_wrapper.audit.chain import Chain, close_intent, dropped, windows
from arx_wrapper.audit.chain_state import Window
from arx_wrapper.audit.key import MARK, configured_key
from arx_wrapper.audit.record import Entry, hasher
from arx_wrapper.audit.storage.migrations import migrate
from arx_wrapper.audit.storage.postgres_connection import POOLED, Link, connect, explained
from arx_wrapper.audit.storage.postgres_leases import lease
from arx_wrapper.audit.storage.postgres_read_only import NO_KEY
from arx_wrapper.audit.storage.postgres_reader import PostgresReader, plain
from arx_wrapper.audit.storage.postgres_segments import next_segment
from arx_wrapper.audit.storage.postgres_writer_locks import hold_lock, locked, orphans
from arx_wrapper.audit.storage.segments import segment_entry
from arx_wrapper.audit.store import Pending, Segment, Written
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Lease, LeaseRequest

_NOT_THE_OWNER = (
    "Only the owner of the audit log's tables seals and removes records. Nothing was changed. Run this with the "
    "owner's address in ARX_AUDIT_URL."
)
_MAY_WRITE = "SELECT has_column_privilege('records', 'body', 'INSERT')"
_MAY_RETAIN = "SELECT has_function_privilege('may_retain()', 'EXECUTE')"
_LOCK = "SELECT seq, hash, reasons, backend, NULL FROM take_turn(%s)"
# The second function counts the uses once the first one holds the lock.
_LOCK_AND_COUNT = """
SELECT turn.seq, turn.hash, turn.reasons, turn.backend, uses FROM take_turn(%s) AS turn,
LATERAL used(turn.seq, %s::text[], %s::text[], %s::text[], %s::float[]) AS uses
"""
# Counts the rows as stored, because a trigger may drop or change inserted rows.
_INSERT = """
WITH given AS (SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[]) AS one(seq, id, hash, body)),
put AS (INSERT INTO records (seq, id, hash, body) SELECT * FROM given RETURNING seq, id, hash, body)
SELECT count(*) FROM put JOIN given USING (seq, id, hash, body)
"""
_RETAINS_WITHIN = 600
_INHERITED: list[Link | None] = []  # never closed, see `leave()`
_FIND = "SELECT seq, id, body, hash FROM records WHERE id = ANY (%s)"
_OPEN = "SELECT intent FROM open_intents WHERE intent = ANY (%s)"


class PostgresStore(PostgresReader):
    """One log in one PostgreSQL database. It connects on first use, and again when the connection was lost."""

    def __init__(
        self, given: Mapping[str, object], *, key: bytes | None, timeout: float, clock: Callable[[], datetime]
    ) -> None:
        secret = key or configured_key()
        if secret is None:
            raise AuditError(NO_KEY)
        super().__init__(lambda: self._connected(time.monotonic() + self._within), hasher(secret))
        self._given, self._clock = given, clock
        self._within = timeout * 0.8  # shorter than the log's own time-out, so that the error names the cause
        self._link: Link | None = None
        self._writer: int | None = None
        self._last: Sequence[Pending] = ()
        # Records whose commit was not confirmed, so that they may be in the log, and intents whose callers were told
        # that they are not in the log.
        self._unconfirmed: set[str] = set()
        self._reported_failed: dict[str, Entry] = {}

    def write(self, batch: Sequence[Pending]) -> None:
        wanted = [pending for pending in batch if not pending.cancelled]
        self._note_failed(pending for pending in self._last if pending.cancelled)
        self._last = wanted
        if not wanted:
            return
        until = time.monotonic() + self._within
        try:
            with explained("written"):
                try:
                    self._append(wanted, until)
                except psycopg.errors.LockNotAvailable:
                    raise AuditError(locked(self._connected(until))) from None
                except psycopg.OperationalError:
                    if not self._lost():
                        raise
                    self._append(wanted, until)
        except AuditError:
            self._lost()
            self._note_failed(pending for pending in wanted if pending.entry.id in self._unconfirmed)
            raise

    def reader(self) -> PostgresReader:
        """Return a connection for another thread."""
        with explained("read"):
            self._connected(time.monotonic() + self._within)
            link = connect(self._given, timeout=self._within, to_read=True)
            return PostgresReader(lambda: link, self.digest)

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Seal finished records; None when there are none. They stay in their table until retention removes them."""
        with self._retaining("sealed") as link, self._locked_chain(link) as chain:
            segment = next_segment(link, chain.seq, lambda size: self.tree().frontier(size))
            if segment is not None:
                chain.add(
                    [Pending(segment_entry(segment, "sealed", by, org_id, self.suspensions()))], now=self._clock()
                )
            return segment

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove the segments whose records are all older, and record it. Their hashes stay in the Merkle tree.

        Each segment is removed in its own transaction, so that other writers wait for one of them at a time.
        """
        removed = list[Segment]()
        with self._retaining("removed from") as link:
            for segment in self.expired(before):
                with self._locked_chain(link) as chain:
                    chain.add([Pending(segment_entry(segment, "removed", by, org_id))], now=self._clock())
                removed.append(segment)
        return removed

    def lease(self, request: LeaseRequest) -> Lease:
        """Lease a part of a rate limit that many processes share."""
        with explained("asked for the rate limit"):
            return lease(self._connected(time.monotonic() + self._within), request, self.digest)

    @contextmanager
    def _retaining(self, doing: str) -> Iterator[Link]:
        """Yield the connection of the tables' owner, with a longer time limit for statements."""
        with explained(doing, sent=" No record is lost."):
            link = self._connected(time.monotonic() + _RETAINS_WITHIN)
            if link.execute(_MAY_RETAIN).fetchone() != (True,):
                raise AuditError(_NOT_THE_OWNER)
            (before,) = link.execute("SELECT current_setting('statement_timeout')").fetchone() or ("",)
            link.execute("SELECT set_config('statement_timeout', %s, false)", (f"{_RETAINS_WITHIN}s",))
            try:
                yield link
            finally:
                if not link.closed:
                    link.execute("SELECT set_config('statement_timeout', %s, false)", (before,))

    def suspend(self, entry: Entry) -> None:
        """Record that an agent is suspended, or resumed."""
        with explained("written"):
            link = self._connected(time.monotonic() + self._within)
            with self._locked_chain(link) as chain:
                chain.add([Pending(entry)], now=self._clock())

    def suspended(self, agent_id: str) -> str | None:
        """Return the reason why an agent is suspended; None when it is not."""
        with explained("read"):
            link = self._connected(time.monotonic() + self._within)
            row = link.execute(_LOCK, ([plain(agent_id)],)).fetchone()
        return row[2].get(plain(agent_id)) if row else None

    def close(self) -> None:
        self._note_failed(pending for pending in self._last if pending.cancelled)
        if self._reported_failed:
            with contextlib.suppress(AuditError):  # then the next writer finds them without an outcome
                self.write([Pending(_refusal_of(entry)) for entry in self._reported_failed.values()])
        if self._link is not None:
            self._link.close()
            self._link = None

    def leave(self) -> None:
        """Leave the parent's connection open: closing it here would end the parent's session on the server."""
        _INHERITED.append(self._link)

    def _append(self, batch: Sequence[Pending], until: float) -> None:
        looked = {window: None for pending in batch for window in windows(pending)}
        agents = {pending.entry.agent_id for pending in batch if pending.enforce_suspension}
        link, now = self._connected(until), self._clock()
        with self._locked_chain(link, agents, looked) as chain:
            there = self._found(link, batch) if self._unconfirmed else {}
            chain.add(self._refusals(link), now=now)
            chain.add((pending for pending in batch if pending.entry.id not in there), now=now)
            self._unconfirmed.update(record.id for record in chain.records)
        for pending in batch:
            if found := there.get(pending.entry.id):
                pending.outcome = found
        self._unconfirmed.clear()
        self._reported_failed.clear()

    @contextmanager
    def _locked_chain(
        self, link: Link, agents: Collection[str] = (), looked: Collection[Window] = ()
    ) -> Iterator[Chain]:
        """Hold the writers' lock in a transaction; at its end, insert and commit the chain's new records."""
        with link.transaction():
            arguments = [[plain(agent) for agent in agents], *(_columns(looked, 4) if looked else ())]
            cursor = link.execute(_LOCK_AND_COUNT if looked else _LOCK, arguments)
            seq, head, reasons, backend, used = cursor.fetchone() or (0, "", {}, 0, [])
            if link.backend and backend != link.backend:
                raise AuditError(POOLED)
            suspended = {agent: reasons[plain(agent)] for agent in agents if plain(agent) in reasons}
            spent = dict(zip(looked, used or (), strict=True))
            chain = Chain(seq, head, self.digest, suspended, spent, str(self._writer or ""))
            yield chain
            if chain.records:
                rows = [(seq, record_id, mark, body.decode()) for seq, record_id, body, mark in chain.records]
                (there,) = link.execute(_INSERT, _columns(rows, 4)).fetchone() or (0,)
                if there != len(rows):
                    raise dropped(len(rows), there)

    def _found(self, link: Link, batch: Sequence[Pending]) -> dict[str, Written]:
        """Return the records of an unconfirmed batch that are in the log."""
        rows = link.execute(_FIND, ([pending.entry.id for pending in batch],))
        return {row[1]: Written(row[0], row[1], row[2].encode(), row[3]) for row in rows}

    def _refusals(self, link: Link) -> list[Pending]:
        """Return refusals for intents that are in the log although their callers were told of a failure."""
        if not self._reported_failed:
            return []
        there = link.execute(_OPEN, (list(self._reported_failed),))
        return [Pending(_refusal_of(self._reported_failed[intent])) for (intent,) in there]

    def _note_failed(self, batch: Iterable[Pending]) -> None:
        self._reported_failed |= {p.entry.id: p.entry for p in batch if p.entry.action_type == "connector.called"}

    def _connected(self, until: float) -> Link:
        if self._link is None or self._link.closed:
            self._link = None
            left = until - time.monotonic()
            if left <= 0:
                raise psycopg.errors.ConnectionTimeout("timeout expired")
            link = connect(self._given, timeout=left)
            try:
                link.deadline = until
                self._begin(link)
            except BaseException:
                link.close()
                raise
            self._link = link
        self._link.deadline = until
        return self._link

    def _begin(self, link: Link) -> None:
        """Create the tables, check the key, take this writer's lock, and close the intents of dead writers."""
        migrate(link)
        mark = self.digest(MARK)
        if link.execute("SELECT claim_key(%s)", (mark,)).fetchone() != (mark,):
            raise AuditError(
                "ARX_AUDIT_KEY is not the key of this audit log: it differs from the one that its first writer had. "
                "Nothing was sent. Set the same key on every host."
            )
        if link.execute(_MAY_WRITE).fetchone() != (True,):
            return  # an auditor's role only reads
        self._writer = hold_lock(link, self._writer)
        link.execute("SELECT forget_usage()")
        with self._locked_chain(link) as chain:
            dead = orphans(link, self._writer)
            gone = [Pending(close_intent(orphan, "connector.completed", "unknown", "ProcessDied")) for orphan in dead]
            chain.add(gone, now=self._clock())

    def _lost(self) -> bool:
        """Drop a broken connection; return True when there was one."""
        link = self._link
        if link is None or not (link.closed or link.info.transaction_status != psycopg.pq.TransactionStatus.IDLE):
            return False
        link.close()
        self._link = None
        return True


def _refusal_of(intent: Entry) -> Entry:
    return close_intent(intent, "connector.refused", "error", "AuditError")


def _columns(rows: Iterable[Sequence[object]], width: int) -> list[list[object]]:
    """Convert rows to one array for each column."""
    columns = zip(*rows, strict=True) if rows else [()] * width
    return [[plain(value) if isinstance(value, str) else value for value in column] for column in columns]
