"""Store a log in SQLite, for any number of processes and threads on one machine.

WAL with `synchronous=FULL`: a confirmed commit is on disk. `BEGIN IMMEDIATE` serialises the writers. Each writer keeps
the head of the chain in memory, and within its transaction reads the records that other writers have added. So no two
records can follow the same one; a trigger enforces that for other programs as well.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from arx_wrapper.audit.chain import close_intent
from arx_wrapper.audit.chain_state import ChainState
from arx_wrapper.audit.key import MARK, NOT_THE_KEY, configured_key, made_key
from arx_wrapper.audit.record import GENESIS, AuditRecord, Entry, hasher
from arx_wrapper.audit.storage.segments import segment_entry
from arx_wrapper.audit.storage.sqlite_chain import SqliteChain
from arx_wrapper.audit.storage.sqlite_conversion import Progress, convert
from arx_wrapper.audit.storage.sqlite_files import (
    PATIENCE,
    OpenFile,
    connected,
    damaged,
    explained,
    opened_to_read,
    require_locks,
    require_plain_file,
    unusable,
    use_wal,
    wait_for_locks,
)
from arx_wrapper.audit.storage.sqlite_read_only import has_records
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.storage.sqlite_schema import EARLIER, VERSION, statements
from arx_wrapper.audit.storage.sqlite_segments import detach, expired, seal, segments
from arx_wrapper.audit.storage.sqlite_state import altered, store_snapshot
from arx_wrapper.audit.storage.sqlite_wal import WalReserve
from arx_wrapper.audit.storage.sqlite_writer_locks import WriterLock, forget, has_ended
from arx_wrapper.audit.store import Pending, Segment, Written
from arx_wrapper.audit.tiles import HASH, WIDTH
from arx_wrapper.errors import AuditError
from arx_wrapper.files import private_file

_CONVERTED_AT_ONCE: Final = 20_000
_TOO_LARGE: Final = (
    "The audit log has the format of an earlier version, and {count} records. Nothing was sent. Convert it, once, with "
    "`arx-pagerduty audit migrate`; that takes about {seconds} s."
)


class SqliteStore(SqliteChain):
    """One log in one SQLite file."""

    def __init__(
        self,
        path: str,
        *,
        key: bytes | None,
        clock: Callable[[], datetime],
        patience: float = PATIENCE,
        progress: Progress | None = None,
    ) -> None:
        self._path, self._clock, self._progress = path, clock, progress
        self._patience, until = patience, time.monotonic() + patience
        self._last: Sequence[Pending] = ()
        self._file: OpenFile | None = None
        try:
            require_plain_file(path)
            secret = key or configured_key() or made_key(path, has_records=lambda: has_records(path, patience=patience))
            if path != ":memory:":
                private_file(Path(path))
            lock = WriterLock(path)
            folder = None if path == ":memory:" else Path(path).parent
            super().__init__(connected(path, patience=patience), hasher(secret), folder, lock.writer, clock)
            self._lock = lock
            try:
                self._begin(until)
            except BaseException:
                self._lock.remove()
                self._release()
                raise
        except (sqlite3.Error, OSError) as error:
            raise AuditError(
                f"The audit log cannot be opened: {error}. Nothing was sent. Look at the file and its folder, or name "
                "another in ARX_AUDIT_URL."
            ) from None
        except (TypeError, ValueError) as error:
            raise damaged(error) from error

    def write(self, batch: Sequence[Pending]) -> None:
        try:
            self._count_before(batch)
            self._transact(lambda: self._add([*self._reported_failed(), *batch] if self._last else batch))
        except sqlite3.Error as error:
            raise unusable("written", error) from None
        self._last = batch if any(pending.enforce_suspension for pending in batch) else ()

    def reader(self) -> SqliteReader | None:
        """Return a connection for another thread; None for a log in memory, which has only this one."""
        if self._path == ":memory:":
            return None
        return SqliteReader(opened_to_read(self._path, patience=self._patience), self.digest, Path(self._path).parent)

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Move finished records into a sealed segment; None when there are none."""
        if self._path == ":memory:":
            raise AuditError("A log in memory has no segments.")
        try:
            segment = seal(self._db, Path(self._path), self._last_finished, lambda size: self.tree().frontier(size))
            if segment is None:
                return None
            try:
                return segment if self._detached(segment, by, org_id) else None
            finally:
                if segment.file not in {known.file for known in segments(self._db)}:
                    (Path(self._path).parent / segment.file).unlink()  # a copy; the records are still in the log
        except (sqlite3.Error, OSError) as error:
            raise AuditError(f"The audit log cannot be rotated: {error}. No record is lost.") from None

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove the segments whose records are all older, and record it. Their hashes stay in the Merkle tree."""
        with explained("written"):
            removed = self._transact(lambda: self._remove(before, by, org_id))
        for segment in segments(self._db):
            if segment.removed:  # by this call, or by one that crashed before it deleted the file
                (Path(self._path).parent / segment.file).unlink(missing_ok=True)
        return removed

    def _remove(self, before: datetime, by: str, org_id: str) -> Sequence[Segment]:
        removed = expired(self._db, before)
        if not removed:
            return removed
        kept, first_kept = list(self.tree().tail), -(-removed[-1].last // WIDTH)
        self._add([Pending(segment_entry(segment, "removed", by, org_id)) for segment in removed])
        for segment in removed:
            self._db.execute("UPDATE audit_segments SET removed = 1 WHERE first = ?", (segment.first,))
        self._db.execute("DELETE FROM audit_blocks WHERE number < ?", (first_kept,))
        self._db.execute("DELETE FROM audit_terms WHERE block < ?", (first_kept,))
        self._keep_hashes(removed[-1].last, kept)
        return removed

    def _keep_hashes(self, last: int, tail: Sequence[bytes]) -> None:
        """Keep the leaf hashes of removed records whose tile is not full yet."""
        number, count = last // WIDTH, last % WIDTH
        if len(self.tile(0, number) or b"") < count * HASH:
            self._db.execute("INSERT OR REPLACE INTO audit_tiles VALUES (0, ?, ?)", (number, b"".join(tail[:count])))

    def leave(self) -> None:
        """Close the parent's connection in the child of a fork, and the descriptor of its lock.

        The connection is idle, because no fork happens while it is used. SQLite keeps a process's locks for each file.
        While the parent's connection exists here, a new one in this process would take no locks, and the log's side
        files would be removed with the parent's last connection.
        """
        self._release()

    def suspended(self, agent_id: str) -> str | None:
        """Return the reason why an agent is suspended; None when it is not."""
        with explained("read"):
            self._db.execute("BEGIN")
            try:
                self._catch_up()
                return self._state.suspended.get(agent_id)
            finally:
                self._db.execute("ROLLBACK")

    def suspend(self, entry: Entry) -> None:
        """Record that an agent is suspended, or resumed."""
        with explained("written"):
            self._transact(lambda: self._add([Pending(entry)]))

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error, AuditError):  # close it even when the disk is full or the file removed
            if self._reported_failed():
                self.write([])
            # While an intent has no outcome, the writer's row and lock file stay, so that the next process finds it.
            if self._state.oldest_open(self._lock.writer) is None:
                self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (self._lock.writer,))
                self._lock.remove()
        self._release()

    def _release(self) -> None:
        self._lock.release()
        if self._wal_reserve is not None:
            self._wal_reserve.close()
            self._wal_reserve = None
        self._db.close()

    def _begin(self, until: float) -> None:
        use_wal(self._db, until)
        self._db.execute("PRAGMA synchronous=FULL")
        wait_for_locks(self._db, until - time.monotonic())
        self._transact(self._prepare, catch_up=False)
        wait_for_locks(self._db, self._patience)

    def _prepare(self) -> None:
        carried = self._make_tables()
        if self._path != ":memory:":
            require_locks(self._path)
            self._file, self._wal_reserve = OpenFile(self._path), WalReserve(self._path)
        self._catch_up()
        self._close_orphans()
        self._add(
            [
                Pending(_carried_over(agent, reason))
                for agent, reason in carried.items()
                if agent not in self._state.suspended
            ]
        )

    def _make_tables(self) -> Mapping[str, str]:
        """Create or convert the tables, or check that they have this version and this key.

        Returns:
            The suspensions that an earlier version stored outside the chain.
        """
        version = self.version()
        if version == 0:
            for statement in statements():
                self._db.execute(statement)
            self._db.execute("INSERT INTO audit_meta VALUES ('key_mark', ?)", (self.digest(MARK),))
            store_snapshot(self._db, ChainState().snapshot(0, GENESIS, ""), self.digest)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        elif version == EARLIER:
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
        """Remove a sealed segment's records from the live file; return False when another process did so first."""

        def leave() -> bool:
            if self._db.execute("SELECT min(seq) FROM audit").fetchone()[0] != segment.first:
                return False
            self._add([Pending(segment_entry(segment, "sealed", by, org_id, self._state.suspended))])
            detach(self._db, segment)
            return True

        return self._transact(leave)

    def _last_finished(self) -> int:
        self._catch_up()
        return min((intent.seq for intent in self._state.open.values()), default=self._seq + 1) - 1

    def _reported_failed(self) -> list[Pending]:
        """Return refusals for intents that were written after their callers had been told of a failure."""
        return [
            Pending(close_intent(pending.entry, "connector.refused", "error", "AuditError"))
            for pending in self._last
            if pending.cancelled and isinstance(pending.outcome, Written) and pending.enforce_suspension
        ]

    def _close_orphans(self) -> None:
        """Record the outcome `unknown` for intents of processes that died. Intents of running processes stay open."""
        known = {row[0] for row in self._db.execute("SELECT writer FROM audit_writers")}
        writers = known | {intent.writer for intent in self._state.open.values()}
        dead = [writer for writer in writers if has_ended(self._path, writer)]
        orphans = sorted((i.seq, intent_id) for intent_id, i in self._state.open.items() if i.writer in dead)
        found = [AuditRecord.parse(*self._stored(seq)) for seq, _ in orphans]
        self._add([Pending(close_intent(one, "connector.completed", "unknown", "ProcessDied")) for one in found])
        for writer in dead:
            self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (writer,))
            forget(self._path, writer)
        row = (self._lock.writer, self._seq + len(self._added) + 1)
        self._db.execute("INSERT INTO audit_writers VALUES (?, ?)", row)

    def _stored(self, seq: int) -> tuple[bytes, str]:
        for database, place in self._files_with([(seq, seq)]):
            for row in database.execute("SELECT CAST(body AS BLOB), hash FROM audit WHERE seq BETWEEN ? AND ?", place):
                if self.digest(row[0]) != row[1]:
                    raise altered(f"Record {seq}", "was altered or inserted")
                return row[0], row[1]
        raise altered(f"Record {seq}", "is missing")


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
