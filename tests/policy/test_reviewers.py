"""Entries name the reviewers that count, and the requesters of writes."""

from __future__ import annotations

from typing import Any

import pytest

from arx_wrapper import ApprovalPendingError, Config, Decision, PagerDutyConnector, PermissionDeniedError, Verdict
from arx_wrapper.model import OnCall, ReviewerRule
from tests.policy.support import NOW, bare, entry, policy
from tests.support import EVERYTHING, trail

ASKING: dict[str, Any] = {"operations": ["*"], "risk_max": "high", "approval": "hitl"}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("alice", {"people": ("alice",)}),
        (["alice", "bob"], {"people": ("alice", "bob")}),
        (["group:sre", "alice"], {"people": ("alice",), "groups": ("sre",)}),
        ({"on_call": "P1"}, {"on_call": (OnCall(escalation_policy="P1"),)}),
        (
            ["alice", {"on_call": "P1", "levels": [1, 2], "escalate_after": "5m"}],
            {"people": ("alice",), "on_call": (OnCall(escalation_policy="P1", levels=(1, 2), escalate_after=300),)},
        ),
        (
            {"on_call": "P1", "escalate_after": "90s"},
            {"on_call": (OnCall(escalation_policy="P1", escalate_after=90),)},
        ),
    ],
)
def test_reviewers_are_people_groups_and_whoever_is_on_call(given: Any, rule: dict[str, Any]) -> None:
    decision = policy(entry(**ASKING, reviewers=given, min_approvals=2)).decide(bare("incidents:resolve"), NOW)
    assert decision.verdict is Verdict.ESCALATE
    assert decision.reviewers == (ReviewerRule(policy="p", min_approvals=2, **rule),)


def test_each_entry_that_asks_has_its_rule_met_and_one_that_names_nobody_adds_none() -> None:
    asked = policy(
        entry("any", **ASKING),
        entry("alice", **ASKING, reviewers="alice"),
        entry("bob", **ASKING, reviewers="bob"),
        entry("silent", operations=["*"], risk_max="high", reviewers="carol"),
        entry("others", **ASKING, reviewers="dave", agents=["other"]),
    )
    decision = asked.decide(bare("incidents:resolve"), NOW)
    assert [rule.policy for rule in decision.reviewers] == ["alice", "bob"]


def test_the_rules_of_every_effect_hold() -> None:
    pd = PagerDutyConnector(
        "agent",
        "org",
        policies=[
            entry("all", operations=["*"], risk_max="high"),
            entry("resolve", **{**ASKING, "operations": ["incidents:resolve"]}, reviewers="alice"),
            entry("merge", **{**ASKING, "operations": ["incidents:merge"]}, reviewers="bob"),
        ],
    )
    decision = pd.explain("incidents:merge", {"incident_id": "P1", "source_incident_ids": ["P2", "P3"]})
    assert sorted(rule.policy for rule in decision.reviewers) == ["merge", "resolve"]
    assert pd.explain("incidents:read").reviewers == ()


async def test_a_request_for_approval_carries_them() -> None:
    config = Config.load(audit_default="sqlite:///:memory:")
    from attrs import evolve

    asking = {**EVERYTHING, **ASKING, "reviewers": ["alice", {"on_call": "P1", "levels": [1]}]}
    async with PagerDutyConnector.sandbox(policies=[asking], config=evolve(config, approvals_mode="raise")) as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.delete_service("PABC123")
        asked = await pd.approval(str(pending.value.approval_id))
    assert "alice" in str(asked.reviewers)
    assert "P1" in str(asked.reviewers)


ADDRESSED = {"name": "p", "connector": "pagerduty", "operations": ["*"], "risk_max": "high"}


def noted(policies: list[dict[str, Any]], requester: str | None, operation: str = "incidents:add_note") -> Decision:
    named = {"requester_email": requester} if requester else {}
    params = {"incidents:add_note": {"content": "c"}, "incidents:snooze": {"duration": 60}}[operation]
    pd = PagerDutyConnector("agent", "org", policies=policies)
    return pd.explain(operation, {"incident_id": "P1", **params, **named})


@pytest.mark.parametrize(
    ("requester", "permitted"),
    [
        (None, True),  # the vault's own
        ("oncall@example.com", True),
        ("OnCall@Example.COM", True),
        ("bot-7@example.com", True),
        ("boss@example.com", False),
        ("oncall@example.com.evil.example", False),
        ("xoncall@example.com", False),
    ],
)
def test_a_write_names_a_requester_that_its_entry_lists(requester: str | None, permitted: bool) -> None:
    listed = [{**ADDRESSED, "requesters": ["oncall@example.com", "bot-*@example.com"]}]
    decision = noted(listed, requester)
    assert (decision.verdict is Verdict.PERMIT) == permitted
    assert permitted or (decision.policy == "p" and "requesters" in decision.reason)
    assert not requester or requester not in decision.reason


def test_every_matching_entry_that_lists_requesters_has_to_list_it() -> None:
    narrow = {**ADDRESSED, "name": "narrow", "requesters": ["oncall@example.com"]}
    assert noted([ADDRESSED, narrow], "boss@example.com").verdict is Verdict.DENY
    assert noted([ADDRESSED, {**narrow, "agents": ["other"]}], "boss@example.com").verdict is Verdict.PERMIT


def test_the_requester_is_held_to_the_list_of_every_effect() -> None:
    acknowledging = {**ADDRESSED, "name": "ack", "operations": ["incidents:acknowledge"], "requesters": ["a@b.example"]}
    decision = noted([ADDRESSED, acknowledging], "boss@example.com", "incidents:snooze")
    assert (decision.verdict, decision.operation) == (Verdict.DENY, "incidents:acknowledge")


async def test_a_requester_that_is_not_listed_sends_nothing_and_is_on_record_as_denied() -> None:
    listed = {**EVERYTHING, "requesters": ["nobody@example.com"]}
    async with PagerDutyConnector.sandbox(policies=[listed]) as pd:
        with pytest.raises(PermissionDeniedError, match="requesters"):
            await pd.add_incident_note("P1234AB", "seen", requester_email="ada.nkemelu@example.com")
        assert pd.sandbox_account is not None
        assert not pd.sandbox_account.requests
        assert (await trail(pd))[-1].policy_verdict == "DENY"
        await pd.add_incident_note("P1234AB", "seen")
