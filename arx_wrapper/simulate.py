"""What a proposed policy would have said of the calls on record: what would change, by agent and operation.

Calls are judged by the effects that their records hold. Conditions over parameters can be judged only where the log
kept the parameters (`ARX_AUDIT_CAPTURE=params`); calls that hang on one are counted apart. Limits are counted anew,
over the calls that the proposed policy would have let through.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from arx_wrapper.model import Call, Decision, Effect, Operation, Risk, Verdict
from arx_wrapper.policy import PolicySet
from arx_wrapper.policy.entry import glob

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
    """What was found.

    Attributes:
        judged: How many calls were judged anew.
        unsure: How many hang on parameters that the log did not keep.
        unknown: How many were of operations that are not known any more.
        changes: What would change, the most frequent first.
    """

    judged: int = 0
    unsure: int = 0
    unknown: int = 0
    changes: list[Change] = field(factory=list)


async def simulate(
    records: AsyncIterator[AuditRecord], proposed: PolicySet, operations: Mapping[str, Operation]
) -> Simulation:
    """Judge recorded calls by another policy.

    Args:
        records: In the log's order.
        proposed: The policy to try.
        operations: The connector's table.
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
        call = _call(record, row)
        if "params" not in record.metadata and judge.hangs_on_params(call):
            found.unsure += 1
            continue
        found.judged += 1
        decision = judge.decide(call, datetime.fromisoformat(record.created_at))
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
        self._conditional: dict[str, bool] = {}
        self._used: defaultdict[tuple[str, str, str], deque[tuple[datetime, int]]] = defaultdict(deque)

    def decide(self, call: Call, now: datetime) -> Decision:
        decision = self._policy.decide(call, now)
        if decision.verdict is Verdict.DENY:
            return decision
        counts = {effect.operation: effect.count for effect in call.effects}
        for limit in decision.limits:
            uses = self._used[call.org_id, call.agent_id, limit.operation]
            since = now.timestamp() - limit.seconds
            used = sum(count for at, count in uses if at.timestamp() > since)
            if used + counts.get(limit.operation, 0) > limit.count:
                return evolve(decision, verdict=Verdict.DENY, reason=f"The limit of {limit.text} is used up.")
        for operation, count in counts.items():
            uses = self._used[call.org_id, call.agent_id, operation]
            uses.append((now, count))
            while uses and uses[0][0].timestamp() < now.timestamp() - 86_400:
                uses.popleft()
        return decision

    def hangs_on_params(self, call: Call) -> bool:
        """Whether an entry that is about the call has a condition over parameters."""
        return any(self._is_conditional(effect.operation) for effect in call.effects)

    def _is_conditional(self, operation: str) -> bool:
        if operation not in self._conditional:
            self._conditional[operation] = any(
                entry.when is not None
                and "params" in entry.when.text
                and any(glob(pattern).fullmatch(operation) for pattern in (*entry.operations, *entry.deny))
                for entry in self._policy.entries
            )
        return self._conditional[operation]


def _call(record: AuditRecord, row: Operation) -> Call:
    said: list[list[Any]] = record.metadata.get("effects") or [[row.name, row.risk.name, 1]]
    effects = tuple(Effect(operation=name, risk=Risk[risk.upper()], count=count) for name, risk, count in said)
    return Call(
        id=record.id,
        operation=row,
        agent_id=record.agent_id,
        org_id=record.org_id,
        canonical=b"",
        params=record.metadata.get("params") or {},
        effects=effects,
    )
