"""A policy decision."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from arx_wrapper import OPERATIONS, PagerDutyConnector, audit
from arx_wrapper.core.simulation import simulate
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import PolicySet, load
from tests.bench.figures import Figure
from tests.bench.report import fill
from tests.policy.support import NOW, bare

ROUNDS, TURNS, RECORDS, SIMULATIONS = 7, 200, 1_000_000, 3


def measure() -> Iterator[Figure]:
    reference = load(str(files("arx_wrapper.pagerduty") / "policies"), registry=RISKS, connector="pagerduty")
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
    yield Figure(name=f"policy: simulate over {RECORDS:,} records", values=_simulation(), unit="s of CPU", goal=10)


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


def _simulation() -> list[float]:
    """Seconds of CPU to judge the calls of a million records anew."""
    policy = load(str(files("arx_wrapper.pagerduty") / "policies"), registry=RISKS, connector="pagerduty")

    async def run(path: Path) -> float:
        log = audit.open(f"sqlite:///{path}", read_only=True)
        began = time.process_time()
        found = await simulate(log, policy, OPERATIONS, PagerDutyConnector.is_alias)
        took = time.process_time() - began
        await log.aclose()
        assert found.judged == RECORDS // 2
        return took

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        fill(Path(folder) / "audit.db", RECORDS // 2)
        return [asyncio.run(run(Path(folder) / "audit.db")) for _ in range(SIMULATIONS)]
