"""Decisions, beyond matching: reasons, conditions, limits, observation."""

from __future__ import annotations

from typing import Any

import pytest

from arx_wrapper import OPERATIONS, Effect, Risk, Verdict
from arx_wrapper.policy import lint, trace
from arx_wrapper.policy.entry import matches_any
from tests.policy.support import NOW, bare, entry, policy

ALL = {"operations": ["*"], "risk_max": "high"}


def test_without_a_policy_the_message_says_how_to_add_one() -> None:
    decision = policy().decide(bare("users:read"), NOW)
    assert decision.verdict is Verdict.DENY
    assert "ARX_POLICY" in decision.reason


def test_a_risk_above_the_entrys_maximum_is_named() -> None:
    decision = policy(entry(operations=["services:*"], risk_max="low")).decide(bare("services:delete"), NOW)
    assert "up to LOW only" in decision.reason


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ({"agents": ["triage-*"]}, "permits incidents:read, but not for agent 'agent-1'."),
        ({"orgs": ["acme"]}, "permits incidents:read, but not for organisation 'org-1'."),
        ({"agents": ["triage-*"], "orgs": ["acme"]}, "permits incidents:read, but not for agent 'agent-1'."),
        ({"expires": "2025-12-31T00:00:00Z"}, "permitted incidents:read until 2025-12-31T00:00:00+00:00"),
        ({"agents": ["triage-*"], "when": "params.limit == 1"}, "but not for agent 'agent-1'."),
    ],
)
def test_an_entry_that_permits_the_operation_to_others_is_named_as_the_cause(
    members: dict[str, Any], cause: str
) -> None:
    other = entry("other", operations=["users:*"], risk_max="low")
    entries = [other, entry("close", operations=["incidents:*"], risk_max="low", **members)]
    decision = policy(*entries).decide(bare("incidents:read"), NOW)
    assert (decision.verdict, decision.policy) == (Verdict.DENY, None)
    assert decision.reason.startswith("policy 'close'")
    assert cause in decision.reason
    assert "triage" not in decision.reason, "whom it is for is not the caller's to know"
    assert "acme" not in decision.reason


def test_the_entry_that_lacks_least_is_named_as_the_cause() -> None:
    theirs = entry("theirs", operations=["services:*"], risk_max="high", agents=["triage-*"])
    mine = entry("mine", operations=["services:*"], risk_max="medium")
    both = entry("both", operations=["services:*"], risk_max="medium", agents=["triage-*"])
    expected = {
        ("theirs", "mine"): "policy 'mine' permits services:delete up to MEDIUM only, and it is HIGH.",
        ("both", "theirs"): "policy 'theirs' permits services:delete, but not for agent 'agent-1'.",
        ("both",): (
            "policy 'both' permits services:delete up to MEDIUM only, and not for agent 'agent-1', and it is HIGH."
        ),
    }
    entries = {"theirs": theirs, "mine": mine, "both": both}
    for names, reason in expected.items():
        decision = policy(*(entries[name] for name in names)).decide(bare("services:delete"), NOW)
        assert (decision.verdict, decision.reason) == (Verdict.DENY, reason)


@pytest.mark.parametrize("maximum", ["low", "medium", "high"])
def test_a_deny_holds_whatever_its_entrys_risk_max(maximum: str) -> None:
    denying = entry("d", deny=["services:delete"], operations=["users:read"], risk_max=maximum)
    assert policy(entry(**ALL), denying).decide(bare("services:delete"), NOW).policy == "d"


def test_the_strictest_approval_of_the_matching_entries_holds() -> None:
    for order in (("none", "hitl", "auto"), ("hitl", "none", "auto")):
        entries = [entry(f"p{kind}", **ALL, approval=kind) for kind in order]
        decision = policy(*entries).decide(bare("users:read"), NOW)
        assert (decision.verdict, decision.policy) == (Verdict.ESCALATE, "phitl")


def test_a_risk_that_an_approval_does_not_name_is_as_strict_as_those_below_it() -> None:
    asking = policy(entry(**ALL, approval={"medium": "hitl"}))
    assert asking.decide(bare("users:read"), NOW).verdict is Verdict.PERMIT
    assert asking.decide(bare("services:delete"), NOW).verdict is Verdict.ESCALATE


