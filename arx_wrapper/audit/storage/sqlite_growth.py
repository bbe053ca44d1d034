"""Write tiles and index of a log in SQLite with each 256th record, and create them for logs of format 1."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from arx_wrapper.audit.blocks import block_of
from arx_wrapper.audit.chain_state import ChainState
from arx_wrapper.audit.key import MARK, NOT_THE_KEY
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import GENESIS, Outline
from arx_wrapper.audit.storage.segments import segments
from arx_wrapper.audit.storage.sqlite_schema import VERSION, statements
from arx_wrapper.audit.storage.sqlite_state import Digest, intact, store_block, store_snapshot
from arx_wrapper.audit.storage.sqlite_tiles import known_subtrees, stored_tile
from arx_wrapper.audit.tiles import HASH, WIDTH, TileTree, grown, hashes_in, subtree
from arx_wrapper.errors import AuditError

if TYPE_CHECKING:
    from arx_wrapper.audit.storage.sqlite_reader import SqliteReader

Progress = Callable[[int, int], None]
_TABLES_OF_1: Final = ("audit_open", "audit_usage", "audit_suspended", "audit_writers")


def grow(
    database: sqlite3.Connection,
    number: int,
    bodies: Sequence[bytes],
    outlines: Sequence[Outline],
    digest: Digest,
    removed: Sequence[bytes] = (),
) -> str:
    """Store the tiles and the index of a full block, inside a transaction.

    Args:
        bodies, outlines: Its records.
        digest: The log's keyed hash.
        removed: The leaf hashes of its first records, when retention removed them; then it gets no index.

    Returns:
        The mark of its index; empty when it gets none.
    """
    leaves = [*removed, *(leaf_hash(body) for body in bodies)]
    _store_tiles(database, number, b"".join(leaves), subtree(leaves))
    return "" if removed else store_block(database, block_of(number, outlines), digest)


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
            mark = grow(database, number, bodies, outlines, reader.digest)
        else:  # the block's first leaves are unknown, but the subtrees over them are known
            leaves = bytes(HASH * (WIDTH - len(bodies))) + b"".join(leaf_hash(body) for body in bodies)
            _store_tiles(database, number, leaves, _partly_known(database, base, 0, number, leaves))
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


def _partly_known(database: sqlite3.Connection, base: int, level: int, number: int, hashes: bytes) -> bytes:
    """Return the root over a tile that has some unknown leaves."""
    known = known_subtrees(database)[0]
    tree = TileTree(
        (number + 1) << 8 * level + 8,
        [],
        lambda at, one: hashes if (at, one) == (level, number) else stored_tile(database, at, one),
        known,
        base,
    )
    return tree.node(8 * level + 8, number)


def _store_tiles(database: sqlite3.Connection, number: int, hashes: bytes, root: bytes) -> None:
    def root_over(level: int, number: int, hashes: bytes) -> bytes:
        base = known_subtrees(database)[1]
        if number << 8 * level + 8 < base:
            return _partly_known(database, base, level, number, hashes)
        return subtree(hashes_in(hashes))

    for tile in grown(number, hashes, root, lambda level, place: stored_tile(database, level, place), root_over):
        database.execute("INSERT OR REPLACE INTO audit_tiles VALUES (?, ?, ?)", tile)
