"""`policy check`: what a policy that loads may still have wrong, one finding at a time, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.cli.main import run
from arx_wrapper.pagerduty.operations import RISKS, TABLE
from arx_wrapper.policy import lint, notes
from tests.policy.support import NOW, entry, policy
from tests.test_effects import EVERYTHING, SILENCES

ALL: dict[str, Any] = {"operations": ["*"], "risk_max": "high"}
ASKED: dict[str, Any] = {**ALL, "approval": {"high": "hitl"}, "hitl_channel": "#ops"}
RULES: dict[str, Any] = {"operations": ["rules:*"], "risk_max": "medium"}
MAY_BE_HIGH = {row.name for row in OPERATIONS.values() if row.highest_risk > row.risk}
NO_RULES: dict[str, Any] = {"deny": ["rules:*"]}
UNREACHABLE, EXPIRED = "it has no effect", "expired at"
HIGH, NO_CHANNEL = "HIGH without a reviewer", "names no hitl_channel"

FOUND: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "nothing": ([entry(**ASKED)], []),
    "denied by another": ([entry(**RULES), entry("no", **NO_RULES)], [UNREACHABLE]),
    "denied by itself": ([entry(**RULES, **NO_RULES)], [UNREACHABLE]),
    "denied for others only": ([entry(**RULES), entry("no", **NO_RULES, agents=["a"])], []),
    "denied at times": ([entry(**RULES), entry("no", **NO_RULES, expires="9999-01-01T00:00:00Z")], []),
    "denied on a condition": ([entry(**RULES), entry("no", **NO_RULES, when="agent_id == 'a'")], []),
    "denied in observation": ([entry(**RULES), entry("no", **NO_RULES, enforce=False)], []),
    "denied in part": ([entry(**RULES), entry("no", deny=["rules:read"])], []),
    "above its risk_max": ([entry(operations=["services:delete"], risk_max="low")], ["it permits nothing"]),
    "expired": ([entry(**RULES, expires=NOW.isoformat())], [EXPIRED]),
    "another connector": ([entry(**RULES, connector="opsgenie")], ["the connector 'opsgenie'"]),
    "high": ([entry(**ALL)], [HIGH]),
    "high, automatic": ([entry(**ALL, approval="auto")], [HIGH]),
    "high by its parameters": ([entry(operations=["services:update"], risk_max="high")], [HIGH]),
    "high where nothing is": ([entry(operations=["users:*"], risk_max="high")], []),
    "high, but denied": (
        [entry(operations=["services:delete", "users:read"], risk_max="high"), entry("no", deny=["services:delete"])],
        [],
    ),
    "high, observed": ([entry(**ALL, enforce=False)], []),
    "no such parameter": (
        [entry(**RULES, when="has(params.rule) || has(params.urgancy)")],
        ["did you mean 'urgency'?"],
    ),
    "a parameter of another operation": (
        [entry(operations=["incidents:reassign"], risk_max="medium", when="params.escalation_policy_id == 'P1'")],
        ["'escalation_policy_id', which none of its operations has"],
    ),
    "snooze alone": (
        [entry(operations=["incidents:snooze"], risk_max="medium")],
        ["permits incidents:snooze, but each such call also needs incidents:acknowledge"],
    ),
    "merge alone": (
        [entry(operations=["incidents:merge"], risk_max="medium")],
        ["permits incidents:merge, but each such call also needs incidents:resolve"],
    ),
    "merge without resolving": (
        [entry(operations=["incidents:*"], risk_max="medium"), entry("no", deny=["incidents:resolve", "alerts:read"])],
        ["incidents:merge", "incidents:read_alerts"],
    ),
    "merge, with resolving above the risk_max": (
        [entry(operations=["incidents:merge"], risk_max="medium"), entry("q", operations=["*"], risk_max="low")],
        ["also needs incidents:resolve"],
    ),
    "merge and resolve by two entries": (
        [
            entry(operations=["incidents:merge"], risk_max="medium"),
            entry("q", operations=["incidents:resolve"], risk_max="medium"),
        ],
        [],
    ),
    "approvals of nobody": ([entry(**RULES, min_approvals=2)], ["2 approvals, but no approval is `hitl`"]),
    "approvals of two": ([entry(**ASKED, min_approvals=2)], []),
    "limit on what it permits": ([entry(**RULES, limits={"rules:create": "1/hour"})], []),
    "limit on what it does not permit": (
        [entry(**RULES, limits={"services:delete": "1/hour"})],
        ["does not permit, which have no effect: services:delete"],
    ),
    "reviewers of nothing": ([entry(**RULES, reviewers=["alice"])], ["names reviewers, but no approval is `hitl`"]),
    "more approvals than reviewers": (
        [entry(**ASKED, min_approvals=2, reviewers=["alice"])],
        ["requires 2 approvals of 1 reviewers"],
    ),
    "approvals of a group": ([entry(**ASKED, min_approvals=2, reviewers=["group:sre"])], []),
    "requesters of nothing": ([entry(**NO_RULES, requesters=["*@example.com"])], ["so they have no effect"]),
    "hidden members": ([entry(**RULES, hide=["*.email", "teams.summary"], show=["*_url"])], []),
    "hidden misspelt": ([entry(**RULES, hide=["user.emial"])], ["did you mean 'email'?"]),
    "no channel": ([entry(**{**ASKED, "hitl_channel": None})], [NO_CHANNEL]),
}
PARAMETERS = {name: PagerDutyConnector("agent", "org").model_of(name).names for name in OPERATIONS}
MEMBERS = ("email", "summary", "html_url")


def given(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if value is not None} for one in entries]


@pytest.mark.parametrize("case", FOUND)
def test_each_thing_to_look_at_is_found_and_nothing_else(case: str) -> None:
    entries, problems = FOUND[case]
    found = lint(
        policy(*given(entries)),
        operations=OPERATIONS,
        now=NOW,
        parameters=PARAMETERS,
        members=["email", "summary", "html_url"],
    )
    assert len(found) == len(problems)
    for finding, problem in zip(found, problems, strict=True):
        assert problem in finding.problem
        assert finding.entry.name == "p"


def test_what_parameters_can_raise_to_high_is_what_lint_is_told() -> None:
    pd = PagerDutyConnector("agent", "org", policies=[EVERYTHING])
    raised = {operation for operation, params in SILENCES if pd.explain(operation, params).risk > RISKS[operation]}
    assert raised == MAY_BE_HIGH


def test_everything_that_lint_calls_unreachable_is_denied() -> None:
    for entries, problems in FOUND.values():
        if problems == [UNREACHABLE]:
            pd = PagerDutyConnector("agent", "org", policies=entries)
            assert not any(pd.possible_verdicts(name) for name in OPERATIONS)


@pytest.mark.parametrize("case", FOUND)
def test_the_command_says_it_with_file_and_line_and_fails_only_when_strict(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries, problems = FOUND[case]
    file = tmp_path / "policy.yaml"
    file.write_text("".join(f"- {json.dumps(one)}\n" for one in given(entries)))
    assert run(["policy", "check", "--output", "table", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"{file}: {'1 entry' if len(entries) == 1 else f'{len(entries)} entries'}, valid" in out
    assert out.count(f"{file}:1: p: ") == len(problems)
    assert run(["policy", "check", str(file), "--strict", "--output", "json"]) == (1 if problems else 0)
    (report,) = json.loads(capsys.readouterr().out)
    assert [finding["policy"] for finding in report["findings"]] == ["p"] * len(problems)


@pytest.mark.parametrize("text", ["- {name: a, connector: pagerduty, deny: ['incident:*']}", "", "- name: ["])
@pytest.mark.parametrize("more", [[], ["--strict"]])
def test_what_does_not_load_is_a_usage_error(
    text: str, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    assert run(["policy", "check", str(tmp_path / "policy.yaml"), *more]) == 2
    assert str(tmp_path / "policy.yaml") in capsys.readouterr().err


def test_without_a_policy_to_check_it_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARX_POLICY", raising=False)
    assert run(["policy", "check"]) == 2
    assert "set ARX_POLICY" in capsys.readouterr().err


def test_check_explains_what_a_condition_decides_on_besides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    condition = "params.incident_id == 'P1' && (!has(params.assignee_ids) || size(params.assignee_ids) == 1)"
    found = [
        entry("mine", operations=["incidents:resolve", "incidents:reassign"], risk_max="medium", when=condition),
        entry("plain", operations=["incidents:resolve"], risk_max="medium"),
        entry("who", deny=["incidents:resolve"], when="agent_id == 'a'"),
    ]
    told = [(note.entry.name, note.problem) for note in notes(policy(*found), operations=TABLE)]
    for name, part in (
        ("mine", "incidents:resolve when incidents:update, incidents:manage, incidents:merge, alerts:update"),
        (
            "mine",
            "rules:create, rules:update performs incidents:resolve without determining its parameters, the condition",
        ),
        (
            "mine",
            "when incidents:update, incidents:manage performs incidents:reassign without determining assignee_ids",
        ),
        ("who", "incidents:resolve when incidents:update"),
    ):
        assert [problem for entry_name, problem in told if entry_name == name and part in problem], part
    assert not [problem for name, problem in told if name == "plain" or (name == "who" and "without" in problem)]
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps(found[:1]))
    assert run(["policy", "check", "--strict", "--output", "table", str(file)]) == 0, "an explanation is no finding"
    assert "note: mine: when services:create_integration, rules:create" in capsys.readouterr().out
