"""A policy decision."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from arx_wrapper import OPERATIONS, audit
from arx_wrapper.audit import Entry
from arx_wrapper.core.simulation import simulate
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import PolicySet, load
from tests.bench.figures import Figure
from tests.policy.support import NOW, bare

ROUNDS, TURNS, RECORDS = 7, 200, 100_000


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
    yield Figure(name=f"policy: simulate over {RECORDS:,} records", values=[_simulation()], unit="s", goal=10)


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


def _simulation() -> float:
    """Seconds to judge 100,000 calls on record anew."""
    policy = load(str(files("arx_wrapper") / "policies"), registry=RISKS, connector="pagerduty")
    names = list(OPERATIONS)

    async def run(folder: str) -> float:
        log = audit.open(f"sqlite:///{folder}/audit.db", timeout=60)
        for start in range(0, RECORDS, 1_000):
            await asyncio.gather(*(log.append(_refused(names[(start + n) % 45])) for n in range(1_000)))
        began = time.perf_counter()
        found = await simulate(log.records(), policy, OPERATIONS)
        took = time.perf_counter() - began
        await log.aclose()
        assert found.judged == RECORDS
        return took

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return asyncio.run(run(folder))


def _refused(operation: str) -> Entry:
    row = OPERATIONS[operation]
    return Entry(
        action_type="connector.refused",
        status="blocked",
        org_id="org-1",
        agent_id="agent-1",
        connector="pagerduty",
        operation=operation,
        policy_verdict="DENY",
        metadata={"effects": [[operation, row.risk.name.lower(), 1]], "ids": {}},
    )
