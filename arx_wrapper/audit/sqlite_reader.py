"""Reading a log in SQLite: records by what they say, and all of them as they are stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.audit.store import Query


class SqliteReader:
    """A connection to a log's file."""

    def __init__(self, database: sqlite3.Connection, digest: Callable[[bytes], str]) -> None:
        self._db, self.digest = database, digest

    def select(self, query: Query) -> Iterator[AuditRecord]:
        where, values = _conditions(query)
        order = "DESC" if query.newest_first else "ASC"
        limit = -1 if query.limit is None else query.limit
        statement = f"SELECT body, hash FROM audit WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - ours
        for body, record_hash in self._db.execute(statement, (*values, limit)):
            yield AuditRecord.parse(body, record_hash)

    def rows(self) -> Iterator[tuple[int, str, bytes, str]]:
        # Read as bytes: what is not UTF-8 any more is for the hash to find.
        return self._db.execute("SELECT seq, id, CAST(body AS BLOB), hash FROM audit ORDER BY seq")

    def damage(self) -> str | None:
        found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        return None if found == "ok" else f"the database is damaged: {found}"

    def close(self) -> None:
        self._db.close()


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
