"""A call that waits for a reviewer is a task, for clients that declare MCP's Tasks extension, and for no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp import Client, MCPError
from mcp.client._memory import InMemoryTransport
from mcp.client.extension import ClientExtension
from mcp_types import Request, RequestParams, Result
from pydantic import ConfigDict

from arx_wrapper.mcp import tasks
from arx_wrapper.sandbox import Sandbox
from tests.mcp.conftest import Deployment, structured
from tests.mcp.test_http import ACCEPT, BEARER
from tests.support import PATIENCE

SERVICE = {"service_id": "PABC123"}
EXTENSION = "io.modelcontextprotocol/tasks"


class Declared(ClientExtension):
    """Declares the extension and leaves its results as they are."""

    identifier = EXTENSION


class AnyParams(RequestParams):
    model_config = ConfigDict(extra="allow")


class ToolRequest(Request[AnyParams, str]):
    name_param = "name"


class TaskRequest(Request[AnyParams, str]):
    name_param = "taskId"


class AnyResult(Result):
    model_config = ConfigDict(extra="allow")


async def ask(client: Client, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request of any method and return its result as it came."""
    kind = ToolRequest if method == "tools/call" else TaskRequest
    found = await client.session.send_request(kind(method=method, params=AnyParams.model_validate(params)), AnyResult)
    return found.model_dump(by_alias=True)


