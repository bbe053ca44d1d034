"""SQLite: one machine, any number of processes and threads, one chain.

WAL with `synchronous=FULL`: a commit that returned is on disk. `BEGIN IMMEDIATE` serialises the writers, and the head
of the chain is read inside the transaction, so no two records can follow the same one; a trigger holds that even
against a writer that does not play by the rules.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from arx_wrapper.audit.chain import Chain, Window, answer, windows
from arx_wrapper.audit.key import configured_key, parsed_key
from arx_wrapper.audit.record import GENESIS, AuditRecord, Entry, hasher
from arx_wrapper.audit.storage.segments import NO_DELETE, RECORDS, detach, expired, said_of, seal, segments
from arx_wrapper.audit.storage.segments import SCHEMA as SEGMENTS
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader, explained
from arx_wrapper.audit.store import Pending, Segment, Written
from arx_wrapper.errors import AuditError
from arx_wrapper.files import private_file

_VERSION = 1
_SCHEMA = """
CREATE TRIGGER IF NOT EXISTS audit_one_chain BEFORE INSERT ON audit WHEN NEW.seq <> 1 AND NOT EXISTS
    (SELECT 1 FROM audit WHERE seq = NEW.seq - 1 AND instr(NEW.body, '"prev_hash":"' || hash || '"'))
    BEGIN SELECT raise(ABORT, 'audit records follow the last one'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'audit records are never changed'); END;
