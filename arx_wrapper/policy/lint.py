"""What a policy that loads may still have wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from arx_wrapper.model import Risk
from arx_wrapper.policy.engine import PolicySet
from arx_wrapper.policy.entry import PolicyEntry, glob


@frozen(kw_only=True)
class Finding:
    """Something to look at."""

    entry: PolicyEntry
    problem: str


def lint(policy: PolicySet, *, registry: Mapping[str, Risk], now: datetime) -> list[Finding]:
    """Look for entries that can never match, and for power that nobody has to approve."""
    findings = []
    for entry in policy.entries:
        for problem in _problems(entry, policy, registry, now):
            findings.append(Finding(entry=entry, problem=problem))
    return findings


def _problems(entry: PolicyEntry, policy: PolicySet, registry: Mapping[str, Risk], now: datetime) -> list[str]:
    problems = []
    if entry.expires is not None and now >= entry.expires:
        problems.append(f"it expired at {entry.expires.isoformat()} and matches nothing")
    permitted = [name for name in _matching(entry.operations, registry) if registry[name] <= entry.risk_max]
    if entry.operations and not permitted:
        problems.append(f"nothing that it names is within its risk_max {entry.risk_max.name}: it permits nothing")
    denied = {
        name
        for other in policy.entries
        if other.enforce
        and other.when is None
        and other.expires is None
        and (other.agents, other.orgs) == (("*",), ("*",))
        for name in _matching(other.deny, registry)
    }
    if permitted and denied.issuperset(permitted):
        problems.append("everything that it permits is denied by other entries: it cannot be reached")
    high = [name for name in permitted if registry[name] is Risk.HIGH and name not in denied]
    if high and entry.approval.get(Risk.HIGH) != "hitl" and entry.enforce:
        problems.append(f"it permits HIGH without a reviewer: {', '.join(high)}")
    if "hitl" in entry.approval.values() and entry.hitl_channel is None:
        problems.append("it asks reviewers but names no hitl_channel: they have to look by themselves")
    return problems


def _matching(patterns: tuple[str, ...], registry: Mapping[str, Risk]) -> list[str]:
    expressions = [glob(pattern) for pattern in patterns]
    return [name for name in registry if any(expression.fullmatch(name) for expression in expressions)]
