"""One act, one rule: what an agent may do does not depend on the name it uses."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from arx_wrapper import NULL, Decision, InvalidParamsError, PagerDutyConnector, Risk, Verdict
from arx_wrapper.core.resolution import expand
from arx_wrapper.model import EffectSpec
from arx_wrapper.pagerduty.operations import TABLE

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
        ("rules:create", {"rule": {"actions": [["route", "P1"], ["event_action", "resolve"]]}}),
        ("rules:update", {"rule_id": "R1", "rule": {"actions": [["route", "P1"], ["event_action", "resolve"]]}}),
        (
            "services:create_integration",
            {
                "service_id": "P1",
                "type": "generic_email_inbound_integration",
                "fields": {"email_parsers": [{"action": "resolve", "match_predicate": {"type": "all"}}]},
            },
        ),
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
    "services:read_integrations": [
        ("services:read_integrations", {"service_id": "P1"}),
        ("services:read_detail", {"service_id": "P1", "include": ["teams", "integrations"]}),
        ("services:read", {"include": ["integrations"]}),
    ],
    "users:read_contact": [
        ("users:read_contact", {"user_id": "P1"}),
        ("users:read_me", {"include": ["contact_methods"]}),
        ("users:read_detail", {"user_id": "P1", "include": ["contact_methods"]}),
        ("users:read", {"include": ["contact_methods"]}),
        ("users:read_notification", {"user_id": "P1", "include": ["contact_methods"]}),
    ],
    "users:read_me": [
        ("users:read_me", {}),
        ("users:read_detail", {"user_id": "me"}),
    ],
    "users:read_detail": [
        ("users:read_detail", {"user_id": "P1"}),
        ("users:read_me", {}),
    ],
    "users:read_notification": [
        ("users:read_notification", {"user_id": "P1"}),
        ("users:read_me", {"include": ["notification_rules"]}),
        ("users:read_detail", {"user_id": "P1", "include": ["notification_rules"]}),
        ("users:read", {"include": ["notification_rules"]}),
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
    ("rules:update", {"rule_id": "R1", "rule": {"condition": ["and"]}}),  # what it does may be to suppress
    ("rules:update", {"rule_id": "R1", "rule": {"advanced_condition": []}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": []}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["annotate", "routed nowhere"]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], ["suppress"]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], ["severity", "info"]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], ["suspend", 600]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], {"suppress": True}]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], []]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", NULL]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", ""]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], ["route"]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], ["suppress", 0]]}}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "P1"], [["suppress", True]]]}}),
    ("services:update", {"service_id": "P1", "fields": {"acknowledgement_timeout": NULL}}),
    ("services:update", {"service_id": "P1", "fields": {"acknowledgement_timeout": 0}}),
    ("services:update", {"service_id": "P1", "fields": {"acknowledgement_timeout": -1}}),
    ("services:update", {"service_id": "P1", "fields": {"acknowledgement_timeout": 86_401}}),  # not within a day
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
    others = [{**EVERYTHING, "operations": [name for name in TABLE if name != act]}]
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


@pytest.mark.parametrize("junk", [NULL, 7, "resolve", {"action": "resolve"}, [7], ["resolve"]])
def test_what_has_no_form_is_refused_as_a_parameter(junk: Any) -> None:
    integration = {"service_id": "P1", "type": "generic_email_inbound_integration", "fields": {"email_parsers": junk}}
    with pytest.raises(InvalidParamsError):
        explain([EVERYTHING], "services:create_integration", integration)
    if not isinstance(junk, list):  # PagerDuty's document says no more of actions than that they are a list
        with pytest.raises(InvalidParamsError):
            explain([EVERYTHING], "rules:create", {"rule": {"actions": junk}})


def test_what_a_rule_may_do_is_open_before_its_parameters_are_known() -> None:
    up_to_medium = [{**EVERYTHING, "risk_max": "medium"}]
    pd = PagerDutyConnector("agent", "org", policies=up_to_medium)
    assert pd.possible_verdicts("rules:create") == pd.possible_verdicts("rules:update") == {Verdict.PERMIT}


def test_a_rule_that_does_not_suppress_is_judged_at_its_own_risk() -> None:
    for action in (["annotate", "noisy"], ["suppress", False], ["priority", "P2"]):
        rule = {"condition": ["and"], "actions": [["route", "P1"], action]}
        assert explain([EVERYTHING], "rules:create", {"rule": rule}).risk is Risk.MEDIUM


def test_an_entry_of_a_bulk_call_counts_as_one() -> None:
    pd = PagerDutyConnector("agent", "org", policies=[EVERYTHING])
    entries = [
        {"id": "P1", "status": "resolved"},
        {"id": "P2", "status": "resolved"},
        {"id": "P3", "title": "t"},
    ]
    call = pd.plan("incidents:manage", {"incidents": entries}).call
    assert {effect.operation: effect.count for effect in call.effects} == {
        "incidents:manage": 3,
        "incidents:resolve": 2,
        "incidents:update": 1,
    }


# Reads that another operation's permission is needed for: always, or with what they include.
READS_OF_OTHERS = {
    "alerts:read",
    "escalation:read",
    "escalation:read_detail",
    "incidents:read",
    "incidents:read_detail",
    "incidents:read_log",
    "maintenance:read",
    "schedules:read",
    "schedules:read_oncall",
    "incidents:read_alerts",
    "services:read",
    "services:read_detail",
    "users:read",
    "users:read_detail",
    "users:read_me",
    "users:read_notification",
}


def test_every_write_is_classified_and_no_other_read_is() -> None:
    for row in TABLE.values():
        assert (row.effects is not None) == row.writes or row.name in READS_OF_OTHERS, row


@pytest.mark.parametrize("order", [1, -1])
def test_of_one_effect_at_several_risks_the_highest_counts(order: int) -> None:
    said = [EffectSpec("services:update", at_least=Risk.HIGH), EffectSpec("services:update")]
    row = evolve(TABLE["services:delete"], effects=lambda params: said[::order])
    _, effect = expand(row, {"service_id": "PABC123"}, TABLE, lambda name, value: False)
    assert (effect.operation, effect.risk, effect.count, len(effect.params)) == ("services:update", Risk.HIGH, 2, 2)
