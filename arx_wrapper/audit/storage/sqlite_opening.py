"""Opening a log in SQLite for reading, with nothing made and nothing written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from arx_wrapper.audit.key import configured_key, key_file, stored_key
from arx_wrapper.audit.record import GENESIS, hasher
from arx_wrapper.audit.state import ChainState
from arx_wrapper.audit.storage.sqlite_files import connected, opened_to_read
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.storage.sqlite_schema import VERSION, statements
from arx_wrapper.audit.storage.sqlite_state import store_snapshot
from arx_wrapper.errors import AuditError


def reader(path: str, *, key: bytes | None) -> SqliteReader:
    """Open a log for reading alone. Nothing is made; a log that is not begun yet reads as an empty one.

    Raises:
        AuditError: it cannot be read, or its file is gone and its key is still there.
    """
    folder = Path(path).parent
    if not Path(path).exists():
        if key_file(path).exists():
            raise AuditError(
                f"The audit log {path} is gone; its key {key_file(path)} is still there. Put the log back; if it was "
                "removed on purpose, remove the key too."
            )
        return empty_reader()
    database = opened_to_read(path)
    made = database.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'audit')").fetchone()
    if made != (1,):
        database.close()
        return empty_reader()
    return SqliteReader(database, _digest(path, key), folder)


def _digest(path: str, key: bytes | None) -> Callable[[bytes], str]:
    """Return HMAC-SHA256 with the log's key, which is looked for when a hash is first needed: reading needs none."""
    found: list[Callable[[bytes], str]] = []

    def digest(data: bytes) -> str:
        if not found:
            secret = key or configured_key() or stored_key(path)
            if secret is None:
                raise AuditError(
                    f"The key of the audit log is not here: ARX_AUDIT_KEY is not set and {key_file(path)} is missing. "
                    "Without it the log can be read, and not verified."
                )
            found.append(hasher(secret))
        return found[0](data)

    return digest


def has_records(path: str) -> bool:
    """Return whether a log is there that was begun with some key. Nothing is written."""
    if path == ":memory:" or not Path(path).exists():
        return False
    try:
        with contextlib.closing(opened_to_read(path)) as database:
            made = database.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'audit')").fetchone()
            return bool(made == (1,))
    except AuditError:
        with open(path, "rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                return False  # no database; opening it says so
        raise


def empty_reader() -> SqliteReader:
    """Return a log without records, as one that is not begun yet reads."""
    database, digest = connected(":memory:"), hasher(b"")
    for statement in statements():
        database.execute(statement)
    store_snapshot(database, ChainState().snapshot(0, GENESIS, ""), digest)
    database.execute(f"PRAGMA user_version = {VERSION}")
    return SqliteReader(database, digest, None)
