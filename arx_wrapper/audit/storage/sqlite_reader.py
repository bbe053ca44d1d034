"""Reading a log in SQLite: records by what they say, and all of them as they are stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.audit.storage.segments import opened, segments
from arx_wrapper.audit.store import Query
from arx_wrapper.errors import AuditError


@contextmanager
def explained(done: str) -> Iterator[None]:
    """SQLite's errors, for people."""
    try:
        yield
    except sqlite3.Error as error:
        raise AuditError(
            f"The audit log cannot be {done}: {error}. Nothing was sent. Look for a full disk, a read-only file or "
            "another process that holds it locked."
        ) from None


class SqliteReader:
    """A connection to a log's file, and to the segments sealed beside it."""

    def __init__(self, database: sqlite3.Connection, digest: Callable[[bytes], str], folder: Path | None) -> None:
        self._db, self.digest, self._folder = database, digest, folder

    def select(self, query: Query) -> Iterator[AuditRecord]:
        where, values = _conditions(query)
        order = "DESC" if query.newest_first else "ASC"
        statement = f"SELECT body, hash FROM audit WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - ours
        left = -1 if query.limit is None else query.limit
        with explained("read"):
            for database in self._files(newest_first=query.newest_first):
                for body, record_hash in database.execute(statement, (*values, left)):
                    yield AuditRecord.parse(body, record_hash)
                    left -= 1
                if left == 0 and query.limit is not None:
                    return

    def rows(self) -> Iterator[tuple[int, str, bytes, str]]:
        with explained("read"):
            for database in self._files():
                # Read as bytes: what is not UTF-8 any more is for the hash to find.
                yield from database.execute("SELECT seq, id, CAST(body AS BLOB), hash FROM audit ORDER BY seq")

    def before(self) -> Tree:
        gone = [segment for segment in segments(self._db) if segment.removed]
        return gone[-1].grown() if gone else Tree()

    def removed(self) -> Sequence[tuple[int, str, str]]:
        gone = [segment for segment in segments(self._db) if segment.removed]
        return [(segment.last, segment.last_hash, segment.tree) for segment in gone]

    def damage(self) -> str | None:
        # The records are verified one by one; what is left is the index by which single ones are found. SQLite's own
        # integrity_check asks the same, and takes four times as long.
        with explained("read"):
            for database in self._files():
                records, indexed, matched = (database.execute(count).fetchone()[0] for count in _COUNTS)
                if not records == indexed == matched:
                    return f"the index of ids is damaged: {matched} of {indexed} entries stand for {records} records"
        return None

    def _files(self, *, newest_first: bool = False) -> Iterator[sqlite3.Connection]:
        """The segments that are there, and the live file."""
        kept = [segment for segment in segments(self._db) if not segment.removed]
        if newest_first:
            yield self._db
            kept.reverse()
        for segment in kept:
            assert self._folder is not None, "a log in memory is never rotated"  # noqa: S101 - rotate() refuses it
            with opened(self._folder, segment) as database:
                yield database
        if not newest_first:
            yield self._db

    def close(self) -> None:
        self._db.close()


_COUNTS: Final = (
    """
    SELECT coalesce(
        (SELECT max(seq) FROM audit NOT INDEXED) - (SELECT min(seq) FROM audit NOT INDEXED) + 1, 0
    )
    """,
    "SELECT count(*) FROM audit INDEXED BY sqlite_autoindex_audit_1",
    """
    SELECT count(*) FROM (SELECT id, seq FROM audit INDEXED BY sqlite_autoindex_audit_1 ORDER BY id) AS entry
    CROSS JOIN audit AS record NOT INDEXED ON record.seq = entry.seq WHERE record.id = entry.id
    """,
)


def _conditions(query: Query) -> tuple[str, list[object]]:
    wanted: list[tuple[str, object]] = [
        ("id = ?", query.id),
        ("? IN (id, json_extract(body, '$.metadata.intent'))", query.call),
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
