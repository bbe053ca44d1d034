"""Verdicts that a policy may give of an operation, before its parameters are known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from arx_wrapper import Effect, PagerDutyConnector, Risk, Verdict
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import prediction
from tests.policy.random_cases import case
from tests.policy.support import NOW, bare, entry, policy
from tests.policy.test_differential import AT_ONCE, CASES

ALL = {"operations": ["*"], "risk_max": "high"}
NEVER: frozenset[Verdict] = frozenset()
ALWAYS_ASKED = frozenset({Verdict.ESCALATE})


def foreseen(numbers: range) -> None:
    for number in numbers:
        found = case(number)
        row, policy, who = found.call.operation, found.loaded, (found.call.agent_id, found.call.org_id)
        risk = max(list(Risk)[number % 3], RISKS[row.name]) if row.writes else RISKS[row.name]
        own = Effect(operation=row.name, risk=risk, params=(found.call.params,))
        more = [effect for effect in found.call.effects if row.writes and effect.operation != row.name]
        said = policy.decide(evolve(found.call, effects=(own, *more)), NOW).verdict
        outlook = prediction.possible_verdicts(policy, bare(row.name, agent=who[0], org=who[1]), NOW)
        assert said in outlook | {Verdict.DENY}, f"case {number}: {found.entries}, {row.name} at {risk.name}"


def test_whatever_a_call_turns_out_to_be_its_verdict_was_in_the_outlook() -> None:
    foreseen(range(AT_ONCE))


@pytest.mark.slow
def test_the_verdicts_of_ten_thousand_calls_were_in_their_outlook() -> None:
    foreseen(range(AT_ONCE, CASES))


@pytest.mark.parametrize(
    ("found", "possible_verdicts"),
    [
        ([], NEVER),
        ([entry(**ALL)], {Verdict.PERMIT}),
        ([entry(**ALL, approval="hitl")], ALWAYS_ASKED),
        ([entry(**ALL, approval={"high": "hitl"})], {Verdict.PERMIT, Verdict.ESCALATE}),
        ([entry(operations=["*"], risk_max="low")], NEVER),
        ([entry(**ALL, agents=["somebody-else"])], NEVER),
        ([entry(**ALL, orgs=["org-2"])], NEVER),
        ([entry(**ALL, expires=NOW.isoformat())], NEVER),
        ([entry(**ALL, expires=(NOW + timedelta(seconds=1)).isoformat())], {Verdict.PERMIT}),
        ([entry(**ALL, enforce=False)], NEVER),
        ([entry(**ALL, when="params.urgency == 'low'")], {Verdict.PERMIT}),
        ([entry(**ALL, limits={"incidents:create": "1/day"})], {Verdict.PERMIT}),
        ([entry(**ALL), entry("d", deny=["incidents:create"])], NEVER),
        ([entry(**ALL), entry("d", deny=["incidents:create"], when="params.urgency == 'high'")], {Verdict.PERMIT}),
        (
            [entry(**ALL), entry("h", **ALL, approval="hitl", when="params.urgency == 'high'")],
            {Verdict.PERMIT, Verdict.ESCALATE},
        ),
        ([entry(**ALL), entry("h", operations=["incidents:resolve"], risk_max="high", approval="hitl")], "either"),
    ],
)
def test_conditions_and_limits_leave_it_open(found: list[dict[str, Any]], possible_verdicts: object) -> None:
    expected = {Verdict.PERMIT, Verdict.ESCALATE} if possible_verdicts == "either" else possible_verdicts
    assert prediction.possible_verdicts(policy(*found), bare("incidents:create"), NOW) == expected


def test_what_every_call_of_an_operation_amounts_to_counts() -> None:
    half = [{**entry(**ALL), "deny": ["incidents:read_alerts", "incidents:acknowledge"]}]
    pd = PagerDutyConnector.sandbox(policies=half)
    assert pd.possible_verdicts("alerts:read") == NEVER, "the same request as incidents:read_alerts"
    assert pd.possible_verdicts("incidents:snooze") == NEVER, "it acknowledges"
    assert pd.possible_verdicts("incidents:update") == {Verdict.PERMIT}, "it need not acknowledge"
