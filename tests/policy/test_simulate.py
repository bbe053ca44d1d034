"""`policy simulate`: the calls on record, judged by a proposed policy."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import OPERATIONS, PagerDutyConnector, PagerDutyError, PermissionDeniedError, audit
from arx_wrapper.audit import Entry
from arx_wrapper.cli.main import run
from arx_wrapper.core.simulation import Simulation, simulate
from arx_wrapper.model import Call, Decision
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import PolicySet, load
from tests.support import EVERYTHING

NO_DELETES = {**EVERYTHING, "deny": ["services:delete"]}


def proposed(*entries: dict[str, Any]) -> PolicySet:
    return load(list(entries), registry=RISKS, connector="pagerduty")


async def work(log: str) -> None:
    async with PagerDutyConnector.sandbox(agent_id="agent-1", policies=[NO_DELETES], audit=log) as pd:
        for _ in range(5):
            await pd.list_users(limit=1)
        await pd.update_incident("P1234AB", status="resolved")
        await pd.create_incident("Lag", "PABC123", urgency="low")
        with pytest.raises(PermissionDeniedError):
            await pd.delete_service("PABC123")


@pytest.fixture
async def log(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    await work(url)
    return url


async def judged(log: str, *entries: dict[str, Any]) -> Simulation:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log) as pd:
        return await simulate(pd.audit, proposed(*entries), OPERATIONS, pd.is_alias)


def changes(found: Simulation) -> set[tuple[str, str, str, int]]:
    return {(change.operation, change.was, change.would_be, change.count) for change in found.changes}


async def test_the_same_policy_changes_nothing(log: str) -> None:
    found = await judged(log, NO_DELETES)
    assert (found.judged, found.unsure, found.unknown, found.changes) == (8, 0, 0, [])


async def test_what_would_change_is_told_by_agent_and_operation(log: str) -> None:
    found = await judged(log, {**EVERYTHING, "deny": ["incidents:resolve", "users:*"]})
    assert changes(found) == {
        ("users:read", "PERMIT", "DENY", 5),
        ("incidents:update", "PERMIT", "DENY", 1),
        ("services:delete", "DENY", "PERMIT", 1),
    }
    assert {change.agent_id for change in found.changes} == {"agent-1"}
    assert len(found.changes[0].examples) == 3


async def test_limits_are_counted_anew(log: str) -> None:
    found = await judged(log, {**NO_DELETES, "limits": {"users:read": "2/hour"}})
    assert changes(found) == {("users:read", "PERMIT", "DENY", 3)}
    assert "used up" in found.changes[0].reason


async def test_what_hangs_on_parameters_that_were_not_kept_is_counted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str
) -> None:
    only_low = {**EVERYTHING, "name": "low", "operations": ["incidents:create"], "when": 'params.urgency == "low"'}
    others = {**NO_DELETES, "operations": [name for name in OPERATIONS if name != "incidents:create"]}
    found = await judged(log, only_low, others)
    assert (found.judged, found.unsure, found.changes) == (7, 1, [])
    monkeypatch.setenv("ARX_AUDIT_CAPTURE", "params")
    kept = f"sqlite:///{tmp_path / 'kept.db'}"
    await work(kept)
    found = await judged(kept, only_low, others)
    assert (found.judged, found.unsure, found.changes) == (8, 0, [])


async def test_a_condition_over_free_text_cannot_be_judged_even_where_parameters_were_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_AUDIT_CAPTURE", "params")
    kept = f"sqlite:///{tmp_path / 'kept.db'}"
    await work(kept)
    others = {**NO_DELETES, "operations": [name for name in OPERATIONS if name != "incidents:create"]}
    for condition, unsure in (
        ('params.title == "Lag"', 1),
        ('params["title"] == "Lag"', 1),
        ('params.service_id == "PABC123" && params.urgency == "low"', 0),
        ('!has(params.body) && operation == "incidents:create"', 0),
        ('agent_id == "agent-1"', 0),
    ):
        conditional = {**EVERYTHING, "name": "c", "operations": ["incidents:create"], "when": condition}
        found = await judged(kept, conditional, others)
        assert (found.judged, found.unsure, found.changes) == (8 - unsure, unsure, []), condition


@pytest.mark.parametrize(
    "more",
    [
        {"agents": ["agent-2"]},
        {"orgs": ["elsewhere"]},
        {"expires": "2020-01-01T00:00:00Z"},
        {"enforce": False},
        {"connector": "jira"},
    ],
)
async def test_a_condition_that_is_not_about_the_call_does_not_keep_it_from_being_judged(
    log: str, more: dict[str, Any]
) -> None:
    conditional = {"name": "c", "connector": "pagerduty", "deny": ["*"], "when": 'params.urgency == "low"', **more}
    found = await judged(log, NO_DELETES, conditional)
    assert (found.judged, found.unsure, found.changes) == (8, 0, [])


async def test_what_a_suspended_agent_asked_for_is_left_out(log: str) -> None:
    async with PagerDutyConnector.sandbox(agent_id="agent-1", policies=[NO_DELETES], audit=log) as pd:
        await pd.audit.suspend("agent-1", org_id="org-1", by="ada", reason="it paged everybody")
        with pytest.raises(PermissionDeniedError, match="suspended"):
            await pd.list_users(limit=1)
    found = await judged(log, NO_DELETES)
    assert (found.judged, found.suspended, found.changes) == (8, 1, [])


async def test_limits_slide_and_are_each_agents_own(tmp_path: Path) -> None:
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=20 * step) for step in count())
    url = f"sqlite:///{tmp_path / 'paced.db'}"
    paced = audit.open(url, clock=lambda: next(moments))
    for number in range(24):  # each agent every 40 seconds
        await paced.append(
            Entry(
                action_type="connector.called",
                status="in_progress",
                org_id="o",
                agent_id=f"agent-{number % 2}",
                connector="pagerduty",
                operation="users:read",
                policy_verdict="PERMIT",
                metadata={"effects": [["users:read", "low", 1]]},
            )
        )
    await paced.aclose()
    found = await judged(url, {**EVERYTHING, "limits": {"users:read": "2/minute"}})
    assert found.changes == []
    found = await judged(url, {**EVERYTHING, "limits": {"users:read": "1/minute"}})
    assert {(change.agent_id, change.count) for change in found.changes} == {("agent-0", 6), ("agent-1", 6)}


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("incidents:acknowledge", {"incident_id": "P1234AB"}),
    ("incidents:acknowledge", {"incident_id": "PNONE01"}),
    ("incidents:acknowledge", {"incident_id": "PNONE01", "requester_email": "oncall-bot@example.com"}),
    ("incidents:acknowledge", {"incident_id": "PNONE01", "requester_email": "ada.nkemelu@example.com"}),
    ("incidents:update", {"incident_id": "P1234AB", "urgency": "low"}),
    ("incidents:update", {"incident_id": "P1234AB", "urgency": "high"}),
    ("incidents:update", {"incident_id": "P1234AB", "status": "resolved", "urgency": "low"}),
    ("incidents:update", {"incident_id": "PNONE01", "status": "resolved", "urgency": "low"}),
    ("incidents:update", {"incident_id": "PNONE01", "escalation_policy_id": "PC5Z6QY"}),
    ("incidents:merge", {"incident_id": "P1234AB", "source_incident_ids": ["PNONE01"]}),
    ("incidents:merge", {"incident_id": "PNONE01", "source_incident_ids": ["P1234AB", "PNONE02"]}),
    ("incidents:merge", {"incident_id": "PNONE01", "source_incident_ids": ["PNONE02", "P1234AB"]}),
    ("incidents:merge", {"incident_id": "PNONE01", "source_incident_ids": ["41"]}),
    ("incidents:manage", {"incidents": [{"id": "P1234AB", "status": "resolved"}, {"id": "PNONE01", "urgency": "low"}]}),
    ("incidents:manage", {"incidents": [{"id": "P1234AB", "urgency": "low"}, {"id": "PNONE01", "status": "resolved"}]}),
    ("users:read", {"limit": 1}),
    ("users:read", {"limit": 2, "include": ["contact_methods"]}),
    ("services:read_detail", {"service_id": "PABC123"}),
]
POLICIES: list[dict[str, Any]] = [
    {"when": 'params.incident_id == "P1234AB"'},
    {"when": '!has(params.urgency) || params.urgency == "low"'},
    {"when": 'params["incident_id"] != "P1234AB"'},
    {"when": 'operation != "incidents:resolve" || params.incident_id != "P1234AB"'},
    {"when": 'now < timestamp("2020-01-01T00:00:00Z") || params.incident_id == "PNONE01"'},
    {"requesters": ["oncall-bot@*"], "deny": ["users:read_contact"]},
    {"expires": "2026-01-01T00:00:00Z"},
    {"risk_max": "low"},
    {"deny": ["incidents:resolve"], "enforce": False},
    {"approval": "hitl", "hitl_channel": "#x"},
]


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log with parameters, in which every call is there several times, in another order each."""
    url = f"sqlite:///{tmp_path_factory.mktemp('varied') / 'audit.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARX_AUDIT_CAPTURE", "params")
        asyncio.run(vary(url))
    return url


