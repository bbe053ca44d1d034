"""PagerDuty's own log, held against ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arx_wrapper import PagerDutyConnector
from arx_wrapper.cli.main import run
from arx_wrapper.pagerduty.reconciliation import Reconciliation, reconcile
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import system_time
from arx_wrapper.sandbox.server import run_in_thread
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(clock=system_time)


def connector(account: Sandbox, log: str) -> PagerDutyConnector:
    vault = FixedVault(api_key=account.token, requester_email=account.email)
    return PagerDutyConnector(
        "agent",
        "org",
        policies=[EVERYTHING],
        audit=log,
        vault=vault,
        transport=account.transport(),
        base_url=account.base_url,
    )


@pytest.fixture
async def pd(account: Sandbox, tmp_path: Path) -> AsyncIterator[PagerDutyConnector]:
    async with connector(account, f"sqlite:///{tmp_path / 'audit.db'}") as pd:
        yield pd


async def compared(pd: PagerDutyConnector, account: Sandbox) -> Reconciliation:
    await pd.audit.flush()
    now = datetime.now(UTC)
    return await reconcile(
        pd, requester_email=account.email, since=now - timedelta(hours=1), until=now + timedelta(hours=1)
    )


async def work(pd: PagerDutyConnector) -> str:
    incident = await pd.create_incident("Replication lag", "PABC123")
    await pd.acknowledge_incident(incident.id)
    await pd.add_incident_note(incident.id, "looking")
    await pd.manage_incidents([{"id": incident.id, "status": "resolved"}])
    return str(incident.id)


async def test_what_went_through_the_connector_is_in_both_logs(pd: PagerDutyConnector, account: Sandbox) -> None:
    await work(pd)
    found = await compared(pd, account)
    assert (found.matched, found.theirs, found.ours) == (4, [], [])


async def test_acts_whose_traces_differ_are_no_difference(pd: PagerDutyConnector, account: Sandbox) -> None:
    first, second, third = [str((await pd.create_incident(f"No {n}", "PABC123")).id) for n in range(3)]
    await pd.manage_incidents([{"id": first, "status": "resolved"}, {"id": second, "status": "acknowledged"}])
    await pd.snooze_incident(second, 60)
    await pd.merge_incidents(second, [third])
    found = await compared(pd, account)
    assert found.ours == []
    assert {act.operation for act in found.theirs} <= {"incidents:resolve"}, "PagerDuty's own of what was merged"


async def test_what_was_done_past_the_connector_shows(pd: PagerDutyConnector, account: Sandbox, tmp_path: Path) -> None:
    incident = await work(pd)
    async with connector(account, f"sqlite:///{tmp_path / 'other.db'}") as past:
        await past.add_incident_note(incident, "the same key, another road")
        other = await past.create_incident("Disk full", "PABC123")
    found = await compared(pd, account)
    assert {(act.incident_id, act.operation, act.agent_id) for act in found.theirs} == {
        (incident, "incidents:add_note", None),
        (other.id, "incidents:create", None),
    }
    assert found.ours == []


async def test_what_only_our_log_has_shows(pd: PagerDutyConnector, account: Sandbox) -> None:
    incident = await work(pd)
    log = next(found for found in account.account.incidents() if found["id"] == incident).log
    log[:] = [entry for entry in log if entry["type"] != "resolve_log_entry"]
    found = await compared(pd, account)
    assert [(act.operation, act.agent_id) for act in found.ours] == [("incidents:resolve", "agent")]


def test_the_command_exits_with_5_when_the_logs_differ(
    account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps([EVERYTHING]))
    monkeypatch.setenv("ARX_POLICY", str(policy))
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path / 'audit.db'}")
    monkeypatch.setenv("PAGERDUTY_API_KEY", account.token)
    monkeypatch.setenv("PAGERDUTY_REQUESTER_EMAIL", account.email)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")[:19]
    with run_in_thread(account) as served:
        monkeypatch.setenv("PAGERDUTY_BASE_URL", served.url)
        assert run(["call", "incidents:create", "title=Lag", "service_id=PABC123"]) == 0
        capsys.readouterr()
        assert run(["audit", "reconcile", "--since", hour_ago, "--output", "json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["incidents"], found["matched"]) == (2, 1), account.requests[-1]
        monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path / 'empty.db'}")
        assert run(["audit", "reconcile", "--since", hour_ago]) == 5
        assert "only in PagerDuty" in capsys.readouterr().err
