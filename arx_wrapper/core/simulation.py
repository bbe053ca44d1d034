"""Judge the calls on record by a proposed policy: what would change, by agent and operation.

Calls are judged by the effects that their records hold. Conditions over parameters can be judged only where the log
kept the parameters (`ARX_AUDIT_CAPTURE=params`), and not over free text, of which it never keeps more than the length;
calls that hang on what was not kept are counted apart. Limits are counted anew, over the calls that the proposed policy
would have let through. What a suspended agent asked for was refused by no policy, and is left out.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from arx_wrapper.core.resolution import IsAlias, expand
from arx_wrapper.model import Call, Decision, Effect, Operation, Risk, Verdict
from arx_wrapper.policy import PolicyEntry, PolicySet
from arx_wrapper.policy.condition import Condition
from arx_wrapper.policy.entry import matches_any

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditRecord

_EXAMPLES = 3


@define
class Change:
    """Calls that would be judged otherwise.

    Attributes:
        was: The verdict on record.
        would_be: The verdict of the proposed policy.
        reason: Why, of the first of them.
        examples: Records of some of them.
    """

    agent_id: str
    operation: str
    was: str
    would_be: str
    reason: str
    count: int = 0
    examples: list[str] = field(factory=list)


@define
class Simulation:
    """The result of a simulation.

    Attributes:
        judged: How many calls were judged anew.
        unsure: How many hang on parameters that the log did not keep.
        suspended: How many were refused because their agent was suspended.
        unknown: How many were of operations that are not known any more.
        changes: What would change, the most frequent first.
    """

    judged: int = 0
    unsure: int = 0
    suspended: int = 0
    unknown: int = 0
    changes: list[Change] = field(factory=list)


async def simulate(
    records: AsyncIterator[AuditRecord],
    proposed: PolicySet,
    operations: Mapping[str, Operation],
    is_alias: IsAlias,
) -> Simulation:
    """Judge recorded calls by another policy.

    Args:
        records: In the log's order.
        proposed: The policy to try.
        operations: The connector's table.
        is_alias: Tells which values are second names; see `expand()`.
    """
    found, judge = Simulation(), _Judge(proposed)
    changes: dict[tuple[str, str, str, str], Change] = {}
    async for record in records:
        if record.action_type not in ("connector.called", "connector.refused") or record.policy_verdict is None:
            continue
        if record.action_type == "connector.refused" and "intent" in record.metadata:
            continue  # its intent is a record of its own
        row = operations.get(record.operation or "")
        if row is None:
            found.unknown += 1
            continue
        if (record.reason or "").startswith(f"Agent {record.agent_id!a} is suspended"):
            found.suspended += 1
            continue
        call, now = _call(record, row, operations, is_alias), datetime.fromisoformat(record.created_at)
        if judge.hangs_on_more_than("params" in record.metadata, call, now):
            found.unsure += 1
            continue
        found.judged += 1
        decision = judge.decide(call, now)
        if decision.verdict.value == record.policy_verdict:
            continue
        key = (record.agent_id, row.name, record.policy_verdict, decision.verdict.value)
        change = changes.get(key) or changes.setdefault(key, Change(*key, reason=decision.reason))
        change.count += 1
        if len(change.examples) < _EXAMPLES:
            change.examples.append(record.id)
    found.changes = sorted(changes.values(), key=lambda change: -change.count)
    return found


class _Judge:
    """The proposed policy, with its limits counted over what it lets through."""

    def __init__(self, policy: PolicySet) -> None:
        self._policy = policy
        self._conditions: dict[str, list[PolicyEntry]] = {}
        self._seconds: defaultdict[str, set[int]] = defaultdict(set)
        for entry in policy.entries:
            for limit in entry.limits:
                self._seconds[limit.operation].add(limit.seconds)
        self._windows: dict[tuple[str, str, str, int], _Window] = {}

    def decide(self, call: Call, now: datetime) -> Decision:
        decision = self._policy.decide(call, now)
        if decision.verdict is Verdict.DENY or not self._seconds:
            return decision
        counts, at = {effect.operation: effect.count for effect in call.effects}, now.timestamp()
        for limit in decision.limits:
            used = self._window(call, limit.operation, limit.seconds).used(at)
            if used + counts.get(limit.operation, 0) > limit.count:
                reason = f"The limit of {limit.text} for {limit.operation} is used up."
                return evolve(decision, verdict=Verdict.DENY, reason=reason)
        for operation, count in counts.items():
            for seconds in self._seconds.get(operation, ()):
                self._window(call, operation, seconds).add(at, count)
        return decision

    def hangs_on_more_than(self, kept: bool, call: Call, now: datetime) -> bool:
        """Return whether a condition reads parameters that were not kept, or not whole."""
        return any(
            _reads_more_than(entry.when, effect, kept)
            for effect in call.effects
            for entry in self._conditional(effect.operation)
            if entry.when is not None and self._policy.applies(entry, call, now)
        )

    def _conditional(self, operation: str) -> list[PolicyEntry]:
        if operation not in self._conditions:
            self._conditions[operation] = [
                entry
                for entry in self._policy.entries
                if entry.when is not None
                and entry.enforce
                and self._policy.is_about(entry)
                and (entry.permits(operation) or matches_any(entry.deny, operation))
            ]
        return self._conditions[operation]

    def _window(self, call: Call, operation: str, seconds: int) -> _Window:
        key = (call.org_id, call.agent_id, operation, seconds)
        return self._windows.get(key) or self._windows.setdefault(key, _Window(seconds))


@define
class _Window:
    """Count how often something was done in the last so many seconds."""

    seconds: int
    total: int = 0
    uses: deque[tuple[float, int]] = field(factory=deque)

    def used(self, now: float) -> int:
        while self.uses and self.uses[0][0] <= now - self.seconds:
            self.total -= self.uses.popleft()[1]
        return self.total

    def add(self, now: float, count: int) -> None:
        self.uses.append((now, count))
        self.total += count


def _reads_more_than(condition: Condition, effect: Effect, kept: bool) -> bool:
    if not kept:
        return bool(condition.parameters) or condition.reads_all
    return any(
        _is_cut(value) and (condition.reads_all or name in condition.parameters)
        for params in effect.params
        for name, value in (params or {}).items()
    )


def _is_cut(value: Any) -> bool:
    """Return whether free text in a value was replaced by its length."""
    if isinstance(value, dict):
        return any(_is_cut(item) for item in value.values())
    if isinstance(value, list):
        return any(_is_cut(item) for item in value)
    return isinstance(value, str) and re.fullmatch(r"\[\d+ characters\]", value) is not None


def _call(record: AuditRecord, row: Operation, operations: Mapping[str, Operation], is_alias: IsAlias) -> Call:
    """Rebuild a call: its effects as recorded, with the parameters that the ones kept give them."""
    said: list[list[Any]] = record.metadata.get("effects") or [[row.name, row.risk.name, 1]]
    params = record.metadata.get("params") or {}
    try:
        told = {effect.operation: effect.params for effect in expand(row, params, operations, is_alias)}
    except (TypeError, ValueError, LookupError, AttributeError):  # recorded by a release that took other parameters
        told = {row.name: (params,)}
    effects = tuple(
        Effect(operation=name, risk=Risk[risk.upper()], count=count, params=told.get(name, (None,)))
        for name, risk, count in said
    )
    return Call(
        id=record.id,
        operation=row,
        agent_id=record.agent_id,
        org_id=record.org_id,
        canonical=b"",
        params=params,
        effects=effects,
    )
