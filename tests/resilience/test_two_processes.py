"""Two processes share a key that allows 16 calls a second: neither fails. `test_shared_key.py` judges the time."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.resilience.server import Bucket, Server, serving

pytestmark = pytest.mark.slow

RATE = 16
CALLS = 80
_CHILD = """
import asyncio, sys
from pathlib import Path
from tests.resilience.harness import connector_at

async def main(address, folder, log, calls):
    async with connector_at(address, Path(folder), audit=log) as pd:
        await asyncio.gather(*(pd.get_incident("P1") for _ in range(int(calls))))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_share_a_rate_limit_without_a_failure(tmp_path: Path, figures: list[str]) -> None:
    server = Server(delay=0.02)
    server.bucket = Bucket(rate=RATE, size=RATE)
    async with serving(server) as address:
        ends = await asyncio.gather(*(_run(address, tmp_path, name) for name in ("one", "two")))
    assert ends == [0, 0], "a call failed"
    answered = len(server.seen) - server.bucket.refused
    assert answered == 2 * CALLS
    took = server.seen[-1].at - server.seen[0].at
    ideal = (answered - RATE) / RATE
    figures.append(f"two processes on one key: {took / ideal:.2f} of the ideal time, {server.bucket.refused} refused")
    assert server.bucket.refused <= answered / 2, "they fight for the key instead of giving way"


async def _run(address: str, folder: Path, name: str) -> int | None:
    arguments = (sys.executable, "-c", _CHILD, address, str(folder), f"sqlite:///{folder}/{name}.db", str(CALLS))
    child = await asyncio.create_subprocess_exec(*arguments, cwd=Path(__file__).parents[2])
    try:
        return await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
