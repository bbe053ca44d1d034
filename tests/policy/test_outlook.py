"""What a policy may say of an operation, before its parameters are known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arx_wrapper import OPERATIONS, Effect, PagerDutyConnector, Risk, Verdict
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import load, prediction
from tests.policy.support import NOW, bare, entry, policy
from tests.policy.test_differential import EXAMPLES, entries

ALL = {"operations": ["*"], "risk_max": "high"}
NEVER: frozenset[Verdict] = frozenset()
ALWAYS_ASKED = frozenset({Verdict.ESCALATE})


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    entries(),
    st.sampled_from(sorted(OPERATIONS)),
    st.sampled_from(list(Risk)),
    st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), st.sampled_from(list(Risk))), max_size=2),
    st.sampled_from([{}, {"urgency": "low"}, {"urgency": "high"}]),
)
def test_whatever_a_call_turns_out_to_be_its_verdict_was_in_the_outlook(
    policies: list[dict[str, Any]],
    operation: str,
    raised: Risk,
    more: list[tuple[str, Risk]],
    params: dict[str, str],
) -> None:
    effects = {operation: Effect(operation=operation, risk=RISKS[operation])}
    if OPERATIONS[operation].writes:
        effects[operation] = Effect(operation=operation, risk=max(raised, RISKS[operation]))
        effects |= {name: Effect(operation=name, risk=max(risk, RISKS[name])) for name, risk in more}
    engine = load(policies, registry=RISKS, connector="pagerduty")
    said = engine.decide(bare(operation, params=params, effects=tuple(effects.values())), NOW).verdict
    assert said in prediction.possible_verdicts(engine, bare(operation), NOW) | {Verdict.DENY}


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
