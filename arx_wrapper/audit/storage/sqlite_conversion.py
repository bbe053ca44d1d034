"""Convert a log in SQLite of format 1: create the tiles, the index and the state that later formats keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from arx_wrapper.audit.chain_state import ChainState
from arx_wrapper.audit.key import MARK, NOT_THE_KEY
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import GENESIS, Outline
from arx_wrapper.audit.storage.sqlite_schema import VERSION, statements
from arx_wrapper.audit.storage.sqlite_segments import segments
from arx_wrapper.audit.storage.sqlite_state import intact, store_snapshot
from arx_wrapper.audit.storage.sqlite_tiles import partly_known_root, store_block_and_tiles, store_tiles
from arx_wrapper.audit.tiles import HASH, WIDTH
from arx_wrapper.errors import AuditError

if TYPE_CHECKING:
    from arx_wrapper.audit.storage.sqlite_reader import SqliteReader

Progress = Callable[[int, int], None]
_TABLES_OF_1: Final = ("audit_open", "audit_usage", "audit_suspended", "audit_writers")


def convert(reader: SqliteReader, database: sqlite3.Connection, progress: Progress | None = None) -> Mapping[str, str]:
    """Convert a log of format 1, inside a transaction: create its tiles, its index and its state.

    The table of records is not changed: creating it again would double the time.

    Args:
        progress: Called from time to time with the number of converted records, and of all.

    Returns:
        The suspensions, which format 1 stored in a separate table.

    Raises:
        AuditError: the key is not the log's, or records are missing or were altered.
    """
    last = database.execute("SELECT body, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    if last and reader.digest(last[0].encode()) != last[1]:
        raise AuditError(f"{NOT_THE_KEY} Nothing was sent.")
    suspended = dict(database.execute("SELECT agent_id, reason FROM audit_suspended").fetchall())
    for table in _TABLES_OF_1:
        database.execute(f"DROP TABLE {table}")
    for statement in statements():
        database.execute(statement)
    removed = [segment for segment in segments(database) if segment.removed]
    database.execute("INSERT INTO audit_meta VALUES ('key_mark', ?)", (reader.digest(MARK),))
    if removed:
        base = f"{removed[-1].last} {removed[-1].tree}"
        database.execute("INSERT INTO audit_meta VALUES ('base', ?)", (base,))
    database.execute(f"PRAGMA user_version = {VERSION}")
    _index(reader, database, removed[-1].last if removed else 0, progress)
    return suspended


def _index(reader: SqliteReader, database: sqlite3.Connection, base: int, progress: Progress | None) -> None:
    """Create tiles, index and state from the records after the first `base`."""
    total = database.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()[0]
    _fill(database, base)
    state, head, mark, seq = ChainState(), GENESIS, "", base
    bodies, outlines = list[bytes](), list[Outline]()
    for outline, body, record_hash in intact(reader.rows(), base, reader.digest):
        seq, head = outline.seq, record_hash
        state.apply(outline)
        bodies.append(body)
        outlines.append(outline)
        if seq % WIDTH:
            continue
        number = seq // WIDTH - 1
        if len(bodies) == WIDTH:
            mark = store_block_and_tiles(database, number, bodies, outlines, reader.digest)
        else:  # the block's first leaves are unknown, but the subtrees over them are known
            leaves = bytes(HASH * (WIDTH - len(bodies))) + b"".join(leaf_hash(body) for body in bodies)
            store_tiles(database, number, leaves, partly_known_root(database, base, 0, number, leaves))
        bodies, outlines = [], []
        if progress:
            progress(seq, total)
    if state.removed != base:
        raise AuditError(
            f"Up to {base} records of the audit log are missing, and no record states their removal. Nothing was "
            "changed."
        )
    store_snapshot(database, state.snapshot(seq, head, mark), reader.digest)


def _fill(database: sqlite3.Connection, base: int) -> None:
    """Store zeros for the tiles over unknown leaves, before the first known ones."""
    level, place = 1, base // WIDTH
    while place:
        if count := place % WIDTH:
            row = (level, place // WIDTH, bytes(HASH * count))
            database.execute("INSERT INTO audit_tiles VALUES (?, ?, ?)", row)
        level, place = level + 1, place // WIDTH
