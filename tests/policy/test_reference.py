"""The reference's four policies behave as their titles say: 45 operations each, against a table written by hand."""

from __future__ import annotations

from importlib.resources import files

import pytest

from arx_wrapper import OPERATIONS, Verdict
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import load
from tests.policy.support import NOW, bare

READS = [
    "incidents:read",
    "incidents:read_detail",
    "incidents:read_alerts",
    "incidents:read_log",
    "incidents:read_notes",
    "alerts:read",
    "services:read",
    "services:read_detail",
    "services:read_integrations",
    "escalation:read",
    "escalation:read_detail",
    "schedules:read",
    "schedules:read_detail",
    "schedules:read_oncall",
    "users:read",
    "users:read_detail",
    "users:read_contact",
    "users:read_notification",
    "teams:read",
    "teams:read_detail",
    "analytics:read",
    "analytics:services",
]
DASHBOARD = [*READS, "maintenance:read", "rules:read"]
RESPONSE = [
    "incidents:create",
    "incidents:update",
    "incidents:manage",
    "incidents:snooze",
    "incidents:merge",
    "incidents:add_note",
    "incidents:reassign",
    "incidents:resolve",
    "incidents:acknowledge",
    "alerts:update",
]
HIGH = ["services:create", "services:delete", "escalation:delete", "maintenance:create"]

PERMITTED = {
    "pd-incident-responder": {*READS, *RESPONSE},
    "pd-oncall-readonly": set(DASHBOARD),
    "pd-full-admin": set(OPERATIONS) - set(HIGH),
    "pd-no-maintenance": set(),
}
ESCALATED = {"pd-full-admin": set(HIGH)}
CASES = [(policy, operation) for policy in PERMITTED for operation in OPERATIONS]


def test_there_are_180_verdicts() -> None:
    assert len(CASES) == 180
    assert len(READS) == 22


@pytest.mark.parametrize(("policy", "operation"), CASES)
def test_a_reference_policy_says_what_its_title_says(policy: str, operation: str) -> None:
    file = files("arx_wrapper.pagerduty") / "policies" / f"{policy}.yaml"
    decision = load(str(file), registry=RISKS, connector="pagerduty").decide(bare(operation), NOW)
    if operation in PERMITTED[policy]:
        assert (decision.verdict, decision.policy) == (Verdict.PERMIT, policy)
    elif operation in ESCALATED.get(policy, ()):
        assert (decision.verdict, decision.policy) == (Verdict.ESCALATE, policy)
        assert decision.channel == "#pd-admin-approvals"
    else:
        assert decision.verdict is Verdict.DENY


def test_blocking_maintenance_wins_over_full_administration() -> None:
    both = load(str(files("arx_wrapper.pagerduty") / "policies"), registry=RISKS, connector="pagerduty")
    decision = both.decide(bare("maintenance:create"), NOW)
    assert (decision.verdict, decision.policy) == (Verdict.DENY, "pd-no-maintenance")
    assert both.decide(bare("maintenance:delete"), NOW).verdict is Verdict.PERMIT


def test_the_reference_policies_are_also_where_configurations_of_earlier_versions_name_them() -> None:
    for file in (files("arx_wrapper.pagerduty") / "policies").iterdir():
        assert (files("arx_wrapper") / "policies" / file.name).read_text("utf-8") == file.read_text("utf-8")
