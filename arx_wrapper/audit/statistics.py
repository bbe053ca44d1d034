"""Count the log's calls by agent and operation: verdicts, outcomes, durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from statistics import median, quantiles
from typing import Any

from attrs import define, field

from arx_wrapper.audit.record import AuditRecord


@define(eq=False)
class Row:
    """The calls of one operation by one agent.

    Attributes:
        calls: The number of calls.
        verdicts: The number of each of policy's verdicts.
        statuses: The number of each outcome; `in_progress` are those without one yet.
        durations: The milliseconds from call to outcome, for the calls that succeeded.
    """

    agent_id: str
    operation: str
    calls: int = 0
    verdicts: Counter[str] = field(factory=Counter)
    statuses: Counter[str] = field(factory=Counter)
    durations: list[float] = field(factory=list)

    def plain(self) -> dict[str, Any]:
        spread = self.durations if len(self.durations) > 1 else self.durations * 2
        return {
            "agent_id": self.agent_id,
            "operation": self.operation,
            "calls": self.calls,
            "verdicts": dict(self.verdicts),
            "statuses": dict(+self.statuses),
            "median_ms": round(median(spread), 1) if spread else None,
            "p95_ms": round(quantiles(spread, n=20, method="inclusive")[-1], 1) if spread else None,
        }


async def tally(records: AsyncIterator[AuditRecord]) -> list[Row]:
    """Count records by agent and operation, the busiest first."""
    rows: dict[tuple[str, str], Row] = {}
    async for record in records:
        if record.operation is None:
            continue
        key = (record.agent_id, record.operation)
        row = rows.get(key) or rows.setdefault(key, Row(*key))
        intent = record.metadata.get("intent")
        if record.action_type == "connector.called" or (record.action_type == "connector.refused" and not intent):
            row.calls += 1
            row.verdicts[record.policy_verdict or "none"] += 1
        if record.action_type == "connector.called":
            row.statuses["in_progress"] += 1
        elif record.action_type in ("connector.completed", "connector.refused"):
            row.statuses["in_progress"] -= 1 if intent else 0
            row.statuses[record.status] += 1
            if record.status == "success" and record.duration_ms is not None:
                row.durations.append(record.duration_ms)
    return sorted(rows.values(), key=lambda row: (-row.calls, row.agent_id, row.operation))
