"""Collect what an auditor asks from the records: who did what to which object, by which policy, approved by whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from attrs import asdict, define, field

from arx_wrapper.audit import AuditRecord
from arx_wrapper.pagerduty.operations import TABLE

_CHANGES = {
    "agent.suspended": "suspended",
    "agent.resumed": "resumed",
    "reviewer.enrolled": "enrolled",
    "reviewer.removed": "removed",
    "log.sealed": "sealed",
    "log.removed": "removed",
}


@define(kw_only=True)
class Call:
    """One call that was asked for.

    Attributes:
        seq: The number of the record that asks for it, or refuses it at once.
        at: The time of that record.
        agent, org, requester: Who asked, and in whose name.
        operation, risk, writes: The operation.
        objects: The ids that its parameters name.
        effects: The operations whose permission it needed.
        verdict, policy, reason: The decision of policy.
        approval: The request for approval that it waited for or used.
        status: `success`, `error`, `unknown`, `blocked`, `escalated`, or `in_progress` without an outcome on record.
        error: The error's class, with status and code.
        outcome_seq: The number of the record of its outcome.
        refused: True when nothing was sent.
    """

    seq: int
    at: str
    agent: str
    org: str
    operation: str
    writes: bool
    risk: str | None
    objects: list[str] = field(factory=list)
    effects: list[str] = field(factory=list)
    requester: str | None = None
    verdict: str | None = None
    policy: str | None = None
    reason: str | None = None
    approval: str | None = None
    status: str = "in_progress"
    error: str | None = None
    outcome_seq: int | None = None
    refused: bool = False


@define(kw_only=True)
class Approval:
    """A request for approval: what it was for, and each decision about it."""

    id: str
    operation: str | None = None
    agent: str | None = None
    requested: str | None = None
    digest: str | None = None
    decisions: list[dict[str, Any]] = field(factory=list)


@define(kw_only=True)
class Report:
    """The report, as JSON has it. The figures of `totals` can be recomputed from the lists."""

    since: str | None
    until: str | None
    first_seq: int | None = None
    last_seq: int | None = None
    records: int = 0
    calls: int = 0
    writes: list[Call] = field(factory=list)
    refused: list[Call] = field(factory=list)
    unknown: list[Call] = field(factory=list)
    reads: list[dict[str, Any]] = field(factory=list)
    approvals: list[Approval] = field(factory=list)
    changes: list[dict[str, Any]] = field(factory=list)
    policies: list[dict[str, Any]] = field(factory=list)
    verification: dict[str, Any] = field(factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON, with its totals."""
        return {**asdict(self), "totals": self.totals()}

    def totals(self) -> dict[str, int]:
        """Return the figures of the summary."""
        return {
            "records": self.records,
            "calls": self.calls,
            "writes": len(self.writes),
            "writes_succeeded": sum(call.status == "success" for call in self.writes),
            "reads": sum(row["calls"] for row in self.reads),
            "refused": len(self.refused),
            "unknown": len(self.unknown),
            "approvals": len(self.approvals),
        }


async def collect(
    records: AsyncIterator[AuditRecord],
    policies: AsyncIterator[AuditRecord],
    *,
    since: datetime | None,
    until: datetime | None,
) -> Report:
    """Return the report of a span, in one pass.

    Args:
        records: The records of the span, in their order.
        policies: Every `policy.loaded` record up to the end of the span, in their order.
        since, until: The span, as asked for; aware.
    """
    report = Report(since=_text(since), until=_text(until))
    open_calls: dict[str, Call] = {}
    every: list[Call] = []
    approvals: dict[str, Approval] = {}
    async for record in records:
        report.records += 1
        report.first_seq = report.first_seq or record.seq
        report.last_seq = record.seq
        if record.action_type in ("connector.called", "connector.completed", "connector.refused"):
            _add_call(record, open_calls, every)
        elif record.action_type.startswith("approval."):
            _add_approval(record, approvals)
        elif record.action_type in _CHANGES:
            report.changes.append(_change(record))
    report.calls = len(every)
    report.approvals = list(approvals.values())
    _sort(report, every)
    report.policies = await _policies(policies, since)
    return report