async def vary(url: str) -> None:
    for agent in ("agent-1", "agent-2"):
        async with PagerDutyConnector.sandbox(agent_id=agent, policies=[EVERYTHING], audit=url) as pd:
            for operation, params in [*CALLS, *reversed(CALLS)]:
                with suppress(PagerDutyError):
                    await pd.execute(operation, params)


@pytest.mark.parametrize("more", POLICIES, ids=str)
async def test_calls_that_are_judged_together_are_judged_as_each_alone(varied: str, more: dict[str, Any]) -> None:
    policy = proposed({**EVERYTHING, **more}, {**EVERYTHING, "name": "reads", "operations": ["services:*"]})
    expected: Counter[tuple[str, str]] = Counter()
    reasons: dict[tuple[str, str], str] = {}
    async with PagerDutyConnector.sandbox(agent_id="agent-1", policies=[EVERYTHING]) as pd:
        for operation, params in CALLS:
            decision = policy.decide(pd.plan(operation, params).call, datetime.now(UTC))
            if decision.verdict.value != "PERMIT":
                expected[operation, decision.verdict.value] += 2
                reasons.setdefault((operation, decision.verdict.value), decision.reason)
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=varied) as pd:
        found = await simulate(pd.audit, policy, OPERATIONS, pd.is_alias)
    assert (found.judged, found.unsure) == (4 * len(CALLS), 0)
    for agent in ("agent-1", "agent-2"):
        own = [change for change in found.changes if change.agent_id == agent]
        assert {(change.operation, change.would_be): change.count for change in own} == expected
        assert {(change.operation, change.would_be): change.reason for change in own} == reasons


