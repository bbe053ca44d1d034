"""Index the log in blocks of 256 records: the terms that filters look up, and the earliest and latest time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from arx_wrapper.audit.chain_state import Key, counted_of
from arx_wrapper.audit.record import Outline
from arx_wrapper.audit.tiles import WIDTH

ORG: Final = "g:"
AGENT: Final = "a:"
ACTION: Final = "t:"
OPERATION: Final = "p:"
VERDICT: Final = "v:"
STATUS: Final = "s:"
CALL: Final = "c:"
APPROVAL: Final = "r:"
REVIEWER: Final = "w:"
TARGET: Final = "i:"
POLICY: Final = "d:"
RECORD: Final = "n:"


class Block(NamedTuple):
    """The index of 256 records.

    Attributes:
        number: Its number, from 0; it holds records 256 * number + 1 up to 256 * (number + 1).
        earliest, latest: The least and greatest `created_at` in it. Clocks jump, so these may be of any of its records.
        terms: The terms by which its records can be looked up, sorted.
        uses: The uses that limits count: organisation, agent, operation, then times and numbers, oldest first.
    """

    number: int
    earliest: str
    latest: str
    terms: Sequence[str]
    uses: Sequence[tuple[str, str, str, Sequence[tuple[str, int]]]] = ()


def block_of(number: int, outlines: Sequence[Outline]) -> Block:
    """Compute the index of a block from its records."""
    times = [outline.created_at for outline in outlines]
    terms = {ORG + name for name in {outline.org_id for outline in outlines}}
    terms |= {AGENT + name for name in {outline.agent_id for outline in outlines}}
    terms |= {ACTION + name for name in {outline.action_type for outline in outlines}}
    terms |= {STATUS + name for name in {outline.status for outline in outlines}}
    terms |= {OPERATION + name for name in {outline.operation for outline in outlines} if name is not None}
    terms |= {VERDICT + name for name in {outline.policy_verdict for outline in outlines} if name is not None}
    terms |= {APPROVAL + name for name in {outline.approval_id for outline in outlines} if name is not None}
    add = terms.add
    for outline in outlines:
        metadata = outline.metadata
        intent = metadata.intent
        if intent is None and outline.action_type == "connector.called":
            add(CALL + outline.id)
        else:
            add(RECORD + outline.id)
            if isinstance(intent, str):
                add(CALL + intent)
        if metadata.ids is not None:
            for target in targets_of(metadata.ids):
                add(TARGET + target)
        if isinstance(metadata.reviewer, str):
            add(REVIEWER + metadata.reviewer)
        if isinstance(metadata.text, str) and isinstance(metadata.digest, str):
            add(POLICY + metadata.digest)
    return Block(number, min(times), max(times), sorted(terms), _uses(outlines))


def _uses(outlines: Iterable[Outline]) -> list[tuple[str, str, str, list[tuple[str, int]]]]:
    found: dict[Key, list[tuple[str, int]]] = {}
    for outline in outlines:
        if outline.metadata.counted is not None:
            for key, count in counted_of(outline):
                found.setdefault(key, []).append((outline.created_at, count))
    return [(*key, uses) for key, uses in sorted(found.items())]


def number_of(seq: int) -> int:
    """Return the number of a record's block."""
    return (seq - 1) // WIDTH


def targets_of(ids: Any) -> Iterable[str]:
    """Yield the ids in a record's `metadata.ids`: `{"incident_id": "P1", "incidents": ["P2", "P3"]}`."""
    if not isinstance(ids, dict | Mapping):
        return
    for value in ids.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))