def test_the_decision_names_the_effect_that_caused_it() -> None:
    effects = (
        Effect(operation="incidents:update", risk=Risk.MEDIUM),
        Effect(operation="incidents:resolve", risk=Risk.MEDIUM),
    )
    denying = policy(entry(**ALL), entry("d", deny=["incidents:resolve"]))
    decision = denying.decide(bare("incidents:update", effects=effects), NOW)
    assert (decision.verdict, decision.operation, decision.policy) == (Verdict.DENY, "incidents:resolve", "d")


def test_a_condition_sees_parameters_agent_organisation_operation_risk_and_time() -> None:
    text = (
        'params.urgency == "low" && agent_id == "agent-1" && org_id == "org-1" && operation == "incidents:create" '
        '&& risk == "medium" && now > timestamp("2020-01-01T00:00:00Z")'
    )
    conditional = policy(entry(**ALL, when=text))
    assert conditional.decide(bare("incidents:create", params={"urgency": "low"}), NOW).verdict is Verdict.PERMIT
    assert conditional.decide(bare("incidents:create", params={"urgency": "high"}), NOW).verdict is Verdict.DENY


@pytest.mark.parametrize("text", ['params.urgency == "low"', "1 / 0 == 1", "agent_id > 1", '"yes"'])
@pytest.mark.parametrize("kind", [ALL, {"deny": ["incidents:create"]}])
def test_a_condition_that_fails_denies_and_names_the_entry(text: str, kind: dict[str, Any]) -> None:
    decision = policy(entry("open", **ALL), entry("cond", **kind, when=text)).decide(bare("incidents:create"), NOW)
    assert (decision.verdict, decision.policy) == (Verdict.DENY, "cond")


def test_limits_come_from_the_entries_that_match() -> None:
    limited = policy(
        entry("a", **ALL, limits={"incidents:create": "10/hour"}),
        entry("b", **ALL, limits={"incidents:*": "3/minute"}, agents=["other"]),
    )
    decision = limited.decide(bare("incidents:create"), NOW)
    assert [(limit.operation, limit.count, limit.seconds) for limit in decision.limits] == [
        ("incidents:create", 10, 3600)
    ]
    assert limited.decide(bare("users:read"), NOW).limits == ()


def test_an_observing_entry_is_told_and_never_enforced() -> None:
    watched = policy(entry("open", **ALL), entry("watch", deny=["incidents:*"], enforce=False))
    decision = watched.decide(bare("incidents:create"), NOW)
    assert decision.verdict is Verdict.PERMIT
    assert decision.observed == ("watch: DENY",)
    assert policy(entry("watch", **ALL, enforce=False)).decide(bare("users:read"), NOW).verdict is Verdict.DENY


def test_why_is_told_of_every_entry() -> None:
    traced = policy(
        entry("a", **ALL), entry("b", operations=["teams:*"], risk_max="low"), entry("c", **ALL, agents=["x"])
    )
    told = {found.entry.name: (found.matched, found.why) for found in trace(traced, bare("users:read"), NOW)}
    assert told["a"][0] is True
    assert "none of its globs" in told["b"][1]
    assert "not for the agent" in told["c"][1]


def test_lint_points_at_power_without_a_reviewer_and_at_what_cannot_match() -> None:
    found = lint(
        policy(
            entry("loose", **ALL),
            entry("silent", **ALL, approval="hitl"),
            entry("void", operations=["services:delete"], risk_max="low"),
            entry("past", deny=["rules:*"], expires="2020-01-01T00:00:00Z"),
            entry("shadowed", operations=["rules:read"], risk_max="low"),
            entry("deny", deny=["rules:*"]),
        ),
        operations=OPERATIONS,
        now=NOW,
    )
    assert {(finding.entry.name, finding.problem.partition(":")[0][:20]) for finding in found} == {
        ("loose", "it permits HIGH with"),
        ("silent", "it requires approval"),
        ("void", "every operation that"),
        ("past", "it expired at 2020-0"),
        ("shadowed", "other entries deny e"),
    }


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("incidents.read", "incidents:read", False),
        ("incidents:[a-z]+", "incidents:read", False),
        ("incidents:*", "incidents:read", True),
        ("a(b", "a(b", True),
        ("a(*", "a(b", True),
        ("*", "two\nlines", True),
        ("two*", "two\nlines", True),
        ("incidents:read", "incidents:read\n", False),
        ("incidents:*", "Incidents:read", False),
        ("*@example.com", "bot@example.com.evil.example", False),
    ],
)
def test_a_glob_has_a_star_and_nothing_else_and_matches_whole_names(pattern: str, name: str, matches: bool) -> None:
    assert matches_any([pattern], name) is matches
