"""Tiles and index of a log in SQLite, written with each 256th record; and their making for a log of format 1."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from arx_wrapper.audit.blocks import block_of
from arx_wrapper.audit.key import MARK, NOT_THE_KEY
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import Outline, outline_of
from arx_wrapper.audit.storage.segments import segments
from arx_wrapper.audit.storage.sqlite_schema import VERSION, statements
from arx_wrapper.audit.storage.sqlite_tiles import known_subtrees, stored_tile
from arx_wrapper.audit.tiles import HASH, WIDTH, TileTree, grown, hashes_in, subtree
from arx_wrapper.errors import AuditError

if TYPE_CHECKING:
    from arx_wrapper.audit.storage.sqlite_reader import SqliteReader

Progress = Callable[[int, int], None]
_OLD_TABLES: Final = ("audit_open", "audit_usage", "audit_suspended", "audit_writers")


def grow(
    database: sqlite3.Connection,
    number: int,
    bodies: Sequence[bytes],
    outlines: Sequence[Outline],
    removed: Sequence[bytes] = (),
) -> None:
    """Store the tiles and the index of a block that is full, inside a transaction.

    Args:
        bodies, outlines: Its records.
        removed: The leaf hashes of its first records, when retention removed them; then it gets no index.
    """
    leaves = [*removed, *(leaf_hash(body) for body in bodies)]
    _store_tiles(database, number, b"".join(leaves), subtree(leaves))
    if removed:
        return
    block = block_of(number, outlines)
    database.execute("INSERT INTO audit_blocks VALUES (?, ?, ?)", block[:3])
    database.executemany("INSERT INTO audit_terms VALUES (?, ?)", [(term, number) for term in block.terms])


def convert(reader: SqliteReader, database: sqlite3.Connection, progress: Progress | None = None) -> Mapping[str, str]:
    """Bring a log of format 1 to this one, inside a transaction: its tiles, its index and the mark of its key.

    Args:
        progress: Called now and then with the number of records that are done, and of all.

    Returns:
        The suspensions that format 1 kept in a table of its own.

    Raises:
        AuditError: the key is not the log's, or records are missing.
    """
    last = database.execute("SELECT body, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    if last and reader.digest(last[0].encode()) != last[1]:
        raise AuditError(f"{NOT_THE_KEY} Nothing was sent.")
    suspended = dict(database.execute("SELECT agent_id, reason FROM audit_suspended").fetchall())
    removed = [segment for segment in segments(database) if segment.removed]
    for table in _OLD_TABLES:
        database.execute(f"DROP TABLE {table}")
    for statement in statements():
        database.execute(statement)
    database.execute("INSERT INTO audit_meta VALUES ('key_mark', ?)", (reader.digest(MARK),))
    if removed:
        base = f"{removed[-1].last} {removed[-1].tree}"
        database.execute("INSERT INTO audit_meta VALUES ('base', ?)", (base,))
    database.execute(f"PRAGMA user_version = {VERSION}")
    _index(reader, database, removed[-1].last if removed else 0, progress)
    return suspended


def _index(reader: SqliteReader, database: sqlite3.Connection, base: int, progress: Progress | None) -> None:
    total = database.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()[0]
    _fill(database, base)
    for number, bodies in _blocks(reader, base):
        if number * WIDTH < base:  # the first leaves of this block are not known, but the subtrees over them are
            leaves = bytes(HASH * (WIDTH - len(bodies))) + b"".join(leaf_hash(body) for body in bodies)
            _store_tiles(database, number, leaves, _partly_known(database, base, 0, number, leaves))
        else:
            grow(database, number, bodies, [outline_of(body) for body in bodies])
        if progress:
            progress((number + 1) * WIDTH, total)


def _fill(database: sqlite3.Connection, base: int) -> None:
    """Store zeros for the tiles over leaves that are not known, in front of the first ones that are."""
    level, place = 1, base // WIDTH
    while place:
        if count := place % WIDTH:
            row = (level, place // WIDTH, bytes(HASH * count))
            database.execute("INSERT INTO audit_tiles VALUES (?, ?, ?)", row)
        level, place = level + 1, place // WIDTH


def _partly_known(database: sqlite3.Connection, base: int, level: int, number: int, hashes: bytes) -> bytes:
    """Return the root over a tile some of whose leaves are not known."""
    known = known_subtrees(database)[0]
    tree = TileTree(
        (number + 1) << 8 * level + 8,
        [],
        lambda at, one: hashes if (at, one) == (level, number) else stored_tile(database, at, one),
        known,
        base,
    )
    return tree.node(8 * level + 8, number)


def _blocks(reader: SqliteReader, base: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the records of each full block, of the first one only those that are not removed."""
    bodies, expected = list[bytes](), base
    for seq, _, body, _ in reader.rows():
        expected += 1
        if seq != expected:
            raise AuditError(f"The audit log has no record {expected}. Nothing was changed. Verify it.")
        bodies.append(body)
        if seq % WIDTH == 0:
            yield seq // WIDTH - 1, bodies
            bodies = []


def _store_tiles(database: sqlite3.Connection, number: int, hashes: bytes, root: bytes) -> None:
    def root_over(level: int, number: int, hashes: bytes) -> bytes:
        base = known_subtrees(database)[1]
        if number << 8 * level + 8 < base:
            return _partly_known(database, base, level, number, hashes)
        return subtree(hashes_in(hashes))

    for tile in grown(number, hashes, root, lambda level, place: stored_tile(database, level, place), root_over):
        database.execute("INSERT OR REPLACE INTO audit_tiles VALUES (?, ?, ?)", tile)
