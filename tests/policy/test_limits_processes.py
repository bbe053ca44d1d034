"""Limits and suspensions hold over processes, because they are counted where the intent is written."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import PagerDutyConnector, PermissionDeniedError, audit
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread
from tests.support import EVERYTHING, trail

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROCESSES, ASKED, LIMIT = 8, 100, 10
LIMITED: dict[str, Any] = {**EVERYTHING, "limits": {"incidents:add_note": f"{LIMIT}/minute"}}
_CHILD = """
import asyncio, json, sys
from arx_wrapper import PagerDutyConnector, PermissionDeniedError
from arx_wrapper.vault.fixed import FixedVault

async def main(url, log, token, email, policy, calls):
    vault, done, refused = FixedVault(api_key=token, requester_email=email), 0, 0
    more = {"policies": json.loads(policy), "vault": vault, "base_url": url, "audit": log}
    async with PagerDutyConnector("agent", "org", **more) as pd:
        for number in range(int(calls)):
            try:
                await pd.add_incident_note("P1234AB", str(number))
                done += 1
            except PermissionDeniedError as error:
                assert "used up" in str(error), error
                refused += 1
    print(json.dumps([done, refused]))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_eight_processes_share_one_limit(tmp_path: Path) -> None:
    sandbox, log_url = Sandbox(rate_limit=None), f"sqlite:///{tmp_path / 'audit.db'}"
    with run_in_thread(sandbox) as served:
        arguments = [served.url, log_url, sandbox.token, sandbox.email, json.dumps([LIMITED]), str(ASKED)]
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _CHILD, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(PROCESSES)
        ]
        counts = [json.loads((await child.communicate())[0]) for child in children]
    assert sum(request.method == "POST" for request in sandbox.requests) == LIMIT, "exactly so many on the wire"
    assert sum(done for done, _ in counts) == LIMIT
    assert sum(refused for _, refused in counts) == PROCESSES * ASKED - LIMIT
    log = audit.open(log_url)
    verified = await log.verify()
    await log.aclose()
    assert verified.ok


async def test_a_burst_at_the_windows_edge_does_not_double_the_limit(tmp_path: Path) -> None:
    now = [datetime(2025, 6, 1, 12, 0, 59, tzinfo=UTC)]
    log = audit.open(f"sqlite:///{tmp_path / 'audit.db'}", clock=lambda: now[0])
    async with PagerDutyConnector.sandbox(policies=[LIMITED], audit=log) as pd:

        async def burst() -> int:
            notes = (pd.add_incident_note("P1234AB", str(number)) for number in range(2 * LIMIT))
            found = await asyncio.gather(*notes, return_exceptions=True)
            return sum(not isinstance(answer, PermissionDeniedError) for answer in found)

        assert await burst() == LIMIT
        now[0] += timedelta(seconds=2)  # another minute by the clock on the wall, the same window
        assert await burst() == 0
        now[0] += timedelta(seconds=58)
        assert await burst() == LIMIT
    await log.aclose()


async def test_an_entry_of_a_bulk_call_counts_as_one(tmp_path: Path) -> None:
    limited = {**EVERYTHING, "limits": {"incidents:resolve": "3/hour"}}
    async with PagerDutyConnector.sandbox(policies=[limited], audit=f"sqlite:///{tmp_path / 'a.db'}") as pd:
        created = [(await pd.create_incident(f"i{number}", "PABC123")).id for number in range(4)]
        with pytest.raises(PermissionDeniedError, match="used up"):
            await pd.manage_incidents([{"id": incident, "status": "resolved"} for incident in created])
        await pd.manage_incidents([{"id": incident, "status": "resolved"} for incident in created[:3]])
        with pytest.raises(PermissionDeniedError, match="used up"):
            await pd.resolve_incident(created[3])


async def test_a_suspension_holds_from_the_next_call_on_in_another_process(tmp_path: Path) -> None:
    log_url = f"sqlite:///{tmp_path / 'audit.db'}"
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log_url) as pd:
        await pd.list_users(limit=1)
        command = "from arx_wrapper.cli.main import run; import sys; sys.exit(run(sys.argv[1:]))"
        for act, permitted in (("suspend", False), ("resume", True)):
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", command, "agents", act, pd.agent_id, cwd=ROOT, env={"ARX_AUDIT_URL": log_url}
            )
            assert await child.wait() == 0
            if permitted:
                await pd.list_users(limit=1)
            else:
                with pytest.raises(PermissionDeniedError, match="suspended"):
                    await pd.list_users(limit=1)
        kinds = [record.action_type for record in await trail(pd)]
    assert kinds[2:] == [
        "agent.suspended",
        "connector.refused",
        "agent.resumed",
        "connector.called",
        "connector.completed",
    ]


async def test_observe_mode_is_recorded_and_never_enforced(tmp_path: Path) -> None:
    watching = {"name": "watch", "connector": "pagerduty", "deny": ["users:*"], "enforce": False}
    async with PagerDutyConnector.sandbox(
        policies=[EVERYTHING, watching], audit=f"sqlite:///{tmp_path / 'a.db'}"
    ) as pd:
        assert await pd.list_users(limit=1)
        await pd.list_teams(limit=1)
        noted, _, other, _ = await trail(pd)
    assert noted.metadata["observed"] == ["watch: DENY"]
    assert noted.policy_verdict == "PERMIT"
    assert "observed" not in other.metadata
