"""Read a log in SQLite: records by their members, and all stored records for verification."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from arx_wrapper.audit import blocks
from arx_wrapper.audit.blocks import Block
from arx_wrapper.audit.chain_state import REVIEWERS, SWITCHES, ChainState, Snapshot
from arx_wrapper.audit.key import ANOTHER_KEY, MARK
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import AuditRecord, Outline, outline_of
from arx_wrapper.audit.storage.sqlite_files import explained
from arx_wrapper.audit.storage.sqlite_queries import block_conditions, conditions
from arx_wrapper.audit.storage.sqlite_schema import VERSION, schema_problem, segment_problem
from arx_wrapper.audit.storage.sqlite_segments import expired, opened, segments
from arx_wrapper.audit.storage.sqlite_state import (
    Digest,
    Loaded,
    altered,
    intact,
    row_of,
    stored_row,
    stored_snapshot,
)
from arx_wrapper.audit.storage.sqlite_tiles import known_subtrees, stored_tile
from arx_wrapper.audit.store import Query, Segment
from arx_wrapper.audit.tiles import HASH, WIDTH, TileTree, hashes_in
from arx_wrapper.errors import AuditError

Range = tuple[int, int]
_FIRST: Final = 1
_LAST: Final = 1 << 62


class SqliteReader:
    """A connection to a log's file, and to the segments sealed beside it."""

    gapless = True

    def __init__(self, database: sqlite3.Connection, digest: Callable[[bytes], str], folder: Path | None) -> None:
        self._db, self.digest, self._folder = database, digest, folder

    def hold(self) -> None:
        if not self._db.in_transaction:
            with explained("read"):
                self._db.execute("BEGIN")

    def release(self) -> None:
        if self._db.in_transaction:
            with explained("read"):
                self._db.execute("COMMIT")

    def size(self) -> int:
        with explained("read"):
            return self._last_seq()

    def select(self, query: Query) -> Iterator[AuditRecord]:
        where, values = conditions(query)
        order = "DESC" if query.newest_first else "ASC"
        statement = (
            "SELECT coalesce(body, ''), coalesce(hash, '') FROM audit "  # noqa: S608 - ours
            f"WHERE seq BETWEEN ? AND ? AND {where} ORDER BY seq {order} LIMIT ?"
        )
        left = -1 if query.limit is None else query.limit
        missing = self._must_have(query)
        with explained("read"):
            for database, (first, last) in self._files_with(self._ranges(query), newest_first=query.newest_first):
                for body, record_hash in database.execute(statement, (first, last, *values, left)):
                    record = AuditRecord.parse(body, record_hash)
                    missing.discard(record.seq)
                    yield record
                    left -= 1
                if left == 0 and query.limit is not None:
                    return
        if missing:
            raise altered(f"Record {min(missing)}", f"({query.action_type}) is missing, or its index is: it")

    def bodies(self, since: str | None = None) -> Iterator[bytes]:
        statement = "SELECT CAST(coalesce(body, '') AS BLOB) FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq"
        with explained("read"):
            for database, place in self._files_with(self._ranges(Query(since=since))):
                for (body,) in database.execute(statement, place):
                    yield body

    def _must_have(self, query: Query) -> set[int]:
        """Return the records that a query for one kind of records about reviewers must find, by the stored state.

        An index that no longer leads to the record of a removal would let a reviewer's approvals count.
        """
        if query != Query(action_type=query.action_type, after_seq=query.after_seq) or not self.converted:
            return set()
        with explained("read"):
            if query.action_type not in REVIEWERS or (digest := self._digest_if_any()) is None:
                return set()
            known = stored_snapshot(self._db, digest).reviewers.get(query.action_type, ())
            return {seq for seq in known if seq > max(query.after_seq or 0, self._gone())}

    def rows(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, str, bytes, str]]:
        # Read as bytes and never as NULL, so that corrupted text is reported as a hash mismatch, not as a TypeError.
        statement = (
            "SELECT seq, coalesce(id, ''), CAST(coalesce(body, '') AS BLOB), coalesce(hash, '') FROM audit "
            "WHERE seq BETWEEN ? AND ? ORDER BY seq"
        )
        with explained("read"):
            for database, place in self._files_with([(after + 1, _LAST if until is None else until)]):
                yield from database.execute(statement, place)

    def removed(self) -> Sequence[tuple[int, str, str]]:
        with explained("read"):
            gone = [segment for segment in segments(self._db) if segment.removed]
        return [(segment.last, segment.last_hash, segment.tree) for segment in gone]

    def expired(self, before: datetime) -> Sequence[Segment]:
        with explained("read"):
            return expired(self._db, before)

    def tree(self) -> TileTree:
        self._needs_tiles()
        with explained("read"):
            size = self._last_seq()
            begin = size // WIDTH * WIDTH
            tail = [leaf_hash(body) for _, _, body, _ in self.rows(after=begin)]
            known, base = known_subtrees(self._db)
        missing = size - begin - len(tail)
        kept = (self.tile(0, begin // WIDTH) or b"") if missing else b""
        if base > begin:
            kept = bytes(HASH * missing)
        if missing < 0 or len(kept) < HASH * missing:
            raise AuditError("The log has gaps among its last records. Run `arx-pagerduty audit verify`.")
        return TileTree(size, [*hashes_in(kept)[:missing], *tail], self.tile, known, base)

    def tile(self, level: int, number: int) -> bytes | None:
        with explained("read"):
            return stored_tile(self._db, level, number)

    def block_problem(self, block: Block) -> str | None:
        where = f"the index of records {block.number * WIDTH + 1} and following"
        with explained("read"):
            row, previous = stored_row(self._db, block.number), stored_row(self._db, block.number - 1)
            if row is None:
                return f"{where} is missing"
            terms = msgspec.json.encode(block.terms).decode()
            there = self._db.execute(_TERMS, (terms, block.number)).fetchone()[0]
            gone = self._gone()
        if gone and block.number == -(-gone // WIDTH):  # retention removed the index of the block before
            previous = row._replace(mark=row.before)
        expected = row_of(block, previous, self.digest)
        return f"{where} was changed" if row != expected or there != len(block.terms) else None

    def snapshot(self) -> Snapshot | None:
        if not self.converted:
            return None
        with explained("read"):
            return stored_snapshot(self._db, self.digest)

    def state_problem(self, state: ChainState, terms: int) -> str | None:
        if not self.converted:
            return None
        with explained("read"):
            count = self._db.execute("SELECT count(*) FROM audit_terms").fetchone()[0]
            since = dict(self._db.execute("SELECT writer, since FROM audit_writers").fetchall())
        if count != terms:
            return f"the index of records has {count} entries, the records have {terms}"
        for intent_id, intent in state.open.items():
            if since.get(intent.writer, _LAST) > intent.seq:
                return f"the writer of the open intent {intent_id} was removed: its outcome would stay unknown"
        return None

    def key_problem(self) -> str | None:
        with explained("read"):
            mark = self._key_mark()
        return ANOTHER_KEY if mark is not None and mark != self.digest(MARK) else None

    def damage(self, *, indexes: bool = True) -> str | None:
        # Records and the state derived from them are verified elsewhere; this checks the tables.
        with explained("read"):
            if self.version() == VERSION and (problem := schema_problem(self._db)):
                return problem
            for database, _ in self._files_with([(_FIRST, _LAST)]):
                if database is not self._db and (problem := segment_problem(database)):
                    return problem
                if not indexes or not database.execute(_HAS_INDEX).fetchone():
                    continue
                records, indexed, matched = (database.execute(count).fetchone()[0] for count in _COUNTS)
                if not records == indexed == matched:
                    return f"the index of ids is damaged: {matched} of {indexed} entries stand for {records} records"
        return None

    def version(self) -> int:
        """Return the format of the log's tables."""
        found: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return found

    @property
    def converted(self) -> bool:
        """Return True for a log that has tiles and an index."""
        return self.version() == VERSION

    def suspensions(self) -> dict[str, str]:
        """Return the suspended agents, each with the reason; verified when the log's key is available."""
        if not self.converted:
            return self._switched().suspended
        with explained("read"):
            return self.loaded(self._digest_if_any()).state.suspended

    def loaded(self, digest: Digest | None) -> Loaded:
        """Return the end of the log: the stored state, and the records after it without a gap.

        Args:
            digest: The log's keyed hash; None to use state and records without verifying them.

        Raises:
            AuditError: a part is missing, or the log's key did not write it.
        """
        snapshot, newest, gone = stored_snapshot(self._db, digest), self._last_seq(), self._gone()
        begin = newest // WIDTH * WIDTH
        if snapshot.seq > newest:
            raise altered(f"Record {newest + 1}", "is missing")
        if snapshot.seq < begin:
            raise altered(
                "The stored state", f"is that of record {snapshot.seq}, not of record {begin}: it was altered"
            )
        found, first = Loaded(snapshot.state(), snapshot.block, snapshot.seq, snapshot.head), max(begin, gone)
        found.begin(first)
        for outline, body, record_hash in intact(self.rows(after=first), first, digest):
            found.take(outline, body, record_hash, begin)
        if found.seq != newest or found.state.removed != gone:
            raise altered(f"The removal of records up to {max(gone, found.state.removed)}", "is not what was recorded")
        found.tail[:0] = [(None, b"")] * (newest - begin - len(found.tail))  # retention may have removed the first
        return found

    def _switched(self) -> ChainState:
        """Return the suspensions in the records of a log of an earlier format."""
        state = ChainState()
        for outline in self._outlines([blocks.ACTION + action for action in sorted(SWITCHES)]):
            if outline.action_type in SWITCHES:
                state.switch(outline)
        return state

    def _digest_if_any(self) -> Digest | None:
        try:
            self.digest(MARK)
        except AuditError:  # without its key, a log can be read but not verified
            return None
        return self.digest

    def keeps_policy(self, digest: str) -> bool:
        """Return True when a record holds the text of a policy."""
        return any(
            outline.metadata.digest == digest and outline.metadata.text is not None
            for outline in self._outlines([blocks.POLICY + digest])
        )

    def close(self) -> None:
        self._db.close()

    def _outlines(self, terms: Sequence[str]) -> Iterator[Outline]:
        """Yield the records of blocks with one of these terms, and of blocks without an index yet, oldest first."""
        marks = ", ".join("?" * len(terms))
        found = self._numbers(f"SELECT DISTINCT block FROM audit_terms WHERE term IN ({marks})", terms)  # noqa: S608
        statement = "SELECT body FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq"
        with explained("read"):
            for database, place in self._files_with(found):
                for (body,) in database.execute(statement, place):
                    yield outline_of(body)

    def _ranges(self, query: Query) -> Sequence[Range]:
        """Return the runs of records that may contain a query's records, oldest first."""
        after, until = (query.after_seq or 0) + 1, (query.before_seq or _LAST) - 1
        selects, values = block_conditions(query)
        if not self.converted or not selects:
            return [(after, until)]
        found = self._numbers(" INTERSECT ".join(selects), values)
        return [(max(first, after), min(last, until)) for first, last in found if last >= after and first <= until]

    def _numbers(self, select: str, values: Sequence[object]) -> list[Range]:
        """Return the runs of records in the blocks that a statement selects, and after the last block."""
        if not self.converted:
            return [(_FIRST, _LAST)]
        runs = [(gone + 1, -(-gone // WIDTH) * WIDTH)] if (gone := self._gone()) % WIDTH else list[Range]()
        for (number,) in self._db.execute(f"SELECT * FROM ({select}) ORDER BY 1", values):  # noqa: S608 - ours
            first, last = number * WIDTH + 1, (number + 1) * WIDTH
            if runs and runs[-1][1] + 1 == first:
                runs[-1] = (runs[-1][0], last)
            else:
                runs.append((first, last))
        newest = self._db.execute("SELECT max(number) FROM audit_blocks").fetchone()[0]
        rest = -(-gone // WIDTH) * WIDTH + 1 if newest is None else (newest + 1) * WIDTH + 1
        if runs and runs[-1][1] + 1 == rest:
            return [*runs[:-1], (runs[-1][0], _LAST)]
        return [*runs, (rest, _LAST)]

    def _files_with(
        self, ranges: Sequence[Range], *, newest_first: bool = False
    ) -> Iterator[tuple[sqlite3.Connection, Range]]:
        """Yield each file that holds records of the runs, with the part in it. A segment is open while it is read."""
        kept = [segment for segment in segments(self._db) if not segment.removed]
        files: list[tuple[Segment | None, int, int]] = [(segment, segment.first, segment.last) for segment in kept]
        files.append((None, files[-1][2] + 1 if files else _FIRST, _LAST))
        direction = -1 if newest_first else 1
        for segment, begin, end in files[::direction]:
            inside = [(max(first, begin), min(last, end)) for first, last in ranges[::direction]]
            inside = [(first, last) for first, last in inside if first <= last]
            if segment is None:
                yield from ((self._db, run) for run in inside)
            elif inside:
                assert self._folder is not None, "a log in memory is never rotated"  # noqa: S101 - rotate() refuses it
                with opened(self._folder, segment) as database:
                    yield from ((database, run) for run in inside)

    def _gone(self) -> int:
        """Return the last record that retention removed; its block no longer has an index."""
        return max((segment.last for segment in segments(self._db) if segment.removed), default=0)

    def _last_seq(self) -> int:
        last: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()[0]
        return last

    def _key_mark(self) -> str | None:
        if not self.converted:
            return None
        row = self._db.execute("SELECT value FROM audit_meta WHERE name = 'key_mark'").fetchone()
        return row[0] if row else None

    def _needs_tiles(self) -> None:
        if not self.converted:
            raise AuditError(
                "The log has the format of an earlier version, without its Merkle tree. Convert it, once: "
                "`arx-pagerduty audit migrate`."
            )


_HAS_INDEX: Final = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_autoindex_audit_1'"
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
_TERMS: Final = """
SELECT count(*) FROM json_each(?) AS one CROSS JOIN audit_terms ON term = one.value AND block = ?
"""
