"""SQLite: one machine, any number of processes and threads, one chain.

WAL with `synchronous=FULL`: a commit that returned is on disk. `BEGIN IMMEDIATE` serialises the writers, and the head
of the chain is read inside the transaction, so no two records can follow the same one; unique columns hold that even
against a writer that does not play by the rules.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from arx_wrapper.audit.record import GENESIS, AuditRecord, Entry, body_of, keyed_hash
from arx_wrapper.audit.store import Pending, Query, Refused, Row
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Limit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    org_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    action_type TEXT NOT NULL,
    operation TEXT,
    verdict TEXT,
    status TEXT NOT NULL,
    intent TEXT,
    writer TEXT NOT NULL,
    prev_hash TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_created ON audit (created_at);
CREATE INDEX IF NOT EXISTS audit_open ON audit (intent) WHERE intent IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'audit records are never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT raise(ABORT, 'audit records are never removed'); END;
CREATE TABLE IF NOT EXISTS audit_usage (
    org_id TEXT NOT NULL, agent_id TEXT NOT NULL, operation TEXT NOT NULL, at TEXT NOT NULL, n INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_usage_window ON audit_usage (org_id, agent_id, operation, at);
CREATE TABLE IF NOT EXISTS audit_suspended (agent_id TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit_writers (writer TEXT PRIMARY KEY, pid INTEGER NOT NULL, born TEXT NOT NULL);
"""
_INSERT = """
INSERT INTO audit (seq, id, created_at, org_id, agent_id, action_type, operation, verdict, status, intent, writer,
                   prev_hash, hash, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ROWS = """
SELECT seq, CAST(body AS BLOB), hash, id, created_at, org_id, agent_id, action_type, operation, verdict, status, intent,
       prev_hash
FROM audit ORDER BY seq
"""
_USED = "SELECT coalesce(sum(n), 0) FROM audit_usage WHERE org_id = ? AND agent_id = ? AND operation = ? AND at > ?"
# An intent whose writer is gone and that nothing answers: what became of it is not known, and never will be.
_ORPHANS = """
SELECT body, hash FROM audit WHERE action_type = 'connector.called' AND writer = ?
    AND id NOT IN (SELECT intent FROM audit WHERE intent IS NOT NULL) ORDER BY seq
