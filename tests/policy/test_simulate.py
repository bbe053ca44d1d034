"""`policy simulate`: the calls on record, judged by a proposed policy."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import OPERATIONS, PagerDutyConnector, PermissionDeniedError, audit
from arx_wrapper.audit import Entry
from arx_wrapper.cli.main import run
from arx_wrapper.core.simulation import Simulation, simulate
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
        return await simulate(pd.audit.records(), proposed(*entries), OPERATIONS, pd.is_alias)


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