async def call(client: Client, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return await ask(client, "tools/call", {"name": tool, "arguments": arguments})


async def finished(client: Client, task_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while (found := await ask(client, "tasks/get", {"taskId": task_id}))["status"] == "working":
            await asyncio.sleep(0.1)
    return found


def approval_of(task: Mapping[str, Any]) -> str:
    return str(task["statusMessage"]).rpartition(" ")[2].rstrip(".")


DECLARING = {"extensions": [Declared()]}


@pytest.mark.parametrize("transport", ["memory", "http"])
async def test_a_waiting_call_is_a_task_that_completes_when_a_reviewer_approves(
    deployment: Deployment, transport: str
) -> None:
    async with getattr(deployment, transport)(client=DECLARING) as client:
        assert client.server_capabilities.extensions == {EXTENSION: {}}
        task = await call(client, "services_delete", SERVICE)
        assert (task["resultType"], task["status"]) == ("task", "working")
        assert not {"result", "error", "content", "ttl"} & task.keys()
        assert task["ttlMs"] > 3_600_000
        waiting = await ask(client, "tasks/get", {"taskId": task["taskId"]})
        assert (waiting["resultType"], waiting["status"]) == ("complete", "working")
        await deployment.decide(approval_of(task))
        done = await finished(client, task["taskId"])
        assert done["status"] == "completed"
        answer = json.loads(done["result"]["content"][0]["text"])
        assert (answer["operation"], answer["done"]) == ("services:delete", True)
        read = await client.call_tool("services_read_detail", SERVICE)
        assert structured(read)["error"]["class"] == "NotFoundError"


async def test_a_denied_call_completes_as_a_failed_tool_call(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
        await deployment.decide(approval_of(task), "deny")
        done = await finished(client, task["taskId"])
        assert (done["status"], done["result"]["isError"]) == ("completed", True)
        assert json.loads(done["result"]["content"][0]["text"])["error"]["class"] == "ApprovalDeniedError"


async def test_a_cancelled_task_sends_nothing_even_if_it_is_approved_later(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
        assert (await ask(client, "tasks/cancel", {"taskId": task["taskId"]}))["resultType"] == "complete"
        await deployment.decide(approval_of(task))
        await asyncio.sleep(1)
        assert (await ask(client, "tasks/get", {"taskId": task["taskId"]}))["status"] == "cancelled"
        assert not (await client.call_tool("services_read_detail", SERVICE)).is_error
        assert (await ask(client, "tasks/cancel", {"taskId": task["taskId"]}))["resultType"] == "complete"


async def test_calls_that_do_not_wait_are_no_tasks(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        assert (await call(client, "teams_read", {}))["resultType"] == "complete"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_other_clients_get_an_approval_to_poll_and_no_task_methods(deployment: Deployment, mode: str) -> None:
    async with deployment.memory(mode=mode) as client:  # type: ignore[arg-type]
        assert structured(await client.call_tool("services_delete", SERVICE))["approval"]["state"] == "pending"
        for method in ("tasks/get", "tasks/cancel", "tasks/update"):
            with pytest.raises(MCPError) as refused:
                await ask(client, method, {"taskId": "x"})
            assert refused.value.error.code == (-32601 if mode == "legacy" else -32021)


async def test_a_task_is_its_agents_own_and_unknown_ones_are_refused(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
        for method in ("tasks/get", "tasks/cancel", "tasks/update"):
            with pytest.raises(MCPError) as refused:
                await ask(client, method, {"taskId": f"{task['taskId']}x"})
            assert refused.value.error.code == -32602
    store, tools = tasks.Tasks(), object()
    now, hour = tasks.datetime.now(tasks.UTC), tasks.timedelta(hours=1)
    store._tasks[task["taskId"]] = tasks.Task(
        id=task["taskId"], tools=object(), created=now, ttl=hour, message="", approval_id="a"
    )
    with pytest.raises(MCPError):
        await store.get(tools, task["taskId"])


async def test_the_same_call_again_is_the_same_task(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        first, second = [await call(client, "services_delete", SERVICE) for _ in range(2)]
        assert first["taskId"] == second["taskId"]
        await deployment.decide(approval_of(first))
        assert json.loads((await finished(client, first["taskId"]))["result"]["content"][0]["text"])["done"] is True


async def test_a_repeated_call_with_its_approval_is_answered_and_is_no_second_task(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
        asked = {**SERVICE, "approval_id": approval_of(task)}
        again = await call(client, "services_delete", asked)
        assert again["resultType"] == "complete"


async def test_tasks_end_with_the_server_and_the_approval_still_stands(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
    await deployment.decide(approval_of(task))
    async with deployment.memory() as client:
        assert not (await client.call_tool("services_read_detail", SERVICE)).is_error
        asked = {**SERVICE, "approval_id": approval_of(task)}
        assert structured(await client.call_tool("services_delete", asked))["done"] is True


async def test_a_task_is_forgotten_after_its_time(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
        later = tasks.datetime.now(tasks.UTC) + tasks.timedelta(days=1)
        monkeypatch.setattr(tasks, "datetime", clock_at(later))
        with pytest.raises(MCPError):
            await ask(client, "tasks/get", {"taskId": task["taskId"]})


def clock_at(now: Any) -> Any:
    class Clock:
        @staticmethod
        def now(_: object) -> Any:
            return now

    return Clock


async def test_each_waiting_call_has_a_task_of_its_own_until_it_ends(deployment: Deployment) -> None:
    window = {"start_time": "2030-06-15T02:00:00Z", "end_time": "2030-06-15T04:00:00Z", "service_ids": ["PABC123"]}
    async with deployment.memory(client=DECLARING) as client:
        delete = await call(client, "services_delete", SERVICE)
        other = await call(client, "maintenance_create", window)
        assert delete["taskId"] != other["taskId"]
        assert min(len(delete["taskId"]), len(other["taskId"])) >= 32, "nobody guesses it"
        await ask(client, "tasks/cancel", {"taskId": delete["taskId"]})
        again = await call(client, "services_delete", SERVICE)
        assert (again["status"], again["taskId"] != delete["taskId"]) == ("working", True)


async def test_a_call_that_is_being_made_is_not_cancelled(deployment: Deployment, account: tuple[str, Sandbox]) -> None:
    sandbox = account[1]
    sandbox.faults.slow(0.5, method="DELETE")
    async with deployment.memory(client=DECLARING) as client:
        task = await call(client, "services_delete", SERVICE)
        sandbox.requests.clear()
        await deployment.decide(approval_of(task))
        while not any(request.method == "DELETE" for request in sandbox.requests):
            await asyncio.sleep(0.01)
        await ask(client, "tasks/cancel", {"taskId": task["taskId"]})
        done = await finished(client, task["taskId"])
        assert (done["status"], done["result"]["isError"]) == ("completed", False)


async def test_old_protocols_get_no_task_though_the_client_declares_the_extension(deployment: Deployment) -> None:
    async with deployment.memory(client=DECLARING, mode="legacy") as client:
        assert structured(await client.call_tool("services_delete", SERVICE))["approval"]["state"] == "pending"


async def test_a_server_that_stops_ends_its_tasks_and_says_so(deployment: Deployment) -> None:
    async with deployment.server() as server:
        async with Client(InMemoryTransport(server), **DECLARING) as client:
            made = await call(client, "services_delete", SERVICE)
            [task] = server._tasks._tasks.values()
            assert task.id == made["taskId"]
        assert task.running is not None
        assert task.running.done()
        assert (task.status, task.message) == ("failed", "The server stopped while the call waited or ran.")
        shown = await server._tasks.get(task.tools, task.id)
        assert (shown["error"]["code"], shown["error"]["message"]) == (-32603, task.message)
        await server._tasks.cancel(task.tools, task.id)
        assert task.status == "failed", "a task that ended stays as it ended"


async def test_a_defect_is_shown_by_the_task(deployment: Deployment, account: tuple[str, Sandbox]) -> None:
    async with deployment.server() as server, Client(InMemoryTransport(server), **DECLARING) as client:
        await call(client, "services_delete", SERVICE)
        [task] = server._tasks._tasks.values()
        await server._tasks._drive(task, "services_delete", SERVICE, approval_id=7)  # type: ignore[arg-type]
        assert (task.status, task.message.startswith("Unexpected ")) == ("failed", True)


async def test_the_background_work_of_a_forgotten_task_ends(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.server() as server, Client(InMemoryTransport(server), **DECLARING) as client:
        await call(client, "services_delete", SERVICE)
        [task] = server._tasks._tasks.values()
        monkeypatch.setattr(tasks, "datetime", clock_at(tasks.datetime.now(tasks.UTC) + tasks.timedelta(days=1)))
        await call(client, "services_delete", SERVICE)
        assert task.id not in server._tasks._tasks
        assert task.running is not None
        await asyncio.wait([task.running], timeout=PATIENCE)
        assert task.running.cancelled()


NAMED = [("other", -32020), ("unknown", -32602), ("unknown\t ", -32602), (None, -32020)]


@pytest.mark.parametrize(("shown", "code"), NAMED)
async def test_the_routing_header_names_the_task_and_whitespace_around_it_does_not_count(
    deployment: Deployment, shown: str | None, code: int
) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": "unknown", "_meta": meta}}
    async with deployment.served() as url:
        status, answer = await raw_post(url, shown, json.dumps(body).encode())
    assert (status, answer["error"]["code"]) == (400, code)


async def raw_post(url: str, name: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
    """Post a message as it is: clients' libraries take the whitespace of headers away."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [
        "POST /mcp HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: {BEARER['Authorization']}",
        f"Accept: {ACCEPT['Accept']}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tasks/get",
        *([f"Mcp-Name: {name}"] if name is not None else []),
        "Connection: close",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(content)
