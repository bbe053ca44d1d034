"""Uses of the log: look a call up, count, hand it to other systems."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import ocsf_json_schema
import pytest

from arx_wrapper import ApprovalPendingError, PagerDutyConnector, PermissionDeniedError
from arx_wrapper.audit import AuditRecord
from arx_wrapper.audit.ocsf import event_of
from arx_wrapper.audit.statistics import tally
from arx_wrapper.cli.main import run
from tests.support import CANARY, EVERYTHING, decide, trail

NO_DELETES = {**EVERYTHING, "deny": ["services:delete"]}


async def work(path: Path) -> list[AuditRecord]:
    async with PagerDutyConnector.sandbox(policies=[NO_DELETES], audit=f"sqlite:///{path}") as pd:
        for _ in range(3):
            await pd.list_incidents(limit=1)
        await pd.acknowledge_incident("P1234AB")
        await pd.add_incident_note("P1234AB", CANARY)
        with pytest.raises(PermissionDeniedError):
            await pd.delete_service("PSVC1")
        return await trail(pd)


@pytest.fixture
async def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "audit.db"
    await work(path)
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    return path


async def test_every_kind_of_record_is_a_valid_event_of_class_6003(tmp_path: Path) -> None:
    published = ocsf_json_schema.get_ocsf_schema(version="1.5.0")
    schema = ocsf_json_schema.OcsfJsonSchemaEmbedded(published).get_class_schema("api_activity")
    judge = jsonschema.validators.validator_for(schema)(schema)
    events = [event_of(record) for record in await work(tmp_path / "audit.db")]
    assert {event["metadata"]["event_code"] for event in events} >= {"connector.called", "connector.refused"}
    for event in events:
        judge.validate(json.loads(json.dumps(event)))
    with pytest.raises(jsonschema.ValidationError):
        judge.validate({**events[0], "type_uid": 1})


async def test_calls_are_counted_by_agent_and_operation(tmp_path: Path) -> None:
    records = await work(tmp_path / "audit.db")

    async def feed() -> Any:
        for record in records:
            yield record

    rows = {row.operation: row.plain() for row in await tally(feed())}
    assert rows["incidents:read"]["calls"] == 3
    assert rows["incidents:read"]["statuses"] == {"success": 3}
    assert rows["incidents:read"]["median_ms"] > 0
    assert rows["services:delete"] | {"agent_id": ""} == {
        "agent_id": "",
        "operation": "services:delete",
        "calls": 1,
        "verdicts": {"DENY": 1},
        "statuses": {"blocked": 1},
        "median_ms": None,
        "p95_ms": None,
    }


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["audit", *arguments]) == 0
    return capsys.readouterr().out


def test_show_finds_a_record_by_id_and_by_seq_with_its_whole_call(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(out(capsys, "show", "2", "--output", "json"))
    again = json.loads(out(capsys, "show", found["id"], "--output", "json"))
    assert again == found
    assert {other["action_type"] for other in found["same_call"]} <= {"connector.called", "connector.completed"}
    assert len(found["same_call"]) == 1
    assert found["id"] in out(capsys, "show", "2")
    assert run(["audit", "show", "no-such"]) == 2


def test_stats_count(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(out(capsys, "stats", "--output", "json", "--operation", "incidents:*"))
    assert rows[0]["operation"] == "incidents:read"
    assert "3 PERMIT" in out(capsys, "stats", "-o", "table")


@pytest.mark.parametrize("form", ["jsonl", "csv", "ocsf"])
def test_exports_hold_no_secret_and_obey_the_filters(path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    whole = out(capsys, "export", "--format", form)
    assert CANARY not in whole
    refused = out(capsys, "export", "--format", form, "--status", "blocked")
    assert len(refused.splitlines()) == (2 if form == "csv" else 1)
    assert re.search(r"services:delete", refused)


async def test_a_write_leaves_its_result_as_a_hash_and_as_values_only_with_capture_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for capture in ("none", "params"):
        monkeypatch.setenv("ARX_AUDIT_CAPTURE", capture)
        log = f"sqlite:///{tmp_path / capture}.db"
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log) as pd:
            await pd.update_incident("P1234AB", status="acknowledged", title=f"Replication lag {CANARY}")
            await pd.list_users()
            _, updated, _, read = await trail(pd)
        assert "after" not in read.metadata, "a read changes nothing"
        after = updated.metadata["after"]
        assert after["id"] == "P1234AB"
        assert CANARY not in repr(updated)
        if capture == "params":
            assert (after["status"], after["type"]) == ("acknowledged", "incident")
        else:
            assert set(after) == {"id", "hash"}


async def test_an_approved_write_leaves_what_it_was_approved_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_AUDIT_CAPTURE", "params")
    monkeypatch.setenv("ARX_APPROVALS_MODE", "raise")
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    asks = {**EVERYTHING, "approval": "hitl"}
    async with PagerDutyConnector.sandbox(policies=[asks], audit=url, approvals=url) as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.resolve_incident("P1234AB")
        approval = pending.value.approval_id
        await decide(pd, approval)
        await pd.execute("incidents:resolve", {"incident_id": "P1234AB"}, approval_id=approval)
        done = (await trail(pd))[-1]
    assert done.metadata["before"]["status"] == "triggered"
    assert done.metadata["after"]["status"] == "resolved"
    assert "title" not in done.metadata["before"]