CREATE TABLE IF NOT EXISTS audit_open (intent TEXT PRIMARY KEY, writer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_usage (
    org_id TEXT, agent_id TEXT, operation TEXT, at TEXT, seq INTEGER, n INTEGER NOT NULL,
    PRIMARY KEY (org_id, agent_id, operation, at, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_suspended (agent_id TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_writers (writer TEXT PRIMARY KEY, pid INTEGER NOT NULL, born TEXT NOT NULL);
"""
_USED = "SELECT coalesce(sum(n), 0) FROM audit_usage WHERE org_id = ? AND agent_id = ? AND operation = ? AND at > ?"
_ROWS = 64
_PATIENCE = 4.0
_LONGEST_LIMIT = timedelta(days=1)
# An intent whose writer is gone and that nothing answers: what became of it is not known, and never will be.
_ORPHANS = "SELECT body, hash FROM audit JOIN audit_open ON audit.id = intent WHERE writer = ? ORDER BY seq"


class SqliteStore(SqliteReader):
    """One log in one SQLite file."""

    def __init__(self, path: str, *, key: bytes | None, clock: Callable[[], datetime]) -> None:
        self._path, self._clock, self._writer = path, clock, f"{socket.gethostname()}:{secrets.token_hex(8)}"
        try:
            secret = key or configured_key() or _key(path)
            if path != ":memory:":
                private_file(Path(path))
            database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            self._last: Sequence[Pending] = ()
            super().__init__(database, hasher(secret), None if path == ":memory:" else Path(path).parent)
            try:
                self._into_wal()
                self._db.execute("PRAGMA synchronous=FULL")
                self._migrate()
                self._settle_orphans()
            except BaseException:
                database.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise AuditError(
                f"The audit log cannot be opened: {error}. Nothing was sent. Look at the file and its folder, or name "
                "another in ARX_AUDIT_URL."
            ) from None

    def write(self, batch: Sequence[Pending]) -> None:
        with explained("written"), self._transaction():
            self._add([*self._disowned(), *batch])
        self._last = batch

    def reader(self) -> SqliteReader | None:
        """A connection for another thread; None for a log in memory, which has but this one."""
        if self._path == ":memory:":
            return None
        with explained("read"):
            database = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            database.execute("BEGIN")  # one state of the log, whatever is written or sealed meanwhile
        return SqliteReader(database, self.digest, Path(self._path).parent)

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Move what is settled into a sealed segment; None when there is nothing to move."""
        if self._path == ":memory:":
            raise AuditError("A log in memory has no segments.")
        try:
            segment = seal(self._db, Path(self._path))
            if segment is None:
                return None
            try:
                return segment if self._detached(segment, Pending(said_of(segment, "sealed", by, org_id))) else None
            finally:
                if segment.file not in {known.file for known in segments(self._db)}:
                    (Path(self._path).parent / segment.file).unlink()  # a copy of what is still in the log
        except (sqlite3.Error, OSError) as error:
            raise AuditError(f"The audit log cannot be rotated: {error}. No record is lost.") from None

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove the segments whose records are all older; what they held last stays known, and on record."""
        with explained("written"), self._transaction():
            gone = expired(self._db, before)
            self._add([Pending(said_of(segment, "removed", by, org_id)) for segment in gone])
            for segment in gone:
                self._db.execute("UPDATE audit_segments SET removed = 1 WHERE first = ?", (segment.first,))
        for segment in segments(self._db):
            if segment.removed:  # now, or before a crash
                (Path(self._path).parent / segment.file).unlink(missing_ok=True)
        return gone

    def suspend(self, agent_id: str, reason: str | None, entry: Entry) -> None:
        """Suspend an agent, or resume it when there is no reason, and record that."""
        with explained("written"), self._transaction():
            self._db.execute("DELETE FROM audit_suspended WHERE agent_id = ?", (agent_id,))
            if reason is not None:
                self._db.execute("INSERT INTO audit_suspended VALUES (?, ?)", (agent_id, reason))
            self._add([Pending(entry)])

    def suspended(self, agent_id: str) -> str | None:
        """Why an agent is suspended; None when it is not."""
        with explained("read"):
            row = self._db.execute("SELECT reason FROM audit_suspended WHERE agent_id = ?", (agent_id,)).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error, AuditError):  # a log that is full or gone is closed all the same
            if self._disowned():
                self.write([])
            # With an intent that nothing has answered yet it stays, for whoever comes after this process to see.
            self._db.execute(
                "DELETE FROM audit_writers WHERE writer = ? AND NOT EXISTS (SELECT 1 FROM audit_open WHERE writer = ?)",
                (self._writer, self._writer),
            )
        self._db.close()

    def _detached(self, segment: Segment, said: Pending) -> bool:
        """Whether the records of a segment left the live file; not when another process was first."""
        with self._transaction():
            if self._db.execute("SELECT min(seq) FROM audit").fetchone()[0] != segment.first:
                return False
            self._add([said])
            detach(self._db, segment)
        return True

    def _disowned(self) -> list[Pending]:
        """What is to be said of intents that were written after their callers had given them up: they did not go on."""
        return [
            Pending(answer(pending.entry, "connector.refused", "error", "AuditError"))
            for pending in self._last
            if pending.abandoned and isinstance(pending.outcome, Written) and pending.checked
        ]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _into_wal(self) -> None:
        """Statements wait for other processes; this change alone does not, and several may open a log at once."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def _migrate(self) -> None:
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise AuditError(
                    f"The audit log has format {version}, this version of arx-pagerduty writes {_VERSION}. Nothing was "
                    "sent. Use the version that wrote it, or name another file in ARX_AUDIT_URL."
                )
            if version == 0:
                for statement in (RECORDS.format(schema=""), NO_DELETE, *(_SCHEMA + SEGMENTS).split(";\n")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
            oldest = _stamp(self._clock() - _LONGEST_LIMIT)
            self._db.execute("DELETE FROM audit_usage WHERE at < ?", (oldest,))

    def _add(self, batch: Sequence[Pending]) -> None:
        now = self._clock()
        kept = [pending for pending in batch if not pending.abandoned]
        asked = {window for pending in kept for window in windows(pending)}
        suspended = dict(self._db.execute("SELECT agent_id, reason FROM audit_suspended").fetchall())
        used = {window: self._used(window, now) for window in asked}
        chain = Chain(*self._head(), digest=self.digest, suspended=suspended, used=used)
        chain.add(kept, now=now)
        self._run(
            "INSERT INTO audit (seq, id, hash, body) VALUES {}",
            [(record.seq, record.id, record.hash, record.body.decode()) for record in chain.records],
        )
        at = _stamp(now)
        self._run("INSERT INTO audit_usage VALUES {}", [(*whose, at, seq, n) for *whose, seq, n in chain.usage])
        written = [pending.entry for pending in kept if isinstance(pending.outcome, Written)]
        opened = [(entry.id, self._writer) for entry in written if entry.action_type == "connector.called"]
        self._run("INSERT INTO audit_open VALUES {}", opened)
        self._run("DELETE FROM audit_open WHERE intent IN ({})", [(e.intent_id,) for e in written if e.intent_id])

    def _run(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for many rows at once: each gives the interpreter to a busy event loop, and waits for it."""
        done = 0
        while done < len(rows):
            count = min(_ROWS, 1 << (len(rows) - done).bit_length() - 1)  # of few sizes, which stay prepared
            some = rows[done : done + count]
            text = _for_rows(statement, count, len(some[0]))
            self._db.execute(text, [value for row in some for value in row])
            done += count

    def _used(self, window: Window, now: datetime) -> int:
        start = _stamp(now - timedelta(seconds=window.seconds))
        used: int = self._db.execute(_USED, (*window[:3], start)).fetchone()[0]
        return used

    def _head(self) -> tuple[int, str]:
        row = self._db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return row or (0, GENESIS)

    def _settle_orphans(self) -> None:
        """Give the intents of processes that died their outcome: unknown. Intents of living ones are in progress."""
        with self._transaction():
            dead = [
                writer
                for writer, pid, born in self._db.execute("SELECT writer, pid, born FROM audit_writers").fetchall()
                if writer.partition(":")[0] == socket.gethostname() and _born(pid) != born
            ]
            for writer in dead:
                orphans = [AuditRecord.parse(*row) for row in self._db.execute(_ORPHANS, (writer,)).fetchall()]
                self._add(
                    [Pending(answer(orphan, "connector.completed", "unknown", "ProcessDied")) for orphan in orphans]
                )
                self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (writer,))
            row = (self._writer, os.getpid(), _born(os.getpid()))
            self._db.execute("INSERT INTO audit_writers VALUES (?, ?, ?)", row)


@cache
def _for_rows(statement: str, count: int, width: int) -> str:
    return statement.format(", ".join([f"({', '.join('?' * width)})"] * count))


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _born(pid: int) -> str:
    """When a process started, so that a new process under an old id is not taken for it; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:  # no /proc: a process that can be signalled is taken to be the one that wrote
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "alive"
    return "alive"


def _key(path: str) -> bytes:
    """The key beside the file, which the first process to come makes."""
    if path == ":memory:":
        return secrets.token_bytes(32)
    file = Path(path + ".key")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        if not file.exists():
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_hex(32))
                handle.flush()
                os.fsync(handle.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first; its key is the log's
                os.link(draft, file)
        return parsed_key(file.read_text("ascii", "replace"), str(file))
    finally:
        draft.unlink(missing_ok=True)
