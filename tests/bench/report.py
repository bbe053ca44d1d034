"""`audit report` over 100,000 records: the CPU of the whole process, its start included, and its time."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arx_wrapper import audit
from arx_wrapper.audit import Entry
from tests.bench.figures import Figure

ROUNDS, CALLS = 3, 50_000


def measure() -> Iterator[Figure]:
    cpu, wall = [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        url = f"sqlite:///{folder}/log.db"
        fill(Path(folder) / "log.db", CALLS)
        for _ in range(ROUNDS):
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            command = [sys.executable, "-m", "arx_wrapper.cli", "audit", "report", "--file", f"{folder}/report.html"]
            environ = {**os.environ, "ARX_AUDIT_URL": url}
            subprocess.run(command, env=environ, stderr=subprocess.DEVNULL, check=True)  # noqa: S603
            wall.append(time.perf_counter() - began)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    yield Figure(name=f"audit report: {2 * CALLS:,} records, CPU", values=cpu, unit="s", goal=5)
    yield Figure(name=f"audit report: {2 * CALLS:,} records, time", values=wall, unit="s", goal=10)


def fill(path: Path, calls: int) -> None:
    """Record so many calls, with an outcome each."""

    async def run() -> None:
        log = audit.open(f"sqlite:///{path}")
        await log.open()
        for number in range(calls):
            common: dict[str, Any] = {"org_id": "acme", "agent_id": f"agent-{number % 7}", "connector": "pagerduty"}
            common |= {"operation": "incidents:resolve", "method": "PUT", "path": "/incidents/{incident_id}"}
            intent = Entry(
                action_type="connector.called",
                status="in_progress",
                policy_verdict="PERMIT",
                risk="medium",
                policy="responder",
                metadata={"ids": {"incident_id": f"P{number:06d}"}, "effects": []},
                **common,
            )
            log.append_soon(intent)
            log.append_soon(Entry(action_type="connector.completed", status="success", intent_id=intent.id, **common))
            if number % 500 == 0:
                await log.flush()
        await log.aclose()

    asyncio.run(run())
