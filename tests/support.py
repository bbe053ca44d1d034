"""What tests share: policies, and a look at the audit log."""

from __future__ import annotations

from typing import Any

from arx_wrapper import PagerDutyConnector
from arx_wrapper.audit import AuditRecord

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "connector": "pagerduty",
    "operations": ["*"],
    "risk_max": "high",
    "approval": "none",
}
ASK_ABOUT_HIGH: dict[str, Any] = {
    **EVERYTHING,
    "name": "ask-about-high",
    "approval": {"low": "none", "medium": "none", "high": "hitl"},
    "hitl_channel": "#approvals",
}
CANARY = "canary-u0-9f2b7c-do-not-print"


def denying(*operations: str) -> dict[str, Any]:
    return {"name": "denied", "connector": "pagerduty", "deny": list(operations)}


async def trail(pd: PagerDutyConnector) -> list[AuditRecord]:
    """The connector's records so far, without those of policies being loaded."""
    log = pd._rooms.audit
    await log.flush()
    return [record async for record in log.records() if record.action_type != "policy.loaded"]
