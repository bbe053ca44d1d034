"""Define what the sealed segments of a log are in every database: their size, and the records that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.record import Entry
from arx_wrapper.audit.store import Segment
from arx_wrapper.errors import AuditError

# Copying and removing records makes other writers wait, and they wait only a few seconds.
MAX_RECORDS: Final = 100_000


def require_all(first: int, last: int, count: int) -> None:
    """Refuse to seal a run of records in which some are missing.

    Args:
        first, last: The run's sequence numbers.
        count: The number of its records that are in the log.

    Raises:
        AuditError: the run has gaps.
    """
    if count != last - first + 1:
        raise AuditError(f"The audit log has gaps between records {first} and {last}: it was not sealed. Verify it.")


def tree_text(tree: Tree) -> str:
    """Return a tree as `Segment.tree` holds it."""
    return " ".join(node.hex() for node in tree.nodes)


def segment_entry(
    segment: Segment, action: str, by: str, org_id: str, suspended: Mapping[str, str] | None = None
) -> Entry:
    """Return the record of a segment's sealing or removal.

    Args:
        suspended: The agents suspended at the time of sealing, whose records move out of the live file with it.
    """
    return Entry(
        action_type="log.sealed" if action == "sealed" else "log.removed",
        status="success",
        org_id=org_id,
        agent_id=by,
        connector="*",
        metadata={
            "first": segment.first,
            "last": segment.last,
            "last_hash": segment.last_hash,
            "file": segment.file,
            "tree": segment.tree,
            **({} if suspended is None else {"suspended": dict(suspended)}),
        },
    )
