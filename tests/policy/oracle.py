"""Policy said plainly: slow, obvious, and independent of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from arx_wrapper import Call, Verdict

_RISKS = ["low", "medium", "high"]


def matches(pattern: str, name: str) -> bool:
    """`*` stands for any text; everything else for itself."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(matches(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and name[0] == pattern[0] and matches(pattern[1:], name[1:])


def any_matches(patterns: Iterable[str], name: str) -> bool:
    return any(matches(pattern, name) for pattern in patterns)


def verdict(entries: Sequence[Mapping[str, Any]], call: Call, now: datetime) -> Verdict:
    verdicts = [
        _effect(entries, call, effect.operation, effect.risk.name.lower(), params or {}, now)
        for effect in call.effects
        for params in effect.params
    ]
    if Verdict.DENY in verdicts:
        return Verdict.DENY
    return Verdict.ESCALATE if Verdict.ESCALATE in verdicts else Verdict.PERMIT


def _effect(
    entries: Sequence[Mapping[str, Any]],
    call: Call,
    operation: str,
    risk: str,
    params: Mapping[str, Any],
    now: datetime,
) -> Verdict:
    alive = [entry for entry in entries if _alive(entry, call, params, now)]
    if any(any_matches(entry.get("deny", []), operation) for entry in alive):
        return Verdict.DENY
    permitting = [
        entry
        for entry in alive
        if any_matches(entry.get("operations", []), operation)
        and _RISKS.index(risk) <= _RISKS.index(entry.get("risk_max", "low"))
    ]
    if not permitting:
        return Verdict.DENY
    if any(_approval(entry.get("approval", "none"), risk) == "hitl" for entry in permitting):
        return Verdict.ESCALATE
    return Verdict.PERMIT


def _alive(entry: Mapping[str, Any], call: Call, params: Mapping[str, Any], now: datetime) -> bool:
    return (
        entry["connector"] == "pagerduty"
        and entry.get("enforce", True)
        and any_matches(entry.get("agents", ["*"]), call.agent_id)
        and any_matches(entry.get("orgs", ["*"]), call.org_id)
        and ("expires" not in entry or now < datetime.fromisoformat(entry["expires"]))
        and ("when" not in entry or params.get("urgency") == "low")
    )


def _approval(approval: object, risk: str) -> str:
    if isinstance(approval, str):
        return approval
    assert isinstance(approval, Mapping)
    named = [approval[level] for level in _RISKS[: _RISKS.index(risk) + 1] if level in approval]
    return str(named[-1]) if named else "none"
