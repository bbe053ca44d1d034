"""Store a log's snapshot and block indexes in SQLite, each with a keyed hash ("mark") that needs the log's key.

The snapshot holds the hash of its record and the mark of the newest block's index. Each index holds the mark of the
index before it. So none of them can be omitted, exchanged or replaced by an older one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

import msgspec
from attrs import define, field

from arx_wrapper.audit.blocks import Block
from arx_wrapper.audit.chain_state import ChainState, Key, Snapshot
from arx_wrapper.audit.record import GENESIS, Outline, outline_of
from arx_wrapper.audit.tiles import WIDTH
from arx_wrapper.errors import AuditError

Digest = Callable[[bytes], str]
_encoded: Final = msgspec.json.Encoder(order="deterministic").encode
_SNAPSHOT: Final = msgspec.json.Decoder(Snapshot)
_USES: Final = msgspec.json.Decoder(list[tuple[str, str, str, list[tuple[str, int]]]])
_ROW: Final = "SELECT number, earliest, latest, peak, uses, before, mark FROM audit_blocks"
_ALTERED: Final = (
    "{what} of the audit log {fault}, so limits and suspensions cannot be enforced. Nothing was sent. Keep a copy of "
    "the file as evidence, run `arx-pagerduty audit verify`, and find out who can write to it; then restore a copy "
    "that verifies, or begin a new log."
)


def altered(what: str, fault: str = "was altered") -> AuditError:
    """Return the error for a log whose records or derived state were not written with its key."""
    return AuditError(_ALTERED.format(what=what, fault=fault))


class BlockRow(NamedTuple):
    """A stored index of a block.

    Attributes:
        number, earliest, latest: As in `Block`.
        peak: The latest time of all records up to the block's end. Clocks jump, so an earlier block may have it.
        uses: Its uses, as JSON.
        before: The mark of the index before it; empty when there is none.
        mark: The keyed hash of all these members.
    """

    number: int
    earliest: str
    latest: str
    peak: str
    uses: str
    before: str
    mark: str

    def expected(self, digest: Digest) -> str:
        """Compute the mark with the log's key."""
        return digest(b"block\0" + _encoded(self[:-1]))


def row_of(block: Block, previous: BlockRow | None, digest: Digest) -> BlockRow:
    """Return the row for a block's index; `previous` is the row of the block before, None for the first."""
    peak, before = (max(block.latest, previous.peak), previous.mark) if previous else (block.latest, "")
    uses = _encoded(block.uses).decode()
    row = BlockRow(block.number, block.earliest, block.latest, peak, uses, before, "")
    return row._replace(mark=row.expected(digest))


def stored_row(database: sqlite3.Connection, number: int) -> BlockRow | None:
    """Return a block's stored index; None when there is none."""
    row = database.execute(f"{_ROW} WHERE number = ?", (number,)).fetchone()
    return None if row is None else BlockRow(*row)


