"""Whether a log is what was written: every hash, every link, every place."""

from __future__ import annotations

from attrs import frozen

from arx_wrapper.audit.record import GENESIS, AuditRecord, link_of
from arx_wrapper.audit.store import Reader

_REMOVED = b'"log.removed"'


@frozen(kw_only=True)
class Verification:
    """What a look at the whole chain found.

    Attributes:
        ok: Whether it holds.
        records: How many records were looked at.
        problem: What is wrong first, and where; None when nothing is.
    """

    ok: bool
    records: int
    problem: str | None = None


def verify(log: Reader) -> Verification:
    """Look at the whole chain, in one pass and constant memory.

    What retention took away is not there to be looked at: the chain then goes on from its last hash, and some record
    further on has to say that it was removed.
    """
    removed = {last: (last_hash, tree) for last, last_hash, tree in log.removed()}
    digest, expected = log.digest, max(removed, default=0)
    head = removed[expected][0] if removed else GENESIS
    seen, problem = 0, None
    for seq, record_id, body, record_hash in log.rows():
        expected += 1
        if seq != expected:
            problem = f"record {expected} is missing"
        elif digest(body) != record_hash:
            problem = f"record {seq} was changed"
        else:
            link = link_of(body)
            if link.seq != seq or link.id != record_id or link.prev_hash != head:
                problem = f"record {seq} is out of its place"
        if problem:
            return Verification(ok=False, records=seen, problem=problem)
        head, seen = record_hash, seen + 1
        if removed and _REMOVED in body:
            removed = _without(removed, AuditRecord.parse(body, record_hash))
    if removed:
        return Verification(
            ok=False, records=seen, problem=f"up to {max(removed)} records are missing, and no record says why"
        )
    return Verification(ok=True, records=seen)


def _without(removed: dict[int, tuple[str, str]], record: AuditRecord) -> dict[int, tuple[str, str]]:
    """What is still to be accounted for, after a record of a removal."""
    said = record.metadata
    if record.action_type == "log.removed" and removed.get(said.get("last", 0)) == (said["last_hash"], said["tree"]):
        return {last: kept for last, kept in removed.items() if last != said["last"]}
    return removed
