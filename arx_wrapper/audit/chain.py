"""A batch becomes records: who is refused, and the links of those that are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from attrs import define, field

from arx_wrapper.audit.record import ActionType, AuditRecord, Entry, Status, body_of
from arx_wrapper.audit.store import Pending, Refused, Written


class Window(NamedTuple):
    """What a limit looks at: the uses of an operation in so many seconds."""

    org_id: str
    agent_id: str
    operation: str
    seconds: float


@define(eq=False)
class Chain:
    """Where a transaction stands.

    Attributes:
        seq, head: The last record's place and hash.
        digest: HMAC-SHA256 with the log's key, as hex.
        suspended: Agents that are, with the reason.
        used: How much of each window is used up.
        records: What is to be added.
        usage: What it counts as: organisation, agent, operation, seq and number.
    """

    seq: int
    head: str
    digest: Callable[[bytes], str]
    suspended: Mapping[str, str]
    used: Mapping[Window, int]
    records: list[Written] = field(factory=list, init=False)
    usage: list[tuple[str, str, str, int, int]] = field(factory=list, init=False)
    _counted: Counter[tuple[str, str, str]] = field(factory=Counter, init=False)

    def add(self, batch: Iterable[Pending], *, now: datetime) -> None:
        """Link the entries that are not refused, and set each `outcome`."""
        created_at = now.isoformat(timespec="microseconds")
        for pending in batch:
            entry = pending.entry
            if pending.checked and (refusal := self._refusal(pending)):
                pending.outcome = refusal
                continue
            self.seq += 1
            body = body_of(entry, seq=self.seq, created_at=created_at, prev_hash=self.head)
            self.head = self.digest(body)
            pending.outcome = Written(self.seq, entry.id, body, self.head)
            self.records.append(pending.outcome)
            for operation, count in pending.usage:
                self.usage.append((entry.org_id, entry.agent_id, operation, self.seq, count))
                self._counted[entry.org_id, entry.agent_id, operation] += count

    def _refusal(self, pending: Pending) -> Refused | None:
        entry = pending.entry
        if reason := self.suspended.get(entry.agent_id):
            return Refused(suspended_because(entry.agent_id, reason))
        wanted = dict(pending.usage)
        for window, limit in zip(windows(pending), pending.limits, strict=True):
            used = self.used[window] + self._counted[window[:3]]
            if used + wanted.get(limit.operation, 0) > limit.count:
                return Refused(f"The limit of {limit.text} for {limit.operation} is used up.", limit)
        return None


def windows(pending: Pending) -> Sequence[Window]:
    """What the limits of an entry look at, in their order."""
    entry = pending.entry
    return [Window(entry.org_id, entry.agent_id, limit.operation, limit.seconds) for limit in pending.limits]


def suspended_because(agent_id: str, reason: str) -> str:
    """Why an agent's call is refused, for people."""
    return f"Agent {agent_id!a} is suspended: {reason}."


def answer(intent: AuditRecord | Entry, action_type: ActionType, status: Status, error: str) -> Entry:
    """What became of an intent whose own writer did not say so."""
    return Entry(
        action_type=action_type,
        status=status,
        error=error,
        intent_id=intent.id,
        **{
            name: getattr(intent, name)
            for name in ("org_id", "agent_id", "connector", "operation", "method", "path", "risk")
        },
        policy_verdict=intent.policy_verdict,
        policy=intent.policy,
        inputs_hash=intent.inputs_hash,
    )
