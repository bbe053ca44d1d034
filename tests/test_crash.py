"""kill -9 in the middle of 1,000 calls: every request that the server saw has its intent on record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arx_wrapper import audit
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread

_CALLS = 1_000
_CHILD = """
import asyncio, sys
from arx_wrapper import PagerDutyConnector
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING

async def main(url, log, token, email):
    vault = FixedVault(api_key=token, requester_email=email)
    async with PagerDutyConnector("agent", "org", policies=[EVERYTHING], vault=vault, base_url=url, audit=log) as pd:
        async def caller(number):
            for turn in range(50):
                await pd.add_incident_note("P1234AB", f"{number}/{turn}")
        await asyncio.gather(*(caller(number) for number in range(20)))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("after", [1, 150, 600])
async def test_a_killed_process_has_sent_nothing_that_is_not_on_record(tmp_path: Path, after: int) -> None:
    sandbox = Sandbox(rate_limit=None)
    url = f"sqlite:///{tmp_path}/audit.db"
    with run_in_thread(sandbox) as served:
        arguments = [sys.executable, "-c", _CHILD, served.url, url, sandbox.token, sandbox.email]
        child = subprocess.Popen(arguments, cwd=Path(__file__).parent.parent)  # noqa: ASYNC220, S603 - our own program
        while len(sandbox.requests) < after:
            assert child.poll() is None, "the child ended by itself"
            time.sleep(0.001)  # noqa: ASYNC251 - another process works meanwhile
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        seen = [request.body["note"]["content"] for request in sandbox.requests]
    assert after <= len(seen) < _CALLS

    log = audit.open(url)
    records = [record async for record in log.records()]
    assert (await log.verify()).ok
    await log.aclose()
    intents = [record for record in records if record.action_type == "connector.called"]
    outcomes = {record.metadata["intent"]: record for record in records if record.action_type == "connector.completed"}
    assert len(intents) >= len(seen) == len(set(seen))
    assert set(outcomes) == {intent.id for intent in intents}, "an intent is without an outcome"
    assert {record.status for record in outcomes.values()} <= {"success", "unknown"}
    assert sum(record.status == "success" for record in outcomes.values()) <= len(seen)
