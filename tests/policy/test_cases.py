"""`policy test`: calls, and the verdict that each must get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arx_wrapper import PolicyError
from arx_wrapper.cli.main import run
from arx_wrapper.policy import cases

POLICY = """
- {name: all, connector: pagerduty, operations: ["*"], risk_max: medium, approval: none, agents: ["triage-*"]}
- {name: no-resolve, connector: pagerduty, deny: ["incidents:resolve"], expires: 2030-01-01T00:00:00Z}
"""
CASES = """
- operation: incidents:update
  params: {incident_id: P1, status: resolved}
  agent: triage-1
  expect: DENY
  entry: no-resolve
  because_of: incidents:resolve
  reason: denies incidents:resolve
- operation: incidents:update
  params: {incident_id: P1, status: resolved}
  agent: triage-1
  now: 2031-01-01T00:00:00Z
  expect: PERMIT
- {operation: users:read, agent: other, expect: DENY}
"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("ARX_POLICY", str(tmp_path / "policy.yaml"))
    return tmp_path


def test_cases_that_hold_pass(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policy / "cases.yaml").write_text(CASES)
    assert run(["policy", "test", str(policy / "cases.yaml"), "-o", "table"]) == 0
    assert capsys.readouterr().out == "3 passed, 0 failed\n"


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("{operation: users:read, agent: triage-1, expect: DENY}", "expected DENY, got PERMIT"),
        ("{operation: users:read, agent: triage-1, expect: PERMIT, entry: other}", "expected the entry 'other'"),
        (
            "{operation: incidents:resolve, params: {incident_id: P1}, agent: triage-1, expect: DENY, "
            "because_of: incidents:update}",
            "expected it because of incidents:update",
        ),
        (
            "{operation: users:read, agent: other, expect: DENY, reason: no-resolve}",
            "permits users:read, but not for agent 'other'.",
        ),
    ],
)
def test_a_case_that_does_not_hold_fails_with_its_line_and_why(
    policy: Path, capsys: pytest.CaptureFixture[str], case: str, fault: str
) -> None:
    (policy / "cases.yaml").write_text(f"{CASES}\n- {case}\n")
    assert run(["policy", "test", str(policy / "cases.yaml"), "-o", "table"]) == 1
    out = capsys.readouterr().out
    assert f"{policy / 'cases.yaml'}:16: " in out
    assert fault in out
    assert "3 passed, 1 failed" in out
    assert run(["policy", "test", str(policy / "cases.yaml"), "--output", "json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["fault"] is None for row in rows] == [True, True, True, False]
    assert [row["verdict"] for row in rows[:3]] == [row["expected"] for row in rows[:3]] == ["DENY", "PERMIT", "DENY"]
    assert rows[0]["entry"] == "no-resolve"
    assert "denies incidents:resolve" in rows[0]["reason"]


def test_a_policy_that_is_not_in_force_can_be_tested(policy: Path, tmp_path: Path) -> None:
    (policy / "cases.yaml").write_text("- {operation: users:read, agent: other, expect: PERMIT}")
    (policy / "proposed.yaml").write_text(POLICY.replace(', agents: ["triage-*"]', ""))
    assert run(["policy", "test", str(policy / "cases.yaml"), "--policy", str(policy / "proposed.yaml")]) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be a list of cases"),
        ("operation: users:read", "must be a list of cases"),
        ("- users:read", "must be a case"),
        ("- {operation: users:read}", "expect: must be one of PERMIT, ESCALATE, DENY"),
        ("- {operation: users:read, expect: permit}", "expect: must be one of"),
        ("- {operation: users:read, expect: [DENY]}", "expect: must be one of"),
        ("- {expect: DENY}", "operation: is missing"),
        ("- {operation: 7, expect: DENY}", "operation: must be text"),
        ("- {operation: users:read, expect: DENY, agent: [a]}", "agent: must be text"),
        ("- {operation: users:read, expect: DENY, agnet: a}", "did you mean 'agent'?"),
        ("- {operation: users:read, expect: DENY, params: [a]}", "params: must be a mapping"),
        ("- {operation: users:read, expect: DENY, now: 2031-01-01T00:00:00}", "now: must be an ISO 8601 time"),
        ("- {operation: users:read, expect: DENY, now: yesterday}", "now: must be an ISO 8601 time"),
        ("- &a {operation: users:read, expect: DENY}", "anchor"),
    ],
)
def test_a_broken_file_names_file_line_and_key(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "cases.yaml").write_text(text)
    with pytest.raises(PolicyError, match=rf"cases\.yaml:1: .*{problem.replace('?', '.')}"):
        cases(tmp_path / "cases.yaml")


def test_a_wrong_value_is_named_with_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text("- operation: users:read\n  agent: a\n  expect: maybe\n")
    with pytest.raises(PolicyError, match=r"cases\.yaml:3: "):
        cases(tmp_path / "cases.yaml")


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("{operation: users:raed, expect: DENY}", "users:read"),
        ("{operation: incidents:resolve, expect: DENY}", "incident_id"),
        ("{operation: incidents:resolve, params: {incident_id: P1, urgancy: low}, expect: DENY}", "urgancy"),
    ],
)
def test_a_case_of_no_call_is_a_usage_error_with_its_place(
    policy: Path, capsys: pytest.CaptureFixture[str], case: str, problem: str
) -> None:
    (policy / "cases.yaml").write_text(f"- {{operation: users:read, agent: a, expect: DENY}}\n- {case}\n")
    assert run(["policy", "test", str(policy / "cases.yaml")]) == 2
    err = capsys.readouterr().err
    assert f"{policy / 'cases.yaml'}:2: " in err
    assert problem in err
