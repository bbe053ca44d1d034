"""Queries of a log in SQLite: conditions on records, and on the blocks that can have them."""

from __future__ import annotations

from typing import Final

from arx_wrapper.audit import blocks
from arx_wrapper.audit.store import Query

_TARGETS: Final = """
EXISTS (SELECT 1 FROM json_tree(body, '$.metadata.ids') AS one WHERE one.type = 'text' AND one.value = ?)
"""


def conditions(query: Query) -> tuple[str, list[object]]:
    """Return the condition that a query's records fulfil, but for their sequence numbers, and its values."""
    wanted: list[tuple[str, object]] = [
        ("id = ?", query.id),
        ("? IN (id, json_extract(body, '$.metadata.intent'))", query.call),
        ("org_id = ?", query.org_id),
        ("agent_id = ?", query.agent_id),
        ("operation GLOB ?", _glob(query.operation)),
        ("verdict = ?", query.verdict),
        ("status = ?", query.status),
        ("action_type = ?", query.action_type),
        ("json_extract(body, '$.approval_id') = ?", query.approval),
        ("json_extract(body, '$.metadata.reviewer') = ?", query.reviewer),
        (_TARGETS, query.target),
        ("created_at >= ?", query.since),
        ("created_at < ?", query.until),
    ]
    given = [(condition, value) for condition, value in wanted if value is not None]
    return " AND ".join(condition for condition, _ in given) or "1", [value for _, value in given]


def block_conditions(query: Query) -> tuple[list[str], list[object]]:
    """Return selects of the blocks that can have a query's records; those must be in all of them."""
    exact = "SELECT block FROM audit_terms WHERE term = ?"
    pattern = _glob(query.operation)
    wanted: list[tuple[str, object]] = [
        (exact, _term(blocks.CALL, query.call)),
        (exact, _term(blocks.ORG, query.org_id)),
        (exact, _term(blocks.AGENT, query.agent_id)),
        ("SELECT DISTINCT block FROM audit_terms WHERE term GLOB ?", _term(blocks.OPERATION, pattern)),
        (exact, _term(blocks.VERDICT, query.verdict)),
        (exact, _term(blocks.STATUS, query.status)),
        (exact, _term(blocks.ACTION, query.action_type)),
        (exact, _term(blocks.APPROVAL, query.approval)),
        (exact, _term(blocks.REVIEWER, query.reviewer)),
        (exact, _term(blocks.TARGET, query.target)),
        ("SELECT number FROM audit_blocks WHERE latest >= ?", query.since),
        ("SELECT number FROM audit_blocks WHERE earliest < ?", query.until),
    ]
    given = [(condition, value) for condition, value in wanted if value is not None]
    return [condition for condition, _ in given], [value for _, value in given]


def _term(kind: str, value: str | None) -> str | None:
    return None if value is None else kind + value


def _glob(pattern: str | None) -> str | None:
    """Return a policy's wildcard, which is `*` alone, as SQLite's GLOB, which has more."""
    return None if pattern is None else pattern.replace("[", "[[]").replace("?", "[?]")
