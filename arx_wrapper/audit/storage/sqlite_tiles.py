"""Read and store the tiles of a log in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from arx_wrapper.audit.blocks import block_of
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import Outline
from arx_wrapper.audit.storage.sqlite_state import Digest, store_block
from arx_wrapper.audit.tiles import TileTree, grown, hashes_in, subtree


def known_subtrees(database: sqlite3.Connection) -> tuple[dict[tuple[int, int], bytes], int]:
    """Return the subtrees over leaves that an earlier version removed without keeping tiles, and their number."""
    row = database.execute("SELECT value FROM audit_meta WHERE name = 'base'").fetchone()
    if row is None:
        return {}, 0
    text = row[0].split()
    base, nodes, known, begin = int(text[0]), iter(text[1:]), dict[tuple[int, int], bytes](), 0
    for height in range(base.bit_length() - 1, -1, -1):
        if base >> height & 1:
            known[height, begin >> height] = bytes.fromhex(next(nodes))
            begin += 1 << height
    return known, base


def stored_tile(database: sqlite3.Connection, level: int, number: int) -> bytes | None:
    row = database.execute("SELECT hashes FROM audit_tiles WHERE level = ? AND number = ?", (level, number)).fetchone()
    return row[0] if row else None


def store_block_and_tiles(
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
    store_tiles(database, number, b"".join(leaves), subtree(leaves))
    return "" if removed else store_block(database, block_of(number, outlines), digest)


def partly_known_root(database: sqlite3.Connection, base: int, level: int, number: int, hashes: bytes) -> bytes:
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


def store_tiles(database: sqlite3.Connection, number: int, hashes: bytes, root: bytes) -> None:
    """Store a full tile of leaf hashes with its root, and the tiles above it that the root extends."""

    def root_over(level: int, number: int, hashes: bytes) -> bytes:
        base = known_subtrees(database)[1]
        if number << 8 * level + 8 < base:
            return partly_known_root(database, base, level, number, hashes)
        return subtree(hashes_in(hashes))

    for tile in grown(number, hashes, root, lambda level, place: stored_tile(database, level, place), root_over):
        database.execute("INSERT OR REPLACE INTO audit_tiles VALUES (?, ?, ?)", tile)
