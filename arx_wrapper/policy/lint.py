"""Find likely mistakes in a policy that loads."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from attrs import frozen

from arx_wrapper.model import Operation, Risk
from arx_wrapper.policy.condition import Condition
from arx_wrapper.policy.engine import PolicySet
from arx_wrapper.policy.entry import PolicyEntry, glob, matches_any


@frozen(kw_only=True)
class Finding:
    """One likely mistake."""

    entry: PolicyEntry
    problem: str


def lint(
    policy: PolicySet,
    *,
    operations: Mapping[str, Operation],
    now: datetime,
    parameters: Mapping[str, Collection[str]] | None = None,
    members: Collection[str] = (),
) -> list[Finding]:
    """Find entries that can never match, and high-risk operations that no reviewer has to approve.

    Args:
        policy: A loaded policy.
        operations: The connector's table.
        now: The time for `expires`, aware.
        parameters: The names of each operation's parameters; when None, names in conditions are not checked.
        members: The names of all members of responses; when empty, `hide` and `show` are not checked.
    """
    registry = {name: row.risk for name, row in operations.items()}
    high = {name for name, row in operations.items() if row.highest_risk is Risk.HIGH}
    return [
        Finding(entry=entry, problem=problem)
        for entry in policy.entries
        for problem in (
            *_problems(entry, policy, registry, high, now),
            *_misnamed(entry, parameters),
            *_misnamed_members(entry, members),
            *_incomplete(entry, policy, operations),
            *_outgrown(entry, operations),
        )
    ]


def notes(policy: PolicySet, *, operations: Mapping[str, Operation]) -> list[Finding]:
    """List the further calls that a condition decides on: other operations that perform those its entry names.

    Args:
        policy: A loaded policy.
        operations: The connector's table.
    """
    return [
        Finding(entry=entry, problem=problem)
        for entry in policy.entries
        if entry.when is not None and policy.is_own(entry)
        for problem in _performed_by_others(entry, entry.when, operations)
    ]


def _performed_by_others(entry: PolicyEntry, when: Condition, operations: Mapping[str, Operation]) -> Iterator[str]:
    for name in operations:
        if not (entry.permits(name) or matches_any(entry.deny, name)):
            continue
        others = {row.name: row.performs[name] for row in operations.values() if name in row.performs}
        if not others:
            continue
        yield (
            f"its condition also decides on {name} when {', '.join(others)} performs it, with the parameters that "
            f"{name} would have"
        )
        undetermined: dict[str, list[str]] = {}
        for other, names in others.items():
            if names and (when.reads_all or when.parameters.intersection(names) or ("*" in names and when.parameters)):
                undetermined.setdefault("its parameters" if "*" in names else " and ".join(names), []).append(other)
        for which, by in undetermined.items():
            yield (
                f"when {', '.join(by)} performs {name} without determining {which}, the condition fails and the call "
                "is denied"
            )


def _problems(
    entry: PolicyEntry, policy: PolicySet, registry: Mapping[str, Risk], high: Collection[str], now: datetime
) -> Iterator[str]:
    if not policy.is_own(entry):
        yield f"it is for the connector {entry.connector!r} and matches no operation of this one"
        return
    if entry.expires is not None and now >= entry.expires:
        yield f"it expired at {entry.expires.isoformat()} and matches nothing"
    permitted = [name for name in _permitted(entry, registry) if registry[name] <= entry.risk_max]
    if entry.operations and not permitted:
        yield f"every operation that it names is above its risk_max {entry.risk_max.name}: it permits nothing"
    denied = {name for other in _always_denying(policy) for name in _matching(other.deny, registry)}
    if permitted and denied.issuperset(permitted):
        yield "other entries deny every operation that it permits: it has no effect"
    unasked = [name for name in permitted if name in high and name not in denied]
    if unasked and entry.risk_max is Risk.HIGH and entry.approval.get(Risk.HIGH) != "hitl" and entry.enforce:
        yield f"it permits HIGH without a reviewer: {', '.join(unasked)}"
    if "hitl" in entry.approval.values() and entry.hitl_channel is None:
        yield "it requires approval but names no hitl_channel: reviewers are not notified by it"
    if entry.min_approvals > 1 and "hitl" not in entry.approval.values():
        yield f"it requires {entry.min_approvals} approvals, but no approval is `hitl`: write approval: hitl"
    yield from _reviewers(entry)
    if entry.requesters and not entry.operations:
        yield "it names requesters and permits nothing, so they have no effect"
    idle = {limit.operation for limit in entry.limits}.difference(permitted)
    if idle:
        yield f"it sets limits for operations that it does not permit, which have no effect: {', '.join(sorted(idle))}"


def _reviewers(entry: PolicyEntry) -> Iterator[str]:
    rule = entry.reviewers
    if rule is None:
        return
    if "hitl" not in entry.approval.values():
        yield "it names reviewers, but no approval is `hitl`: write approval: hitl"
    if not rule.groups and not rule.on_call and len(rule.people) < rule.min_approvals:
        yield f"it requires {rule.min_approvals} approvals of {len(rule.people)} reviewers: no call can be approved"


def _incomplete(entry: PolicyEntry, policy: PolicySet, operations: Mapping[str, Operation]) -> Iterator[str]:
    """Find permitted operations that are always denied, because each call also needs one that no entry permits."""
    if not (policy.is_own(entry) and entry.enforce):
        return
    registry = {name: row.risk for name, row in operations.items()}
    own = [other for other in policy.entries if policy.is_own(other) and other.enforce]
    denied = {name for other in _always_denying(policy) for name in _matching(other.deny, registry)}
    permitted = {name for other in own for name in _permitted(other, registry) if registry[name] <= other.risk_max}
    for name in _permitted(entry, registry):
        missing = [need for need in operations[name].needs if need in denied or need not in permitted]
        if missing and registry[name] <= entry.risk_max and name not in denied:
            needed = " and ".join(missing)
            yield f"it permits {name}, but each such call also needs {needed}, which no entry permits: all are denied"


def _outgrown(entry: PolicyEntry, operations: Mapping[str, Operation]) -> Iterator[str]:
    """Find newer operations that its globs match and do not permit."""
    for name in sorted(entry.later):
        if entry.globs_match(name) and not entry.permits(name):
            row = operations[name]
            kind = "write" if row.writes else "read"
            yield (
                f"its globs match {name}, a {kind} that was added in version {row.since} of the table: it is not "
                f"permitted until the entry names it, or states table: {row.since}"
            )


def _misnamed(entry: PolicyEntry, parameters: Mapping[str, Collection[str]] | None) -> Iterator[str]:
    """Find parameters in its condition that none of its operations has."""
    if entry.when is None or not parameters:
        return
    about = _matching((*entry.operations, *entry.deny), parameters)
    known = {name for operation in about for name in parameters[operation]}
    every = {name for names in parameters.values() for name in names}
    for name in sorted(entry.when.parameters.difference(known)):
        nearest = difflib.get_close_matches(name, every - {name}, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest and name not in every else ""
        yield f"its condition reads the parameter {name!r}, which none of its operations has{hint}"


def _misnamed_members(entry: PolicyEntry, members: Collection[str]) -> Iterator[str]:
    """Find globs over members of responses that match none."""
    for key, globs in (("hide", entry.hide), ("show", entry.show)) if members else ():
        for pattern in globs:
            name = pattern.rpartition(".")[2]
            if not any(glob(name).fullmatch(member) for member in members):
                nearest = difflib.get_close_matches(name, members, n=1)
                hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
                yield f"{key}: {pattern!r} matches no member of any response{hint}"


def _always_denying(policy: PolicySet) -> Iterator[PolicyEntry]:
    """Yield the entries that deny for every agent, at any time."""
    for entry in policy.entries:
        unrestricted = (entry.agents, entry.orgs) == (("*",), ("*",))
        if policy.is_own(entry) and entry.enforce and entry.when is None and entry.expires is None and unrestricted:
            yield entry


def _permitted(entry: PolicyEntry, registry: Mapping[str, object]) -> list[str]:
    return [name for name in registry if entry.permits(name)]


def _matching(patterns: tuple[str, ...], registry: Mapping[str, object]) -> list[str]:
    expressions = [glob(pattern) for pattern in patterns]
    return [name for name in registry if any(expression.fullmatch(name) for expression in expressions)]
