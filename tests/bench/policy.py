"""A policy decision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.resources import files

from arx_wrapper import OPERATIONS
from arx_wrapper.operations import RISKS
from arx_wrapper.policy import PolicySet, load
from tests.bench.figures import Figure
from tests.policy.support import NOW, bare

ROUNDS, TURNS = 7, 200


def measure() -> Iterator[Figure]:
    reference = load(str(files("arx_wrapper") / "policies"), registry=RISKS, connector="pagerduty")
    yield Figure(
        name="policy: a decision, the four reference policies", values=_decisions(reference), unit="µs", goal=5
    )
    names = list(OPERATIONS)
    thousand = [
        {
            "name": f"p{number}",
            "connector": "pagerduty",
            "operations": [names[number % 45], f"{names[number % 45].partition(':')[0]}:*"],
            "risk_max": "high",
            "approval": "none",
            "agents": [f"agent-{number}", "agent-1"],
        }
        for number in range(1_000)
    ]
    many = load(thousand, registry=RISKS, connector="pagerduty")
    yield Figure(name="policy: a decision, 1,000 entries", values=_decisions(many), unit="µs", goal=200)


def _decisions(policy: PolicySet) -> list[float]:
    calls = [bare(operation) for operation in OPERATIONS]
    for call in calls:
        policy.decide(call, NOW)
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TURNS // 10):
            for call in calls:
                policy.decide(call, NOW)
        taken.append((time.perf_counter() - began) / (TURNS // 10 * len(calls)) * 1e6)
    return taken
