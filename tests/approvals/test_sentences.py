"""Every write is said in plain words, and no name can pretend to be another sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from arx_wrapper import PagerDutyConnector
from arx_wrapper.config import Config
from arx_wrapper.errors import ApprovalPendingError
from arx_wrapper.pagerduty.operations import OPERATIONS
from tests.cases import calls
from tests.subjects import subjects
from tests.support import EVERYTHING

GOLDEN = Path(__file__).with_name("sentences.txt")
WRITES = [name for name, row in OPERATIONS.items() if row.writes]

INC: dict[str, Any] = {
    "incident": "P1",
    "title": "Replication lag",
    "status": "triggered",
    "urgency": "high",
    "service": {"id": "PS1", "name": "Orders Database"},
    "assignees": [{"id": "PU1", "name": "Ada Nkemelu"}],
}


def inc(n: int) -> dict[str, Any]:
    return {**INC, "incident": f"P{n}", "title": f"Alarm {n}"}


SVC: dict[str, Any] = {
    "service": {"id": "PS1", "name": "Orders Database"},
    "status": "active",
    "escalation_policy": {"id": "PE1", "name": "Data on-call"},
    "open_incidents": [INC, INC],
}
POL: dict[str, Any] = {
    "escalation_policy": {"id": "PE1", "name": "Data on-call"},
    "num_loops": 1,
    "rules": [],
    "services": [{"id": "PS1", "name": "Orders Database"}, {"id": "PS2", "name": "Search"}],
}
RULES: list[dict[str, Any]] = [
    {"escalation_delay_in_minutes": 30, "targets": [{"id": "PSCH1", "type": "schedule_reference"}]},
    {"escalation_delay_in_minutes": 30, "targets": [{"id": "PU1", "type": "user_reference"}]},
]
CASES: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    ("incidents:create", {"title": "Disk full", "service_id": "PS1"}, None),
    (
        "incidents:create",
        {"title": "Disk full", "service_id": "PS1", "urgency": "high"},
        {
            "service": {"id": "PS1", "name": "Orders Database"},
            "escalation_policy": {"id": "PE1", "name": "Data on-call"},
        },
    ),
    (
        "incidents:create",
        {"title": "Disk full", "service_id": "PS1", "urgency": "low", "assignee_ids": ["PU1", "PU2"]},
        {
            "service": {"id": "PS1", "name": "Orders Database"},
            "to_users": [{"id": "PU1", "name": "Ada Nkemelu"}, {"id": "PU2", "name": "Bo Lind"}],
        },
    ),
    (
        "incidents:create",
        {"title": "Disk full", "service_id": "PS1", "escalation_policy_id": "PE2"},
        {"service": {"id": "PS1", "name": "Orders Database"}, "to_policy": {"id": "PE2", "name": "Directors"}},
    ),
    ("incidents:update", {"incident_id": "P1", "status": "resolved"}, INC),
    ("incidents:update", {"incident_id": "P1", "status": "acknowledged"}, INC),
    ("incidents:update", {"incident_id": "P1", "status": "triggered"}, INC),
    ("incidents:update", {"incident_id": "P1", "status": "resolved", "resolution": "restarted", "urgency": "low"}, INC),
    ("incidents:update", {"incident_id": "P1", "title": "Replication stopped", "priority_id": None}, INC),
    (
        "incidents:update",
        {
            "incident_id": "P1",
            "priority_id": "PP1",
            "escalation_level": 2,
            "conference_bridge": {"conference_number": "1"},
        },
        INC,
    ),
    (
        "incidents:update",
        {"incident_id": "P1", "escalation_policy_id": "PE2", "assignee_ids": ["PU2"]},
        {**INC, "to_users": [{"id": "PU2", "name": "Bo Lind"}], "to_policy": {"id": "PE2", "name": "Directors"}},
    ),
    ("incidents:update", {"incident_id": "P1"}, None),
    ("incidents:manage", {"incidents": [{"id": "P1", "status": "resolved"}]}, {"incidents": [INC], "of": 1}),
    (
        "incidents:manage",
        {"incidents": [{"id": f"P{n}", "status": "resolved" if n < 4 else "acknowledged"} for n in range(1, 7)]},
        {"incidents": [inc(n) for n in range(1, 7)], "of": 6},
    ),
    ("incidents:manage", {"incidents": [{"id": "P1", "assignee_ids": ["PU1"], "title": "x"}, {"id": "P2"}]}, None),
    ("incidents:snooze", {"incident_id": "P1", "duration": 14400}, INC),
    ("incidents:snooze", {"incident_id": "P1", "duration": 5430}, None),
    (
        "incidents:merge",
        {"incident_id": "P1", "source_incident_ids": ["P2", "P3"]},
        {"into": INC, "sources": [inc(2), inc(3)], "of": 2},
    ),
    ("incidents:merge", {"incident_id": "P1", "source_incident_ids": ["P2", "P3", "P4", "P5", "P6"]}, None),
    (
        "incidents:merge",
        {"incident_id": "P1", "source_incident_ids": ["P2"]},
        {"into": INC, "sources": [inc(2)], "of": 1},
    ),
    ("incidents:add_note", {"incident_id": "P1", "content": "Investigating"}, INC),
    (
        "incidents:reassign",
        {"incident_id": "P1", "assignee_ids": ["PU2"]},
        {**INC, "to_users": [{"id": "PU2", "name": "Bo Lind"}]},
    ),
    ("incidents:reassign", {"incident_id": "P1", "assignee_ids": ["PU2"]}, None),
    ("incidents:resolve", {"incident_id": "P1"}, INC),
    ("incidents:resolve", {"incident_id": "P1", "resolution": "restarted"}, INC),
    ("incidents:acknowledge", {"incident_id": "P1"}, INC),
    ("alerts:update", {"incident_id": "P1", "alert_id": "A1", "status": "resolved"}, INC),
    ("alerts:update", {"incident_id": "P1", "alert_id": "A1", "status": "triggered"}, INC),
    ("alerts:update", {"incident_id": "P1", "alert_id": "A1", "parent_incident_id": "P9"}, INC),
    ("alerts:update", {"incident_id": "P1", "alert_id": "A1", "status": "resolved", "parent_incident_id": "P9"}, None),
    (
        "services:create",
        {"name": "Checkout", "escalation_policy_id": "PE1"},
        {"to_policy": {"id": "PE1", "name": "Data on-call"}},
    ),
    (
        "services:create",
        {"name": "Checkout", "escalation_policy_id": "PE1", "fields": {"auto_resolve_timeout": None}},
        None,
    ),
    ("services:update", {"service_id": "PS1", "status": "disabled"}, SVC),
    ("services:update", {"service_id": "PS1", "status": "maintenance"}, {**SVC, "open_incidents": [INC] * 10}),
    ("services:update", {"service_id": "PS1", "status": "active"}, SVC),
    ("services:update", {"service_id": "PS1", "name": "Orders", "description": "Main"}, {**SVC, "open_incidents": []}),
    (
        "services:update",
        {
            "service_id": "PS1",
            "escalation_policy_id": "PE2",
            "fields": {"alert_grouping": "time", "support_hours": None},
        },
        {**SVC, "to_policy": {"id": "PE2", "name": "Directors"}},
    ),
    ("services:update", {"service_id": "PS1", "status": "disabled", "name": "Old"}, None),
    ("services:update", {"service_id": "PS1"}, None),
    ("services:delete", {"service_id": "PS1"}, SVC),
    ("services:delete", {"service_id": "PS1"}, {**SVC, "open_incidents": [INC]}),
    ("services:delete", {"service_id": "PS1"}, None),
    (
        "services:create_integration",
        {"service_id": "PS1", "type": "events_api_v2_inbound_integration", "name": "Grafana"},
        SVC,
    ),
    ("services:create_integration", {"service_id": "PS1", "type": "generic_email_inbound_integration"}, None),
    ("escalation:create", {"name": "Nights", "rules": RULES}, None),
    ("escalation:update", {"policy_id": "PE1", "name": "Nights", "num_loops": 3, "rules": RULES}, POL),
    ("escalation:update", {"policy_id": "PE1", "team_ids": ["PT1"]}, {**POL, "services": []}),
    ("escalation:update", {"policy_id": "PE1"}, POL),
    ("escalation:delete", {"policy_id": "PE1"}, POL),
    ("escalation:delete", {"policy_id": "PE1"}, {**POL, "services": []}),
    (
        "maintenance:create",
        {"start_time": "2025-06-15T02:00:00Z", "end_time": "2025-06-15T04:00:00Z", "service_ids": ["PS1"]},
        {"services": [SVC], "of": 1},
    ),
    (
        "maintenance:create",
        {
            "start_time": "2025-06-15T02:00:00+02:00",
            "end_time": "2025-06-17T04:30:00Z",
            "service_ids": ["PS1", "PS2", "PS3", "PS4", "PS5"],
        },
        None,
    ),
    (
        "maintenance:delete",
        {"window_id": "PW1"},
        {"window": "PW1", "description": "Upgrade", "services": [{"id": "PS1", "name": "Orders Database"}]},
    ),
    ("maintenance:delete", {"window_id": "PW1"}, {"window": "PW1", "listed": False}),
    ("rules:create", {"rule": {"condition": ["and"], "actions": [["route", "PS1"], ["severity", "warning"]]}}, None),
    ("rules:create", {"rule": {"actions": [["suppress", True]]}}, None),
    ("rules:create", {"rule": {"actions": [["route"]]}}, None),
    (
        "rules:update",
        {"rule_id": "R1", "rule": {"actions": [["suppress", False], ["annotate", "look"], ["route", "PS1"]]}},
        None,
    ),
    ("rules:update", {"rule_id": "R1", "rule": {"condition": ["and"]}}, None),
]


def said(operation: str, params: dict[str, Any], target: dict[str, Any] | None) -> str:
    sentence = OPERATIONS[operation].sentence
    assert sentence is not None
    return sentence(params, target)


def test_the_sentences_are_those_of_the_golden_file() -> None:
    """`sentences.txt` is what people read: change it by hand, case by case."""
    lines = [f"{operation}: {said(operation, params, target)}" for operation, params, target in CASES]
    assert lines == GOLDEN.read_text("utf-8").splitlines()


def test_every_write_has_a_sentence_and_a_golden_text() -> None:
    assert {name for name, row in OPERATIONS.items() if row.sentence} == set(WRITES)
    assert {operation for operation, _, _ in CASES} == set(WRITES)


async def test_the_request_of_every_write_names_its_objects_as_pagerduty_does() -> None:
    config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise", pending_cap=100)
    asks = {**EVERYTHING, "approval": "hitl"}
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], config=config) as pd:
        ids = await subjects(pd)
        account = pd.sandbox_account
        assert account is not None
        vault = pd.backends.vault
        async with PagerDutyConnector(
            "agent",
            "org",
            policies=[asks],
            transport=account.transport(),
            base_url=account.base_url,
            vault=vault,
            config=evolve(config, sandbox=True, audit_url="sqlite:///:memory:", approvals_url="sqlite:///:memory:"),
        ) as asking:
            sentences = {}
            for name in WRITES:
                with pytest.raises(ApprovalPendingError) as pending:
                    await asking.execute(name, calls(ids)[name])
                sentences[name] = (await asking.approval(str(pending.value.approval_id))).sentence
    for name, sentence in sentences.items():
        assert sentence.endswith("."), name
        assert "None" not in sentence
        if name.startswith(("incidents:", "services:", "maintenance:")) and name not in ("services:create",):
            assert ids.service not in sentence, "by its name, not its id"
            assert ids.incident not in sentence
    assert "would lose their service" in sentences["services:delete"] or "its service" in sentences["services:delete"]


@pytest.mark.parametrize(
    "title",
    [
        'harmless". Read nothing. "',
        "harmless\u201d. Read nothing. \u201c",
        "line\none",
        "x" * 500,
    ],
)
def test_a_title_stays_within_its_quotation_marks(title: str) -> None:
    sentence = said("incidents:resolve", {"incident_id": "P1"}, {**INC, "title": title})
    assert sentence.count('"') == 4
    assert not {"\u201c", "\u201d", "\n"} & set(sentence)
    assert sentence.endswith('" on service "Orders Database".')
    assert len(sentence) < 160
