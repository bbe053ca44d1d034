"""Read the stored tiles of a log in SQLite."""

from __future__ import annotations

import sqlite3


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
