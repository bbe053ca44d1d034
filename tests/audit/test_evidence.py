"""Evidence is whole: who decided, about what, under which policy; and it is found."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import PagerDutyConnector, audit
from arx_wrapper.audit.ocsf import event_of
from arx_wrapper.cli.main import run
from arx_wrapper.core.entries import named_ids
from tests.audit.conftest import entry, everything
from tests.support import EVERYTHING, sqlite_at


async def fill(url: str, count: int = 300) -> audit.AuditLog:
    """A log of several blocks, in which one call was approved by ada."""
    log = audit.open(url)
    for number in range(count):
        log.append_soon(entry(action_type="connector.refused", agent_id=f"agent-{number % 3}"))
    ids = {"incident_id": "PTARGET", "incidents.assignee_ids": ["PUSER1", "PUSER2"]}
    intent = await log.append(entry(policy_verdict="ESCALATE", metadata={"ids": ids}, policy="p", reason="why"))
    await log.append(entry(action_type="approval.requested", status="escalated", approval_id="apr-1", intent_id=None))
    await log.append(
        entry(
            action_type="approval.reviewed",
            status="success",
            approval_id="apr-1",
            metadata={"reviewer": "ada", "verdict": "approved", "note": "go on"},
        )
    )
    await log.append(
        entry(action_type="connector.completed", status="success", approval_id="apr-1", intent_id=intent.id)
    )
    for _ in range(count):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()
    return log


async def test_records_are_found_by_target_reviewer_and_approval(url: str) -> None:
    log = await fill(url)
    intent = [record async for record in log.records(target="PTARGET")]
    assert [record.action_type for record in intent] == ["connector.called"]
    for target in ("PUSER1", "PUSER2"):
        assert await everything(log, target=target) == intent
    assert await everything(log, target="ptarget") == await everything(log, target="PUSER%") == []
    reviewed = await everything(log, reviewer="ada")
    assert [record.action_type for record in reviewed] == ["approval.reviewed"]
    actions = [record.action_type for record in await everything(log, approval="apr-1")]
    assert actions == ["approval.requested", "approval.reviewed", "connector.completed"]
    assert [record.seq for record in await everything(log, approval="apr-1", newest_first=True, limit=1)] == [304]
    assert await everything(log, approval="apr-1", reviewer="bob") == []
    assert len(await everything(log, agent_id="agent-1")) == 100
    assert len(await everything(log, org_id="org")) == 604
    assert (await log.verify()).ok
    await log.aclose()


async def test_an_index_of_records_finds_what_a_scan_finds(tmp_path: Path) -> None:
    log = await fill(f"sqlite:///{tmp_path}/audit.db", 900)
    records = await everything(log)
    for name, member in (("agent_id", "agent_id"), ("status", "status"), ("action_type", "action_type")):
        for value in {getattr(record, member) for record in records}:
            expected = [record.seq for record in records if getattr(record, member) == value]
            assert [record.seq for record in await everything(log, **{name: value})] == expected
            newest = await everything(log, **{name: value}, newest_first=True, limit=7)
            assert [record.seq for record in newest] == expected[::-1][:7]
    middle = await everything(log, after_seq=800, agent_id="agent-1", limit=3)
    assert [record.seq for record in middle] == [803, 806, 809]
    await log.aclose()


async def show(tmp_path: Path, which: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    import asyncio

    assert await asyncio.to_thread(run, ["audit", "show", which, "--output", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


async def test_a_call_is_shown_with_its_approval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path}/audit.db")
    await (await fill(f"sqlite:///{tmp_path}/audit.db")).aclose()
    for seq in ("301", "304"):
        shown = await show(tmp_path, seq, capsys)
        assert {one["action_type"] for one in shown["approval"]} == {"approval.requested", "approval.reviewed"}
        assert "ada" in json.dumps(shown["approval"])
        assert len(shown["same_call"]) == 1
    review = await show(tmp_path, "303", capsys)
    assert {one["seq"] for one in review["approval"]} == {302, 304}


async def test_an_event_names_the_reviewer_and_the_verdict(tmp_path: Path) -> None:
    log = await fill(f"sqlite:///{tmp_path}/audit.db")
    (reviewed,) = await everything(log, reviewer="ada")
    (asked,) = await everything(log, target="PTARGET")
    await log.aclose()
    event, other = event_of(reviewed), event_of(asked)
    assert event["actor"]["user"]["uid"] == "ada"
    assert event["actor"]["authorizations"][0]["decision"] == "approved"
    assert (event["unmapped"]["agent_id"], event["unmapped"]["metadata"]["note"]) == ("agent", "go on")
    assert other["actor"]["user"]["uid"] == "agent"
    assert other["actor"]["authorizations"] == [{"decision": "ESCALATE", "policy": {"name": "p", "desc": "why"}}]


def test_ids_are_named_at_any_depth() -> None:
    assert named_ids({"incident_id": "P1", "source_incident_ids": ["P2", "P3"], "title": "x"}) == {
        "incident_id": "P1",
        "source_incident_ids": ["P2", "P3"],
    }
    bulk = [
        {"id": "P1", "assignee_ids": ["PU1", "PU2"]},
        {"id": "P2", "escalation_policy_id": "PE", "assignee_ids": ["PU1"]},
    ]
    assert named_ids({"incidents": bulk}) == {
        "incidents": ["P1", "P2"],
        "incidents.assignee_ids": ["PU1", "PU2"],
        "incidents.escalation_policy_id": ["PE"],
    }
    rules = [{"escalation_delay_in_minutes": 5, "targets": [{"id": "PU1", "type": "user_reference"}, {"id": "PS"}]}]
    assert named_ids({"rules": rules}) == {"rules.targets": ["PU1", "PS"]}
    assert named_ids({"filters": {"service_ids": ["PA"], "urgency": "high"}}) == {"filters.service_ids": ["PA"]}
    fields = {"escalation_policy": {"id": "PE", "type": "x"}, "external_id": "R0UT1NG"}
    assert named_ids({"fields": fields}) == {"fields.escalation_policy": ["PE"]}


async def test_the_text_of_a_policy_is_kept_once_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    url = f"sqlite:///{tmp_path}/audit.db"
    other = [{**EVERYTHING, "deny": ["services:delete"]}]
    for policies in ([EVERYTHING], [EVERYTHING], other, [EVERYTHING]):
        async with PagerDutyConnector.sandbox(policies=policies, audit=url) as pd:
            await pd.list_teams()
    log = audit.open(url)
    loaded = await everything(log, action_type="policy.loaded")
    await log.aclose()
    texts = [record.metadata.get("text") for record in loaded]
    assert [text is not None for text in texts] == [True, False, True, False]
    for record in (loaded[0], loaded[2]):
        assert hashlib.sha256(record.metadata["text"].encode()).hexdigest() == record.metadata["digest"]
    assert loaded[0].metadata["digest"] == loaded[1].metadata["digest"] == loaded[3].metadata["digest"]
    monkeypatch.setenv("ARX_AUDIT_URL", url)
    assert await asyncio.to_thread(run, ["audit", "policy", loaded[3].metadata["digest"][:12]]) == 0
    assert capsys.readouterr().out.strip() == texts[0]
    assert await asyncio.to_thread(run, ["audit", "policy", "nothing"]) == 2


async def test_a_policys_text_is_kept_once_in_postgresql_too(log_in_postgres: str) -> None:
    for _ in range(2):
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log_in_postgres) as pd:
            await pd.list_teams()
    log = audit.open(log_in_postgres)
    loaded = await everything(log, action_type="policy.loaded")
    await log.aclose()
    assert ["text" in record.metadata for record in loaded] == [True, False]


@pytest.fixture
def stalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An export whose reader has stopped reading."""
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path}/audit.db")
    command = [sys.executable, "-c", "from arx_wrapper.cli.main import main; main()", "audit", "export"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - our own program
    yield child
    child.send_signal(signal.SIGKILL)
    assert child.stdout
    child.stdout.close()
    child.wait()


async def test_an_export_that_nobody_reads_lets_the_log_clear_up(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/audit.db"
    log = audit.open(url)
    for _ in range(2_500):
        log.append_soon(entry(action_type="connector.refused", metadata={"filler": "x" * 300}))
    await log.flush()
    child = request.getfixturevalue("stalled")
    assert child.stdout
    assert os.read(child.stdout.fileno(), 10)  # it has begun, and its pipe is full from now on
    wal = Path(f"{tmp_path}/audit.db-wal")
    for _ in range(2):
        for _ in range(1_500):
            log.append_soon(entry(action_type="connector.refused", metadata={"filler": "x" * 300}))
        await log.flush()
    with sqlite_at(tmp_path / "audit.db") as tools:
        busy, _, _ = tools.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0, "the export holds an old state of the log"
    assert wal.stat().st_size == 0  # noqa: ASYNC240 - a test's file
    await log.aclose()