"""


class SqliteStore:
    """One log in one SQLite file."""

    def __init__(self, path: str, *, key: bytes | None, clock: Callable[[], datetime]) -> None:
        self._clock, self._writer = clock, f"{socket.gethostname()}:{secrets.token_hex(8)}"
        try:
            self.key = key or _key(path)
            if path != ":memory:":
                _private(Path(path))
            self._db = sqlite3.connect(path, timeout=4.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._settle_orphans()
        except (sqlite3.Error, OSError) as error:
            raise AuditError(
                f"The audit log cannot be opened: {error}. Nothing was sent. Look at the file and its folder, or name "
                "another in ARX_AUDIT_URL."
            ) from None

    def write(self, batch: Sequence[Pending]) -> None:
        try:
            with self._transaction():
                self._add(batch)
        except sqlite3.Error as error:
            raise AuditError(
                f"The audit log cannot be written: {error}. Nothing was sent. Look for a full disk, a read-only file "
                "or another process that holds it locked."
            ) from None

    def select(self, query: Query) -> Iterator[AuditRecord]:
        where, values = _conditions(query)
        order = "DESC" if query.newest_first else "ASC"
        limit = -1 if query.limit is None else query.limit
        statement = f"SELECT body, hash FROM audit WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - ours
        for body, record_hash in self._db.execute(statement, (*values, limit)):
            yield AuditRecord.parse(body, record_hash)

    def rows(self) -> Iterator[Row]:
        yield from map(Row._make, self._db.execute(_ROWS))

    def suspend(self, agent_id: str, reason: str | None) -> None:
        """Suspend an agent, or resume it when there is no reason."""
        with self._transaction():
            self._db.execute("DELETE FROM audit_suspended WHERE agent_id = ?", (agent_id,))
            if reason is not None:
                self._db.execute("INSERT INTO audit_suspended VALUES (?, ?)", (agent_id, reason))

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # a log that is full or gone is closed all the same
            self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (self._writer,))
        self._db.close()

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

    def _add(self, batch: Sequence[Pending]) -> None:
        seq, head = self._head()
        for pending in batch:
            if pending.abandoned:
                continue
            entry, now = pending.entry, self._clock()
            refusal = self._refusal(pending, now)
            if refusal:
                pending.outcome = refusal
                continue
            seq += 1
            created_at = now.isoformat(timespec="microseconds")
            body = body_of(entry, seq=seq, created_at=created_at, prev_hash=head)
            previous, head = head, keyed_hash(self.key, body)
            row = (seq, entry.id, created_at, entry.org_id, entry.agent_id, entry.action_type, entry.operation)
            more = (entry.policy_verdict, entry.status, entry.intent_id, self._writer, previous, head, body)
            self._db.execute(_INSERT, row + more)
            for operation, count in pending.usage:
                used = (entry.org_id, entry.agent_id, operation, created_at, count)
                self._db.execute("INSERT INTO audit_usage VALUES (?, ?, ?, ?, ?)", used)
            pending.outcome = AuditRecord.parse(body, head)

    def _head(self) -> tuple[int, str]:
        row = self._db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return row or (0, GENESIS)

    def _refusal(self, pending: Pending, now: datetime) -> Refused | None:
        entry = pending.entry
        if pending.checked:
            row = self._db.execute(
                "SELECT reason FROM audit_suspended WHERE agent_id = ?", (entry.agent_id,)
            ).fetchone()
            if row:
                return Refused(f"Agent {entry.agent_id!a} is suspended: {row[0]}.")
        wanted = dict(pending.usage)
        for limit in pending.limits:
            if self._used(entry, limit, now) + wanted.get(limit.operation, 0) > limit.count:
                return Refused(f"The limit of {limit.text} for {limit.operation} is used up.", limit)
        return None

    def _used(self, entry: Entry, limit: Limit, now: datetime) -> int:
        start = (now - timedelta(seconds=limit.seconds)).isoformat(timespec="microseconds")
        used: int = self._db.execute(_USED, (entry.org_id, entry.agent_id, limit.operation, start)).fetchone()[0]
        return used

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
                self._add([Pending(_unknown(orphan)) for orphan in orphans])
                self._db.execute("DELETE FROM audit_writers WHERE writer = ?", (writer,))
            row = (self._writer, os.getpid(), _born(os.getpid()))
            self._db.execute("INSERT INTO audit_writers VALUES (?, ?, ?)", row)


def _unknown(intent: AuditRecord) -> Entry:
    return Entry(
        action_type="connector.completed",
        status="unknown",
        intent_id=intent.id,
        error="ProcessDied",
        **{
            name: getattr(intent, name)
            for name in ("org_id", "agent_id", "connector", "operation", "method", "path", "risk", "policy_verdict")
        },
        policy=intent.policy,
        inputs_hash=intent.inputs_hash,
    )


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


def _conditions(query: Query) -> tuple[str, list[object]]:
    wanted: list[tuple[str, object]] = [
        ("agent_id = ?", query.agent_id),
        ("operation GLOB ?", _glob(query.operation)),
        ("verdict = ?", query.verdict),
        ("status = ?", query.status),
        ("action_type = ?", query.action_type),
        ("created_at >= ?", query.since),
        ("created_at < ?", query.until),
        ("seq > ?", query.after_seq),
    ]
    given = [(condition, value) for condition, value in wanted if value is not None]
    return " AND ".join(condition for condition, _ in given) or "1", [value for _, value in given]


def _glob(pattern: str | None) -> str | None:
    """Policies' wildcard is `*` alone; SQLite's GLOB has more."""
    return None if pattern is None else pattern.replace("[", "[[]").replace("?", "[?]")


def _private(path: Path) -> None:
    """Make the file before SQLite does: nobody else may read it, nor the files beside it, which take its mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(descriptor)
    path.chmod(0o600)


def _key(path: str) -> bytes:
    if configured := os.environ.get("ARX_AUDIT_KEY"):
        try:
            key = bytes.fromhex(configured)
        except ValueError:
            key = b""
        if len(key) < 32:
            raise AuditError("ARX_AUDIT_KEY must be at least 64 hexadecimal digits. Nothing was sent.")
        return key
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
            with contextlib.suppress(FileExistsError):  # another process was first; its key is the log's
                os.link(draft, file)
        return bytes.fromhex(file.read_text().strip())
    finally:
        draft.unlink(missing_ok=True)
