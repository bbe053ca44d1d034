"""Defences of policy that no other test would miss: each fails here when it is removed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import OPERATIONS, Effect, PagerDutyConnector, PermissionDeniedError, PolicyError, Risk, Verdict
from arx_wrapper.model import Call
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import Policies, PolicySet, lint
from tests.policy.support import NOW, bare, entry, policy
from tests.support import ASK_ABOUT_HIGH, EVERYTHING, decide, denying, trail

ALL: dict[str, Any] = {"operations": ["*"], "risk_max": "high"}


async def test_a_merge_counts_each_source_against_the_limit_of_resolving() -> None:
    limited = {**EVERYTHING, "limits": {"incidents:resolve": "3/hour"}}
    async with PagerDutyConnector.sandbox(policies=[limited]) as pd:
        made = [await pd.create_incident(f"t{number}", "PABC123") for number in range(5)]
        into, *sources = [str(incident.id) for incident in made]
        call = pd.plan("incidents:merge", {"incident_id": into, "source_incident_ids": sources[:3]}).call
        assert {effect.operation: effect.count for effect in call.effects} == {
            "incidents:merge": 1,
            "incidents:resolve": 3,
        }
        with pytest.raises(PermissionDeniedError, match="3/hour"):
            await pd.merge_incidents(into, sources[:4])
        await pd.merge_incidents(into, sources[:2])
        with pytest.raises(PermissionDeniedError, match="3/hour"):
            await pd.merge_incidents(into, sources[2:4])
        await pd.merge_incidents(into, sources[2:3])


@pytest.mark.parametrize("strict_first", [False, True])
def test_the_most_approvals_that_an_effect_needs_are_needed_for_the_call(strict_first: bool) -> None:
    asking = {"risk_max": "high", "approval": "hitl"}
    asked = policy(
        entry("one", operations=["incidents:update"], **asking),
        entry("three", operations=["incidents:resolve"], **asking, min_approvals=3),
    )
    names = ["incidents:resolve", "incidents:update"] if strict_first else ["incidents:update", "incidents:resolve"]
    effects = tuple(Effect(operation=name, risk=Risk.MEDIUM) for name in names)
    decision = asked.decide(bare("incidents:update", effects=effects), NOW)
    assert (decision.verdict, decision.min_approvals) == (Verdict.ESCALATE, 3)


@pytest.mark.parametrize("strict_first", [False, True])
def test_the_most_approvals_that_an_entry_asks_for_are_needed(strict_first: bool) -> None:
    entries = [entry("one", **ALL, approval="hitl"), entry("three", **ALL, approval="hitl", min_approvals=3)]
    asked = policy(*(reversed(entries) if strict_first else entries))
    decision = asked.decide(bare("incidents:update"), NOW)
    assert (decision.policy, decision.min_approvals) == ("three", 3)


@pytest.mark.parametrize("pattern", ["incidents:read", "inc*:read", "*s:read"])
def test_a_glob_matches_whole_operation_names(pattern: str) -> None:
    permitting = policy(entry(operations=[pattern], risk_max="high"))
    denying_one = policy(entry("all", **ALL), entry("no", deny=[pattern]))
    for name in OPERATIONS:
        inside = name == "incidents:read" or (pattern == "*s:read" and name.endswith("s:read"))
        assert (permitting.decide(bare(name), NOW).verdict is Verdict.PERMIT) == inside, name
        assert (denying_one.decide(bare(name), NOW).verdict is Verdict.DENY) == inside, name


def test_a_limits_glob_matches_whole_operation_names() -> None:
    limited = policy(entry(**ALL, limits={"incidents:read": "1/hour", "services:*d": "2/hour"}))
    assert {limit.operation for limit in limited.entries[0].limits} == {"incidents:read", "services:read"}


def test_a_glob_that_matches_the_beginning_of_a_name_only_is_refused_at_load() -> None:
    for key in ("operations", "deny"):
        for pattern in ("incidents:rea", "incidents:*rea", "ncidents:read", "incidents", "incidents:read\n"):
            with pytest.raises(PolicyError, match="matches no operation"):
                policy(entry(**{"risk_max": "low", key: [pattern]}))


@pytest.mark.parametrize("key", ["agents", "orgs"])
@pytest.mark.parametrize("pattern", ["triage", "tri*ge", "*triage", "triage-?"])
def test_a_glob_matches_whole_names_of_agents_and_organisations(key: str, pattern: str) -> None:
    named = policy(entry(**ALL, **{key: [pattern]}))
    who = {"agents": "agent", "orgs": "org"}[key]
    for name in ("triage", "triage-7", "triage\n", "xtriage", "Triage", ""):
        inside = (name == "triage" and pattern != "triage-?") or (name == "xtriage" and pattern == "*triage")
        permitted = named.decide(bare("users:read", **{who: name}), NOW).verdict is Verdict.PERMIT
        assert permitted == inside, (pattern, name)


def test_a_glob_matches_whole_names_of_connectors() -> None:
    for connector, inside in (
        ("pagerduty", True),
        ("pager*", True),
        ("pager", False),
        ("*duty", True),
        ("page", False),
        ("pagerduty-eu", False),
        ("opsgenie", False),
    ):
        named = policy({**entry(**ALL), "connector": connector})
        assert (named.decide(bare("users:read"), NOW).verdict is Verdict.PERMIT) == inside


def test_what_lint_says_is_about_whole_names_too() -> None:
    reads = entry("reads", operations=["incidents:read_detail"], risk_max="low")
    loaded = policy(reads, entry("no", deny=["incidents:read"]))
    assert lint(loaded, operations=OPERATIONS, now=NOW) == []


async def waiting_for(pd: PagerDutyConnector) -> str:
    while not (asked := await pd.backends.approvals.list("pending")):
        await asyncio.sleep(0.01)
    return asked[0].id


class Tightened(Policies):
    """A policy that denies from the given judgement of a call on."""

    def __init__(self, after: int) -> None:
        loaded = policy(ASK_ABOUT_HIGH)
        super().__init__(loaded, registry=RISKS, connector="pagerduty")
        self.judged, self.after = 0, after
        self.closed = PolicySet([*loaded.entries, *policy(denying("services:delete")).entries], connector="pagerduty")

    def decide(self, call: Call, now: Any) -> Any:
        self.judged += 1
        return (self.closed if self.judged > self.after else self.current).decide(call, now)


@pytest.mark.parametrize("after", [1, 2], ids=["while it waits", "while its target is read again"])
async def test_a_waiting_call_is_judged_again_after_the_reviewer(after: int) -> None:
    policies = Tightened(after)
    async with PagerDutyConnector.sandbox(policies=policies) as pd:
        waiting = asyncio.create_task(pd.delete_service("PABC123"))
        asked = await waiting_for(pd)
        assert policies.judged == 1
        await decide(pd, asked)
        with pytest.raises(PermissionDeniedError, match="denied"):
            await waiting
        assert (await pd.backends.approvals.get(asked)).state == "approved", "and it is not used up"
        assert pd.sandbox_account is not None
        assert all(request.method == "GET" for request in pd.sandbox_account.requests)
        last = (await trail(pd))[-1]
        assert (last.action_type, last.policy_verdict, last.policy) == ("connector.refused", "DENY", "denied")


async def test_a_policy_file_that_is_tightened_while_a_call_waits_wins(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("- {name: ask, connector: pagerduty, operations: ['*'], risk_max: high, approval: hitl}\n")
    async with PagerDutyConnector.sandbox(policies=str(file)) as pd:
        waiting = asyncio.create_task(pd.delete_service("PABC123"))
        asked = await waiting_for(pd)
        file.write_text(file.read_text() + "- {name: no, connector: pagerduty, deny: ['services:delete']}\n")
        await asyncio.sleep(0.7)
        await decide(pd, asked)
        with pytest.raises(PermissionDeniedError, match="'no'"):
            await waiting
        assert pd.sandbox_account is not None
        assert all(request.method == "GET" for request in pd.sandbox_account.requests)
