"""Seal segments of a log in PostgreSQL: runs of finished records, which retention removes as a whole.

A record is finished when it lies before the oldest open intent. A trigger on the table of records maintains the list of
segments from the records of their sealing and removal. It removes a segment's records when the record of the removal is
inserted; nothing else can remove records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.storage.postgres_connection import Link
from arx_wrapper.audit.storage.segments import MAX_RECORDS, require_all, tree_text
from arx_wrapper.audit.store import Segment

_SEGMENTS = "SELECT first, last, last_hash, newest, file, tree, removed::integer FROM segments ORDER BY first"
_FIRST_OPEN = "SELECT min(seq) FROM records JOIN open_intents ON id = open_intents.intent"
_LAST = (
    "SELECT hash, created_at, (SELECT count(*) FROM records WHERE seq BETWEEN %s AND %s) FROM records WHERE seq = %s"
)


def segments(link: Link) -> list[Segment]:
    """Return all segments, oldest first."""
    return [Segment(*row) for row in link.execute(_SEGMENTS)]


def expired(link: Link, until: str) -> Sequence[Segment]:
    """Return the oldest segments whose newest records were written before a time (ISO 8601 in UTC)."""
    there = (segment for segment in segments(link) if not segment.removed)
    return list(takewhile(lambda segment: segment.newest < until, there))


def next_segment(link: Link, head: int, tree_at: Callable[[int], Tree]) -> Segment | None:
    """Return the next segment to be sealed, inside the writers' transaction; None when no record is finished.

    Args:
        head: The last record's sequence number.
        tree_at: Returns the tree over a number of records.
    """
    first = max((segment.last for segment in segments(link)), default=0) + 1
    (oldest,) = link.execute(_FIRST_OPEN).fetchone() or (None,)
    last = min(head if oldest is None else oldest - 1, first + MAX_RECORDS - 1)
    if last < first:
        return None
    last_hash, newest, count = link.execute(_LAST, (first, last, last)).fetchone() or ("", "", 0)
    require_all(first, last, count)
    return Segment(first, last, last_hash, newest, f"{first:012d}-{last:012d}", tree_text(tree_at(last)), 0)
