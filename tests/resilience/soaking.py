"""The process under test of the soak: 1,000 callers on one connector, and what it holds between their rounds.

python -m tests.resilience.soaking ADDRESS FOLDER SECONDS
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from arx_wrapper import ArxError, PagerDutyConnector
from arx_wrapper.transport import loop_state
from arx_wrapper.transport.connection_pool import ConnectionPool
from tests.resilience.harness import connector_at, shown

CALLERS = 1000
ROUNDS = 4
SILENCE = 1.0


def held() -> dict[str, int]:
    """Return the blocks, bytes, files and tasks that the process holds right now."""
    gc.collect()
    return {
        "blocks": sys.getallocatedblocks(),
        "rss": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "files": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
    }


async def call(pd: PagerDutyConnector, number: int) -> None:
    """One call, told from all others by the incident that it is about."""
    about = {"incident_id": f"P{number:09}"}
    match number % 10:
        case 0 | 1:
            await pd.execute("incidents:acknowledge", about)
        case 2:
            await pd.execute("incidents:create", {"title": f"number {number}", "service_id": "PSVC"})
        case 3:
            await pd.execute("incidents:add_note", {**about, "content": "looking into it"})
        case _:
            await pd.execute("incidents:read_detail", about)


async def soak(address: str, folder: Path, seconds: float) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    samples: list[dict[str, int]] = []
    numbers = iter(range(10**9))

    async def caller(pd: PagerDutyConnector, until: float) -> None:
        while time.monotonic() < until:
            try:
                await call(pd, next(numbers))
                outcomes["ok"] += 1
            except ArxError as error:
                outcomes[str(shown(error))] += 1

    before = held()
    async with connector_at(address, folder) as pd:
        for _ in range(ROUNDS):
            until = time.monotonic() + seconds / ROUNDS
            await asyncio.gather(*(caller(pd, until) for _ in range(CALLERS)))
            await pd.audit.flush()
            samples.append({**held(), "calls": outcomes.total()})
    await asyncio.sleep(0.1)
    return {"before": before, "samples": samples, "after": held(), "outcomes": outcomes}


def main() -> None:
    address, folder, seconds = sys.argv[1:]
    loop_state.ConnectionPool = lambda: ConnectionPool(  # type: ignore[misc,assignment]  # faults end sooner
        connect_timeout=5.0, read_timeout=SILENCE
    )
    json.dump(asyncio.run(soak(address, Path(folder), float(seconds))), sys.stdout)


if __name__ == "__main__":
    main()
