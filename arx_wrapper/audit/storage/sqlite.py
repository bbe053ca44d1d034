"""SQLite: one machine, any number of processes and threads, one chain.

WAL with `synchronous=FULL`: a commit that returned is on disk. `BEGIN IMMEDIATE` serialises the writers. Each keeps the
head of the chain in memory, and within its transaction reads the records that others have added, so no two records can
follow the same one; a trigger holds that even against a writer that does not play by the rules.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from arx_wrapper.audit import blocks
from arx_wrapper.audit.chain import Chain, close_intent, windows
from arx_wrapper.audit.key import MARK, NOT_THE_KEY, configured_key, made_key
from arx_wrapper.audit.record import GENESIS, AuditRecord, Entry, hasher, outline_of
from arx_wrapper.audit.state import SWITCHES, ChainState, Key, Usage, counted_of
from arx_wrapper.audit.storage.segments import detach, expired, seal, segment_entry, segments
from arx_wrapper.audit.storage.sqlite_files import PATIENCE, OpenFile, connected, explained, opened_to_read
from arx_wrapper.audit.storage.sqlite_growth import Progress, convert, grow
from arx_wrapper.audit.storage.sqlite_opening import has_records
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.storage.sqlite_schema import VERSION, schema_problem, statements
from arx_wrapper.audit.storage.writers import WriterLock, forget, gone
from arx_wrapper.audit.store import Pending, Segment, Written
from arx_wrapper.audit.tiles import HASH, WIDTH, hashes_in
from arx_wrapper.errors import AuditError
from arx_wrapper.files import private_file

_ROWS: Final = 64
_CONVERTED_AT_ONCE: Final = 20_000
_TOO_LARGE: Final = (
    "The audit log has the format of an earlier version, and {count} records. Nothing was sent. Convert it, once, with "
    "`arx-pagerduty audit migrate`; that takes about {seconds} s."
)


class SqliteStore(SqliteReader):
    """One log in one SQLite file."""

    def __init__(
        self, path: str, *, key: bytes | None, clock: Callable[[], datetime], progress: Progress | None = None
    ) -> None:
        self._path, self._clock, self._progress = path, clock, progress
        self._last: Sequence[Pending] = ()
        self._seq, self._head, self._seen = 0, GENESIS, (-1, -1)
        self._tail: list[bytes] = []
        self._state, self._usage = ChainState(), Usage(self._uses)
        self._added: list[Written] = []
        self._file: OpenFile | None = None
        try:
            secret = key or configured_key() or made_key(path, has_records=lambda: has_records(path))
            if path != ":memory:":
                private_file(Path(path))
            super().__init__(connected(path), hasher(secret), None if path == ":memory:" else Path(path).parent)
            self._lock = WriterLock(path)
            try:
                self._begin()
            except BaseException:
                self._lock.remove()
                self._lock.release()
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise AuditError(
                f"The audit log cannot be opened: {error}. Nothing was sent. Look at the file and its folder, or name "
                "another in ARX_AUDIT_URL."
            ) from None

    def write(self, batch: Sequence[Pending]) -> None:
        with explained("written"):
            for window in {window for pending in batch for window in windows(pending)}:
                if not self._usage.known(window):  # may read many records, so not while others wait for the lock
                    self._usage.used(window, self._clock())
            with self._transaction():
                self._add([*self._reported_failed(), *batch])
        self._last = batch

    def reader(self) -> SqliteReader | None:
        """A connection for another thread; None for a log in memory, which has but this one."""
        if self._path == ":memory:":
            return None
        return SqliteReader(opened_to_read(self._path), self.digest, Path(self._path).parent)

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Move settled records into a sealed segment; None when there are none to move."""
        if self._path == ":memory:":
            raise AuditError("A log in memory has no segments.")
        try:
            segment = seal(self._db, Path(self._path), self._settled, lambda size: self.tree().frontier(size))
            if segment is None:
                return None
            try:
                return segment if self._detached(segment, by, org_id) else None
            finally:
                if segment.file not in {known.file for known in segments(self._db)}:
                    (Path(self._path).parent / segment.file).unlink()  # a copy of records that are still in the log
        except (sqlite3.Error, OSError) as error:
            raise AuditError(f"The audit log cannot be rotated: {error}. No record is lost.") from None

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove the segments whose records are all older; their hashes stay in the tree, and the removal on record."""
        with explained("written"), self._transaction():
            removed = expired(self._db, before)
            kept = list(self.tree().tail) if removed else []
            self._add([Pending(segment_entry(segment, "removed", by, org_id)) for segment in removed])
            for segment in removed:
                self._db.execute("UPDATE audit_segments SET removed = 1 WHERE first = ?", (segment.first,))
            if removed:
                first_kept = -(-removed[-1].last // WIDTH)
                self._db.execute("DELETE FROM audit_blocks WHERE number < ?", (first_kept,))
                self._db.execute("DELETE FROM audit_terms WHERE block < ?", (first_kept,))
                self._keep_hashes(removed[-1].last, kept)
        for segment in segments(self._db):
            if segment.removed:  # now, or before a crash
                (Path(self._path).parent / segment.file).unlink(missing_ok=True)
        return removed

    def _keep_hashes(self, last: int, tail: Sequence[bytes]) -> None:
        """Keep the leaf hashes of removed records whose tile is not full yet."""
        number, count = last // WIDTH, last % WIDTH
        if len(self.tile(0, number) or b"") < count * HASH:
            self._db.execute("INSERT OR REPLACE INTO audit_tiles VALUES (0, ?, ?)", (number, b"".join(tail[:count])))

    def suspended(self, agent_id: str) -> str | None:
        """Return why an agent is suspended; None when it is not."""
        with explained("read"):
            self._db.execute("BEGIN")
            try:
                self._catch_up()
                return self._state.suspended.get(agent_id)
            finally:
                self._db.execute("ROLLBACK")

    def suspend(self, entry: Entry) -> None:
        """Record that an agent is suspended, or goes on."""
        with explained("written"), self._transaction():
            self._add([Pending(entry)])

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error, AuditError):  # a log that is full or gone is closed all the same
            if self._reported_failed():
                self.write([])
            # With an intent that nothing has answered yet it stays, for the next process to find.
            if self._state.oldest_open(self._lock.writer) is None:
                self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (self._lock.writer,))
                self._lock.remove()
        self._lock.release()
        self._db.close()

    def _begin(self) -> None:
        self._into_wal()
        self._db.execute("PRAGMA synchronous=FULL")
        with self._locked():
            carried = self._make_tables()
            if self._path != ":memory:":
                self._file = OpenFile(self._path)
            self._catch_up()
            self._settle_orphans()
            self._add(
                Pending(_carried_over(agent, reason))
                for agent, reason in carried.items()
                if agent not in self._state.suspended
            )

    def _make_tables(self) -> Mapping[str, str]:
        """Make or convert the tables, or check that they are of this version and this key.

        Returns:
            The suspensions that an earlier version kept beside the chain.
        """
        version = self.version()
        if version == 0:
            for statement in statements():
                self._db.execute(statement)
            self._db.execute("INSERT INTO audit_meta VALUES ('key_mark', ?)", (self.digest(MARK),))
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        elif version == 1:
            count = self._last_seq()
            if count > _CONVERTED_AT_ONCE and self._progress is None:
                raise AuditError(_TOO_LARGE.format(count=count, seconds=max(1, count // 50_000)))
            return convert(self, self._db, self._progress)
        elif version != VERSION:
            raise AuditError(
                f"The audit log has format {version}, this version of arx-pagerduty writes {VERSION}. Nothing was "
                "sent. Use the version that wrote it, or name another file in ARX_AUDIT_URL."
            )
        elif self.key_problem():
            raise AuditError(f"{NOT_THE_KEY} Nothing was sent.")
        return {}

    def _detached(self, segment: Segment, by: str, org_id: str) -> bool:
        """Return whether the records of a segment left the live file; not when another process was first."""
        with self._transaction():
            if self._db.execute("SELECT min(seq) FROM audit").fetchone()[0] != segment.first:
                return False
            self._add([Pending(segment_entry(segment, "sealed", by, org_id, self._state.suspended))])
            detach(self._db, segment)
            return True

    def _settled(self) -> int:
        self._catch_up()
        return min((intent.seq for intent in self._state.open.values()), default=self._seq + 1) - 1

    def _reported_failed(self) -> list[Pending]:
        """Return refusals of intents that were written after their callers had given them up: they did not go on."""
        return [
            Pending(close_intent(pending.entry, "connector.refused", "error", "AuditError"))
            for pending in self._last
            if pending.cancelled and isinstance(pending.outcome, Written) and pending.enforce_suspension
        ]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold the writers' lock, with the state of the chain as it is now; commit at the end."""
        if self._file:
            self._file.check()
        with self._locked():
            self._catch_up()
            yield
        if self._file:
            self._file.check()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        self._added = []
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._added = []
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        for record in self._added:
            self._apply(record.seq, record.hash, record.body)
        self._added = []

    def _catch_up(self) -> None:
        """Take what other processes have added since into account, inside a transaction.

        Raises:
            AuditError: the records that this process knows are not there any more, or the tables were changed.
        """
        seen = (
            self._db.execute("PRAGMA data_version").fetchone()[0],
            self._db.execute("PRAGMA schema_version").fetchone()[0],
        )
        if seen == self._seen:
            return
        if seen[1] != self._seen[1] and (problem := schema_problem(self._db)):
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
            self._apply(seq, record_hash, body)
        self._seen = seen

    def _load(self) -> None:
        """Build the state from the records: from the oldest that may be open on, and from those of suspensions."""
        newest = self._last_seq()
        oldest = self._db.execute("SELECT min(since) FROM audit_writers").fetchone()[0]
        start = min(newest if oldest is None else oldest, newest // WIDTH * WIDTH + 1, newest)
        self._state.suspended = self.suspensions()
        begin, bodies = newest // WIDTH * WIDTH, list[bytes]()
        for seq, _, body, record_hash in self.rows(after=start - 1):
            outline = outline_of(body)
            if outline.action_type not in SWITCHES:  # those are in it already
                self._state.apply(outline)
            self._seq, self._head = seq, record_hash
            if seq > begin:
                bodies.append(body)
        self._tail = [b""] * (newest - begin - len(bodies)) + bodies  # retention may have removed the first of them

    def _apply(self, seq: int, record_hash: str, body: bytes) -> None:
        outline = outline_of(body)
        if outline.prev_hash != self._head:
            raise AuditError(
                f"Record {seq} of the audit log does not follow the one before it. Nothing was sent. Verify it."
            )
        self._state.apply(outline)
        self._usage.apply(outline)
        self._seq, self._head = seq, record_hash
        self._tail.append(body)
        if len(self._tail) == WIDTH:
            self._tail = []

    def _add(self, batch: Iterable[Pending]) -> None:
        now = self._clock()
        kept = [pending for pending in batch if not pending.cancelled]
        if not kept:
            return
        used = {window: self._usage.used(window, now) for pending in kept for window in windows(pending)}
        before = self._added[-1] if self._added else None
        chain = Chain(
            before.seq if before else self._seq,
            before.hash if before else self._head,
            digest=self.digest,
            suspended=self._state.suspended,
            used=used,
            writer=self._lock.writer,
        )
        chain.add(kept, now=now)
        rows = [(record.seq, record.id, record.hash, record.body.decode()) for record in chain.records]
        self._run("INSERT INTO audit (seq, id, hash, body) VALUES {}", rows)
        if rows:
            place = (rows[0][0], rows[-1][0])
            there = self._db.execute(
                "SELECT seq, id, hash, body FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq", place
            ).fetchall()
            if there != rows:
                raise AuditError(
                    f"The audit log took {len(rows)} records and holds {len(there)} of them as they were written: "
                    "something in the database drops or changes records. Nothing was sent. Run `arx-pagerduty audit "
                    "verify`."
                )
            self._grow(chain.records)
        self._added += chain.records

    def _grow(self, records: Sequence[Written]) -> None:
        """Store the tiles and the index of the blocks that some records complete."""
        bodies = [*self._tail, *(record.body for record in self._added), *(record.body for record in records)]
        done = (len(self._tail) + len(self._added)) // WIDTH
        if len(bodies) // WIDTH == done:
            return
        first, gone = self._seq // WIDTH, self._gone()
        for number in range(done, len(bodies) // WIDTH):
            begin = (first + number) * WIDTH
            removed = hashes_in(self.tile(0, first + number) or b"")[: max(gone - begin, 0)]
            block = bodies[number * WIDTH + len(removed) : (number + 1) * WIDTH]
            grow(self._db, first + number, block, removed)
        since = self._state.oldest_open(self._lock.writer) or self._seq + 1
        self._db.execute("UPDATE audit_writers SET since = ? WHERE writer = ?", (since, self._lock.writer))

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

    def _settle_orphans(self) -> None:
        """Give the intents of processes that died their outcome: unknown. Intents of living ones are in progress."""
        known = {row[0] for row in self._db.execute("SELECT writer FROM audit_writers")}
        writers = known | {intent.writer for intent in self._state.open.values()}
        dead = [writer for writer in writers if gone(self._path, writer)]
        orphans = sorted((i.seq, intent_id) for intent_id, i in self._state.open.items() if i.writer in dead)
        found = [AuditRecord.parse(*self._stored(seq)) for seq, _ in orphans]
        self._add(Pending(close_intent(one, "connector.completed", "unknown", "ProcessDied")) for one in found)
        for writer in dead:
            self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (writer,))
            forget(self._path, writer)
        row = (self._lock.writer, self._seq + len(self._added) + 1)
        self._db.execute("INSERT INTO audit_writers VALUES (?, ?)", row)

    def _stored(self, seq: int) -> tuple[bytes, str]:
        for database, place in self._places([(seq, seq)]):
            for row in database.execute("SELECT CAST(body AS BLOB), hash FROM audit WHERE seq BETWEEN ? AND ?", place):
                return row[0], row[1]
        raise AuditError(f"The audit log has no record {seq}. Nothing was sent. Verify it.")

    def _into_wal(self) -> None:
        """Statements wait for other processes; this change alone does not, and several may open a log at once."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)


@cache
def _for_rows(statement: str, count: int, width: int) -> str:
    return statement.format(", ".join([f"({', '.join('?' * width)})"] * count))


def _carried_over(agent_id: str, reason: str) -> Entry:
    return Entry(
        action_type="agent.suspended",
        status="success",
        org_id="*",
        agent_id=agent_id,
        connector="*",
        reason=reason,
        metadata={"by": "arx-pagerduty audit migrate"},
    )
