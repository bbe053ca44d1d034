"""One act, one rule: what an agent may do does not depend on the name it uses."""

from __future__ import annotations

from typing import Any

import pytest

from arx_wrapper import OPERATIONS, Decision, PagerDutyConnector, Risk, Verdict

# Every way to do an act, through every operation that can do it.
ACTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "incidents:resolve": [
        ("incidents:resolve", {"incident_id": "P1"}),
        ("incidents:update", {"incident_id": "P1", "status": "resolved"}),
        ("incidents:update", {"incident_id": "P1", "status": "resolved", "title": "done"}),
        ("incidents:manage", {"incidents": [{"id": "P1", "status": "resolved"}]}),
        (
            "incidents:manage",
            {"incidents": [{"id": "P1", "status": "acknowledged"}, {"id": "P2", "status": "resolved"}]},
        ),
        ("incidents:merge", {"incident_id": "P1", "source_incident_ids": ["P2"]}),
        ("alerts:update", {"incident_id": "P1", "alert_id": "A1", "status": "resolved"}),
    ],
    "incidents:acknowledge": [
        ("incidents:acknowledge", {"incident_id": "P1"}),
        ("incidents:update", {"incident_id": "P1", "status": "acknowledged"}),
        ("incidents:manage", {"incidents": [{"id": "P1", "status": "acknowledged"}]}),
        ("incidents:snooze", {"incident_id": "P1", "duration": 60}),
    ],
    "incidents:reassign": [
        ("incidents:reassign", {"incident_id": "P1", "assignee_ids": ["U1"]}),
        ("incidents:update", {"incident_id": "P1", "assignee_ids": ["U1"]}),
        ("incidents:update", {"incident_id": "P1", "escalation_policy_id": "E1"}),
        ("incidents:update", {"incident_id": "P1", "escalation_level": 2}),
        ("incidents:manage", {"incidents": [{"id": "P1", "assignee_ids": ["U1"]}]}),
        ("incidents:manage", {"incidents": [{"id": "P1", "escalation_level": 2}]}),
    ],
    "incidents:update": [
        ("incidents:update", {"incident_id": "P1", "title": "other"}),
        ("incidents:manage", {"incidents": [{"id": "P1", "title": "other"}]}),
        ("incidents:manage", {"incidents": [{"id": "P1", "urgency": "low"}]}),
        ("incidents:manage", {"incidents": [{"id": "P1", "status": "triggered"}]}),
    ],
    "incidents:merge": [
        ("incidents:merge", {"incident_id": "P1", "source_incident_ids": ["P2"]}),
        ("alerts:update", {"incident_id": "P1", "alert_id": "A1", "parent_incident_id": "P2"}),
    ],
    "alerts:read": [
        ("alerts:read", {"incident_id": "P1"}),
        ("incidents:read_alerts", {"incident_id": "P1"}),
    ],
    "incidents:read_alerts": [
        ("alerts:read", {"incident_id": "P1"}),
        ("incidents:read_alerts", {"incident_id": "P1"}),
    ],
}
WAYS = [(act, *way) for act, ways in ACTS.items() for way in ways]

SILENCES: list[tuple[str, dict[str, Any]]] = [
    (
        "maintenance:create",
        {"start_time": "2025-06-15T02:00:00Z", "end_time": "2025-06-15T04:00:00Z", "service_ids": ["P1"]},
    ),
    ("services:delete", {"service_id": "P1"}),
    ("services:update", {"service_id": "P1", "status": "disabled"}),
    ("services:update", {"service_id": "P1", "fields": {"auto_resolve_timeout": 60}}),
    ("services:update", {"service_id": "P1", "fields": {"alert_creation": "create_incidents"}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["suppress", True]]}}),
    ("rules:update", {"rule_id": "R1", "rule": {"condition": ["and"], "actions": [["suppress", True]]}}),
]

EVERYTHING = {
    "name": "everything",
    "connector": "pagerduty",
    "operations": ["*"],
    "risk_max": "high",
    "approval": "none",
}


def explain(policies: list[dict[str, Any]], operation: str, params: dict[str, Any]) -> Decision:
    return PagerDutyConnector("agent", "org", policies=policies).explain(operation, params)


@pytest.mark.parametrize(("act", "operation", "params"), WAYS)
def test_a_denied_act_is_denied_by_every_name(act: str, operation: str, params: dict[str, Any]) -> None:
    decision = explain([EVERYTHING, {"name": "no", "connector": "pagerduty", "deny": [act]}], operation, params)
    assert (decision.verdict, decision.operation, decision.policy) == (Verdict.DENY, act, "no")


@pytest.mark.parametrize(("act", "operation", "params"), WAYS)
def test_an_act_that_needs_a_reviewer_needs_one_by_every_name(act: str, operation: str, params: dict[str, Any]) -> None:
    ask = {**EVERYTHING, "name": "ask", "operations": [act], "approval": "hitl", "hitl_channel": "#ops"}
    decision = explain([EVERYTHING, ask], operation, params)
    assert (decision.verdict, decision.operation) == (Verdict.ESCALATE, act)


@pytest.mark.parametrize(("act", "operation", "params"), WAYS)
def test_nothing_permits_an_act_by_its_other_names_alone(act: str, operation: str, params: dict[str, Any]) -> None:
    others = [{**EVERYTHING, "operations": [name for name in OPERATIONS if name != act]}]
    assert explain(others, operation, params).verdict is Verdict.DENY


@pytest.mark.parametrize(("operation", "params"), SILENCES)
def test_every_way_to_silence_a_service_is_judged_at_high(operation: str, params: dict[str, Any]) -> None:
    up_to_medium = [{**EVERYTHING, "risk_max": "medium"}]
    assert explain(up_to_medium, operation, params).verdict is Verdict.DENY
    assert explain([EVERYTHING], operation, params).risk is Risk.HIGH


def test_a_service_is_enabled_and_renamed_at_its_own_risk() -> None:
    up_to_medium = [{**EVERYTHING, "risk_max": "medium"}]
    for params in ({"status": "active"}, {"name": "new"}, {"fields": {"acknowledgement_timeout": 600}}):
        assert explain(up_to_medium, "services:update", {"service_id": "P1", **params}).risk is Risk.MEDIUM


def test_a_rule_that_does_not_suppress_is_judged_at_its_own_risk() -> None:
    for action in (["route", "P1"], ["suppress", False]):
        rule = {"condition": ["and"], "actions": [action]}
        assert explain([EVERYTHING], "rules:create", {"rule": rule}).risk is Risk.MEDIUM


def test_an_entry_of_a_bulk_call_counts_as_one() -> None:
    pd = PagerDutyConnector("agent", "org", policies=[EVERYTHING])
    entries = [
        {"id": "P1", "status": "resolved"},
        {"id": "P2", "status": "resolved"},
        {"id": "P3", "title": "t"},
    ]
    call, _ = pd._resolve("incidents:manage", {"incidents": entries})
    assert {effect.operation: effect.count for effect in call.effects} == {
        "incidents:manage": 3,
        "incidents:resolve": 2,
        "incidents:update": 1,
    }


def test_every_write_is_classified_and_no_read_is() -> None:
    for row in OPERATIONS.values():
        assert (row.effects is not None) == row.writes or row.name in (
            "alerts:read",
            "incidents:read_alerts",
        ), row