class Counting(PolicySet):
    """Counts its decisions."""

    decided = 0

    def decide(self, call: Call, now: datetime) -> Decision:
        self.decided += 1
        return super().decide(call, now)


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ({}, 22),  # two agents, eleven combinations of operation and effects
        ({"limits": {"incidents:acknowledge": "1000/hour"}}, 22),
        ({"when": "has(params.incident_id) || true"}, 3 * len(CALLS)),
    ],
)
async def test_a_call_is_judged_once_however_often_it_was_made(varied: str, more: dict[str, Any], most: int) -> None:
    policy = Counting(proposed({**EVERYTHING, **more}).entries, connector="pagerduty")
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=varied) as pd:
        found = await simulate(pd.audit, policy, OPERATIONS, pd.is_alias)
    assert found.judged == 4 * len(CALLS)
    assert policy.decided <= most


async def test_the_reason_of_a_change_is_of_a_call_that_changes(tmp_path: Path) -> None:
    log = audit.open(f"sqlite:///{tmp_path / 'reasons.db'}")
    for incident, was in (("PFIRST1", "DENY"), ("PSECOND", "PERMIT")):
        await log.append(
            Entry(
                action_type="connector.called",
                status="in_progress",
                org_id="o",
                agent_id="agent",
                connector="pagerduty",
                operation="incidents:update",
                policy_verdict=was,
                metadata={"effects": [["incidents:update", "medium", 1]],
                          "params": {"incident_id": incident, "urgency": "high"}},
            )
        )  # fmt: skip
    policy = proposed({**EVERYTHING, "when": 'params.urgency == "low"'})
    found = await simulate(log, policy, OPERATIONS, PagerDutyConnector.is_alias)
    assert [change.count for change in found.changes] == [1]
    assert "PSECOND" in found.changes[0].reason
    await log.aclose()


async def test_calls_of_another_organisation_and_from_before_are_left_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'two.db'}"
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=step) for step in count())
    both = audit.open(url, clock=lambda: next(moments))
    for number in range(600):  # more than two blocks of the index
        await both.append(
            Entry(
                action_type="connector.called",
                status="in_progress",
                org_id=f"org-{number % 3}",
                agent_id="agent",
                connector="pagerduty",
                operation="users:read",
                policy_verdict="DENY",
                metadata={"effects": [["users:read", "low", 1]]},
            )
        )
    begun = [record async for record in both.records()][300].created_at
    policy = proposed(EVERYTHING)
    found = await simulate(both, policy, OPERATIONS, PagerDutyConnector.is_alias, since=datetime.fromisoformat(begun))
    assert (found.judged, found.changes[0].count) == (300, 300)
    found = await simulate(both, policy, OPERATIONS, PagerDutyConnector.is_alias, org_id="org-1")
    assert found.judged == 200
    await both.aclose()


def test_the_command(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "proposed.yaml").write_text(json.dumps([{**EVERYTHING, "deny": ["users:*", "services:delete"]}]))
    monkeypatch.setenv("ARX_AUDIT_URL", log)
    arguments = ["policy", "simulate", "--policy", str(tmp_path / "proposed.yaml")]
    assert run([*arguments, "--since", "1d", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"][0]["count"] == 5
    assert run([*arguments, "--since", "2100-01-01", "-o", "table"]) == 0
    assert "0 calls judged" in capsys.readouterr().out
    assert run([*arguments, "--since", "yesterday"]) == 2
    monkeypatch.delenv("ARX_POLICY", raising=False)
    assert run(["policy", "simulate"]) == 2