def _add_call(record: AuditRecord, open_calls: dict[str, Call], every: list[Call]) -> None:
    intent = record.metadata.get("intent")
    if record.action_type == "connector.called" or intent is None:
        call = _call(record)
        every.append(call)
        if record.action_type == "connector.called":
            open_calls[record.id] = call
            return
    else:
        found = open_calls.pop(str(intent), None)
        if found is None:  # its intent is older than the span
            found = _call(record)
            every.append(found)
        call = found
    call.status, call.error, call.outcome_seq = record.status, record.error, record.seq
    call.refused = record.action_type == "connector.refused"
    call.approval = record.approval_id or call.approval


def _call(record: AuditRecord) -> Call:
    row = TABLE.get(record.operation or "")
    metadata = record.metadata
    return Call(
        seq=record.seq,
        at=record.created_at,
        agent=record.agent_id,
        org=record.org_id,
        operation=record.operation or "",
        writes=row.writes if row else record.method not in (None, "GET"),
        risk=record.risk,
        objects=_flat(metadata.get("ids")),
        effects=[str(effect[0]) for effect in metadata.get("effects") or [] if isinstance(effect, list) and effect],
        requester=metadata.get("requester") if isinstance(metadata.get("requester"), str) else None,
        verdict=record.policy_verdict,
        policy=record.policy,
        reason=record.reason,
        approval=record.approval_id,
    )


def _add_approval(record: AuditRecord, approvals: dict[str, Approval]) -> None:
    if record.approval_id is None:
        return
    approval = approvals.setdefault(record.approval_id, Approval(id=record.approval_id))
    approval.operation = approval.operation or record.operation
    approval.agent = approval.agent or record.agent_id
    metadata = record.metadata
    if record.action_type == "approval.requested":
        approval.requested, approval.digest = record.created_at, metadata.get("digest")
        return
    if "reviewer" not in metadata:  # the approval was used: no decision of a person's
        return
    approval.decisions.append(
        {
            "seq": record.seq,
            "at": record.created_at,
            "reviewer": metadata.get("reviewer"),
            "decision": metadata.get("verdict"),
            "counts": record.status != "error",
            "proof": "signature" if metadata.get("signed") else "name",
            "note": metadata.get("note"),
        }
    )


def _change(record: AuditRecord) -> dict[str, Any]:
    subject = record.metadata.get("reviewer") or record.agent_id
    by = record.metadata.get("by")
    # A record of an enrolment is one step of it: an invitation is no reviewer yet, and a refusal never becomes one.
    step = record.metadata.get("step") if record.action_type == "reviewer.enrolled" else None
    what = f"{record.action_type.partition('.')[0]} {step or _CHANGES[record.action_type]}"
    return {"seq": record.seq, "at": record.created_at, "what": what, "of": subject, "by": by, "why": record.reason}


def _sort(report: Report, every: list[Call]) -> None:
    """Sort the calls into lists: writes one by one, reads as counts, refusals and unknown outcomes apart."""
    reads: dict[tuple[str, str], dict[str, Any]] = {}
    for call in every:
        if call.refused:
            report.refused.append(call)
            continue
        if call.writes:
            report.writes.append(call)
        else:
            row = reads.setdefault(
                (call.agent, call.operation),
                {"agent": call.agent, "operation": call.operation, "calls": 0, "failed": 0},
            )
            row["calls"] += 1
            row["failed"] += call.status == "error"
        if call.status == "unknown" or call.outcome_seq is None:
            report.unknown.append(call)
    report.reads = [reads[key] for key in sorted(reads)]


async def _policies(records: AsyncIterator[AuditRecord], since: datetime | None) -> list[dict[str, Any]]:
    """Return the policies in force in the span: the last one loaded before it, and those loaded in it, with texts."""
    loaded: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    async for record in records:
        digest = str(record.metadata.get("digest") or "")
        if isinstance(record.metadata.get("text"), str):
            texts[digest] = record.metadata["text"]
        item = {"seq": record.seq, "at": record.created_at, "source": record.policy, "digest": digest}
        before = since is not None and datetime.fromisoformat(record.created_at) < since
        if before:
            loaded = [other for other in loaded if other["source"] != record.policy]
        loaded.append({**item, "error": record.error})
    return [{**item, "text": texts.get(item["digest"])} for item in loaded]


def _flat(ids: object) -> list[str]:
    if isinstance(ids, dict):
        return [one for value in ids.values() for one in _flat(value)]
    if isinstance(ids, list):
        return [one for value in ids for one in _flat(value)]
    return [str(ids)] if ids is not None else []


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
