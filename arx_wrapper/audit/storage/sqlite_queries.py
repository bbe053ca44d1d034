"""Turn a query into SQLite conditions on records, and on the blocks that may contain them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from arx_wrapper.audit import blocks
from arx_wrapper.audit.store import Query

_TARGETS: Final = """
EXISTS (SELECT 1 FROM json_tree(body, '$.metadata.ids') AS one WHERE one.type = 'text' AND one.value = ?)
"""


def conditions(query: Query) -> tuple[str, list[object]]:
    """Return a query's condition on records, except their sequence numbers, and its values."""
    wanted: list[tuple[str, object]] = [
        ("id = ?", query.id),
        ("? IN (id, json_extract(body, '$.metadata.intent'))", query.call),
        ("json_extract(body, '$.org_id') = ?", query.org_id),
        ("json_extract(body, '$.agent_id') = ?", query.agent_id),
        ("json_extract(body, '$.operation') GLOB ?", _glob(query.operation)),
        ("json_extract(body, '$.policy_verdict') = ?", query.verdict),
        ("json_extract(body, '$.status') = ?", query.status),
        ("json_extract(body, '$.action_type') = ?", query.action_type),
        ("json_extract(body, '$.approval_id') = ?", query.approval),
        ("json_extract(body, '$.metadata.reviewer') = ?", query.reviewer),
        (_TARGETS, query.target),
        ("json_extract(body, '$.created_at') >= ?", query.since),
        ("json_extract(body, '$.created_at') < ?", query.until),
    ]
    given = [(condition, value) for condition, value in wanted if value is not None]
    return " AND ".join(condition for condition, _ in given) or "1", [value for _, value in given]


def block_conditions(query: Query) -> tuple[list[str], list[object]]:
    """Return statements that select blocks; a query's records are in blocks that all of them select."""
    exact = "SELECT block FROM audit_terms WHERE term = ?"
    either = "SELECT DISTINCT block FROM audit_terms WHERE term IN (?, ?)"
    pattern = _glob(query.operation)
    wanted: list[tuple[str, Sequence[str] | None]] = [
        (either, _terms(query.id, blocks.RECORD, blocks.CALL)),
        (either, _terms(query.call, blocks.RECORD, blocks.CALL)),
        (exact, _terms(query.org_id, blocks.ORG)),
        (exact, _terms(query.agent_id, blocks.AGENT)),
        ("SELECT DISTINCT block FROM audit_terms WHERE term GLOB ?", _terms(pattern, blocks.OPERATION)),
        (exact, _terms(query.verdict, blocks.VERDICT)),
        (exact, _terms(query.status, blocks.STATUS)),
        (exact, _terms(query.action_type, blocks.ACTION)),
        (exact, _terms(query.approval, blocks.APPROVAL)),
        (exact, _terms(query.reviewer, blocks.REVIEWER)),
        (exact, _terms(query.target, blocks.TARGET)),
        ("SELECT number FROM audit_blocks WHERE latest >= ?", _terms(query.since, "")),
        ("SELECT number FROM audit_blocks WHERE earliest < ?", _terms(query.until, "")),
    ]
    given = [(condition, values) for condition, values in wanted if values is not None]
    return [condition for condition, _ in given], [value for _, values in given for value in values]


def _terms(value: str | None, *kinds: str) -> Sequence[str] | None:
    return None if value is None else [kind + value for kind in kinds]


def _glob(pattern: str | None) -> str | None:
    """Return a pattern whose only wildcard is `*` as SQLite's GLOB, which has further ones."""
    return None if pattern is None else pattern.replace("[", "[[]").replace("?", "[?]")
