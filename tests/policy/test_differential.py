"""The engine against the oracle, over random policies, calls and times."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arx_wrapper import OPERATIONS, Call, Effect, Risk
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import load
from tests.policy.oracle import matches, verdict
from tests.policy.support import NOW, bare

EXAMPLES = 10_000 if os.environ.get("CI") else 500

_PATTERNS = sorted(
    {"*", "*:*", "*:read*", "*read*", "*e*:*e*"}
    | set(OPERATIONS)
    | {f"{name.partition(':')[0]}:*" for name in OPERATIONS}
    | {f"{name[:-1]}*" for name in OPERATIONS}
)
_RISK = st.sampled_from(["low", "medium", "high"])
_APPROVAL = st.sampled_from(["none", "auto", "hitl"])
# Half of them broad: cases in which nothing matches tell engines apart the least.
_GLOBS = st.lists(st.sampled_from(["*", "*:*"]) | st.sampled_from(_PATTERNS), min_size=1, max_size=4)
_DENIED = st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=4)
_NAMES = st.lists(st.sampled_from(["*", "agent-*", "agent-1", "agent-2", "*-2", "org-1", "o*"]), min_size=1, max_size=2)
_PARAMS = st.sampled_from([{}, {"urgency": "low"}, {"urgency": "high"}])
_EXPIRES = st.sampled_from([(NOW + timedelta(seconds=step)).isoformat() for step in (-3600, -1, 0, 1, 3600)])


@st.composite
def entries(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        entry: dict[str, Any] = {
            "name": f"p{number}",
            "connector": draw(st.sampled_from(["pagerduty", "pagerduty", "other"])),
        }
        kind = draw(st.sampled_from(["operations", "deny", "both"]))
        if kind != "deny":
            entry |= {"operations": draw(_GLOBS), "risk_max": draw(_RISK)}
            entry["approval"] = draw(_APPROVAL | st.dictionaries(_RISK, _APPROVAL, max_size=3))
        if kind != "operations":
            entry["deny"] = draw(_DENIED)
        for key, values in (("agents", _NAMES), ("orgs", _NAMES), ("expires", _EXPIRES), ("enforce", st.booleans())):
            if draw(st.integers(0, 3)) == 0:
                entry[key] = draw(values)
        if draw(st.integers(0, 2)) == 0:
            entry["when"] = 'has(params.urgency) && params.urgency == "low"'
        found.append(entry)
    return found


@st.composite
def calls(draw: st.DrawFn) -> Call:
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    more = st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), st.sampled_from(list(Risk))), max_size=2)
    own, each = draw(_PARAMS), st.lists(_PARAMS, min_size=1, max_size=3).map(tuple)
    effects = {
        name: Effect(operation=name, risk=max(risk, RISKS[name]), params=draw(each)) for name, risk in draw(more)
    }
    effects[operation] = Effect(operation=operation, risk=RISKS[operation], params=(own,))
    return bare(
        operation,
        agent=draw(st.sampled_from(["agent-1", "agent-2"])),
        org=draw(st.sampled_from(["org-1", "org-2"])),
        params=own,
        effects=tuple(effects.values()),
    )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(entries(), calls())
def test_the_engine_agrees_with_the_oracle(policies: list[dict[str, Any]], call: Call) -> None:
    engine = load(policies, registry=RISKS, connector="pagerduty")
    assert engine.decide(call, NOW).verdict is verdict(policies, call, NOW)


@given(st.text("ab:*", max_size=6), st.text("ab:", max_size=6))
def test_globs_match_whole_names_as_the_oracle_does(pattern: str, name: str) -> None:
    from arx_wrapper.policy.entry import glob

    assert bool(glob(pattern).fullmatch(name)) == matches(pattern, name)
