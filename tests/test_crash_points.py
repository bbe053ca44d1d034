"""kill -9 at every step of the pipeline: whatever the server saw is on record, and what is not known is `unknown`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from arx_wrapper import audit
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TIMES = 50 if os.environ.get("CI") else 3
CALLS = 2

# Each step, and what the fatal call must have left: whether an intent, and whether a request at the server.
STEPS = {
    "credentials located": (False, False),
    "intent being written": (False, False),
    "secret read": (True, False),
    "approval asked for": (True, False),
    "before sending": (True, False),
    "after sending": (True, True),
    "outcome being written": (True, True),
    "outcome handed in": (True, True),
}
_CHILD = """
import asyncio, os, sys
from datetime import UTC, datetime
import httpx
from arx_wrapper import PagerDutyConnector, approvals, audit
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING

step, url, log_url, token, email, calls, times = sys.argv[1:]
fatal = False

def die_at(here):
    if fatal and here == step:
        os.kill(os.getpid(), 9)

class Vault(FixedVault):
    async def locate(self, org_id):
        die_at("credentials located")
        return await super().locate(org_id)
    async def read(self, org_id, *, fresh=False):
        die_at("secret read")
        return await super().read(org_id)

answered = False

class Transport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request):
        global answered
        die_at("before sending")
        response = await super().handle_async_request(request)
        answered = True
        die_at("after sending")
        return response

class Channel:
    name = "channel"
    async def announce(self, request):
        die_at("approval asked for")

def clock():
    die_at("outcome being written" if answered else "intent being written")
    return datetime.now(UTC)

async def main():
    global fatal, answered
    # What was handed in is written when it is said to be, and not meanwhile.
    log = audit.open(log_url, clock=clock, **({"idle": 3600.0} if step == "outcome handed in" else {}))
    asks = {**EVERYTHING, "approval": "hitl"} if step == "approval asked for" else EVERYTHING
    async with PagerDutyConnector(
        "agent", "org", policies=[EVERYTHING], audit=log, base_url=url, transport=Transport(),
        vault=Vault(api_key=token, requester_email=email),
        approvals=approvals.open(log_url, channels=[Channel()], pending_cap=1_000),
    ) as pd:
        for number in range(int(calls)):
            await pd.create_incident(f"call {number}", "PABC123")
            await log.flush()
        answered, fatal = False, True
        if step == "approval asked for":
            pd = PagerDutyConnector(
                "agent", "org", policies=[asks], audit=log, base_url=url, transport=Transport(),
                vault=Vault(api_key=token, requester_email=email),
                approvals=approvals.open(log_url, channels=[Channel()], pending_cap=1_000),
            )
        await pd.create_incident(f"the fatal one of {os.getpid()}", "PABC123")
        die_at("outcome handed in")
        await asyncio.sleep(60)
        os._exit(3)

for _ in range(int(times)):  # each dies in a process of its own, which has nothing left to import
    child = os.fork()
    if child == 0:
        asyncio.run(main())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.timeout(300)
async def test_a_process_killed_at_this_step_leaves_a_true_log(tmp_path: Path, step: str) -> None:
    sandbox, log_url = Sandbox(rate_limit=None), f"sqlite:///{tmp_path}/audit.db"
    with run_in_thread(sandbox) as served:

        async def some(times: int) -> list[int]:
            arguments = [step, served.url, log_url, sandbox.token, sandbox.email, str(CALLS), str(times)]
            parent = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _CHILD, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await parent.communicate()
            assert parent.returncode == 0
            return [int(end) for end in said.split()]

        ends = await asyncio.gather(some(TIMES - TIMES // 2), some(TIMES // 2))
        assert [end for half in ends for end in half] == [-signal.SIGKILL] * TIMES
        keys = [request.body["incident"]["incident_key"] for request in sandbox.requests if request.method == "POST"]

    log = audit.open(log_url)  # settles what the dead left open
    records = [record async for record in log.records()]
    found = await log.verify()
    await log.aclose()
    assert found.ok, found.problem

    leaves_intent, is_sent = STEPS[step]
    intents = {record.id: record for record in records if record.action_type == "connector.called"}
    outcomes = [record for record in records if record.action_type == "connector.completed"]
    assert len(intents) == TIMES * (CALLS + leaves_intent)
    assert len(keys) == len(set(keys)) == TIMES * (CALLS + is_sent)
    assert {key.removeprefix("arx-") for key in keys} <= set(intents), "a request without an intent"
    assert sorted(record.metadata["intent"] for record in outcomes) == sorted(intents), "one outcome an intent"
    assert sum(record.status == "success" for record in outcomes) == TIMES * CALLS
    assert sum(record.status == "unknown" for record in outcomes) == TIMES * leaves_intent
