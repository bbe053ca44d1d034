"""The end of a log in SQLite, in memory: the head, the state that follows from the chain, and records added to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from arx_wrapper.audit import blocks
from arx_wrapper.audit.chain import Chain, windows
from arx_wrapper.audit.record import GENESIS, Outline, outline_of
from arx_wrapper.audit.state import SWITCHES, ChainState, Key, Usage, counted_of
from arx_wrapper.audit.storage.sqlite_files import OpenFile
from arx_wrapper.audit.storage.sqlite_growth import grow
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.storage.sqlite_schema import schema_problem
from arx_wrapper.audit.store import Pending, Written
from arx_wrapper.audit.tiles import WIDTH, hashes_in
from arx_wrapper.errors import AuditError

_T = TypeVar("_T")
_ROWS: Final = 64
_INSERT: Final = "INSERT INTO audit (seq, id, hash, body) VALUES {}"
_WRITTEN: Final = "SELECT seq, id, hash, body FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq"


class SqliteChain(SqliteReader):
    """A log's file that records are added to, with what follows from the records kept in memory.

    Transactions are plain functions here, not context managers: every record goes through them.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        digest: Callable[[bytes], str],
        folder: Path | None,
        writer: str,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(database, digest, folder)
        self._writer, self._clock = writer, clock
        self._file: OpenFile | None = None
        self._seq, self._head, self._seen, self._schema = 0, GENESIS, -1, -1
        self._tail: list[tuple[Outline | None, bytes]] = []
        self._state, self._usage = ChainState(), Usage(self._uses)
        self._added: list[tuple[Outline, Written]] = []

    def _count_before(self, batch: Sequence[Pending]) -> None:
        """Count the uses that a limit asks about for the first time: many records, so not while others wait."""
        for pending in batch:
            for window in windows(pending) if pending.limits else ():
                if not self._usage.known(window):
                    self._usage.used(window, self._clock())

    def _transact(self, work: Callable[[], _T], *, catch_up: bool = True) -> _T:
        """Run something with the writers' lock and the state of the chain as it is now; commit at its end."""
        self._db.execute("BEGIN IMMEDIATE")
        self._added = []
        try:
            if self._file is not None:
                self._file.check()
            if catch_up:
                self._catch_up()
            result = work()
            self._db.execute("COMMIT")
        except BaseException:
            self._added = []
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        for outline, record in self._added:
            self._apply(outline, record.hash, record.body)
        self._added = []
        return result

    def _catch_up(self) -> None:
        """Take what other processes have added since into account, inside a transaction.

        Raises:
            AuditError: the records that this process knows are not there any more, or the tables were changed.
        """
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version == self._seen:
            return
        schema = self._db.execute("PRAGMA schema_version").fetchone()[0]
        if schema != self._schema and (problem := schema_problem(self._db)):
            raise AuditError(f"The audit log was tampered with: {problem}. Nothing was sent.")
        if self._seq == 0:
            self._load()
        head = self._db.execute("SELECT hash FROM audit WHERE seq = ?", (self._seq,)).fetchone()
        later = list(self.rows(after=self._seq))
        if self._seq and not later and head != (self._head,):
            raise AuditError(
                "The audit log is not the one that this process has written: its last records are gone or changed. "
                "Nothing was sent. Keep a copy as evidence, and run `arx-pagerduty audit verify`."
            )
        for seq, _, body, record_hash in later:
            if seq != self._seq + 1:
                raise AuditError(f"The audit log has no record {self._seq + 1}. Nothing was sent. Verify it.")
            self._apply(outline_of(body), record_hash, body)
        self._seen, self._schema = version, schema

    def _load(self) -> None:
        """Build the state from the records: from the oldest that may be open on, and from those of suspensions."""
        newest = self._last_seq()
        oldest = self._db.execute("SELECT min(since) FROM audit_writers").fetchone()[0]
        start = min(newest if oldest is None else oldest, newest // WIDTH * WIDTH + 1, newest)
        self._state.suspended = self.suspensions()
        begin, tail = newest // WIDTH * WIDTH, list[tuple[Outline | None, bytes]]()
        for seq, _, body, record_hash in self.rows(after=start - 1):
            outline = outline_of(body)
            if outline.action_type not in SWITCHES:  # those are in it already
                self._state.apply(outline)
            self._seq, self._head = seq, record_hash
            if seq > begin:
                tail.append((outline, body))
        self._tail = [(None, b"")] * (newest - begin - len(tail)) + tail  # retention may have removed the first of them

    def _apply(self, outline: Outline, record_hash: str, body: bytes) -> None:
        if outline.prev_hash != self._head:
            raise AuditError(
                f"Record {outline.seq} of the audit log does not follow the one before it. Nothing was sent. Verify it."
            )
        self._state.apply(outline)
        self._usage.apply(outline)
        self._seq, self._head = outline.seq, record_hash
        self._tail.append((outline, body))
        if len(self._tail) == WIDTH:
            self._tail = []

    def _add(self, batch: Sequence[Pending]) -> None:
        """Link entries and insert their records, inside a transaction; each is read back as it was written."""
        now = self._clock()
        kept = [pending for pending in batch if not pending.cancelled]
        used = {window: self._usage.used(window, now) for one in kept if one.limits for window in windows(one)}
        seq, head = (self._added[-1][0].seq, self._added[-1][1].hash) if self._added else (self._seq, self._head)
        chain = Chain(seq, head, self.digest, self._state.suspended, used, self._writer)
        chain.add(kept, now=now)
        if not chain.records:
            return
        rows = [(record.seq, record.id, record.hash, record.body.decode()) for record in chain.records]
        self._run(_INSERT, rows)
        there = self._db.execute(_WRITTEN, (rows[0][0], rows[-1][0])).fetchall()
        if there != rows:
            raise AuditError(
                f"The audit log took {len(rows)} records and holds {len(there)} of them as they were written: "
                "something in the database drops or changes records. Nothing was sent. Run `arx-pagerduty audit "
                "verify`."
            )
        added = list(zip(chain.outlines, chain.records, strict=True))
        if (len(self._tail) + len(self._added)) // WIDTH != (len(self._tail) + len(self._added) + len(added)) // WIDTH:
            self._grow(*([(outline, record.body) for outline, record in some] for some in (self._added, added)))
        self._added += added

    def _grow(self, before: Sequence[tuple[Outline, bytes]], added: Sequence[tuple[Outline, bytes]]) -> None:
        """Store the tiles and the index of the blocks that the last records of this transaction complete."""
        records = [*self._tail, *before, *added]
        first, gone = self._seq // WIDTH, self._gone()
        for number in range((len(self._tail) + len(before)) // WIDTH, len(records) // WIDTH):
            begin = (first + number) * WIDTH
            removed = hashes_in(self.tile(0, first + number) or b"")[: max(gone - begin, 0)]
            block = records[number * WIDTH + len(removed) : (number + 1) * WIDTH]
            outlines = [outline for outline, _ in block if outline is not None]
            grow(self._db, first + number, [body for _, body in block], outlines, removed)
        since = self._state.oldest_open(self._writer) or self._seq + 1
        self._db.execute("UPDATE audit_writers SET since = ? WHERE writer = ?", (since, self._writer))

    def _run(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for many rows at once: each gives the interpreter to a busy event loop, and waits for it."""
        done = 0
        while done < len(rows):
            count = min(_ROWS, 1 << (len(rows) - done).bit_length() - 1)  # of few sizes, which stay prepared
            some = rows[done : done + count]
            text = _for_rows(statement, count, len(some[0]))
            self._db.execute(text, [value for row in some for value in row])
            done += count

    def _uses(self, key: Key, since: str) -> Iterator[tuple[str, int]]:
        """Yield the uses of an operation by an agent that are in the log, oldest first."""
        org, agent, _ = key
        exact = "SELECT block FROM audit_terms WHERE term = ?"
        select = f"{exact} INTERSECT {exact} INTERSECT SELECT number FROM audit_blocks WHERE latest > ?"  # noqa: S608
        values = (blocks.ORG + org, blocks.AGENT + agent, since)
        statement = "SELECT body FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq"
        for database, (first, last) in self._places(self._numbers(select, values)):
            for (body,) in database.execute(statement, (first, min(last, self._seq))):
                outline = outline_of(body)
                if outline.created_at > since:
                    yield from ((outline.created_at, count) for whose, count in counted_of(outline) if whose == key)


@cache
def _for_rows(statement: str, count: int, width: int) -> str:
    return statement.format(", ".join([f"({', '.join('?' * width)})"] * count))
