"""Append records to a log in SQLite, with the chain's head and the state derived from it in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from arx_wrapper.audit.chain import Chain, dropped, windows
from arx_wrapper.audit.chain_state import KEPT_AT_ONCE, ChainState, Key, Usage, counted_of
from arx_wrapper.audit.record import GENESIS, Outline
from arx_wrapper.audit.storage.sqlite_files import OpenFile
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.storage.sqlite_schema import schema_problem
from arx_wrapper.audit.storage.sqlite_state import intact, store_snapshot, stored_snapshot, uses_after
from arx_wrapper.audit.storage.sqlite_tiles import store_block_and_tiles
from arx_wrapper.audit.storage.sqlite_wal import WalReserve
from arx_wrapper.audit.store import Pending, Written
from arx_wrapper.audit.tiles import WIDTH, hashes_in
from arx_wrapper.errors import AuditError

_T = TypeVar("_T")
# The most records that one statement inserts.
_ROWS: Final = 64
_INSERT: Final = "INSERT INTO audit (seq, id, hash, body) VALUES "
_INSERTS: Final = {
    1 << power: _INSERT + ", ".join(["(?, ?, ?, ?)"] * (1 << power)) for power in range(_ROWS.bit_length())
}
_INSERTED: Final = "SELECT seq, id, hash, body FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq"


class SqliteChain(SqliteReader):
    """A log's file that is open for writing, with the state derived from its records in memory.

    Transactions are plain functions and not context managers, because every record needs them and they are faster.
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
        self._wal_reserve: WalReserve | None = None
        self._seq, self._head = -1, GENESIS  # of the last record known here; -1 before the log is loaded
        self._data_version, self._schema_version = -1, -1  # SQLite's, when the log was last read here
        self._tail: list[tuple[Outline | None, bytes]] = []  # the records after the last complete block
        self._last_mark = ""  # the mark of the last complete block's index
        self._new_mark = ""  # the mark of the last block that this transaction completes
        self._state, self._usage = ChainState(), Usage(self._uses)
        self._added: list[tuple[Outline, Written]] = []  # this transaction's records

    def _count_before(self, batch: Sequence[Pending]) -> None:
        """Load the uses that limits need for the first time. This reads many records, so it runs without the lock."""
        for pending in batch:
            for window in windows(pending) if pending.limits else ():
                if not self._usage.known(window):
                    self._usage.used(window, self._clock())

    def _transact(self, work: Callable[[], _T], *, catch_up: bool = True) -> _T:
        """Run a function with the writers' lock and the present state of the chain, and commit."""
        self._db.execute("BEGIN IMMEDIATE")
        self._added, self._new_mark = [], ""
        try:
            if self._file is not None:
                self._file.check()
            if self._wal_reserve is not None:
                self._wal_reserve.keep()
            if catch_up:
                self._catch_up()
            result = work()
            self._db.execute("COMMIT")
        except BaseException:
            self._added = []
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._take_over_added()
        self._added, self._last_mark = [], self._new_mark or self._last_mark
        return result

    def _take_over_added(self) -> None:
        """Add this transaction's records to the state in memory, now that they are committed and linked."""
        if not self._added:
            return
        apply, use, tail = self._state.apply, self._usage.apply, self._tail
        for outline, record in self._added:
            apply(outline)
            use(outline)
            tail.append((outline, record.body))
        del tail[: len(tail) // WIDTH * WIDTH]
        self._seq, self._head = outline.seq, record.hash

    def _catch_up(self) -> None:
        """Read the records that other processes have added, inside a transaction.

        Raises:
            AuditError: records that this process knows were removed or changed, or the tables were changed.
        """
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version == self._data_version:
            return
        schema = self._db.execute("PRAGMA schema_version").fetchone()[0]
        if schema != self._schema_version and (problem := schema_problem(self._db)):
            raise AuditError(f"The audit log was tampered with: {problem}. Nothing was sent.")
        if self._seq < 0:
            self._load()
        later = list(intact(self.rows(after=self._seq), self._seq, self.digest))
        if self._seq and not later and self._stored_hash(self._seq) != self._head:
            raise AuditError(
                "The audit log is not the one that this process has written: its last records are gone or changed. "
                "Nothing was sent. Keep a copy as evidence, and run `arx-pagerduty audit verify`."
            )
        before = self._seq // WIDTH
        for outline, body, record_hash in later:
            self._apply(outline, record_hash, body)
        if self._seq // WIDTH != before:
            self._last_mark = stored_snapshot(self._db, self.digest).block
        self._data_version, self._schema_version = version, schema

    def _load(self) -> None:
        """Load the state from the stored snapshot and the records after it."""
        found = self.loaded(self.digest)
        self._state, self._last_mark, self._tail = found.state, found.block, found.tail
        self._seq, self._head = found.seq, found.head

    def _stored_hash(self, seq: int) -> str | None:
        row = self._db.execute("SELECT hash FROM audit WHERE seq = ?", (seq,)).fetchone()
        return row[0] if row else None

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
        """Link entries and insert their records, inside a transaction."""
        now = self._clock()
        kept = [pending for pending in batch if not pending.cancelled]
        used = {window: self._usage.used(window, now) for one in kept if one.limits for window in windows(one)}
        seq, head = (self._added[-1][0].seq, self._added[-1][1].hash) if self._added else (self._seq, self._head)
        chain = Chain(seq, head, self.digest, self._state.suspended, used, self._writer)
        chain.add(kept, now=now)
        if not chain.records:
            return
        self._insert(chain.records)
        added = list(zip(chain.outlines, chain.records, strict=True))
        filled = len(self._tail) + len(self._added)
        full = filled // WIDTH != (filled + len(added)) // WIDTH
        if full:
            self._store_full_blocks(
                *([(outline, record.body) for outline, record in some] for some in (self._added, added))
            )
        self._added += added
        if full or any(outline.action_type in KEPT_AT_ONCE for outline in chain.outlines):
            self._store_state()

    def _insert(self, records: Sequence[Written]) -> None:
        """Insert records, and check that the database holds them unchanged."""
        before, done, count = self._db.total_changes, 0, len(records)
        while done < count:  # many rows at once, because each statement releases the GIL and waits to get it back
            size = min(_ROWS, 1 << (count - done).bit_length() - 1)  # few different sizes, so that SQLite reuses them
            values: list[object] = []
            for seq, record_id, body, record_hash in records[done : done + size]:
                values += (seq, record_id, record_hash, body.decode())
            cursor = self._db.execute(_INSERTS[size], values)
            done += size
        # A trigger that drops or removes records changes one of these; then the records are read back.
        if self._db.total_changes - before == count and cursor.lastrowid == records[-1].seq:
            return
        rows = [(record.seq, record.id, record.hash, record.body.decode()) for record in records]
        there = self._db.execute(_INSERTED, (rows[0][0], rows[-1][0])).fetchall()
        if there != rows:
            raise dropped(len(rows), len(there))

    def _store_state(self) -> None:
        """Store the state after this transaction's records, with the log's keyed hash."""
        state = self._state.copy()
        for added, _ in self._added:
            state.apply(added)
        outline, record = self._added[-1]
        snapshot = state.snapshot(outline.seq, record.hash, self._new_mark or self._last_mark)
        store_snapshot(self._db, snapshot, self.digest)

    def _store_full_blocks(
        self, before: Sequence[tuple[Outline, bytes]], added: Sequence[tuple[Outline, bytes]]
    ) -> None:
        """Store the tiles and the index of each block that this transaction's records complete."""
        records = [*self._tail, *before, *added]
        first, gone = self._seq // WIDTH, self._gone()
        for number in range((len(self._tail) + len(before)) // WIDTH, len(records) // WIDTH):
            begin = (first + number) * WIDTH
            removed = hashes_in(self.tile(0, first + number) or b"")[: max(gone - begin, 0)]
            block = records[number * WIDTH + len(removed) : (number + 1) * WIDTH]
            outlines = [outline for outline, _ in block if outline is not None]
            self._new_mark = store_block_and_tiles(
                self._db, first + number, [body for _, body in block], outlines, self.digest, removed
            )
        since = self._state.oldest_open(self._writer) or self._seq + 1
        self._db.execute("UPDATE audit_writers SET since = ? WHERE writer = ?", (since, self._writer))

    def _uses(self, key: Key, since: str) -> Iterator[tuple[str, int]]:
        """Yield the uses of an operation by an agent that are in the log, oldest first.

        Raises:
            AuditError: a block's index is missing, or the log's key did not write it.
        """
        gone = self._state.removed
        whole = range(-(-gone // WIDTH), self._seq // WIDTH)
        found, complete = list[Sequence[tuple[str, int]]](), False
        if whole:
            found, complete = uses_after(self._db, self.digest, key, since, whole, self._last_mark)
        if not complete:
            yield from self._counted(self._partly_removed(gone, whole.start * WIDTH), key, since)
        for uses in reversed(found):
            yield from (use for use in uses if use[0] > since)
        yield from self._counted([outline for outline, _ in self._tail if outline is not None], key, since)

    def _partly_removed(self, gone: int, end: int) -> list[Outline]:
        """Return the remaining records of a block whose first records retention removed; it has no index."""
        if gone >= min(end, self._seq // WIDTH * WIDTH):
            return []
        return [outline for outline, _, _ in intact(self.rows(after=gone, until=end), gone, self.digest)]

    def _counted(self, outlines: Sequence[Outline], key: Key, since: str) -> Iterator[tuple[str, int]]:
        for outline in outlines:
            if outline.created_at > since:
                yield from ((outline.created_at, count) for whose, count in counted_of(outline) if whose == key)
