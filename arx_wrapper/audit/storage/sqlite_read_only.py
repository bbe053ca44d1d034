"""Open a log in SQLite for reading; nothing is created or written."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from arx_wrapper.audit.chain_state import ChainState
from arx_wrapper.audit.key import configured_key, key_file, late_hasher, stored_key
from arx_wrapper.audit.record import GENESIS, hasher
from arx_wrapper.audit.storage.sqlite_files import PATIENCE, connected, opened_to_read
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.storage.sqlite_schema import VERSION, statements
from arx_wrapper.audit.storage.sqlite_state import store_snapshot
from arx_wrapper.errors import AuditError


def reader(path: str, *, key: bytes | None, patience: float = PATIENCE) -> SqliteReader:
    """Open a log read-only. Nothing is created; a log that does not exist yet reads as an empty one.

    Raises:
        AuditError: it cannot be read, or its file is missing although its key exists.
    """
    folder = Path(path).parent
    if not Path(path).exists():
        if key_file(path).exists():
            raise AuditError(
                f"The audit log {path} is missing, but its key {key_file(path)} exists. Restore the log; if it was "
                "removed on purpose, remove the key too."
            )
        return empty_reader()
    database = opened_to_read(path, patience=patience)
    if not _has_table(database):
        database.close()
        return empty_reader()
    digest = late_hasher(
        lambda: key or configured_key() or stored_key(path),
        f"The audit log's key was not found: ARX_AUDIT_KEY is not set and {key_file(path)} is missing. Without the key "
        "the log can be read but not verified.",
    )
    return SqliteReader(database, digest, folder)


def has_records(path: str, *, patience: float = PATIENCE) -> bool:
    """Return True when the path has a log that was begun with a key. Nothing is written."""
    if path == ":memory:" or not Path(path).exists():
        return False
    try:
        with contextlib.closing(opened_to_read(path, patience=patience)) as database:
            return _has_table(database)
    except AuditError:
        with open(path, "rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                return False  # not a database; opening it reports that
        raise


def _has_table(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit'").fetchone() is not None


def empty_reader() -> SqliteReader:
    """Return a log without records, for a path at which there is none yet."""
    database, digest = connected(":memory:"), hasher(b"")
    for statement in statements():
        database.execute(statement)
    store_snapshot(database, ChainState().snapshot(0, GENESIS, ""), digest)
    database.execute(f"PRAGMA user_version = {VERSION}")
    return SqliteReader(database, digest, None)
