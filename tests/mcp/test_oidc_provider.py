"""Access tokens of a real authorization server, `oidc-provider`, name the agents of one server."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from attrs import evolve
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from arx_wrapper import Config, PagerDutyConnector
from arx_wrapper.cli.http_server import listening, server_for
from arx_wrapper.mcp.agent_tools import Agents
from arx_wrapper.mcp.http import HttpServer
from arx_wrapper.mcp.identity import Issuer
from arx_wrapper.mcp.server import ToolServer
from tests.mcp.conftest import Deployment, structured
from tests.mcp.npm import installed
from tests.support import EVERYTHING, PATIENCE

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("oidc_provider.mjs")
AGENTS = ["triage-1", "reader-1"]


@pytest.fixture(scope="module")
def issuer(request: pytest.FixtureRequest) -> Iterator[str]:
    folder = installed(request.config, "oidc-provider", "9.13.3")
    script = folder / SCRIPT.name
    script.write_text(SCRIPT.read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(shutil.which("node")), str(script), str(port), json.dumps(AGENTS)]
    process = subprocess.Popen(  # noqa: S603 - a file of ours
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


@asynccontextmanager
async def serving(issuer: str) -> AsyncIterator[str]:
    config = evolve(Config.load(), approvals_mode="raise")
    async with PagerDutyConnector("root", "org-7", config=config) as root:
        with listening("127.0.0.1", 0) as opened:
            url = f"http://127.0.0.1:{opened.getsockname()[1]}/mcp"
            accepted = Issuer(url=issuer, audience=url, agent_claim="client_id", org_id="org-7", scopes=("pagerduty",))
            application = HttpServer.on(opened, ToolServer(Agents(root)), issuer=accepted, hosts=[], origins=[])
            http = server_for(application)
            running = asyncio.create_task(http.serve(sockets=[opened]))
            try:
                yield url
            finally:
                http.should_exit = True
                application.close()
                await running


async def token(issuer: str, agent: str, resource: str) -> str:
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        metadata = (await client.get(f"{issuer}/.well-known/openid-configuration")).json()
        asked = {"grant_type": "client_credentials", "scope": "pagerduty", "resource": resource}
        secret = f"{agent}-secret-for-tests-only-0123456789"
        answer = await client.post(metadata["token_endpoint"], data=asked, auth=(agent, secret))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


async def test_tokens_of_a_real_issuer_name_the_agent(deployment: Deployment, issuer: str) -> None:
    reading = {**EVERYTHING, "name": "reads", "operations": ["teams:read"], "agents": ["reader-1"]}
    deployment.adopt({**EVERYTHING, "agents": ["triage-1"]}, reading)
    async with serving(issuer) as url:
        for agent, count in (("triage-1", len(PagerDutyConnector.operations)), ("reader-1", 1)):
            shown = {"Authorization": f"Bearer {await token(issuer, agent, url)}"}
            async with (
                httpx2.AsyncClient(headers=shown, timeout=60) as session,
                Client(streamable_http_client(url, http_client=session)) as client,
            ):
                assert len((await client.list_tools()).tools) == count
                assert structured(await client.call_tool("teams_read", {}))["done"] is True
        other = {"Authorization": f"Bearer {await token(issuer, 'triage-1', 'https://other.example/mcp')}"}
        async with httpx2.AsyncClient(headers=other, timeout=PATIENCE) as client:
            refused = await client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert refused.status_code == 401
        assert "resource_metadata" in refused.headers["WWW-Authenticate"]
    exported = (await asyncio.to_thread(deployment.run, "audit", "export")).stdout.splitlines()
    agents = {json.loads(line)["agent_id"] for line in exported}
    assert {"triage-1", "reader-1"} <= agents
