"""Move finished records out of SQLite's live file into sealed segments, which verify as one log with it.

A record is finished when it lies before the oldest open intent. A segment is a file beside the log that is never
written again. The log records its sealing and its removal. After a removal the chain continues from its last hash.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.storage.segments import MAX_RECORDS, require_all, tree_text
from arx_wrapper.audit.store import Segment
from arx_wrapper.errors import AuditError

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit_segments (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL UNIQUE, last_hash TEXT NOT NULL, newest TEXT NOT NULL,
    file TEXT NOT NULL, tree TEXT NOT NULL, removed INTEGER NOT NULL DEFAULT 0
);
"""
RECORDS = """
CREATE TABLE IF NOT EXISTS {schema}audit (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL
)
"""
EARLIER_RECORDS = """
CREATE TABLE {schema}audit (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT AS (json_extract(body, '$.created_at')),
    org_id TEXT AS (json_extract(body, '$.org_id')),
    agent_id TEXT AS (json_extract(body, '$.agent_id')),
    action_type TEXT AS (json_extract(body, '$.action_type')),
    operation TEXT AS (json_extract(body, '$.operation')),
    verdict TEXT AS (json_extract(body, '$.policy_verdict')),
    status TEXT AS (json_extract(body, '$.status'))
)
"""
"""The table of records of format 1. Logs that began with it keep it; each insert takes 9 µs longer."""
NO_DELETE = """
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT raise(ABORT, 'audit records are never removed'); END
"""


def segments(database: sqlite3.Connection) -> list[Segment]:
    """Return all segments, oldest first."""
    found = database.execute(f"SELECT {', '.join(Segment._fields)} FROM audit_segments ORDER BY first")  # noqa: S608 - ours
    return [Segment(*row) for row in found]


@contextlib.contextmanager
def opened(folder: Path, segment: Segment) -> Iterator[sqlite3.Connection]:
    """Open a segment's file for reading."""
    if not (folder / segment.file).exists():
        raise AuditError(
            f"The log's segment {segment.file} does not exist. If retention has just removed it, try again; if not, "
            "records are missing."
        )
    database = sqlite3.connect(f"{(folder / segment.file).as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        yield database
    finally:
        database.close()


def seal(
    database: sqlite3.Connection, path: Path, last_finished: Callable[[], int], tree_at: Callable[[int], Tree]
) -> Segment | None:
    """Copy finished records into a file of their own and sync it; None when there are none. Nothing is removed yet.

    Args:
        last_finished: Returns the last record before the oldest open intent; outcomes of open intents go into the live
            file.
        tree_at: Returns the tree over a number of records.
    """
    draft = path.with_name(f"{path.stem}-{secrets.token_hex(8)}.draft")
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        database.execute("ATTACH ? AS sealed", (str(draft),))
        try:
            database.execute("PRAGMA sealed.synchronous = FULL")
            database.execute("BEGIN")  # reads one state of the log, even when another process seals it too
            copied = _copy(database, last_finished(), tree_at)
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.execute("DETACH sealed")
        if copied is None:
            return None
        first, last, last_hash, newest, tree = copied
        file = path.with_name(f"{path.stem}-{first:012d}-{last:012d}-{draft.stem[-8:]}.sealed.db")
        draft.rename(file)
        _sync(file.parent)
        return Segment(first, last, last_hash, newest, file.name, tree, 0)
    finally:
        draft.unlink(missing_ok=True)


def _copy(
    database: sqlite3.Connection, last: int, tree_at: Callable[[int], Tree]
) -> tuple[int, int, str, str, str] | None:
    first = database.execute("SELECT min(seq) FROM main.audit").fetchone()[0]
    if first is None or last < first:
        return None
    last = min(last, first + MAX_RECORDS - 1)
    ends = "SELECT hash, json_extract(body, '$.created_at') FROM main.audit WHERE seq = ?"
    last_hash, newest = database.execute(ends, (last,)).fetchone()
    database.execute(RECORDS.format(schema="sealed."))
    columns = "seq, id, hash, body"
    copy = f"INSERT INTO sealed.audit ({columns}) SELECT {columns} FROM main.audit WHERE seq <= ?"  # noqa: S608 - ours
    copied = database.execute(copy, (last,)).rowcount
    require_all(first, last, copied)
    return first, last, last_hash, newest, tree_text(tree_at(last))


def detach(database: sqlite3.Connection, segment: Segment) -> None:
    """Remove the sealed records from the live file, inside a transaction."""
    database.execute("INSERT INTO audit_segments VALUES (?, ?, ?, ?, ?, ?, ?)", segment)
    database.execute("DROP TRIGGER audit_no_delete")
    database.execute("DELETE FROM audit WHERE seq <= ?", (segment.last,))
    database.execute(NO_DELETE)


def expired(database: sqlite3.Connection, before: datetime) -> Sequence[Segment]:
    """Return the segments that still exist and whose newest record was written before a time."""
    until = before.isoformat(timespec="microseconds")
    return [segment for segment in segments(database) if not segment.removed and segment.newest < until]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
