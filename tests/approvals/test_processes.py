"""Approvals hold across processes: they outlive the agent's, and many racing for one get it once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from arx_wrapper import approvals
from tests.approvals.conftest import terms

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

RACE = """
import asyncio, sys
from arx_wrapper import approvals
from arx_wrapper.errors import ApprovalDeniedError

async def main(url, request_id, digest):
    stores = [approvals.open(url, timeout=60, proof="name") for _ in range(5)]
    await asyncio.gather(*(store.get(request_id) for store in stores))
    print("ready", flush=True)
    sys.stdin.readline()

    async def attempt(number):
        try:
            await stores[number % 5].consume(request_id, digest)
        except ApprovalDeniedError:
            return "refused"
        return "used"

    print(*await asyncio.gather(*(attempt(number) for number in range(25))))
    for store in stores:
        await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""

DIES = """
import asyncio, sys
from arx_wrapper import approvals
from tests.approvals.conftest import terms

async def main(url):
    store = approvals.open(url, proof="name")
    asked = await store.request(**terms())
    print(asked.id, flush=True)
    await store.wait(asked.id)

asyncio.run(main(*sys.argv[1:]))
"""


def start(script: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this interpreter and the scripts above
        [sys.executable, "-c", script, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


async def test_a_hundred_uses_in_four_processes_succeed_once(url):
    store = approvals.open(url, proof="name")
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    racers = [start(RACE, url, asked.id, asked.call_digest) for _ in range(4)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    results = " ".join(racer.communicate(timeout=90)[0] for racer in racers).split()
    assert [racer.returncode for racer in racers] == [0] * 4
    assert sorted(results) == ["refused"] * 99 + ["used"]
    assert (await store.get(asked.id)).state == "consumed"
    await store.aclose()


async def test_a_request_outlives_the_process_that_asked(url):
    agent = start(DIES, url)
    request_id = (await asyncio.to_thread(agent.stdout.readline)).strip()
    os.kill(agent.pid, signal.SIGKILL)
    agent.communicate()
    reviewer = approvals.open(url, proof="name")
    await reviewer.decide(request_id, "alice", True)
    await reviewer.aclose()
    resumed = approvals.open(url, proof="name")
    asked = await resumed.get(request_id)
    assert (await resumed.consume(request_id, asked.call_digest)).state == "consumed"
    await resumed.aclose()


async def test_many_processes_may_make_the_tables_at_once(url):
    script = (
        "import asyncio, sys\n"
        "from arx_wrapper import approvals\n"
        "from tests.approvals.conftest import terms\n"
        "async def main(url, agent):\n"
        "    store = approvals.open(url, proof='name')\n"
        "    await store.request(**terms(agent_id=agent))\n"
        "    await store.aclose()\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    racers = [start(script, url, f"agent-{number}") for number in range(4)]
    for racer in racers:
        racer.communicate(timeout=60)
    assert [racer.returncode for racer in racers] == [0] * 4
    store = approvals.open(url, proof="name")
    assert len(await store.list("pending")) == 4
    await store.aclose()
