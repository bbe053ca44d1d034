"""Define the tables of a log in SQLite, and check that they are unchanged."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Final

from arx_wrapper.audit.storage.sqlite_segments import EARLIER_RECORDS, NO_DELETE, RECORDS
from arx_wrapper.audit.storage.sqlite_segments import SCHEMA as SEGMENTS

VERSION: Final = 3
EARLIER: Final = 1
"""The format that can be converted; it stored state in separate tables."""
_SCHEMA: Final = """
CREATE TRIGGER IF NOT EXISTS audit_one_chain BEFORE INSERT ON audit WHEN NEW.seq <> 1 AND NOT EXISTS
    (SELECT 1 FROM audit WHERE seq = NEW.seq - 1 AND instr(NEW.body, '"prev_hash":"' || hash || '"'))
    BEGIN SELECT raise(ABORT, 'audit records follow the last one'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'audit records are never changed'); END;
CREATE TABLE IF NOT EXISTS audit_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_writers (writer TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_tiles (
    level INTEGER, number INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (level, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_blocks (
    number INTEGER PRIMARY KEY, earliest TEXT NOT NULL, latest TEXT NOT NULL, peak TEXT NOT NULL, uses TEXT NOT NULL,
    before TEXT NOT NULL, mark TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS audit_state (
    one INTEGER PRIMARY KEY CHECK (one = 1), said TEXT NOT NULL, mark TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS audit_terms (term TEXT, block INTEGER, PRIMARY KEY (term, block)) WITHOUT ROWID;
"""
_OURS: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name LIKE 'audit%' ORDER BY name"


def statements(records: str = RECORDS) -> Iterator[str]:
    """Yield the statements that create the tables of an empty log, with the given table of records."""
    yield records.format(schema="")
    yield NO_DELETE
    yield from (statement for statement in (_SCHEMA + SEGMENTS).split(";\n") if statement.strip())


def schema_problem(database: sqlite3.Connection) -> str | None:
    """Describe how a log's tables differ from those that this code creates; None when they do not.

    It finds a trigger that drops records, and a column whose value is not the record's.
    """
    found = database.execute(_OURS).fetchall()
    return _difference(found, _expected(_records_of(found)))


def segment_problem(database: sqlite3.Connection) -> str | None:
    """Describe the fault in the tables of a sealed segment; None when there is none."""
    found = database.execute(_OURS).fetchall()
    wanted = [row for row in _expected(_records_of(found)) if row[2] == "audit" and row[0] != "trigger"]
    return _difference(found, wanted)


def _records_of(found: list[tuple[str, str, str, str | None]]) -> str:
    """Return the table of records that a log must have: format 1's table is recognised by its index."""
    return EARLIER_RECORDS if any(row[1] == "sqlite_autoindex_audit_1" for row in found) else RECORDS


def _difference(
    found: list[tuple[str, str, str, str | None]], wanted: list[tuple[str, str, str, str | None]]
) -> str | None:
    there = {row[1]: (row[0], row[2], _plain(row[3])) for row in found}
    expected = {row[1]: (row[0], row[2], _plain(row[3])) for row in wanted}
    for name in sorted(there.keys() | expected.keys()):
        if name not in expected:
            return f"the {there[name][0]} {name} is not the log's own: it may drop or change records"
        if name not in there:
            return f"the {expected[name][0]} {name} is missing"
        if there[name] != expected[name]:
            return f"the {expected[name][0]} {name} was changed"
    return None


@cache
def _expected(records: str) -> list[tuple[str, str, str, str | None]]:
    with closing(sqlite3.connect(":memory:")) as model:
        for statement in statements(records):
            model.execute(statement)
        return model.execute(_OURS).fetchall()


def _plain(sql: str | None) -> str:
    return re.sub(r"\s+", " ", sql or "").strip()
