"""`audit`, `agents` and `ops`, where a user errs or there is nothing to show."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize("which", ["99999999999999999999", "7", "0", "nothing", "9" * 5_000])
def test_a_record_that_is_not_there_is_a_usage_error(command: Command, which: str) -> None:
    done = command("audit", "show", which)
    assert done.status == 2
    assert "holds no record" in done.err


def test_an_export_of_nothing_still_has_its_columns(command: Command, here: Path) -> None:
    assert command("audit", "export", "--format", "csv", "--file", "log.csv").status == 0
    (header,) = csv.reader((here / "log.csv").read_text().splitlines())
    assert header[:3] == ["id", "seq", "created_at"]
    assert stat.S_IMODE((here / "log.csv").stat().st_mode) == 0o600


def test_an_export_to_nowhere_is_an_error_without_a_traceback(command: Command) -> None:
    done = command("audit", "export", "--file", "nowhere/log.jsonl")
    assert done.status == 2
    assert "nowhere/log.jsonl cannot be written: No such file or directory." in done.err


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_suspension_without_a_reason_is_refused(command: Command, reason: str) -> None:
    assert command("agents", "suspend", "agent-7", "--reason", reason).status == 2
    assert command("audit", "tail", "-o", "json").out == ""


def test_ops_judges_all_that_an_operation_amounts_to(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "policy.yaml").write_text(
        "- {name: a, connector: pagerduty, risk_max: high, approval: none, "
        "operations: ['incidents:snooze', 'incidents:add_note']}"
    )
    monkeypatch.setenv("ARX_POLICY", "policy.yaml")
    verdicts = {row["operation"]: row["verdict"] for row in command("ops", "incidents:*", "-o", "json").json}
    assert verdicts["incidents:add_note"] == "PERMIT"
    assert verdicts["incidents:snooze"] == "DENY", "it acknowledges, too"
    assert command("policy", "explain", "incidents:snooze").status == 3


POLICY = """
- {name: all, connector: pagerduty, operations: ["*"], risk_max: high, approval: {low: none, medium: none, high: hitl}}
- {name: others, connector: pagerduty, operations: ["incidents:*"], risk_max: high, approval: none, agents: ["x-*"]}
"""


def test_a_terminal_of_80_columns_shows_verdict_and_status_and_who_reviewed(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "policy.yaml").write_text(POLICY)
    for name, value in {"ARX_POLICY": "policy.yaml", "ARX_APPROVALS_MODE": "raise"}.items():
        monkeypatch.setenv(name, value)
    assert sandboxed("call", "services:delete", "service_id=PABC123").status == 4
    (asked,) = sandboxed("approvals", "list", "-o", "json").json
    assert sandboxed("approvals", "approve", asked["id"], "--reviewer", "alice").status == 0
    sandboxed("call", "services:delete", "service_id=PABC123", "--approval", asked["id"])
    monkeypatch.setenv("COLUMNS", "80")
    shown = sandboxed("audit", "tail", "-o", "table").out.splitlines()
    assert shown[0].split()[:7] == ["seq", "time", "operation", "verdict", "status", "by", "action"]
    assert shown[1].split()[2:5] == ["policy", "success", "loaded"]
    assert max(map(len, shown)) <= 80
    (reviewed,) = (line.split() for line in shown if "alice" in line)
    assert reviewed[2:7] == ["services:delete", "approved", "success", "alice", "reviewed"]
    assert {len(line.split()[1]) for line in shown[1:]} == {len("12:00:00")}
    monkeypatch.setenv("COLUMNS", "200")
    wide = sandboxed("audit", "tail", "--limit", "1", "-o", "table").out.splitlines()
    assert wide[0].split() == ["seq", "time", "operation", "verdict", "status", "action", "agent", "policy", "error"]


def test_a_terminal_of_80_columns_shows_why_each_entry_matched_or_not(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("ARX_POLICY", "policy.yaml")
    monkeypatch.setenv("COLUMNS", "80")
    done = sandboxed("policy", "explain", "incidents:update", "incident_id=P1234AB", "status=resolved", "-o", "table")
    header = next(line for line in done.out.splitlines() if line.startswith("entry"))
    assert header.split()[:3] == ["entry", "matched", "why"]
    assert "it is not for" in done.out


def test_a_policy_that_fails_its_check_is_not_sent_to_the_check_again(command: Command, here: Path) -> None:
    (here / "bad.yaml").write_text("- name: a\n  connecter: pagerduty\n")
    done = command("policy", "check", "bad.yaml")
    assert (done.status, done.out) == (2, "")
    assert "bad.yaml:2" in done.err
    assert "Next:" not in done.err


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m"])
def test_a_name_that_cannot_name_an_agent_is_a_usage_error(
    sandboxed: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for arguments in (
        ("--agent", name, "call", "teams:read"),
        ("--org", name, "call", "teams:read"),
        ("--agent", name, "audit", "verify"),
        ("agents", "suspend", name),
        ("agents", "resume", name),
    ):
        done = sandboxed(*arguments)
        assert (done.status, done.out) == (2, ""), arguments
        assert "a name is printable text" in done.err
    if name.strip():
        monkeypatch.setenv("ARX_AGENT_ID", name)
        assert sandboxed("call", "teams:read").status == 2
