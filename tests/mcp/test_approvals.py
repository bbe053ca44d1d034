"""A tool call that a reviewer has to approve: stopped, decided by command, resumed once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.mcp.conftest import Deployment, structured
from tests.support import ASK_ABOUT_HIGH

SERVICE = {"service_id": "PABC123"}


async def exists(client: Any, service_id: str) -> bool:
    return not (await client.call_tool("services_read_detail", {"service_id": service_id})).is_error


@pytest.mark.parametrize("transport", ["memory", "http"])
async def test_high_is_stopped_until_a_reviewer_approves_and_then_goes_through_once(
    deployment: Deployment, transport: str
) -> None:
    async with getattr(deployment, transport)() as client:
        stopped = await client.call_tool("services_delete", SERVICE)
        found = structured(stopped)
        assert (stopped.is_error, found["done"], found["sent"]) == (False, False, "no")
        approval = found["approval"]
        assert (approval["state"], approval["risk"], approval["decisions"]) == ("pending", "HIGH", [])
        assert await exists(client, "PABC123")

        asked = {"approval_id": approval["approval_id"]}
        early = structured(await client.call_tool("services_delete", SERVICE | asked))
        assert (early["done"], early["approval"]["state"]) == (False, "pending")

        await deployment.decide(approval["approval_id"])
        standing = structured(await client.call_tool("approval_status", asked))["approval"]
        assert (standing["state"], standing["decisions"]) == ("approved", [{"verdict": "approved", "note": "ok"}])
        assert "Repeat the same call" in standing["do_next"]

        assert structured(await client.call_tool("services_delete", SERVICE | asked))["done"] is True
        assert not await exists(client, "PABC123")

        again = structured(await client.call_tool("services_delete", SERVICE | asked))
        assert again["error"]["class"] == "ApprovalDeniedError"
        assert structured(await client.call_tool("approval_status", asked))["approval"]["state"] == "consumed"


async def test_an_approval_is_for_one_call_only(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        approval_id = structured(await client.call_tool("services_delete", SERVICE))["approval"]["approval_id"]
        await deployment.decide(approval_id)
        services = structured(await client.call_tool("services_read", {}))["data"]["services"]
        another = next(service["id"] for service in services if service["id"] != "PABC123")
        found = structured(
            await client.call_tool("services_delete", {"service_id": another, "approval_id": approval_id})
        )
        assert (found["error"]["class"], found["error"]["sent"]) == ("ApprovalDeniedError", "no")
        assert await exists(client, another)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("transport", ["memory", "http"])
async def test_a_call_can_wait_and_tells_what_for(deployment: Deployment, transport: str, mode: str) -> None:
    decided: list[asyncio.Task[None]] = []

    async def progress(waited: float, total: float | None, message: str | None) -> None:
        assert message is not None
        assert waited < (total or 0) == 30
        if not decided:
            decided.append(asyncio.create_task(deployment.decide(message.rpartition(" ")[2])))

    async with getattr(deployment, transport)(mode=mode) as client:
        arguments = {**SERVICE, "wait_seconds": 30}
        result = await client.call_tool("services_delete", arguments, progress_callback=progress)
    (task,) = decided
    await task
    assert structured(result)["done"] is True


async def test_a_wait_that_is_too_short_ends_as_pending_and_by_the_servers_own_setting(deployment: Deployment) -> None:
    async with deployment.memory(wait=0.3) as client:
        found = structured(await client.call_tool("services_delete", SERVICE))
        assert found["approval"]["state"] == "pending"
        asked = {"approval_id": found["approval"]["approval_id"]}
        waiting = asyncio.create_task(client.call_tool("approval_status", {**asked, "wait_seconds": 30}))
        await deployment.decide(asked["approval_id"])
        assert structured(await waiting)["approval"]["state"] == "approved"


async def test_a_reviewers_no_reaches_the_agent(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        asked = structured(await client.call_tool("services_delete", SERVICE))["approval"]["approval_id"]
        await deployment.decide(asked, "deny")
        result = await client.call_tool("services_delete", {**SERVICE, "approval_id": asked})
        assert result.is_error
        error = structured(result)["error"]
        assert (error["class"], error["approval_id"]) == ("ApprovalDeniedError", asked)
        assert await exists(client, "PABC123")


async def test_an_agent_learns_nothing_of_anothers_approvals(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        asked = structured(await client.call_tool("services_delete", SERVICE))["approval"]["approval_id"]
    other = Deployment(policy=deployment.policy, environ={**deployment.environ, "ARX_AGENT_ID": "agent-8"})
    async with other.stdio() as client:
        found = structured(await client.call_tool("approval_status", {"approval_id": asked}))
        assert found["error"]["class"] == "ApprovalError"
        assert "services" not in json.dumps(found["error"]["message"])


async def test_a_policy_tightened_meanwhile_wins_over_the_approval(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        asked = structured(await client.call_tool("services_delete", SERVICE))["approval"]["approval_id"]
        await deployment.decide(asked)
        deployment.adopt({**ASK_ABOUT_HIGH, "deny": ["services:delete"]})
        await asyncio.sleep(1)
        found = structured(await client.call_tool("services_delete", {**SERVICE, "approval_id": asked}))
        assert found["error"]["class"] == "PermissionDeniedError"
        assert await exists(client, "PABC123")


async def test_every_wait_is_on_record(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        asked = structured(await client.call_tool("services_delete", SERVICE))["approval"]["approval_id"]
        await deployment.decide(asked)
        await client.call_tool("services_delete", {**SERVICE, "approval_id": asked})
    exported = await asyncio.to_thread(deployment.run, "audit", "export")
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    mine = [record["action_type"] for record in records if record.get("approval_id") == asked]
    assert "approval.reviewed" in mine
    assert (await asyncio.to_thread(deployment.run, "audit", "verify")).returncode == 0
