"""Whether a log is what was written: every hash, every link, every place."""

from __future__ import annotations

from attrs import frozen

from arx_wrapper.audit.record import GENESIS, link_of
from arx_wrapper.audit.store import Reader


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
    """Look at the whole chain, in one pass and constant memory."""
    digest, head, expected = log.digest, GENESIS, 0
    problem: str | None = None
    for seq, record_id, body, record_hash in log.rows():
        expected += 1
        if seq != expected:
            problem = f"record {expected} is missing"
        elif digest(body) != record_hash:
            problem = f"record {seq} was changed"
        else:
            link = link_of(body)
            if (link.seq, link.id, link.prev_hash) != (seq, record_id, head):
                problem = f"record {seq} is out of its place"
        if problem:
            return Verification(ok=False, records=expected - 1, problem=problem)
        head = record_hash
    return Verification(ok=True, records=expected)