def store_block(database: sqlite3.Connection, block: Block, digest: Digest) -> str:
    """Store a block's index, inside a transaction, and return its mark."""
    row = row_of(block, stored_row(database, block.number - 1), digest)
    database.execute("INSERT INTO audit_blocks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    database.executemany("INSERT INTO audit_terms VALUES (?, ?)", [(term, block.number) for term in block.terms])
    return row.mark


def uses_after(
    database: sqlite3.Connection, digest: Digest, key: Key, since: str, blocks: range, mark: str
) -> tuple[list[Sequence[tuple[str, int]]], bool]:
    """Return a key's uses after a time from the indexes of blocks, newest first.

    Args:
        blocks: The numbers of the blocks that must have an index.
        mark: The mark that the newest index must have.

    Returns:
        The uses of each block, and True when no earlier record can be younger than `since`.

    Raises:
        AuditError: an index is missing, or the log's key did not write it.
    """
    found, number = list[Sequence[tuple[str, int]]](), blocks.stop - 1
    with closing(database.execute(f"{_ROW} WHERE number <= ? ORDER BY number DESC", (number,))) as rows:
        for row in map(BlockRow._make, rows):
            if row.number != number or row.mark != mark or row.expected(digest) != mark:
                break
            if row.peak <= since:
                return found, True
            if row.latest > since:
                found += [uses for *whose, uses in _USES.decode(row.uses) if tuple(whose) == key]
            mark, number = row.before, number - 1
            if number < blocks.start:
                break
    if number >= blocks.start:
        raise altered(f"The index of records {number * WIDTH + 1} and following", "is missing or was altered")
    return found, False


def store_snapshot(database: sqlite3.Connection, snapshot: Snapshot, digest: Digest) -> None:
    """Store the state, inside a transaction."""
    encoded = _encoded(snapshot)
    row = (encoded.decode(), digest(b"state\0" + encoded))
    database.execute("INSERT OR REPLACE INTO audit_state VALUES (1, ?, ?)", row)


def stored_snapshot(database: sqlite3.Connection, digest: Digest | None) -> Snapshot:
    """Return the stored state.

    Args:
        digest: The log's keyed hash; None to use the state without verifying it.

    Raises:
        AuditError: it is missing, or the log's key did not write it.
    """
    row = database.execute("SELECT said, mark FROM audit_state").fetchone()
    if row is None:
        raise altered("The stored state", "is missing")
    try:
        encoded = str(row[0]).encode()
        snapshot = _SNAPSHOT.decode(encoded)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise altered("The stored state") from None
    if digest is not None and digest(b"state\0" + encoded) != row[1]:
        raise altered("The stored state")
    return snapshot


def intact(
    rows: Iterable[tuple[int, str, bytes, str]], after: int, digest: Digest | None
) -> Iterator[tuple[Outline, bytes, str]]:
    """Yield outline, body and hash of records, after checking that their numbers have no gap.

    Args:
        after: The sequence number before the first.
        digest: The log's keyed hash; None to check only the numbers.

    Raises:
        AuditError: a record is missing, or the log's key did not write it.
    """
    expected = after
    try:
        for seq, record_id, body, record_hash in rows:
            expected += 1
            if seq != expected:
                raise altered(f"Record {expected}", "is missing")
            if digest is not None and digest(body) != record_hash:
                raise altered(f"Record {seq}", "was altered or inserted")
            outline = outline_of(body)
            if outline.seq != seq or outline.id != record_id:
                raise altered(f"Record {seq}", "has the wrong sequence number or link")
            yield outline, body, record_hash
    finally:
        if isinstance(rows, Generator):
            rows.close()  # otherwise a stored exception would keep the statement open


@define(eq=False)
class Loaded:
    """The end of a log, built from the stored state and the records after it.

    Attributes:
        state: The state after record `seq`, whose hash is `head`.
        block: The mark of the newest block's index; empty when there is none.
        tail: The records after the last full block: outline and body.
    """

    state: ChainState
    block: str
    seq: int
    head: str
    tail: list[tuple[Outline | None, bytes]] = field(factory=list, init=False)
    _previous: str | None = field(default=None, init=False)

    def begin(self, first: int) -> None:
        """Start before record `first`, the first one to be read."""
        self._previous = GENESIS if first == 0 else self.head if first == self.seq else None

    def take(self, outline: Outline, body: bytes, record_hash: str, begin: int) -> None:
        """Add the next record.

        Args:
            begin: The last record of the last full block.

        Raises:
            AuditError: it does not follow the record before it, or is not the record after which the state was stored.
        """
        seq = outline.seq
        if self._previous not in (None, outline.prev_hash) or (seq == self.seq and record_hash != self.head):
            raise altered(f"Record {seq}", "does not follow the one before it")
        self._previous = record_hash
        if seq > self.seq:
            self.state.apply(outline)
            self.seq, self.head = seq, record_hash
        if seq > begin:
            self.tail.append((outline, body))
