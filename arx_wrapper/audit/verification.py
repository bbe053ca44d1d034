"""Whether a log is what was written: every hash, every link, every place."""

from __future__ import annotations

import hmac

import msgspec
from attrs import frozen

from arx_wrapper.audit.record import GENESIS, keyed_hash, link_of
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
    """Look at the whole chain, and at the database around it. One pass, in constant memory."""
    key, head, expected = log.key, GENESIS, 0
    for seq, record_id, body, record_hash in log.rows():
        expected += 1
        if seq != expected:
            return Verification(ok=False, records=expected - 1, problem=f"record {expected} is missing")
        if not hmac.compare_digest(keyed_hash(key, body), record_hash):
            return Verification(ok=False, records=expected - 1, problem=f"record {seq} was changed")
        try:
            link = link_of(body)
        except msgspec.MsgspecError:
            return Verification(ok=False, records=expected - 1, problem=f"record {seq} cannot be read")
        if (link.seq, link.id, link.prev_hash) != (seq, record_id, head):
            return Verification(ok=False, records=expected - 1, problem=f"record {seq} is out of its place")
        head = record_hash
    damage = log.damage()
    return Verification(ok=damage is None, records=expected, problem=damage)
