"""A reviewer's decision, and its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arx_wrapper.audit import AuditLog, Entry

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Approvals


async def review(
    approvals: Approvals, log: AuditLog, approval_id: str, *, reviewer: str, approve: bool, note: str = ""
) -> ApprovalRequest:
    """Decide a request for approval and record who decided what.

    Returns:
        The request as it stands now; with `min_approvals` it may still be pending.

    Raises:
        ApprovalError: there is no such request, it is over, or this reviewer may not decide it.
        AuditError: the decision stands but could not be recorded.
    """
    request = await approvals.decide(approval_id, reviewer, approve, note)
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
            },
        )
    )
    return request
