"""The server as a process: started, told to stop, shared by agents, its policy changed and decided on from outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess

import httpx2
import pytest
from attrs import evolve
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.mcp.conftest import Deployment, structured
from tests.mcp.test_http import BEARER
from tests.support import EVERYTHING, PATIENCE, denying

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_a_line_longer_than_anything_sensible_does_not_end_the_server(deployment: Deployment) -> None:
    long = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "x" * (17 * 1024 * 1024)})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with deployment.start("mcp", **pipes) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(long + "\n" + json.dumps(INITIALIZE) + "\n")
        process.stdin.flush()
        answers = (json.loads(line) for line in process.stdout)
        answer = next(answer for answer in answers if answer.get("id") == 1)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert answer["result"]["serverInfo"]["name"]


@pytest.mark.parametrize("how", ["SIGTERM", "end of stdin"])
def test_a_server_over_stdio_ends_when_told_to(deployment: Deployment, how: str) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = deployment.start("mcp", **pipes)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        if how == "SIGTERM":
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        out, err = process.communicate(timeout=PATIENCE)
        assert (out, err, process.returncode) == ("", "", 0)
    finally:
        process.kill()
        process.communicate()


def test_a_policy_that_does_not_load_is_told_before_anything_is_served(deployment: Deployment) -> None:
    deployment.policy.write_text("- name: a\n  connecter: pagerduty\n")
    done = deployment.run("mcp")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "policy.yaml:2" in done.stderr


def test_an_address_that_is_none_is_said(deployment: Deployment) -> None:
    done = deployment.run("mcp", "--http", "--host", "localhost")
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr


def test_a_server_that_offers_no_tool_says_why(deployment: Deployment) -> None:
    environ = {name: value for name, value in deployment.environ.items() if name != "ARX_POLICY"}
    process = evolve(deployment, environ=environ).start(
        "mcp", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    assert "No tool is offered to agent-7: " in err
    assert "ARX_POLICY" in err


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "PAGERDUTY_API_KEY is empty"), ("${PAGERDUTY_API_KEY}", "PAGERDUTY_API_KEY is the name of a variable")],
)
def test_a_key_that_the_client_did_not_fill_in_is_warned_of(deployment: Deployment, key: str, said: str) -> None:
    process = evolve(deployment, environ={**deployment.environ, "PAGERDUTY_API_KEY": key}).start(
        "mcp", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    assert said in err


@pytest.mark.parametrize("token", ["", "short"])
def test_it_does_not_start_without_a_token_worth_the_name(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("ARX_MCP_TOKEN", token)
    done = deployment.run("mcp", "--http")
    assert done.returncode == 2
    assert "ARX_MCP_TOKEN" in done.stderr


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_it_stops_though_clients_still_listen(deployment: Deployment, mode: str) -> None:
    with deployment.http_process() as (url, process):
        async with httpx2.AsyncClient(headers=BEARER, timeout=PATIENCE) as session:
            client = Client(streamable_http_client(url, http_client=session), mode=mode)  # type: ignore[arg-type]
            async with client:
                assert (await client.list_tools()).tools
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


async def test_two_agents_servers_share_a_policy_that_changes_and_a_reviewer_in_a_third_process(
    deployment: Deployment,
) -> None:
    other = evolve(deployment, environ={**deployment.environ, "ARX_AGENT_ID": "agent-8"})
    asking = {**EVERYTHING, "approval": {"low": "none", "medium": "none", "high": "hitl"}, "agents": ["agent-7"]}
    service = {"service_id": "PABC123"}
    deployment.adopt(asking, {**EVERYTHING, "name": "reads", "operations": ["*:read"], "agents": ["agent-8"]})
    async with deployment.stdio() as first, other.stdio() as second:
        offered = {tool.name for tool in (await second.list_tools()).tools}
        assert "services_delete" not in offered
        denied = structured(await second.call_tool("services_delete", service))
        assert denied["error"]["class"] == "PermissionDeniedError"
        asked = structured(await first.call_tool("services_delete", service))["approval"]
        await deployment.decide(asked["approval_id"])  # in this process
        approved = {**service, "approval_id": asked["approval_id"]}
        deployment.adopt(asking, denying("services:*"))
        await asyncio.sleep(1)
        assert structured(await first.call_tool("services_delete", approved))["done"] is False
        assert not [
            tool for tool in (await first.list_tools(cache_mode="refresh")).tools if tool.name.startswith("services")
        ]
        deployment.adopt(asking)
        await asyncio.sleep(1)
        assert structured(await first.call_tool("services_delete", approved))["done"] is True
