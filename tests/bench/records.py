"""Entries of made-up calls, as long as those of real ones."""

from __future__ import annotations

from typing import Any

from arx_wrapper.audit import Entry


def intent_of(*, agent_id: str = "agent-001", target: str = "P1234AB") -> Entry:
    """Return the intent of a call."""
    return Entry(
        action_type="connector.called",
        status="in_progress",
        org_id="org-acme",
        agent_id=agent_id,
        connector="pagerduty",
        operation="incidents:acknowledge",
        method="PUT",
        path="/incidents/{incident_id}",
        risk="low",
        policy_verdict="PERMIT",
        policy="pd-incident-responder",
        reason="policy 'pd-incident-responder' permits it.",
        inputs_hash="0" * 64,
        metadata={"effects": [["incidents:acknowledge", "low", 1]], "ids": {"incident_id": target}},
    )


def outcome_of(
    intent: Entry | None, *, agent_id: str = "agent-001", status: Any = "success", verdict: str = "PERMIT"
) -> Entry:
    """Return the outcome of a call; a refusal when it has no intent."""
    attempt = {"sent": True, "status": 200, "error": None, "duration_ms": 11.1, "waited_ms": 0.0}
    return Entry(
        action_type="connector.completed" if intent else "connector.refused",
        status=status,
        org_id="org-acme",
        agent_id=agent_id,
        connector="pagerduty",
        operation="incidents:acknowledge",
        method="PUT",
        path="/incidents/{incident_id}",
        risk="low",
        policy_verdict=verdict,
        policy="pd-incident-responder",
        inputs_hash="0" * 64,
        outputs_hash="1" * 64,
        duration_ms=12.345,
        intent_id=intent.id if intent else None,
        metadata={"answers": 1, "attempts": [attempt]} if intent else {},
    )
