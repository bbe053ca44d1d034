"""A reviewer's decision, and its record."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from arx_wrapper.audit import AuditLog, Entry

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Approvals


async def review(
    approvals: Approvals,
    log: AuditLog,
    approval_id: str,
    *,
    reviewer: str,
    approve: bool,
    note: str = "",
    signature: str | None = None,
    at: datetime | None = None,
) -> ApprovalRequest:
    """Decide a request for approval and record who decided what.

    Args:
        approvals, log: Where the request is, and where the decision is recorded.
        approval_id: The request.
        reviewer, approve, note: The decision.
        signature, at: The reviewer's signature and its time, where reviewers have registered keys.

    Returns:
        The request as it stands now; with `min_approvals` it may still be pending.

    Raises:
        ApprovalError: there is no such request, it is over, or this reviewer may not decide it.
        AuditError: the decision stands but could not be recorded.
    """
    await log.open()  # what cannot be recorded is not decided
    request = await approvals.decide(approval_id, reviewer, approve, note, signature, at=at)
    await log.append(
        Entry(
            action_type="approval.reviewed",
            status="success" if approve else "blocked",
            org_id=request.org_id,
            agent_id=request.agent_id,
            connector=request.connector,
            operation=request.operation,
            risk=request.risk.name.lower(),
            policy=request.policy,
            approval_id=request.id,
            metadata={
                "reviewer": reviewer,
                "verdict": "approved" if approve else "denied",
                "state": request.state,
                "digest": request.digest,
                "signed": signature is not None,
            },
        )
    )
    return request
