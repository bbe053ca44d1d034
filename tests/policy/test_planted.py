"""The differential test finds bugs: each planted one is found within the cases of one run."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from arx_wrapper import OPERATIONS, Call, Decision, Effect, Risk, Verdict
from arx_wrapper.operations import RISKS
from arx_wrapper.policy import PolicySet, load
from tests.policy.oracle import verdict
from tests.policy.support import NOW, bare

CASES = 10_000
Decide = Callable[[list[dict[str, Any]], Call, datetime], Verdict]


def engine(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    return load(policies, registry=RISKS, connector="pagerduty").decide(call, now).verdict


def deny_up_to_risk_max(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    """A deny that does not hold above its entry's risk_max."""
    weakened = []
    for entry in policies:
        if Risk[entry.get("risk_max", "high").upper()] < call.risk:
            entry = {key: value for key, value in entry.items() if key != "deny"}
        if "deny" in entry or "operations" in entry:
            weakened.append(entry)
    return engine(weakened, call, now)


def first_approval_wins(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    """The first entry's approval instead of the strictest."""
    verdicts = [engine([p], call, now) for p in policies]
    if Verdict.DENY in (engine(policies, call, now),):
        return Verdict.DENY
    return next((found for found in verdicts if found is not Verdict.DENY), Verdict.DENY)


def only_the_first_effect(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    """What the call is named is judged, not what it amounts to."""
    bare_call = bare(call.operation.name, agent=call.agent_id, org=call.org_id, effects=call.effects[:1])
    return engine(policies, bare_call, now)


def expiry_included(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    """An entry that still matches at the moment when it expires."""
    return engine(policies, call, now - timedelta(microseconds=1))


def any_agent(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    """Entries for other agents match too."""
    return engine([{key: value for key, value in p.items() if key != "agents"} for p in policies], call, now)


def permit_by_default(policies: list[dict[str, Any]], call: Call, now: datetime) -> Verdict:
    """What nothing names is permitted."""
    decision: Decision = load(policies, registry=RISKS, connector="pagerduty").decide(call, now)
    return Verdict.PERMIT if decision.policy is None else decision.verdict


BUGS: list[Decide] = [
    deny_up_to_risk_max,
    first_approval_wins,
    only_the_first_effect,
    expiry_included,
    any_agent,
    permit_by_default,
]


def cases(seed: int) -> Any:
    """Random policies and calls, of the kinds that the differential test draws."""
    draw = random.Random(seed)  # noqa: S311 - test data
    names = sorted(OPERATIONS)
    globs = ["*", "*:read*", *names, *{f"{name.partition(':')[0]}:*" for name in names}]
    for _ in range(CASES):
        policies = []
        for number in range(draw.randint(0, 5)):
            entry: dict[str, Any] = {"name": f"p{number}", "connector": "pagerduty"}
            kind = draw.choice(["operations", "deny", "both"])
            if kind != "deny":
                entry |= {"operations": draw.sample(globs, 2), "risk_max": draw.choice(["low", "medium", "high"])}
                entry["approval"] = draw.choice(["none", "auto", "hitl"])
            if kind != "operations":
                entry["deny"] = draw.sample(globs, 1)
            if draw.random() < 0.3:
                entry["agents"] = [draw.choice(["agent-1", "agent-2", "agent-*"])]
            if draw.random() < 0.3:
                entry["expires"] = (NOW + timedelta(seconds=draw.choice([-1, 0, 1]))).isoformat()
            policies.append(entry)
        chosen = draw.sample(names, draw.choice([1, 1, 2]))
        effects = tuple(Effect(operation=name, risk=RISKS[name]) for name in chosen)
        yield policies, bare(chosen[0], agent=draw.choice(["agent-1", "agent-2"]), effects=effects)


def found_after(decide: Decide) -> int | None:
    """After how many cases engine and oracle disagree; None when they never do."""
    for number, (policies, call) in enumerate(cases(1), 1):
        if decide(policies, call, NOW) is not verdict(policies, call, NOW):
            return number
    return None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Decide) -> None:
    assert found_after(bug) is not None, f"not found in {CASES:,} cases: {bug.__doc__}"


def test_the_engine_itself_has_none() -> None:
    policy_set: type[PolicySet] = PolicySet
    assert policy_set.decide.__module__ == "arx_wrapper.policy.engine"
    assert found_after(engine) is None
